"""Linear bounds on an interval hold at every point, and are as near as the shape allows."""

import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sympy import Integer, Piecewise, Rational, S, exp, pi, sin, sqrt

from relusym.activation import Activation, parameter_values, x
from relusym.activations import catalogue, named
from relusym.balls import compiled, precision
from relusym.calculus.relaxations import SIGNIFICANT_BITS, relaxation
from relusym.errors import InvalidRequest, Undecided
from relusym.pieces import split, value_at

EVERY = [(activation, split(activation, parameter_values(activation))) for activation in catalogue()]


def pieces_of(expr):
    return split(Activation("f", sympy.sympify(expr)))


def at_defaults(name):
    return next(pieces for activation, pieces in EVERY if activation.name == name)


def check(pieces, found, point):
    """Both lines hold at the point, and neither is farther away than its gap; on balls."""
    value = value_at(pieces, point)
    low = value - (found.lower_slope * point + found.lower_intercept)
    high = found.upper_slope * point + found.upper_intercept - value
    with precision(256):
        for distance, gap in ((low, found.lower_gap), (high, found.upper_gap)):
            ball = compiled(sympy.sympify(distance))()
            assert not ball < 0, (point, distance)
            assert not ball > compiled(gap)(), (point, distance)


ends = st.fractions(min_value=-12, max_value=12, max_denominator=64)
positions = st.lists(st.fractions(min_value=0, max_value=1, max_denominator=997), min_size=3, max_size=6)


@pytest.mark.parametrize(("activation", "pieces"), EVERY, ids=lambda value: getattr(value, "name", ""))
@settings(max_examples=5, deadline=None)
@given(one=ends, other=ends, parts=positions)
@example(one=-1, other=2, parts=[])
@example(one=-100, other=Rational(1, 7), parts=[0.5])
@example(one=-1000, other=1000, parts=[])
def test_lines_hold_at_random_points_and_at_breakpoints(activation, pieces, one, other, parts):
    lower, upper = sorted(map(Rational, (one, other)))
    found = relaxation(pieces, lower, upper)
    points = [lower, upper, *(lower + (upper - lower) * Rational(part) for part in parts)]
    points += [place for place in pieces.breakpoints if lower <= place <= upper]
    for point in points:
        check(pieces, found, point)


@given(
    lower=st.fractions(min_value=-50, max_value=Rational(-1, 100), max_denominator=10**15),
    upper=st.fractions(min_value=Rational(1, 100), max_value=50, max_denominator=10**15),
)
@settings(max_examples=60, deadline=None)
@example(lower=-1, upper=1)
def test_relu_gets_the_exact_triangle(lower, upper):
    low, high = Rational(lower), Rational(upper)
    found = relaxation(at_defaults("relu"), low, high)
    assert found.upper_slope == high / (high - low)
    assert found.upper_intercept == -high * low / (high - low)
    assert found.lower_slope == (1 if high > -low else 0)
    assert found.lower_intercept == 0
    # the gaps may be rounded outward
    assert 0 <= found.upper_gap - found.upper_intercept <= found.upper_intercept * Rational(1, 2**38)
    assert 0 <= found.lower_gap - min(high, -low) <= Rational(1, 2**33)


def test_a_line_is_its_own_bound():
    found = relaxation(at_defaults("identity"), Rational(-7, 3), Integer(5))
    assert (found.lower_slope, found.upper_slope) == (1, 1)
    assert (found.lower_gap, found.upper_gap) == (0, 0)


def test_a_parabola_lies_between_its_middle_tangent_and_its_chord():
    found = relaxation(pieces_of(x**2), Integer(0), Integer(2))
    assert (found.lower_slope, found.upper_slope, found.upper_intercept) == (2, 2, 0)
    assert abs(found.lower_intercept + 1) < Rational(1, 2**30)


def test_sigmoid_over_both_bends_touches_from_an_end():
    found = relaxation(at_defaults("sigmoid"), Integer(-8), Integer(8))
    # the upper tangent leaves from f(-8); by symmetry the lower one ends in f(8)
    slope = found.upper_slope
    assert abs(slope - found.lower_slope) < Rational(1, 10**6)
    chord = relaxation(at_defaults("sigmoid"), Integer(-8), Rational(1, 2)).upper_slope
    assert slope > chord
    tangent_gap = abs(float(slope * -8 + found.upper_intercept) - 1 / (1 + float(exp(8))))
    assert tangent_gap < 1e-6


