"""Intervals with exact decimal ends, and truncated power series of them: an evaluator for checking certificates.

Standard library only; nothing of the engine is used. Sums, products and quotients are rounded outwards to 42
digits; exp, log, sin, cos, erf and the others are Taylor series with bounded remainders. Decimal's own operators
round to the digits of the current context: they are used for guesses and comparisons only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_CEILING,
    ROUND_FLOOR,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from fractions import Fraction
from functools import cache, lru_cache

DIGITS = 42
_TERMS = 400
_TINY = Decimal("1e-46")

# Neither infinities nor NaN arise: what overflows raises decimal.Overflow, an ArithmeticError as OutsideDomain is.
_TRAPS = [Overflow, InvalidOperation, DivisionByZero]
_DOWN = Context(DIGITS, ROUND_FLOOR, MIN_EMIN, MAX_EMAX, traps=_TRAPS)
_UP = Context(DIGITS, ROUND_CEILING, MIN_EMIN, MAX_EMAX, traps=_TRAPS)
GUESSES = Context(DIGITS, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=_TRAPS)
"""For the operators of Decimal, which serve guesses and comparisons: no caller's precision or traps get in."""
_ZERO, _ONE = Decimal(0), Decimal(1)


class OutsideDomain(ArithmeticError):
    """A division by an interval that holds 0, the logarithm of one that is not positive, and the like."""


@dataclass(frozen=True)
class Interval:
    """All numbers from `lo` to `hi`, both finite."""

    lo: Decimal
    hi: Decimal

    def __add__(self, other: Interval) -> Interval:
        return Interval(_DOWN.add(self.lo, other.lo), _UP.add(self.hi, other.hi))

    def __sub__(self, other: Interval) -> Interval:
        return Interval(_DOWN.subtract(self.lo, other.hi), _UP.subtract(self.hi, other.lo))

    def __neg__(self) -> Interval:
        return Interval(self.hi.copy_negate(), self.lo.copy_negate())

    def __mul__(self, other: Interval) -> Interval:
        a, b, c, d = self.lo, self.hi, other.lo, other.hi
        down, up = _DOWN.multiply, _UP.multiply
        if a >= 0:
            return Interval(down(a if c >= 0 else b, c), up(b if d >= 0 else a, d))
        if b <= 0:
            return Interval(down(a if d >= 0 else b, d), up(b if c >= 0 else a, c))
        if c >= 0:
            return Interval(down(a, d), up(b, d))
        if d <= 0:
            return Interval(down(b, c), up(a, c))
        return Interval(min(down(a, d), down(b, c)), max(up(a, c), up(b, d)))

    def __truediv__(self, other: Interval) -> Interval:
        c, d = other.lo, other.hi
        if c <= 0 <= d:
            raise OutsideDomain("division by an interval that holds 0")
        a, b = (self.lo, self.hi) if c > 0 else (self.hi, self.lo)
        return Interval(_DOWN.divide(a, d if a >= 0 else c), _UP.divide(b, c if b >= 0 else d))

    @property
    def sign(self) -> int | None:
        """1 or -1 for all numbers inside, 0 for the point 0, else None."""
        if self.lo > 0:
            return 1
        if self.hi < 0:
            return -1
        return 0 if self.lo == self.hi == 0 else None

    @property
    def is_zero(self) -> bool:
        """Whether it is the point 0."""
        return self.lo == 0 == self.hi

    @property
    def middle(self) -> Interval:
        """A point about half way, never outside."""
        half = min(max(_DOWN.divide(_DOWN.add(self.lo, self.hi), Decimal(2)), self.lo), self.hi)
        return Interval(half, half)

    @property
    def width(self) -> Decimal:
        """Upper bound of hi - lo."""
        return _UP.subtract(self.hi, self.lo)

    def overlaps(self, other: Interval) -> bool:
        """Whether the two have a number in common."""
        return self.lo <= other.hi and other.lo <= self.hi

    def meet(self, other: Interval) -> Interval:
        """The common part of two that overlap."""
        return Interval(max(self.lo, other.lo), min(self.hi, other.hi))


def hull(one: Interval, other: Interval) -> Interval:
    """The least interval around both."""
    return Interval(min(one.lo, other.lo), max(one.hi, other.hi))


@lru_cache(maxsize=20_000)
def exact(number: int | Fraction) -> Interval:
    """An interval around a rational; the point itself where it is a short decimal."""
    top, bottom = Decimal(number.numerator), Decimal(number.denominator)
    return Interval(_DOWN.divide(top, bottom), _UP.divide(top, bottom))


ZERO, ONE, TWO = (exact(n) for n in range(3))


