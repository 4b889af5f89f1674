"""Fused quantities: f at a sum, its backward pass with the bias gradient, and the backward pass from the output."""

import math
import shutil
import warnings
from typing import Any

import numpy as np
import pytest
import sympy
from relusym_codegen import acceptance, compilers, generate
from relusym_codegen.program import evaluate
from relusym_codegen.signatures import FUSED, signature_of
from relusym_codegen.targets import cuda

from relusym.activation import parameter_values, x
from relusym.activations import NAMES, named
from relusym.calculus.outputs import slope_by_output
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS
from relusym.judge import check
from relusym.judge.addends import parted, summed
from relusym.parsing import parse
from relusym.pieces import split

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler to run CUDA text on the CPU"
)
SUMS = tuple(word for word in FUSED if signature_of(word).addend)
NO_FUNCTION_OF_THE_OUTPUT = {"gelu", "gelu_tanh", "quick_gelu", "silu", "swish", "mish", "hardswish"}
NO_CLOSED_FORM = {"tanhshrink", "snake"}


def operands(kernel: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    random = np.random.default_rng(sum(shape))
    dtype = FORMATS[kernel.dtype].dtype
    shapes = {kernel.signature.channelwise: shape[-1:]}
    return {name: (3 * random.normal(size=shapes.get(name, shape))).astype(dtype) for name in kernel.signature.arrays}


def terms(kernel: Any, given: dict[str, Any]) -> Any:
    """What the program makes of the arrays, in the work format."""
    wide = {name: array.astype(kernel.work_format.dtype) for name, array in given.items()}
    shape = np.broadcast_shapes(*(array.shape for array in given.values()))
    return evaluate(kernel.program, {name: np.broadcast_to(array, shape) for name, array in wide.items()})[0]


@pytest.fixture(scope="module")
def loaded() -> dict[tuple[str, str], tuple[Any, Any]]:
    kernels = [generate("elu", "cuda", dtype, computes) for dtype in FORMATS for computes in SUMS]
    return {(k.dtype, k.computes): (k, fn) for k, fn in zip(kernels, cuda.load_on_cpu(kernels), strict=True)}


@needs_compiler
@pytest.mark.parametrize("dtype", list(FORMATS))
@pytest.mark.parametrize("computes", SUMS)
def test_a_fused_kernel_runs_its_program_bit_for_bit_in_every_shape(loaded: Any, dtype: str, computes: str) -> None:
    kernel, fn = loaded[dtype, computes]
    for shape in ((1, 1), (0, 8), (3, 0), (7, 8), (33, 13), (130, 64), (2, 3, 5, 16), (4099,)):
        given = operands(kernel, shape)
        got = fn(*given.values())
        got = got[0] if kernel.signature.summed else got
        assert np.array_equal(got, terms(kernel, given).astype(FORMATS[dtype].dtype))


@needs_compiler
@pytest.mark.parametrize("computes", ["bias-forward", "residual-backward"])
def test_a_fused_kernel_takes_any_layout_and_writes_in_place(loaded: Any, computes: str) -> None:
    kernel, fn = loaded["float16", computes]
    given = operands(kernel, (48, 40))
    whole = fn(*given.values())
    for key in ((slice(None), slice(None, None, -1)), (slice(None, None, 3), slice(5, 37)), (slice(1, None),)):
        part = {name: array[key[-array.ndim :]] if array.ndim == len(key) else array for name, array in given.items()}
        if kernel.signature.channelwise:
            part[kernel.signature.channelwise] = given[kernel.signature.channelwise][key[1] if len(key) > 1 else ...]
        else:
            part = {name: array[key] for name, array in given.items()}
        part["x"] = given["x"][key]
        assert np.array_equal(fn(*part.values()), whole[key])
    fn(*given.values(), out=given["x"])
    assert np.array_equal(given["x"], whole)


@needs_compiler
@pytest.mark.parametrize("dtype", list(FORMATS))
def test_the_bias_gradient_is_a_sum_within_its_bound(loaded: Any, dtype: str) -> None:
    kernel, fn = loaded[dtype, "bias-backward"]
    unit, form = kernel.work_format.epsilon / 2, FORMATS[dtype]
    for shape in ((1, 3), (5, 8), (32, 1), (33, 16), (1024, 8), (1025, 3), (33000, 2)):
        given = operands(kernel, shape)
        added = terms(kernel, given).astype(np.float64)
        _, db = fn(*given.values())
        exact = np.array([math.fsum(column) for column in added.T])
        levels = max(math.ceil(math.log(shape[0], 32) - 1e-9), 1)
        depth = 9 * levels
        bound = depth * unit / (1 - depth * unit) * np.abs(added).sum(axis=0)
        rounded = 0 if form is kernel.work_format else form.epsilon / 2 * (np.abs(exact) + bound)
        assert np.all(np.abs(db.astype(np.float64) - exact) <= bound + rounded + form.smallest_subnormal), shape


@needs_compiler
def test_the_bias_gradient_has_the_same_bits_whatever_grid_alignment_and_memory(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, fn = loaded["float32", "bias-backward"]
    given = operands(kernel, (2100, 24))
    dx, db = fn(*given.values())
    for blocks in (1, 2, 64):
        monkeypatch.setattr(cuda, "BLOCKS_ON_CPU", blocks)
        assert np.array_equal(fn(*given.values())[1], db)
    buffer = np.empty(given["x"].size + 1, np.float32)
    moved = buffer[1:].reshape(given["x"].shape)
    moved[...] = given["x"]
    assert np.array_equal(fn(given["grad"], moved, given["bias"])[1], db)
    slices = [array[..., 3:17] for array in given.values()]
    assert np.array_equal(fn(*slices)[1], db[3:17])
    again = fn(*given.values(), out=(given["grad"], given["bias"].copy()))
    assert np.array_equal(again[0], dx)
    assert np.array_equal(again[1], db)


@needs_compiler
def test_without_rows_the_bias_gradient_is_zero(loaded: Any) -> None:
    kernel, fn = loaded["float16", "bias-backward"]
    assert fn(*operands(kernel, (0, 5)).values())[1].tolist() == [0.0] * 5


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_arrays_of_the_cpu_broadcast_and_give_the_bits_of_their_program(target: str) -> None:
    if target == "c" and compilers.available() is None:
        pytest.skip("no C compiler")
    for computes in ("bias-forward", "residual-forward", "residual-backward"):
        kernel = generate("elu", target, "float32", computes, accuracy="fast")
        given = operands(kernel, (5, 12))
        assert np.array_equal(kernel.load()(*given.values()), terms(kernel, given).astype(np.float32))
    row = {**given, "residual": given["residual"][0]}
    assert np.array_equal(kernel.load()(*row.values()), terms(kernel, row).astype(np.float32))
    with pytest.raises(InvalidRequest, match=f"target '{target}' has no bias-backward"):
        generate("elu", target, computes="bias-backward")


def test_c_and_cuda_give_the_same_bits() -> None:
    if acceptance.missing("cuda") or acceptance.missing("c"):
        pytest.skip("no compiler")
    for computes in ("residual-backward", "backward-from-output"):
        one, other = (generate("softplus", target, "float16", computes) for target in ("c", "cuda"))
        given = operands(one, (7, 300))
        assert np.array_equal(one.load()(*given.values()), other.load(on="cpu")(*given.values()))


@needs_compiler
def test_the_judge_is_satisfied_with_fused_kernels() -> None:
    for target, dtype, words in (
        ("cuda", "float16", FUSED),
        ("cuda", "float32", ("bias-forward",)),
        ("numpy", "float32", ("residual-backward",)),
    ):
        (batch,) = acceptance.batches([named("elu")], targets=(target,), dtypes=(dtype,), computes=words)
        for result in acceptance.run(batch):
            assert result.status == "passed", result.report


def test_a_word_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidRequest, match=r"bias-forward, .*backward-from-output"):
        generate("relu", computes="bias-sideways")
    with pytest.raises(InvalidRequest, match="residual-backward"):
        acceptance.batches([named("relu")], computes=("residual-sideways",))


# --- the judge ---


def softplus(total: Any) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.logaddexp(0, total.astype(np.float64)).astype(np.float16)


@pytest.mark.parametrize(
    ("kernel", "sound"),
    [
        (lambda x, b: softplus(x.astype(np.float32) + b.astype(np.float32)), True),
        (lambda x, b: softplus(x + b), False),
        (lambda x, b: softplus(x.astype(np.float32) - b.astype(np.float32)), False),
        (lambda x, b: softplus(x), False),
    ],
    ids=["rounded once", "rounded twice", "subtracted", "left out"],
)
@pytest.mark.parametrize("addend", ["bias", "residual"])
def test_the_judge_knows_a_sum_that_is_rounded_once(kernel: Any, sound: bool, addend: str) -> None:
    with np.errstate(all="ignore"):
        report = check(kernel, "softplus", dtype="float16", computes=f"{addend}-forward", work="float32", max_ulp=0.52)
    assert report.passed == sound
    if not sound:
        reproduced = eval(report.reproduce.partition("#")[0], {"np": np, "fn": kernel})
        assert not np.array_equal(reproduced, softplus(summed(*sums_of(report.reproduce), FORMATS["float32"])))


def sums_of(line: str) -> tuple[Any, Any]:
    found = eval(line.partition("#")[0], {"np": np, "fn": lambda *arrays: arrays})
    return found[0], found[1]


def test_a_bias_gradient_that_is_not_the_sum_is_caught() -> None:
    def backward(grad: Any, x: Any, bias: Any) -> Any:
        dx = np.where(x + bias > 0, grad, grad * 0)
        return dx, dx.sum(axis=tuple(range(dx.ndim - 1))) * np.float32(1.001)

    found = check(backward, "relu", dtype="float32", computes="bias-backward").findings
    assert {finding.defect for finding in found} >= {"inaccurate", "wrong-sum"}


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_parts_add_up_near_their_aim_and_are_finite_where_it_is(dtype: str) -> None:
    form = FORMATS[dtype]
    aims = np.concatenate([np.linspace(-9, 9, 999), [0.0, form.max, -form.max, form.smallest_subnormal]]).astype(
        form.dtype
    )
    first, addend = parted(aims)
    total = summed(first, addend, FORMATS["float64"])
    assert np.all(np.isfinite(total))
    wanted = aims.astype(np.float64)
    assert np.all(np.abs(total - wanted) <= form.epsilon * (np.abs(wanted) + 16))
    assert np.count_nonzero(total != wanted) > (0 if dtype == "float64" else 50)
    odd = np.array([np.nan, np.inf, -np.inf], form.dtype)
    assert np.array_equal(summed(*parted(odd), form), odd, equal_nan=True)


# --- f' as a function of f ---


@pytest.mark.parametrize(
    "name",
    [
        # SELU is a multiple of ELU, by a number whose forty digits take seconds
        pytest.param(name, marks=pytest.mark.slow if name == "selu" else ())
        for name in NAMES
        if name not in NO_FUNCTION_OF_THE_OUTPUT | NO_CLOSED_FORM
    ],
)
def test_the_slope_by_output_is_the_slope(name: str) -> None:
    activation = named(name)
    values = parameter_values(activation)
    slope = slope_by_output(activation, values)
    for piece in split(activation, values).pieces:
        low = max(float(piece.lower), -6.0)
        for part in (0.013, 0.81):
            at = sympy.Rational(str(round(low + part * (min(float(piece.upper), 6.0) - low), 3)))
            there = slope.expr.subs(x, piece.expr.subs(x, at)).evalf(40)
            assert abs(there - piece.expr.diff(x).subs(x, at).evalf(40)) < sympy.Float(10) ** -30


@pytest.mark.parametrize("name", sorted(NO_FUNCTION_OF_THE_OUTPUT))
def test_a_slope_that_is_no_function_of_the_output_is_refused_with_two_inputs(name: str) -> None:
    activation = named(name)
    with pytest.raises(InvalidRequest, match=f"f' of {name} is not a function of f: f takes the value") as caught:
        slope_by_output(activation, parameter_values(activation))
    words = str(caught.value).replace(";", "").split()
    value, *rest = (float(word) for word in words if word.lstrip("-").replace(".", "").replace("e-", "").isdigit())
    (first, slope, second, other) = rest
    expr = activation.expr.subs(parameter_values(activation))
    for at, direction in ((first, slope), (second, other)):
        assert float(expr.subs(x, at)) == pytest.approx(value, rel=1e-5)
        assert float(expr.diff(x).subs(x, at)) == pytest.approx(direction, rel=1e-4)
    assert slope * other < 0


def test_refusals_say_what_stands_in_the_way() -> None:
    for name in NO_CLOSED_FORM:
        with pytest.raises(InvalidRequest, match="no closed form"):
            generate(name, computes="backward-from-output")
    with pytest.raises(InvalidRequest, match="alpha would be passed at each call"):
        generate("prelu", computes="backward-from-output")
    assert generate("prelu", computes="backward-from-output", arguments=()).arguments == ()
    with pytest.raises(InvalidRequest, match="the value 0 at x = -1 with the slope 0 and at x = 0 with the slope 1"):
        generate("relu", computes="backward-from-output", subgradient="right")
    with pytest.raises(InvalidRequest, match="at x = -1 with the slope -1 and at x = 1 with the slope 1"):
        slope_by_output(parse("abs(x)"), {})


@pytest.mark.parametrize(
    ("formula", "slope"),
    [
        ("x - 3*sign(x)", "1"),
        ("max(x,0) - max(x-1,0) + max(x-2,0)", "Piecewise((0, x <= 0), (1, x < 1), (0, Eq(x, 1)), (1, True))"),
        ("exp(x)", "Piecewise((0, x <= 0), (x, True))"),
        ("1/(1+exp(x))", "Piecewise((0, x <= 0), (x*(x - 1), x <= 1), (0, True))"),
        ("sign(x)", "0"),
    ],
)
def test_slopes_by_output_of_formulas(formula: str, slope: str) -> None:
    assert str(slope_by_output(parse(formula), {}).expr) == slope


def test_the_loss_of_a_rounded_output_is_as_documented() -> None:
    # docs/reference/accuracy.md: sigmoid in float16 is exact at the stored y, and loses what rounding y took
    points = np.linspace(-20, 20, 4001).astype(np.float16)
    exact = 1 / (1 + np.exp(-points.astype(np.float64)))
    fn = generate("sigmoid", "numpy", "float16", "backward-from-output").load()
    loss = np.abs(fn(np.ones_like(points), exact.astype(np.float16)).astype(np.float64) - exact * (1 - exact))
    assert 0.0002 < loss.max() < 0.0003
