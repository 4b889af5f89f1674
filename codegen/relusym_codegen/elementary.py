"""Elementary functions in the operations that IEEE 754 fixes: range reduction, a polynomial core, reconstruction.

Each function takes operands as pairs (see `pairs`) and gives one: a single float where `Single` arithmetic is asked
for, a float and its rest where `Double` is. Reductions use fma, so that their first step is exact (W. J. Cody and
W. Waite, "Software Manual for the Elementary Functions", 1980, with the product never rounded); integers are split
off by adding a number so large that only the integer is left, and powers of two are made of bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import sympy
from sympy import Expr

from relusym.floats import Format
from relusym_codegen import approximants
from relusym_codegen.approximants.core import Core
from relusym_codegen.literals import nearest
from relusym_codegen.pairs import Pair, fast_two_sum, two_product, two_sum, with_low
from relusym_codegen.program import Builder, Operand, spare
from relusym_codegen.ranges import Range, magnitudes


@dataclass(frozen=True)
class Context:
    """Where the operations go, and what the result is rounded to."""

    b: Builder
    result: Format
    division: bool = False

    @property
    def work(self) -> Format:
        """The format of the arithmetic."""
        return self.b.work_format

    @property
    def steps(self) -> int:
        """Bits that a result needs of an intermediate: those of the result and some, at most the format's own."""
        return min(self.work.precision, self.result.precision + 10)

    def core(self, name: str) -> Core:
        """The core of this name."""
        return approximants.named(name, self.work, self.result)

    def core_in_full(self, name: str) -> Core:
        """The core of this name with all the bits that the work format has."""
        return approximants.named(name, self.work)


# --- polynomials ---


def _horner(b: Builder, core: Core, variable: Operand) -> Operand:
    value, *rest = (high for high, _ in reversed(core.coefficients))
    result: Operand = value
    for coefficient in rest:
        result = b("fma", result, variable, coefficient)
    return result


def _parts(value: Expr, form: Format, count: int) -> list[float]:
    """A number as the sum of so many floats, each the nearest to what the ones before leave."""
    parts = []
    for _ in range(count):
        parts.append(nearest(value, form))
        value -= sympy.Rational(parts[-1])
    return parts


# --- integers and powers of two ---


def _nearest_integer(b: Builder, scaled: tuple[Operand, float], bias: int) -> tuple[Operand, Operand]:
    """round(u c) for scaled = (u, c): as a float, and as the float whose last bits hold it plus `bias`."""
    shifter = 1.5 * 2.0 ** (b.work_format.precision - 1)
    marked = b("fma", scaled[0], scaled[1], shifter + bias)
    return b("sub", marked, shifter + bias), marked


def _power_of_two(b: Builder, biased: Operand) -> Operand:
    """2^(n - bias), where the last bits of an integer hold n, at least 1."""
    return b("from_bits", b("shl", biased, b.work_format.precision - 1))


# --- exp and expm1 ---


def _reduced(c: Context, u: Pair, bias: int, *, double: bool) -> tuple[Pair, Operand, Operand]:
    """R = u - k log(2), k as a float, and k with the bias in the last bits of a float."""
    b = c.b
    k, marked = _nearest_integer(b, (u.high, nearest(1 / sympy.log(2), c.work)), bias)
    log2 = _parts(sympy.log(2), c.work, 2)
    first = b("fma", k, -log2[0], u.high)
    if c.steps < c.work.precision - 8 and not double:
        return Pair(first), k, marked
    second = b("fma", k, -log2[1], first)
    if not double:
        return Pair(second if u.low is None else b("add", second, u.low)), k, marked
    r = with_low(b, Pair(second, b("fma", k, -log2[1], b("sub", first, second))), u.low)
    return r if u.low is None or r.low is None else fast_two_sum(b, r.high, r.low), k, marked


