"""Exact comparisons of numbers and of expressions in parameters: a sign, or None when it cannot be told."""

from __future__ import annotations

import functools

import sympy
from sympy import Expr

from relusym.deadline import within
from relusym.errors import Undecided


def sign_of(expr: Expr) -> int | None:
    """-1, 0 or 1 when the sign is the same for all admitted parameters, else None."""
    if expr.is_Rational:
        return int(sympy.sign(expr))
    return _sign_of(expr)


@functools.lru_cache(maxsize=4096)
def _sign_of(expr: Expr) -> int | None:
    if expr in (sympy.oo, -sympy.oo):
        return 1 if expr is sympy.oo else -1
    if expr.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) or expr.is_real is False:
        return None
    try:
        return within(2.0, lambda: _settle(expr))
    except Undecided:
        return None


def _settle(expr: Expr) -> int | None:
    for rewrite in (lambda e: e, sympy.expand, sympy.factor, sympy.simplify):
        form = rewrite(expr)
        if form.is_zero:
            return 0
        if form.is_positive:
            return 1
        if form.is_negative:
            return -1
        if form.is_number and form.is_real is not False:
            number = form.evalf(60, maxn=400)
            if number.is_Float and number._prec > 1 and abs(number) > sympy.Float("1e-50"):
                return 1 if number > 0 else -1
    return None


def equal(one: Expr, other: Expr) -> bool | None:
    """Whether two expressions are the same for all admitted parameters; None when that cannot be told."""
    if one == other:
        return True
    if not (one.is_finite is not False and other.is_finite is not False):
        return False
    difference = sign_of(one - other)
    if difference is not None:
        return difference == 0
    return False if (one - other).is_zero is False else None


def sort_exactly(points: list[Expr]) -> list[Expr]:
    """The points in increasing order, each once; `Undecided` names two that cannot be ordered."""
    ordered: list[Expr] = []
    for point in points:
        signs = [sign_of(point - other) for other in ordered]
        if None in signs:
            raise Undecided(f"{point} and {ordered[signs.index(None)]} cannot be ordered")
        if 0 not in signs:
            ordered.insert(signs.count(1), point)
    return ordered
