"""Arithmetic fixed to the bit: what its operations mean, how far its functions are off, and that targets agree."""

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relusym_codegen import arithmetic, compilers, elementary, fused, generate
from relusym_codegen.anchors import anchors
from relusym_codegen.elementary import Context
from relusym_codegen.generation import UnsafeKernel
from relusym_codegen.pairs import Pair, fast_two_sum, two_product, two_sum
from relusym_codegen.program import ARITHMETIC, Builder, Constant, evaluate
from relusym_codegen.sensitivity import sensitivity
from relusym_codegen.targets import c, cuda
from sympy import Symbol, exp

from relusym.activations import named
from relusym.floats import FORMATS, all_values, from_ordinal, ordinal, to_bits
from relusym.judge.metrics import error_in_ulps
from relusym.parsing import parse
from relusym.rounding import reference

F16, F32, F64 = (FORMATS[name] for name in ("float16", "float32", "float64"))
needs_compiler = pytest.mark.skipif(compilers.available() is None, reason="no C compiler was found")
WIDE = np.longdouble
needs_longdouble = pytest.mark.skipif(np.finfo(WIDE).nmant < 63, reason="no type wider than float64 to compare with")


@given(*(st.floats(width=32, allow_nan=False, allow_infinity=False) for _ in range(3)))
def test_fma_of_float32_is_the_exact_value_rounded_once(a: float, b: float, c: float) -> None:
    from fractions import Fraction

    exact = Fraction(a) * Fraction(b) + Fraction(c)
    got = float(fused.fma(np.float32(a), np.float32(b), np.float32(c)))
    if math.isinf(got):
        assert abs(exact) > Fraction(F32.max)
        return
    with np.errstate(over="ignore"):
        neighbours = [np.nextafter(np.float32(got), np.float32(side)) for side in (np.inf, -np.inf)]
    for other in neighbours:
        if np.isfinite(other):
            assert abs(exact - Fraction(got)) <= abs(exact - Fraction(float(other)))


@given(*(st.floats(-1e100, 1e100) for _ in range(3)))
def test_fma_of_float64_is_the_exact_value_rounded_once(a: float, b: float, c: float) -> None:
    from fractions import Fraction

    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if not (2.0**-900 < abs(a * b) < 2.0**1000) or (exact and abs(exact) < Fraction(2) ** -960):
        return
    assert float(fused.fma(a, b, c)) == float(exact)


@pytest.mark.parametrize("form", [F32, F64], ids=lambda form: form.name)
def test_sums_and_products_in_two_floats_are_exact(form) -> None:
    from fractions import Fraction

    random = np.random.default_rng(1)
    x, y = ((random.standard_normal(200) * 2.0 ** random.integers(-30, 30, 200)).astype(form.dtype) for _ in range(2))
    larger = np.where(np.abs(x) >= np.abs(y), x, y)
    smaller = np.where(np.abs(x) >= np.abs(y), y, x)
    for make, first, second, exactly in (
        (two_sum, x, y, lambda a, b: a + b),
        (fast_two_sum, larger, smaller, lambda a, b: a + b),
        (two_product, x, y, lambda a, b: a * b),
    ):
        b = Builder(("x", "y"), form)
        pair = make(b, "x", "y")
        high, low = evaluate(b.program(pair.high, pair.low), {"x": first, "y": second})
        for p, q, h, l in zip(first.tolist(), second.tolist(), high.tolist(), low.tolist(), strict=True):  # noqa: E741
            assert Fraction(h) + Fraction(l) == exactly(Fraction(p), Fraction(q))


