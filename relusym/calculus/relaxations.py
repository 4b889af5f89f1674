"""Linear bounds on an interval, as used to verify neural networks (CROWN): chosen by floats, proved on balls."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush

import sympy
from flint import arb
from sympy import Expr, Rational, S, Symbol

from relusym.balls import Function, compiled, precision
from relusym.calculus.forms import field_of
from relusym.errors import InvalidRequest, Undecided
from relusym.pieces import Pieces, value_at
from relusym.signs import sign_of

SIGNIFICANT_BITS = 40
"""How long the numerators and denominators of rounded coefficients may be, powers of two aside."""

_BITS = 96
_SAMPLES = 96
_STEPS = 4_000  # of branch and bound; a bound found by then holds, though it may be loose
_TOLERANCE = 2.0**-36  # of an extremum, relative to the largest value met


@dataclass(frozen=True)
class Relaxation:
    """lower_slope x + lower_intercept <= f(x) <= upper_slope x + upper_intercept on the whole interval.

    The gaps bound the distance of f to either line. All are rational numbers.
    """

    lower_slope: Rational
    lower_intercept: Rational
    upper_slope: Rational
    upper_intercept: Rational
    lower_gap: Rational
    upper_gap: Rational

    def __str__(self) -> str:
        lines = ((self.lower_slope, self.lower_intercept), (self.upper_slope, self.upper_intercept))
        low, high = (f"{float(slope):.8g}*x{float(intercept):+.8g}" for slope, intercept in lines)
        return f"{low} <= f(x) <= {high}"


@dataclass(frozen=True)
class _Node:
    """A point of the graph: an end of a cell with its one-sided limit, or a value at a breakpoint; exact."""

    at: Expr
    value: Expr

    def rational(self) -> tuple[Rational, Rational] | None:
        return (self.at, self.value) if self.at.is_Rational and self.value.is_Rational else None


@dataclass(frozen=True)
class _Cell:
    """A closed interval inside one piece, with f, f' and f'' on balls."""

    lower: _Node
    upper: _Node
    value: Function
    slope: Function
    curvature: Function


def relaxation(pieces: Pieces, lower: Expr, upper: Expr) -> Relaxation:
    """Sound linear lower and upper bounds of f on [lower, upper], with the least area between line and f.

    Of all lower lines the one highest in the middle of the interval leaves the least area: the support there of
    the convex hull of f. For convex f this is the tangent in the middle below and the chord above; for ReLU
    the triangle, with the slope 0 or 1 below, whichever leaves less. Slopes are guessed from samples, exact where
    the line joins two rational points; intercepts are proved by branch and bound, and rounded outward.

    Raises `InvalidRequest` unless both ends are finite and in order, and `Undecided` for parameters without
    values and where f is not bounded by balls.
    """
    order = sign_of(upper - lower) if lower.is_finite and upper.is_finite else None
    if order is None or order < 0:
        raise InvalidRequest(f"[{lower}, {upper}] is no interval; give two finite numbers in order")
    if order == 0:
        return _at_a_point(value_at(pieces, lower))
    with precision(_BITS):
        cells, nodes = _cells(pieces, lower, upper)
        slopes = [_slope(cells, nodes, direction) for direction in (1, -1)]
        lowest, highest = (-_greatest(cells, nodes, slopes[0], -1), _greatest(cells, nodes, slopes[0], 1))
        upmost, undermost = (_greatest(cells, nodes, slopes[1], 1), -_greatest(cells, nodes, slopes[1], -1))
    return Relaxation(
        slopes[0], lowest, slopes[1], upmost, _rounded(highest - lowest, 1), _rounded(upmost - undermost, 1)
    )


def _at_a_point(value: Expr) -> Relaxation:
    if value.is_Rational:
        low = high = value
    else:
        with precision(_BITS):
            ball = compiled(value)()
            low, high = -_outward(-ball), _outward(ball)
    return Relaxation(S.Zero, low, S.Zero, high, high - low, high - low)


