"""Gaussian moments: closed forms and rigorous integrals, which must agree."""

from fractions import Fraction

import mpmath
import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sympy import (
    Abs,
    Ne,
    Piecewise,
    Rational,
    Symbol,
    asin,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    log,
    oo,
    pi,
    sin,
    sinh,
    sqrt,
    tanh,
)

from relusym.activation import Activation, Parameter, parameter_values, x
from relusym.activations import named
from relusym.balls import enclosure, sign
from relusym.calculus.bounds import lipschitz_constant
from relusym.calculus.derivatives import derivative
from relusym.calculus.moments import _integrated, gain, gaussian_measure, gaussian_moment
from relusym.errors import InvalidRequest, Undecided
from relusym.facts import Enclosed
from relusym.pieces import split

alpha = Symbol("alpha", positive=True)
ONE = sympy.S.One


def pieces_of(expr, *symbols):
    return split(Activation("f", sympy.sympify(expr), parameters=tuple(Parameter(symbol) for symbol in symbols)))


def at_defaults(name):
    activation = named(name)
    return split(activation, parameter_values(activation))


def growth_of(pieces):
    slope = lipschitz_constant(pieces)
    # what jumps in the catalogue has slopes of at most 1 elsewhere
    return sympy.Integer(2), ONE if slope is oo else slope


EXACT = [
    "identity",
    "relu",
    "leaky_relu",
    "prelu",
    "relu6",
    "elu",
    "selu",
    "celu",
    "gelu",
    "hardtanh",
    "hardsigmoid",
    "hardswish",
    "hardshrink",
    "softshrink",
    "threshold",
    "snake",
]


@pytest.mark.parametrize("name", EXACT)
def test_closed_forms_lie_in_the_integrated_balls(name):
    """Two roads: algebra on the pieces, and integration of the pieces in complex balls."""
    pieces = at_defaults(name)
    for function, power, growth in (
        (pieces, 1, growth_of(pieces)),
        (pieces, 2, growth_of(pieces)),
        (derivative(pieces), 2, (growth_of(pieces)[1], sympy.S.Zero)),
    ):
        exact = gaussian_moment(function, power)
        assert not isinstance(exact, Enclosed)
        if sign(exact):
            ball = _integrated(function, power, ONE, growth).enclose(133)
            assert ball.overlaps(enclosure(exact, 160))
            assert ball.rel_accuracy_bits() > 133


@pytest.mark.parametrize(
    "name", ["silu", "mish", "gelu_tanh", "softplus", "sigmoid", "tanh", "tanhshrink", "softsign", "squareplus"]
)
def test_integrated_moments_agree_with_quadrature(name):
    """mpmath integrates the definition as it stands; at 30 digits."""
    pieces = at_defaults(name)
    moment = gaussian_moment(pieces, 2, growth=growth_of(pieces))
    function = sympy.lambdify(x, named(name).expr.xreplace(parameter_values(named(name))), "mpmath")
    with mpmath.workdps(35):
        expected = mpmath.quad(lambda z: function(z) ** 2 * mpmath.npdf(z), [-14, -6, -3, 0, 3, 6, 14])
        found = mpmath.mpf(enclosure(moment, 120).mid().str(34, radius=False))
        assert abs(found / expected - 1) < mpmath.mpf("1e-28")


def test_known_moments():
    relu = at_defaults("relu")
    assert gaussian_moment(relu) == sqrt(2) / (2 * sqrt(pi))
    assert gaussian_moment(relu, 2) == Rational(1, 2)
    gelu = at_defaults("gelu")
    assert gaussian_moment(gelu) == 1 / (2 * sqrt(pi))
    assert sympy.simplify(gaussian_moment(gelu, 2) - Rational(1, 3) - sqrt(3) / (6 * pi)) == 0


def test_selu_keeps_mean_0_and_variance_1():
    """Klambauer et al. 2017, eq. 14: the constants are the fixed point, exactly."""
    selu = at_defaults("selu")
    assert (gaussian_moment(selu), gaussian_moment(selu, 2)) == (0, 1)


