"""What a formula needs at an infinite end: a clamp of its operand, an asymptote, a limit.

A lowered formula is run on a lattice of large inputs up to the largest float and infinity, and compared with balls
around the exact value. Where the formula holds everywhere nothing is added. Where it does not (0 * inf, inf - inf,
an overflow before a division) a threshold T is searched beyond which the exact function equals its asymptote to
less than an eighth of an ulp; the operand is clamped to T and, unless the clamped formula already gives the
asymptote, a select takes it. Thresholds are derived for each work format, never typed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import sympy
from flint import arb
from sympy import Expr, Symbol

from relusym.floats import Format
from relusym_codegen.enclosures import enclosure
from relusym_codegen.program import Builder, Program, evaluate
from relusym_codegen.translation import translate


@dataclass(frozen=True)
class Tail:
    """Beyond `threshold` (a positive float; None: no clamp needed) the kernel returns `asymptote`.

    `asymptote` None means that the clamped formula gives the right value itself. `limit` is set where only the
    infinite input needs a value of its own. `defects` lists finite inputs that no remedy reached.
    """

    threshold: float | None = None
    asymptote: Expr | None = None
    limit: Expr | None = None
    defects: tuple[float, ...] = ()


def tail(expr: Expr, variable: Symbol, side: int, form: Format, native: frozenset[str]) -> Tail:
    """The remedy for `expr`, a formula of the stable family, at `side` (+1 or -1) infinity."""
    limit = limit_at_infinity(expr, variable, side)
    probes = _probes(form)
    wrong = [at for at in probes if not _holds(expr, variable, side * at, form, native)]
    at_infinity = _run(expr, variable, side * np.inf, form, native)
    infinity_holds = _same(at_infinity, limit, form)
    if not wrong and infinity_holds:
        return Tail()
    asymptote = _asymptote(expr, variable, side, limit)
    if asymptote is not None:
        found = _threshold(expr, asymptote, variable, side, form)
        if found is not None:
            for threshold in (found * 1.125**step for step in range(12)):
                clamped = _run(expr, variable, side * threshold, form, native)
                constant = not asymptote.has(variable)
                if constant and _same(clamped, asymptote, form):
                    return Tail(threshold, None, None, tuple(at for at in wrong if at < threshold))
                if not (constant and asymptote == 0 and np.isfinite(clamped)):
                    break
            return Tail(found, asymptote, None, tuple(at for at in wrong if at < found))
    return Tail(None, None, None if infinity_holds else limit, tuple(wrong))


def _probes(form: Format) -> list[float]:
    exponents = [*range(12), *range(12, form.max_exponent, max(1, form.max_exponent // 60))]
    return [*(2.0**e * m for e in exponents for m in (1.0, 1.4375)), form.max]


@lru_cache(maxsize=64)
def _program(expr: Expr, variable: Symbol, form: Format, native: frozenset[str]) -> Program:
    b = Builder(("x",), form, native)
    return b.program(translate(b, expr, {variable: "x"}))


def _run(expr: Expr, variable: Symbol, at: float, form: Format, native: frozenset[str]) -> float:
    return float(evaluate(_program(expr, variable, form, native), {"x": np.array(at)})[0])


def _holds(expr: Expr, variable: Symbol, at: float, form: Format, native: frozenset[str]) -> bool:
    got = _run(expr, variable, at, form, native)
    if expr.has(sympy.sin, sympy.cos):
        return bool(np.isfinite(got))  # the sine of a large argument is not promised
    ball = enclosure(expr, variable, Fraction(at))
    if ball is None:
        return bool(np.isfinite(got))
    want = _as_float(ball)
    if abs(want) >= form.max:
        return abs(got) >= form.max / 4 and (got > 0) == (want > 0)
    slack = 2.0**-6 * abs(want) + 64 * form.smallest_subnormal * max(1.0, at if at < 4096 else 1.0)
    return bool(abs(got - want) <= slack)


def _as_float(ball: arb) -> float:
    """Nearest double; ±inf beyond its range."""
    return float(ball.mid())


def _same(got: float, want: Expr, form: Format) -> bool:
    if want is sympy.nan:
        return bool(np.isnan(got))
    if want in (sympy.oo, -sympy.oo):
        return got == (np.inf if want is sympy.oo else -np.inf)
    exact = float(sympy.N(want, 30))
    return bool(abs(got - exact) <= abs(exact) * form.epsilon)


_FAR = ((600, 900), (40, 60), (8, 12), (4, 5))
"""Pairs of binary exponents at which a limit is read off, the farthest that balls reach first."""


def limit_at_infinity(expr: Expr, variable: Symbol, side: int) -> Expr:
    """The limit at infinity as balls show it: a number, ±oo, or nan where the function settles nowhere.

    Numerical evidence, good enough to choose code by; the judge compares the kernel with the exact limit.
    """
    for near, far in _FAR:
        first = enclosure(expr, variable, Fraction(side * 2**near))
        second = enclosure(expr, variable, Fraction(side * 2**far))
        if first is not None and second is not None:
            if _oscillates(expr, variable, side, near):
                return sympy.nan
            return _settled(first, second, near, far)
    return sympy.nan


def _oscillates(expr: Expr, variable: Symbol, side: int, exponent: int) -> bool:
    """Whether a formula with sines in it takes both signs far out."""
    if not expr.has(sympy.sin, sympy.cos):
        return False
    balls = [enclosure(expr, variable, Fraction(side * (16 + step) * 2 ** (exponent - 4))) for step in range(16)]
    signs = {ball > 0 for ball in balls if ball is not None}
    return len(signs) > 1


def _settled(first: arb, second: arb, near: int, far: int) -> Expr:
    tiny = arb(2) ** (-far // 4)
    if abs(first) < tiny and abs(second) < tiny:
        return sympy.S.Zero
    if abs(first - second) < arb(2) ** -50:
        return _recognised(second)
    # a power grows past 2^(far/4); a logarithm by the factor far / near from the first point to the second
    growth = abs(second / first) / (arb(far) / near)
    if abs(second) > 1 / tiny or (growth > arb("0.95") and growth < arb("1.05")):
        return sympy.oo if second > 0 else -sympy.oo
    return sympy.nan


def _recognised(ball: arb) -> Expr:
    """A rational with a denominator up to 1,000 within 2^-60, or the midpoint as a long decimal."""
    middle = sympy.Float(ball.mid().str(60, radius=False), 60)
    simple = sympy.Rational(middle).limit_denominator(1000)
    return simple if abs(simple - middle) < sympy.Float(2) ** -60 else sympy.Rational(middle)


def _asymptote(expr: Expr, variable: Symbol, side: int, limit: Expr) -> Expr | None:
    if limit is sympy.nan:
        return None
    if limit not in (sympy.oo, -sympy.oo):
        return limit
    slope = limit_at_infinity(expr / variable, variable, side)
    if slope in (sympy.oo, -sympy.oo, sympy.nan) or slope == 0:
        return None
    shift = limit_at_infinity(expr - slope * variable, variable, side)
    return None if shift in (sympy.oo, -sympy.oo, sympy.nan) else slope * variable + shift


def _threshold(expr: Expr, asymptote: Expr, variable: Symbol, side: int, form: Format) -> float | None:
    """Smallest quarter power of two beyond which exact and asymptote agree, checked at eight larger points."""

    def close(quarter: int) -> bool:
        at = Fraction(2.0 ** (quarter / 4))
        ball = enclosure(expr, variable, side * at)
        if ball is None:
            return False
        if asymptote == 0:
            return bool(abs(ball) < arb(form.smallest_subnormal) / 4)
        want = enclosure(asymptote, variable, side * at)
        gap = enclosure(expr - asymptote, variable, side * at)
        if want is None:
            return False
        bound = abs(want) * form.epsilon / 8
        return bool(gap < bound and -gap < bound) if gap is not None else bool(abs(ball - want) < bound)

    low, high = -8, 4 * form.max_exponent - 4
    if not close(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if close(middle) else (middle, high)
    if not all(close(min(high + step, 4 * form.max_exponent - 4)) for step in (1, 2, 3, 5, 8, 13, 40, 200)):
        return None
    return float(np.float32(2.0 ** (high / 4))) if high / 4 < 127 else 2.0 ** (high // 4)