CASES = {
    # name: (function of context and argument, exact function, range, levels that the error table states)
    "exp": (lambda c, u, d: elementary.exp(c, u, (-80.0, 0.0), double=d), np.exp, (-80, 0)),
    "expm1": (lambda c, u, d: elementary.expm1(c, u, (-90.0, 0.0), double=d), np.expm1, (-20, -1e-4)),
    "log1p": (lambda c, u, d: elementary.log1p(c, u, (0.0, 1.0), double=d), np.log1p, (1e-4, 1)),
    "log": (lambda c, u, d: elementary.log(c, u, (0.0, 1e38), double=d), np.log, (0.01, 50)),
    "sqrt": (lambda c, u, d: elementary.square_root(c, u, (1e-3, 1e3), double=d), np.sqrt, (0.01, 900)),
    "sin": (lambda c, u, d: elementary.sine(c, u, eighths=0, double=d), np.sin, (0.01, 60)),
    "cos": (lambda c, u, d: elementary.sine(c, u, eighths=2, double=d), np.cos, (0.01, 60)),
    "sin_shifted": (
        lambda c, u, d: elementary.sine(c, u, eighths=1.0, double=d),
        lambda v: np.sin(v + np.arctan(WIDE(1))),
        (0.01, 30),
    ),
    "div": (
        lambda c, u, d: elementary.quotient(c, Pair(1.75), u, (1.0, 2.0), double=d, quick=False),
        lambda v: WIDE(1.75) / v,
        (1, 2),
    ),
}


@needs_longdouble
@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("form", [F32, F64], ids=lambda form: form.name)
@pytest.mark.parametrize("name", CASES)
def test_elementary_functions_are_as_good_as_the_error_table_says(name: str, form, double: bool) -> None:
    function, exact, (low, high) = CASES[name]
    b = Builder(("x",), form, arithmetic.NATIVE)
    value = function(Context(b, form), Pair("x"), double)
    program = b.program(value.high, 0.0 if value.low is None else value.low)
    assert {let.operation for let in program.lets} <= ARITHMETIC
    x = np.linspace(low, high, 40_001).astype(form.dtype)
    got = sum(part.astype(WIDE) for part in evaluate(program, {"x": x}))
    want = exact(x.astype(WIDE))
    error = np.abs(got - want) / np.abs(want) * WIDE(2) ** form.precision
    allowed = arithmetic._ERRORS[name][arithmetic.DOUBLE if double else arithmetic.SINGLE]
    if form is F64:
        allowed += 2.0**-8  # the wide type has eleven bits more than float64
        if name == "sin_shifted":
            want, error = want[x < 2], error[x < 2]  # and loses them near the roots of a shifted sine
    assert float(np.max(np.where(np.abs(want) < 2.0**-100, 0, error))) <= allowed


@pytest.mark.parametrize(("name", "at", "wanted"), [
    ("exp", -np.inf, 0.0), ("exp", np.inf, np.inf), ("expm1", -np.inf, -1.0), ("expm1", np.inf, np.inf),
    ("log", 0.0, -np.inf), ("log", np.inf, np.inf), ("log", -1.0, np.nan), ("log1p", -1.0, -np.inf),
    ("log1p", np.inf, np.inf), ("sqrt", np.inf, np.inf), ("sqrt", 0.0, 0.0), ("sqrt", -1.0, np.nan),
    ("sin", np.inf, np.nan), ("exp", np.nan, np.nan), ("log", np.nan, np.nan), ("sqrt", np.nan, np.nan),
])  # fmt: skip
@pytest.mark.parametrize("form", [F32, F64], ids=lambda form: form.name)
def test_special_values_of_elementary_functions(name: str, at: float, wanted: float, form) -> None:
    b = Builder(("x",), form, arithmetic.NATIVE)
    goal = arithmetic.Goal(form, (4.0,))
    (made,) = arithmetic.arithmetic(b.program(b(name, "x")), {"x": np.linspace(0.5, 2, 50)}, goal)
    with np.errstate(all="ignore"):
        (got,) = evaluate(made.program, {"x": np.array([at], form.dtype)})
    np.testing.assert_array_equal(got, [wanted])


