"""Inverses undo f on its range, exactly in form and on balls at random points."""

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Piecewise, Rational, S, cosh, erf, exp, log, oo, sinh, sqrt

from relusym.activation import Activation, parameter_values, x
from relusym.activations import catalogue
from relusym.balls import compiled, precision
from relusym.calculus.inverses import inverse
from relusym.calculus.shape import monotonicity
from relusym.pieces import split, value_at

EVERY = {activation.name: split(activation, parameter_values(activation)) for activation in catalogue()}
RISING = [name for name, pieces in EVERY.items() if monotonicity(pieces) == "strictly increasing"]
WITHOUT_CLOSED_FORM = {"tanhshrink", "snake"}


def pieces_of(expr):
    return split(Activation("f", sympy.sympify(expr)))


def touch(one, other):
    with precision(256):
        return compiled(sympy.sympify(one))().overlaps(compiled(sympy.sympify(other))())


@pytest.mark.parametrize("name", sorted(set(RISING) - WITHOUT_CLOSED_FORM))
@settings(max_examples=8, deadline=None)
@given(at=st.fractions(min_value=-8, max_value=8, max_denominator=40))
def test_the_inverse_of_a_value_is_the_point(name, at):
    pieces = EVERY[name]
    found = inverse(pieces, True)
    for point in (Rational(at), *pieces.breakpoints):
        assert touch(value_at(found, value_at(pieces, point)), point)


@pytest.mark.parametrize("name", sorted(WITHOUT_CLOSED_FORM))
def test_none_where_no_closed_form_exists(name):
    assert inverse(EVERY[name], True) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", log(x / (1 - x))),
        ("tanh", log((1 + x) / (1 - x)) / 2),
        ("softplus", log(exp(x) - 1)),
        ("squareplus", x - 1 / x),
    ],
)
def test_textbook_inverses(name, expected):
    (piece,) = inverse(EVERY[name], True).pieces
    assert sympy.simplify(piece.expr - expected) == 0


def test_the_domain_is_the_range():
    (piece,) = inverse(EVERY["sigmoid"], True).pieces
    assert (piece.lower, piece.upper) == (0, 1)
    left, right = inverse(EVERY["elu"], True).pieces
    assert (left.lower, left.upper, right.lower, right.upper) == (-1, 0, 0, oo)


def test_a_falling_function_turns_its_pieces_around():
    falling = pieces_of(Piecewise((-2 * x, x < 1), (-1 - x, True)))
    found = inverse(falling, False)
    assert (found.breakpoints, found.values) == ((-2,), (1,))
    assert [piece.expr.subs(x, y) for piece, y in zip(found.pieces, (-5, 4), strict=True)] == [4, -2]


def test_the_branch_of_a_square_root_lies_in_the_piece():
    left = pieces_of(Piecewise((-(x**2), x < 0), (x, True)))
    found = inverse(left, True)
    assert found.pieces[0].expr.subs(x, -9) == -3
    upwards = pieces_of(Piecewise((cosh(x) - 1, x > 0), (x, True)))
    assert touch(inverse(upwards, True).pieces[1].expr.subs(x, cosh(2) - 1), 2)


def test_sinh_and_a_root():
    (piece,) = inverse(pieces_of(sinh(x)), True).pieces
    assert touch(piece.expr.subs(x, sinh(S(3))), 3)
    rooted = pieces_of(Piecewise((sqrt(x + 1) - 1, x > 0), (x / 2, True)))
    found = inverse(rooted, True)
    assert found is None or touch(found.pieces[1].expr.subs(x, sqrt(S(6)) - 1), 5)


def test_no_inverse_across_a_jump_or_of_erf():
    assert inverse(pieces_of(Piecewise((x, x < 0), (x + 1, True))), True) is None
    assert inverse(pieces_of(erf(x)), True) is None
