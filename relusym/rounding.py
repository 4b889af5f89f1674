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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import numpy.typing as npt
import sympy

from relusym.activation import Activation, Number, exact, parameter_values
from relusym.errors import InvalidRequest
from relusym.floats import Array, Format, format_of, round_to, to_format, ulp
from relusym.series import Definition, Outside, Retry, definition_of, flint_settings

MIN_PRECISION = 64
MAX_PRECISION = 8192

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
    rounded_to: Format | None = None,
    along: Mapping[str, Array] | None = None,
) -> Reference:
    """Correctly rounded derivative of the given order (0, 1 or 2) at each input, in the format of `x`.

    `rounded_to` names another format for the values, which `x` need not be rounded to.

    `at_breakpoints` maps exact points (±oo for the limits there) to the exact value used when an input equals
    the point: a number, ±oo, or nan where there is none. Without an entry the definition's own branch is
    used, and a tie inside Max, Min, Abs, sign or Heaviside is undecided for order >= 1. `factor` (an array
    like `x`) multiplies the exact value before the one rounding. `wrt` names a parameter: the first partial
    derivative with respect to it instead of x, order being 0. `along` gives parameters that have another value at each
    input, as an array like `x` for each (of any format); where one of them is not finite there is no value.

    Raises `InvalidRequest` for another order, several inputs or an unknown parameter, and `InvalidActivation`
    for a function outside the formula grammar.
    """
    form = rounded_to or format_of(x.dtype)
    if order not in (0, 1, 2) or (wrt is not None and order):
        raise InvalidRequest(f"reference: order {order!r} is unknown; known: 0, 1, 2, and only 0 together with wrt")
    if not activation.is_scalar:
        raise InvalidRequest(f"{activation.name} has {activation.shape}; the reference takes one of each")
    if factor is not None and (factor.shape != x.shape or factor.dtype != x.dtype):
        raise InvalidRequest("reference: factor must have the shape and dtype of x")
    if along and (wrt is not None or any(array.shape != x.shape for array in along.values())):
        raise InvalidRequest("reference: what goes along with x has its shape, and wrt is another parameter's matter")
    with np.errstate(invalid="ignore"):  # signalling NaNs
        inputs = np.ravel(x).astype(np.float64)
        beside = {name: np.ravel(array).astype(np.float64) for name, array in (along or {}).items()}
        factors = np.ones_like(inputs) if factor is None else np.ravel(factor).astype(np.float64)
    values = parameter_values(activation, parameters)
    varying = {symbol: beside.pop(symbol.name) for symbol in values if symbol.name in beside}
    if beside:
        raise InvalidRequest(f"reference: {activation.name} has no parameter {', '.join(beside)} to go along with x")
    fixed = tuple((symbol, value) for symbol, value in values.items() if symbol not in varying)
    definition = definition_of(activation, fixed, wrt, order, tuple(varying))
    result = _Result(inputs.size)
    points = np.flatnonzero(np.logical_and.reduce([~np.isnan(inputs), *map(np.isfinite, (factors, *varying.values()))]))
    with flint_settings():
        for point, stated in (at_breakpoints or {}).items():
            here = inputs[points] == _as_float(point)
            _stated(definition, stated, factors, points[here], form, result)
            points = points[~here]
        points = points[np.isfinite(inputs[points])]
        undecided = np.sort(
            np.concatenate(
                [
                    _climb(definition, inputs, factors, varying, points, form, result),
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
    definition: Definition,
    x: Floats,
    factors: Floats,
    varying: Mapping[sympy.Symbol, Floats],
    points: Positions,
    form: Format,
    into: _Result,
) -> Positions:
    """Decide every point at the lowest sufficient precision; return those left open at the highest."""
    hopeless: list[int] = []
    seen_rational: set[int] = set()
    precision = MIN_PRECISION
    while points.size and precision <= MAX_PRECISION:
        flint.ctx.prec = precision
        here = {symbol: array[points] for symbol, array in varying.items()}
        balls, slopes, outside = _evaluate(definition, x[points], factors[points], here, precision)
        into.slope[points] = slopes
        decided, close = _decide(balls, form, points, into)
        still_open: list[int] = []
        for position in np.flatnonzero(~decided).tolist():
            index = int(points[position])
            rounded = _round_ball(balls[position], form) if close[position] else None
            if rounded is None and close[position] and index not in seen_rational:
                # Perhaps a tie: what is rational at this input is settled exactly.
                seen_rational.add(index)
                definition.here.update((symbol, float(array[index])) for symbol, array in varying.items())
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
    definition: Definition, x: Floats, factors: Floats, varying: Mapping[sympy.Symbol, Floats], precision: int
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
        for symbol, array in varying.items():
            definition.here[symbol] = float(array[position])
        try:
            result = evaluate(series([number, 1]) if varied else series([number]))
            if result.prec < length:  # cancelled leading terms: later coefficients are unknown, not zero
                raise Retry
            ball = result[order]
            if varied:
                slopes[position] = float(result[order + 1])
        except Retry:
            ball = nowhere
        except Outside:
            ball, outside[position] = nowhere, True
        if order == 0 and not ball.is_finite():
            ball, outside[position] = _value_alone(definition, number, precision)
            flint.ctx.cap = length
        balls.append(ball * (factor * scale) if scaled else ball)
    return balls, slopes * math.factorial(order + 1), outside


def _value_alone(definition: Definition, number: float, precision: int) -> tuple[Any, bool]:
    """Value without its derivative, which may not exist (sqrt at 0), and whether x is outside the domain."""
    evaluate = definition.balls(precision, 1)
    flint.ctx.cap = 1
    try:
        return evaluate(flint.arb_series([number]))[0], False
    except Retry:
        return flint.arb.nan(), False
    except Outside:
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
    if lower != upper or upper_offset - lower_offset > (2.0**-5 if form.precision > 24 else 2.0**-12):
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
    definition: Definition, stated: Any, factors: Floats, points: Positions, form: Format, into: _Result
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


def _condition_by_difference(definition: Definition, x: Floats, points: Positions, into: _Result) -> None:
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
            except (Retry, Outside, ZeroDivisionError):
                continue
        # Across a jump one of the two is huge and means nothing.
        finite = [slope for slope in slopes if math.isfinite(slope)]
        into.slope[index] = min(finite, default=0.0)


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