@pytest.mark.parametrize("name", ["div", "sqrt", "log"])
def test_operands_of_every_size_are_met(name: str) -> None:
    b = Builder(("x",), F32, arithmetic.NATIVE)
    operands = (1.0, "x") if name == "div" else ("x",)
    (made,) = arithmetic.arithmetic(
        b.program(b(name, *operands)), {"x": np.linspace(0.5, 2, 50)}, arithmetic.Goal(F32, (4.0,))
    )
    x = np.array([2.0**e * m for e in range(-149, 128) for m in (1.0, 1.5)], np.float32)
    with np.errstate(all="ignore"):
        (got,) = evaluate(made.program, {"x": x})
        want = {"div": lambda v: 1 / v, "sqrt": np.sqrt, "log": np.log}[name](x.astype(np.float64)).astype(np.float32)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    spacing = np.spacing(np.abs(want[finite]))
    assert np.all(np.abs(got[finite].astype(np.float64) - want[finite]) <= 2 * spacing)


def test_a_rounding_that_matters_is_found_and_kept_in_two_floats() -> None:
    b = Builder(("x",), F32, arithmetic.NATIVE)
    square = b("mul", b("mul", "x", "x"), -0.5)
    program = b.program(b("exp", square))
    x = np.linspace(-12, 12, 999)
    table = sensitivity(program, {"x": x}, F32)
    names = [let.operation for let in program.lets]
    # an error of half an ulp of x^2 at 12 moves exp(-x^2/2) by some 72 relative half ulps
    assert 30 < np.max(table.relative[names.index("mul")]) < 80
    chosen = arithmetic.levels(program, arithmetic._rows(program, table, F32), 4.0)
    assert chosen[names.index("mul")] == arithmetic.DOUBLE
    cheap = arithmetic.levels(program, arithmetic._rows(program, table, F32), 1000.0)
    assert set(cheap) == {arithmetic.QUICK}


def test_an_anchor_keeps_the_digits_at_a_root() -> None:
    x = Symbol("x", real=True)
    formula = exp(x) - 3  # root at log(3)
    points = np.linspace(0, 2, 401)
    b = Builder(("x",), F32, arithmetic.NATIVE)
    plain = b.program(b("sub", b("exp", "x"), 3.0))
    goal = arithmetic.Goal(F32, (4.0,))
    (anchor,) = anchors(
        formula,
        x,
        points,
        lambda root, distance: float(arithmetic.error_at_level(plain, np.array([root + distance]), goal)[0]),
        tolerable=8.0,
        work=F32,
        result=F32,
    )
    assert anchor.root == np.float32(math.log(3))
    assert isinstance(anchor.root, Constant)
    assert anchor.root.low != 0
    b = Builder(("x",), F32, arithmetic.NATIVE)
    program = b.program(anchor.select(b, "x", b("sub", b("exp", "x"), 3.0), ()))
    near = np.float32(math.log(3)) + np.arange(-50, 51, dtype=np.float32) * np.float32(2.0**-23)
    (made,) = arithmetic.arithmetic(program, {"x": np.concatenate([points, near]).astype(np.float64)}, goal)
    (got,) = evaluate(made.program, {"x": near})
    want = np.expm1(near.astype(WIDE) - np.log(WIDE(3))) * 3
    if np.finfo(WIDE).nmant >= 63:
        assert np.max(np.abs((got - want) / want)) < 4 * 2.0**-24


def test_what_a_core_misses_is_counted_where_it_is_shorter_than_the_format() -> None:
    def error(bits: int, result) -> float:
        b = Builder(("x",), F64, arithmetic.NATIVE, result)
        value = b("exp", "x")
        b.approximate(value, 2.0**-bits)
        # beside a root the ulp is that of 1/8
        program = b.program(b("sub", value, 0.875))
        return arithmetic.arithmetic(program, {"x": np.zeros(1)}, arithmetic.Goal(result, (1.0,)))[0].error

    assert error(34, F32) - error(60, F32) == pytest.approx(2.0 ** (26 - 34), rel=1e-3)
    assert error(57, F64) == error(99, F64)


