"""split(): any nesting of switches becomes disjoint intervals that mean the same function."""

from fractions import Fraction
from itertools import pairwise

import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sympy import (
    Abs,
    Eq,
    Heaviside,
    Max,
    Min,
    Ne,
    Piecewise,
    Rational,
    S,
    Symbol,
    exp,
    log,
    oo,
    pi,
    sign,
    sin,
    sqrt,
)

from relusym.activation import Activation, Parameter, parameter_values, x
from relusym.activations import catalogue
from relusym.errors import InvalidActivation
from relusym.pieces import Pieces, joined, split

alpha = Symbol("alpha", positive=True)
a = Symbol("a", real=True)
lower = Symbol("lower", negative=True)
upper = Symbol("upper", positive=True)


def function(expr, *symbols):
    return Activation("f", sympy.sympify(expr), parameters=tuple(Parameter(symbol) for symbol in symbols))


def summary(expr, *symbols):
    pieces = split(function(expr, *symbols))
    return [piece.expr for piece in pieces.pieces], list(pieces.breakpoints), list(pieces.values)


def at(pieces: Pieces, point):
    """The value of the pieces at an exact point."""
    for place, value in zip(pieces.breakpoints, pieces.values, strict=True):
        if place == point:
            return value
    for piece in pieces.pieces:
        if piece.lower < point < piece.upper:
            return piece.expr.subs(pieces.variable, point)
    raise AssertionError(f"{point} is nowhere")


@pytest.mark.parametrize("activation", catalogue(), ids=lambda activation: activation.name)
def test_pieces_tile_the_line_and_hold_no_switch(activation):
    for pieces in (split(activation), split(activation, parameter_values(activation))):
        ends = [-oo, *pieces.breakpoints, oo]
        assert [(piece.lower, piece.upper) for piece in pieces.pieces] == list(pairwise(ends))
        assert len(pieces.values) == len(pieces.breakpoints)
        for piece in pieces.pieces:
            for switch in piece.expr.atoms(Piecewise, Abs, sign, Max, Min, Heaviside):
                assert not switch.has(x)


@pytest.mark.parametrize("activation", catalogue(), ids=lambda activation: activation.name)
def test_pieces_agree_with_the_definition(activation):
    values = parameter_values(activation)
    pieces = split(activation, values)
    points = [Rational(n, 3) for n in range(-20, 21, 3)] + list(pieces.breakpoints)
    for point in points:
        difference = at(pieces, point) - activation.expr.subs(values).subs(x, point)
        assert difference == 0 or abs(difference.evalf(30)) < 1e-25


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (Max(0, x), ([0, x], [0], [0])),
        (Abs(x) * sign(x), ([x], [], [])),
        (x / (1 + Abs(x)), ([x / (1 - x), x / (1 + x)], [0], [0])),
        (Abs(Abs(x) - 1), ([-x - 1, x + 1, 1 - x, x - 1], [-1, 0, 1], [0, 1, 0])),
        (Heaviside(x), ([0, 1], [0], [S.Half])),
        (Heaviside(-(exp(x) - 1)), ([1, 0], [0], [S.Half])),
        (Piecewise((1, x < 3), (2, x < 6), (3, True)), ([1, 2, 3], [3, 6], [2, 3])),
        (Piecewise((x, Ne(x, 2)), (5, True)), ([x, x], [2], [5])),
        (Piecewise((x, x**2 > 4), (0, True)), ([x, 0, x], [-2, 2], [0, 0])),
        (Piecewise((x, exp(x) > 2), (0, True)), ([0, x], [log(2)], [0])),
        (Piecewise((x, (x > -1) & (x < 1)), (sign(x), True)), ([-1, x, 1], [-1, 1], [-1, 1])),
        (Piecewise((1, Eq(x, 0)), (sin(x) / x, True)), ([sin(x) / x, sin(x) / x], [0], [1])),
        (Max(x, x**3), ([x, x**3, x, x**3], [-1, 0, 1], [-1, 0, 1])),
        (Piecewise((Abs(log(x)), x > 0), (0, True)), ([0, -log(x), log(x)], [0, 1], [0, 0])),
        (sqrt(x**2 - 2 * x + 1), ([1 - x, x - 1], [1], [0])),
    ],
    ids=str,
)
def test_switches_become_pieces(expr, expected):
    assert summary(expr) == expected


def test_symbolic_breakpoints_are_ordered_by_assumptions():
    clip = Max(lower, Min(upper, x))
    assert summary(clip, lower, upper) == ([lower, x, upper], [lower, upper], [lower, upper])
    with_beta = Piecewise((x, alpha * x > 20), (0, True))
    assert summary(with_beta, alpha)[1] == [20 / alpha]