def _by_ends(rising: Callable[[Decimal], Interval]) -> Callable[[Interval], Interval]:
    """A rising function of an interval, from enclosures at its ends."""

    def function(x: Interval) -> Interval:
        low = rising(x.lo)
        return low if x.lo == x.hi else Interval(low.lo, rising(x.hi).hi)

    return function


def _point(x: Decimal) -> Interval:
    return Interval(x, x)


def _either_way(term: Interval) -> Interval:
    """From minus to plus twice the size of a term, for what is left of a series behind it."""
    size = _UP.add(term.lo.copy_abs(), term.hi.copy_abs())
    return Interval(size.copy_negate(), size)


@_by_ends
def exp(x: Decimal) -> Interval:
    """e**x: 25 terms at x / 2**k below 1/16 in size, the rest at most twice the next term; squared k times.

    Below e**(-10**6) it is only said to be that small.
    """
    if x == 0:
        return ONE
    if x < -(10**6):
        return Interval(_ZERO, exp(_point(Decimal(-(10**6)))).hi)
    if x > 10**6:
        raise OutsideDomain("exp of a huge number")
    halvings = 0
    while abs(x) > Decimal(2) ** (halvings - 4):
        halvings += 1
    r = _point(x) / exact(2**halvings)
    term = total = ONE
    for n in range(1, 25):
        term = term * r / exact(n)
        total = total + term
    total = total + _either_way(term)
    for _ in range(halvings):
        total = total * total
    return total


@cache
def _log_two() -> Interval:
    return _twice_atanh(ONE / exact(3))


@cache
def _log_ten() -> Interval:
    return log(_point(Decimal(10)))


def _twice_atanh(t: Interval) -> Interval:
    """Twice t + t**3/3 + ..., for |t| <= 1/3; the rest is below the next term / (1 - t**2) <= 2 terms."""
    square, power, total, n = t * t, t, t, 0
    while n < 60 and max(abs(power.lo), abs(power.hi)) > _TINY:
        n += 1
        power = power * square
        total = total + power / exact(2 * n + 1)
    total = total + _either_way(power)
    return total + total


@_by_ends
def log(x: Decimal) -> Interval:
    """A power of two is taken off: k log 2, and the logarithm of what is left, by atanh."""
    if x <= 0:
        raise OutsideDomain("log of a number that is not positive")
    if x == 1:
        return ZERO
    far = x.adjusted()
    if abs(far) > 1000:
        return log(_point(x.scaleb(-far, GUESSES))) + exact(far) * _log_ten()
    k = round((x.adjusted() + float(x.scaleb(-x.adjusted())) / 10) * 3.3219)
    m = _point(x) / _power_of_two(k)
    while m.lo > Decimal("1.5"):
        m, k = m / TWO, k + 1
    while m.hi < Decimal("0.7"):
        m, k = m * TWO, k - 1
    return _twice_atanh((m - ONE) / (m + ONE)) + exact(k) * _log_two()


def _power_of_two(k: int) -> Interval:
    return exact(2**k) if k >= 0 else ONE / exact(2**-k)


@_by_ends
def sqrt(x: Decimal) -> Interval:
    """Rounded both ways by squaring."""
    if x < 0:
        raise OutsideDomain("sqrt of a negative number")
    context = Context(DIGITS, ROUND_FLOOR, MIN_EMIN, MAX_EMAX, traps=[])
    root = context.sqrt(x)
    if not context.flags[Inexact]:
        return _point(root)
    return Interval(_DOWN.next_minus(root), _UP.next_plus(root))


@cache
def pi() -> Interval:
    """Machin: 16 atan(1/5) - 4 atan(1/239)."""
    return exact(16) * _small_atan(ONE / exact(5)) - exact(4) * _small_atan(ONE / exact(239))


def _small_atan(t: Interval) -> Interval:
    """For |t| <= 1/4: alternating, the rest is below the next term."""
    square, power, total, n = t * t, t, t, 0
    while n < 60 and max(abs(power.lo), abs(power.hi)) > _TINY:
        n += 1
        power = -(power * square)
        total = total + power / exact(2 * n + 1)
    return total + _either_way(power)


@_by_ends
def atan(x: Decimal) -> Interval:
    """The argument halved three times, as tangent: x / (1 + sqrt(1 + x**2))."""
    t = _point(x)
    for _ in range(3):
        t = t / (ONE + sqrt(ONE + t * t))
    return exact(8) * _small_atan(t)


