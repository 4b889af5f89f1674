"""Expansions: what is left shrinks as the remainder says; on balls at large points."""

import pytest
import sympy
from sympy import Piecewise, Rational, S, erf, exp, log, oo, pi, sin, sqrt

from relusym.activation import Activation, parameter_values, x
from relusym.activations import catalogue
from relusym.balls import compiled, precision
from relusym.calculus.expansions import asymptote, expansion_at_infinity, series_at
from relusym.pieces import split

EVERY = {activation.name: split(activation, parameter_values(activation)) for activation in catalogue()}


def pieces_of(expr):
    return split(Activation("f", sympy.sympify(expr)))


def outermost(pieces, side):
    return pieces.pieces[-1 if side > 0 else 0].expr


def ratio(expr, expansion, at, bits=4096):
    """(f - terms) / remainder at a point."""
    with precision(bits):
        rest = compiled(expr - sympy.Add(*expansion.terms), x)(compiled(at)())
        if expansion.remainder == 0:
            assert rest.contains(0)
            return 0.0
        value = rest / compiled(expansion.remainder, x)(compiled(at)())
        assert value.rel_accuracy_bits() > 20
        return abs(float(value.mid()))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("side", [-1, 1])
def test_what_is_left_is_of_the_size_of_the_remainder(name, side):
    found = expansion_at_infinity(EVERY[name], side)
    if found is None:
        assert name == "snake"
        return
    ratios = [ratio(outermost(EVERY[name], side), found, side * S(at)) for at in (9, 12, 15)]
    assert all(value < 40 for value in ratios)
    # a remainder that is too large would hide a wrong term
    assert found.remainder == 0 or ratios[-1] > 1e-3


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("side", [-1, 1])
def test_the_asymptote_is_approached(name, side):
    line = asymptote(EVERY[name], side)
    if line is None:
        assert (name, side) in {("relu_squared", 1), ("snake", 1), ("snake", -1)}
        return
    slope, intercept = line
    with precision(2048):
        at = compiled(S(side * 10**4))()
        gap = compiled(outermost(EVERY[name], side) - slope * x - intercept, x)(at)
        assert abs(gap) < 1e-3


@pytest.mark.parametrize("name", EVERY)
def test_taylor_polynomials_at_zero(name):
    pieces = EVERY[name]
    found = series_at(pieces, S.Zero)
    sides = found if isinstance(found, tuple) else (found, found)
    assert isinstance(found, tuple) == (S.Zero in pieces.breakpoints)
    index = sum(bool(place < 0) for place in pieces.breakpoints)
    branches = pieces.pieces[index], pieces.pieces[index + 1 if isinstance(found, tuple) else index]
    for branch, expansion, sign in zip(branches, sides, (-1, 1), strict=True):
        near, nearer = (
            (ratio(branch.expr, expansion, sign * Rational(1, n), 512) for n in (50, 100))
            if (expansion.remainder != 0 and expansion.remainder.subs(x, 1) == 1)
            else (0.0, 0.0)
        )
        assert max(near, nearer) < 20


@pytest.mark.parametrize("point", [S.One, Rational(-3, 2), sqrt(2)])
def test_taylor_polynomials_elsewhere(point):
    for name in ("sigmoid", "gelu", "softplus", "snake"):
        expansion = series_at(EVERY[name], point, 4)
        assert expansion.remainder == (x - point) ** 4
        shift = Rational(1, 1000)
        with precision(512):
            rest = compiled(EVERY[name].pieces[0].expr - sympy.Add(*expansion.terms), x)(compiled(point + shift)())
            assert abs(rest) < 10 * float(shift) ** 4


def test_at_a_kink_there_are_two_and_sympy_knows_one():
    relu = Piecewise((0, x < 0), (x, True))
    assert sympy.series(Piecewise((exp(x) - 1, x < 0), (3 * x, True)), x, 0, 3).removeO() == 3 * x
    left, right = series_at(pieces_of(Piecewise((exp(x) - 1, x < 0), (3 * x, True))), S.Zero, 3)
    assert (left.terms, left.remainder) == ((x, x**2 / 2), x**3)
    assert (right.terms, right.remainder) == ((3 * x,), 0)
    left, right = series_at(pieces_of(relu), S.Zero)
    assert (left.terms, right.terms) == ((), (x,))


def test_softplus_at_infinity_keeps_its_line():
    # with a sharpness, SymPy 1.14 loses the line
    beta = sympy.Symbol("beta", positive=True)
    assert sympy.series(log(1 + exp(beta * x)) / beta, x, oo, 3).removeO().subs(beta, 1).coeff(x, 1) == 0
    found = expansion_at_infinity(EVERY["softplus"], 1)
    assert found.terms == (x, exp(-x), -exp(-2 * x) / 2)
    assert found.remainder == exp(-3 * x)


def test_sharp_softplus():
    found = expansion_at_infinity(pieces_of(log(1 + exp(5 * x)) / 5), 1)
    assert found.terms == (x, exp(-5 * x) / 5, -exp(-10 * x) / 10)


def test_gelu_and_squareplus():
    found = expansion_at_infinity(EVERY["gelu"], 1)
    lead = exp(-(x**2) / 2) / sqrt(2 * pi)
    assert all(sympy.simplify(a - b) == 0 for a, b in zip(found.terms, (x, -lead, lead / x**2), strict=True))
    assert expansion_at_infinity(EVERY["squareplus"], 1).terms == (x, 1 / x, -1 / x**3)


def test_more_terms_on_request():
    found = expansion_at_infinity(EVERY["softsign"], 1, 5)
    assert found.terms == (1, -1 / x, x**-2, -1 / x**3, x**-4)
    assert expansion_at_infinity(EVERY["sigmoid"], 1, 1).terms == (1,)


def test_a_finite_sum_leaves_nothing():
    found = expansion_at_infinity(EVERY["elu"], -1)
    assert (found.terms, found.remainder) == ((-1, exp(x)), 0)


@pytest.mark.parametrize("expr", [sin(x), x + sin(x), x * sin(x) ** 2], ids=str)
def test_waves_have_no_expansion(expr):
    assert expansion_at_infinity(pieces_of(expr), 1) is None


def test_terms_below_the_truncation_of_a_logarithm_are_not_trusted():
    u = exp(-x)
    expr = log(1 + u) - u + u**2 / 2 - u**3 / 3 + u**4 / 4 + 3 * u**6 + u**7
    found = expansion_at_infinity(pieces_of(expr), 1, 1)
    # the true first term is u**5 / 5
    assert found is None or found.terms == (exp(-5 * x) / 5,)


def test_no_asymptote_where_the_slope_does_not_settle():
    assert asymptote(pieces_of(x**2), 1) is None
    assert asymptote(pieces_of(x + log(1 + x**2)), 1) is None
    assert asymptote(pieces_of(erf(x) + 2 * x), -1) == (2, -1)


def test_text():
    assert str(expansion_at_infinity(EVERY["sigmoid"], 1)) == "1 - exp(-x) + exp(-2*x) + O(exp(-3*x))"
