"""Numbers and smooth expressions as Arb balls: enclosures of any radius, and comparisons that are proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import sympy
from flint import arb, ctx, fmpq
from sympy import Expr, Symbol

from relusym.errors import Undecided
from relusym.facts import Enclosed, Real
from relusym.signs import sign_of

Function: TypeAlias = Callable[[arb], arb]

MAX_BITS = 4096
"""How far precision climbs before a question is left open."""

_FUNCTIONS: dict[type, Callable[[arb], arb]] = {
    sympy.exp: arb.exp,
    sympy.log: arb.log,
    sympy.erf: arb.erf,
    sympy.erfc: arb.erfc,
    sympy.sin: arb.sin,
    sympy.cos: arb.cos,
    sympy.tanh: arb.tanh,
    sympy.sinh: arb.sinh,
    sympy.cosh: arb.cosh,
    sympy.atan: arb.atan,
    sympy.asinh: arb.asinh,
    sympy.asin: arb.asin,
    sympy.Abs: abs,
    sympy.LambertW: arb.lambertw,
}
_CONSTANTS: dict[Expr, Callable[[], arb]] = {
    sympy.pi: arb.pi,
    sympy.E: arb.const_e,
}


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic with this many bits inside the block."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def compiled(expr: Expr, *symbols: Symbol) -> Callable[..., arb]:
    """`expr` as a function of balls, at the precision in force when it is called.

    The result encloses every value of `expr` on the balls; it is not finite where one lies outside the
    domain. Raises `Undecided` for a function that has no ball here.
    """
    if expr in symbols:
        index = symbols.index(expr)
        return lambda *at: at[index]
    if expr.is_Rational:
        p, q = int(expr.p), int(expr.q)
        return (lambda *at: arb(p)) if q == 1 else (lambda *at: arb(fmpq(p, q)))
    if expr in _CONSTANTS:
        constant = _CONSTANTS[expr]
        return lambda *at: constant()
    if not expr.args:
        raise Undecided(f"{expr} is no number")
    if expr.is_number:
        return _remembered(expr)
    return _operation(expr, [compiled(argument, *symbols) for argument in expr.args])


def _remembered(expr: Expr) -> Callable[..., arb]:
    """A constant, computed once for each precision."""
    evaluate = _operation(expr, [compiled(argument) for argument in expr.args])
    known: dict[int, arb] = {}

    def value(*at: arb) -> arb:
        if ctx.prec not in known:
            known[ctx.prec] = evaluate()
        return known[ctx.prec]

    return value


def _operation(expr: Expr, operands: list[Callable[..., arb]]) -> Callable[..., arb]:
    if expr.is_Add:
        return lambda *at: sum((operand(*at) for operand in operands[1:]), operands[0](*at))
    if expr.is_Mul:

        def product(*at: arb) -> arb:
            value = operands[0](*at)
            for operand in operands[1:]:
                value = value * operand(*at)
            return value

        return product
    if expr.is_Pow:
        return _power(expr, *operands)
    if expr.func in (sympy.Max, sympy.Min):

        def extreme(*at: arb) -> arb:
            value = operands[0](*at)
            for operand in operands[1:]:
                value = value.max(operand(*at)) if expr.func is sympy.Max else value.min(operand(*at))
            return value

        return extreme
    if expr.func in _FUNCTIONS and len(operands) == 1:
        function, (operand,) = _FUNCTIONS[expr.func], operands
        return lambda *at: function(operand(*at))
    raise Undecided(f"{expr.func.__name__} cannot be enclosed")


def _power(expr: Expr, base: Callable[..., arb], exponent: Callable[..., arb]) -> Callable[..., arb]:
    if expr.exp.is_Integer:
        n = int(expr.exp)
        return (lambda *at: integer_power(base(*at), n)) if n >= 0 else (lambda *at: 1 / integer_power(base(*at), -n))
    if expr.exp.is_Rational and expr.exp.q == 2:
        n = int(expr.exp.p)
        if n > 0:
            return lambda *at: integer_power(base(*at).sqrt(), n)
        return lambda *at: 1 / integer_power(base(*at).sqrt(), -n)
    if expr.base is sympy.E:
        return lambda *at: exponent(*at).exp()
    return lambda *at: (base(*at).log() * exponent(*at)).exp()


def integer_power(base: arb, n: int) -> arb:
    """base**n for n >= 0, tight for even powers; python-flint's own is nan on a ball that holds 0."""
    if n % 2 == 0 and n and base.contains(0):
        top = base.abs_upper()
        return top if top == 0 or not top.is_finite() else arb(0).union(integer_power(top, n))
    value = arb(1)
    for bit in bin(n)[2:]:
        value = value * value
        if bit == "1":
            value = value * base
    return value


def value_of(expr: Expr, bits: int) -> arb:
    """A ball around a number, of relative radius below 2**-bits; exact zero where the number is zero.

    Raises `Undecided` where `MAX_BITS` bits beyond those asked for do not reach it.
    """
    evaluate = compiled(expr)
    return climbed(evaluate, bits, lambda: sign_of(expr) == 0, str(expr))


def climbed(evaluate: Callable[[], arb], bits: int, is_zero: Callable[[], bool], name: str) -> arb:
    """Evaluate at growing precision until the ball is small enough."""
    working = bits + 24
    while working <= bits + MAX_BITS:
        with precision(working):
            ball = evaluate()
            if ball.is_finite() and (ball.rad() == 0 or ball.rel_accuracy_bits() > bits):
                return ball
        if working == bits + 24 and ball.is_finite() and ball.contains(0) and is_zero():
            return arb(0)
        working *= 2
    raise Undecided(f"{name} is not enclosed to {bits} bits by {working // 2} bits of precision")


def enclosure(value: Real, bits: int) -> arb:
    """A ball of relative radius below 2**-bits around a finite number."""
    return value.enclose(bits) if isinstance(value, Enclosed) else value_of(value, bits)


def combined(definition: str, operation: Callable[..., arb], *values: Real) -> Enclosed:
    """The number that an operation on balls makes of other numbers; it must not be zero."""

    def enclose(bits: int) -> arb:
        return climbed(
            lambda: operation(*(enclosure(value, ctx.prec) for value in values)), bits, lambda: False, definition
        )

    return Enclosed(definition, enclose)


def sign(number: Expr) -> int | None:
    """The sign of an exact number: by a ball where it is not zero, else by `sign_of`; None where open."""
    try:
        evaluate = compiled(number)
    except Undecided:
        return sign_of(number)
    for bits in (64, 256):
        with precision(bits):
            ball = evaluate()
        if ball > 0 or ball < 0:
            return 1 if ball > 0 else -1
    return sign_of(number)


def order(one: Real, other: Real) -> int | None:
    """The sign of one - other, proved; None where it cannot be told (equal numbers without closed forms)."""
    if one is other or one == other:
        return 0
    for first, second, direction in ((one, other, 1), (other, one, -1)):
        if first is sympy.oo or second is -sympy.oo:
            return direction
    if isinstance(one, Expr) and isinstance(other, Expr):
        return sign(one - other)
    for bits in (64, 256, 1024):
        difference = enclosure(one, bits) - enclosure(other, bits)
        if difference > 0:
            return 1
        if difference < 0:
            return -1
    return None