@pytest.mark.parametrize(("activation", "pieces"), EVERY, ids=lambda value: getattr(value, "name", ""))
def test_lines_touch_the_graph(activation, pieces):
    """An intercept with slack would be sound, and useless."""
    lower, upper = Integer(-3), Rational(7, 2)
    found = relaxation(pieces, lower, upper)
    grid = [lower + (upper - lower) * Rational(n, 4000) for n in range(4001)]
    grid += [place for place in pieces.breakpoints if lower <= place <= upper]
    functions = [sympy.lambdify(x, piece.expr, "math") for piece in pieces.pieces]
    cuts = [float(place) for place in pieces.breakpoints]

    def values(point):
        # at a breakpoint both one-sided limits count
        at = float(point)
        sides = {sum(cut < at for cut in cuts), sum(cut <= at for cut in cuts)}
        return [(at, functions[side](at)) for side in sides]

    graph = [pair for point in grid for pair in values(point)]
    below = min(y - float(found.lower_slope) * at - float(found.lower_intercept) for at, y in graph)
    above = min(float(found.upper_slope) * at + float(found.upper_intercept) - y for at, y in graph)
    assert -1e-12 < below < 1e-5
    assert -1e-12 < above < 1e-5


def test_a_jump_and_a_lone_value_are_covered():
    spike = pieces_of(Piecewise((5, sympy.Eq(x, 1)), (x, x < 0), (x - 2, True)))
    found = relaxation(spike, Integer(-1), Integer(3))
    for point in (S.Zero, S.One, Rational(-1, 10**9), Rational(1, 10**9), Integer(-1), Integer(3)):
        check(spike, found, point)
    end = relaxation(spike, Integer(-1), Integer(1))
    check(spike, end, S.One)


def test_ends_may_be_irrational():
    for name in ("gelu", "softshrink", "tanh"):
        pieces = at_defaults(name)
        found = relaxation(pieces, -sqrt(2), pi)
        for point in (-sqrt(2), pi, S.Zero, Rational(-7, 5), Rational(22, 7) - Rational(1, 500)):
            check(pieces, found, point)


def test_a_point_is_an_interval():
    found = relaxation(at_defaults("tanh"), S.One, S.One)
    check(at_defaults("tanh"), found, S.One)
    assert found.lower_gap < Rational(1, 2**30)
    assert relaxation(at_defaults("relu"), Integer(2), Integer(2)).upper_intercept == 2


def test_waves_are_bounded():
    pieces = pieces_of(x / 10 + sin(3 * x))
    found = relaxation(pieces, Integer(-20), Integer(20))
    for n in range(-200, 201, 7):
        check(pieces, found, Rational(n, 10))


def test_coefficients_stay_short():
    found = relaxation(at_defaults("gelu"), Rational(-17, 9), Rational(31, 7))
    for coefficient in (found.lower_slope, found.lower_intercept, found.upper_slope, found.upper_intercept):
        assert abs(coefficient.p).bit_length() <= SIGNIFICANT_BITS + 1


@pytest.mark.parametrize(("lower", "upper"), [(1, 0), (-sympy.oo, 0), (0, sympy.oo), (sympy.nan, 1)])
def test_what_is_no_interval_is_refused(lower, upper):
    with pytest.raises(InvalidRequest, match="is no interval"):
        relaxation(at_defaults("relu"), sympy.sympify(lower), sympy.sympify(upper))


def test_parameters_need_values():
    elu = named("elu")
    with pytest.raises(Undecided):
        relaxation(split(elu), Integer(-1), Integer(1))


def test_an_unbounded_end_is_not_guessed():
    pole = pieces_of(Piecewise((1 / x, x > 0), (0, True)))
    with pytest.raises(Undecided, match="not bounded"):
        relaxation(pole, Integer(-1), Integer(1))


def test_text_shows_both_lines():
    found = relaxation(at_defaults("relu"), Integer(-1), Integer(1))
    assert str(found) == "0*x+0 <= f(x) <= 0.5*x+0.5"
