"""How far a function reaches: range, extrema, Lipschitz constant; from complete lists of critical points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import sympy
from sympy import Expr, Symbol

from relusym.balls import combined, compiled
from relusym.calculus.derivatives import derivative
from relusym.calculus.forms import field_of
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.sets import compare, point, union
from relusym.calculus.sign_tables import SignTable, tables
from relusym.calculus.subdifferentials import is_continuous_at, slopes
from relusym.deadline import within
from relusym.errors import Undecided
from relusym.facts import Enclosed, Interval, Real, RealSet
from relusym.pieces import Piece, Pieces
from relusym.signs import equal

_MINUS = "minus "


@dataclass(frozen=True)
class Candidate:
    """A value that f takes at `at` or (not attained) approaches there; `at` is an interval where f is constant."""

    value: Real
    at: Interval
    attained: bool


def value_range(pieces: Pieces, order: int = 0) -> RealSet:
    """All values of f (order 0), or of a derivative where it exists."""
    function = derivative(pieces, order)
    parts = []
    for piece, critical in zip(function.pieces, tables(function, 1), strict=True):
        candidates = _candidates(piece, critical, function.variable)
        low, high = _lowest(candidates), _lowest(candidates, -1)
        parts.append(Interval(low.value, high.value, low.attained, high.attained))
    for at, value in _values(pieces, function, order):
        parts.append(point(value))
        assert at is not None
    return union(parts)


def extremum(pieces: Pieces, direction: int) -> tuple[Real, bool, RealSet]:
    """The infimum (direction 1) or supremum (-1) of f, whether f attains it, and where."""
    found: list[Candidate] = []
    period = None
    for piece, critical in zip(pieces.pieces, tables(pieces, 1), strict=True):
        found += _candidates(piece, critical, pieces.variable)
        period = critical.period
    found += [Candidate(value, point(at), True) for at, value in zip(pieces.breakpoints, pieces.values, strict=True)]
    best = _lowest(found, direction)
    places = [c.at for c in found if c.attained and compare(c.value, best.value) == 0] if best.attained else []
    return best.value, best.attained, union(places, period if places else None)


def lipschitz_constant(pieces: Pieces) -> Real:
    """The least L with |f(x) - f(y)| <= L |x - y| everywhere: sup |f'|, or oo where f jumps."""
    if not all(is_continuous_at(pieces, at) for at in pieces.breakpoints):
        return sympy.oo
    slopes_taken = value_range(pieces, 1)
    low, high = slopes_taken.components[0].inf, slopes_taken.components[-1].sup
    return _larger_size(low, high)


def _larger_size(low: Real, high: Real) -> Real:
    if isinstance(low, Expr) and compare(low, sympy.S.Zero) >= 0:
        return high
    if isinstance(high, Expr) and compare(high, sympy.S.Zero) <= 0:
        return negated(low)
    opposite = negated(low)
    return high if compare(high, opposite) >= 0 else opposite


def negated(number: Real) -> Real:
    """-number."""
    if isinstance(number, Expr):
        return -number
    if number.definition.startswith(_MINUS):
        definition = number.definition.removeprefix(_MINUS)
    else:
        definition = _MINUS + number.definition
    return combined(definition, lambda ball: -ball, number)


def value_inside(expr: Expr, variable: Symbol, at: Real) -> Real:
    """The value of a smooth expression at a point inside its interval: exact where the point is."""
    if isinstance(at, Enclosed):
        return _at_enclosed(expr, variable, at)
    return simplest(expr.subs(variable, at))


def _at_enclosed(expr: Expr, variable: Symbol, at: Enclosed) -> Real:
    function = compiled(expr, variable)
    return combined(f"the value of {expr} at {at.definition}", function, at)


def simplest(number: Expr) -> Expr:
    """A number in the shortest of a few equal forms."""
    if number.is_Rational or number.is_infinite:
        return number
    number = _without_exponentials_of_lambert(number)
    forms = [number]
    if number.has(sympy.erf) and number.has(sympy.erfc):
        forms.append(sympy.expand(number.rewrite(sympy.erf)))
    for rewrite in (sympy.radsimp, sympy.simplify):
        try:
            forms.append(within(1.5, partial(rewrite, number)))
        except Undecided:
            continue
    return min(forms, key=lambda form: (sympy.count_ops(form), len(str(form))))


