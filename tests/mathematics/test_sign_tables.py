"""Complete zeros and signs of f, f', f'', f''': the tables from which facts are read."""

import mpmath
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Expr, Integer, Rational, cos, cosh, erf, exp, log, oo, pi, sin, sqrt, tanh

from relusym.activation import parameter_values, x
from relusym.activations import catalogue, named
from relusym.balls import enclosure, integer_power, order, precision, sign
from relusym.calculus.forms import field_of
from relusym.calculus.growth import limit, tail
from relusym.calculus.roots import isolate
from relusym.calculus.sign_tables import sign_table, tables
from relusym.errors import Undecided
from relusym.pieces import split

CASES = [(activation.name, k) for activation in catalogue() for k in range(4)]


def at_defaults(name):
    activation = named(name)
    return split(activation, parameter_values(activation))


def zeros(expr, lower=-oo, upper=oo):
    table = sign_table(sympy.sympify(expr), x, sympy.sympify(lower), sympy.sympify(upper))
    return [
        (zero.at if isinstance(zero.at, Expr) else float(zero.at.enclose(53).mid()), zero.multiplicity)
        for zero in table.zeros
    ]


def decimal(number):
    return mpmath.mpf(0) if number == 0 else mpmath.mpf(enclosure(number, 200).mid().str(50, radius=False))


@pytest.mark.parametrize(("name", "k"), CASES, ids=str)
def test_signs_agree_with_values_all_along_the_line(name, k):
    """mpmath, at 320 digits, on a grid that is denser near 0: no zero of odd order is missed."""
    pieces = at_defaults(name)
    for piece, table in zip(pieces.pieces, tables(pieces, k), strict=True):
        function = sympy.lambdify(x, piece.expr.diff(x, k), "mpmath")
        lower, upper = (
            decimal(end) if end.is_finite else mpmath.mpf(str(end).replace("oo", "inf"))
            for end in (piece.lower, piece.upper)
        )
        with mpmath.workdps(320):
            ends = [decimal(zero.at) for zero in table.zeros]
            for n in range(-210, 211):
                point = mpmath.sinh(mpmath.mpf(n) / 48) / 2 + mpmath.mpf("1e-9")
                if not lower < point < upper:
                    continue
                place = point
                if table.period is not None:
                    start, period = decimal(table.window[0]), decimal(table.period)
                    place = start + mpmath.fmod(mpmath.fmod(point - start, period) + period, period)
                expected = table.signs[sum(1 for end in ends if end < place)]
                assert mpmath.sign(function(point)) == expected, (piece, point)


@pytest.mark.parametrize(("name", "k"), CASES, ids=str)
def test_isolating_intervals_hold_their_zero_and_are_disjoint(name, k):
    for table in tables(at_defaults(name), k):
        last = None
        for zero, (low, high) in zip(table.zeros, table.isolating, strict=True):
            assert order(zero.at, Rational(low.numerator, low.denominator)) == 1
            assert order(Rational(high.numerator, high.denominator), zero.at) == 1
            assert last is None or last < low
            last = high


def test_a_triple_zero_is_found_as_one():
    assert zeros(x - tanh(x)) == [(0, 3)]
    assert zeros((x - Rational(1, 3)) ** 2 * (x - 2)) == [(Rational(1, 3), 2), (2, 1)]
    assert zeros(exp(x) - 1 - x - x**2 / 2) == [(0, 3)]
    assert zeros(1 - exp(-(x**2))) == [(0, 2)]


def test_the_left_tail_of_gelu_does_not_cancel():
    """(1 + erf) / 2 has lost all digits at -10 in double precision; f' has exactly one zero all the same."""
    (found,) = zeros(named("gelu").expr.diff(x))
    assert found[0] == pytest.approx(-0.7517915246935645, abs=1e-15)
    assert zeros(1 + erf(x / sqrt(2))) == []


def test_zeros_of_a_periodic_function_are_a_family():
    table = sign_table(1 + sin(2 * x), x, -oo, oo)
    assert (table.period, [(zero.at, zero.multiplicity) for zero in table.zeros]) == (pi, [(-pi / 4, 2)])
    assert set(table.signs) == {1}
    table = sign_table(sin(x) * cos(x), x, -oo, oo)
    assert table.period == pi
    assert len(table.zeros) == 2


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (x * exp(-(x**2)), [0]),
        ((x * exp(-(x**2))).diff(x), [-sqrt(2) / 2, sqrt(2) / 2]),
        (log(cosh(x)), [0]),
        (exp(2 * x) - 3 * exp(x) + 2, [0, log(2)]),
        (x - sqrt(x**2 - x + 1), [1]),
        (exp(1 - x**2) - 1, [-1, 1]),
        (x**4 - 10 * x**2 + 1, None),
        (x**5 - x - 1, None),
        (log(1 + exp(x)) - log(2), [0]),
    ],
    ids=str,
)
def test_zeros_of_formulas_nobody_prepared(expr, expected):
    found = [at for at, _ in zeros(expr)]
    if expected is not None:
        assert [sign(at - other) for at, other in zip(found, expected, strict=True)] == [0] * len(expected)
    else:
        assert found == pytest.approx(sorted(float(r) for r in sympy.Poly(expr, x).nroots(n=20) if r.is_real))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fractions(-6, 6, max_denominator=8), min_size=1, max_size=4), st.integers(1, 3))
