"""One rounding, straight to the format: ties, midpoints, subnormals, overflow, and what stays undecided."""

from __future__ import annotations

import time
from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from relusym import activations, parse
from relusym.activation import Activation
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Format, all_values, from_ordinal, round_to, to_bits
from relusym.rounding import reference


def value_of(text: str, x: float, dtype: str = "float64", order: int = 0) -> float:
    return float(reference(parse(text), np.array([x], dtype=FORMATS[dtype].dtype), order=order).value[0])


def half_to_even(number: Fraction, form: Format) -> float:
    """Round by searching: the nearest multiple of the spacing, ties to the even one."""
    if number == 0:
        return 0.0
    exponent = 0
    while Fraction(2) ** (exponent + 1) <= abs(number):
        exponent += 1
    while Fraction(2) ** exponent > abs(number):
        exponent -= 1
    spacing = Fraction(2) ** (max(exponent, form.min_exponent) - form.precision + 1)
    rounded = round(number / spacing) * spacing
    return float(rounded) if abs(rounded) <= Fraction(form.max) else float("inf") * (1 if number > 0 else -1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("numerator", [1, 3, 5])
def test_exact_ties_go_to_the_even_neighbour(dtype: str, numerator: int) -> None:
    # x * 3/2, x * 5/4, ... of floats with an odd last bit lie exactly half way between two floats.
    form = FORMATS[dtype]
    factor = Fraction(numerator, 1) + Fraction(1, 2)
    last = form.infinity_ordinal - 1
    x = from_ordinal(np.arange(-last, last, 7), form)
    found = reference(parse(f"x*{factor.numerator}/{factor.denominator}"), x)
    expected = [half_to_even(Fraction(float(each)) * factor, form) for each in x]
    assert not found.undecided.size
    assert found.value.astype(np.float64).tolist() == expected
    assert np.any(np.abs(found.offset) == 0.5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_no_double_rounding_next_to_a_midpoint(dtype: str) -> None:
    # 1 + (half an ulp) + 2**-80: any stop at double (or float32) on the way would make it a tie, rounded down.
    form = FORMATS[dtype]
    above = "1 + x + 1/(2**40*2**40)"
    half = form.epsilon / 2
    assert value_of(above, half, dtype) == 1 + form.epsilon
    assert value_of("1 + x", half, dtype) == 1.0
    assert value_of("1 + x - 1/(2**40*2**40)", half, dtype) == 1.0
    assert value_of("1 + x - 1/(2**40*2**40)", 3 * half, dtype) == 1 + form.epsilon
    assert value_of("1 + x", 3 * half, dtype) == 1 + 2 * form.epsilon


def test_double_has_no_extended_midpoints_either() -> None:
    assert value_of("1 + x + 1/(2**60*2**60)", 2.0**-53) == 1 + 2.0**-52
    assert value_of("1 + x", 2.0**-53) == 1.0


@settings(deadline=None, max_examples=200, derandomize=True)
@given(bits=st.integers(0, 2**16 - 1), dtype=st.sampled_from(["float16", "bfloat16"]), power=st.integers(0, 40))
def test_rational_definitions_are_rounded_like_fractions(bits: int, dtype: str, power: int) -> None:
    form = FORMATS[dtype]
    x = np.array([bits], dtype=np.uint16).view(form.dtype)
    if not np.isfinite(x[0]):
        return
    exact = Fraction(float(x[0])) * Fraction(3, 2**power) + Fraction(1, 2**power)
    found = reference(parse(f"(3*x + 1)/2**{power}"), x)
    assert float(found.value[0]) == half_to_even(exact, form)


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_results_at_the_border_of_zero_and_of_the_normal_range(dtype: str) -> None:
    form = FORMATS[dtype]
    tiny = form.smallest_subnormal
    assert value_of("x/2", tiny, dtype) == 0.0  # a tie, zero is even
    assert value_of("x*3/4", tiny, dtype) == tiny
    assert value_of("x/2", 3 * tiny, dtype) == 2 * tiny
    assert value_of("x/4", tiny, dtype) == 0.0
    largest_subnormal = form.smallest_normal - tiny
    assert value_of("x*(1 - 1/2**20/2**60)", form.smallest_normal, dtype) == form.smallest_normal
    assert value_of("x - x/2**60", largest_subnormal, dtype) == largest_subnormal
    assert value_of("x*exp(-x**2)", tiny, dtype) == tiny
    assert value_of("tanh(x)", -largest_subnormal, dtype) == -largest_subnormal


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_results_beyond_the_largest_number_are_infinite_from_half_an_ulp_on(dtype: str) -> None:
    form = FORMATS[dtype]
    assert value_of("x + x", form.max, dtype) == np.inf
    assert value_of("-3*x", form.max, dtype) == -np.inf
    assert value_of("x*(1 + 1/2**54/2**20)", form.max, dtype) == form.max
    assert value_of(f"x*(1 + 1/2**{form.precision})", form.max, dtype) == np.inf


def test_a_ball_inside_half_the_smallest_subnormal_is_zero() -> None:
    form = FORMATS["float32"]
    x = np.array([-1000.0, -104.0, -103.0], dtype=np.float32)
    found = reference(parse("exp(x)"), x)
    assert found.value.tolist() == [0.0, 0.0, form.smallest_subnormal]
    assert not found.undecided.size


def test_precision_grows_until_intermediate_overflow_is_harmless() -> None:
    assert value_of("log(1 + exp(x))", 1e40) == 1e40
    assert value_of("log(1 + exp(x))", 1e40, order=1) == 1.0
    assert value_of("log(1 + exp(x)) - x", 300.0) == pytest.approx(np.exp(-300.0), rel=1e-12)
    assert value_of("log(1 + exp(x))", -700.0) == pytest.approx(np.exp(-700.0), rel=1e-12)


def test_what_no_precision_settles_is_listed_and_not_guessed() -> None:
    # Identically 1/3 + 2**-25 up to an irrational detour: a tie of float32 that balls cannot see.
    x = np.array([0.5, 2.0], dtype=np.float32)
    found = reference(parse("1 + 1/2**24 + (sin(x)**2 + cos(x)**2 - 1)"), x)
    assert found.undecided.tolist() == [0, 1]
    assert np.all(np.isnan(found.value))


def test_the_branch_is_chosen_by_exact_comparison() -> None:
    third = parse("Piecewise((0, x < 1/10), (1, True))")
    below, above = np.nextafter(0.1, 0), 0.1  # the float 0.1 lies above one tenth
    assert reference(third, np.array([below, above])).value.tolist() == [0.0, 1.0]


def test_a_kink_has_the_value_passed_in_and_none_of_its_own() -> None:
    relu = parse("Max(x, 0)")
    x = np.array([-1.0, 0.0, -0.0, 2.0])
    assert reference(relu, x, order=1).undecided.tolist() == [1, 2]
    found = reference(relu, x, order=1, at_breakpoints={0: sympy.Rational(1, 2)})
    assert found.value.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert not found.undecided.size


def test_irrational_values_at_a_breakpoint_are_rounded_once() -> None:
    found = reference(parse("Abs(x)"), np.zeros(1, np.float32), order=1, at_breakpoints={0: sympy.pi})
    assert found.value[0] == np.float32(np.pi)


def test_infinities_have_the_limits_passed_in_and_nan_stays_nan() -> None:
    x = np.array([np.inf, -np.inf, np.nan])
    limits = {sympy.oo: sympy.oo, -sympy.oo: sympy.Rational(1, 3)}
    found = reference(activations.named("silu"), x, at_breakpoints=limits)
    assert found.value[0] == np.inf
    assert found.value[1] == 1 / 3
    assert np.isnan(found.value[2])
    assert np.all(np.isnan(reference(activations.named("silu"), x).value))


def test_python_flint_settings_are_put_back() -> None:
    before = flint.ctx.prec, flint.ctx.cap
    reference(activations.named("gelu"), np.linspace(-5, 5, 11), order=2)
    assert (flint.ctx.prec, flint.ctx.cap) == before


def test_shape_and_dtype_are_those_of_the_input() -> None:
    for form in FORMATS.values():
        x = np.zeros((2, 3), dtype=form.dtype)
        found = reference(activations.named("tanh"), x)
        assert found.value.shape == found.offset.shape == found.condition.shape == (2, 3)
        assert found.value.dtype == form.dtype
    assert reference(activations.named("tanh"), np.zeros(0)).value.shape == (0,)


@pytest.mark.parametrize("asked", [{"order": 3}, {"order": 1, "wrt": "beta"}, {"wrt": "gamma"}])
def test_requests_nobody_can_answer_are_refused(asked: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        reference(activations.named("swish"), np.zeros(1), **asked)  # type: ignore[arg-type]


def test_condition_is_the_ulps_of_the_result_that_an_ulp_of_the_input_moves() -> None:
    found = reference(parse("exp(x)"), np.array([-20.0, 0.0, 3.0]))
    np.testing.assert_allclose(found.condition, [20.0, 0.0, 3.0], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_round_to_agrees_with_numpy_where_numpy_rounds_once(dtype: str) -> None:
    form = FORMATS[dtype]
    random = np.random.default_rng(1)
    wide = np.exp2(random.uniform(form.min_exponent - 12, form.max_exponent + 1, 4000))
    wide = np.concatenate([wide, -wide, [0.0, -0.0, np.inf, -np.inf]])
    direct = round_to(wide, form)
    if dtype == "bfloat16":
        expected = [half_to_even(Fraction(each), form) for each in wide[np.isfinite(wide)]]
        assert direct[np.isfinite(wide)].tolist() == expected
    else:
        with np.errstate(over="ignore"):
            assert np.array_equal(to_bits(direct.astype(form.dtype)), to_bits(wide.astype(form.dtype)))


@pytest.mark.parametrize("name", ["mish", "gelu", "gelu_tanh", "selu"])
def test_all_inputs_of_a_16_bit_format_take_no_more_than_a_few_seconds(name: str) -> None:
    # Measured at 0.1 to 0.7 s; ten times that is a defect, whatever the machine.
    activation: Activation = activations.named(name)
    for order in (0, 1):
        start = time.process_time()
        found = reference(
            activation, all_values(FORMATS["bfloat16"]), order=order, at_breakpoints={0: 0} if order else None
        )
        assert time.process_time() - start < 7
        assert not found.undecided.size
