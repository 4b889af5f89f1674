"""How smooth a function of pieces is: the order up to which the one-sided limits meet at the breakpoints."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr

from relusym.calculus.limits import one_sided_limit
from relusym.calculus.subdifferentials import around
from relusym.errors import Undecided
from relusym.pieces import Piece, Pieces
from relusym.signs import equal

HIGHEST_ORDER = 8


@dataclass(frozen=True)
class Continuity:
    """f is C^order (-1: it jumps, oo: smooth), no better as long as none of `differences` vanishes.

    `differences` are the gaps that the parameters can close; empty where the order holds for all of them.
    """

    order: Expr
    differences: tuple[Expr, ...] = ()


def continuity_class(pieces: Pieces) -> Continuity:
    """The largest k such that f is k times continuously differentiable on the whole line.

    Raises `Undecided` when all derivatives up to order 8 meet at a breakpoint, or a limit is not found.
    """
    order: Expr = sympy.oo
    differences: list[Expr] = []
    for place in pieces.breakpoints:
        here, difference = _order_at(pieces, place)
        if here < order:
            order, differences = sympy.Integer(here), []
        if here == order and difference is not None:
            differences.append(difference)
    return Continuity(order, tuple(differences))


def _order_at(pieces: Pieces, place: Expr) -> tuple[int, Expr | None]:
    value: Expr | None = pieces.values[pieces.breakpoints.index(place)]
    for order in range(HIGHEST_ORDER + 1):
        left, right = (
            one_sided_limit(
                Piece(piece.expr.diff(pieces.variable, order), piece.lower, piece.upper),
                place,
                pieces.variable,
            )
            for piece in around(pieces, place)
        )
        if not (left.is_finite and right.is_finite):
            if left.is_finite is None and right.is_finite is None and left == right:
                continue
            return order - 1, None
        for difference in (left - right, left - value if value is not None else sympy.S.Zero):
            same = equal(difference, sympy.S.Zero)
            if not same:
                return order - 1, None if same is False else difference
        value = None
    raise Undecided(f"the derivatives up to order {HIGHEST_ORDER} meet at {pieces.variable} = {place}")
