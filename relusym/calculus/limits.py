"""One-sided limits, taken on smooth pieces only."""

from __future__ import annotations

import contextlib
import functools
import itertools

import sympy
from sympy import Expr, Symbol

from relusym.activation import x
from relusym.calculus import growth
from relusym.calculus.forms import field_of
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


@functools.lru_cache(maxsize=4096)
def _limit(expr: Expr, variable: Symbol, at: Expr, side: str) -> Expr:
    if not expr.has(variable):
        return expr
    if expr == variable:
        return at
    if expr.is_Pow and expr.exp.has(variable):
        # limit(2**x, x, -oo) is oo in SymPy 1.14; the same power written with exp is 0.
        expr = sympy.exp(expr.exp * sympy.log(expr.base), evaluate=False)
    by_parts = _limit_by_parts(expr, variable, at, side)
    if by_parts is not None:
        return by_parts
    if at.is_infinite:
        with contextlib.suppress(Undecided):
            return growth.limit(*field_of(expr, variable), 1 if at is sympy.oo else -1)
    try:
        limit = within(SECONDS, lambda: sympy.limit(expr, variable, at, side))
    except (ValueError, TypeError, AttributeError, sympy.PoleError) as failure:
        raise Undecided(f"limit of {expr} at {variable} = {at}: {failure}") from failure
    except Undecided as reason:
        raise Undecided(f"limit of {expr} at {variable} = {at}: {reason}") from None
    if limit.has(sympy.AccumBounds):
        return sympy.nan
    if not _is_settled(limit):
        raise Undecided(f"limit of {expr} at {variable} = {at}: SymPy returns {limit}")
    if at.is_infinite and not _is_plausible(expr, variable, 1 if at is sympy.oo else -1, limit):
        raise Undecided(f"limit of {expr} at {variable} = {at}: SymPy returns {limit}, far from values on the way")
    return limit


def _is_plausible(expr: Expr, variable: Symbol, direction: int, limit: Expr) -> bool:
    """Whether values far out fit the limit; no proof, a guard (True where parameters forbid it)."""
    if expr.free_symbols - {variable} or not (limit.is_number or limit.is_infinite):
        return True
    function = sympy.lambdify(variable, expr, "math")
    values = []
    for distance in (30.0, 300.0, 1e4, 1e8):
        with contextlib.suppress(ArithmeticError, ValueError, TypeError, NameError):
            values.append(float(function(direction * distance)))
    if limit.is_infinite:
        sign = 1 if limit is sympy.oo else -1
        pairs = list(itertools.pairwise(values))
        return not pairs or any(sign * far > 0 and sign * near < sign * far for near, far in pairs)
    goal = float(limit)
    return not values or any(abs(value - goal) <= 0.25 * max(1.0, abs(goal)) for value in values)


def _limit_by_parts(expr: Expr, variable: Symbol, at: Expr, side: str) -> Expr | None:
    """What the limits of the operands make of it; None where that is no answer (0 * oo, oo - oo, sin(oo)).

    Every function of a smooth branch is continuous where its operands are finite, and the ones that have
    limits at ±oo are evaluated there by SymPy. Shorter, faster and tidier than the series of `sympy.limit`.
    """
    if not (expr.is_Add or expr.is_Mul or expr.is_Function or (expr.is_Pow and not expr.exp.has(variable))):
        return None
    try:
        operands = [_limit(argument, variable, at, side) for argument in expr.args]
    except Undecided:
        return None
    if sympy.nan in operands:
        return None
    value = expr.func(*operands)
    return value if _is_settled(value) else None


def _is_settled(value: Expr) -> bool:
    """An infinity, or an expression free of them and of everything that is no number."""
    infinities = (sympy.oo, -sympy.oo)
    return value in infinities or not value.has(
        *infinities, sympy.nan, sympy.zoo, sympy.I, sympy.AccumBounds, sympy.Limit
    )