def _cells(pieces: Pieces, lower: Expr, upper: Expr) -> tuple[list[_Cell], list[_Node]]:
    """The interval cut at the breakpoints inside it, and all points where the graph may jump."""
    x = pieces.variable
    signs = [(sign_of(place - lower), sign_of(upper - place)) for place in pieces.breakpoints]
    if any(None in pair for pair in signs):
        raise Undecided(f"the breakpoints cannot be placed in [{lower}, {upper}]")
    inside = [place for place, pair in zip(pieces.breakpoints, signs, strict=True) if pair == (1, 1)]
    below = sum(before != 1 for before, _ in signs)
    cells, nodes = [], []
    for index, (left, right) in enumerate(itertools.pairwise([lower, *inside, upper])):
        expr = pieces.pieces[below + index].expr
        first, last = (_Node(end, expr.subs(x, end)) for end in (left, right))
        if any(node.value.is_finite is False or node.value.has(S.NaN) for node in (first, last)):
            raise Undecided(f"{expr} is not bounded between {left} and {right}")
        cells.append(_Cell(first, last, *(compiled(form, x) for form in (expr, *_derivatives(expr, x)))))
        nodes += [first, last]
    nodes += [_Node(place, value_at(pieces, place)) for place in (lower, *inside, upper)]
    return cells, nodes


def _derivatives(expr: Expr, x: Symbol) -> tuple[Expr, Expr]:
    """Both derivatives, as fractions where these are shorter: what stands once in a formula has the tighter ball."""
    forms = [expr.diff(x), expr.diff(x, 2)]
    try:
        field, element = field_of(expr, x)
        slope = field.derivative(element)
        fractions = [field.expression(part) for part in (slope, field.derivative(slope))]
    except Undecided:
        fractions = forms
    first, second = (
        min(pair, key=lambda form: (form.count(x), sympy.count_ops(form)))
        for pair in zip(forms, map(sympy.factor_terms, fractions), strict=True)
    )
    return first, second


# Slopes: what the hull of sampled points suggests.

_Point = tuple[float, float, "_Node | None"]


def _slope(cells: list[_Cell], nodes: list[_Node], direction: int) -> Rational:
    """The slope of the line below f (direction 1) or above (-1) that is nearest to f in the middle."""
    left, right = _float(cells[0].lower.at), _float(cells[-1].upper.at)
    middle = (left + right) / 2
    points: list[_Point] = [(_float(node.at), direction * _float(node.value), node) for node in nodes]
    ends = [(_float(cell.lower.at), _float(cell.upper.at)) for cell in cells]
    for cell, (start, stop) in zip(cells, ends, strict=True):
        points += _sampled(cell, start, stop, max(16, int(_SAMPLES * (stop - start) / (right - left))), direction)
    step = (right - left) / _SAMPLES
    for _ in range(2):
        hull = _lower_hull(points)
        first, second = _around(hull, middle)
        for at, *_rest in (first, second):
            for cell, (start, stop) in zip(cells, ends, strict=True):
                if start <= at <= stop:
                    points += _sampled(cell, max(start, at - step), min(stop, at + step), 16, direction)
        step /= 16
    hull = _lower_hull(points)
    first, second = _around(hull, middle)
    if all(node is None for *_, node in (first, second)) and second[0] - first[0] <= 32 * step:
        return direction * _tangent(cells, ends, middle, (first, second), direction)
    slopes = [_joining(first, second, direction)]
    if second[0] == middle and second is not hull[-1]:
        # the middle is a corner of the hull: any slope between its sides is as good; the flattest is simplest
        slopes.append(_joining(second, hull[hull.index(second) + 1], direction))
    return direction * min(slopes, key=abs)


