"""Named stability rules: how an elementary expression becomes one of the stable family.

Every row states its equality, which holds for all real u unless a condition is given; `tests/codegen` checks each
on balls. `stabilise` applies the rows from the leaves upwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Add, Expr, Mul, Pow, Rational, Symbol, cos, cosh, erf, erfc, exp, log, sin, sinh, tanh

from relusym_codegen.primitives import (
    Erf,
    Erfc,
    Expm1,
    Expm1Gap,
    Hypot,
    HypotMean,
    HypotRatio,
    InverseQuadratic,
    Log1p,
    Log1pSquare,
    LogCosh,
    NormalDistribution,
    Sech,
    Sech2,
    Sigmoid,
    SigmoidEntropy,
    SigmoidSlope,
    SineGap,
    Softplus,
    Tanh,
    TanhExp,
    TanhGap,
    TanhSoftplus,
)

_Half = Rational(1, 2)


@dataclass(frozen=True)
class SumRule:
    """c F(u) + r c = c G(u), where F(u) is `head(u) ** power` and r is `ratio`: the sum that would cancel."""

    name: str
    head: Any
    power: int
    ratio: Expr
    result: Callable[[Expr], Expr]


SUM_RULES: tuple[SumRule, ...] = (
    SumRule("exp(u) - 1 = expm1(u)", exp, 1, sympy.Integer(-1), Expm1),
    SumRule("tanh(u) + 1 = 2 sigmoid(2u)", Tanh, 1, sympy.Integer(1), lambda u: 2 * Sigmoid(2 * u)),
    SumRule("tanh(u) - 1 = -2 sigmoid(-2u)", Tanh, 1, sympy.Integer(-1), lambda u: -2 * Sigmoid(-2 * u)),
    SumRule("sigmoid(u) - 1 = -sigmoid(-u)", Sigmoid, 1, sympy.Integer(-1), lambda u: -Sigmoid(-u)),
    SumRule("sigmoid(u) - 1/2 = tanh(u/2)/2", Sigmoid, 1, -_Half, lambda u: Tanh(u / 2) / 2),
    SumRule("tanh(u)^2 - 1 = -sech(u)^2", Tanh, 2, sympy.Integer(-1), lambda u: -Sech2(u)),
    SumRule("erf(u) + 1 = erfc(-u)", Erf, 1, sympy.Integer(1), lambda u: Erfc(-u)),
    SumRule("erf(u) - 1 = -erfc(u)", Erf, 1, sympy.Integer(-1), lambda u: -Erfc(u)),
    SumRule("erfc(u) - 1 = -erf(u)", Erfc, 1, sympy.Integer(-1), lambda u: -Erf(u)),
    SumRule("erfc(u) - 2 = -erfc(-u)", Erfc, 1, sympy.Integer(-2), lambda u: -Erfc(-u)),
    SumRule("cos(u) - 1 = -2 sin(u/2)^2", cos, 1, sympy.Integer(-1), lambda u: -2 * sin(u / 2) ** 2),
    SumRule("cos(u) + 1 = 2 cos(u/2)^2", cos, 1, sympy.Integer(1), lambda u: 2 * cos(u / 2) ** 2),
    SumRule("sin(u) + 1 = 2 sin(u/2 + pi/4)^2", sin, 1, sympy.Integer(1),
            lambda u: 2 * sin(u / 2 + sympy.pi / 4) ** 2),
    SumRule("sin(u) - 1 = -2 sin(u/2 - pi/4)^2", sin, 1, sympy.Integer(-1),
            lambda u: -2 * sin(u / 2 - sympy.pi / 4) ** 2),
    SumRule("cosh(u) - 1 = 2 sinh(u/2)^2", cosh, 1, sympy.Integer(-1), lambda u: 2 * sinh(u / 2) ** 2),
    SumRule("cosh(u) + 1 = 2 cosh(u/2)^2", cosh, 1, sympy.Integer(1), lambda u: 2 * cosh(u / 2) ** 2),
    SumRule("sinh(u)^2 + 1 = cosh(u)^2", sinh, 2, sympy.Integer(1), lambda u: cosh(u) ** 2),
    SumRule("cosh(u)^2 - 1 = sinh(u)^2", cosh, 2, sympy.Integer(-1), lambda u: sinh(u) ** 2),
    SumRule("sin(u)^2 - 1 = -cos(u)^2", sin, 2, sympy.Integer(-1), lambda u: -cos(u) ** 2),
    SumRule("cos(u)^2 - 1 = -sin(u)^2", cos, 2, sympy.Integer(-1), lambda u: -sin(u) ** 2),
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A node of one kind becomes another expression; `apply` gives None where the pattern does not match."""

    name: str
    kind: type
    apply: Callable[[Expr], Expr | None]


