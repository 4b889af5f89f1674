"""Real numbers as decimals with a radius that is a proof."""

from __future__ import annotations

import decimal
import math
from fractions import Fraction

import sympy
from flint import arb
from sympy import Expr

from relusym.balls import enclosure
from relusym.facts import Enclosed, Real

_GUARD = 2  # digits printed beyond those asked for


def decimal_and_radius(value: Real, digits: int) -> tuple[str, str]:
    """A finite number as decimal text, and a bound on |decimal - value|, below 10**-digits times the number.

    The radius is "0" where the decimal is exact. Raises `Undecided` where the number cannot be enclosed so far.
    """
    if isinstance(value, Expr) and value.is_Rational:
        center, radius = Fraction(int(value.p), int(value.q)), Fraction(0)
    else:
        ball = enclosure(value, math.ceil((digits + _GUARD + 1) * math.log2(10)))
        center, radius = _fraction(ball.mid()), _fraction(ball.rad())
    text = _rounded(center, digits + _GUARD)
    return text, _upper(radius + abs(center - Fraction(text)))


def shortened(value: Real, digits: int = 12) -> str:
    """The leading digits, cut off (not rounded), with an ellipsis where more follow."""
    text, radius = decimal_and_radius(value, digits + 4)
    if radius == "0" and len(text.lstrip("-0.").replace(".", "")) <= digits:
        return text
    with decimal.localcontext() as context:
        context.prec, context.rounding = digits, decimal.ROUND_DOWN
        cut = str(+decimal.Decimal(text))
    mantissa, mark, exponent = cut.partition("E")
    return f"{mantissa}…{'e' + exponent if mark else ''}"


def _fraction(ball: arb) -> Fraction:
    mantissa, exponent = ball.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def _rounded(number: Fraction, digits: int) -> str:
    with decimal.localcontext() as context:
        context.prec = digits
        text = str(decimal.Decimal(number.numerator) / decimal.Decimal(number.denominator))
    return text.replace("E+", "e").replace("E", "e")


def _upper(radius: Fraction) -> str:
    if radius == 0:
        return "0"
    with decimal.localcontext() as context:
        context.prec, context.rounding = 3, decimal.ROUND_UP
        return str(decimal.Decimal(radius.numerator) / decimal.Decimal(radius.denominator)).lower().replace("e+", "e")


def is_short(value: Real, operations: int = 8) -> bool:
    """Whether a number has a closed form that a person can take in."""
    return not isinstance(value, Enclosed) and bool(sympy.count_ops(value) <= operations and len(str(value)) <= 40)
