"""`reference()`: the correctly rounded value of an activation, its derivatives and parameter gradients.

The untouched definition is evaluated in ball arithmetic (Arb, through python-flint): derivatives are power
series on the same tree, and the branch of a Piecewise, Max, Min, Abs or sign is chosen by exact comparison.
Nothing of the derivative engine or of the kernel generator is shared, so an error there cannot hide here.

A value is given only when both ends of its ball round to the same float, directly in the target format. Where
they do not, the precision doubles; expressions that are rational at the input are evaluated exactly, which
settles ties. What stays open at `MAX_PRECISION` bits is listed as undecided, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

import flint
import numpy as np
import numpy.typing as npt
import sympy
from sympy import Expr, Symbol
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, BooleanFalse, BooleanTrue, Not, Or

from relusym.activation import Activation, Number, exact, parameter_values
from relusym.errors import InvalidActivation, InvalidRequest
from relusym.floats import Array, Format, format_of, round_to, to_format, ulp

MIN_PRECISION = 64
MAX_PRECISION = 8192

Series = Any  # flint.arb_series or flint.fmpq_series: a truncated power series in the varied symbol
Evaluate = Callable[[Series], Series]
Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Rounded = tuple[float, float, float]  # value, offset in ulps, double approximation of the exact value


@dataclass(frozen=True)
class Reference:
    """What a kernel should return, and how far the exact value lies from it.

    `value` is correctly rounded, in the dtype and shape of the input. `offset` is (exact - value)/ulp(value)
    to within 2**-12 (float64: 2**-5), 0 where value is not finite. `condition` is abs(x g'(x)) /
    max(abs(g(x)), smallest normal): by how many ulps of g one ulp of x moves it, finite at roots and below
    the normal range, where the ulp stops shrinking; 0 where g' is unknown. `undecided` lists positions (of
    the flattened input) without a value. Infinite inputs have the value stated for them, else NaN.
    """

    value: Array
    offset: Floats
    condition: Floats
    undecided: npt.NDArray[np.int64]


def reference(
    activation: Activation,
    x: Array,
    *,
    order: int = 0,
    parameters: Mapping[str, Number] | None = None,
    at_breakpoints: Mapping[Any, Any] | None = None,
    factor: Array | None = None,
    wrt: str | None = None,
) -> Reference:
    """Correctly rounded derivative of the given order (0, 1 or 2) at each input, in the format of `x`.

    `at_breakpoints` maps exact points (±oo for the limits there) to the exact value used when an input equals
    the point: a number, ±oo, or nan where there is none. Without an entry the definition's own branch is
    used, and a tie inside Max, Min, Abs, sign or Heaviside is undecided for order >= 1. `factor` (an array
    like `x`) multiplies the exact value before the one rounding. `wrt` names a parameter: the first partial
    derivative with respect to it instead of x, order being 0.

    Raises `InvalidRequest` for another order, several inputs or an unknown parameter, and `InvalidActivation`
    for a function outside the formula grammar.
    """
    form = format_of(x.dtype)
    if order not in (0, 1, 2) or (wrt is not None and order):
        raise InvalidRequest(f"reference: order {order!r} is unknown; known: 0, 1, 2, and only 0 together with wrt")
    if len(activation.inputs) != 1:
        raise InvalidRequest(f"{activation.name} has {len(activation.inputs)} inputs; the reference takes one")
    if factor is not None and (factor.shape != x.shape or factor.dtype != x.dtype):
        raise InvalidRequest("reference: factor must have the shape and dtype of x")
    with np.errstate(invalid="ignore"):  # signalling NaNs
        inputs = np.ravel(x).astype(np.float64)
        factors = np.ones_like(inputs) if factor is None else np.ravel(factor).astype(np.float64)
    values = parameter_values(activation, parameters)
    definition = _definition(activation, tuple(values.items()), wrt, order)
    result = _Result(inputs.size)
    points = np.flatnonzero(~np.isnan(inputs) & np.isfinite(factors))
    with _flint_settings():
        for point, stated in (at_breakpoints or {}).items():
            here = inputs[points] == _as_float(point)
            _stated(definition, stated, factors, points[here], form, result)
            points = points[~here]
        points = points[np.isfinite(inputs[points])]
        undecided = np.sort(
            np.concatenate(
                [
                    _climb(definition, inputs, factors, points, form, result),
                    np.asarray(result.stated_open, dtype=np.int64),
                ]
            )
        )
        if wrt is not None:
            _condition_by_difference(definition, inputs, np.setdiff1d(points, undecided), result)
    with np.errstate(all="ignore"):
        floor = np.maximum(np.abs(result.exact), form.smallest_normal)
        condition = np.abs(inputs * (factors * result.slope)) / floor
    result.value[undecided] = np.nan
    return Reference(
        value=to_format(result.value, form).reshape(x.shape),
        offset=np.where(np.isfinite(result.value), result.offset, 0.0).reshape(x.shape),
        condition=np.where(np.isnan(condition), 0.0, condition).reshape(x.shape),
        undecided=undecided,
    )


class _Result:
    """Arrays filled point by point; `exact` is the value in double accuracy, `slope` is g' alone."""

    def __init__(self, size: int) -> None:
        self.value = np.full(size, np.nan)
        self.offset = np.zeros(size)
        self.exact = np.zeros(size)
        self.slope = np.zeros(size)
        self.stated_open: list[int] = []


