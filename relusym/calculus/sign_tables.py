"""Where a smooth function is positive, zero, negative: complete tables on the whole of an open interval."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import sympy
from flint import arb
from sympy import Expr, Symbol

from relusym.balls import compiled, enclosure, order, precision, sign
from relusym.calculus.forms import Field, field_of
from relusym.calculus.growth import Tail, limit
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.roots import Zero, factor_zeros, isolate, refinable
from relusym.calculus.waves import periodic_zeros
from relusym.deadline import within
from relusym.errors import Undecided
from relusym.facts import Real
from relusym.pieces import Piece, Pieces

_DEPTH = 6
_SECONDS = 3.0  # the slowest of the catalogue takes half a second
_MAX_ORDER = 12  # of a zero


@dataclass(frozen=True)
class Cell:
    """An open interval between zeros (or ends) and the sign there; `within` holds one point of it, exact."""

    lower: Real
    upper: Real
    sign: int
    inside: Expr


@dataclass(frozen=True)
class SignTable:
    """All zeros of a smooth function in (lower, upper), from left to right, and the signs between them.

    `isolating` has, for each zero, rational ends around it and no other; `window` is a bounded part that
    holds all zeros, outside of which the sign rests on `reasons`. With a `period` zeros and signs are those
    of the window, one period long. A function that is zero everywhere has the one sign 0.
    """

    lower: Expr
    upper: Expr
    zeros: tuple[Zero, ...]
    signs: tuple[int, ...]
    isolating: tuple[tuple[Fraction, Fraction], ...]
    window: tuple[Expr, Expr]
    reasons: tuple[str, ...]
    period: Expr | None = None

    @property
    def vanishes(self) -> bool:
        """Whether the function is zero everywhere."""
        return self.signs == (0,)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The open intervals between the zeros, in one period where there is one."""
        first, last = self.window if self.period is not None else (self.lower, self.upper)
        ends: list[Real] = [first, *(zero.at for zero in self.zeros), last]
        points = _sample_points(self.isolating, self.window)
        return tuple(
            Cell(a, b, direction, point)
            for (a, b), direction, point in zip(pairwise(ends), self.signs, points, strict=True)
        )


