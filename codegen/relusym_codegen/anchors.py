"""Polynomials around the roots of a formula, where its terms cancel.

Near a root r no formula of rounded terms keeps its digits. There the value is (x - r) q(x - r): the difference is
taken from r in two floats, q is fitted to the exact function by balls. How far from the root the polynomial serves is
read off the error of the formula itself.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import sympy
from flint import arb, arb_mat, fmpq
from sympy import Expr, Symbol

from relusym.balls import precision
from relusym.floats import Format
from relusym_codegen.enclosures import enclosure
from relusym_codegen.literals import nearest
from relusym_codegen.program import Builder, Constant, Operand

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Anchor:
    """On abs(x - root) <= reach the value is (x - root) q(x - root), `coefficients` of q lowest first."""

    root: Constant
    reach: float
    coefficients: tuple[Constant, ...]

    def select(self, b: Builder, variable: Operand, otherwise: Operand, factors: Sequence[Operand]) -> Operand:
        """The polynomial times the factors where it serves, else the other value."""
        distance = b("sub", variable, self.root)
        value, *rest = reversed(self.coefficients)
        result: Operand = float(value)
        for coefficient in rest:
            result = b("add", b("mul", result, distance), coefficient)
        near = b("le", b("abs", distance), self.reach)
        product = functools.reduce(functools.partial(b, "mul"), factors, b("mul", distance, result))
        return b("select", near, product, otherwise)


def anchors(
    expr: Expr,
    variable: Symbol,
    x: Floats,
    error: Callable[[float, float], float],
    *,
    tolerable: float,
    work: Format,
    result: Format,
) -> list[Anchor]:
    """Anchors for every root between neighbouring sample points `x` (sorted, inside one smooth piece).

    `error` gives the largest error of the formula in ulps at a distance from a root, and up to twice as far; where it
    is at most `tolerable` even next to a root (a product one of whose factors vanishes exactly) none is needed. A root
    without a change of sign is not found.
    """
    found = []
    for root in _roots(expr, variable, tuple(x[:: max(1, x.size // _SCANNED)])):
        reach = _reach(root, error, tolerable)
        while reach is not None:
            with precision(256):
                anchor = _fitted(expr, variable, root, reach, work, result)
            if anchor is not None:
                found.append(anchor)
                break
            # too wide for a polynomial: one over half of it still helps most where it matters most
            reach = reach / 2 if reach > 2.0**-16 else None
    return found


_SCANNED = 400
"""Points at which signs are taken."""


@lru_cache(maxsize=256)
def _roots(expr: Expr, variable: Symbol, x: tuple[float, ...]) -> list[Fraction]:
    """Roots between neighbouring points between which the sign changes, by balls."""
    points = [Fraction(float(at)) for at in x]
    signs = [_sign(expr, variable, at) for at in points]
    return [
        _root(expr, variable, low, high)
        for low, high, one, other in zip(points, points[1:], signs, signs[1:], strict=False)
        if one * other < 0
    ]


def _sign(expr: Expr, variable: Symbol, at: Fraction) -> int:
    ball = enclosure(expr, variable, at)
    return 0 if ball is None else (ball > 0) - (ball < 0)


def _root(expr: Expr, variable: Symbol, low: Fraction, high: Fraction) -> Fraction:
    """The root between two points of different sign, to 2^-200 of its size, by bisection and secants."""
    if low < 0 < high and _sign(expr, variable, Fraction(0)) == 0:
        return Fraction(0)  # halving would come close to it for ever
    rising = _sign(expr, variable, high) > 0
    for _ in range(240):
        middle = (low + high) / 2
        sign = _sign(expr, variable, middle)
        if sign == 0:
            return middle
        if (sign > 0) == rising:
            high = middle
        else:
            low = middle
        if high - low < abs(high) * Fraction(1, 2**180):
            break
    return (low + high) / 2


def _reach(root: Fraction, error: Callable[[float, float], float], tolerable: float) -> float | None:
    """The distance beyond which the formula's error is tolerable, a power of two or one and a half times one.

    Where it is nowhere tolerable, the distance beyond which it is least; None where no anchor is needed.
    """
    reaches = [mantissa * 2.0**exponent for exponent in range(-20, 1) for mantissa in (1.0, 1.5)]
    worst = []
    for reach in reaches:
        worst.append(error(float(root), reach))
        if worst[-1] <= tolerable:
            return None if len(worst) == 1 else reach
    return reaches[int(np.argmin(worst))]


def _fitted(expr: Expr, variable: Symbol, root: Fraction, reach: float, work: Format, result: Format) -> Anchor | None:
    bits = min(work.precision, result.precision + 10) + 2
    for degree in range(3, 41):
        coefficients = _interpolant(expr, variable, root, Fraction(reach), degree)
        if coefficients is None:
            return None
        if _misses(expr, variable, root, reach, coefficients) < 2.0**-bits:
            if any(abs(value) > work.max for value in coefficients):
                return None  # of a steep function, beyond the format; a shorter reach takes a lower degree
            rounded = tuple(_constant(value, work) for value in coefficients)
            return Anchor(_constant(root, work), reach, rounded)
    return None


def _ratio(expr: Expr, variable: Symbol, root: Fraction, distance: Fraction) -> arb | None:
    ball = enclosure(expr, variable, root + distance)
    return None if ball is None else ball / arb(fmpq(distance.numerator, distance.denominator))


@lru_cache(maxsize=256)
def _interpolant(
    expr: Expr, variable: Symbol, root: Fraction, reach: Fraction, degree: int
) -> tuple[Fraction, ...] | None:
    """Coefficients of the polynomial through q at Chebyshev nodes, none of which is the root itself."""
    count = degree + 1
    nodes = [
        Fraction(math.cos(math.pi * (2 * k + 1) / (2 * count)) if 2 * k + 1 != count else 2.0**-12) * reach
        for k in range(count)
    ]
    values = [_ratio(expr, variable, root, node) for node in nodes]
    if any(value is None for value in values):
        return None
    scaled = [fmpq((node / reach).numerator, (node / reach).denominator) for node in nodes]
    rows = arb_mat([[arb(node) ** k for k in range(count)] for node in scaled])
    solution = rows.solve(arb_mat([[value] for value in values]))
    found = []
    for k in range(count):
        mantissa, exponent = solution[k, 0].mid().man_exp()
        found.append(Fraction(int(mantissa)) * Fraction(2) ** int(exponent) / reach**k)
    return tuple(found)


def _misses(expr: Expr, variable: Symbol, root: Fraction, reach: float, coefficients: tuple[Fraction, ...]) -> float:
    """Largest relative error of the polynomial at points between the nodes."""
    worst = 0.0
    for step in range(-15, 16):
        distance = Fraction(reach) * Fraction(2 * step + 1, 31)
        exact = _ratio(expr, variable, root, distance)
        assert exact is not None
        value = sum((c * distance**k for k, c in enumerate(coefficients)), Fraction(0))
        worst = max(worst, abs(float((exact - arb(fmpq(value.numerator, value.denominator))) / exact)))
    return worst


def _constant(value: Fraction, work: Format) -> Constant:
    high = nearest(sympy.Rational(value.numerator, value.denominator), work)
    rest = value - Fraction(high)
    return Constant(high, nearest(sympy.Rational(rest.numerator, rest.denominator), work))