# --- the ladder of precisions ---


def _climb(
    definition: _Definition, x: Floats, factors: Floats, points: Positions, form: Format, into: _Result
) -> Positions:
    """Decide every point at the lowest sufficient precision; return those left open at the highest."""
    hopeless: list[int] = []
    seen_rational: set[int] = set()
    precision = MIN_PRECISION
    while points.size and precision <= MAX_PRECISION:
        flint.ctx.prec = precision
        balls, slopes, outside = _evaluate(definition, x[points], factors[points], precision)
        into.slope[points] = slopes
        decided, close = _decide(balls, form, points, into)
        still_open: list[int] = []
        for position in np.flatnonzero(~decided).tolist():
            index = int(points[position])
            rounded = _round_ball(balls[position], form) if close[position] else None
            if rounded is None and close[position] and index not in seen_rational:
                # Perhaps a tie: what is rational at this input is settled exactly.
                seen_rational.add(index)
                rational = definition.exact_value(x[index])
                if rational is not None:
                    rounded = _round_rational(rational * Fraction(float(factors[index])), form)
            if rounded is not None:
                into.value[index], into.offset[index], into.exact[index] = rounded
            elif outside[position]:
                hopeless.append(index)
            else:
                still_open.append(index)
        points = np.asarray(still_open, dtype=np.int64)
        precision *= 2
    return np.sort(np.concatenate([np.asarray(hopeless, dtype=np.int64), points]))


def _evaluate(
    definition: _Definition, x: Floats, factors: Floats, precision: int
) -> tuple[list[Any], Floats, list[bool]]:
    """Balls of factor * g at each input, g' to a few digits, and whether an input is outside the domain."""
    order = definition.order
    varied = definition.wrt is None
    length = order + 2 if varied else order + 1
    evaluate = definition.balls(precision, length)
    scale = math.factorial(order)
    scaled = scale != 1 or bool(np.any(factors != 1))
    series, nowhere = flint.arb_series, flint.arb.nan()
    balls: list[Any] = []
    slopes = np.zeros(x.size)
    outside = [False] * x.size
    flint.ctx.cap = length
    for position, (number, factor) in enumerate(zip(x.tolist(), factors.tolist(), strict=True)):
        try:
            result = evaluate(series([number, 1]) if varied else series([number]))
            if result.prec < length:  # cancelled leading terms: later coefficients are unknown, not zero
                raise _Retry
            ball = result[order]
            if varied:
                slopes[position] = float(result[order + 1])
        except _Retry:
            ball = nowhere
        except _Outside:
            ball, outside[position] = nowhere, True
        if order == 0 and not ball.is_finite():
            ball, outside[position] = _value_alone(definition, number, precision)
            flint.ctx.cap = length
        balls.append(ball * (factor * scale) if scaled else ball)
    return balls, slopes * math.factorial(order + 1), outside


def _value_alone(definition: _Definition, number: float, precision: int) -> tuple[Any, bool]:
    """Value without its derivative, which may not exist (sqrt at 0), and whether x is outside the domain."""
    evaluate = definition.balls(precision, 1)
    flint.ctx.cap = 1
    try:
        return evaluate(flint.arb_series([number]))[0], False
    except _Retry:
        return flint.arb.nan(), False
    except _Outside:
        return flint.arb.nan(), True