def sign_table(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> SignTable:
    """The complete table of a smooth expression on an open interval, proved.

    Zeros come from the factors of the expression as a polynomial in x and exponentials; where that does not
    apply, from the table of its derivative: between two zeros of that there is at most one.
    Raises `Undecided` with the reason when neither finishes in time.
    """
    found = _settled(expr, variable, lower, upper)
    if isinstance(found, str):
        raise Undecided(found)
    return found


@functools.lru_cache(maxsize=4096)
def _settled(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> SignTable | str:
    """The table, or why there is none; kept, since several facts ask."""

    def answer() -> SignTable:
        field, element = field_of(expr, variable)
        question = _Question(field, lower, upper)
        question.check_domain(element)
        return question.table(element, _DEPTH)

    try:
        return within(_SECONDS, answer)
    except Undecided as reason:
        return str(reason)


def tables(pieces: Pieces, order: int = 0) -> tuple[SignTable, ...]:
    """The tables of the derivative of this order, one for each piece."""
    x = pieces.variable
    return tuple(sign_table(piece.expr.diff(x, order), x, piece.lower, piece.upper) for piece in pieces.pieces)


@dataclass(frozen=True)
class _Found:
    """Zeros, why there are no others, and the bounds of the tails that this rests on."""

    zeros: list[Zero]
    reasons: list[str]
    bounds: list[Expr]


@dataclass(frozen=True)
class _Question:
    """One interval, and the field in which the functions on it are written."""

    field: Field
    lower: Expr
    upper: Expr

    def table(self, element: Any, depth: int) -> SignTable:
        if not element:
            return SignTable(self.lower, self.upper, (), (0,), (), _bounded(self.lower, self.upper), ())
        if self._is_periodic(element):
            return self._periodic(element)
        if not self.field.derivative(element):
            return self._constant(element)
        try:
            found = self._by_factors(element, depth)
        except Undecided as reason:
            if depth == 0:
                raise
            try:
                found = self._by_derivative(element, depth)
            except Undecided:
                raise reason from None
        return self._assembled(element, found)

    def _constant(self, element: Any) -> SignTable:
        """A function with the derivative zero has the sign of any of its values."""
        window = _bounded(self.lower, self.upper)
        inside = _sample_points((), window)[0]
        value = self._at(element, inside)
        direction = sign(value)
        if direction is None:
            raise Undecided(f"{self.field.expression(element)} is constant, of unknown sign")
        return SignTable(self.lower, self.upper, (), (direction,), (), window, ())

    def check_domain(self, element: Any) -> None:
        """Raise `Undecided` where a denominator, a radicand or the argument of a logarithm may vanish inside."""
        positive = [radicand for radicand, _ in self.field.roots.values()]
        positive += [self.field.logarithms[symbol] for symbol in self.field.logarithms]
        parts = [element, *(self.field.reduced(self.field.fractions.from_expr(part)) for part in positive)]
        factors = [factor for part in parts for factor, _ in part.denom.factor_list()[1]]
        factors += [factor for part in parts[1:] for factor, _ in part.numer.factor_list()[1]]
        for factor in dict.fromkeys(factors):
            zeros = self._of_factor(factor, _DEPTH).zeros
            if zeros:
                raise Undecided(f"{self.field.expression(factor)} vanishes at {_words(zeros[0].at)}")

    # --- zeros ---

    def _by_factors(self, element: Any, depth: int) -> _Found:
        found = _Found([], [], [])
        for factor, multiplicity in element.numer.factor_list()[1]:
            if depth and self.field.fractions(factor) != element:
                part = self._of_factor(factor, depth)
            else:
                part = self._directly(factor)
            found.zeros.extend(Zero(zero.at, zero.multiplicity * multiplicity) for zero in part.zeros)
            found.reasons.extend(part.reasons)
            found.bounds.extend(part.bounds)
        return _Found(_merged(found.zeros), found.reasons, found.bounds)

    def _of_factor(self, factor: Any, depth: int) -> _Found:
        try:
            return self._directly(factor)
        except Undecided:
            return self._by_derivative(self.field.fractions(factor), depth)

    def _directly(self, factor: Any) -> _Found:
        zeros, tails = factor_zeros(self.field, factor, self.lower, self.upper)
        return _Found(zeros, [self._explained(factor, tail) for tail in tails], [tail.bound for tail in tails])

    def _explained(self, factor: Any, tail: Tail) -> str:
        relation = "<" if tail.side < 0 else ">"
        return (
            f"{self.field.variable} {relation} {tail.bound}: in {self.field.expression(factor)} "
            f"the term {tail.dominant} outweighs the others"
        )

    def _by_derivative(self, element: Any, depth: int) -> _Found:
        """Between two zeros of the derivative the function is monotone: signs at the ends tell all."""
        slope = self.field.derivative(element)
        table = self.table(slope, depth - 1)
        if table.period is not None:
            if len({*table.signs}) > 1:
                raise Undecided("a function whose derivative changes its sign for ever")
            turns: list[Zero] = []
            runs = [(self.lower, self.upper)]
        else:
            turns = list(table.zeros)
            runs = list(pairwise([self.lower, *(zero.at for zero in turns), self.upper]))
        zeros = []
        directions = [self._end_sign(element, self.lower, -1)]
        for turn in turns:
            here = self._sign_at(element, turn.at)
            if here == 0:
                zeros.append(Zero(turn.at, turn.multiplicity + 1))
            directions.append(here)
        directions.append(self._end_sign(element, self.upper, 1))
        for (start, stop), (left, right) in zip(runs, pairwise(directions), strict=True):
            if left * right < 0:
                zeros.append(self._crossing(element, slope, start, stop))
        reasons = [
            f"monotone from {_words(start)} to {_words(stop)}, by the zeros of the derivative"
            for start, stop in runs
            if start is self.lower or stop is self.upper
        ]
        return _Found(_merged(zeros), reasons, [end for end in table.window if table.period is None])

    def _end_sign(self, element: Any, end: Expr, side: int) -> int:
        """The sign of the limit at an end of the interval."""
        value = self._limit(element, end, side)
        direction = sign(value) if value.is_finite else (1 if value is sympy.oo else -1 if value is -sympy.oo else None)
        if direction is None:
            raise Undecided(f"the sign of {self.field.expression(element)} at {end} is not known")
        return direction

    def _limit(self, element: Any, end: Expr, side: int) -> Expr:
        if end.is_infinite:
            try:
                return limit(self.field, element, side)
            except Undecided:
                pass
        else:
            value = self._at(element, end)
            if value.is_finite and value.is_real:
                return value
        piece = Piece(self.field.expression(element), self.lower, self.upper)
        return one_sided_limit(piece, end, self.field.variable)

    def _at(self, element: Any, point: Expr) -> Expr:
        return self.field.expression(element).subs(self.field.variable, point)

    def _sign_at(self, element: Any, point: Real) -> int:
        """The sign at a point; 0 only where that is exact."""
        if isinstance(point, Expr):
            direction = sign(self._at(element, point))
            if direction is not None:
                return direction
        value = compiled(self.field.expression(element), self.field.variable)
        for bits in (64, 256, 1024):
            with precision(2 * bits):
                ball = value(enclosure(point, bits))
            if ball > 0 or ball < 0:
                return 1 if ball > 0 else -1
        raise Undecided(f"the sign of {self.field.expression(element)} at {_words(point)} is not known")

    def _crossing(self, element: Any, slope: Any, start: Real, stop: Real) -> Zero:
        """The one zero between two points at which the signs differ, the function being monotone."""
        zero = sympy.S.Zero
        if order(zero, start) == 1 and order(stop, zero) == 1 and self._sign_at(element, zero) == 0:
            return Zero(zero, self._order_at(element, zero) or 1)
        expression = self.field.expression(element)
        value, rate = (compiled(self.field.expression(part), self.field.variable) for part in (element, slope))
        low, high = self._bracket(value, start, stop)
        boxes = isolate(value, rate, low, high)
        if len(boxes) != 1:
            raise Undecided(f"the zero of {expression} between {low:g} and {high:g} could not be isolated")
        return Zero(refinable(value, rate, boxes[0], str(expression)), 1)

    def _bracket(self, value: Any, start: Real, stop: Real) -> tuple[float, float]:
        """Floats inside (start, stop) with different signs."""
        a, b = (None if isinstance(end, Expr) and end.is_infinite else _middle(end) for end in (start, stop))
        for k in range(1, 40):
            reach = 2.0**k / 2
            low = (a + (1 if b is None else b - a) * 2.0**-k / 2) if a is not None else (0 if b is None else b) - reach
            high = (b - (1 if a is None else b - a) * 2.0**-k / 2) if b is not None else (0 if a is None else a) + reach
            with precision(256):
                left, right = value(arb(low)), value(arb(high))
            if (left > 0 and right < 0) or (left < 0 and right > 0):
                return low, high
        raise Undecided(f"no change of sign found between {_words(start)} and {_words(stop)}")

    def _order_at(self, element: Any, point: Expr) -> int | None:
        """How many of f, f', f'', ... vanish at a point, one after the other; None where it cannot be told."""
        for multiplicity in range(_MAX_ORDER):
            value = self._at(element, point)
            direction = sign(value) if value.is_finite else None
            if direction is None:
                return None
            if direction:
                return multiplicity
            element = self.field.derivative(element)
        return None

    # --- periodic functions ---

    def _is_periodic(self, element: Any) -> bool:
        symbols = self.field.symbols_in(element.numer) | self.field.symbols_in(element.denom)
        trigonometric = all(isinstance(self.field.meaning.get(symbol), sympy.sin | sympy.cos) for symbol in symbols)
        return bool(symbols) and trigonometric and self.lower is -sympy.oo and self.upper is sympy.oo

    def _periodic(self, element: Any) -> SignTable:
        found = periodic_zeros(self.field.expression(element), self.field.variable)
        stop = found.start + found.period
        zeros = [Zero(at, multiplicity) for at, multiplicity in found.zeros]
        one = _Question(self.field, found.start, stop)._assembled(
            element, _Found(zeros, [f"period {found.period}"], [])
        )
        return replace(one, lower=self.lower, upper=self.upper, period=found.period)

    # --- the table ---

    def _assembled(self, element: Any, found: _Found) -> SignTable:
        zeros = found.zeros
        window = self._window(found)
        isolating = _isolating(zeros, window)
        value = compiled(self.field.expression(element), self.field.variable)
        signs = []
        for point in _sample_points(isolating, window):
            signs.append(_definite_sign(value, point))
        for zero, (left, right) in zip(zeros, pairwise(signs), strict=True):
            if (left == right) != (zero.multiplicity % 2 == 0):
                raise Undecided(
                    f"the zero at {_words(zero.at)} has multiplicity {zero.multiplicity}, the signs disagree"
                )
        return SignTable(self.lower, self.upper, tuple(zeros), tuple(signs), isolating, window, tuple(found.reasons))

    def _window(self, found: _Found) -> tuple[Expr, Expr]:
        """A bounded part that holds all zeros and reaches to the tails; a finite end of the interval is its end."""
        low, high = _bounded(self.lower, self.upper)
        reach = [sympy.Integer(int(_middle(zero.at) // 1)) for zero in found.zeros]
        reach += [sympy.floor(bound) for bound in found.bounds]
        if self.lower.is_infinite:
            low = min([low, *(n - 1 for n in reach)])
        if self.upper.is_infinite:
            high = max([high, *(n + 2 for n in reach)])
        return low, high


def _bounded(lower: Expr, upper: Expr) -> tuple[Expr, Expr]:
    """A bounded part of an interval."""
    reach = sympy.Integer(8)
    if lower.is_finite and upper.is_finite:
        return lower, upper
    if lower.is_finite:
        return lower, sympy.ceiling(lower) + reach
    if upper.is_finite:
        return sympy.floor(upper) - reach, upper
    return -reach, reach


def _merged(zeros: list[Zero]) -> list[Zero]:
    """In increasing order, those at the same place as one."""
    ordered: list[Zero] = []
    for zero in zeros:
        places = [order(zero.at, other.at) for other in ordered]
        if None in places:
            raise Undecided(f"{_words(zero.at)} and {_words(ordered[places.index(None)].at)} cannot be told apart")
        if 0 in places:
            index = places.index(0)
            ordered[index] = Zero(ordered[index].at, ordered[index].multiplicity + zero.multiplicity)
        else:
            ordered.insert(places.count(1), zero)
    return ordered


def _isolating(zeros: Sequence[Zero], window: tuple[Expr, Expr]) -> tuple[tuple[Fraction, Fraction], ...]:
    """Disjoint intervals around the zeros, strictly inside the window."""
    if not zeros:
        return ()
    ends = [window[0], *(zero.at for zero in zeros), window[1]]
    places = [enclosure(end, 64) if order(end, sympy.S.Zero) else arb(0) for end in ends]
    found = []
    for before, here, after in zip(places, places[1:], places[2:], strict=False):
        gaps = [(here - before).lower(), (after - here).lower(), arb(1) / 256]
        radius = min(float(gap.mid()) for gap in gaps) / 4
        exponent = Fraction(2) ** (int(sympy.floor(sympy.log(radius, 2).evalf())) - 2)
        center = Fraction(round(Fraction(float(here.mid())) / exponent)) * exponent
        found.append((center - 2 * exponent, center + 2 * exponent))
    return tuple(found)


def _sample_points(isolating: Sequence[tuple[Fraction, Fraction]], window: tuple[Expr, Expr]) -> list[Expr]:
    """A simple fraction between every two neighbours, well away from both."""
    low, high = (Fraction(_middle(end)) for end in window)
    ends = [(low, low), *isolating, (high, high)]
    points = []
    for (_, left), (right, _) in pairwise(ends):
        quarter = (right - left) / 4
        point = _simplest_between(left + quarter, right - quarter)
        points.append(sympy.Rational(point.numerator, point.denominator))
    return points


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator, then the smallest size, in [low, high]."""
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -_simplest_between(-high, -low)
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    below = whole - 1
    return below + 1 / _simplest_between(1 / (high - below), 1 / (low - below))


def _definite_sign(value: Any, point: Expr) -> int:
    for bits in (64, 256, 1024, 4096):
        with precision(bits):
            ball = value(compiled(point)())
        if ball > 0 or ball < 0:
            return 1 if ball > 0 else -1
    raise Undecided(f"the sign at {point} is not known")


def _middle(end: Real) -> float:
    if isinstance(end, Expr) and order(end, sympy.S.Zero) == 0:
        return 0.0
    return float(enclosure(end, 53).mid())


def _words(point: Real) -> str:
    return str(point) if isinstance(point, Expr) else f"{_middle(point):.6g}"
