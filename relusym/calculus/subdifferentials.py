"""What the derivative is where there is none: Clarke intervals, and the value chosen by a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import sympy
from sympy import Expr, Max, Min

from relusym.activation import Number, exact
from relusym.calculus.limits import one_sided_limit
from relusym.errors import InvalidSubgradient, Undecided
from relusym.pieces import Piece, Pieces
from relusym.signs import equal, sign_of

Policy: TypeAlias = str | int | float | Fraction | Expr | Mapping[Expr | int | Fraction, Number]
"""least-norm, left, right, midpoint; one number for every kink; or a number for each kink."""

NAMED_POLICIES = ("least-norm", "left", "right", "midpoint")


@dataclass(frozen=True)
class Kink:
    """A breakpoint without a derivative.

    `left` and `right` are the one-sided slopes, ±oo where unbounded and NaN where there is no limit;
    `chosen` is then NaN. `clarke` is None at a jump of f and where a slope is not finite.
    """

    at: Expr
    left: Expr
    right: Expr
    clarke: tuple[Expr, Expr] | None
    chosen: Expr
    in_clarke: bool


def kinks(
    pieces: Pieces,
    *,
    policy: Policy = "least-norm",
    stated: Mapping[Expr, Expr] | None = None,
    outside_clarke: bool = False,
) -> tuple[Kink, ...]:
    """Every breakpoint where f jumps or its one-sided slopes differ, from left to right.

    Raises `InvalidSubgradient` as `choose` does.
    """
    found = []
    for place in pieces.breakpoints:
        left, right = slopes(pieces, place)
        continuous = is_continuous_at(pieces, place)
        if continuous and equal(left, right) and left.is_finite is not False:
            continue
        chosen = chosen_slope(pieces, place, policy, stated, outside_clarke=outside_clarke)
        clarke = clarke_interval(left, right) if continuous else None
        inside = clarke is not None and chosen is not sympy.nan and _contains(left, right, chosen, policy)
        found.append(Kink(place, left, right, clarke, chosen, inside))
    return tuple(found)


def chosen_slope(
    pieces: Pieces,
    place: Expr,
    policy: Policy = "least-norm",
    stated: Mapping[Expr, Expr] | None = None,
    *,
    outside_clarke: bool = False,
) -> Expr:
    """The derivative used at a breakpoint: the true one where it exists, else by `stated` or the policy.

    `stated` (what the definition's source says) wins under the default policy. NaN where a one-sided slope is
    infinite or absent, unless a number is asked for.
    """
    left, right = slopes(pieces, place)
    continuous = is_continuous_at(pieces, place)
    if continuous and left.is_finite is not False and left is not sympy.nan and equal(left, right):
        return left
    if policy == "least-norm" and stated:
        for point, value in stated.items():
            if equal(sympy.sympify(point), place):
                policy = value
                break
    return choose(left, right, policy, place, outside_clarke=outside_clarke or not continuous)


def choose(left: Expr, right: Expr, policy: Policy, at: Expr, *, outside_clarke: bool = False) -> Expr:
    """The value a policy takes between two one-sided limits at the point `at`; exact.

    A slope may be in symbols, such as a parameter that stays an argument; it must then be one of the two limits.
    Raises `InvalidSubgradient` for an unknown policy, for a mapping without this point, and for a value
    outside the Clarke interval unless `outside_clarke` says that this is meant; `Undecided` where the place of a
    slope in symbols is not known.
    """
    if isinstance(policy, Mapping):
        given = [value for point, value in policy.items() if equal(sympy.sympify(point), at)]
        if not given:
            raise InvalidSubgradient(f"the policy gives no value for the kink at {at}; add {{{at}: value}}")
        return choose(left, right, _slope(given[0]), at, outside_clarke=outside_clarke)
    if not isinstance(policy, str):
        value = _slope(policy)
        if not outside_clarke and not _contains(left, right, value, policy):
            raise InvalidSubgradient(
                f"{value} at the kink {at} is outside the Clarke interval "
                f"[{Min(left, right)}, {Max(left, right)}]; choose one inside it, or say outside_clarke=True"
            )
        return value
    if policy not in NAMED_POLICIES:
        raise InvalidSubgradient(
            f"subgradient policy {policy!r} is unknown; known: {', '.join(NAMED_POLICIES)}, a number, "
            "or a mapping from kinks to numbers, which relusym.conventions.resolved makes of a convention's name"
        )
    if not (_is_number(left) and _is_number(right)):
        return sympy.nan
    if policy == "left":
        return left
    if policy == "right":
        return right
    if policy == "midpoint":
        return sympy.expand((left + right) / 2)
    return _least_norm(left, right)


def clarke_interval(left: Expr, right: Expr) -> tuple[Expr, Expr] | None:
    """[min, max] of the one-sided slopes of a continuous function; None where one is not finite."""
    if not (_is_number(left) and _is_number(right)):
        return None
    direction = sign_of(right - left)
    if direction is None:
        return Min(left, right), Max(left, right)
    return (left, right) if direction >= 0 else (right, left)


def slopes(pieces: Pieces, place: Expr) -> tuple[Expr, Expr]:
    """The limits of f' from the left and from the right of a breakpoint."""
    before, after = around(pieces, place)
    variable = pieces.variable
    left, right = (
        one_sided_limit(Piece(piece.expr.diff(variable), piece.lower, piece.upper), place, variable)
        for piece in (before, after)
    )
    return left, right


def is_continuous_at(pieces: Pieces, place: Expr) -> bool:
    """Whether both one-sided limits of f at a breakpoint equal the value there (for general parameters)."""
    before, after = around(pieces, place)
    value = pieces.values[pieces.breakpoints.index(place)]
    return all(equal(one_sided_limit(piece, place, pieces.variable), value) is True for piece in (before, after))


def around(pieces: Pieces, place: Expr) -> tuple[Piece, Piece]:
    """The pieces to the left and to the right of a breakpoint."""
    index = pieces.breakpoints.index(place)
    return pieces.pieces[index], pieces.pieces[index + 1]


def _least_norm(left: Expr, right: Expr) -> Expr:
    """The number nearest to 0 in the interval between two numbers."""
    signs = sign_of(left), sign_of(right)
    if 0 in signs or signs in ((1, -1), (-1, 1)):
        return sympy.S.Zero
    lower, upper = clarke_interval(left, right) or (left, right)
    if signs == (1, 1):
        return lower
    if signs == (-1, -1):
        return upper
    return Max(lower, Min(upper, 0))


def _slope(value: Number) -> Expr:
    """A number, exact, or an expression in symbols."""
    return value if isinstance(value, Expr) and value.free_symbols else exact(value)


def _contains(left: Expr, right: Expr, value: Expr, policy: Policy) -> bool:
    if isinstance(policy, str) and policy in NAMED_POLICIES and value == choose(left, right, policy, sympy.S.Zero):
        return True
    if left is sympy.nan or right is sympy.nan:
        return False
    beyond_left = sign_of(value - left) if left.is_finite else _sign_at_infinity(left)
    beyond_right = sign_of(value - right) if right.is_finite else _sign_at_infinity(right)
    if beyond_left == 0 or beyond_right == 0:
        return True
    if beyond_left is None or beyond_right is None:
        raise Undecided(f"whether {value} lies between {left} and {right} depends on the parameters; give them values")
    return beyond_left != beyond_right


def _sign_at_infinity(end: Expr) -> int | None:
    return {sympy.oo: -1, -sympy.oo: 1}.get(end)


def _is_number(value: Expr) -> bool:
    return value is not sympy.nan and value.is_infinite is not True