def test_zeros_of_products_of_known_factors(points, scale):
    """prod (e**(s x) - e**(s p)): every zero is known beforehand, with its multiplicity."""
    expr = sympy.prod(exp(scale * x) - exp(scale * Rational(p.numerator, p.denominator)) for p in points)
    found = sign_table(expr, x, -oo, oo)
    assert [(float(enclosure(z.at, 60).mid()) if z.at != 0 else 0.0, z.multiplicity) for z in found.zeros] == [
        (pytest.approx(float(p)), points.count(p)) for p in sorted(set(points))
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.lists(st.integers(-9, 9), min_size=2, max_size=3))
def test_signs_of_random_exponential_polynomials(one, other):
    """p(x) + q(x) e**x: the table's sign at every point of a grid is the one that mpmath computes."""
    expr = sum(c * x**n for n, c in enumerate(one)) + sum(c * x**n for n, c in enumerate(other)) * exp(x)
    expr = sympy.sympify(expr)
    if expr == 0 or not expr.has(x):
        return
    try:
        table = sign_table(expr, x, -oo, oo)
    except Undecided:
        return  # a double zero at a place without a closed form
    function = sympy.lambdify(x, expr, "mpmath")
    ends = [float(enclosure(zero.at, 53).mid()) if zero.at != 0 else 0.0 for zero in table.zeros]
    with mpmath.workdps(60):
        for n in range(-200, 201):
            point = mpmath.mpf(n) / 7 + mpmath.mpf("1e-7")
            assert mpmath.sign(function(point)) == table.signs[sum(1 for end in ends if end < point)]


def test_what_does_not_finish_is_undecided_and_never_a_guess():
    with pytest.raises(Undecided):
        sign_table(exp(-(x**2)) * (x + sin(3 * x)), x, -oo, oo)
    with pytest.raises(Undecided, match="parameters"):
        sign_table(x - sympy.Symbol("c", real=True), x, -oo, oo)
    # near a double zero the derivative is never without zero
    with pytest.raises(Undecided, match="isolated"), precision(96):
        isolate(lambda at: (at - 1) * (at - 1), lambda at: 2 * (at - 1), -3.0, 2.5)


def test_a_denominator_that_vanishes_is_noticed():
    with pytest.raises(Undecided, match="vanishes"):
        sign_table(1 / (x**3 - exp(x)), x, -oo, oo)


def test_enclosures_shrink_and_stay_inside():
    root = sign_table(named("mish").expr.diff(x), x, -oo, oo).zeros[0].at
    wide, narrow = root.enclose(40), root.enclose(400)
    assert wide.contains(narrow)
    assert narrow.rel_accuracy_bits() > 400
    assert enclosure(root, 40).overlaps(narrow)


def test_powers_of_balls_that_hold_zero():
    """python-flint's own `arb ** n` is nan there."""
    from flint import arb

    assert integer_power(arb(0, 1), 2).contains(arb(0.5))
    assert not integer_power(arb(0, 1), 2) < -0.1
    assert integer_power(arb(0), 4) == 0
    assert integer_power(arb(-1, 2), 3).contains(-27)


@pytest.mark.parametrize(
    ("expr", "side", "value"),
    [
        (x / (1 + exp(-x)) - x, 1, 0),
        (x * exp(x) / (1 + exp(2 * x)), -1, 0),
        ((2 * x**2 + exp(x)) / (x**2 + 3 * exp(x)), 1, Rational(1, 3)),
        ((2 * x**2 + exp(x)) / (x**2 + 3 * exp(x)), -1, 2),
        (x**3 * exp(-x), -1, -oo),
        (exp(x**2 - x) / exp(x**2), 1, 0),
    ],
    ids=str,
)
def test_limits_by_the_dominant_term(expr, side, value):
    assert limit(*field_of(expr, x), side) == value


def test_a_tail_names_its_bound_and_dominant_term():
    field, element = field_of(exp(x) + x + 1, x)
    left = tail(field, element.numer, -1)
    assert (left.sign, left.dominant) == (-1, x)
    assert left.bound <= Integer(-1)