def _tangent(
    cells: list[_Cell], ends: list[tuple[float, float]], at: float, corners: tuple[_Point, _Point], direction: int
) -> Rational:
    """The slope of f in the middle, where the hull is f itself there."""
    for cell, (start, stop) in zip(cells, ends, strict=True):
        if start < at < stop:
            slope = cell.slope(arb(at))
            if slope.is_finite():
                return direction * _slope_of(float(slope.mid()))
    return _joining(*corners, direction)


def _sampled(cell: _Cell, start: float, stop: float, count: int, direction: int) -> list[_Point]:
    points: list[_Point] = []
    for n in range(1, count):
        at = start + (stop - start) * n / count
        value = cell.value(arb(at))
        if value.is_finite():
            points.append((at, direction * float(value.mid()), None))
    return points


def _lower_hull(points: list[_Point]) -> list[_Point]:
    """The corners of the convex hull from below, from left to right; exact nodes win over their samples."""
    lowest: dict[float, _Point] = {}
    for point in points:
        known = lowest.get(point[0])
        if known is None or (point[1], point[2] is None) < (known[1], known[2] is None):
            lowest[point[0]] = point
    hull: list[_Point] = []
    for at in sorted(lowest):
        point = lowest[at]
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_down(one: _Point, two: _Point, three: _Point) -> bool:
    # A hair of slack: points on a line are no corners, whatever their rounding.
    chord = one[1] + (three[1] - one[1]) * (two[0] - one[0]) / (three[0] - one[0])
    return two[1] >= chord - 1e-15 * max(abs(one[1]), abs(three[1]))


def _around(hull: list[_Point], middle: float) -> tuple[_Point, _Point]:
    """The corners before and after the middle (which may be the second)."""
    index = next(i for i in range(1, len(hull)) if hull[i][0] >= middle)
    return hull[index - 1], hull[index]


def _joining(one: _Point, two: _Point, direction: int) -> Rational:
    """The slope of the line through two points of direction * f: exact for rational ones, else rounded."""
    exact = [point[2].rational() if point[2] is not None else None for point in (one, two)]
    if exact[0] is not None and exact[1] is not None:
        (x0, y0), (x1, y1) = exact[0], exact[1]
        slope = (y1 - y0) / (x1 - x0)
        return direction * slope
    return _slope_of((two[1] - one[1]) / (two[0] - one[0]))


def _slope_of(number: float) -> Rational:
    """Rounded; what is far below one is zero, so that denominators stay short."""
    return S.Zero if abs(number) < 2.0**-64 else _rounded(Rational(Fraction(number)), 0)


# Intercepts: proofs.


def _greatest(cells: list[_Cell], nodes: Iterable[_Node], slope: Rational, direction: int) -> Rational:
    """An upper bound of direction * (f(x) - slope x), close to the maximum; exact where a rational node has it."""
    found = [(node, direction * (node.value - slope * node.at)) for node in nodes]
    balls = [compiled(value)() for _, value in found]
    best, exact = balls[0], found[0][1]
    for ball, (_, value) in zip(balls, found, strict=True):
        if ball > best or (not ball < best and value.is_Rational and not exact.is_Rational):
            best, exact = ball, value
    search = _Search(best)
    ratio = compiled(slope)()
    for cell in cells:
        search.run(cell, ratio, direction)
    # Balls that touch belong to numbers that may differ: take what is above all of them.
    tops = [ball for ball in (*balls, *search.accepted) if not ball < best]
    if exact.is_Rational and all(_is_at_most(ball, exact, balls, found) for ball in tops):
        return exact
    return max(_outward(ball) for ball in tops)


def _is_at_most(ball: arb, exact: Rational, balls: list[arb], found: list[tuple[_Node, Expr]]) -> bool:
    for other, (_, value) in zip(balls, found, strict=True):
        if other is ball:
            return bool(value <= exact) if value.is_Rational else bool(ball < compiled(exact)())
    return bool(ball <= compiled(exact)())


