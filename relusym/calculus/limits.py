"""One-sided limits, taken on smooth pieces only."""

from __future__ import annotations

import functools

import sympy
from sympy import Expr, Symbol

from relusym.activation import x
from relusym.deadline import within
from relusym.errors import Undecided
from relusym.pieces import Piece, Pieces

SECONDS = 5.0
"""How long SymPy may think about one limit."""


def one_sided_limit(piece: Piece, at: Expr, variable: Symbol = x) -> Expr:
    """Limit of `piece.expr` at an end of its interval (±oo included), taken from inside.

    Exact: a number or an expression in the parameters, ±oo, or NaN where no limit exists; never a float.
    Raises `Undecided` when SymPy finds none within its time.
    """
    assert at in (piece.lower, piece.upper), f"{at} is no end of ({piece.lower}, {piece.upper})"
    return _limit(piece.expr, variable, at, "-" if at == piece.upper else "+")


def limits_at_infinity(pieces: Pieces) -> tuple[Expr, Expr]:
    """The limits at -oo and at +oo; NaN where none exists."""
    first, last = pieces.pieces[0], pieces.pieces[-1]
    return (
        one_sided_limit(first, -sympy.oo, pieces.variable),
        one_sided_limit(last, sympy.oo, pieces.variable),
    )


@functools.lru_cache(maxsize=1024)
def _limit(expr: Expr, variable: Symbol, at: Expr, side: str) -> Expr:
    if not expr.has(variable):
        return expr
    if at.is_finite is not False:
        # Where every part is finite the branch is continuous, and the limit is the value.
        value = expr.subs(variable, at)
        if _is_settled(value) and _parts_are_finite(expr, variable, at):
            return value
    try:
        limit = within(SECONDS, lambda: sympy.limit(expr, variable, at, side))
    except (ValueError, TypeError, AttributeError, sympy.PoleError) as failure:
        raise Undecided(f"limit of {expr} at {variable} = {at}: {failure}") from failure
    except Undecided as reason:
        raise Undecided(f"limit of {expr} at {variable} = {at}: {reason}") from None
    if limit.has(sympy.AccumBounds):
        return sympy.nan
    if limit.has(sympy.Limit) or limit.has(sympy.zoo):
        raise Undecided(f"limit of {expr} at {variable} = {at}: SymPy returns {limit}")
    return limit


def _is_settled(value: Expr) -> bool:
    return not value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.AccumBounds, sympy.I)


def _parts_are_finite(expr: Expr, variable: Symbol, at: Expr) -> bool:
    return all(
        _is_settled(node.subs(variable, at))
        for node in sympy.preorder_traversal(expr)
        if isinstance(node, Expr) and node.has(variable)
    )
