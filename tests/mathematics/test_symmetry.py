"""Parity and identities are what direct evaluation says, and nothing false is proved."""

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Eq, Piecewise, Rational, cos, exp, oo, sinh, tanh

from relusym.activation import Activation, parameter_values, x
from relusym.activations import catalogue
from relusym.balls import compiled, precision
from relusym.calculus.symmetry import identities, parity, vanishes
from relusym.pieces import split, value_at

EVERY = {activation.name: split(activation, parameter_values(activation)) for activation in catalogue()}
REFLECTIONS = {
    "f(-x) = f(x)": lambda at, here, mirrored: mirrored - here,
    "f(-x) = -f(x)": lambda at, here, mirrored: mirrored + here,
    "f(x) - f(-x) = x": lambda at, here, mirrored: here - mirrored - at,
    "f(x) + f(-x) = 1": lambda at, here, mirrored: here + mirrored - 1,
    "f(x) + f(-x) = |x|": lambda at, here, mirrored: here + mirrored - Abs(at),
}


def pieces_of(expr):
    return split(Activation("f", sympy.sympify(expr)))


def zero_on_balls(number):
    with precision(160):
        return compiled(sympy.sympify(number))().contains(0)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=5, deadline=None)
@given(at=st.fractions(min_value=-9, max_value=9, max_denominator=50))
def test_parity_and_reflections_agree_with_values(name, at):
    pieces = EVERY[name]
    claims = set(identities(pieces))
    points = [Rational(at), *pieces.breakpoints]
    for point in points:
        pair = value_at(pieces, point), value_at(pieces, -point)
        for claim, residual in REFLECTIONS.items():
            if claim in claims:
                assert zero_on_balls(residual(point, *pair)), claim
    expected = {"even": "f(-x) = f(x)", "odd": "f(-x) = -f(x)"}.get(parity(pieces))
    assert expected is None or expected in claims


@pytest.mark.parametrize("name", EVERY)
def test_neither_has_a_witness(name):
    pieces = EVERY[name]
    if parity(pieces) == "neither":
        points = [Rational(n, 7) for n in range(1, 60)] + [abs(place) for place in pieces.breakpoints]
        pairs = [(value_at(pieces, point), value_at(pieces, -point)) for point in points]
        assert not all(zero_on_balls(here - mirrored) for here, mirrored in pairs)
        assert not all(zero_on_balls(here + mirrored) for here, mirrored in pairs)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (cos(x) * exp(-(x**2)), "even"),
        (Abs(x), "even"),
        (x**3 - x, "odd"),
        (sinh(x) / (1 + x**2), "odd"),
        (x * tanh(x), "even"),
        (exp(x), "neither"),
        # one value at a breakpoint decides
        (Piecewise((1, x > 0), (0, Eq(x, 0)), (-1, True)), "odd"),
        (Piecewise((1, x > 0), (-1, True)), "neither"),
        (Piecewise((1, x > 2), (0, x >= -2), (-1, True)), "odd"),
        (Piecewise((1, x > 2), (0, x > -2), (-1, True)), "neither"),
        (Piecewise((1, x >= 2), (0, x > -2), (-1, x < -2), (7, True)), "neither"),
        # differs from an even function beyond 1000 only
        (Piecewise((x**2 + 1, x > 1000), (x**2, True)), "neither"),
    ],
    ids=str,
)
def test_parity(expr, expected):
    assert parity(pieces_of(expr)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", "f(x) - f(-x) = x"),
        ("relu", "f(x) + f(-x) = |x|"),
        ("relu", "f(f(x)) = f(x)"),
        ("relu", "f(c*x) = c*f(x) for c > 0"),
        ("leaky_relu", "f(c*x) = c*f(x) for c > 0"),
        ("hardtanh", "f(f(x)) = f(x)"),
        ("hardshrink", "f(f(x)) = f(x)"),
        ("gelu", "f(x) - f(-x) = x"),
        ("gelu_tanh", "f(x) - f(-x) = x"),
        ("silu", "f(x) - f(-x) = x"),
        ("softplus", "f(x) - f(-x) = x"),
        ("squareplus", "f(x) - f(-x) = x"),
        ("sigmoid", "f(x) + f(-x) = 1"),
        ("sigmoid", "f'(x) = f(x)*(1 - f(x))"),
        ("tanh", "f'(x) = 1 - f(x)**2"),
        ("softsign", "f'(x) = (1 - |f(x)|)**2"),
        ("softplus", "f'(x) = 1 - exp(-f(x))"),
        ("elu", "for x < 0: f'(x) = f(x) + 1"),
    ],
)
def test_known_identities_are_found(name, expected):
    assert expected in identities(EVERY[name])


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mish", "f(x) - f(-x) = x"),
        ("softshrink", "f(f(x)) = f(x)"),
        ("elu", "f(c*x) = c*f(x) for c > 0"),
        ("relu6", "f(c*x) = c*f(x) for c > 0"),
        ("elu", "f'(x) = f(x) + 1"),
    ],
)
def test_false_identities_are_not(name, wrong):
    assert wrong not in identities(EVERY[name])


def test_idempotence_looks_at_values_at_breakpoints():
    assert "f(f(x)) = f(x)" in identities(pieces_of(Piecewise((x, x > 1), (0, True))))
    assert "f(f(x)) = f(x)" not in identities(pieces_of(Piecewise((x, x > 1), (7, Eq(x, 1)), (1, True))))
    assert "f(f(x)) = f(x)" in identities(pieces_of(Abs(x)))


def test_almost_zero_is_not_zero():
    assert vanishes(tanh(x) - (exp(2 * x) - 1) / (exp(2 * x) + 1), x, -oo, oo)
    assert vanishes(sympy.log(1 + exp(x)) - sympy.log(1 + exp(-x)) - x, x, -oo, oo)
    assert not vanishes(exp(x) * Rational(1, 10**40), x, -oo, oo)
    assert not vanishes(sympy.erf(x) - tanh(x * 2 / sympy.sqrt(sympy.pi)), x, -oo, oo)