def exp(c: Context, u: Pair, within: Range, *, double: bool, lifted: bool = False) -> Pair:
    """The exponential, as 2^k (1 + r + r^2 P(r)).

    Subnormal results are rounded once, at the end, when a power of two that has kept them normal is taken back.

    `lifted` gives exp(u) 2^spare (see `spare`) for an argument that is nowhere large.
    """
    b, work = c.b, c.work
    low, high = within
    tallest = _round_number(1.02 * (work.max_exponent + 1) * math.log(2))
    normal = low > work.min_exponent * math.log(2) and not lifted
    falling = lifted or high < (work.max_exponent - spare(work)) * math.log(2)
    # as deep as a power of two can be made: a lifted exponential may meet factors that grow
    deepest = -float(math.floor((work.max_exponent + spare(work) - 1) * math.log(2)))
    if not falling:
        deepest = _round_number(1.04 * (work.min_exponent - work.precision - 2) * math.log(2))
    if low < deepest:
        u = _clamped(b, "max", u, deepest)
    if not falling and high > tallest:
        u = _clamped(b, "min", u, tallest)
    plain = falling or (normal and high < (work.max_exponent - 1) * math.log(2))
    bias = work.max_exponent + (spare(work) if falling and not normal else 0)
    r, _, marked = _reduced(c, u, bias if plain else 0, double=double)
    value = _exp_of_reduced(c, r, double=double)
    if plain:
        value = _scaled(b, value, _power_of_two(b, b("bits", marked)))
        return value if lifted or bias == work.max_exponent else _scaled(b, value, 1 / 2.0 ** spare(work))
    k = b("isub", b("bits", marked), _bits_of_shifter(work))
    half = b("shr", k, 1)
    first, second = (_power_of_two(b, b("iadd", part, bias)) for part in (half, b("isub", k, half)))
    return _scaled(b, _scaled(b, value, first), second)


def _exp_of_reduced(c: Context, r: Pair, *, double: bool) -> Pair:
    b, core = c.b, c.core_in_full("exp") if double else c.core("exp")
    tail = _horner(b, core, r.high)
    if not double:
        return Pair(b("fma", b("fma", tail, r.high, 1.0), r.high, 1.0))
    bend = b("mul", b("mul", r.high, r.high), tail)
    slope = with_low(b, fast_two_sum(b, r.high, bend), r.low)
    whole = fast_two_sum(b, 1.0, slope.high)
    return with_low(b, whole, slope.low)


def _scaled(b: Builder, value: Pair, scale: Operand) -> Pair:
    return Pair(b("mul", value.high, scale), None if value.low is None else b("mul", value.low, scale))


def _clamped(b: Builder, operation: str, u: Pair, edge: float) -> Pair:
    if u.low is None:
        return Pair(b(operation, u.high, edge))
    beyond = b("lt" if operation == "max" else "gt", u.high, edge)
    return Pair(b("select", beyond, edge, u.high), b("select", beyond, 0.0, u.low))


def _round_number(value: float) -> float:
    return float(round(value))


def _bits_of_shifter(work: Format) -> int:
    """The pattern of 1.5 * 2^(precision - 1) as an integer."""
    return ((work.max_exponent + work.precision - 1) << (work.precision - 1)) | (1 << (work.precision - 2))


def expm1(c: Context, u: Pair, within: Range, *, double: bool) -> Pair:
    """The exponential less 1, as 2^k (r + r^2 P(r)) + (2^k - 1)."""
    b, work = c.b, c.work
    low, high = within
    # in two floats the rest of -1 is exp(u), as far as it goes
    deepest = -(work.max_exponent - 4) * math.log(2) if double else -(work.precision + 3) * math.log(2) * 1.2
    if low < (deepest if double else 1.5 * deepest):
        u = _clamped(b, "max", u, _round_number(deepest))
    tall = high > (work.max_exponent - 1) * math.log(2)
    if tall and high > (work.max_exponent + 1.4) * math.log(2):
        # beyond overflow, but not so far that half of 2^k has no exponent
        u = _clamped(b, "min", u, nearest(sympy.Rational((work.max_exponent + 1.3) * math.log(2)), work))
    # half of it where 2^k itself may overflow
    bias = work.max_exponent - 1 if tall else work.max_exponent
    one = 0.5 if tall else 1.0
    r, _, marked = _reduced(c, u, bias, double=double)
    scale = _power_of_two(b, b("bits", marked))
    core = c.core_in_full("expm1") if double else c.core("expm1")
    square = b("mul", r.high, r.high)
    bend = b("mul", square, _horner(b, core, r.high)) if double else _horner(b, core, r.high)
    if not double:
        value = Pair(b("fma", scale, b("fma", square, bend, r.high), b("sub", scale, one)))
    else:
        slope = with_low(b, fast_two_sum(b, r.high, bend), r.low)
        assert slope.low is not None
        # 2^k - 1 exactly: for k < -precision, too
        integral = b("sub", scale, one)
        lost = b("sub", scale, b("add", integral, one)) if low < -0.6 * work.precision else 0.0
        whole = two_sum(b, integral, b("mul", scale, slope.high))
        value = with_low(b, whole, b("fma", scale, slope.low, lost) if lost else b("mul", scale, slope.low))
    return _scaled(b, value, 2.0) if tall else value


