"""Every rule is an equality, and every member of the stable family is what its definition says."""

import itertools

import mpmath
import pytest
import sympy
from relusym_codegen.primitives import FAMILY, Log1p, Stable
from relusym_codegen.rewrites import SUM_RULES, stabilise
from sympy import Symbol, cos, cosh, erf, erfc, exp, log, pi, sin, sinh, sqrt, tanh

x = Symbol("x", real=True)
a = Symbol("a", positive=True)
POINTS = [sympy.Rational(n, 16) for n in (-95, -33, -16, -5, -1, 1, 3, 16, 40, 111)]


def value(expr: sympy.Expr, at: sympy.Expr) -> mpmath.mpf:
    """An expression with members of the family, by their definitions, to 50 digits."""
    plain = expr.replace(lambda node: isinstance(node, Stable), lambda node: type(node).definition(*node.args))
    while plain.atoms(Stable):
        plain = plain.replace(lambda node: isinstance(node, Stable), lambda node: type(node).definition(*node.args))
    return sympy.N(plain.subs(x, at), 50)


@pytest.mark.parametrize("rule", SUM_RULES, ids=lambda rule: rule.name)
def test_a_sum_rule_is_an_equality(rule) -> None:
    for at in POINTS:
        left = rule.head(x) ** rule.power + rule.ratio
        difference = value(left, at) - value(rule.result(x), at)
        assert abs(difference) < 1e-40


@pytest.mark.parametrize("member", FAMILY, ids=lambda member: member.__name__)
def test_a_slope_is_the_derivative_of_the_definition(member) -> None:
    arity = member.definition.__code__.co_argcount
    others = [sympy.Rational(7, 3)] * (arity - 1)
    derivative = sympy.diff(member.definition(x, *others), x)
    slope = member.slope(x, *others)
    for at in POINTS:
        if member is Log1p and at <= -1:
            continue
        assert abs(value(derivative, at) - value(slope, at)) < sympy.Float(10) ** -35


ELEMENTARY = [
    exp(x) - 1,
    a * (exp(x / a) - 1),
    x * (1 + erf(x / sqrt(2))) / 2,
    x / 2 + x * erf(x / sqrt(2)) / 2,
    x * (1 + tanh(x)) / 2,
    1 / (1 + exp(-x)),
    exp(x) / (1 + exp(x)),
    x / (1 + exp(-a * x)),
    log(1 + exp(a * x)) / a,
    x * tanh(log(1 + exp(x))),
    x - tanh(x),
    x - sin(x),
    (x + sqrt(x**2 + 4)) / 2,
    sqrt(x**2 + 4) - x,
    sqrt(1 + x**2) - 1,
    1 + sin(2 * x),
    1 - cos(x),
    cos(x) ** 2 - sin(x) ** 2,
    1 - tanh(x) ** 2,
    1 - erf(x),
    2 - erfc(x),
    log(cosh(x)),
    log(1 + x**2),
    sinh(x) / cosh(x),
    (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
    1 / (1 + x**2),
    x / sqrt(1 + x**2),
    (1 + x**2) ** sympy.Rational(-3, 2),
    exp(-(x**2) / 2) / sqrt(2 * pi),
    tanh(exp(x)),
]


@pytest.mark.parametrize("expr", ELEMENTARY, ids=str)
def test_stabilising_keeps_the_value_and_the_derivative(expr: sympy.Expr) -> None:
    fixed = expr.subs(a, sympy.Rational(7, 4))
    stable = stabilise(fixed, x)
    for at, order in itertools.product(POINTS[1::2], (0, 1, 2)):
        exact = sympy.N(sympy.diff(fixed, x, order).subs(x, at), 50)
        assert abs(value(stabilise(sympy.diff(stable, x, order), x), at) - exact) < sympy.Float(10) ** -30


@pytest.mark.parametrize("expr", ELEMENTARY[:25], ids=str)
def test_what_would_cancel_or_overflow_is_recognised(expr: sympy.Expr) -> None:
    assert stabilise(expr.subs(a, 2), x).atoms(Stable, sin, cos, sinh)