def test_values_of_parameters_are_put_in_before_the_split():
    leaky = function(Max(a * x, x), a)
    with pytest.raises(InvalidActivation, match="give"):
        split(leaky)
    assert split(leaky, {a: Rational(1, 2)}).breakpoints == (0,)
    assert split(leaky, {a: S.One}).breakpoints == ()


@pytest.mark.parametrize(
    ("expr", "symbols", "said"),
    [
        (Piecewise((x, x > 0)), (), r"no branch covers the interval \(-oo, 0\)"),
        (Piecewise((x, x < 0), (x + 1, x > 0)), (), "no branch covers the point x = 0"),
        (Piecewise((x, x <= 0), (x + 1, x >= 0)), (), "contradiction at x = 0"),
        (1 / x, (), "pole at x = 0"),
        (sin(x) / x, (), "pole at x = 0"),
        (log(Abs(x)), (), "value at x = 0 is zoo"),
        (sqrt(x), (), r"not real in \(-oo, 0\)"),
        (x ** Rational(1, 3), (), "not real"),
        (Piecewise((log(x - 1), x > 0), (0, True)), (), "log"),
        (Piecewise((1 / (x - 2), x > 0), (0, True)), (), "x = 2"),
        (Piecewise((x, sin(x) > 0), (0, True)), (), "cannot be found exactly"),
        (Piecewise((x, x >= a), (0, x <= alpha)), (a, alpha), "cannot be ordered"),
        (Piecewise((x, alpha > 1), (0, True)), (alpha,), "sign of alpha - 1"),
        (sympy.floor(x), (), "floor"),
        (sympy.gamma(x), (), "gamma"),
        (sympy.I * x, (), "real"),
    ],
    ids=str,
)
def test_what_describes_no_function_is_refused_with_place_and_remedy(expr, symbols, said):
    with pytest.raises(InvalidActivation, match=said) as caught:
        split(function(expr, *symbols))
    assert str(caught.value).startswith("f: ")
    assert ";" in str(caught.value)


def test_conditions_that_meet_in_one_point_may_agree_there():
    assert summary(Piecewise((x, x <= 0), (2 * x, x >= 0))) == ([x, 2 * x], [0], [0])


def test_several_inputs_are_refused():
    b = Symbol("b", real=True)
    with pytest.raises(InvalidActivation, match="2 inputs"):
        split(Activation("glu", x * b, inputs=(x, b)))


def test_an_input_that_is_not_real_is_refused():
    z = Symbol("z")
    with pytest.raises(InvalidActivation, match="real=True"):
        split(Activation("f", z**2, inputs=(z,)))


numbers = st.fractions(min_value=-5, max_value=5, max_denominator=4).map(
    lambda value: Rational(value.numerator, value.denominator)
)
lines = st.builds(lambda slope, shift: slope * x + shift, numbers, numbers)
comparisons = st.sampled_from([sympy.Lt, sympy.Le, sympy.Gt, sympy.Ge])


def switched(parts):
    return st.one_of(
        st.builds(Max, parts, parts),
        st.builds(Min, parts, parts),
        st.builds(Abs, parts),
        st.builds(lambda one, other: one + other, parts, parts),
        st.builds(lambda guard, one: Heaviside(guard) * one, lines, lines),
        st.builds(
            lambda one, other, compare, guard: Piecewise((one, compare(guard, 0)), (other, True)),
            parts,
            parts,
            comparisons,
            lines,
        ),
    )


piecewise_linear = st.recursive(lines, switched, max_leaves=4)


@given(piecewise_linear, st.lists(numbers, min_size=3, max_size=6))
@example(Abs(x) + Max(0, -x), [S.Zero])
@settings(max_examples=60, deadline=None)
def test_random_piecewise_formulas_mean_the_same_after_the_split(expr, points):
    pieces = split(function(expr))
    assert all(one < other for one, other in pairwise(pieces.breakpoints))
    for point in [*points, *pieces.breakpoints]:
        assert sympy.expand(at(pieces, point) - expr.subs(x, point)) == 0


def test_joined_pieces_are_the_function_again():
    pieces = split(function(Abs(Abs(x) - 1)))
    for point in (Fraction(-5, 2), -1, Fraction(1, 3), 0, 1, 4):
        exact = Rational(point) if isinstance(point, int) else Rational(point.numerator, point.denominator)
        assert joined(pieces).subs(x, exact) == abs(abs(exact) - 1)


def test_a_breakpoint_may_be_any_exact_number():
    assert summary(Max(x, pi))[1] == [pi]
    assert summary(Piecewise((x, x > sqrt(2)), (0, x < 1), (2, True)))[1] == [1, sqrt(2)]
