"""Certificates: sign tables and breakpoints as plain data, for a second program to check again."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr, Symbol

from relusym.balls import sign
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.sign_tables import SignTable, tables
from relusym.calculus.subdifferentials import around
from relusym.errors import Undecided
from relusym.pieces import Piece, Pieces
from relusym.printing import grammar_text

ORDERS = (0, 1, 2, 3)
_MAX_ORDER = 8  # of a zero at an end


def certificate(pieces: Pieces) -> dict[str, Any]:
    """Pieces, breakpoints with their one-sided limits, and the sign tables of f, f', f'' and f'''.

    Numbers are text in the formula grammar; a table that is unknown is left out.
    """
    return {
        "variable": str(pieces.variable),
        "pieces": [
            {"lower": _text(piece.lower), "upper": _text(piece.upper), "expr": grammar_text(piece.expr)}
            for piece in pieces.pieces
        ],
        "breakpoints": [
            {"at": _text(at), "value": _text(value), "limits": [_limits(pieces, at, order) for order in ORDERS]}
            for at, value in zip(pieces.breakpoints, pieces.values, strict=True)
        ],
        "tables": [entry for order in ORDERS for entry in _tables(pieces, order)],
    }


def _tables(pieces: Pieces, order: int) -> list[dict[str, Any]]:
    try:
        found = tables(pieces, order)
    except Undecided:
        return []
    return [_table(pieces, index, order, table) for index, table in enumerate(found)]


def _table(pieces: Pieces, index: int, order: int, table: SignTable) -> dict[str, Any]:
    expr = pieces.pieces[index].expr.diff(pieces.variable, order)
    return {
        "piece": index,
        "order": order,
        "vanishes": table.vanishes,
        "window": [_text(end) for end in table.window],
        "order_at_lower": None if table.vanishes else _vanishing(expr, pieces.variable, table.lower),
        "order_at_upper": None if table.vanishes else _vanishing(expr, pieces.variable, table.upper),
        "zeros": [
            {
                "lower": _rational(low),
                "upper": _rational(high),
                "exact": _text(zero.at) if isinstance(zero.at, Expr) else None,
                "multiplicity": zero.multiplicity,
            }
            for zero, (low, high) in zip(table.zeros, table.isolating, strict=True)
        ],
        "signs": list(table.signs),
        "period": None if table.period is None else _text(table.period),
        "outside_window": list(table.reasons),
    }


def _vanishing(expr: Expr, variable: Symbol, end: Expr) -> int | None:
    """How many of g, g', g'', ... vanish at a finite end, one after the other; None where that is not known."""
    if end.is_infinite:
        return None
    for order in range(_MAX_ORDER):
        value = expr.subs(variable, end)
        direction = sign(value) if value.is_finite and value.is_real else None
        if direction is None:
            return None
        if direction:
            return order
        expr = expr.diff(variable)
    return None


def _limits(pieces: Pieces, at: Expr, order: int) -> list[str | None]:
    found = []
    for piece in around(pieces, at):
        part = Piece(piece.expr.diff(pieces.variable, order), piece.lower, piece.upper)
        try:
            limit = one_sided_limit(part, at, pieces.variable)
        except Undecided:
            limit = sympy.nan
        found.append(None if limit is sympy.nan else _text(limit))
    return found


def _text(number: Expr) -> str:
    return grammar_text(number)


def _rational(number: Fraction) -> str:
    return f"{number.numerator}/{number.denominator}"