def test_he_initialisation_falls_out():
    """He et al. 2015, arXiv:1502.01852, eq. 15: sqrt(2 / (1 + a^2)) for the slope a."""
    a = Symbol("a", real=True)
    prelu = pieces_of(Piecewise((x, x > 0), (a * x, True)), a)
    assert sympy.simplify(gain(gaussian_moment(derivative(prelu), 2)) - sqrt(2 / (1 + a**2))) == 0


def test_symbols_may_be_given_values_before_or_after():
    elu = pieces_of(Piecewise((x, x > 0), (alpha * (exp(x) - 1), True)), alpha)
    for power in (1, 2):
        general = gaussian_moment(elu, power)
        special = gaussian_moment(split(named("elu"), {named("elu").parameters[0].symbol: Rational(3, 2)}), power)
        assert abs(float(general.subs(alpha, Rational(3, 2)) - special)) < 1e-14


@pytest.mark.parametrize("name", ["relu", "hardswish", "elu", "silu", "softplus"])
def test_sigma_scales_the_input(name):
    """E f(sigma z) is the mean of z -> f(sigma z)."""
    pieces = at_defaults(name)
    stretched = pieces_of(named(name).expr.xreplace(parameter_values(named(name))).subs(x, 3 * x))
    growth = growth_of(pieces)
    one = gaussian_moment(pieces, 2, sigma=sympy.Integer(3), growth=growth)
    other = gaussian_moment(stretched, 2, growth=(growth[0], sympy.Integer(4)))
    assert enclosure(one, 80).overlaps(enclosure(other, 80))


@pytest.mark.parametrize(
    ("expr", "power", "expected"),
    [
        (x**4, 1, 3),
        (exp(x), 1, exp(Rational(1, 2))),
        (x * exp(-(x**2)), 2, sqrt(5) / 25),
        (cos(x), 1, exp(Rational(-1, 2))),
        (x * sin(x), 1, exp(Rational(-1, 2))),
        (erf(x / sqrt(2)), 2, Rational(1, 3)),
        (x * erf(x), 1, 2 / sqrt(3 * pi)),
        (erf(x) * erf(2 * x), 1, 2 / pi * asin(4 * sqrt(3) / 9)),
        (erf(x + 1), 1, erf(1 / sqrt(3))),
        (exp(x) * erf(x), 1, exp(Rational(1, 2)) * erf(1 / sqrt(3))),
        (x * erfc(-x / sqrt(2)) / 2, 1, 1 / (2 * sqrt(pi))),
        (sin(x + 1), 2, (1 - exp(-2) * cos(2)) / 2),
        (x * sinh(x), 1, exp(Rational(1, 2))),
        (cosh(x), 2, (1 + exp(2)) / 2),
        (2**x, 1, exp(log(2) ** 2 / 2)),
        (sympy.sympify(7) + 0 * x, 2, 49),
    ],
    ids=str,
)
def test_closed_forms_of_formulas(expr, power, expected):
    assert sympy.simplify(gaussian_moment(pieces_of(expr), power) - expected) == 0


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 3),
    *(st.fractions(-2, 2, max_denominator=3) for _ in range(2)),
    st.lists(st.tuples(*(st.fractions(-2, 2, max_denominator=2) for _ in range(2))), max_size=1),
    st.lists(st.fractions(-2, 2, max_denominator=2), max_size=3),
    st.booleans(),
)
@example(0, Fraction(0), Fraction(0), [], [Fraction(1), Fraction(2)], False)  # two rates were once taken for one
def test_closed_forms_of_random_formulas_lie_in_the_integrated_balls(n, rate, cut, lines, rates, on_a_part):
    """Powers, exponentials, error functions; on an interval without the last."""
    numbers = [Rational(number.numerator, number.denominator) for number in (rate, cut)]
    expr = x**n * exp(numbers[0] * x - x**2)
    if on_a_part:
        expr = Piecewise((expr, (x > numbers[1]) & (x < numbers[1] + 3)), (0, True))
    else:
        for slope, offset in lines or [(slope, 0) for slope in rates]:
            expr *= erf(Rational(slope) * x + Rational(offset))
    if expr == 0:
        return
    pieces = pieces_of(expr)
    growth = sympy.Integer(100), sympy.S.Zero
    exact = gaussian_moment(pieces, growth=growth)
    if isinstance(exact, Enclosed):
        return
    if sign(exact) == 0:
        with pytest.raises(Undecided, match="from 0"):
            _integrated(pieces, 1, ONE, growth)
    else:
        assert _integrated(pieces, 1, ONE, growth).enclose(80).overlaps(enclosure(exact, 100))


