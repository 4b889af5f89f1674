"""Antiderivatives: F' = f inside the pieces, F is continuous, F(0) = 0; compared with integrals of balls."""

import pytest
import sympy
from flint import acb
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Piecewise, Rational, S, atan, cos, erf, exp, log, sin, sqrt

from relusym.activation import Activation, parameter_values, x
from relusym.activations import catalogue
from relusym.balls import compiled, precision
from relusym.calculus.antiderivatives import antiderivative
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.subdifferentials import around
from relusym.pieces import piece_at, split, value_at
from relusym.signs import equal

EVERY = {activation.name: split(activation, parameter_values(activation)) for activation in catalogue()}
# their antiderivatives need a dilogarithm, or have no name at all
WITHOUT = {"gelu_tanh", "quick_gelu", "silu", "swish", "mish", "softplus", "logsigmoid"}


def pieces_of(expr):
    return split(Activation("f", sympy.sympify(expr)))


def ball(number):
    return compiled(sympy.sympify(number))()


@pytest.mark.parametrize("name", EVERY)
def test_found_where_the_functions_of_the_grammar_suffice(name):
    assert (antiderivative(EVERY[name]) is None) == (name in WITHOUT)


@pytest.mark.parametrize("name", sorted(set(EVERY) - WITHOUT))
@settings(max_examples=6, deadline=None)
@given(at=st.fractions(min_value=-6, max_value=6, max_denominator=30))
def test_zero_at_zero_continuous_and_a_derivative(name, at):
    pieces, found = EVERY[name], antiderivative(EVERY[name])
    assert found.breakpoints == pieces.breakpoints
    with precision(200):
        assert ball(value_at(found, S.Zero)).contains(0)
        slope = piece_at(found, Rational(at)).expr.diff(x).subs(x, Rational(at))
        if Rational(at) not in pieces.breakpoints:
            assert ball(slope).overlaps(ball(value_at(pieces, Rational(at))))
    for place, value in zip(found.breakpoints, found.values, strict=True):
        for piece in around(found, place):
            assert equal(one_sided_limit(piece, place, x), value)


def integral(expr, start, stop):
    """Rigorous, on complex balls, by python-flint."""

    def function(z, _):
        u = z / acb(2).sqrt()
        return z * (1 + u.erf()) / 2

    return acb.integral(function, acb(start), acb(stop)).real


def test_gelu_agrees_with_its_integral():
    found = antiderivative(EVERY["gelu"])
    with precision(120):
        for at in (-3, -1, 2, 5):
            assert ball(value_at(found, S(at))).overlaps(integral(None, 0, at))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", log(1 + exp(x)) - log(2)),
        ("tanh", log(sympy.cosh(x))),
        ("gelu", (x**2 - 1) * (1 + erf(x / sqrt(2))) / 4 + x * exp(-(x**2) / 2) / (2 * sqrt(2 * sympy.pi)) + S(1) / 4),
    ],
)
def test_textbook_antiderivatives(name, expected):
    (piece,) = antiderivative(EVERY[name]).pieces
    assert sympy.simplify(piece.expr - expected) == 0


def test_across_a_jump_f_is_glued():
    found = antiderivative(pieces_of(Piecewise((1, x < 2), (3, True))))
    assert [piece.expr for piece in found.pieces] == [x, 3 * x - 4]
    assert found.values == (2,)


@pytest.mark.parametrize(
    "expr",
    [
        x**2 * exp(-3 * x),
        x * exp(-(x**2) + 2 * x),
        x**3 * erf(2 * x + 1),
        exp(-(x**2)),
        1 / (1 + x**2),
        x * cos(2 * x),
        sin(x) ** 2,
        1 / (1 + exp(2 * x / 3)),
        exp(2 * x) / (1 + exp(x)) ** 2,
        sqrt(x**2 + x + 1),
        1 / (x**2 + 4 * x + 5),
        Piecewise((1 / (x - 3), x < 1), (1, True)),
    ],
    ids=str,
)
def test_a_found_antiderivative_has_the_right_slope(expr):
    pieces = pieces_of(expr)
    found = antiderivative(pieces)
    assert found is not None
    with precision(160):
        for at in (Rational(-7, 3), Rational(1, 5), Rational(13, 4)):
            assert ball(piece_at(found, at).expr.diff(x).subs(x, at)).overlaps(ball(value_at(pieces, at)))
            assert ball(value_at(found, at)).is_finite()


@pytest.mark.parametrize("expr", [exp(exp(x)), log(1 + exp(x)), x / (1 + exp(x)), exp(x**2), atan(x) * exp(x)], ids=str)
def test_none_without_an_elementary_one(expr):
    assert antiderivative(pieces_of(expr)) is None