@needs_compiler
def test_beside_the_anchor_of_the_derivative_of_gelu_the_core_is_good_enough() -> None:
    once_wrong = np.array([float.fromhex("-0x1.7a939ep-1"), float.fromhex("-0x1.7a00b8p-1")], dtype=np.float32)
    around = ordinal(once_wrong)[:, None] + np.arange(-200, 201)
    x = from_ordinal(around.ravel(), F32)
    exact = reference(named("gelu"), x, order=1)
    got = generate("gelu", "c", "float32", "derivative", "precise").load()(x)
    assert np.max(error_in_ulps(got, exact.value, exact.offset)) <= 0.509


def test_a_function_without_a_core_is_named() -> None:
    assert generate(parse("atan(x)"), "c").foreign == ("atan",)


def same_bits(got: np.ndarray, want: np.ndarray) -> None:
    got, want = np.asarray(got), np.asarray(want)
    nan = np.isnan(got.astype(np.float64)) & np.isnan(want.astype(np.float64))
    np.testing.assert_array_equal(np.where(nan, 0, to_bits(got)), np.where(nan, 0, to_bits(want)))


SHORT = ("softplus", "tanh", "squareplus", "snake", "selu")
LONG = ("gelu", "silu", "mish")
"""Their derivatives take seconds to generate; test_catalogue_kernels.py runs those of float32."""


@needs_compiler
@pytest.mark.parametrize(
    ("names", "dtype", "computes"),
    [
        *(((*LONG, *SHORT), dtype, "forward") for dtype in ("float16", "float32", "float64")),
        *((SHORT, dtype, "derivative") for dtype in ("float16", "float32", "float64")),
        *(
            pytest.param(LONG, dtype, "derivative", marks=pytest.mark.slow)
            for dtype in ("float16", "float32", "float64")
        ),
    ],
)
def test_c_cuda_and_evaluate_give_the_same_bits(names: tuple[str, ...], dtype: str, computes: str) -> None:
    form = FORMATS[dtype]
    on_c, on_cuda = (
        [generate(name, target, dtype, computes, "fast", arguments=()) for name in names] for target in ("c", "cuda")
    )
    assert [kernel.program for kernel in on_c] == [kernel.program for kernel in on_cuda]
    if form.bits == 16:
        x = all_values(form)
    else:
        random = np.random.default_rng(3)
        with np.errstate(over="ignore"):
            wide = random.standard_normal(4000) * 2.0 ** random.integers(-130, 120, 4000)
            x = np.concatenate([np.linspace(-20, 20, 8001), wide, [0.0, -0.0, np.inf, -np.inf, np.nan]]).astype(
                form.dtype
            )
    for kernel, first, second in zip(on_c, c.load_together(on_c), cuda.load_on_cpu(on_cuda), strict=True):
        got = first(x)
        same_bits(got, second(x))
        if form.bits > 16:
            with np.errstate(all="ignore"):
                same_bits(got, evaluate(kernel.program, {"x": x})[0])


@needs_compiler
def test_an_infinite_dividend_is_divided() -> None:
    softplus = generate("softplus", "c", "float64", arguments=["beta"]).load()
    assert softplus(np.array([np.inf, -np.inf, 1.7e308]), 1.0).tolist() == [np.inf, 0.0, 1.7e308]
    celu = generate("celu", "c", "float64", arguments=["alpha"]).load()
    assert celu(np.array([-np.inf, -1.7e308]), 1.0).tolist() == [-1.0, -1.0]


@needs_compiler
def test_a_rest_that_overflows_before_its_product_does_no_harm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kernel = generate(parse("x*(1+x**2)/(2+tanh(x))"), "c", "float32", accuracy="fast")
    assert kernel.load()(np.array([5177225519300608, 3.2e16], np.float32)).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("target", ["numpy", pytest.param("c", marks=needs_compiler)])
