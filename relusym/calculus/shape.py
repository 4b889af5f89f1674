"""The shape of a function, read off its sign tables: zeros, sign, monotone and convex parts, inflections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import sympy
from sympy import Expr

from relusym.balls import sign
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.sets import compare, point, union
from relusym.calculus.sign_tables import SignTable, tables
from relusym.calculus.subdifferentials import around, is_continuous_at, slopes
from relusym.errors import Undecided
from relusym.facts import Interval, Real, RealSet
from relusym.pieces import Pieces


@dataclass(frozen=True)
class Run:
    """An interval, open, on which a derivative keeps its sign (zeros that do not change it aside)."""

    lower: Real
    upper: Real
    sign: int


def zeros(pieces: Pieces) -> RealSet:
    """Where f is zero: points, and intervals with their ends where f is zero there too."""
    parts: list[Interval] = []
    for table in tables(pieces):
        if table.period is not None:
            return RealSet(tuple(point(zero.at) for zero in table.zeros), table.period)
        if table.vanishes:
            parts.append(Interval(table.lower, table.upper, False, False))
        parts += [point(zero.at) for zero in table.zeros]
    parts += [point(at) for at, value in _at_breakpoints(pieces) if _sign(value) == 0]
    return union(parts)


def sign_sets(pieces: Pieces) -> dict[str, RealSet]:
    """Where f is positive and where it is negative."""
    return {word: _where(pieces, wanted) for word, wanted in (("positive", 1), ("negative", -1))}


def _where(pieces: Pieces, wanted: int) -> RealSet:
    found = tables(pieces)
    parts = [
        Interval(cell.lower, cell.upper, False, False) for table in found for cell in table.cells if cell.sign == wanted
    ]
    parts += [point(at) for at, value in _at_breakpoints(pieces) if _sign(value) == wanted]
    return union(parts, found[0].period)


def dead_region(pieces: Pieces) -> RealSet:
    """The intervals on which f' is zero; an end belongs to it where f' exists there and is zero."""
    parts = [Interval(t.lower, t.upper, False, False) for t in tables(pieces, 1) if t.vanishes]
    ends = {end for part in parts for end in (part.inf, part.sup)}
    for at in pieces.breakpoints:
        if at in ends and is_continuous_at(pieces, at) and all(_sign(slope) == 0 for slope in slopes(pieces, at)):
            parts.append(point(at))
    return union(parts)


def monotonicity(pieces: Pieces) -> str:
    """Strictly increasing, increasing, strictly decreasing, decreasing, constant, or none."""
    found = tables(pieces, 1)
    signs = {direction for table in found for direction in table.signs}
    steps = {_sign(step) for at in pieces.breakpoints for step in _steps(pieces, at)}
    if signs | steps <= {0}:
        return "constant"
    for wanted, word in ((1, "increasing"), (-1, "decreasing")):
        if signs | steps <= {0, wanted}:
            return word if 0 in signs else f"strictly {word}"
    return "none"


def convexity(pieces: Pieces) -> str:
    """convex, concave, affine, or none; a function that jumps is none of them."""
    if not all(is_continuous_at(pieces, at) for at in pieces.breakpoints):
        return "none"
    bends = {direction for table in tables(pieces, 2) for direction in table.signs}
    for at in pieces.breakpoints:
        left, right = slopes(pieces, at)
        bends.add(compare(right, left))
    if bends <= {0}:
        return "affine"
    if bends <= {0, 1}:
        return "convex"
    return "concave" if bends <= {0, -1} else "none"


def monotone_runs(pieces: Pieces) -> tuple[tuple[Run, ...], Expr | None]:
    """The longest intervals on which f rises, falls or is constant, and their period if they repeat."""
    found = tables(pieces, 1)
    return _with_period(found, _runs(found, [is_continuous_at(pieces, at) for at in pieces.breakpoints]))


def curvature_runs(pieces: Pieces) -> tuple[tuple[Run, ...], Expr | None]:
    """The longest intervals on which f is convex (1), concave (-1) or affine (0); f may be both sides of a kink."""
    found = tables(pieces, 2)
    smooth = []
    for at, (left, right) in zip(pieces.breakpoints, pairwise(found), strict=True):
        bends = left.signs[-1], right.signs[0]
        joined = is_continuous_at(pieces, at)
        step = compare(*reversed(slopes(pieces, at))) if joined else None
        smooth.append(joined and (step == 0 or (step == bends[0] == bends[1])))
    return _with_period(found, _runs(found, smooth))


def inflections(pieces: Pieces) -> RealSet:
    """Where f has a tangent and turns from convex to concave or back."""
    found = tables(pieces, 2)
    parts = [point(zero.at) for table in found for zero in table.zeros if zero.multiplicity % 2]
    for at, (left, right) in zip(pieces.breakpoints, pairwise(found), strict=True):
        if left.signs[-1] * right.signs[0] < 0 and is_continuous_at(pieces, at):
            one, other = slopes(pieces, at)
            if one.is_finite and other.is_finite and compare(one, other) == 0:
                parts.append(point(at))
    return union(parts, found[0].period)


def _runs(found: Sequence[SignTable], joined: Sequence[bool]) -> tuple[Run, ...]:
    """Neighbouring cells of one sign as one; over a breakpoint only where `joined`."""
    runs: list[Run] = []
    for table, joins in zip(found, [False, *joined], strict=True):
        for index, cell in enumerate(table.cells):
            run = Run(cell.lower, cell.upper, cell.sign)
            if runs and runs[-1].sign == run.sign and (index or joins):
                runs[-1] = replace(runs[-1], upper=run.upper)
            else:
                runs.append(run)
    return tuple(runs)


def _with_period(found: Sequence[SignTable], runs: tuple[Run, ...]) -> tuple[tuple[Run, ...], Expr | None]:
    """Runs of one period, unless one run goes on for ever."""
    if found[0].period is not None and len(runs) == 1:
        return (replace(runs[0], lower=-sympy.oo, upper=sympy.oo),), None
    return runs, found[0].period


def _steps(pieces: Pieces, at: Expr) -> tuple[Expr, Expr]:
    """How far f jumps up into the breakpoint and out of it."""
    before, after = (one_sided_limit(piece, at, pieces.variable) for piece in around(pieces, at))
    value = pieces.values[pieces.breakpoints.index(at)]
    return value - before, after - value


def _at_breakpoints(pieces: Pieces) -> Iterator[tuple[Expr, Expr]]:
    return zip(pieces.breakpoints, pieces.values, strict=True)


def _sign(number: Expr) -> int:
    if number.is_infinite:
        return 1 if number is sympy.oo else -1
    found = sign(number)
    if found is None:
        raise Undecided(f"the sign of {number} is not known")
    return found