def _unary(head: Any, result: Callable[[Expr], Expr]) -> Callable[[Expr], Expr | None]:
    return lambda node: result(node.args[0]) if isinstance(node, head) else None


def _log(node: Expr) -> Expr | None:
    argument = node.args[0]
    if isinstance(argument, cosh):
        return LogCosh(argument.args[0])
    if isinstance(argument, Sigmoid):
        return -Softplus(-argument.args[0])
    if isinstance(argument, Add) and 1 in argument.args:
        rest = argument - 1
        if rest.is_Pow and rest.exp == 2:
            return Log1pSquare(rest.base)
        return Softplus(rest.args[0]) if isinstance(rest, exp) else Log1p(rest)
    return None


def _normal(node: Expr) -> Expr | None:
    """erfc(u) = 2 Phi(-sqrt(2) u), where that rids the argument of its root of two."""
    argument = sympy.expand(-sympy.sqrt(2) * node.args[0])
    return (
        None if argument.has(sympy.sqrt(2)) or not node.args[0].has(sympy.sqrt(2)) else 2 * NormalDistribution(argument)
    )


def _tanh(node: Expr) -> Expr:
    argument = node.args[0]
    if isinstance(argument, exp):
        return TanhExp(argument.args[0])
    return TanhSoftplus(argument.args[0]) if isinstance(argument, Softplus) else Tanh(argument)


def _power(node: Expr) -> Expr | None:
    base, exponent = node.args
    if isinstance(base, Add) and exponent.is_Integer and exponent < 0:
        # a + a exp(u) = a / sigmoid(-u)
        exponentials = [term for term in base.args if term.has(exp)]
        if len(exponentials) == 1:
            scale, factors = exponentials[0].as_independent(exp, as_Add=False)
            if isinstance(factors, exp) and base - exponentials[0] == scale:
                return (Sigmoid(-factors.args[0]) / scale) ** -exponent
    if isinstance(base, cosh) and exponent.is_Integer and exponent < 0:
        half, odd = divmod(-int(exponent), 2)
        return Sech2(base.args[0]) ** half * Sech(base.args[0]) ** odd
    falling = exponent.is_Integer and exponent < 0
    if (falling or (exponent.is_Rational and exponent.q == 2)) and (split := _square_plus_constant(base)) is not None:
        scale, u, c = split
        return scale**exponent * _hypot_power(u, c, int(2 * exponent))
    if isinstance(base, Hypot) and exponent.is_Integer and exponent < -1:
        u, c = base.args
        return _hypot_power(u, c, int(exponent))
    return None


def _hypot_power(u: Expr, c: Expr, power: int) -> Expr:
    """sqrt(u^2 + c)^power, a falling one by the reciprocal of u^2 + c as far as it goes."""
    if power > 0:
        return Hypot(u, c) ** power
    pairs, odd = divmod(-power, 2)
    return InverseQuadratic(u, c) ** pairs / Hypot(u, c) ** odd


def _square_plus_constant(base: Expr) -> tuple[Expr, Expr, Expr] | None:
    """(a, x, c) with base = a (x^2 + c), a > 0 and c > 0 free of the input."""
    if not isinstance(base, Add):
        return None
    squares = [term for term in base.args if term.has(sympy.Pow) and term.as_independent(Pow, as_Add=False)[1].is_Pow]
    for term in squares:
        scale, power = term.as_independent(Pow, as_Add=False)
        c = (base - term) / scale
        if power.exp == 2 and scale.is_positive and c.is_positive and not c.has(power.base):
            return scale, power.base, c
    return None


