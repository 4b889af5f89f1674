"""Facts that hold for all values of the parameters, with the conditions on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import sympy
from sympy import Expr, Max

from relusym.calculus.continuity import continuity_class
from relusym.calculus.limits import limits_at_infinity, one_sided_limit
from relusym.calculus.moments import gain, gaussian_moment
from relusym.calculus.subdifferentials import is_continuous_at, kinks, slopes
from relusym.derivation import kink_value
from relusym.domains import sign_by_assumptions
from relusym.errors import Undecided
from relusym.facts import Absent, Fact, Interval, RealSet, Value, Verdict
from relusym.pieces import Piece, Pieces
from relusym.signs import sign_of

Settled: TypeAlias = "tuple[Value, str, tuple[str, ...]]"


def general_facts(pieces: Pieces, derivative: Pieces) -> dict[str, Fact]:
    """What can be said with the parameters left as symbols; statements that cannot be made are left out."""
    found: dict[str, Fact] = {}
    for name, (claim, settle) in _CLAIMS.items():
        try:
            value, method, conditions = settle(pieces, derivative)
        except Undecided:
            continue
        found[name] = Fact(claim, Verdict.PROVED, value, method, conditions=conditions)
    return found


def _continuity(pieces: Pieces, derivative: Pieces) -> Settled:
    found = continuity_class(pieces)
    if found.order is sympy.oo:
        return "infinity", "no breakpoint, or all derivatives agree there", ()
    order = int(found.order)
    return (
        order,
        "one-sided limits of f, f', f'', ... at the breakpoints",
        tuple(f"{difference} != 0" for difference in found.differences),
    )


def _kinks(pieces: Pieces, derivative: Pieces) -> Settled:
    return tuple(map(kink_value, kinks(pieces))), "one-sided limits of f and f' on the smooth pieces", ()


def _convexity(pieces: Pieces, derivative: Pieces) -> Settled:
    """Convex where every piece is and no slope falls at a breakpoint; the other way round for concave."""
    _need_continuity(pieces)
    bends = {_bend(piece, pieces) for piece in pieces.pieces}
    steps = [right - left for left, right in (slopes(pieces, at) for at in pieces.breakpoints)]
    for wanted, word in ((1, "convex"), (-1, "concave")):
        if bends <= {0, wanted}:
            conditions = [_at_least_zero(wanted * step) for step in steps]
            if None not in conditions:
                listed = tuple(condition for condition in conditions if condition)
                return word, "signs of f'' and steps of f'", listed
    raise Undecided("no one curvature for all parameters")


def _at_least_zero(step: Expr) -> str | None:
    """The condition step >= 0 as text: empty where it always holds, None where it never does."""
    sign = sign_of(step)
    if sign is not None:
        return "" if sign >= 0 else None
    if step.is_nonnegative:
        return ""
    symbols = sorted(step.free_symbols, key=str)
    if len(symbols) == 1 and sympy.Poly(step, *symbols).degree() == 1:
        slope, constant = sympy.Poly(step, *symbols).all_coeffs()
        return f"{symbols[0]} {'>=' if slope > 0 else '<='} {-constant / slope}"
    return f"{step} >= 0"


def _monotonicity(pieces: Pieces, derivative: Pieces) -> Settled:
    _need_continuity(pieces)
    signs = {_sign_on(piece, pieces) for piece in derivative.pieces}
    for wanted, word in ((1, "increasing"), (-1, "decreasing")):
        if signs <= {0, wanted}:
            return word if 0 in signs else f"strictly {word}", "signs of f' by the assumptions on the parameters", ()
    raise Undecided("the direction depends on the parameters")


def _range(pieces: Pieces, derivative: Pieces) -> Settled:
    direction, _, _ = _monotonicity(pieces, derivative)
    low, high = limits_at_infinity(pieces)
    attained = [not piece.expr.has(pieces.variable) for piece in (pieces.pieces[0], pieces.pieces[-1])]
    if str(direction).endswith("decreasing"):
        low, high, attained = high, low, attained[::-1]
    return RealSet((Interval(low, high, *attained),)), "f is monotone: limits at both ends", ()


def _lipschitz(pieces: Pieces, derivative: Pieces) -> Settled:
    """Where f' is monotone on every piece, |f'| is greatest at their ends."""
    _need_continuity(pieces)
    sizes = []
    for piece, slope in zip(pieces.pieces, derivative.pieces, strict=True):
        _bend(piece, pieces)
        limits = [one_sided_limit(slope, end, pieces.variable) for end in (slope.lower, slope.upper)]
        if sympy.nan in limits:
            raise Undecided("f' has no limit")
        sizes += [abs(limit) for limit in limits]
    return Max(*sizes), "f' is monotone on every piece: one-sided limits of |f'|", ()


def _ends(of_derivative: bool) -> Callable[[Pieces, Pieces], Settled]:
    def limits(pieces: Pieces, derivative: Pieces) -> Settled:
        found = limits_at_infinity(derivative if of_derivative else pieces)
        value = {
            end: Absent("no limit exists") if limit is sympy.nan else limit
            for end, limit in zip(("-oo", "+oo"), found, strict=True)
        }
        return value, "limit of the outermost smooth pieces", ()

    return limits


def _moment(power: int, *, of_derivative: bool = False, as_gain: bool = False) -> Callable[[Pieces, Pieces], Settled]:
    def moment(pieces: Pieces, derivative: Pieces) -> Settled:
        value = gaussian_moment(derivative if of_derivative else pieces, power)
        if not isinstance(value, Expr):
            raise Undecided("no closed form")
        if as_gain:
            return gain(value), "1 / sqrt of the second moment", ()
        return value, "integrated in closed form", ()

    return moment


def _need_continuity(pieces: Pieces) -> None:
    if not all(is_continuous_at(pieces, at) for at in pieces.breakpoints):
        raise Undecided("f jumps, or may jump")


def _bend(piece: Piece, pieces: Pieces) -> int:
    """The sign of f'' on a piece, the same for all parameters."""
    return _sign_on(Piece(piece.expr.diff(pieces.variable, 2), piece.lower, piece.upper), pieces)


def _sign_on(piece: Piece, pieces: Pieces) -> int:
    if not piece.expr.has(pieces.variable):
        sign = sign_of(piece.expr)
    else:
        factored = sympy.factor(piece.expr)
        sign = sign_by_assumptions(factored, pieces.variable, piece.lower, piece.upper)
    if sign is None:
        raise Undecided(f"the sign of {piece.expr} depends on the parameters")
    return sign


_CLAIMS: Mapping[str, tuple[str, Callable[[Pieces, Pieces], Settled]]] = {
    "continuity_class": ("f is C^k for this k", _continuity),
    "kinks": ("breakpoints without a derivative", _kinks),
    "range": ("all values of f", _range),
    "monotonicity": ("f rises or falls on the whole line", _monotonicity),
    "convexity": ("f is convex or concave exactly under the conditions", _convexity),
    "lipschitz": ("the least L with |f(x) - f(y)| <= L |x - y|", _lipschitz),
    "limits": ("limits of f at -oo and +oo", _ends(False)),
    "derivative_limits": ("limits of f' at -oo and +oo", _ends(True)),
    "gaussian_mean": ("E f(z), z standard normal", _moment(1)),
    "gaussian_second_moment": ("E f(z)^2, z standard normal", _moment(2)),
    "derivative_second_moment": ("E f'(z)^2, z standard normal", _moment(2, of_derivative=True)),
    "gain_forward": ("1 / sqrt(E f(z)^2), z standard normal", _moment(2, as_gain=True)),
    "gain_backward": ("1 / sqrt(E f'(z)^2), z standard normal", _moment(2, of_derivative=True, as_gain=True)),
}
