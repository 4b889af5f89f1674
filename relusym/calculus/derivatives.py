"""Derivatives of pieces: by the variable, of any order, and by a parameter."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Symbol

from relusym.calculus.limits import one_sided_limit
from relusym.calculus.subdifferentials import NAMED_POLICIES, Policy, around, choose, chosen_slope
from relusym.errors import InvalidRequest
from relusym.pieces import Piece, Pieces
from relusym.signs import equal


def derivative(
    pieces: Pieces,
    order: int = 1,
    *,
    policy: Policy = "least-norm",
    stated: Mapping[Expr, Expr] | None = None,
    outside_clarke: bool = False,
) -> Pieces:
    """The derivative of this order, with the breakpoints of `pieces` and a value stated at each of them.

    The value is the common one-sided limit where f is differentiable so often, else what the policy makes of
    the one-sided limits of this derivative (`stated` wins over the default policy, for the first derivative
    only; a policy of numbers is about the first derivative too: higher ones then take the least norm). NaN
    where a one-sided limit is infinite or absent.

    Raises `InvalidSubgradient` for a value outside the Clarke interval, and `Undecided` where a limit is not
    found.
    """
    if order < 0:
        raise InvalidRequest(f"order {order}: a derivative has an order of 0, 1, 2, ...")
    if order == 0:
        return pieces
    variable = pieces.variable
    result = tuple(Piece(piece.expr.diff(variable, order), piece.lower, piece.upper) for piece in pieces.pieces)
    if order == 1:
        values = [
            chosen_slope(pieces, place, policy, stated, outside_clarke=outside_clarke) for place in pieces.breakpoints
        ]
    else:
        named = policy if policy in NAMED_POLICIES else "least-norm"
        values = _glued(Pieces(variable, result, pieces.breakpoints, pieces.values), named)
    return Pieces(variable, result, pieces.breakpoints, tuple(values))


def parameter_gradient(pieces: Pieces, symbol: Symbol, *, policy: Policy = "least-norm") -> Pieces:
    """The derivative by a parameter, on the same breakpoints.

    At a breakpoint that does not move with the parameter it is the derivative of the value there; at a moving
    one the common one-sided limit, or what the policy makes of the two.
    """
    result = tuple(Piece(piece.expr.diff(symbol), piece.lower, piece.upper) for piece in pieces.pieces)
    gradient = Pieces(pieces.variable, result, pieces.breakpoints, pieces.values)
    glued = _glued(gradient, policy if policy in NAMED_POLICIES else "least-norm")
    values = [
        limit if place.has(symbol) else value.diff(symbol)
        for place, value, limit in zip(pieces.breakpoints, pieces.values, glued, strict=True)
    ]
    return Pieces(pieces.variable, result, pieces.breakpoints, tuple(values))


def _glued(pieces: Pieces, policy: Policy) -> list[Expr]:
    """A value at each breakpoint from the one-sided limits there: the common one, or the policy's."""
    values = []
    for place in pieces.breakpoints:
        left, right = (one_sided_limit(piece, place, pieces.variable) for piece in around(pieces, place))
        same = left.is_finite is not False and equal(left, right)
        values.append(left if same else choose(left, right, policy, place))
    return values
