"""Kernels over the whole catalogue: what they compute, what they refuse, how they behave on arrays."""

import warnings

import ml_dtypes  # noqa: F401 - makes bfloat16 known to NumPy
import numpy as np
import pytest
import sympy
from relusym_codegen import generate
from relusym_codegen.generation import UnsafeKernel
from sympy import Symbol

from relusym.activation import Activation, Parameter, piecewise, x
from relusym.activations import NAMES, named
from relusym.errors import InvalidActivation, InvalidRequest, InvalidSubgradient
from relusym.floats import FORMATS, all_values
from relusym.parsing import parse

DTYPES = tuple(FORMATS)
QUANTITIES = ("forward", "derivative", "second-derivative", "backward", "forward-derivative")


def arguments_of(kernel):
    return {name: 0.25 if name == "alpha" else 1.0 for name in kernel.arguments}


FEW = ("prelu", "elu", "gelu", "snake")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, marks=() if dtype == "float32" or name in FEW else pytest.mark.slow)
        for dtype in DTYPES
        for name in NAMES
    ],
)
def test_dtype_shape_and_out_are_kept(name: str, dtype: str) -> None:
    kernel = generate(name, dtype=dtype)
    fn, extra = kernel.load(), arguments_of(kernel)
    kind = FORMATS[dtype].dtype
    for shape in ((), (0,), (7,), (3, 0, 2), (4, 5, 3)):
        array = np.random.default_rng(0).normal(size=shape).astype(kind)
        result = fn(array, **extra)
        assert result.dtype == kind
        assert result.shape == shape
        out = np.full(shape, 7, dtype=kind)
        assert fn(array, **extra, out=out) is out
        assert np.array_equal(out, result)
        assert fn(array, **extra, out=array) is array
        assert np.array_equal(array, result)


@pytest.mark.parametrize("name", NAMES)
def test_no_warning_and_no_global_state(name: str) -> None:
    before = np.geterr()
    values = all_values(FORMATS["float16"]).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for computes in QUANTITIES[:3]:
            kernel = generate(name, "numpy", computes=computes, accuracy="fast")
            kernel.load()(values, **arguments_of(kernel))
    assert np.geterr() == before


def test_strides_and_overlap_do_not_change_a_result() -> None:
    fn = generate("gelu", dtype="float64").load()
    base = np.linspace(-8, 8, 40_000)
    plain = fn(base)
    assert np.array_equal(fn(base[::-3]), plain[::-3])
    assert np.array_equal(fn(base.reshape(200, 200).T), plain.reshape(200, 200).T)
    shifted = base.copy()
    fn(shifted[:-1], out=shifted[1:])
    assert np.array_equal(shifted[1:], plain[:-1])


def test_a_learnable_parameter_is_an_argument_and_broadcasts() -> None:
    kernel = generate("prelu", dtype="float64")
    assert kernel.arguments == ("alpha",)
    points = np.array([[-2.0, 1.0], [-4.0, 3.0]])
    assert np.array_equal(kernel.load()(points, np.array([[0.5], [0.25]])), [[-1.0, 1.0], [-1.0, 3.0]])
    folded = generate("prelu", dtype="float64", arguments=(), alpha="1/8")
    assert np.array_equal(folded.load()(points), [[-0.25, 1.0], [-0.5, 3.0]])


def test_an_argument_agrees_with_the_folded_value() -> None:
    points = np.linspace(-40, 40, 2001)
    for name, parameter in (("elu", "alpha"), ("softplus", "beta"), ("celu", "alpha"), ("softshrink", "threshold")):
        symbols = [p.name for p in named(name).parameters]
        parameter = parameter if parameter in symbols else symbols[0]
        for computes in ("forward", "derivative"):
            passed = generate(name, dtype="float64", computes=computes, arguments=[parameter]).load()
            folded = generate(name, dtype="float64", computes=computes, **{parameter: "3/2"}).load()
            assert np.allclose(passed(points, 1.5), folded(points), rtol=1e-14, atol=0), (name, computes)


def test_subgradient_policies_reach_the_kernel() -> None:
    zero = np.zeros(1)
    for policy, expected in (
        ("least-norm", 0),
        ("left", 0),
        ("right", 1),
        ("midpoint", 0.5),
        (sympy.Rational(1, 4), 0.25),
        ({0: "3/4"}, 0.75),
    ):
        kernel = generate("relu", dtype="float64", computes="derivative", subgradient=policy)
        assert kernel.load()(zero)[0] == expected
    with pytest.raises(InvalidSubgradient):
        generate("relu", computes="derivative", subgradient=2)


def test_wrong_requests_are_refused_with_a_reason() -> None:
    for arguments in (
        {"activation": "reluu"},
        {"activation": "relu", "target": "fortran"},
        {"activation": "relu", "dtype": "int8"},
        {"activation": "relu", "computes": "integral"},
        {"activation": "relu", "computes": "parameter-gradient:alpha"},
        {"activation": "relu", "accuracy": "sloppy"},
        {"activation": "elu", "arguments": ("beta",)},
    ):
        with pytest.raises(InvalidRequest):
            generate(**arguments)
    with pytest.raises(InvalidActivation):
        generate("elu", alpha=-1)
    with pytest.raises(TypeError, match="float64"):
        generate("relu", dtype="float32").load()(np.zeros(3))


def test_an_argument_may_not_take_a_name_of_generated_code() -> None:
    for word in ("double", "lambda", "out", "b0", "t3", "n"):
        symbol = Symbol(word, positive=True)
        activation = Activation("f", symbol * x, parameters=(Parameter(symbol, 1),))
        with pytest.raises(InvalidRequest, match="argument"):
            generate(activation, arguments=[word])
        assert generate(activation).load()(np.ones(2, np.float32)).tolist() == [1.0, 1.0]


def test_text_of_a_definition_cannot_leave_its_comment() -> None:
    hostile = "\"\"\"\nimport os\n''' \\"
    activation = Activation("f", x, source=hostile)
    for target in ("numpy", "cuda"):
        source = str(generate(activation, target))
        assert "\nimport os" not in source
        compile(source, "f", "exec")


def test_an_unsafe_formula_is_announced() -> None:
    with pytest.warns(UnsafeKernel, match="cancels"):
        generate(parse("log(1+exp(x)) - log(2)"), dtype="float64")


def test_constants_are_folded_exactly_and_rounded_once() -> None:
    third = Activation("f", piecewise((x * sympy.Rational(1, 3) * 3, x > 0), (-x, True)))
    assert generate(third, dtype="float64").load()(np.array([0.1]))[0] == 0.1


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus"])
def test_sixteen_bit_kernels_say_their_work_format(name: str) -> None:
    kernel = generate(name, dtype="float16")
    assert kernel.work_format.name in ("float32", "float64")
    assert f"Computed in {kernel.work_format.name}" in str(kernel)