def _product(node: Expr) -> Expr | None:
    """Products that are one member: the rows of the rule below."""
    powers = dict(factor.as_base_exp() for factor in node.args)
    for factor in node.args:
        base, exponent = factor.as_base_exp() if not isinstance(factor, exp) else (factor, sympy.S.One)
        if not (exponent.is_Integer and exponent > 0):
            continue
        if isinstance(base, exp) and (partner := Sigmoid(-base.args[0])) in powers:
            return node / base / partner * Sigmoid(base.args[0])
        if isinstance(base, Sigmoid) and (partner := Sigmoid(-base.args[0])) in powers:
            return node / base / partner * SigmoidSlope(base.args[0])
        if isinstance(base, sin) and exponent == 1 and powers.get(cos(base.args[0]), 0) == 1:
            return node / base / cos(base.args[0]) * sin(2 * base.args[0]) / 2
        if isinstance(base, cosh) and Sech2(base.args[0]) in powers:
            return node / base / Sech2(base.args[0]) * Sech(base.args[0])
        if isinstance(base, sinh) and Sech(base.args[0]) in powers:
            return node / base / Sech(base.args[0]) * Tanh(base.args[0])
        if isinstance(base, sinh) and powers.get(cosh(base.args[0]), 0) == -1:
            return node / base * cosh(base.args[0]) * Tanh(base.args[0])
    return None


def _sum(node: Expr) -> Expr | None:
    terms = list(node.args)
    for index, term in enumerate(terms):
        for rule in SUM_RULES:
            for factor in Mul.make_args(term):
                base, power = (factor, 1) if isinstance(factor, exp) else factor.as_base_exp()
                if not isinstance(base, rule.head) or power != rule.power:
                    continue
                cofactor = term / factor
                partner = rule.ratio * cofactor
                if partner in terms:
                    rest = [other for place, other in enumerate(terms) if place != index]
                    rest.remove(partner)
                    return Add(*rest, cofactor * rule.result(base.args[0]))
    return (
        _sine_cosine(terms)
        or _expm1_gap(terms)
        or _entropy(terms)
        or _tanh_gap(terms)
        or _sine_gap(terms)
        or _hyperbolic(terms)
        or _hypot_gap(terms)
        or _hypot_mean(terms)
        or _hypot_ratio(terms)
    )


def _sine_cosine(terms: list[Expr]) -> Expr | None:
    """The sum c cos(u)^2 - c sin(u)^2 = c cos(2u)."""
    for term in terms:
        for sine in term.atoms(sin):
            u, cofactor = sine.args[0], term / sine**2
            if not cofactor.has(sin, cos) and (partner := -cofactor * cos(u) ** 2) in terms:
                rest = [other for other in terms if other not in (term, partner)]
                return Add(*rest, -cofactor * cos(2 * u))
    return None


def _expm1_gap(terms: list[Expr]) -> Expr | None:
    """C expm1(u) - c u exp(u)."""
    for term in terms:
        for member in term.atoms(Expm1):
            u, cofactor = member.args[0], term / member
            if not cofactor.has(Expm1) and (partner := -cofactor * u * exp(u)) in terms:
                rest = [other for other in terms if other not in (term, partner)]
                return Add(*rest, cofactor * Expm1Gap(u))
    return None


def _entropy(terms: list[Expr]) -> Expr | None:
    """C softplus(u) - c u sigmoid(u)."""
    for term in terms:
        for member in term.atoms(Softplus):
            u, cofactor = member.args[0], term / member
            if not cofactor.has(Softplus) and (partner := -cofactor * u * Sigmoid(u)) in terms:
                rest = [other for other in terms if other not in (term, partner)]
                return Add(*rest, cofactor * SigmoidEntropy(u))
    return None


def _tanh_gap(terms: list[Expr]) -> Expr | None:
    """C u - c tanh(u)."""
    for term in terms:
        for hyperbolic in term.atoms(Tanh):
            cofactor = term / hyperbolic
            if not cofactor.has(Tanh) and (partner := -cofactor * hyperbolic.args[0]) in terms:
                rest = [other for other in terms if other not in (term, partner)]
                return Add(*rest, -cofactor * TanhGap(hyperbolic.args[0]))
    return None