def _sine_cosine(x: Interval) -> tuple[Interval, Interval]:
    """Both at the middle, by Taylor series after quarter turns are taken off; widened by the radius."""
    m = x.middle
    radius = (x - m).hi
    if m.lo and m.lo.adjusted() > 30:  # not even the quarter turn would be known
        return Interval(-_ONE, _ONE), Interval(-_ONE, _ONE)
    quarters = int((m.lo / pi().lo * 2).to_integral_value())
    r = m - exact(quarters) * pi() / TWO
    sine, cosine, term = ZERO, ZERO, ONE
    for n in range(40):
        if n % 2 == 0:
            cosine = cosine + (term if n % 4 == 0 else -term)
        else:
            sine = sine + (term if n % 4 == 1 else -term)
        term = term * r / exact(n + 1)
    reach = _UP.add(_either_way(term).hi, radius)
    widen, whole = Interval(reach.copy_negate(), reach), Interval(-_ONE, _ONE)
    turned = ((sine, cosine), (cosine, -sine), (-sine, -cosine), (-cosine, sine))[quarters % 4]
    if x.lo == x.hi == 0:
        return ZERO, ONE
    first, second = ((value + widen).meet(whole) for value in turned)
    return first, second


def sin(x: Interval) -> Interval:
    """The sine."""
    return _sine_cosine(x)[0]


def cos(x: Interval) -> Interval:
    """The cosine."""
    return _sine_cosine(x)[1]


@_by_ends
def erf(x: Decimal) -> Interval:
    """By 2/sqrt(pi) e**(-x**2) sum 2**n x**(2n+1) / (2n+1)!!, all terms of one sign.

    Once a term is less than half of the one before, the rest is below the last term.
    """
    if x == 0:
        return ZERO
    if abs(x) > 16:
        nearly = Interval(_DOWN.subtract(_ONE, Decimal("1e-55")), _ONE)
        return nearly if x > 0 else -nearly
    t = _point(x.copy_abs())
    square = t * t
    term, total, n = t, t, 0
    while n < 4 * _TERMS:
        n += 1
        term = term * square * TWO / exact(2 * n + 1)
        total = total + term
        if term.hi < total.lo * _TINY and 4 * square.hi < 2 * n + 3:
            break
    else:
        raise OutsideDomain("erf did not converge")
    total = Interval(total.lo, _UP.add(total.hi, term.hi))
    value = TWO / sqrt(pi()) * exp(-square) * total
    return value if x > 0 else -value


@_by_ends
def lambert(z: Decimal) -> Interval:
    """The w > -1 with w e**w = z, for z > 0: guessed by Newton, proved by the sign of w e**w - z on both sides."""
    if z <= 0:
        raise OutsideDomain("LambertW of a number that is not positive")
    w = log(ONE + _point(z)).lo
    for _ in range(60):
        e, at = exp(_point(w)), _point(w)
        w = (at - (at * e - _point(z)) / (e * (at + ONE))).lo
    step = _point(w) * exact(Fraction(1, 10**36))
    low, high = _point((_point(w) - step).lo), _point((_point(w) + step).hi)
    if (low * exp(low)).hi < z < (high * exp(high)).lo:
        return Interval(low.lo, high.hi)
    raise OutsideDomain("LambertW was not enclosed")


# --- power series: c[n] is f^(n) / n! ---

Series = tuple[Interval, ...]


def variable(x: Interval, length: int) -> Series:
    """The series of x itself."""
    return (x, ONE, *([ZERO] * length))[:length]


def constant(value: Interval, length: int) -> Series:
    """A number."""
    return (value, *([ZERO] * length))[:length]


def add(a: Series, b: Series) -> Series:
    """The sum."""
    return tuple(p + q for p, q in zip(a, b, strict=True))


def negate(a: Series) -> Series:
    """The negative."""
    return tuple(-p for p in a)


def multiply(a: Series, b: Series) -> Series:
    """The product."""
    return tuple(_convolved(a, b, n) for n in range(len(a)))


def _convolved(a: Sequence[Interval], b: Sequence[Interval], n: int) -> Interval:
    total = ZERO
    for k in range(n + 1):
        if not (a[k].is_zero or b[n - k].is_zero):
            total = total + a[k] * b[n - k]
    return total


def divide(a: Series, b: Series) -> Series:
    """The quotient: the coefficients one after the other."""
    quotient: list[Interval] = []
    for n in range(len(a)):
        total = a[n]
        for k in range(1, n + 1):
            if not (b[k].is_zero or quotient[n - k].is_zero):
                total = total - b[k] * quotient[n - k]
        quotient.append(ZERO if total.is_zero and n else total / b[0])
    return tuple(quotient)


def integer_power(a: Series, n: int) -> Series:
    """The power a**n; the leading coefficient of an even power is not negative."""
    if n < 0:
        return divide(constant(ONE, len(a)), integer_power(a, -n))
    result, square = constant(ONE, len(a)), a
    for bit in range(n.bit_length()):
        if n >> bit & 1:
            result = multiply(result, square)
        if n >> bit > 1:
            square = _not_negative(multiply(square, square))
    return result if n % 2 else _not_negative(result)


