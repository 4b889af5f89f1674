"""A definition over an interval as an exact line and a rest: on which side of the line its values lie.

Far out x - tanh(x) is x - 1 and a rest of 2 exp(-2x), smaller than any working precision of balls can keep beside
it: as one ball the value holds x - 1 inside. As a sum of both it does not. What saturates - tanh, erf, an exponential
that falls beside a number - is taken apart here, sums and products keep their terms apart, and everything else is a
rest alone. The sign of a rest is kept beside its ball: over an interval an exponential spans so many orders of
magnitude that the ball holds 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import sympy

from relusym.series import Balls, Builder, Definition, Outside, Retry, Side, flint_settings

PRECISION = 128
"""Bits of balls; the sign of a rest needs few of them."""


@dataclass(frozen=True)
class Beside:
    """Values slope * x + offset + rest: the line exactly, the rest of a strict sign and at most this large."""

    slope: Fraction
    offset: Fraction
    sign: int
    largest: float


def beside(definition: Definition, low: float, high: float) -> Beside | None:
    """The function on [low, high] as a line and a rest of one sign, or None where it is not known to be that.

    Of derivatives nothing is known.
    """
    if definition.order or definition.wrt is not None:
        return None
    with flint_settings():
        flint.ctx.prec, flint.ctx.cap = PRECISION, 1
        algebra = _Sums(definition, low, high)
        try:
            value = Builder(definition, algebra).build(definition.activation.expr)(algebra.variable)
        except (Retry, Outside):
            return None
        if value.exact.degree() > 1 or not value.sign:
            return None
        slope, offset = (Fraction(int(value.exact[k].p), int(value.exact[k].q)) for k in (1, 0))
        return Beside(slope, offset, value.sign, float(value.rest[0].abs_upper()) * (1 + 2.0**-20) + 2.0**-1074)


@dataclass(frozen=True)
class _Sum:
    """`exact`, a polynomial in x over the rationals, and `rest`, a series of one term over the interval.

    `sign` is that of the rest where it is strictly of one sign, else 0.
    """

    algebra: _Sums
    exact: Any
    rest: Any
    sign: int

    def __add__(self, other: _Sum) -> _Sum:
        return self.algebra.made(self.exact + other.exact, [(self.rest, self.sign), (other.rest, other.sign)])

    def __neg__(self) -> _Sum:
        return _Sum(self.algebra, -self.exact, -self.rest, -self.sign)

    def __mul__(self, other: _Sum) -> _Sum:
        one, two = self.polynomial(), other.polynomial()
        terms = [
            (one * other.rest, _sign(one) * other.sign),
            (two * self.rest, _sign(two) * self.sign),
            (self.rest * other.rest, self.sign * other.sign),
        ]
        return self.algebra.made(self.exact * other.exact, terms)

    def polynomial(self) -> Any:
        """The exact part over the interval."""
        value = flint.arb_series([0])
        for coefficient in reversed(self.exact.coeffs()):
            value = value * self.algebra.point + flint.arb(coefficient)
        return value

    def whole(self) -> Any:
        """Both parts over the interval."""
        return self.polynomial() + self.rest


def _sign(series: Any) -> int:
    leading = series[0]
    return int(leading > 0) - int(leading < 0)


class _Sums:
    """The algebra of such sums."""

    length = 1
    strict = False

    def __init__(self, definition: Definition, low: float, high: float) -> None:
        self.balls = Balls(definition, self.length, self.strict)
        middle = (flint.arb(low) + flint.arb(high)) / 2
        self.point = flint.arb_series([flint.arb(middle, abs(high - low) / 2 * (1 + 2.0**-20))])
        self.variable = self.made([0, 1])

    def made(self, exact: Any, terms: Sequence[tuple[Any, int]] = ()) -> _Sum:
        """A sum whose rest is the sum of these terms, each with its sign: of one sign if all are that are not 0."""
        there = [(term, sign or _sign(term)) for term, sign in terms if not term[0].is_zero()]
        signs = {sign for _, sign in there}
        rest = sum((term for term, _ in there), flint.arb_series([0]))
        return _Sum(self, flint.fmpq_poly(exact), rest, signs.pop() if len(signs) == 1 else 0)

    def _alone(self, rest: Any, sign: int = 0) -> _Sum:
        return self.made(0, [(rest, sign)])

    def number(self, value: sympy.Rational) -> _Sum:
        return self.made([flint.fmpq(int(value.p), int(value.q))])

    def float(self, value: float) -> _Sum:
        return self.made([flint.arb(value).fmpq()])

    def constant(self, name: str) -> _Sum:
        return self._alone(self.balls.constant(name))

    def root(self, u: _Sum, degree: int) -> _Sum:
        return self._alone(self.balls.root(u.whole(), degree))

    def power(self, base: _Sum, exponent: _Sum) -> _Sum:
        return self._alone(self.balls.power(base.whole(), exponent.whole()))

    def inverse(self, u: _Sum) -> _Sum:
        """1/(c + r) = 1/c - r / (c (c + r))."""
        whole = u.whole()
        if u.exact.degree() != 0:
            return self._alone(self.balls.inverse(whole))
        c = u.exact[0]
        divisor = whole * flint.arb(c)
        return self.made([1 / c], [(-u.rest * self.balls.inverse(divisor), -u.sign * _sign(divisor))])

    def function(self, name: str) -> Callable[[_Sum], _Sum]:
        if name in ("tanh", "erf"):
            return self._tanh if name == "tanh" else self._erf
        usual = self.balls.function(name)
        positive = int(name in ("exp", "erfc", "cosh"))
        return lambda u: self._alone(usual(u.whole()), positive)

    def compare(self, left: Side, right: Side, point: _Sum) -> int:
        sign = _sign((left.evaluate(point) + -right.evaluate(point)).whole())
        if not sign:
            raise Retry
        return sign

    def _tanh(self, u: _Sum) -> _Sum:
        """1 - 2 e / (1 + e) with e = exp(-2u) for positive u, and its odd mirror."""
        return self._odd(u, lambda v: 2 * (-2 * v).exp() * self.balls.inverse(1 + (-2 * v).exp()), self.balls.tanh)

    def _erf(self, u: _Sum) -> _Sum:
        return self._odd(u, self.balls.erfc, self.balls.erf)

    def _odd(self, u: _Sum, falling: Callable[[Any], Any], usual: Callable[[Any], Any]) -> _Sum:
        """1 - falling(u) where u is positive, falling(-u) - 1 where it is negative."""
        whole = u.whole()
        sign = _sign(whole)
        return self.made([sign], [(-sign * falling(sign * whole), -sign)]) if sign else self._alone(usual(whole))
