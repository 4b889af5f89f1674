"""What an installed framework takes as the derivative at kinks, measured; compared with the file, or written into it.

    python benchmarks/conventions.py torch             compare: exit 1 where a value has changed
    python benchmarks/conventions.py torch --write     relusym/conventions/torch-VERSION.json anew

Needs the framework (torch, jax, tensorflow or onnx) in the environment that runs it. Each function is called at each
of its breakpoints, at +0 and -0 where that is 0, with two settings of its parameters, in four formats and in all ways
of calling that the framework's `obtained` names. All of them must agree; a measured number is then written as an
expression in the parameters, which must hold for both settings.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from sympy import Expr

from relusym.activation import Activation, parameter_values
from relusym.calculus.subdifferentials import is_continuous_at, slopes
from relusym.conventions.holdings import SCHEMA, defined, expression
from relusym.errors import InvalidActivation
from relusym.pieces import split
from relusym.printing import grammar_text

HOME = Path(__file__).parents[1] / "relusym" / "conventions"
DTYPES = ("float64", "float32", "float16", "bfloat16")
CLOSE = 2.0**-6
"""Relative: four units of bfloat16. The slopes between which a measurement decides are further apart."""

FORMULAS: Mapping[str, Mapping[str, Any]] = {
    "abs": {"formula": "abs(x)"},
    "sign": {"formula": "sign(x)"},
    "maximum": {"formula": "max(x, 0)"},
    "minimum": {"formula": "min(x, 0)"},
    "clip": {"formula": "min(max(x, lower), upper)", "parameters": {"lower": "-1", "upper": "1"}},
}
"""Functions that frameworks have and the catalogue has not."""

SETTINGS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "leaky_relu": ({"negative_slope": "1/4"}, {"negative_slope": "2"}),
    "prelu": ({"alpha": "1/4"}, {"alpha": "-2"}),
    "elu": ({"alpha": "1/4"}, {"alpha": "2"}),
    "celu": ({"alpha": "1/4"}, {"alpha": "2"}),
    "hardtanh": ({"lower": "-1", "upper": "1"}, {"lower": "-2", "upper": "1/2"}),
    "clip": ({"lower": "-1", "upper": "1"}, {"lower": "-2", "upper": "1/2"}),
    "softshrink": ({"lambd": "1/2"}, {"lambd": "2"}),
    "hardshrink": ({"lambd": "1/2"}, {"lambd": "2"}),
    "threshold": ({"threshold": "1", "value": "0"}, {"threshold": "-2", "value": "4"}),
}
"""Exact in every format, and no slope equal to another at both."""


@dataclass(frozen=True)
class Function:
    """One function under its documented name; `call(x, **parameters)` takes the catalogue's names of parameters.

    `fixed` are the parameters that it does not take, with the values it has.
    """

    name: str
    call: Callable[..., Any]
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Framework:
    """How one framework is asked: `measure(f, x, dtype)` gives pairs of f(x) and f'(x), one for each way of calling.

    f'(x) is None where the framework defines none.
    """

    packages: tuple[str, ...]
    obtained: str
    functions: Mapping[str, Function]
    measure: Callable[[Callable[[Any], Any], float, str], list[tuple[float, float | None]]]


def torch() -> Framework:
    import torch
    import torch.nn.functional as F  # noqa: N812 - what everybody calls it

    def measure(call: Callable[[Any], Any], x: float, dtype: str) -> list[tuple[float, float | None]]:
        found: list[tuple[float, float | None]] = []
        for length in (1, 67):  # with and without vectors
            at = torch.full((length,), x, dtype=getattr(torch, dtype), requires_grad=True)
            y = call(at)
            y.sum().backward()
            found += zip(y.tolist(), at.grad.tolist(), strict=True)
        return found

    def prelu(x: Any, alpha: float) -> Any:
        return F.prelu(x, torch.tensor([alpha], dtype=x.dtype))

    def zero(x: Any) -> Any:
        return torch.zeros((), dtype=x.dtype)

    name = "torch.nn.functional."
    functions = {
        "relu": Function(name + "relu", F.relu),
        "leaky_relu": Function(name + "leaky_relu", F.leaky_relu),
        "prelu": Function(name + "prelu", prelu),
        "relu6": Function(name + "relu6", F.relu6),
        "elu": Function(name + "elu", F.elu),
        "selu": Function(name + "selu", F.selu),
        "celu": Function(name + "celu", F.celu),
        "hardtanh": Function(name + "hardtanh", lambda x, lower, upper: F.hardtanh(x, lower, upper)),
        "hardsigmoid": Function(name + "hardsigmoid", F.hardsigmoid, {"slope": "1/6", "shift": "1/2"}),
        "hardswish": Function(name + "hardswish", F.hardswish),
        "softsign": Function(name + "softsign", F.softsign),
        "softshrink": Function(name + "softshrink", F.softshrink),
        "hardshrink": Function(name + "hardshrink", F.hardshrink),
        "threshold": Function(name + "threshold", F.threshold),
        "abs": Function("torch.abs", torch.abs),
        "sign": Function("torch.sign", torch.sign),
        "maximum": Function("torch.maximum", lambda x: torch.maximum(x, zero(x))),
        "minimum": Function("torch.minimum", lambda x: torch.minimum(x, zero(x))),
        "clip": Function("torch.clamp", lambda x, lower, upper: torch.clamp(x, lower, upper)),
    }
    return Framework(("torch",), "measured on the CPU by eager autograd", functions, measure)


def jax() -> Framework:
    import jax
    import jax.nn
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)

    def measure(call: Callable[[Any], Any], x: float, dtype: str) -> list[tuple[float, float | None]]:
        both = jax.value_and_grad(call)
        pairs = [way(jnp.asarray(x, dtype)) for way in (both, jax.jit(both))]
        return [(float(y), float(slope)) for y, slope in pairs]

    functions = {
        "relu": Function("jax.nn.relu", jax.nn.relu),
        "leaky_relu": Function("jax.nn.leaky_relu", jax.nn.leaky_relu),
        "relu6": Function("jax.nn.relu6", jax.nn.relu6),
        "elu": Function("jax.nn.elu", jax.nn.elu),
        "selu": Function("jax.nn.selu", jax.nn.selu),
        "celu": Function("jax.nn.celu", jax.nn.celu),
        "hardtanh": Function("jax.nn.hard_tanh", jax.nn.hard_tanh, {"lower": "-1", "upper": "1"}),
        "hardsigmoid": Function("jax.nn.hard_sigmoid", jax.nn.hard_sigmoid, {"slope": "1/6", "shift": "1/2"}),
        "hardswish": Function("jax.nn.hard_swish", jax.nn.hard_swish),
        "softsign": Function("jax.nn.soft_sign", jax.nn.soft_sign),
        "abs": Function("jax.numpy.abs", jnp.abs),
        "sign": Function("jax.numpy.sign", jnp.sign),
        "maximum": Function("jax.numpy.maximum", lambda x: jnp.maximum(x, 0)),
        "minimum": Function("jax.numpy.minimum", lambda x: jnp.minimum(x, 0)),
        "clip": Function("jax.numpy.clip", lambda x, lower, upper: jnp.clip(x, lower, upper)),
    }
    return Framework(("jax", "jaxlib"), "measured on the CPU by jax.grad, with and without jax.jit", functions, measure)


def tensorflow() -> Framework:
    import tensorflow as tf

    keras = tf.keras.activations

    def measure(call: Callable[[Any], Any], x: float, dtype: str) -> list[tuple[float, float | None]]:
        def both(at: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(at)
                y = call(at)
            return y, tape.gradient(y, at)

        at = tf.constant([x], dtype)
        pairs = [way(at) for way in (both, tf.function(both, autograph=False))]
        return [(float(y[0]), float(slope[0])) for y, slope in pairs]

    @functools.cache
    def layer(alpha: float, dtype: str) -> Any:
        return tf.keras.layers.PReLU(alpha_initializer=tf.keras.initializers.Constant(alpha), dtype=dtype)

    def prelu(x: Any, alpha: float) -> Any:
        return layer(alpha, x.dtype.name)(x[None])[0]

    name = "tf.keras.activations."
    functions = {
        "relu": Function("tf.nn.relu", tf.nn.relu),
        "leaky_relu": Function("tf.nn.leaky_relu", lambda x, negative_slope: tf.nn.leaky_relu(x, negative_slope)),
        "prelu": Function("tf.keras.layers.PReLU", prelu),
        "relu6": Function("tf.nn.relu6", tf.nn.relu6),
        "elu": Function(name + "elu", keras.elu),
        "selu": Function("tf.nn.selu", tf.nn.selu),
        "celu": Function(name + "celu", keras.celu),
        "hardtanh": Function(name + "hard_tanh", keras.hard_tanh, {"lower": "-1", "upper": "1"}),
        "hardsigmoid": Function(name + "hard_sigmoid", keras.hard_sigmoid, {"slope": "1/6", "shift": "1/2"}),
        "hardswish": Function(name + "hard_silu", keras.hard_silu),
        "softsign": Function("tf.nn.softsign", tf.nn.softsign),
        "softshrink": Function(name + "soft_shrink", lambda x, lambd: keras.soft_shrink(x, lambd)),
        "hardshrink": Function(name + "hard_shrink", lambda x, lambd: keras.hard_shrink(x, lambd)),
        "threshold": Function(name + "threshold", lambda x, threshold, value: keras.threshold(x, threshold, value)),
        "abs": Function("tf.abs", tf.abs),
        "sign": Function("tf.sign", tf.sign),
        "maximum": Function("tf.maximum", lambda x: tf.maximum(x, tf.zeros_like(x))),
        "minimum": Function("tf.minimum", lambda x: tf.minimum(x, tf.zeros_like(x))),
        "clip": Function("tf.clip_by_value", lambda x, lower, upper: tf.clip_by_value(x, lower, upper)),
    }
    obtained = "measured on the CPU by tf.GradientTape, eagerly and in tf.function; tf.keras is Keras 3"
    return Framework(("tensorflow", "keras"), obtained, functions, measure)


def onnx() -> Framework:
    import onnxruntime
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    def operator(kind: str, **attributes: float) -> Callable[[Any], Any]:
        def run(x: Any) -> list[Any]:
            element = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}[x.dtype.name]
            ends = [helper.make_tensor_value_info(name, element, [1]) for name in "xy"]
            graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"], **attributes)], kind, ends[:1], ends[1:])
            # An opset that the runtime of the same season reads.
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
            run = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run
            return [ReferenceEvaluator(model).run(None, {"x": x})[0], run(None, {"x": x})[0]]

        return run

    def measure(call: Callable[[Any], Any], x: float, dtype: str) -> list[tuple[float, float | None]]:
        if dtype != "float32":
            return []  # not every operator has the others in the runtime
        return [(float(y[0]), None) for y in call(np.array([x], dtype))]

    functions = {
        "hardshrink": Function("Shrink(bias=0)", lambda x, lambd: operator("Shrink", lambd=lambd, bias=0.0)(x)),
        "threshold": Function(
            "ThresholdedRelu", lambda x, threshold: operator("ThresholdedRelu", alpha=threshold)(x), {"value": "0"}
        ),
        "sign": Function("Sign", operator("Sign")),
    }
    obtained = (
        "the specification defines no derivatives at kinks (its preview operator Gradient states none): only values of "
        "functions that jump are held, by its reference implementation and onnxruntime in float32"
    )
    return Framework(("onnx", "onnxruntime"), obtained, functions, measure)


FRAMEWORKS: Mapping[str, Callable[[], Framework]] = {
    "torch": torch,
    "jax": jax,
    "tensorflow": tensorflow,
    "onnx": onnx,
}


def version(framework: str) -> str:
    """Major and minor version of what is installed; raises PackageNotFoundError where nothing is."""
    found = re.match(r"\d+\.\d+", _installed(framework))
    assert found is not None
    return found[0]


def _installed(package: str) -> str:
    """The version of a distribution; TensorFlow comes as several."""
    names = {"tensorflow": ("tensorflow", "tensorflow-cpu")}.get(package, (package,))
    for name in names[:-1]:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return metadata.version(names[-1])


def measured(framework: str) -> dict[str, Any]:
    """The document of the installed version."""
    asked = FRAMEWORKS[framework]()
    return {
        "schema": SCHEMA,
        "framework": framework,
        "version": version(framework),
        "packages": {package: _installed(package) for package in asked.packages},
        "obtained": asked.obtained,
        "functions": [_described(name, function, asked) for name, function in asked.functions.items()],
    }


def _described(name: str, function: Function, asked: Framework) -> dict[str, Any]:
    head = {"activation": name, **FORMULAS.get(name, {})}
    activation = defined(head)
    fixed = {"fixed": dict(function.fixed)} if function.fixed else {}
    points = [_point(at, activation, function, asked) for at in _breakpoints(activation)]
    return {**head, "function": function.name, **fixed, "breakpoints": points}


def _breakpoints(activation: Activation) -> list[Expr]:
    """In the parameters where their order is known; else read off the formula, in the order of the default values."""
    try:
        return list(split(activation, {}).breakpoints)
    except InvalidActivation:
        values = parameter_values(activation)
        return sorted(values, key=lambda symbol: values[symbol])


def _point(at: Expr, activation: Activation, function: Function, asked: Framework) -> dict[str, Any]:
    results: dict[tuple[int, float, float | None], Mapping[Any, Expr]] = {}  # each with its parameter values, once
    for number, setting in enumerate(SETTINGS.get(activation.name, ({},))):
        setting = {**setting, **function.fixed}
        values = parameter_values(activation, setting)
        place = Fraction(str(at.xreplace(values)))
        passed = {key: float(Fraction(text)) for key, text in setting.items() if key not in function.fixed}
        call = functools.partial(function.call, **passed)
        for x in {float(place), -0.0} if place == 0 else {float(place)}:
            results |= {(number, *pair): values for dtype in DTYPES for pair in asked.measure(call, x, dtype)}
    where = f"{function.name} at {at}"
    parameters = [parameter.symbol for parameter in activation.parameters]
    pieces = split(activation, parameter_values(activation))
    place = pieces.breakpoints[_breakpoints(activation).index(at)]
    point: dict[str, Any] = {"at": grammar_text(at)}
    slopes_found = [(values, slope) for (_, _, slope), values in results.items() if slope is not None]
    if slopes_found:
        point["slope"] = _written(where, slopes_found, activation, at)
        if _outside(point["slope"], activation, at):
            point["outside"] = True
    if not is_continuous_at(pieces, place):
        candidates = {grammar_text(expr): expr for expr in (sympy.S.Zero, sympy.S.One, *parameters, at)}
        point["value"] = _first(where, [(values, value) for (_, value, _), values in results.items()], candidates)
    return point


def _sides(activation: Activation, at: Expr, values: Mapping[Any, Expr]) -> tuple[Expr, Expr]:
    return slopes(split(activation, values), at.xreplace(dict(values)))


def _written(where: str, pairs: list[tuple[Any, float]], activation: Activation, at: Expr) -> str:
    """The expression that all measured slopes have in common: a number, a parameter, or a side."""
    numbers = {text: sympy.Rational(text) for text in ("0", "1", "1/2", "2", "-1")}
    parameters = {parameter.name: parameter.symbol for parameter in activation.parameters}
    sides = {
        side: [_sides(activation, at, values)[index] for values, _ in pairs]
        for index, side in enumerate(("left", "right"))
    }
    found = _common({**numbers, **parameters}, pairs)
    found += [side for side, slopes in sides.items() if all(map(_is, slopes, (slope for _, slope in pairs)))]
    assert found, f"{where}: no expression fits {sorted({slope for _, slope in pairs})}"
    return found[0]


def _first(where: str, pairs: list[tuple[Any, float]], candidates: Mapping[str, Expr]) -> str:
    found = _common(candidates, pairs)
    assert found, f"{where}: no expression fits {sorted({value for _, value in pairs})}"
    return found[0]


def _common(candidates: Mapping[str, Expr], pairs: list[tuple[Any, float]]) -> list[str]:
    return [text for text, expr in candidates.items() if all(_is(expr.xreplace(v), number) for v, number in pairs)]


def _is(exact: Expr, number: float) -> bool:
    return math.isclose(float(exact), number, rel_tol=CLOSE)


def _outside(slope: str, activation: Activation, at: Expr) -> bool:
    """Whether the slope is outside the Clarke interval for some setting; never at a jump, and never a side."""
    if slope in ("left", "right"):
        return False
    for setting in SETTINGS.get(activation.name, ({},)):
        values = parameter_values(activation, setting)
        pieces = split(activation, values)
        place = next(place for place in pieces.breakpoints if place == at.xreplace(values))
        left, right = sorted(slopes(pieces, place))
        if is_continuous_at(pieces, place) and not left <= expression(slope, activation).xreplace(values) <= right:
            return True
    return False


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """What two documents say differently about functions."""
    first, second = ({entry["activation"]: entry for entry in document["functions"]} for document in (one, other))
    for name in [*first, *(name for name in second if name not in first)]:
        if first.get(name) != second.get(name):
            yield f"{name}: {json.dumps(first.get(name))} became {json.dumps(second.get(name))}"


def text(document: Mapping[str, Any]) -> str:
    """JSON with one line for each function."""
    head = json.dumps({key: value for key, value in document.items() if key != "functions"}, indent=1)
    rows = ",\n".join("  " + json.dumps(row) for row in document["functions"])
    return f'{head.removesuffix(chr(10) + "}")},\n "functions": [\n{rows}\n ]\n}}\n'


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=list(FRAMEWORKS))
    parser.add_argument("--write", action="store_true", help="write the file of the installed version")
    given = parser.parse_args(arguments)
    document = measured(given.framework)
    path = HOME / f"{given.framework}-{document['version']}.json"
    if given.write:
        path.write_text(text(document), encoding="utf-8")
        print(path)
        return 0
    if not path.exists():
        print(f"{path.name} does not exist; --write makes it")
        return 1
    changed = list(differences(json.loads(path.read_text(encoding="utf-8")), document))
    print("\n".join(changed) or f"{path.name} is what {given.framework} {document['version']} does here")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())
