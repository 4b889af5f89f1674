"""What is proved of the function, as laws without a tolerance: its range, where it rises and falls, its reflections.

A result beyond an end of the range that f approaches is wrong whatever an ulp is. A kernel that is right to an ulp may
fail to rise from one float to the next, or to be odd to the last bit: that is reported, not judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import sympy

from relusym.calculus.bounds import extremum
from relusym.calculus.derivatives import derivative
from relusym.calculus.shape import Run, monotone_runs
from relusym.calculus.symmetry import Reflection, reflections
from relusym.errors import Undecided
from relusym.facts import Enclosed, Real
from relusym.floats import Array, Format, format_of, ulp
from relusym.judge.reports import Finding, hex_of
from relusym.pieces import Pieces

Floats = npt.NDArray[np.float64]


def outside_range(pieces: Pieces, order: int, x: Array, got: Array, value: Array) -> Iterator[Finding]:
    """Results of f (order 0) or f' (order 1) beyond an end of its range, where a float of the format equals that end.

    `pieces` are those of f, `value` the correctly rounded values: as long as the results lie between the least and
    the greatest of them nothing needs to be proved.
    """
    form = format_of(x.dtype)
    with np.errstate(all="ignore"):
        results, values = got.astype(np.float64), value.astype(np.float64)
    if not np.any(np.isfinite(values)):
        return
    for direction, beyond, least in ((1, np.less, np.nanmin(values)), (-1, np.greater, np.nanmax(values))):
        if not np.any(beyond(results, least)):
            continue
        end = _end(pieces, order, direction)
        if end is None or not _is_float_of(end, form):
            continue
        wrong = np.flatnonzero(beyond(results, end) & ~np.isnan(x))
        if wrong.size:
            first = wrong[np.argmin(np.abs(x[wrong].astype(np.float64)))]
            at, shown = hex_of(x[first]), hex_of(got[first])
            side, limit = ("below", "at least") if direction > 0 else ("above", "at most")
            told = f"{side} all values of the function at x = {at}: got {shown}, proved to be {limit} {hex_of(end)}"
            yield Finding(
                kind="range",
                input=at,
                got=shown,
                expected=hex_of(end),
                ulps=0.0,
                message=told,
                count=int(wrong.size),
                defect="range",
            )


@lru_cache(maxsize=128)
def _end(pieces: Pieces, order: int, direction: int) -> float | None:
    """The infimum (direction 1) or supremum (-1), if a float equals it and it is approached, or taken on an interval.

    Around a single point where it is taken, results that are right to an ulp may lie beyond it by an ulp.
    """
    try:
        value, attained, where = extremum(derivative(pieces, policy="left") if order else pieces, direction)
    except Undecided:
        return None
    if isinstance(value, Enclosed) or value.is_Rational is not True:
        return None
    if attained and all(part.inf == part.sup for part in where.components):
        return None
    number = float(value)
    return number if sympy.Rational(number) == value else None


def _is_float_of(number: float, form: Format) -> bool:
    return bool(np.float64(np.array(number).astype(form.dtype)) == number)


@lru_cache(maxsize=128)
def _runs(pieces: Pieces) -> tuple[Run, ...]:
    try:
        runs, period = monotone_runs(pieces)
    except Undecided:
        return ()
    return () if period is not None else runs


def not_monotone(pieces: Pieces, x: Array, got: Array) -> str:
    """How often results fall where f is proved to rise, or the reverse, in words; empty where never."""
    finite = np.isfinite(x)
    order = np.argsort(x[finite].astype(np.float64), kind="stable")
    inputs, results = x[finite][order].astype(np.float64), got[finite][order]
    values = results.astype(np.float64)
    count, worst, at = 0, 0.0, ""
    for run in _runs(pieces):
        ends = [_near(run.lower), _near(run.upper)]
        inside = np.flatnonzero((inputs > ends[0]) & (inputs < ends[1]))
        if run.sign == 0 or inside.size < 2:
            continue
        here = values[inside]
        with np.errstate(all="ignore"):
            back = -np.diff(here) * run.sign
            ulps = back / ulp(results[inside][1:])
        falling = np.flatnonzero(back > 0)
        if falling.size:
            count += int(falling.size)
            largest = falling[np.nanargmax(ulps[falling])]
            if ulps[largest] > worst:
                worst, at = float(ulps[largest]), hex_of(inputs[inside][largest + 1])
    if not count:
        return ""
    return f"not monotone where f is: {count:,} steps the wrong way, by up to {worst:.3g} ulp, at x = {at}"


def _near(end: Real) -> float:
    if isinstance(end, Enclosed):
        return float(end.enclose(60))
    return float(end)


@lru_cache(maxsize=128)
def _reflections(pieces: Pieces) -> tuple[Reflection, ...]:
    try:
        return reflections(pieces)
    except Undecided:
        return ()


def not_reflected(pieces: Pieces, x: Array, got: Array) -> Iterator[str]:
    """By how much a proved identity of f(x) and f(-x) is missed, in words, where it is."""
    with np.errstate(all="ignore"):
        inputs, results = x.astype(np.float64), got.astype(np.float64)
        usable = np.isfinite(inputs) & np.isfinite(results)
        inputs, results = inputs[usable], results[usable]
        spacing = ulp(got[usable])
        _, here, there = np.intersect1d(inputs, -inputs, return_indices=True)
        if not here.size:
            return
        for reflection in _reflections(pieces):
            side = {"1": np.ones(here.size), "x": inputs[here], "|x|": np.abs(inputs[here]), "0": np.zeros(here.size)}
            wanted = float(reflection.factor) * side[reflection.of]
            missed = np.abs(results[here] - reflection.sign * results[there] - wanted)
            ulps = missed / np.maximum(spacing[here], spacing[there])
            worst = int(np.nanargmax(ulps))
            if ulps[worst] > 2:
                at = hex_of(inputs[here][worst])
                yield f"{reflection.text} is missed by up to {ulps[worst]:.3g} ulp, at x = {at}"
