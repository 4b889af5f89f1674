"""Which term of a sum c x**n exp(q(x)) wins at infinity, from where on, and what limit that makes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import sympy
from flint import arb, arb_poly
from sympy import Expr, Poly, Rational

from relusym.balls import compiled, integer_power, precision, sign
from relusym.calculus.forms import Field, Term
from relusym.errors import Undecided

_BOUNDS = [Rational(n, 2) for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 128, 256, 1024, 4096)]


@dataclass(frozen=True)
class Tail:
    """Beyond `bound` (towards `side` * oo) the sum has this sign: `dominant` outweighs all other terms there."""

    side: int
    bound: Expr
    sign: int
    dominant: Expr


def tail(field: Field, polynomial: Any, side: int) -> Tail:
    """A bound beyond which a polynomial of the field has the sign of its dominant term; a proof.

    With t = side * x, the ratio of any other term to the dominant one decreases beyond the bound, since t
    times its logarithmic derivative has no positive coefficient in powers of t - bound; and at the bound the
    ratios sum to less than 1. Raises `Undecided` for generators that are no exponentials of polynomials.
    """
    terms = _towards(field, polynomial, side)
    dominant = functools.reduce(_Growing.larger, terms)
    others = [term.over(dominant) for term in terms if term is not dominant]
    for bound in _BOUNDS:
        if all(ratio.decreases_beyond(bound) for ratio in others) and _total(others, bound) < 1:
            direction = sign(dominant.coefficient)
            if not direction:
                raise Undecided(f"the sign of {dominant.coefficient} is not known")
            return Tail(side, side * bound, direction, dominant.expression(field.variable * side))
    raise Undecided(f"no tail of {field.expression(polynomial)} found")


def limit(field: Field, element: Any, side: int) -> Expr:
    """The limit of an element of the field at side * oo, exact; `Undecided` as for `tail`."""
    if not element.numer:
        return sympy.S.Zero
    above, below = (
        functools.reduce(_Growing.larger, _towards(field, part, side)) for part in (element.numer, element.denom)
    )
    quotient = above.over(below)
    growth = quotient.grows()
    if growth < 0:
        return sympy.S.Zero
    if growth == 0:
        return quotient.coefficient
    direction = sign(quotient.coefficient)
    if not direction:
        raise Undecided(f"the sign of {quotient.coefficient} is not known")
    return direction * sympy.oo


def leading(field: Field, element: Any, side: int) -> Expr:
    """The dominant term of an element at side * oo: their quotient tends to 1. `Undecided` as for `tail`."""
    above, below = (
        functools.reduce(_Growing.larger, _towards(field, part, side)) for part in (element.numer, element.denom)
    )
    return above.over(below).expression(field.variable * side)


@dataclass(frozen=True)
class _Growing:
    """coefficient * t**power * exp(exponent(t)) for t = side * x > 0; the exponent by coefficients of t, t**2, ..."""

    coefficient: Expr
    power: int
    exponent: tuple[Expr, ...]

    def over(self, other: _Growing) -> _Growing:
        length = max(len(self.exponent), len(other.exponent))
        one, two = (part + (sympy.S.Zero,) * (length - len(part)) for part in (self.exponent, other.exponent))
        difference = tuple(a - b for a, b in zip(one, two, strict=True))
        return _Growing(self.coefficient / other.coefficient, self.power - other.power, difference)

    def grows(self) -> int:
        """The sign of log|self| at infinity; 0 for a constant."""
        for coefficient in reversed(self.exponent):
            direction = sign(coefficient)
            if direction is None:
                raise Undecided(f"the sign of {coefficient} is not known")
            if direction:
                return direction
        return (self.power > 0) - (self.power < 0)

    def larger(self, other: _Growing) -> _Growing:
        return self if self.over(other).grows() >= 0 else other

    def decreases_beyond(self, bound: Rational) -> bool:
        with precision(96):
            rate = arb_poly([arb(self.power), *(k * compiled(c)() for k, c in enumerate(self.exponent, 1))])
            shifted = rate(arb_poly([compiled(bound)(), 1]))
            return all(coefficient <= 0 for coefficient in shifted.coeffs())

    def size_at(self, bound: Rational) -> arb:
        t = compiled(bound)()
        exponent = sum((compiled(c)() * integer_power(t, k) for k, c in enumerate(self.exponent, 1)), arb(0))
        scale = integer_power(t, abs(self.power))
        size = abs(compiled(self.coefficient)()) * exponent.exp()
        return size * scale if self.power >= 0 else size / scale

    def expression(self, t: Expr) -> Expr:
        """The term in t, as text for people."""
        exponent = sum((c * t**k for k, c in enumerate(self.exponent, 1)), sympy.S.Zero)
        return self.coefficient * t**self.power * sympy.exp(exponent)


def _total(ratios: list[_Growing], bound: Rational) -> arb:
    with precision(96):
        return sum((ratio.size_at(bound) for ratio in ratios), arb(0))


def _towards(field: Field, polynomial: Any, side: int) -> list[_Growing]:
    bases = {symbol: _coefficients(base, side) for symbol, base in field.exponents.items()}
    return [_growing(field, term, bases, side) for term in field.terms(polynomial)]


def _coefficients(base: Poly, side: int) -> tuple[Expr, ...]:
    """Of t, t**2, ... where the polynomial, without constant term, is one in x = side * t."""
    return tuple(c * side**k for k, c in enumerate(reversed(base.all_coeffs())))[1:]


def _growing(field: Field, term: Term, bases: dict[Any, tuple[Expr, ...]], side: int) -> _Growing:
    growing = _Growing(term.coefficient * side**term.power, term.power, ())
    for symbol, power in term.generators.items():
        if symbol not in bases:
            raise Undecided(f"the growth of {field.meaning[symbol]} is not known here")
        slower = _Growing(sympy.S.One, 0, tuple(-power * c for c in bases[symbol]))
        growing = growing.over(slower)
    return growing
