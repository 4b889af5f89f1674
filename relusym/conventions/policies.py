"""A convention's name as a subgradient policy: the mapping from kinks to slopes that it stands for."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr, Max, Min, Symbol

from relusym.activation import Activation
from relusym.calculus.subdifferentials import NAMED_POLICIES, Policy, choose, is_continuous_at, kinks, slopes
from relusym.conventions.holdings import Convention, Entry, Point, convention, full_name, names
from relusym.errors import InvalidSubgradient, Undecided
from relusym.pieces import Pieces, split
from relusym.signs import equal

_INSTEAD = f"choose {', '.join(NAMED_POLICIES)}, a number, or a mapping from each kink to a number"


def resolved(activation: Activation, policy: Policy, values: Mapping[Symbol, Expr]) -> Policy:
    """The policy in terms of this function: a convention's name becomes {kink: slope}, anything else stays as it is.

    `values` are exact values of parameters; one without a value stays a symbol, in kinks and in slopes. A function
    without kinks gives the default policy. Raises `InvalidSubgradient` for a version that is not held, where the
    convention says nothing about a kink, and where its slope is outside the Clarke interval or, for symbols, where
    that cannot be told.
    """
    name = full_name(policy)
    if not isinstance(name, str) or name not in names():
        return policy
    held = convention(name)
    pieces = split(activation, values)
    places = [kink.at for kink in kinks(pieces, policy="left")]
    if places and not held.defines_slopes:
        raise _silent(held, activation, "defines no derivative at any kink")
    entry = held.entry(activation)
    if entry is None:
        if not places:
            return "least-norm"
        kinks_at = ", ".join(map(str, places))
        raise _silent(held, activation, f"says nothing about {activation.name}, whose kinks are at {kinks_at}")
    if places:
        _check_fixed(held, entry, values)
    found: dict[Expr, Expr] = {}
    for place in pieces.breakpoints:
        slope = _slope(held, entry, pieces, place, values)
        if place in places:
            if slope is None:
                raise _silent(held, activation, f"defines no derivative of {activation.name} at {place}")
            found[place] = slope
    return found or "least-norm"


def slope_of(point: Point, left: Expr, right: Expr) -> Expr | None:
    """The slope in symbols, a side being the slope on that side."""
    if point.slope == "left":
        return left
    if point.slope == "right":
        return right
    assert not isinstance(point.slope, str)
    return point.slope


def _slope(held: Convention, entry: Entry, pieces: Pieces, place: Expr, values: Mapping[Symbol, Expr]) -> Expr | None:
    """What the convention takes at a breakpoint, checked; None where it takes nothing."""
    at_place = [point for point in entry.points if equal(_valued(point.at, values), place)]
    left, right = slopes(pieces, place)
    slope = slope_of(at_place[0], left, right) if at_place else None
    if slope is None or not is_continuous_at(pieces, place):
        return None if slope is None else _valued(slope, values)
    slope = _valued(slope, values)
    what = f"{held.name} takes {slope} for the derivative of {entry.activation.name} at {place}"
    try:
        choose(left, right, slope, place)
    except InvalidSubgradient:
        raise InvalidSubgradient(
            f"{what}, outside the Clarke interval [{Min(left, right)}, {Max(left, right)}]; nothing is made with it: "
            f"{_INSTEAD}"
        ) from None
    except Undecided:
        symbols = ", ".join(sorted(map(str, (left - right).free_symbols | slope.free_symbols)))
        raise InvalidSubgradient(
            f"{what}, and whether that lies between {left} and {right} depends on {symbols}; give it a value that is "
            f"folded into the text, or {_INSTEAD}"
        ) from None
    return slope


def _check_fixed(held: Convention, entry: Entry, values: Mapping[Symbol, Expr]) -> None:
    for symbol, value in entry.fixed.items():
        given = values.get(symbol, symbol)
        if equal(given, value) is not True:
            other = "it is passed at each call" if given.free_symbols else f"it is {given}"
            alone = f"has {entry.function} with {symbol} = {value} alone, and here {other}"
            raise _silent(held, entry.activation, alone)


def _silent(held: Convention, activation: Activation, lacks: str) -> InvalidSubgradient:
    return InvalidSubgradient(f"{activation.name}: {held.name} {lacks}; {_INSTEAD}")


def _valued(expr: Expr, values: Mapping[Symbol, Expr]) -> Expr:
    return sympy.sympify(expr.xreplace(dict(values)))