def _without_exponentials_of_lambert(number: Expr) -> Expr:
    """exp(n w) as (z / w)**n where w = LambertW(z), so that the exponential cancels."""

    def plain(exponent: Expr) -> Expr:
        rest, factor = sympy.S.Zero, sympy.S.One
        for term in sympy.Add.make_args(sympy.expand(exponent)):
            n, other = term.as_coeff_Mul()
            if isinstance(other, sympy.LambertW) and n.is_Integer:
                factor *= (other.args[0] / other) ** n
            else:
                rest += term
        return factor * sympy.exp(rest)

    return number.replace(sympy.exp, plain) if number.has(sympy.LambertW) else number


def _candidates(piece: Piece, critical: SignTable, variable: Symbol) -> list[Candidate]:
    """Values at the critical points of one piece, and its limits at both ends."""
    if critical.vanishes:
        whole = Interval(piece.lower, piece.upper, False, False)
        value = value_inside(piece.expr, variable, critical.cells[0].inside)
        return [Candidate(value, whole, True)]
    places = [zero.at for zero in critical.zeros if zero.multiplicity % 2]
    values = _critical_values(piece, places, variable)
    turning = [Candidate(value, point(at), True) for at, value in zip(places, values, strict=True)]
    if critical.period is not None:
        return turning + _unbounded_ends(piece, critical, variable)
    ends = [one_sided_limit(piece, end, variable) for end in (piece.lower, piece.upper)]
    if sympy.nan in ends:
        raise Undecided(f"{piece.expr} has no limit at an end of ({piece.lower}, {piece.upper})")
    return turning + [
        Candidate(simplest(limit), point(end), False)
        for limit, end in zip(ends, (piece.lower, piece.upper), strict=True)
    ]


def _critical_values(piece: Piece, places: list[Real], variable: Symbol) -> list[Real]:
    """Values at critical points; of an even or odd function those on the left are written by those on the right.

    Without that two equal values without closed forms could never be told from different ones.
    """
    values = [value_inside(piece.expr, variable, at) for at in places]
    if not any(isinstance(at, Enclosed) for at in places) or compare(piece.lower, -piece.upper) != 0:
        return values
    mirrored = piece.expr.subs(variable, -variable)
    for factor in (1, -1):
        if not field_of(piece.expr - factor * mirrored, variable)[1]:
            for index in range(len(values) // 2):
                right = values[-1 - index]
                values[index] = right if factor == 1 else negated(right)
    return values


def _unbounded_ends(piece: Piece, critical: SignTable, variable: Symbol) -> list[Candidate]:
    """Of a function whose derivative is periodic: periodic itself, or drifting to both infinities."""
    drift = piece.expr.subs(variable, variable + critical.period) - piece.expr
    drift = sympy.simplify(sympy.expand(drift, trig=True))
    if drift.has(variable):
        raise Undecided(f"how {piece.expr} goes on from period to period is not known")
    step = compare(drift, sympy.S.Zero)
    if step == 0:
        return []
    ends = ((-sympy.oo, -step * sympy.oo), (sympy.oo, step * sympy.oo))
    return [Candidate(limit, point(end), False) for end, limit in ends]


def _lowest(candidates: list[Candidate], direction: int = 1) -> Candidate:
    """The least value (direction 1) or the greatest (-1); attained if any candidate attains it."""
    best = candidates[0]
    for candidate in candidates[1:]:
        sign = compare(candidate.value, best.value) * direction
        if sign < 0 or (sign == 0 and candidate.attained and not best.attained):
            best = candidate
    return best


def _values(pieces: Pieces, function: Pieces, order: int) -> list[tuple[Expr, Expr]]:
    """Values at the breakpoints; of a derivative only where it exists."""
    if order == 0:
        return list(zip(pieces.breakpoints, pieces.values, strict=True))
    lower_order = derivative(pieces, order - 1)
    found = []
    for at, value in zip(pieces.breakpoints, function.values, strict=True):
        if is_continuous_at(lower_order, at):
            left, right = slopes(lower_order, at)
            if left.is_finite and equal(left, right):
                found.append((at, value))
    return found
