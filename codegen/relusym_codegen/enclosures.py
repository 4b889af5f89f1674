"""Values of smooth expressions as balls, for deciding where a lowered formula needs help.

The generator's own: the judge's reference evaluates definitions by another road and shares none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import sympy
from flint import arb, ctx, fmpq
from sympy import Expr, Symbol

from relusym_codegen.primitives import Stable


def _bounded(function: Callable[[arb], arb]) -> Callable[[arb], arb]:
    """`function` with +inf for an argument whose exponential no ball can hold, so that 1 / inf is 0."""
    return lambda u: arb("inf") if u > _LARGEST_EXPONENT else function(u)


_LARGEST_EXPONENT = arb(2) ** 4000

_FUNCTIONS: dict[type, Callable[[arb], arb]] = {
    sympy.exp: _bounded(arb.exp),
    sympy.log: arb.log,
    sympy.erf: arb.erf,
    sympy.erfc: arb.erfc,
    sympy.sin: arb.sin,
    sympy.cos: arb.cos,
    sympy.tanh: arb.tanh,
    sympy.sinh: arb.sinh,
    sympy.cosh: _bounded(lambda u: abs(u).cosh()),
    sympy.atan: arb.atan,
}

_PRECISIONS = (96, 192, 768, 3072)
_VANISHING = arb(2) ** -1300


def enclosure(expr: Expr, variable: Symbol, at: Fraction) -> arb | None:
    """A ball around `expr` at a rational point with relative radius below 2^-80, or None if 3,072 bits do not do.

    A ball inside ±2^-1300, which every format rounds to zero, is returned as exact zero.
    """
    for bits in _PRECISIONS:
        ball = _at_precision(expr, variable, at, bits)
        if not ball.is_finite():
            continue
        if abs(ball) < _VANISHING:
            return arb(0)
        if ball.rel_accuracy_bits() >= 80:
            return ball
    return None


def _at_precision(expr: Expr, variable: Symbol, at: Fraction, bits: int) -> arb:
    before = ctx.prec
    ctx.prec = bits
    try:
        return _value(expr, (variable,), [arb(fmpq(at.numerator, at.denominator))])
    finally:
        ctx.prec = before


def _value(expr: Expr, symbols: tuple[Symbol, ...], at: list[arb]) -> arb:
    if isinstance(expr, Symbol):
        return at[symbols.index(expr)]
    if expr.is_Rational:
        return arb(fmpq(int(expr.p), int(expr.q)))
    if expr is sympy.pi:
        return arb.pi()
    if expr is sympy.E:
        return arb(1).exp()
    values = [_value(argument, symbols, at) for argument in expr.args]
    if expr.is_Add:
        return sum(values[1:], values[0])
    if expr.is_Mul:
        product = values[0]
        for value in values[1:]:
            product = product * value
        return product
    if expr.is_Pow:
        return _power(values[0], values[1], expr.exp)
    if isinstance(expr, Stable):
        member: Any = type(expr)
        return _value(*_definition(member, len(values)), values)
    return _FUNCTIONS[expr.func](*values)


@cache
def _definition(member: Any, arity: int) -> tuple[Expr, tuple[Symbol, ...]]:
    symbols = tuple(Symbol(f"u{index}", real=True) for index in range(arity))
    return member.definition(*symbols), symbols


def _power(base: arb, exponent: arb, exact: Expr) -> arb:
    if exact.is_Integer:
        # python-flint's arb ** int gives nan on a ball that holds 0: multiply instead
        product = arb(1)
        for _ in range(abs(int(exact))):
            product = product * base
        return product if exact > 0 else 1 / product
    if exact.is_Rational and exact.q == 2:
        return _power(base.sqrt(), exponent, sympy.Integer(exact.p))
    return base**exponent
