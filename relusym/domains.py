"""Where smooth expressions are real and finite: signs on an interval, and the check of a branch."""

from __future__ import annotations

from collections.abc import Callable

import sympy
from sympy import Dummy, Expr, Rational, Symbol

from relusym.errors import InvalidActivation, Undecided
from relusym.signs import sign_of
from relusym.zeros import exact_zeros

SMOOTH_FUNCTIONS: tuple[type, ...] = (
    sympy.exp,
    sympy.log,
    sympy.sin,
    sympy.cos,
    sympy.sinh,
    sympy.cosh,
    sympy.tanh,
    sympy.asinh,
    sympy.atan,
    sympy.erf,
    sympy.erfc,
)
"""Functions that a branch may use: smooth wherever their argument is real (log: positive)."""


def interior_points(lower: Expr, upper: Expr) -> list[Expr]:
    """A few exact points strictly inside an open interval, the simplest first."""
    if lower is -sympy.oo and upper is sympy.oo:
        return [sympy.Integer(n) for n in (1, -1, 2, -3, 7, -11)]
    if lower is -sympy.oo:
        return [upper - distance for distance in (1, Rational(1, 3), 3, 10)]
    if upper is sympy.oo:
        return [lower + distance for distance in (1, Rational(1, 3), 3, 10)]
    return [lower + (upper - lower) * part for part in (Rational(1, 2), Rational(1, 3), Rational(3, 4))]


def sign_by_assumptions(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> int | None:
    """The sign everywhere in the open interval where SymPy's assumptions see it at once, else None."""
    inside = Dummy("t", positive=True)
    if lower is -sympy.oo and upper is sympy.oo:
        shifted = expr
    elif upper is sympy.oo:
        shifted = expr.subs(variable, lower + inside)
    elif lower is -sympy.oo:
        shifted = expr.subs(variable, upper - inside)
    else:
        shifted = expr.subs(variable, (lower + upper * inside) / (1 + inside))
    for form in (shifted, sympy.expand(shifted)):
        if form.is_positive:
            return 1
        if form.is_negative:
            return -1
    return None


def sign_inside(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> int | None:
    """The sign in an open interval where `expr` is continuous and has no zero (or is constant)."""
    if not expr.has(variable):
        return sign_of(expr)
    by_assumptions = sign_by_assumptions(expr, variable, lower, upper)
    if by_assumptions is not None:
        return by_assumptions
    for point in interior_points(lower, upper):
        sign = sign_of(expr.subs(variable, point))
        if sign:
            return sign
    return None


def check_real_and_finite(
    expr: Expr, variable: Symbol, lower: Expr, upper: Expr, complain: Callable[[str], InvalidActivation]
) -> None:
    """Raise what `complain` makes of the first place in the interval where a smooth branch is no number.

    `complain` takes "what is wrong and where" and gives the error, with the name and the remedy.
    """
    if expr.has(sympy.I) or expr.is_real is False:
        raise complain(f"is not real in ({lower}, {upper})")
    for node in sympy.postorder_traversal(expr):
        if not node.has(variable):
            continue
        if isinstance(node, sympy.log):
            _need_positive(node, node.args[0], variable, lower, upper, complain)
        elif node.is_Pow:
            if node.exp.has(variable):
                _need_positive(node, node.base, variable, lower, upper, complain)
            elif node.exp.is_integer:
                if node.exp.is_nonnegative is not True:
                    _need_no_zero(node, variable, lower, upper, complain)
            else:
                _need_positive(node, node.base, variable, lower, upper, complain)
        elif node.is_Function and not isinstance(node, SMOOTH_FUNCTIONS):
            names = ", ".join(function.__name__ for function in SMOOTH_FUNCTIONS)
            raise complain(f"uses {node.func.__name__}, which is not known here (known: {names})")


def _need_positive(
    node: Expr,
    argument: Expr,
    variable: Symbol,
    lower: Expr,
    upper: Expr,
    complain: Callable[[str], InvalidActivation],
) -> None:
    sign, place = _sign_or_zero(argument, variable, lower, upper)
    if place is not None:
        raise complain(f"has the singular place {variable} = {place} of {node} in ({lower}, {upper})")
    if sign is None:
        raise complain(f"cannot be shown to be real in ({lower}, {upper}), because of {node}")
    if sign <= 0:
        raise complain(f"is not real in ({lower}, {upper}), because of {node}")


def _need_no_zero(
    node: Expr, variable: Symbol, lower: Expr, upper: Expr, complain: Callable[[str], InvalidActivation]
) -> None:
    sign, place = _sign_or_zero(node.base, variable, lower, upper)
    if place is not None:
        raise complain(f"has a pole at {variable} = {place} in ({lower}, {upper}), because of {node}")
    if not sign:
        raise complain(f"cannot be shown to be finite in ({lower}, {upper}), because of {node}")


def _sign_or_zero(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> tuple[int | None, Expr | None]:
    """The sign in the interval, or a zero in it; (None, None) where neither can be told."""
    sign = sign_by_assumptions(expr, variable, lower, upper)
    if sign is not None:
        return sign, None
    try:
        for zero in exact_zeros(expr, variable):
            if _inside(zero, lower, upper):
                return None, zero
        return sign_inside(expr, variable, lower, upper), None
    except Undecided:
        return _sign_by_sampling(expr, variable, lower, upper), None


def _sign_by_sampling(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> int | None:
    """No proof: the sign that several dozen exact points agree on, else None."""
    ends = [end for end in (lower, upper) if end.is_finite]
    steps = [sign * Rational(2) ** n for n in range(-8, 7) for sign in (-1, 1)]
    points = [end + step for end in ends or [sympy.S.Zero] for step in steps]
    signs = {sign_of(expr.subs(variable, point)) for point in points if _inside(point, lower, upper)}
    return signs.pop() if len(signs) == 1 else None


def _inside(point: Expr, lower: Expr, upper: Expr) -> bool:
    """Whether lower < point < upper; raises `Undecided` where the parameters leave it open."""
    for difference in (point - lower, upper - point):
        sign = sign_of(difference)
        if sign is None:
            raise Undecided(f"{point} cannot be placed in ({lower}, {upper})")
        if sign <= 0:
            return False
    return True