def test_the_mean_of_a_function_with_a_centre_needs_no_integral():
    assert gaussian_moment(at_defaults("sigmoid")) == Rational(1, 2)
    assert gaussian_moment(at_defaults("tanh")) == 0
    assert gaussian_moment(at_defaults("softsign")) == 0
    beta = Symbol("beta", real=True)
    assert gaussian_moment(pieces_of(1 / (1 + exp(-beta * x)), beta)) == Rational(1, 2)


def test_a_mean_that_only_seems_to_be_0_is_left_open():
    """Odd, but the algebra does not see how its logarithms hang together; no ball tells its mean from 0."""
    odd = pieces_of(x * (log(1 + exp(x)) - log(1 + exp(-x)) - x) + log(1 + exp(x)) - log(1 + exp(-2 * x)) + tanh(x))
    hidden = pieces_of(x * (log(1 + exp(x)) - x / 2))
    assert gaussian_moment(odd, growth=(ONE, sympy.Integer(9))).enclose(60).is_finite()
    with pytest.raises(Undecided, match="cannot be told from 0"):
        gaussian_moment(hidden, growth=(ONE, ONE))


def test_a_removable_singularity_at_a_breakpoint_is_integrated():
    """E sin(z)/z is the integral of exp(-t^2/2) from 0 to 1, since sin(z)/z is that of cos(t z)."""
    for expr, expected in (
        (sin(x) / x, sqrt(pi / 2) * erf(1 / sqrt(2))),
        ((exp(x) - 1 - x) / x**2, None),
    ):
        value = sympy.limit(expr, x, 0)
        pieces = pieces_of(Piecewise((expr, Ne(x, 0)), (value, True)))
        ball = gaussian_moment(pieces, growth=(ONE, sympy.S.Zero) if expected else (ONE, ONE)).enclose(100)
        if expected:
            assert ball.overlaps(enclosure(expected, 120))
        assert ball.rel_accuracy_bits() > 100


def test_without_a_bound_on_the_growth_nothing_is_claimed():
    with pytest.raises(Undecided, match="growth"):
        gaussian_moment(pieces_of(log(1 + exp(x)) * x**3))
    with pytest.raises(Undecided, match="not finite"):
        gaussian_moment(pieces_of(exp(x**2)))


def test_no_bound_on_the_growth_is_needed_where_only_an_interval_counts():
    bump = pieces_of(Piecewise((exp(x**2), Abs(x) < 1), (0, True)))
    ball = gaussian_moment(bump, growth=(sympy.Integer(3), sympy.S.Zero)).enclose(80)
    with mpmath.workdps(30):
        expected = mpmath.quad(lambda z: mpmath.exp(z * z / 2), [-1, 0, 1]) / mpmath.sqrt(2 * mpmath.pi)
        assert abs(mpmath.mpf(ball.mid().str(28, radius=False)) / expected - 1) < mpmath.mpf("1e-23")


@pytest.mark.parametrize("sigma", [0, -1])
def test_a_standard_deviation_is_positive(sigma):
    with pytest.raises(InvalidRequest, match="sigma"):
        gaussian_moment(at_defaults("relu"), sigma=sympy.Integer(sigma))


