"""Certified polynomials over runs of float32 inputs: the reference in bulk.

A run of consecutive bit patterns inside one binade is a row of equally spaced numbers, so one polynomial in the
scaled distance from its centre serves all of it. The coefficients are those of the power series at the exact
centre (see `series`), the remainder is Lagrange's: the next coefficient of the series of the *ball* that holds
the run. The stated radius also covers the rounding of the coefficients and of Horner's scheme in float64.

The inputs nearest to 0 share one series about 0, whose first two terms are evaluated exactly where they can be:
x/2 + 0.4 x**2 is then told from the tie x/2 that it is beside. Values much smaller than the coefficients, next to a
root, have digits only in two floats: where a run may hold such, its polynomial comes a second time, longer, for them.

No formula has code of its own: what has a power series has segments. A run that has none - a kink inside, too
much curvature, cancellation beyond `MAX_PRECISION` bits - is halved down to `LEAF` patterns, and what then
remains is listed as open: single points are for `rounding.reference`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import flint
import numpy as np
import numpy.typing as npt
import sympy
from sympy import Expr, Symbol

from relusym.activation import Activation, Number, parameter_values
from relusym.floats import FORMATS, Array
from relusym.saturation import Beside, beside
from relusym.series import (
    Balls,
    Builder,
    Definition,
    Evaluate,
    Irrational,
    Outside,
    Retry,
    Side,
    definition_of,
    flint_settings,
)

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

FORM = FORMATS["float32"]

BLOCK_BITS = 15
BLOCK = 1 << BLOCK_BITS
"""Patterns in a block; 256 blocks are one binade of one sign."""

LEAF = 64
"""Runs of this length are not halved any more."""

NEAR_ZERO = 2.0**-20
"""Inputs up to this size share one series about 0, where there is one."""

LENGTHS = (5, 9, 14, 22, 32, 41, 50)
"""Numbers of coefficients that are tried, the last of which bounds the remainder."""

MIN_PRECISION = 64
MAX_PRECISION = 2048

TRUNCATION = 2.0**-46
"""What may be left out, relative to the value: 2**-22 ulp of float32, so that few inputs are close to a tie."""

COARSEST = 2.0**-40
"""A polynomial that float64 evaluates with a larger radius, relative to the value, is none."""

FLOOR = FORM.smallest_normal
"""Below this, truncation is measured against the smallest normal number instead of the value."""

SHARP = 2.0**-12
"""A radius of more ulps than this does not count as known."""

FINE = 2.0**-12
"""What a polynomial in two floats may leave out, relative to what one in float64 may."""

UNIT = 2.0**-53 * (1 + 2.0**-20)  # of a float64 operation, with room for products of such factors
SLACK = 1 + 2.0**-20
TINY = 2.0**-1060  # what underflow can add


@dataclass(frozen=True)
class Fine:
    """A longer polynomial for the same run, in two floats: abs(g(x) - p) <= radius, p evaluated in two floats."""

    coefficients: tuple[float, ...]
    rests: tuple[float, ...]
    radius: float


@dataclass(frozen=True)
class Segment:
    """A polynomial for `size` patterns from `start` on: abs(g(x) - p) <= radius at each, p evaluated in float64.

    The variable of `coefficients` (lowest first) runs from -1 to 1 over the run, or is x itself for a segment
    `about_zero`. All values lie between `low` and `high`. `spacing` is the ulp that they share when rounded to
    float32, or None where they do not. `tail_radius` is that of the terms beyond the first two, where those are
    exact in float64. `radius` 0 means that float64 gives the exact value. `fine` is there where some values may be
    too small for the radius.
    """

    start: int
    size: int
    coefficients: tuple[float, ...]
    radius: float
    low: float
    high: float
    spacing: float | None
    about_zero: bool = False
    tail_radius: float | None = None
    fine: Fine | None = None


@dataclass(frozen=True)
class Block:
    """The segments of one block, in order, and the runs (start, size) that have none.

    `hopeless`: no part of the block that was tried has a segment, and it was not searched further.
    """

    segments: tuple[Segment, ...]
    open: tuple[tuple[int, int], ...]
    hopeless: bool = False


def float_of(pattern: int) -> float:
    """The float32 with this bit pattern."""
    return float(struct.unpack("<f", struct.pack("<I", pattern))[0])


def step_of(pattern: int) -> float:
    """From this pattern to the next the float32 grows by this much (negative for negative numbers)."""
    size = math.ldexp(1.0, max(pattern >> 23 & 255, 1) - 150)
    return -size if pattern >> 31 else size


def inputs_of(start: int, size: int) -> Array:
    """The float32 numbers of a run, in pattern order."""
    return (np.arange(size, dtype=np.uint32) + np.uint32(start)).view(np.float32)


@lru_cache(maxsize=16)
def _unit(size: int) -> Floats:
    """The scaled distance from the centre, for a run of this length."""
    half = size // 2
    return np.asarray((np.arange(size) - half) / half)


def evaluate(segments: Sequence[Segment], out: Floats | None = None) -> Floats:
    """P at every input of some segments of equal size, a row each; about zero only one at a time."""
    size = segments[0].size
    values = np.empty((len(segments), size)) if out is None else out[: len(segments) * size].reshape(-1, size)
    return _horner([segment.coefficients for segment in segments], _variable(segments), values)


def slopes(segments: Sequence[Segment]) -> Floats:
    """P' with respect to x, at every input of such segments; of ordinary accuracy, not certified."""
    first = segments[0]
    by_x = 1.0 if first.about_zero else 1 / (step_of(first.start) * (first.size // 2))
    rows = [[k * c * by_x for k, c in enumerate(segment.coefficients)][1:] or [0.0] for segment in segments]
    with np.errstate(all="ignore"):
        return _horner(rows, _variable(segments), np.empty((len(segments), first.size)))


def _variable(segments: Sequence[Segment]) -> Floats:
    """What the coefficients of these segments are multiplied with, at each input of a run."""
    first = segments[0]
    assert len(segments) == 1 or not any(segment.about_zero for segment in segments)
    return inputs_of(first.start, first.size).astype(np.float64) if first.about_zero else _unit(first.size)


def _horner(rows: Sequence[Sequence[float]], variable: Floats, values: Floats) -> Floats:
    """Polynomials of these coefficients, a row each, filled in and returned."""
    columns = _columns(rows) if len(rows) > 1 else rows[0]
    degree = len(columns) - 1
    if degree == 0:
        values[:] = columns[0]
        return values
    np.multiply(variable, columns[degree], out=values)
    for k in range(degree - 1, 0, -1):
        np.add(values, columns[k], out=values)
        np.multiply(values, variable, out=values)
    np.add(values, columns[0], out=values)
    return values


def _columns(rows: Sequence[Sequence[float]]) -> Any:
    """The coefficients of several polynomials by their power, each a column; short ones have zeros at their end."""
    longest = max(map(len, rows))
    padded = np.array([(*row, *[0.0] * (longest - len(row))) for row in rows])
    return np.ascontiguousarray(padded.T)[:, :, None]


def finely(segments: Sequence[Segment], at: Positions) -> tuple[Floats, Floats]:
    """Values at some positions of the inputs of segments of equal size that all have a `fine`; and their radii.

    Horner's scheme in two floats: the product with the variable, which has at most 16 bits, is exact.
    """
    size = segments[0].size
    row, place = at // size, at % size
    t = _unit(size)[place]
    fine = [segment.fine for segment in segments if segment.fine is not None]
    assert len(fine) == len(segments)
    highs, lows = (_columns(rows)[:, row, 0] for rows in ([f.coefficients for f in fine], [f.rests for f in fine]))
    high, low = highs[-1], lows[-1]
    for coefficient, rest in zip(highs[-2::-1], lows[-2::-1], strict=True):
        product = high * t
        scaled = high * (2.0**27 + 1)
        front = scaled - (scaled - high)
        error = ((front * t - product) + (high - front) * t) + low * t + rest
        total = product + coefficient
        part = total - product
        error += (product - (total - part)) + (coefficient - part)
        high = total + error
        part = high - total
        low = (total - (high - part)) + (error - part)
    return high, np.array([f.radius for f in fine])[row] + np.abs(high) * UNIT


def tail(segment: Segment, x: Floats) -> Floats:
    """The terms beyond the first two at these inputs, for a segment that has a `tail_radius`."""
    rest = np.zeros_like(x)
    for coefficient in reversed(segment.coefficients[2:]):
        rest = rest * x + coefficient
    return rest * x * x


def segments_of(activation: Activation, order: int, parameters: Mapping[str, Number] | None = None) -> Cover:
    """The derivative of this order as segments, block by block."""
    values = tuple(parameter_values(activation, parameters).items())
    return _cover(activation, values, order)


@lru_cache(maxsize=8)
def _cover(activation: Activation, values: tuple[tuple[Symbol, Expr], ...], order: int) -> Cover:
    return Cover(definition_of(activation, values, None, order))


class _Spread(Balls):
    """Power series over a whole interval: a comparison holds on all of it, or raises `Retry`.

    `decisions` are the outermost answers, in order. `replay` gives them again, for the centre: the branch of an
    interval that ends at a kink is not that of its end. `side` is +1 or -1 where the interval begins or ends at
    0 and need not answer there: a difference that is 0 at 0 has beside it the sign of its slope.
    """

    def __init__(self, definition: Definition, length: int, *, strict: bool) -> None:
        super().__init__(definition, length, strict)
        self.side = 0
        self.decisions: list[int] = []
        self.replay: list[int] | None = None

    def compare(self, left: Side, right: Side, point: Any) -> int:
        if self.replay is not None:
            return self.replay.pop(0)
        before = len(self.decisions)
        difference = left.evaluate(point) - right.evaluate(point)
        answer = self._sign(difference, left, right)
        del self.decisions[before:]  # of comparisons inside the two sides, which are not evaluated in a replay
        self.decisions.append(answer)
        return answer

    def _sign(self, difference: Any, left: Side, right: Side) -> int:
        leading = difference[0]
        if leading > 0 or leading < 0:
            return 1 if leading > 0 else -1
        if leading.is_zero():
            return 0
        if self.side and self.length > 1 and difference.prec > 1:
            zero = flint.arb_series([0, 1])
            if (left.evaluate(zero) - right.evaluate(zero))[0].is_zero():
                if difference[1] > 0:
                    return self.side
                if difference[1] < 0:
                    return -self.side
        raise _Undivided


class _Walk(Builder):
    """The walk of the reference, which takes a growing exponential out of a sum before it inverts it.

    log(r + k exp(u)) = u + log(k + r exp(-u)), and likewise 1/(r + k exp(u)): over an interval on which exp(u)
    spans many orders of magnitude no ball holds the left side, and the right side is as good as at a point.
    """

    def _node(self, expr: Expr) -> Evaluate:
        usual = super()._node(expr)
        inverted = isinstance(expr, sympy.Pow) and expr.exp.is_Integer and expr.exp.is_negative
        if not (inverted or isinstance(expr, sympy.log)):
            return usual
        parts = _exponential_of(expr.args[0], self.variable)
        if parts is None:
            return usual
        exponent, factor, rest = map(self.build, parts)
        algebra = self.algebra
        exp, log = algebra.function("exp"), algebra.function("log")
        times = -int(expr.exp) if inverted else 1

        def evaluate(point: Any) -> Any:
            growing = exponent(point)
            if not growing[0] > 0:
                return usual(point)
            falling = exp(-growing)
            sum_of_parts = factor(point) + rest(point) * falling
            if not inverted:
                return growing + log(sum_of_parts)
            inverse = falling * algebra.inverse(sum_of_parts)
            product = inverse
            for _ in range(times - 1):
                product = product * inverse
            return product

        return evaluate


def _exponential_of(expr: Expr, variable: Symbol) -> tuple[Expr, Expr, Expr] | None:
    """u, k and r of a sum r + k exp(u) in which no other exponential of the variable stands, else None."""
    if not isinstance(expr, sympy.Add):
        return None
    holding = [term for term in expr.args if any(variable in e.free_symbols for e in term.atoms(sympy.exp))]
    if len(holding) != 1:
        return None
    (term,) = holding
    factor, rest_of_term = term.as_independent(variable, as_Add=False)
    if not isinstance(rest_of_term, sympy.exp):
        return None
    return rest_of_term.args[0], factor, expr - term


class _Undivided(Exception):
    """The interval holds inputs on both sides of a comparison."""


@dataclass(frozen=True)
class _Series:
    """Taylor coefficients at a centre, with radii, and bounds of them over the interval around it."""

    middle: tuple[float, ...]
    radius: tuple[float, ...]
    largest: tuple[float, ...]
    exact: tuple[bool, ...]
    balls: tuple[Any, ...]


class Cover:
    """Segments of one derivative of one definition. Remembers what sufficed for the last block, to try it first."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self._built: dict[tuple[int, int], tuple[_Spread, Any]] = {}
        self._about_zero: dict[int, tuple[_Series | None, bool]] = {}
        self.begin()

    def begin(self) -> None:
        """Forget the last block: what follows is then the same whatever came before."""
        self._precision = MIN_PRECISION
        self._length = 0
        self._size = BLOCK
        self._finely = False

    def block(self, number: int) -> Block:
        """Block `number` of 2**32 / BLOCK, in pattern order; that of infinities and NaN is open altogether."""
        start = number * BLOCK
        if start >> 23 & 255 == 255:
            return Block((), ((start, BLOCK),))
        with flint_settings():
            if abs(float_of(start + BLOCK - 1)) <= NEAR_ZERO:
                segment = self._near_zero(start)
                if segment is not None:
                    return Block((segment,), ())
            return self._tiled(start)

    def quantum(self, segment: Segment) -> Fraction | None:
        """Of what all values on the run, and all ties between float32 numbers, are multiples; None if unknown."""
        assert segment.spacing is not None
        centre, step = float_of(segment.start + segment.size // 2), Fraction(step_of(segment.start))
        length = len(segment.coefficients) + self.definition.order
        try:
            series = self.definition.rational_series(centre, length)
        except (Irrational, Outside, Retry):
            return None
        order = self.definition.order
        common = Fraction(segment.spacing / 2).denominator
        for k in range(length - order):
            coefficient = series[k + order]
            term = Fraction(int(coefficient.p), int(coefficient.q)) * _falling(k, order) * step**k
            common = math.lcm(common, term.denominator)
        return Fraction(1, common)

    def beside(self, segment: Segment) -> Beside | None:
        """The values on the run as a line and a rest of one sign, where they are known to be that."""
        return beside(self.definition, *sorted((float_of(segment.start), float_of(segment.start + segment.size - 1))))

    # --- runs ---

    def _tiled(self, start: int) -> Block:
        """The block in runs as long as last time, or twice as long, and shorter where those fail."""
        size = min(2 * self._size, BLOCK)
        first = self._attempt(start, size)
        if first is None and size > self._size:
            size = self._size
            first = self._attempt(start, size)
        if first is None and self._hopeless(start):
            return Block((), ((start, BLOCK),), hopeless=True)
        segments: list[Segment] = []
        left_open: list[tuple[int, int]] = []
        for place in range(start, start + BLOCK, size):
            segment = first if place == start else self._attempt(place, size)
            if segment is None:
                self._halved(place, size, segments, left_open)
            else:
                segments.append(segment)
        self._size = max((segment.size for segment in segments), default=BLOCK)
        return Block(tuple(segments), tuple(left_open))

    def _halved(self, start: int, size: int, segments: list[Segment], left_open: list[tuple[int, int]]) -> None:
        if size <= LEAF:
            if left_open and left_open[-1][0] + left_open[-1][1] == start:
                before, length = left_open.pop()
                left_open.append((before, length + size))
            else:
                left_open.append((start, size))
            return
        half = size // 2
        for place in (start, start + half):
            segment = self._attempt(place, half)
            if segment is None:
                self._halved(place, half, segments, left_open)
            else:
                segments.append(segment)

    def _hopeless(self, start: int) -> bool:
        """Whether short runs at both ends and in the middle of a block fail, too."""
        places = (start + LEAF, start + BLOCK // 2 + LEAF, start + BLOCK - 2 * LEAF)
        return all(self._attempt(place, LEAF) is None for place in places)

    def _attempt(self, start: int, size: int) -> Segment | None:
        """One polynomial for the whole run, or None."""
        half, step = size // 2, step_of(start)
        centre, scale = float_of(start + half), half * step
        precision = self._precision
        level = min(self._length + 1, len(LENGTHS) - 1) if self._finely else self._length
        while precision <= MAX_PRECISION:
            spread = _interval(centre, half, step)
            try:
                found = self._series(flint.arb(centre), spread, scale, precision, LENGTHS[level])
            except _Undivided:
                return None
            if found is None:
                precision *= 2
                continue
            if math.inf in map(abs, found.middle) or max(map(abs, found.middle)) > 2.0**200:
                return self._infinite(start, size, spread, precision)
            # A series that does not converge says nothing about the size of the values; the interval does.
            magnitude = max(min(_magnitude(found.middle), found.largest[0]), FLOOR)
            target = TRUNCATION * magnitude
            if not sum(found.radius) <= target / 4:
                precision *= 2
                continue
            known = _known(found, target / 2)
            if known is None:
                level += 1
                if level == len(LENGTHS):
                    return None
                continue
            self._precision = precision
            if precision > MIN_PRECISION and sum(found.radius) <= math.ldexp(target, -precision // 2 - 8):
                self._precision = precision // 2
            self._length = next(at for at, length in enumerate(LENGTHS) if length > known)
            segment = _segment(start, size, found, known, target)
            if not segment.radius <= COARSEST * magnitude:
                return None
            self._finely = _blurred(segment)
            if self._finely:
                segment = replace(segment, fine=self._fine(found, segment, target, precision, level))
            return segment
        return None

    def _fine(self, found: _Series, segment: Segment, target: float, precision: int, level: int) -> Fine | None:
        """The polynomial in two floats, from this series or, where that is too short or too coarse, from another."""
        half, step = segment.size // 2, step_of(segment.start)
        centre = float_of(segment.start + half)
        while True:
            known = _known(found, FINE * target)
            if known is None:
                level += 1
            elif sum(found.radius[:known]) > 16 * FINE * target:
                precision *= 2
            else:
                return _fine(found, known)
            if level == len(LENGTHS) or precision > MAX_PRECISION:
                return None
            spread = _interval(centre, half, step)
            longer = self._series(flint.arb(centre), spread, half * step, precision, LENGTHS[level])
            if longer is None:
                return None
            found = longer

    def _infinite(self, start: int, size: int, spread: Any, precision: int) -> Segment | None:
        """A run on which all values round to the same infinity."""
        found = self._over(spread, 1.0, precision, 1)
        if found is None or not found[0].abs_lower() > 2.0**129:
            return None
        value = math.inf if found[0] > 0 else -math.inf
        return Segment(start, size, (value,), 0.0, value, value, None)

    # --- series ---

    def _evaluator(self, precision: int, length: int) -> tuple[_Spread, Any]:
        key = precision, length
        if key not in self._built:
            flint.ctx.prec, flint.ctx.cap = precision, length
            algebra = _Spread(self.definition, length, strict=self.definition.order > 0)
            self._built[key] = algebra, _Walk(self.definition, algebra).build(self.definition.activation.expr)
        return self._built[key]

    def _over(self, spread: Any, scale: float, precision: int, length: int, side: int = 0) -> list[Any] | None:
        """Coefficients of the asked derivative over an interval, in the variable (x - centre)/scale."""
        order = self.definition.order
        algebra, build = self._evaluator(precision, length + order)
        flint.ctx.prec, flint.ctx.cap = precision, length + order
        algebra.side, algebra.decisions, algebra.replay = side, [], None
        return self._coefficients(build, flint.arb_series([spread, scale]), scale, length)

    def _coefficients(self, build: Any, point: Any, scale: float, length: int) -> list[Any] | None:
        order = self.definition.order
        try:
            series = build(point)
        except (Retry, Outside):
            return None
        if series.prec < length + order:
            return None
        if order:
            for _ in range(order):
                series = series.derivative()
            series = series * flint.arb(scale) ** -order  # a power of two, exact
        return [series[k] for k in range(length)]

    def _series(
        self, centre: Any, spread: Any, scale: float, precision: int, length: int, side: int = 0
    ) -> _Series | None:
        bounds = self._over(spread, scale, precision, length, side)
        if bounds is None:
            return None
        order = self.definition.order
        algebra, build = self._evaluator(precision, length + order)
        algebra.replay = list(algebra.decisions)
        try:
            here = self._coefficients(build, flint.arb_series([centre, scale]), scale, length)
        finally:
            algebra.replay = None
        if here is None:
            return None
        middle = tuple(map(float, here))
        radius = tuple([float(ball.rad()) * SLACK for ball in here])
        return _Series(
            middle=middle,
            radius=radius,
            largest=tuple([float(ball.abs_upper()) * SLACK for ball in bounds]),
            exact=tuple(not r and ball == m for ball, m, r in zip(here, middle, radius, strict=True)),
            balls=tuple(here),
        )

    def _near_zero(self, start: int) -> Segment | None:
        side = -1 if start >> 31 else 1
        if side not in self._about_zero:
            self._about_zero[side] = self._series_about_zero(side)
        found, at_zero_too = self._about_zero[side]
        if found is None or (start & 0x7FFFFFFF == 0 and not at_zero_too):
            return None
        return _segment_about_zero(start, found)

    def _series_about_zero(self, side: int) -> tuple[_Series | None, bool]:
        """The series on one side of 0, and whether it holds at 0 itself: a kink there leaves it its sides."""
        spread = flint.arb(side * NEAR_ZERO / 2, NEAR_ZERO / 2)
        precision = 4 * MIN_PRECISION
        for sided in (0, side):
            try:
                found = self._series(flint.arb(0), spread, 1.0, precision, LENGTHS[1], sided)
            except _Undivided:
                continue
            if found is not None and all(map(math.isfinite, (*found.middle, *found.radius, *found.largest))):
                return (found, False) if sided else (self._rationally(found), True)
        return None, False

    def _rationally(self, found: _Series) -> _Series:
        """The series about 0 with the coefficients that are floats made exact, where it is rational there."""
        order, length = self.definition.order, len(found.middle)
        try:
            series = self.definition.rational_series(0.0, length + order)
        except (Irrational, Outside, Retry):
            return found
        coefficients = [series[k + order] * _falling(k, order) for k in range(length)]
        fractions = [Fraction(int(c.p), int(c.q)) for c in coefficients]
        exact = [Fraction(float(f)) == f for f in fractions]
        return _Series(
            middle=tuple(float(f) if e else m for f, e, m in zip(fractions, exact, found.middle, strict=True)),
            radius=tuple(0.0 if e else r for e, r in zip(exact, found.radius, strict=True)),
            largest=found.largest,
            exact=tuple(e or was for e, was in zip(exact, found.exact, strict=True)),
            balls=found.balls,
        )


def _falling(k: int, order: int) -> int:
    """(k + order)! / k!: from coefficients of f to those of its derivative."""
    return math.perm(k + order, order)


def _magnitude(coefficients: Sequence[float]) -> float:
    """The middle one of abs(p) at both ends and the centre: a root must not ask for digits that nothing has."""
    even, odd = sum(coefficients[::2]), sum(coefficients[1::2])
    return sorted([abs(coefficients[0]), abs(even + odd), abs(even - odd)])[1]


def _interval(centre: float, half: int, step: float) -> Any:
    """The inputs of a run, from the first to the last and no further: beyond may be a kink."""
    return flint.arb(flint.arb(centre) - flint.arb(step) / 2, half * abs(step) - abs(step) / 2)


def _blurred(segment: Segment) -> bool:
    """Whether float64 does not tell every value of a run to `SHARP` ulps."""
    if segment.spacing is not None:
        return segment.radius > SHARP * segment.spacing
    least = 0.0 if segment.low <= 0 <= segment.high else min(abs(segment.low), abs(segment.high))
    return segment.radius > SHARP * FORM.epsilon / 2 * least


def _known(found: _Series, target: float) -> int | None:
    """The first coefficient that bounds the remainder to the target; None where the series is too short."""
    return next((k for k, bound in enumerate(found.largest) if k and bound <= target), None)


def _fine(found: _Series, known: int) -> Fine:
    """The polynomial in two floats; the coefficient `known` bounds the remainder."""
    high = found.middle[:known]
    low = tuple([float(ball - m) for ball, m in zip(found.balls, high, strict=False)])
    # two floats keep 2^-106 of a coefficient, and each step of Horner's scheme 2^-102 of what was summed so far
    rounded = sum([(k + 2) * abs(c) for k, c in enumerate(high)]) * 2.0**-100 + TINY
    return Fine(high, low, (found.largest[known] + sum(found.radius[:known]) + rounded) * SLACK)


def _segment(start: int, size: int, found: _Series, known: int, target: float) -> Segment:
    """The shortest polynomial within the target; the coefficient `known` bounds the remainder."""
    rest = found.largest[known]
    degree = known - 1
    while degree and rest + abs(found.middle[degree]) + found.radius[degree] <= target:
        rest += abs(found.middle[degree]) + found.radius[degree]
        degree -= 1
    coefficients = found.middle[: degree + 1]
    if rest == 0 and all(found.exact[: degree + 1]) and _horner_is_exact(coefficients, size):
        radius = 0.0
    else:
        sizes = [abs(c) for c in coefficients]
        rounded = sum([c for c, exact in zip(sizes, found.exact, strict=False) if not exact]) * 2 * UNIT
        horner = sum([(2 * k + 1) * c for k, c in enumerate(sizes)]) * UNIT + TINY if degree else 0.0
        radius = (rest + sum(found.radius[: degree + 1]) + rounded + horner) * SLACK
    low, high = _range(coefficients, radius, size)
    if low >= 2.0**128 or high <= -(2.0**128):
        value = math.copysign(math.inf, low)
        return Segment(start, size, (value,), 0.0, value, value, None)
    return Segment(start, size, coefficients, radius, low, high, _shared_spacing(low, high))


def _segment_about_zero(start: int, found: _Series) -> Segment | None:
    """The part of the series about 0 that this block needs, or None where no accuracy relative to it is left."""
    first, last = abs(float_of(start)), abs(float_of(start + BLOCK - 1))
    sign = -1.0 if start >> 31 else 1.0
    known = len(found.largest) - 1
    powers = [last**k for k in range(known + 1)]

    def p(x: float) -> float:
        value = 0.0
        for coefficient in reversed(found.middle[:known]):
            value = value * x + coefficient
        return value

    middle = p(sign * (first + last) / 2)
    magnitude = max(sorted(map(abs, (p(sign * first), middle, p(sign * last))))[1], FLOOR)
    rest = found.largest[known] * powers[known] + (TINY if found.largest[known] else 0.0)
    degree = known - 1
    while (
        degree and rest + (abs(found.middle[degree]) + found.radius[degree]) * powers[degree] <= TRUNCATION * magnitude
    ):
        # The first term beside a tie breaks it, however small: x/2 + 0.4 x**2.
        if degree == 2 and found.middle[0] == 0 and found.middle[2]:
            break
        rest += (abs(found.middle[degree]) + found.radius[degree]) * powers[degree]
        degree -= 1
    coefficients = found.middle[: degree + 1]
    terms = [abs(c) * power for c, power in zip(coefficients, powers, strict=False)]
    exact = found.exact[: degree + 1]

    def error(first_term: int) -> float:
        """Of the terms from this one on."""
        inexact = sum(t * 2 * UNIT for t, sure in zip(terms[first_term:], exact[first_term:], strict=True) if not sure)
        own = sum(
            r * power for r, power in zip(found.radius[first_term : degree + 1], powers[first_term:], strict=False)
        )
        horner = sum((2 * k + 3) * t for k, t in enumerate(terms[first_term:], first_term)) * UNIT + TINY
        return (rest + own + inexact + horner) * SLACK

    straight = coefficients[0] == 0 and all(exact[:2]) and len(exact) > 1 and _bits(coefficients[1]) <= 29
    nothing_else = rest == 0 and not any(coefficients[2:]) and all(exact)
    radius = 0.0 if nothing_else and (straight or degree == 0) else error(0)
    if not radius <= 2 * TRUNCATION * magnitude:
        return None
    width = (last - first) / 2
    spread = sum(k * t for k, t in enumerate(terms)) / last * width * SLACK + radius + abs(middle) * 2.0**-40
    low, high = middle - spread, middle + spread
    return Segment(
        start=start,
        size=BLOCK,
        coefficients=coefficients,
        radius=radius,
        low=low,
        high=high,
        spacing=_shared_spacing(low, high),
        about_zero=True,
        tail_radius=error(2) if straight and degree > 1 else None,
    )


def _range(coefficients: Sequence[float], radius: float, size: int) -> tuple[float, float]:
    """Bounds of all values of the run; for a straight line those at its first and its last pattern."""
    if radius == 0 and len(coefficients) <= 2:
        first = coefficients[0] - sum(coefficients[1:])
        last = coefficients[0] + sum(coefficients[1:]) * (1 - 2 / size)
        return min(first, last), max(first, last)
    spread = (sum(map(abs, coefficients[1:])) + radius) * SLACK + abs(coefficients[0]) * 2.0**-50
    return coefficients[0] - spread, coefficients[0] + spread


def _shared_spacing(low: float, high: float) -> float | None:
    """The float32 ulp of all values between the two after rounding, or None where they have several."""
    top = 2.0 ** (FORM.min_exponent + 1)
    if max(abs(low), abs(high)) < top * (1 - 2.0**-25):
        return FORM.smallest_subnormal
    smaller, larger = sorted((abs(low), abs(high)))
    if low <= 0 <= high or not larger < FORM.max:
        return None
    exponent = math.frexp(smaller)[1]
    if larger >= math.ldexp(1 - 2.0**-25, exponent):
        return None
    return math.ldexp(1.0, exponent - FORM.precision)


def _bits(number: float) -> int:
    """How many significant bits a float64 has."""
    numerator = abs(number.as_integer_ratio()[0])
    return (numerator // (numerator & -numerator)).bit_length() if numerator else 0


def _horner_is_exact(coefficients: Sequence[float], size: int) -> bool:
    """Whether every product and sum on the way fits in 53 bits, at each input of a run of this length."""
    if len(coefficients) == 1:
        return True

    def last_bit(number: float) -> int:
        mantissa, exponent = math.frexp(number)
        scaled = int(math.ldexp(mantissa, 53))
        return exponent - 53 + (scaled & -scaled).bit_length() - 1

    step = 1 - (size // 2).bit_length()  # the variable is a multiple of 2**step and at most 1
    bound, last = 0.0, 10_000
    for number in reversed(coefficients):
        if bound:
            last += step
            if math.frexp(bound)[1] - last > 53 or last < -1000:
                return False
        if number:
            last = min(last, last_bit(number))
            bound = (bound + abs(number)) * SLACK
            if math.frexp(bound)[1] - last > 53:
                return False
    return True