# --- logarithms ---


def log1p(c: Context, v: Pair, within: Range, *, double: bool) -> Pair:
    """The logarithm of 1 + v, as k log(2) + log(1 + f), 1 + f between sqrt(1/2) and sqrt(2)."""
    b = c.b
    argument = v
    one: Operand = 1.0
    drop: Operand | None = None
    if within[1] > 2.0**c.work.precision:
        # where v is so large that 1 does not matter a power of two keeps 2^-k normal
        large = b("gt", v.high, 2.0 ** (c.work.precision + 2))
        drop = b("select", large, float(c.work.max_exponent // 2), 0.0)
        v = _scaled(b, v, b("select", large, 2.0 ** -(c.work.max_exponent // 2), 1.0))
        one = b("select", large, 0.0, 1.0)
    k, scale = _exponent(c, b("add", v.high, one), within[0] + 1, within[1] + 1)
    # (1 + v) 2^-k - 1, rounded once
    constant = b("sub", scale, 1.0) if one == 1.0 else b("fma", scale, one, -1.0)
    f = b("fma", v.high, scale, constant)
    rest: Operand | None = None
    if double:
        # exact for the k that leave v its digits; what the fma rounds off is the rest
        rest = b("fma", v.high, scale, b("sub", constant, f))
    if v.low is not None:
        rest = b("mul", v.low, scale) if rest is None else b("fma", v.low, scale, rest)
    if drop is not None and k is not None:
        k = b("add", k, drop)
    value = _log_of_reduced(c, k, Pair(f, rest), double=double)
    if within[0] <= -1:
        value = _stated(b, value, b("eq", argument.high, -1.0), -math.inf)
        value = _stated(b, value, b("lt", argument.high, -1.0), math.nan)
    return _stated(b, value, b("eq", argument.high, math.inf), math.inf) if within[1] == math.inf else value


def log(c: Context, v: Pair, within: Range, *, double: bool) -> Pair:
    """The logarithm in the same way; a v that is subnormal or in the top binades is moved by a power of two first."""
    b, work = c.b, c.work
    low, high = within
    argument, lift = v, work.max_exponent // 2
    shift: Operand = 0.0
    if low < work.smallest_normal or high > 2.0 ** (work.max_exponent - 1):
        small, large = b("lt", v.high, work.smallest_normal), b("gt", v.high, 1.0)
        v = _scaled(b, v, b("select", small, 2.0**lift, b("select", large, 2.0**-lift, 1.0)))
        shift = b("select", small, -float(lift), b("select", large, float(lift), 0.0))
    k, scale = _exponent(c, v.high, low, high)
    f = b("fma", v.high, scale, -1.0)
    rest = None if v.low is None else b("mul", v.low, scale)
    value = _log_of_reduced(c, k if k is None else b("add", k, shift), Pair(f, rest), double=double)
    if low <= 0:
        value = _stated(b, value, b("eq", argument.high, 0.0), -math.inf)
        value = _stated(b, value, b("lt", argument.high, 0.0), math.nan)
    return _stated(b, value, b("eq", argument.high, math.inf), math.inf) if high == math.inf else value


def _exponent(c: Context, whole: Operand, low: float, high: float) -> tuple[Operand | None, Operand]:
    """K as a float (None where it is always 0) and 2^-k, for a positive number whose sqrt(1/2) <= w 2^-k < sqrt(2)."""
    b, work = c.b, c.work
    if low >= math.sqrt(0.5) and high <= math.sqrt(2):
        return None, 1.0
    shift = work.precision - 1
    root = _pattern(math.sqrt(0.5), work)
    one = _pattern(1.0, work)
    # the exponent counted from sqrt(1/2), in place: a multiple of 2^shift
    counted = b("iand", b("isub", b("bits", whole), root), -(1 << shift))
    scale = b("from_bits", b("isub", one, counted))
    # k as a float: its integer added to the pattern of the shifter
    marked = b("from_bits", b("iadd", b("shr", counted, shift), _bits_of_shifter(work)))
    return b("sub", marked, 1.5 * 2.0 ** (work.precision - 1)), scale


def _pattern(value: float, work: Format) -> int:
    mantissa, exponent = math.frexp(nearest(sympy.Rational(value), work))
    fraction = int(mantissa * 2**work.precision) - (1 << (work.precision - 1))
    return ((exponent - 1 + work.max_exponent) << (work.precision - 1)) | fraction


def _log_of_reduced(c: Context, k: Operand | None, f: Pair, *, double: bool) -> Pair:
    """K log(2) + f - f^2/2 + f^3 P(f)."""
    b = c.b
    log2 = _parts(sympy.log(2), c.work, 2)
    core = c.core_in_full("log1p") if double else c.core("log1p")
    square = b("mul", f.high, f.high)
    bend = b("fma", b("mul", square, f.high), _horner(b, core, f.high), b("mul", square, -0.5))
    if not double:
        tail = bend if f.low is None else b("add", bend, f.low)
        if k is None:
            return Pair(b("add", f.high, tail))
        if c.steps < c.work.precision - 8:
            return Pair(b("fma", k, log2[0], b("add", f.high, tail)))
        return Pair(b("fma", k, log2[0], b("add", f.high, b("fma", k, log2[1], tail))))
    # f^2/2 exactly; the rest of f moves f^2/2 by f times it
    exact = two_product(b, f.high, f.high)
    assert exact.low is not None
    cubic = b("mul", b("mul", square, f.high), _horner(b, core, f.high))
    quadratic = fast_two_sum(b, f.high, b("mul", exact.high, -0.5))
    rest = b("fma", exact.low, -0.5, cubic)
    value = with_low(b, quadratic, rest)
    if f.low is not None:
        value = with_low(b, value, b("fma", b("neg", f.low), f.high, f.low))
    value = fast_two_sum(b, value.high, value.low) if value.low is not None else value
    if k is None:
        return value
    large = two_product(b, k, log2[0])
    total = two_sum(b, large.high, value.high)
    low = b("add", b("fma", k, log2[1], large.low if large.low is not None else 0.0), value.low or 0.0)
    return with_low(b, total, low)


def _stated(b: Builder, value: Pair, mask: Operand, instead: float) -> Pair:
    return Pair(
        b("select", mask, instead, value.high), None if value.low is None else b("select", mask, 0.0, value.low)
    )


# --- reciprocals and roots ---


def reciprocal(b: Builder, v: Operand, wanted: float) -> Operand:
    """1 / v to so many bits (all of them: to about an ulp), for normal v with a normal reciprocal.

    The integer seed is off by at most 0.0505 (its magic number balances the error); each step of third order cubes
    that error, a last step of second order squares it.
    """
    work = b.work_format
    magic = 0x7EF311C7 if work.bits == 32 else 0x7FDE623822FC16E6
    y = b("from_bits", b("isub", magic, b("bits", v)))
    bits = 4.3
    while bits < wanted - 1:
        e = b("fma", b("neg", v), y, 1.0)
        if 2 * bits >= wanted - 1:
            y = b("fma", y, e, y)
            bits *= 2
        else:
            y = b("fma", y, b("fma", e, e, e), y)
            bits *= 3
    return y


def quotient(c: Context, a: Pair, v: Pair, within: Range, *, double: bool, quick: bool, tame: bool = True) -> Pair:
    """The quotient a / v by the reciprocal, corrected by its residual; `within` is the range of v.

    `tame` says that neither the dividend nor the result is infinite, so that the residual is a number.
    """
    b, work = c.b, c.work
    if c.division and not double and a.low is None and v.low is None:
        return Pair(b("div", a.high, v.high))
    least, largest = magnitudes(within)
    edge = 2.0 ** (work.max_exponent - work.precision - 2)
    scale: Operand | None = None
    if largest > edge or least < 1 / edge:
        small, large = b("lt", b("abs", v.high), 1 / edge), b("gt", b("abs", v.high), edge)
        reach = 2.0 ** (work.max_exponent // 2)
        scale = b("select", small, reach, b("select", large, 1 / reach, 1.0))
        special = v.high
        v = _scaled(b, v, scale)
    needed = min(c.steps, work.precision) if quick else work.precision
    if a == Pair(1.0) and quick and not double:
        value = Pair(reciprocal(b, v.high, needed))
    else:
        # the correction by the residual doubles the bits of the reciprocal
        y = reciprocal(b, v.high, needed / 2 + 0.6 if quick and not double else work.precision)
        q = b("mul", a.high, y)
        residual = b("fma", b("neg", q), v.high, a.high)
        if a.low is not None:
            residual = b("add", residual, a.low)
        if v.low is not None:
            residual = b("fma", b("neg", q), v.low, residual)
        value = fast_two_sum(b, q, b("mul", residual, y)) if double else Pair(b("fma", residual, y, q))
        if not tame:
            finite = b("lt", b("abs", q), math.inf)
            low = None if value.low is None else b("select", finite, value.low, 0.0)
            value = Pair(b("select", finite, value.high, q), low)
    if scale is None:
        return value
    value = _scaled(b, value, scale)
    plain = b("mul", a.high, scale)
    infinite, zero = b("eq", b("abs", special), math.inf), b("eq", special, 0.0)
    high = b("select", infinite, b("mul", plain, 0.0), value.high)
    # over a zero: an infinity of the right sign, NaN for 0/0
    signed = b("from_bits", b("iadd", b("iand", b("bits", special), _sign_bit(work)), _infinity(work)))
    high = b("select", zero, b("mul", a.high, signed), high)
    if value.low is None:
        return Pair(high)
    beside = b("select", infinite, 0.0, b("select", zero, 0.0, value.low))
    return Pair(high, beside)


def _sign_bit(work: Format) -> int:
    return -(1 << (work.bits - 1))


def _infinity(work: Format) -> int:
    return (2 * work.max_exponent + 1) << (work.precision - 1)


def square_root(c: Context, v: Pair, within: Range, *, double: bool) -> Pair:
    """sqrt(v) by the reciprocal root, corrected by its residual."""
    b, work = c.b, c.work
    if c.division and not double and v.low is None:
        return Pair(b("sqrt", v.high))
    low, high = within
    edge = 2.0 ** (work.max_exponent - work.precision - 4)
    scale: Operand | None = None
    if low < 1 / edge or high > edge:
        half = 2.0 ** (work.max_exponent // 4)
        small, large = b("lt", v.high, 1 / edge), b("gt", v.high, edge)
        back = b("select", small, 1 / half, b("select", large, half, 1.0))
        scale = b("select", small, half * half, b("select", large, 1 / (half * half), 1.0))
        special = v.high
        v = _scaled(b, v, scale)
    magic = 0x5F375A86 if work.bits == 32 else 0x5FE6EB50C7B537A9
    y = b("from_bits", b("isub", magic, b("shr", b("bits", v.high), 1)))
    bits = 5.0
    while bits < min(c.steps, work.precision) - 1:
        # Halley for 1/sqrt: y (1 + e/2 + 3 e^2/8), e = 1 - v y^2
        e = b("fma", b("mul", v.high, y), b("neg", y), 1.0)
        y = b("fma", b("mul", y, e), b("fma", e, 0.375, 0.5), y)
        bits = 3 * bits - 1
    root = b("mul", v.high, y)
    residual = b("fma", b("neg", root), root, v.high)
    if v.low is not None:
        residual = b("add", residual, v.low)
    correction = b("mul", residual, b("mul", y, 0.5))
    value = fast_two_sum(b, root, correction) if double else Pair(b("add", root, correction))
    if scale is None:
        return value
    value = _scaled(b, value, back)
    keep = b("select", b("eq", special, 0.0), special, b("select", b("eq", special, math.inf), special, value.high))
    high_part = b("select", b("lt", special, 0.0), math.nan, keep)
    same = b("eq", high_part, value.high)
    return Pair(high_part, None if value.low is None else b("select", same, value.low, 0.0))


# --- sine and cosine ---


def sine(c: Context, u: Pair, *, eighths: float, double: bool) -> Pair:
    """Sine of u + eighths pi/4, accurate while u is below 2^(precision - 4); beyond, some finite value.

    u - k pi/2 with pi/2 in four floats; the quadrant from the last bits of k. A shift by odd eighths makes k half an
    integer, so that it costs no digits.
    """
    b, work = c.b, c.work
    quarters, half = divmod(eighths, 2)
    shifter = 1.5 * 2.0 ** (work.precision - 1)
    if half:
        scaled = b("fma", u.high, nearest(2 / sympy.pi, work), 0.5)
        marked = b("add", scaled, shifter + quarters)
        k = b("sub", b("sub", marked, shifter + quarters), 0.5)
    else:
        k, marked = _nearest_integer(b, (u.high, nearest(2 / sympy.pi, work)), int(quarters))
    # the quarters are in the marked integer alone
    parts = _parts(sympy.pi / 2, work, 4)
    # near a multiple of pi/2 the first step is exact and the second cancels, so that its rest counts
    first, lost = b("fma", k, -parts[0], u.high), None
    if half:
        # the shifted argument may be larger than u: then the first step rounds, too
        product = two_product(b, k, -parts[0])
        exact = two_sum(b, u.high, product.high)
        assert exact.low is not None
        assert product.low is not None
        first, lost = exact.high, b("add", exact.low, product.low)
    product = two_product(b, k, -parts[1])
    exact = two_sum(b, first, product.high)
    assert exact.low is not None
    assert product.low is not None
    r: Operand = exact.high
    rest: Operand = b("add", exact.low, product.low)
    if lost is not None:
        # near a root what the first step lost is as large as what it left
        exact = two_sum(b, r, lost)
        assert exact.low is not None
        r, rest = exact.high, b("add", rest, exact.low)
    for part in parts[2:]:
        rest = b("fma", k, -part, rest)
    if u.low is not None:
        rest = b("add", rest, u.low)
    whole = fast_two_sum(b, r, rest)
    assert whole.low is not None
    # far out nothing is promised but a finite value: that of 0, and NaN for infinities
    near = b("lt", b("abs", u.high), 2.0 ** (work.precision - 2))
    r, rest = b("select", near, whole.high, b("mul", u.high, 0.0)), b("select", near, whole.low, 0.0)
    marked = b("select", near, marked, shifter + quarters)
    square = b("mul", r, r)
    cores = [c.core_in_full(name) if double else c.core(name) for name in ("sine", "cosine")]
    bend = b("fma", b("mul", square, r), _horner(b, cores[0], square), b("fma", rest, b("mul", square, -0.5), rest))
    tail = b("fma", b("mul", square, square), _horner(b, cores[1], square), b("mul", b("neg", r), rest))
    # 1 - square/2 loses what the sum and the square round off: both are put back
    top = b("fma", square, -0.5, 1.0)
    beside = b("fma", square, -0.5, b("sub", 1.0, top))
    if double:
        beside = b("fma", b("fma", r, r, b("neg", square)), -0.5, beside)
    odd, even = fast_two_sum(b, r, bend), fast_two_sum(b, top, b("add", beside, tail))
    if not double:
        odd, even = Pair(odd.high), Pair(even.high)
    quadrant = b("bits", marked)
    is_odd, is_positive = b("eq", b("iand", quadrant, 1), 0), b("eq", b("iand", quadrant, 2), 0)

    def chosen(sine_part: Operand, cosine_part: Operand) -> Operand:
        value = b("select", is_odd, sine_part, cosine_part)
        return b("select", is_positive, value, b("neg", value))

    high = chosen(odd.high, even.high)
    return Pair(high, chosen(odd.low, even.low) if odd.low is not None and even.low is not None else None)