def _sine_gap(terms: list[Expr]) -> Expr | None:
    """C u - c sin(u)."""
    for term in terms:
        for sine in term.atoms(sin):
            cofactor = term / sine
            if not cofactor.has(sin) and (partner := -cofactor * sine.args[0]) in terms:
                rest = [other for other in terms if other not in (term, partner)]
                return Add(*rest, -cofactor * SineGap(sine.args[0]))
    return None


def _hyperbolic(terms: list[Expr]) -> Expr | None:
    """C exp(u) - c exp(-u) = 2 c sinh(u); c exp(u) + c exp(-u) = 2 c cosh(u)."""
    for term in terms:
        for member in term.atoms(exp):
            u, cofactor = member.args[0], term / member
            if cofactor.has(exp) or u.could_extract_minus_sign():
                continue
            for sign, result in ((-1, sinh), (1, cosh)):
                if (partner := sign * cofactor * exp(-u)) in terms:
                    rest = [other for other in terms if other not in (term, partner)]
                    return Add(*rest, 2 * cofactor * result(u))
    return None


def _hypot_gap(terms: list[Expr]) -> Expr | None:
    """C sqrt(u^2 + d) - c sqrt(d) = c u^2 / (sqrt(u^2 + d) + sqrt(d))."""
    for term in terms:
        for root in term.atoms(Hypot):
            u, c = root.args
            cofactor = term / root
            if not cofactor.has(Hypot) and (partner := -cofactor * sympy.sqrt(c)) in terms:
                rest = [other for other in terms if other not in (term, partner)]
                return Add(*rest, cofactor * u**2 / (root + sympy.sqrt(c)))
    return None


def _hypot_mean(terms: list[Expr]) -> Expr | None:
    """C u + c sqrt(u^2 + d), with either sign of u."""
    for term in terms:
        for root in term.atoms(Hypot):
            cofactor = term / root
            u, c = root.args
            for sign in (1, -1):
                if (partner := sign * cofactor * u) in terms and not cofactor.has(Hypot):
                    rest = [other for other in terms if other not in (term, partner)]
                    return Add(*rest, cofactor * 2 * HypotMean(sign * u, c))
    return None


def _hypot_ratio(terms: list[Expr]) -> Expr | None:
    """C + c u / sqrt(u^2 + d), with either sign of u."""
    for term in terms:
        for root in term.atoms(Hypot):
            u, c = root.args
            cofactor = term * root / u
            for sign in (1, -1):
                if (partner := sign * cofactor) in terms and not cofactor.has(Hypot):
                    rest = [other for other in terms if other not in (term, partner)]
                    return Add(*rest, partner * HypotRatio(sign * u, c))
    return None


RULES: tuple[Rule, ...] = (
    Rule("log(1 + exp(u)) = softplus(u); log(1 + v) = log1p(v); log(cosh(u)); log(sigmoid(u))", log, _log),
    Rule("tanh(softplus(u)) by one exponential; tanh", tanh, _tanh),
    Rule("erf", erf, _unary(erf, Erf)),
    Rule("erfc", erfc, _unary(erfc, Erfc)),
    Rule("erfc(u / sqrt(2)) = 2 Phi(-u)", Erfc, _normal),
    Rule(
        "1/(a + a exp(u)) = sigmoid(-u)/a; cosh(u)^-2 = sech(u)^2; sqrt(x^2 + c) without overflow",
        Pow,
        _power,
    ),
    Rule(
        "exp(v) sigmoid(-v) = sigmoid(v); sigmoid(v) sigmoid(-v) = sigmoid'(v); sinh/cosh = tanh; 2 sin cos = sin(2u)",
        Mul,
        _product,
    ),
    Rule("sums that cancel", Add, _sum),
)


def stabilise(expr: Expr, variable: Symbol) -> Expr:
    """`expr` with every rule applied, leaves first, until none matches; equal to `expr` for all real inputs."""
    if not expr.has(variable) or expr.is_Atom:
        return expr
    node = expr.func(*(stabilise(argument, variable) for argument in expr.args))
    for _ in range(50):
        changed = next(
            (found for rule in RULES if isinstance(node, rule.kind) and (found := rule.apply(node)) is not None),
            None,
        )
        if changed is None or changed == node:
            return node
        if changed.func is not node.func:
            return stabilise(changed, variable)
        node = changed
    return node
