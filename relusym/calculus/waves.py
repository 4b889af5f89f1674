"""Zeros of periodic functions: polynomials in sines and cosines of commensurable multiples of x."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol
from sympy.simplify.fu import TR8

from relusym.calculus.forms import common_step
from relusym.errors import Undecided


@dataclass(frozen=True)
class PeriodicZeros:
    """The zeros in [start, start + period), with their multiplicities; `start` is not one of them."""

    period: Expr
    start: Expr
    zeros: tuple[tuple[Expr, int], ...]


def periodic_zeros(expr: Expr, variable: Symbol) -> PeriodicZeros:
    """All zeros of a function of sin(w x) and cos(w x) for commensurable w; exact, `Undecided` otherwise.

    With t = tan(w x / 2) for the common frequency w the function is a fraction of polynomials in t, and t
    runs through the line, with one point at infinity, in a period.
    """
    function = sum_of_waves(expr)
    waves = sorted(function.atoms(sympy.sin, sympy.cos), key=str)
    step = _common_frequency(waves, variable)
    period = 2 * sympy.pi / step
    t = sympy.Dummy("t", real=True)
    tangents = {wave: _in_half_tangents(wave, variable, step, t) for wave in waves}
    above, below = sympy.fraction(sympy.together(function.xreplace(tangents)))
    polynomial = sympy.Poly(sympy.expand(above), t)
    zeros: list[tuple[Expr, int]] = []
    for factor, multiplicity in polynomial.factor_list()[1]:
        if factor.degree() > 2:
            raise Undecided(f"the zeros of {function} are not found exactly")
        zeros += [(2 * sympy.atan(root) / step, multiplicity) for root in sympy.roots(factor) if root.is_real]
    at_infinity = sympy.Poly(sympy.expand(below), t).degree() - polynomial.degree()
    if at_infinity > 0:
        zeros.append((period / 2, at_infinity))
    zeros.sort(key=lambda zero: float(zero[0]))
    start = -period / 2 if at_infinity <= 0 else (zeros[0][0] - period / 2) / 2
    return PeriodicZeros(period, start, tuple(zeros))


def sum_of_waves(expr: Expr) -> Expr:
    """Products and powers of sin and cos as sums."""
    form = sympy.expand(expr)
    for _ in range(4):
        following = sympy.expand(TR8(form))
        if following == form:
            break
        form = following
    return form


def _common_frequency(waves: list[Expr], variable: Symbol) -> Expr:
    """The largest w > 0 of which all frequencies are integer multiples."""
    frequencies = []
    for wave in waves:
        argument = wave.args[0]
        rate = argument.diff(variable)
        if rate.has(variable) or (argument - rate * variable).expand() != 0:
            raise Undecided(f"the period of {wave} is not found")
        frequencies.append(rate)
    if not frequencies:
        raise Undecided("no wave is left")
    ratios = [sympy.nsimplify(frequency / frequencies[0]) for frequency in frequencies]
    if not all(ratio.is_Rational for ratio in ratios):
        raise Undecided(f"the frequencies {frequencies} have no common period")
    return sympy.Abs(frequencies[0] * functools.reduce(common_step, ratios))


def _in_half_tangents(wave: Expr, variable: Symbol, step: Expr, t: Symbol) -> Expr:
    """sin(n w x) or cos(n w x) by t = tan(w x / 2): parts of (1 - t**2 + 2 i t)**n / (1 + t**2)**n."""
    n = int(sympy.nsimplify(wave.args[0].diff(variable) / step))
    real, imaginary = sympy.expand((1 - t**2 + 2 * sympy.I * t) ** abs(n)).as_real_imag()
    part = real if isinstance(wave, sympy.cos) else imaginary * (1 if n > 0 else -1)
    return part / (1 + t**2) ** abs(n)
