"""Exact numbers to floats of a format: rounded once, to nearest or downwards."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import sympy
from sympy import Expr

from relusym.floats import Format

_DIGITS = 400
"""Decimal digits to which an irrational constant is evaluated before its one rounding."""


@lru_cache(maxsize=4096)
def fraction(value: Expr) -> Fraction:
    """A rational number as it is; an irrational one to 400 digits, far below any format's spacing."""
    if isinstance(value, sympy.Rational):
        return Fraction(int(value.p), int(value.q))
    number = sympy.N(value, _DIGITS)
    assert isinstance(number, sympy.Float), f"{value} is no real number"
    sign, mantissa, exponent, _ = number._mpf_
    return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)


def nearest(value: Expr, form: Format) -> float:
    """The float of `form` nearest to `value`, ties to even; ±inf beyond its range, NaN stays NaN."""
    if value is sympy.nan:
        return float("nan")
    if value in (sympy.oo, -sympy.oo):
        return float("inf") if value is sympy.oo else float("-inf")
    exact = fraction(value)
    quantum = _quantum(exact, form)
    return _scaled(round(exact / quantum), quantum, form)


def below(value: Expr, form: Format) -> float:
    """The largest float of `form` that is not above `value`."""
    exact = fraction(value)
    quantum = _quantum(exact, form)
    return _scaled((exact / quantum).__floor__(), quantum, form)


def is_exact(value: Expr, form: Format) -> bool:
    """Whether `value` is itself a float of `form`."""
    return isinstance(value, sympy.Rational) and Fraction(nearest(value, form)) == fraction(value)


def _quantum(exact: Fraction, form: Format) -> Fraction:
    """The ulp of the binade that holds `exact`."""
    if exact == 0:
        return Fraction(1)
    magnitude = abs(exact)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    return Fraction(2) ** (max(exponent, form.min_exponent) - form.precision + 1)


def _scaled(count: int, quantum: Fraction, form: Format) -> float:
    value = count * quantum
    if abs(value) > Fraction(form.max):
        return float("inf") if value > 0 else float("-inf")
    return float(value)
