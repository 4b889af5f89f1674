"""Unions of intervals and points whose ends are exact numbers or enclosures."""

from __future__ import annotations

from collections.abc import Iterable

from sympy import Expr

from relusym.balls import order
from relusym.errors import Undecided
from relusym.facts import Enclosed, Interval, Real, RealSet


def compare(one: Real, other: Real) -> int:
    """The sign of one - other; `Undecided` where two numbers without closed forms cannot be told apart."""
    sign = order(one, other)
    if sign is None:
        raise Undecided(f"{words(one)} and {words(other)} cannot be told apart")
    return sign


def words(number: Real) -> str:
    """A number in a message."""
    return number.definition if isinstance(number, Enclosed) else str(number)


def point(at: Real) -> Interval:
    """One number as an interval."""
    return Interval(at, at, True, True)


def union(parts: Iterable[Interval], period: Expr | None = None) -> RealSet:
    """The union as disjoint intervals from left to right; those that meet in an attained end are one."""
    ordered: list[Interval] = []
    for part in parts:
        index = sum(1 for other in ordered if _before(other, part))
        ordered.insert(index, part)
    merged: list[Interval] = []
    for part in ordered:
        if merged and _touch(merged[-1], part):
            merged[-1] = _hull(merged[-1], part)
        else:
            merged.append(part)
    return RealSet(tuple(merged), period)


def contains(values: RealSet, number: Real) -> bool:
    """Whether a set without period holds a number."""
    for part in values.components:
        above, below = compare(number, part.inf), compare(part.sup, number)
        if (above > 0 or (above == 0 and part.inf_attained)) and (below > 0 or (below == 0 and part.sup_attained)):
            return True
    return False


def _before(one: Interval, other: Interval) -> bool:
    sign = compare(one.inf, other.inf)
    return sign < 0 or (sign == 0 and (one.inf_attained or not other.inf_attained))


def _touch(left: Interval, right: Interval) -> bool:
    sign = compare(left.sup, right.inf)
    return sign > 0 or (sign == 0 and (left.sup_attained or right.inf_attained))


def _hull(left: Interval, right: Interval) -> Interval:
    sign = compare(left.sup, right.sup)
    same_start = right.inf_attained and compare(left.inf, right.inf) == 0
    if sign == 0:
        sup, attained = left.sup, left.sup_attained or right.sup_attained
    else:
        sup, attained = (left.sup, left.sup_attained) if sign > 0 else (right.sup, right.sup_attained)
    return Interval(left.inf, sup, left.inf_attained or same_start, attained)