def _decide(
    balls: Sequence[Any], form: Format, points: Positions, into: _Result
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Round whole arrays at once where double arithmetic with outward slack settles it.

    Returns which points are decided, and which balls are narrow enough that exact integers may decide more.
    """
    high = np.array([float(ball) for ball in balls])
    accuracy = np.clip(np.array([ball.rel_accuracy_bits() for ball in balls], dtype=np.int64), -1000, 1000)
    with np.errstate(all="ignore"):
        # rad <= abs(mid) * 2**-accuracy, and float() truncates the midpoint by at most 2**-52 of it.
        radius = np.abs(high) * np.ldexp(1.0, -accuracy)
        coarse = np.flatnonzero(accuracy < 1)
        radius[coarse] = [float(balls[position].rad()) for position in coarse.tolist()]
        radius *= 1 + 2.0**-40
        if form.precision > 24:
            value, offset, decided = _decide_double(balls, high, radius)
            narrow = (accuracy >= form.precision) | (np.abs(high) < 2.0**-900)
        else:
            slack = radius + np.abs(high) * 2.0**-50 + 2.0**-1060
            value = round_to(high - slack, form)
            spacing = ulp(value, form)
            decided = (value == round_to(high + slack, form)) & np.isfinite(high) & (slack < 2.0**-12 * spacing)
            value = np.where(value == 0, np.copysign(0.0, high), value)
            offset = (high - value) / spacing
            narrow = (accuracy >= form.precision) | ~np.isfinite(high)
    chosen = points[decided]
    into.value[chosen] = value[decided]
    into.offset[chosen] = offset[decided]
    into.exact[chosen] = high[decided]
    return decided, narrow


def _decide_double(balls: Sequence[Any], high: Floats, radius: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Float64: the midpoint is `high` plus a residue below one ulp, to be compared with half an ulp."""
    normal = np.isfinite(high) & (np.abs(high) > 2.0**-900)
    low = np.zeros(high.size)
    at = np.flatnonzero(normal)
    low[at] = [float(balls[i] - top) for i, top in zip(at.tolist(), high[at].tolist(), strict=True)]
    spacing = np.where(normal, np.spacing(np.abs(high)), 1.0)
    fraction = low / spacing * np.sign(high)
    slack = radius / spacing + 2.0**-40
    sharp = slack < 2.0**-5
    # Below a power of two the floats lie twice as dense: -1/4 instead of -1/2.
    stays = (fraction - slack > -0.25) & (fraction + slack < 0.5)
    moves = (fraction - slack > 0.5) & (fraction + slack < 1)
    value = np.where(moves, np.nextafter(high, np.copysign(np.inf, high)), high)
    offset = (low - (value - high)) / np.spacing(np.abs(value))
    return value, offset, normal & sharp & (stays | moves) & np.isfinite(value)


def _round_ball(ball: Any, form: Format) -> Rounded | None:
    """Value, offset and double approximation when both ends of the ball round to the same float."""
    if not ball.is_finite():
        return None
    lower, lower_offset = _round_dyadic(*_dyadic(ball.lower()), form)
    upper, upper_offset = _round_dyadic(*_dyadic(ball.upper()), form)
    if lower != upper or upper_offset - lower_offset > 2.0**-5:
        return None
    value, offset = _round_dyadic(*_dyadic(ball.mid()), form)
    return value, offset, float(ball)


def _round_rational(number: Fraction, form: Format) -> Rounded:
    """A rational rounded once, half to even, exactly."""
    numerator, denominator = number.numerator, number.denominator
    leading = abs(numerator).bit_length() - denominator.bit_length()
    if abs(numerator) < denominator * Fraction(2) ** leading:
        leading -= 1
    last = max(leading, form.min_exponent) - form.precision + 1
    scaled = number / Fraction(2) ** last
    quotient = round(scaled)  # Python rounds halves to even
    value = _assemble(quotient, last, form)
    offset = float(scaled - quotient)
    if abs(quotient) == 2**form.precision:
        offset /= 2
    return value, offset, value + offset * math.ldexp(1.0, last) if math.isfinite(value) else value


def _dyadic(exact_ball: Any) -> tuple[int, int]:
    mantissa, exponent = exact_ball.man_exp()
    return int(mantissa), int(exponent)


def _round_dyadic(mantissa: int, exponent: int, form: Format) -> tuple[float, float]:
    """Round mantissa * 2**exponent once, half to even; with the offset in ulps of the result."""
    if mantissa == 0:
        return 0.0, 0.0
    leading = abs(mantissa).bit_length() - 1 + exponent
    if leading > form.max_exponent:
        return (math.inf if mantissa > 0 else -math.inf), 0.0
    last = max(leading, form.min_exponent) - form.precision + 1
    if leading < last - 64:
        return (0.0 if mantissa > 0 else -0.0), 0.0
    shift = last - exponent
    if shift <= 0:
        return _assemble(mantissa << -shift, last, form), 0.0
    quotient, remainder = divmod(mantissa, 1 << shift)
    half = 1 << (shift - 1)
    if remainder > half or (remainder == half and quotient & 1):
        quotient += 1
        remainder -= 1 << shift
    offset = remainder / (1 << shift)
    if abs(quotient) == 2**form.precision:
        offset /= 2  # rounded up to the next binade, where an ulp is twice as large
    return _assemble(quotient, last, form), offset


def _assemble(quotient: int, last: int, form: Format) -> float:
    if quotient.bit_length() - 1 + last > form.max_exponent:
        return math.inf if quotient > 0 else -math.inf
    return math.ldexp(quotient, last)


def _stated(
    definition: _Definition, stated: Any, factors: Floats, points: Positions, form: Format, into: _Result
) -> None:
    """Fill in an exact value that the caller states, times each factor."""
    if stated in (sympy.oo, -sympy.oo, sympy.nan):
        with np.errstate(invalid="ignore"):
            into.value[points] = factors[points] * float(stated)
        return
    constant = exact(stated)
    left = points.tolist()
    precision = MIN_PRECISION
    while left and precision <= MAX_PRECISION:
        flint.ctx.prec = precision
        flint.ctx.cap = 1
        ball = definition.constant(constant, precision)
        remaining = []
        for index in left:
            rounded = None
            if isinstance(constant, sympy.Rational):
                product = Fraction(int(constant.p), int(constant.q)) * Fraction(float(factors[index]))
                rounded = _round_rational(product, form)
            else:
                rounded = _round_ball(ball * float(factors[index]), form)
            if rounded is None:
                remaining.append(index)
            else:
                into.value[index], into.offset[index], into.exact[index] = rounded
        left = remaining
        precision *= 2
    into.stated_open.extend(left)


def _condition_by_difference(definition: _Definition, x: Floats, points: Positions, into: _Result) -> None:
    """The slope in x of a parameter gradient, by a difference so short that no float lies in between."""
    precision, step = 512, flint.arb(2) ** -160
    flint.ctx.prec = precision
    evaluate = definition.balls(precision, 2)
    flint.ctx.cap = 2
    one = flint.arb(1)
    for index in points.tolist():
        number = flint.arb(float(x[index]))
        slopes = []
        for towards in (one + step, one - step):
            try:
                here = evaluate(flint.arb_series([number]))[1]
                there = evaluate(flint.arb_series([number * towards]))[1]
                slopes.append(abs(float((there - here) / (number * step))))
            except (_Retry, _Outside, ZeroDivisionError):
                continue
        # Across a jump one of the two is huge and means nothing.
        finite = [slope for slope in slopes if math.isfinite(slope)]
        into.slope[index] = min(finite, default=0.0)


# --- one tree, two algebras ---


class _Retry(Exception):
    """Not decidable at this precision."""


class _Outside(Exception):
    """No value at any precision: outside the domain, a pole, or a tie where a derivative was asked for."""


class _Irrational(Exception):
    """Not a rational number."""


class _Algebra(Protocol):
    """Truncated power series over some numbers: what a node of the tree needs."""

    length: int
    strict: bool

    def number(self, value: sympy.Rational) -> Series: ...
    def inverse(self, u: Series) -> Series: ...
    def root(self, u: Series, degree: int) -> Series: ...
    def power(self, base: Series, exponent: Series) -> Series: ...
    def function(self, name: str) -> Callable[[Series], Series]: ...
    def constant(self, name: str) -> Series: ...
    def compare(self, left: _Side, right: _Side, point: Series) -> int: ...


@dataclass(frozen=True)
class _Side:
    """One side of a comparison: how to evaluate it in the current algebra, and the expression itself."""

    evaluate: Evaluate
    expr: Expr


class _Balls:
    """Arb power series; enclosures at the precision in force when built and used."""

    def __init__(self, definition: _Definition, length: int, strict: bool) -> None:
        self.definition = definition
        self.length = length
        self.strict = strict
        self.one = flint.arb_series([1])
        self.zero = flint.arb(0)
        self.two_over_root_pi = flint.arb_series([2 / flint.arb.const_sqrt_pi()])

    def number(self, value: sympy.Rational) -> Series:
        return flint.arb_series([flint.arb(flint.fmpq(int(value.p), int(value.q)))])

    def constant(self, name: str) -> Series:
        return flint.arb_series([flint.arb.pi() if name == "pi" else flint.arb.const_e()])

    def inverse(self, u: Series) -> Series:
        try:
            return self.one / u
        except (ValueError, ZeroDivisionError):
            raise (_Outside if u[0].is_zero() else _Retry) from None

    def root(self, u: Series, degree: int) -> Series:
        self._positive(u, zero_allowed=self.length == 1)
        if u[0].is_zero():
            return flint.arb_series([0])
        if degree == 2:
            return u.sqrt()
        return (u.log() * self.number(sympy.Rational(1, degree))).exp()

    def power(self, base: Series, exponent: Series) -> Series:
        self._positive(base)
        return (base.log() * exponent).exp()

    def function(self, name: str) -> Callable[[Series], Series]:
        native = {"exp", "sin", "cos", "atan"}
        if name in native:
            return getattr(flint.arb_series, name)  # type: ignore[no-any-return]
        return getattr(self, name)  # type: ignore[no-any-return]

    def compare(self, left: _Side, right: _Side, point: Series) -> int:
        difference = left.evaluate(point)[0] - right.evaluate(point)[0]
        if difference > 0:
            return 1
        if difference < 0:
            return -1
        if difference.is_zero():
            return 0
        try:
            return self.definition.compare_exactly(left.expr, right.expr, point)
        except _Irrational:
            raise _Retry from None

    def _positive(self, u: Series, zero_allowed: bool = False) -> None:
        leading = u[0]
        if leading > 0:
            return
        if leading.is_zero() and zero_allowed:
            return
        raise _Outside if leading <= 0 else _Retry

    # The functions that arb_series lacks: the constant term by Arb, the rest from the derivative as a series.

    def log(self, u: Series) -> Series:
        self._positive(u)
        return u.log()

    def tanh(self, u: Series) -> Series:
        leading = u[0]
        tanh = [leading.tanh()]
        if self.length > 1:
            sech = leading.sech()
            slope = [sech * sech]  # 1 - tanh**2 without its cancellation
            for k in range(1, self.length):
                if k > 1:
                    slope.append(-sum((tanh[i] * tanh[k - 1 - i] for i in range(k)), self.zero))
                tanh.append(self._integrated(u, slope, k))
        return self._known(tanh, u)

    def _sinh_cosh(self, u: Series) -> tuple[Series, Series]:
        leading = u[0]
        sinh, cosh = [leading.sinh()], [leading.cosh()]
        for k in range(1, self.length):
            sinh.append(self._integrated(u, cosh, k))
            cosh.append(self._integrated(u, sinh, k))
        return self._known(sinh, u), self._known(cosh, u)

    def _integrated(self, u: Series, slope: list[Any], k: int) -> Any:
        """Coefficient k of g(u), from those of g'(u) below k: k g_k = sum of j u_j g'_(k-j)."""
        if k == 1:
            return u[1] * slope[0]
        return sum((u[j] * slope[k - j] * j for j in range(1, k + 1)), self.zero) / k

    def _known(self, coefficients: list[Any], u: Series) -> Series:
        if u.prec < self.length:  # beyond its precision a series reads 0
            raise _Retry
        return flint.arb_series(coefficients)

    def sinh(self, u: Series) -> Series:
        return self._sinh_cosh(u)[0]

    def cosh(self, u: Series) -> Series:
        return self._sinh_cosh(u)[1]

    def erf(self, u: Series) -> Series:
        leading = flint.arb_series([u[0].erf()])
        if self.length == 1:
            return leading
        return leading + (self.two_over_root_pi * (-(u * u)).exp() * u.derivative()).integral()

    def erfc(self, u: Series) -> Series:
        leading = flint.arb_series([u[0].erfc()])
        if self.length == 1:
            return leading
        return leading - (self.two_over_root_pi * (-(u * u)).exp() * u.derivative()).integral()


class _Rationals:
    """Power series over the rationals; whatever is irrational at the input raises `_Irrational`."""

    def __init__(self, definition: _Definition, length: int, strict: bool) -> None:
        self.definition = definition
        self.length = length
        self.strict = strict

    def number(self, value: sympy.Rational) -> Series:
        return flint.fmpq_series([flint.fmpq(int(value.p), int(value.q))])

    def constant(self, name: str) -> Series:
        raise _Irrational

    def inverse(self, u: Series) -> Series:
        if u[0] == 0:
            raise _Outside
        return self.number(sympy.Integer(1)) / u

    def root(self, u: Series, degree: int) -> Series:
        leading = u[0]
        if leading == 0 and self.length == 1:
            return u
        if leading <= 0:
            raise _Outside
        scale = flint.fmpq(*(_integer_root(part, degree) for part in (leading.p, leading.q)))
        if self.length == 1:
            return flint.fmpq_series([scale])
        if degree != 2:
            raise _Irrational
        return (u / leading).sqrt() * scale

    def power(self, base: Series, exponent: Series) -> Series:
        raise _Irrational

    def function(self, name: str) -> Callable[[Series], Series]:
        at = 1 if name == "log" else 0

        def rational_only_there(u: Series) -> Series:
            if u[0] != at:
                raise _Irrational
            if name in ("erf", "erfc"):
                if self.length > 1:
                    raise _Irrational
                return flint.fmpq_series([0 if name == "erf" else 1])
            return getattr(u, name)()

        return rational_only_there

    def compare(self, left: _Side, right: _Side, point: Series) -> int:
        try:
            return self.definition.compare_exactly(left.expr, right.expr, point)
        except _Irrational:
            return self.definition.compare_by_balls(left.expr, right.expr, point)


def _integer_root(number: Any, degree: int) -> int:
    root = int(sympy.integer_nthroot(int(number), degree)[0])
    if root**degree != int(number):
        raise _Irrational
    return root


class _Definition:
    """An activation with its parameter values; evaluators are built when needed, by precision and length."""

    def __init__(self, activation: Activation, values: Mapping[Symbol, Expr], wrt: str | None, order: int) -> None:
        self.activation = activation
        self.values = dict(values)
        self.wrt: Symbol | None = None
        if wrt is not None:
            named = {symbol.name: symbol for symbol in values}
            if wrt not in named:
                raise InvalidRequest(
                    f"{activation.name} has no parameter {wrt!r}; its parameters: {', '.join(named) or 'none'}"
                )
            self.wrt = named[wrt]
        self.order = 1 if wrt is not None else order
        self._built: dict[object, Evaluate] = {}

    def balls(self, precision: int, length: int) -> Evaluate:
        """Evaluator over balls; its constants belong to `precision`, which must be in force during use."""
        key = (precision, length)
        if key not in self._built:
            flint.ctx.prec, flint.ctx.cap = precision, length
            algebra = _Balls(self, length, strict=self.order > 0 and length > 1)
            self._built[key] = self._build(self.activation.expr, algebra)
        return self._built[key]

    def constant(self, value: Expr, precision: int) -> Any:
        """Ball of a number, at the precision in force."""
        try:
            return _Builder(self, _Balls(self, 1, strict=False)).build(value)(None)[0]
        except (_Retry, _Outside):
            return flint.arb.nan()

    def exact_value(self, x: float) -> Fraction | None:
        """The asked derivative as a rational number, or None where it is not known to be rational."""
        length = self.order + 1
        saved = flint.ctx.cap
        flint.ctx.cap = length
        try:
            evaluate = self._rational(self.activation.expr, length, strict=self.order > 0)
            number = flint.arb(x).fmpq()
            point = flint.fmpq_series([number, 1] if self.wrt is None else [number])
            result = evaluate(point)
            if result.prec < length:
                return None
            coefficient = result[self.order]
            return Fraction(int(coefficient.p), int(coefficient.q)) * math.factorial(self.order)
        except (_Irrational, _Outside, _Retry):
            return None
        finally:
            flint.ctx.cap = saved

    def compare_exactly(self, left: Expr, right: Expr, point: Series) -> int:
        """Sign of left - right by rational arithmetic; raises `_Irrational`."""
        number = point[0]
        if not isinstance(number, flint.fmpq):
            number = number.fmpq()
        saved = flint.ctx.cap
        flint.ctx.cap = 1
        try:
            here = flint.fmpq_series([number])
            sides = [self._rational(side, 1, strict=False)(here)[0] for side in (left, right)]
        finally:
            flint.ctx.cap = saved
        return int(sides[0] > sides[1]) - int(sides[0] < sides[1])

    def compare_by_balls(self, left: Expr, right: Expr, point: Series) -> int:
        """Sign of left - right by balls of rising precision; raises `_Irrational` when they never part."""
        saved = flint.ctx.cap, flint.ctx.prec
        try:
            for precision in (128, 512, 2048):
                flint.ctx.cap, flint.ctx.prec = 1, precision
                here = flint.arb_series([flint.arb(point[0])])
                builder = _Builder(self, _Balls(self, 1, strict=False))
                try:
                    difference = builder.build(left)(here)[0] - builder.build(right)(here)[0]
                except _Retry:
                    continue
                if difference > 0 or difference < 0:
                    return 1 if difference > 0 else -1
            raise _Irrational
        finally:
            flint.ctx.cap, flint.ctx.prec = saved

    def _rational(self, expr: Expr, length: int, *, strict: bool) -> Evaluate:
        key = (expr, length, strict)
        if key not in self._built:
            self._built[key] = self._build(expr, _Rationals(self, length, strict))
        return self._built[key]

    def _build(self, expr: Expr, algebra: _Algebra) -> Evaluate:
        return _Builder(self, algebra).build(expr)


@lru_cache(maxsize=32)
def _definition(
    activation: Activation, values: tuple[tuple[Symbol, Expr], ...], wrt: str | None, order: int
) -> _Definition:
    return _Definition(activation, dict(values), wrt, order)


class _Builder:
    """Compiles a SymPy tree to closures over the series of x, once per algebra, precision and length."""

    def __init__(self, definition: _Definition, algebra: _Algebra) -> None:
        self.definition = definition
        self.algebra = algebra
        (self.variable,) = definition.activation.inputs

    def build(self, expr: Expr) -> Evaluate:
        """A closure from the series of the input to the series of the expression."""
        if expr == self.variable:
            return lambda point: point
        evaluate = self._node(expr)
        if self.variable in expr.free_symbols:
            return evaluate
        try:
            value = evaluate(None)
        except (_Retry, _Outside, _Irrational):
            return evaluate  # raises again when, and only if, an input reaches it
        return lambda point: value

    def _node(self, expr: Expr) -> Evaluate:
        algebra = self.algebra
        if isinstance(expr, sympy.Symbol):
            return self._parameter(expr)
        if isinstance(expr, sympy.Float):
            return self._node(sympy.Rational(expr))
        if isinstance(expr, sympy.Rational):
            number = algebra.number(expr)
            return lambda point: number
        if expr in (sympy.pi, sympy.E):
            name = "pi" if expr == sympy.pi else "e"
            return lambda point: algebra.constant(name)
        if isinstance(expr, sympy.Add):
            return self._chain(expr.args, _add)
        if isinstance(expr, sympy.Mul):
            return self._chain(expr.args, _multiply)
        if isinstance(expr, sympy.Pow):
            return self._power(expr.base, expr.exp)
        if isinstance(expr, sympy.Piecewise):
            return self._piecewise(expr)
        if isinstance(expr, sympy.Max | sympy.Min):
            return self._extremum(list(expr.args), 1 if isinstance(expr, sympy.Max) else -1)
        if isinstance(expr, sympy.Abs | sympy.sign | sympy.Heaviside):
            return self._by_sign(expr)
        name = type(expr).__name__
        if name in ("exp", "log", "erf", "erfc", "sin", "cos", "tanh", "sinh", "cosh", "atan"):
            apply, inner = algebra.function(name), self.build(expr.args[0])
            return lambda point: apply(inner(point))
        raise InvalidActivation(
            f"{self.definition.activation.name}: the reference has no rule for {name} in {expr}; write it "
            "with exp log sqrt erf erfc sin cos tanh sinh cosh atan Abs sign Max Min Piecewise Heaviside"
        )

    def _parameter(self, symbol: Symbol) -> Evaluate:
        value = self._node(self.definition.values[symbol])
        if symbol != self.definition.wrt:
            return value
        kind = flint.arb_series if isinstance(self.algebra, _Balls) else flint.fmpq_series
        return lambda point: value(point) + kind([0, 1])

    def _chain(self, args: Sequence[Expr], combine: Callable[[Evaluate, Evaluate], Evaluate]) -> Evaluate:
        built = [self.build(arg) for arg in args]
        result = built[0]
        for other in built[1:]:
            result = combine(result, other)
        return result

    def _power(self, base: Expr, exponent: Expr) -> Evaluate:
        algebra, inner = self.algebra, self.build(base)
        if not isinstance(exponent, sympy.Rational):
            raised = self.build(exponent)
            return lambda point: algebra.power(inner(point), raised(point))
        degree = int(exponent.q)
        times = abs(int(exponent.p))

        def whole(point: Series) -> Series:
            value = inner(point)
            # By squaring: flint's own power of a ball around 0 is nan.
            return _repeated(algebra.root(value, degree) if degree > 1 else value, times)

        if exponent.p > 0:
            return whole
        return lambda point: algebra.inverse(whole(point))

    def _piecewise(self, expr: sympy.Piecewise) -> Evaluate:
        branches = [(self._condition(condition), self.build(branch)) for branch, condition in expr.args]

        def choose(point: Series) -> Series:
            for holds, branch in branches:
                if holds(point):
                    return branch(point)
            raise _Outside

        return choose

    def _condition(self, condition: Any) -> Callable[[Series], bool]:
        if isinstance(condition, BooleanTrue | BooleanFalse) or condition in (True, False):
            answer = bool(condition)
            return lambda point: answer
        if isinstance(condition, And | Or):
            parts = [self._condition(part) for part in condition.args]
            over = all if isinstance(condition, And) else any
            return lambda point: over(part(point) for part in parts)
        if isinstance(condition, Not):
            inner = self._condition(condition.args[0])
            return lambda point: not inner(point)
        if isinstance(condition, Relational):
            algebra = self.algebra
            left = _Side(self.build(condition.lhs), condition.lhs)
            right = _Side(self.build(condition.rhs), condition.rhs)
            accepted = _RELATIONS[condition.rel_op]
            return lambda point: algebra.compare(left, right, point) in accepted
        raise InvalidActivation(
            f"{self.definition.activation.name}: condition {condition} is not a comparison; "
            "write it with < <= > >= and, or, not"
        )

    def _extremum(self, args: list[Expr], direction: int) -> Evaluate:
        algebra = self.algebra
        sides = [_Side(self.build(arg), arg) for arg in args]

        def choose(point: Series) -> Series:
            best, tied = sides[0], False
            for side in sides[1:]:
                sign = algebra.compare(side, best, point) * direction
                if sign > 0:
                    best, tied = side, False
                elif sign == 0:
                    tied = True
            if tied and algebra.strict:
                raise _Outside
            return best.evaluate(point)

        return choose

    def _by_sign(self, expr: Expr) -> Evaluate:
        algebra = self.algebra
        side, zero = (
            _Side(self.build(expr.args[0]), expr.args[0]),
            _Side(self.build(sympy.S.Zero), sympy.S.Zero),
        )
        if isinstance(expr, sympy.Abs):

            def absolute(point: Series) -> Series:
                sign = algebra.compare(side, zero, point)
                if sign == 0 and algebra.strict:
                    raise _Outside
                value = side.evaluate(point)
                return value if sign >= 0 else -value

            return absolute
        steps = (-1, 0, 1) if isinstance(expr, sympy.sign) else (0, expr.args[1], 1)
        values = [self.build(sympy.sympify(step)) for step in steps]

        def step(point: Series) -> Series:
            sign = algebra.compare(side, zero, point)
            if sign == 0 and algebra.strict:
                raise _Outside
            return values[sign + 1](point)

        return step


_RELATIONS: dict[str, frozenset[int]] = {
    ">": frozenset({1}),
    ">=": frozenset({0, 1}),
    "<": frozenset({-1}),
    "<=": frozenset({-1, 0}),
    "==": frozenset({0}),
    "!=": frozenset({-1, 1}),
}


def _add(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda point: left(point) + right(point)


def _multiply(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda point: left(point) * right(point)


def _repeated(base: Series, times: int) -> Series:
    if times == 1:
        return base
    half = _repeated(base, times // 2)
    return half * half * base if times % 2 else half * half


def _as_float(point: Any) -> float:
    """The float that equals an exact point, or NaN where no float does."""
    if point in (sympy.oo, -sympy.oo):
        return math.copysign(math.inf, point)
    number = exact(point)
    if not isinstance(number, sympy.Rational):
        return math.nan
    fraction = Fraction(int(number.p), int(number.q))
    try:
        nearest = float(fraction)
    except OverflowError:
        return math.nan
    return nearest if Fraction(nearest) == fraction else math.nan


@contextmanager
def _flint_settings() -> Iterator[None]:
    """python-flint keeps its precision and series length globally: put them back whatever happens."""
    saved = flint.ctx.prec, flint.ctx.cap
    try:
        yield
    finally:
        flint.ctx.prec, flint.ctx.cap = saved