class _Search:
    """Branch and bound: `best` is a value that f takes, `accepted` bounds f wherever it might be larger."""

    def __init__(self, best: arb) -> None:
        self.best = best
        self.accepted: list[arb] = []

    def run(self, cell: _Cell, ratio: arb, direction: int) -> None:
        """The part with the largest bound is halved until no bound is far above `best`, or time is up."""
        lower, upper = (compiled(node.at)() for node in (cell.lower, cell.upper))
        waiting: list[tuple[float, int, arb, arb, arb]] = []
        count = itertools.count()

        def value(at: arb) -> arb:
            return direction * (cell.value(at) - ratio * at)

        def add(left: arb, right: arb) -> None:
            bound = self._bound(cell, value, ratio, direction, left, right)
            if bound is None:
                # the maximum is at an end: of the cell, where it is a node, or of a part
                for end, outer in ((left, lower), (right, upper)):
                    if end is not outer:
                        self._meet(value(end))
            elif not bound < self.best:
                heappush(waiting, (-float(bound), next(count), left, right, bound))

        add(lower, upper)
        largest = abs(float(self.best.mid()))
        for _ in range(_STEPS):
            if not waiting:
                return
            _, _, left, right, bound = waiting[0]
            if bound < self.best + _TOLERANCE * largest:
                break
            heappop(waiting)
            middle = arb(((left + right) / 2).mid())
            here = value(middle)
            if here.is_finite():
                largest = max(largest, abs(float(here.mid())))
                if here > self.best:
                    self.best = here
            add(left, middle)
            add(middle, right)
        self.accepted += [bound for *_, bound in waiting]
        if not all(bound.is_finite() for bound in self.accepted):
            raise Undecided(f"no bound between {cell.lower.at} and {cell.upper.at} within {_STEPS} steps")

    def _meet(self, value: arb) -> None:
        if not value < self.best:
            self.accepted.append(value)
        if value > self.best:
            self.best = value

    def _bound(
        self, cell: _Cell, value: Callable[[arb], arb], ratio: arb, direction: int, left: arb, right: arb
    ) -> arb | None:
        """An upper bound in [left, right] as a number, or None where the maximum is at an end."""
        span = left.union(right)
        rise = direction * (cell.slope(span) - ratio)
        if rise >= 0 or rise <= 0:
            return None
        bend = direction * cell.curvature(span)
        if bend >= 0:
            return None
        if bend <= 0:
            # f' is monotone: its values at the ends enclose it
            first, last = (direction * (cell.slope(end) - ratio) for end in (left, right))
            if first <= 0 or last >= 0:
                return None
            if first.is_finite() and last.is_finite():
                rise = first.union(last)
        plain = value(span)
        top = plain.upper() if plain.is_finite() else arb("inf")
        if rise.is_finite():
            middle = arb(span.mid())
            sharp = value(middle) + rise * (span - middle)
            if sharp.is_finite() and sharp.upper() < top:
                top = sharp.upper()
        return top


# Floats and rounding.


def _float(number: Expr) -> float:
    return float(number) if number.is_Rational else float(compiled(number)().mid())


def _outward(ball: arb) -> Rational:
    """A rational number of few bits, not below any number of the ball."""
    mantissa, exponent = ball.upper().man_exp()
    value = Rational(int(mantissa)) * Rational(2) ** int(exponent)
    return _rounded(value, 1)


def _rounded(number: Rational, direction: int) -> Rational:
    """To 40 significant bits: up (1), or to the nearest (0); a number of few bits stays as it is."""
    number = Rational(number)
    if number == 0 or max(int(abs(number.p)), int(number.q)).bit_length() <= SIGNIFICANT_BITS:
        return number
    shift = SIGNIFICANT_BITS - (int(abs(number.p)).bit_length() - int(number.q).bit_length()) - 1
    scaled = number * Rational(2) ** shift
    whole = sympy.ceiling(scaled) if direction == 1 else sympy.floor(scaled + S.Half)
    return Rational(whole) / Rational(2) ** shift