@pytest.mark.parametrize("power", [2, 4, 6])
@pytest.mark.parametrize("bits", [60, 1200])
def test_the_tails_are_in_the_ball(power, bits):
    """1, 3, 15: the moments of z itself; the radius must not vanish where a float of it would."""
    ball = _integrated(pieces_of(x), power, ONE, (sympy.S.Zero, ONE)).enclose(bits)
    assert ball.contains(int(sympy.factorial2(power - 1)))
    assert ball.rad() > 0


def test_relu_scales_with_sigma():
    s = Symbol("s", positive=True)
    assert sympy.expand(gaussian_moment(at_defaults("relu"), sigma=s) - s * gaussian_moment(at_defaults("relu"))) == 0


def test_functions_with_branch_cuts_are_integrated():
    for expr, function in ((sympy.atan(3 * x), mpmath.atan), (sympy.asinh(3 * x), mpmath.asinh)):
        ball = gaussian_moment(pieces_of(expr), 2, growth=(sympy.S.Zero, sympy.Integer(3))).enclose(80)
        with mpmath.workdps(30):
            expected = mpmath.quad(
                lambda z, f=function: f(3 * z) ** 2 * mpmath.npdf(z), [-13, -6, -2, -1, 0, 1, 2, 6, 13]
            )
            assert abs(mpmath.mpf(ball.mid().str(28, radius=False)) / expected - 1) < mpmath.mpf("1e-20")


def test_more_bits_stay_inside_fewer():
    silu = at_defaults("silu")
    moment = gaussian_moment(silu, 2, growth=growth_of(silu))
    wide, narrow = moment.enclose(40), moment.enclose(200)
    assert wide.contains(narrow)
    assert narrow.rel_accuracy_bits() > 200


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    st.lists(st.integers(-3, 3), min_size=3, max_size=3),
    st.fractions(-2, 2, max_denominator=4),
)
def test_random_piecewise_polynomials_against_quadrature(left, right, cut):
    at = Rational(cut.numerator, cut.denominator)
    forms = [sum(c * x**n for n, c in enumerate(part)) for part in (left, right)]
    moment = gaussian_moment(pieces_of(Piecewise((forms[0], x < at), (forms[1], True))), 2)
    with mpmath.workdps(25):
        total = mpmath.mpf(0)
        for form, span in zip(forms, ([-14, -4, float(cut)], [float(cut), 4, 14]), strict=True):
            function = sympy.lambdify(x, form, "mpmath")
            total += mpmath.quad(lambda z, f=function: f(z) ** 2 * mpmath.npdf(z), span)
        assert abs(mpmath.mpf(str(moment.evalf(25))) - total) < 1e-15 * (1 + total)


def _minus(number):
    return Enclosed(f"-{number.definition}", lambda bits: -number.enclose(bits))


def test_measures():
    assert gaussian_measure(-oo, oo) == 1
    assert gaussian_measure(-oo, sympy.S.Zero) == Rational(1, 2)
    third = Enclosed("1/3", lambda bits: enclosure(Rational(1, 3), bits))
    assert enclosure(gaussian_measure(-oo, third), 60).overlaps(enclosure(gaussian_measure(-oo, Rational(1, 3)), 80))
    far = Enclosed("100", lambda bits: enclosure(sympy.Integer(100), bits))
    exact = gaussian_measure(sympy.Integer(100), sympy.Integer(110))
    assert exact.has(erfc)
    assert enclosure(gaussian_measure(far, sympy.Integer(110)), 60).overlaps(enclosure(exact, 80))
    assert enclosure(gaussian_measure(sympy.Integer(-110), _minus(far)), 60).overlaps(enclosure(exact, 80))
    assert enclosure(gaussian_measure(third, oo), 60).overlaps(enclosure(gaussian_measure(Rational(1, 3), oo), 80))