def test_no_threshold_is_taken_from_other_values_of_an_argument(target: str) -> None:
    slope = generate("squareplus", target, "float32", "derivative", "fast", arguments=["b"]).load()
    x = np.array([1e5, 1e10, np.inf, -np.inf], np.float32)
    np.testing.assert_allclose(slope(x, np.float32(1e10)), [0.8535534, 1, 1, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("target", "accuracy", "computes"),
    [
        *itertools.product(["numpy"], ["precise", "fast"], ["forward", "derivative"]),
        pytest.param("c", "precise", "forward", marks=needs_compiler),
        pytest.param("c", "precise", "derivative", marks=needs_compiler),
        pytest.param("c", "fast", "forward", marks=needs_compiler),
        pytest.param("c", "fast", "derivative", marks=[needs_compiler, pytest.mark.slow]),
    ],
)
def test_a_parameter_passed_at_the_call_may_have_any_sign_and_size(target: str, accuracy: str, computes: str) -> None:
    kernel = generate("swish", target, "float32", computes, accuracy).load()
    magnitudes = np.array([1e-38, 1e-10, 0.3, 1, 3, 20, 300, 1e10, 1e30, 3e38], np.float32)
    x = np.concatenate([-magnitudes, magnitudes])
    for size in (1e-15, 0.01, 1.0, 100.0, 1e15):
        for beta in (size, -size):
            slope = float(np.float32(beta))
            want = reference(named("swish"), x, order=int(computes == "derivative"), parameters={"beta": slope}).value
            np.testing.assert_allclose(kernel(x, slope), want, rtol=2e-6, atol=1e-44)


@needs_compiler
def test_a_sine_of_a_product_that_overflows_is_finite() -> None:
    snake = generate("snake", "c", "float32", accuracy="fast", arguments=["a"]).load()
    x = np.array([3e38, -3e38, 1e30], np.float32)
    assert snake(x, 1e10).tolist() == x.tolist()


@needs_compiler
@pytest.mark.parametrize(
    ("text", "computes", "parameters", "points"),
    [
        # two falling exponentials, each lifted, overflowed together
        ("tanh(a*x)*log(1+exp(x))", "second-derivative", {"a": 3}, (-2.0, -0.125, 0.5, 3.0)),
        pytest.param(  # the same, folded, which takes long to generate
            "tanh(3*x)/(1+exp(-x))", "second-derivative", {}, (-1.0, 0.2, 0.3, 2.0), marks=pytest.mark.slow
        ),
        ("x*erfc(x)*erfc(-x)", "forward", {}, (-2.0, 0.0, 0.5, 4.0)),
        # parameters tried all at one value, or at positive ones alone, hid what depends on both
        ("x/(1+exp(-b*x)) + (a-b)*tanh(b*x)", "forward", {"a": 1, "b": 5}, (-1e30, -1e4, -1.0, 1.0)),
        ("a*x/(1+a**2*x**2)+Abs(a)*x/(a*sqrt(1+x**2))", "forward", {"a": -1}, (-1e30, 2.0, 1e30)),
        # a root at 0 that halving the interval never reaches
        ("x/(1+exp(-(x-20)))", "forward", {}, (-1e-30, 0.0, 1e-30, 3.0)),
    ],
)
@pytest.mark.parametrize("accuracy", ["precise", "fast"])
def test_formulas_that_once_went_wrong(
    text: str, computes: str, parameters: dict[str, int], points: tuple[float, ...], accuracy: str
) -> None:
    activation = parse(text)
    kernel = generate(activation, "c", "float32", computes, accuracy, arguments=tuple(parameters), **parameters)
    x = np.array(points, np.float32)
    order = {"forward": 0, "second-derivative": 2}[computes]
    want = reference(activation, x, order=order, parameters=parameters).value
    got = kernel.load()(x, **{name: float(value) for name, value in parameters.items()})
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=0)


def test_formulas_whose_ends_cannot_be_mended_for_all_parameters_are_warned_about() -> None:
    with pytest.warns(UnsafeKernel, match="no rewrite is known"):
        generate(parse("tanh(a*x)*log(1+exp(x))"), "c", "float32", "derivative", arguments=("a",), a=3)