def _not_negative(a: Series) -> Series:
    return (Interval(_ZERO, a[0].hi), *a[1:]) if a[0].lo < 0 else a


def _integrated(leading: Interval, slope: Series, u: Series) -> Series:
    """g(u) from g(u_0) and the series of g'(u): n g_n = sum k u_k g'_(n-k)."""
    result = [leading]
    for n in range(1, len(u)):
        total = ZERO
        for k in range(1, n + 1):
            if not (u[k].is_zero or slope[n - k].is_zero):
                total = total + exact(k) * u[k] * slope[n - k]
        result.append(ZERO if total.is_zero else total / exact(n))
    return tuple(result)


def exp_series(u: Series) -> Series:
    """exp(u), from g' = g: coefficient by coefficient."""
    result = [exp(u[0])]
    for n in range(1, len(u)):
        total = ZERO
        for k in range(1, n + 1):
            if not u[k].is_zero:
                total = total + exact(k) * u[k] * result[n - k]
        result.append(ZERO if total.is_zero else total / exact(n))
    return tuple(result)


def log_series(u: Series) -> Series:
    """log(u), from g' = 1/u."""
    return _integrated(log(u[0]), divide(constant(ONE, len(u)), u), u)


def power_series(u: Series, exponent: Fraction) -> Series:
    """u**(p/q) for u > 0 (at the point 0 its value alone)."""
    if u[0].is_zero and len(u) == 1 and exponent > 0:
        return u
    if exponent.denominator == 2:
        root = sqrt(u[0])
        if root.lo <= 0:
            raise OutsideDomain("a root near 0 has no derivative")
        slope_of = [root]
        for n in range(1, len(u)):  # s**2 = u
            total = u[n]
            for k in range(1, n):
                total = total - slope_of[k] * slope_of[n - k]
            slope_of.append(total / (TWO * root))
        return integer_power(tuple(slope_of), exponent.numerator)
    return exp_series(multiply(constant(exact(exponent), len(u)), log_series(u)))


def sin_series(u: Series) -> Series:
    """sin(u)."""
    return _waves(u)[0]


def cos_series(u: Series) -> Series:
    """cos(u)."""
    return _waves(u)[1]


def _waves(u: Series) -> tuple[Series, Series]:
    sine, cosine = ([value] for value in _sine_cosine(u[0]))
    for n in range(1, len(u)):
        first = second = ZERO
        for k in range(1, n + 1):
            if not u[k].is_zero:
                weight = exact(k) * u[k]
                first, second = first + weight * cosine[n - k], second - weight * sine[n - k]
        sine.append(first / exact(n))
        cosine.append(second / exact(n))
    return tuple(sine), tuple(cosine)


def tanh_series(u: Series) -> Series:
    """tanh(u), from g' = sech(u)**2 computed without cancellation."""
    inverse = divide(constant(TWO, len(u)), add(exp_series(u), exp_series(negate(u))))
    return _integrated(_tanh(u[0]), multiply(inverse, inverse), u)


@_by_ends
def _tanh(x: Decimal) -> Interval:
    if x == 0:
        return ZERO
    size = _point(x.copy_abs())
    small = exp(-(size + size))
    value = (ONE - small) / (ONE + small)
    return value if x > 0 else -value


def sinh_series(u: Series) -> Series:
    """(e**u - e**-u) / 2."""
    return divide(add(exp_series(u), negate(exp_series(negate(u)))), constant(TWO, len(u)))


def cosh_series(u: Series) -> Series:
    """(e**u + e**-u) / 2."""
    return divide(add(exp_series(u), exp_series(negate(u))), constant(TWO, len(u)))


def erf_series(u: Series) -> Series:
    """erf(u), from g' = 2/sqrt(pi) exp(-u**2)."""
    slope = multiply(constant(TWO / sqrt(pi()), len(u)), exp_series(negate(integer_power(u, 2))))
    return _integrated(erf(u[0]), slope, u)


def erfc_series(u: Series) -> Series:
    """1 - erf(u)."""
    return add(constant(ONE, len(u)), negate(erf_series(u)))


def atan_series(u: Series) -> Series:
    """atan(u), from g' = 1/(1 + u**2)."""
    one = constant(ONE, len(u))
    return _integrated(atan(u[0]), divide(one, add(one, integer_power(u, 2))), u)


def asinh_series(u: Series) -> Series:
    """asinh(u) = log(u + sqrt(u**2 + 1)), from g' = 1/sqrt(1 + u**2)."""
    one = constant(ONE, len(u))
    slope = power_series(add(one, integer_power(u, 2)), Fraction(-1, 2))
    ends = [log(p + sqrt(p * p + ONE)) for p in (_point(u[0].lo), _point(u[0].hi))]
    return _integrated(hull(*ends), slope, u)
