"""The stable family: smooth functions whose value and derivative lose no digits anywhere.

Each is a SymPy function with an elementary `definition` (what it equals), a derivative written in the same family
(so that differentiating a rewritten formula stays stable), and an `expansion` into operations in which only
exponentials of non-positive arguments appear.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr, Function, exp, log, pi, sqrt, tanh

from relusym_codegen import approximants
from relusym_codegen.program import Builder, Operand


class Stable(Function):  # type: ignore[misc]
    """A member of the family; `definition` and `expansion` are its two meanings."""

    even = False

    @classmethod
    def eval(cls, *arguments: Expr) -> Expr | None:
        """Even functions take the argument without its minus sign, so that equal values are one expression."""
        if cls.even and arguments[0].could_extract_minus_sign():
            return cls(-arguments[0], *arguments[1:])
        return None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Partial derivative, in the family."""
        return self.slope(*self.args) if argindex == 1 else self.second_slope(*self.args)

    @staticmethod
    def slope(*arguments: Any, **_: Any) -> Expr:
        """Derivative by the first argument, in the family."""
        raise NotImplementedError

    @staticmethod
    def second_slope(*arguments: Any, **_: Any) -> Expr:
        """Derivative by the second argument, in the family."""
        raise NotImplementedError

    @staticmethod
    def definition(*arguments: Any, **_: Any) -> Expr:
        """The elementary expression this function equals."""
        raise NotImplementedError

    @staticmethod
    def expansion(*operands: Any, **_: Any) -> Operand:
        """Lets that compute it."""
        raise NotImplementedError


class Bounded(Stable):
    """A member whose values stay between -2 and 2."""


class Decaying(Bounded):
    """A member that falls like an exponential, so that it can underflow before x times it does.

    `halves` gives two operands whose product it is, neither of which underflows where their product times a
    polynomial does not: (x a) b keeps the digits that x (a b) loses.
    """

    @staticmethod
    def halves(*operands: Any, **_: Any) -> tuple[Operand, Operand]:
        """Two factors."""
        raise NotImplementedError

    @staticmethod
    def mark(b: Builder, u: Operand) -> None:
        """Note that halves will be asked for, so that all decays of the same operand share one exponential."""
        b.halved.add(b("abs", u))


def _half_decay(b: Builder, u: Operand) -> Operand:
    """exp(-|u|/2)."""
    return b("exp", b("mul", b("abs", u), -0.5))


def _decay(b: Builder, u: Operand) -> Operand:
    """exp(-|u|): the exponential that never overflows."""
    if b("abs", u) in b.halved:
        return _square(b, _half_decay(b, u))
    return b("exp", b("neg", b("abs", u)))


def _double_decay(b: Builder, u: Operand) -> Operand:
    """exp(-2|u|)."""
    if b("abs", u) in b.halved:
        return _square(b, b("exp", b("neg", b("abs", u))))
    return b("exp", b("mul", b("abs", u), -2.0))


def _square(b: Builder, u: Operand) -> Operand:
    return b("mul", u, u)


class Expm1(Stable):
    """exp(u) - 1."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return exp(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return exp(u) - 1

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return b("expm1", u)


class Expm1Gap(Stable):
    """expm1(u) - u exp(u): a polynomial times -u^2 where the subtraction would cancel."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return -u * exp(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return exp(u) - 1 - u * exp(u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        core = approximants.named("expm1_gap", b.work_format)
        inner = b("max", b("min", u, core.upper), core.lower)
        near = b("mul", b("mul", inner, core.horner(b, inner)), b("neg", inner))
        far = b("sub", b("expm1", u), b("mul", b("exp", u), u))
        return b("select", b("lt", b("abs", u), core.upper), near, far)


class Log1p(Stable):
    """log(1 + u)."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return 1 / (1 + u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return log(1 + u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return b("log1p", u)


class Sigmoid(Decaying):
    """1 / (1 + exp(-u))."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return SigmoidSlope(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return 1 / (1 + exp(-u))

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        decay = _decay(b, u)
        return b("div", b("select", b("lt", u, 0.0), decay, 1.0), b("add", decay, 1.0))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half = b("select", b("lt", u, 0.0), _half_decay(b, u), 1.0)
        return b("div", half, b("add", _decay(b, u), 1.0)), half


class SigmoidSlope(Decaying):
    """exp(-u) / (1 + exp(-u))^2, the derivative of the sigmoid."""

    even = True

    @staticmethod
    def slope(u: Expr) -> Expr:
        return -SigmoidSlope(u) * Tanh(u / 2)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return exp(-u) / (1 + exp(-u)) ** 2

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        decay = _decay(b, u)
        return b("div", decay, _square(b, b("add", decay, 1.0)))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half = _half_decay(b, u)
        return b("div", half, _square(b, b("add", _decay(b, u), 1.0))), half


class Softplus(Stable):
    """log(1 + exp(u))."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return Sigmoid(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return log(1 + exp(u))

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return b("add", b("max", u, 0.0), b("log1p", _decay(b, u)))


class SigmoidEntropy(Stable):
    """log(1 + exp(u)) - u / (1 + exp(-u)): the entropy of a coin that falls heads with probability sigmoid(u)."""

    even = True

    @staticmethod
    def slope(u: Expr) -> Expr:
        return -u * SigmoidSlope(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return log(1 + exp(u)) - u / (1 + exp(-u))

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        b.halved.add(b("abs", u))
        half, decay = _half_decay(b, u), _decay(b, u)
        # |u| between the halves: the product underflows only if its value does
        weighted = b("mul", b("div", b("mul", half, b("abs", u)), b("add", decay, 1.0)), half)
        return b("add", b("log1p", decay), weighted)


class Tanh(Bounded):
    """The hyperbolic tangent, with a derivative that does not subtract from 1."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return Sech2(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return tanh(u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return b("tanh", u)


class TanhExp(Decaying):
    """tanh(exp(u)), which falls like exp(u) on the left."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return Sech2(exp(u)) * exp(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return tanh(exp(u))

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return b("tanh", b("exp", b("min", u, 8.0)))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half = b("exp", b("mul", b("min", u, 8.0), 0.5))
        # tanh(e) is e to half an ulp below 2^-30, and tanh(exp(8)) is 1
        near = b("div", b("tanh", _square(b, half)), half)
        return b("select", b("lt", u, -21.0), half, near), half

    @staticmethod
    def mark(b: Builder, u: Operand) -> None:
        """Its exponential is of u, not of |u|: nothing to share."""


class Sech(Decaying):
    """1 / cosh(u)."""

    even = True

    @staticmethod
    def slope(u: Expr) -> Expr:
        return -Tanh(u) * Sech(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return 1 / sympy.cosh(u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        decay = _decay(b, u)
        return b("div", b("mul", decay, 2.0), b("add", _square(b, decay), 1.0))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half = _half_decay(b, u)
        return b("div", b("mul", half, 2.0), b("add", _square(b, _decay(b, u)), 1.0)), half


class Sech2(Decaying):
    """1 - tanh(u)^2."""

    even = True

    @staticmethod
    def slope(u: Expr) -> Expr:
        return -2 * Tanh(u) * Sech2(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return 1 / sympy.cosh(u) ** 2

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        decay = _double_decay(b, u)
        return b("div", b("mul", decay, 4.0), _square(b, b("add", decay, 1.0)))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half = b("exp", b("neg", b("abs", u)))
        return b("div", b("mul", half, 4.0), _square(b, b("add", _double_decay(b, u), 1.0))), half


class TanhGap(Stable):
    """u - tanh(u): a polynomial times u^3 where the subtraction would cancel."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return Tanh(u) ** 2

    @staticmethod
    def definition(u: Expr) -> Expr:
        return u - tanh(u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return _odd_gap(b, u, "tanh_gap", "tanh")


class SineGap(Stable):
    """u - sin(u): a polynomial times u^3 where the subtraction would cancel."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return 2 * sympy.sin(u / 2) ** 2

    @staticmethod
    def definition(u: Expr) -> Expr:
        return u - sympy.sin(u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return _odd_gap(b, u, "sine_gap", "sin")


def _odd_gap(b: Builder, u: Operand, core_name: str, operation: str) -> Operand:
    """U - operation(u), an odd function of order u^3: by its core near 0, by subtraction elsewhere."""
    core = approximants.named(core_name, b.work_format)
    inner = b("max", b("min", u, core.upper), core.lower)
    square = _square(b, inner)
    near = b("mul", b("mul", square, inner), core.horner(b, square))
    return b("select", b("lt", b("abs", u), core.upper), near, b("sub", u, b(operation, u)))


class LogCosh(Stable):
    """log(cosh(u))."""

    even = True

    @staticmethod
    def slope(u: Expr) -> Expr:
        return Tanh(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return log(sympy.cosh(u))

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        magnitude = b("abs", u)
        growth = b("expm1", b("min", magnitude, 1.0))
        # cosh(u) - 1 = (e^u - 1)^2 / (2 e^u)
        near = b("log1p", b("div", _square(b, growth), b("mul", b("add", growth, 1.0), 2.0)))
        far = b("add", b("sub", magnitude, b.constant(log(2))), b("log1p", _double_decay(b, u)))
        return b("select", b("lt", magnitude, 1.0), near, far)


class TanhSoftplus(Decaying):
    """tanh(log(1 + exp(u))), the gate of mish: a ratio of polynomials in E = exp(u)."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return TanhSoftplusSlope(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return exp(u) * (exp(u) + 2) / (exp(u) * (exp(u) + 2) + 2)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        numerator, denominator = _gate(b, u)
        return b("div", numerator, denominator)

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half = b("select", b("lt", u, 0.0), _half_decay(b, u), 1.0)
        decay = _decay(b, u)
        rest = b("select", b("lt", u, 0.0), b("add", decay, 2.0), b("add", b("mul", decay, 2.0), 1.0))
        return b("div", b("mul", half, rest), _gate(b, u)[1]), half


class TanhSoftplusSlope(Decaying):
    """First derivative of tanh(log(1 + exp(u)))."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return TanhSoftplusSlope(u) * TanhSoftplusBend(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return 4 * exp(u) * (1 + exp(u)) / (2 + 2 * exp(u) + exp(2 * u)) ** 2

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return b("mul", *TanhSoftplusSlope.halves(b, u))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half, decay = _gate_half(b, u), _decay(b, u)
        numerator = b("mul", b("mul", half, 4.0), b("add", decay, 1.0))
        return b("div", numerator, _square(b, _gate(b, u)[1])), half


class TanhSoftplusBend(Bounded):
    """Second derivative of tanh(log(1 + exp(u))) divided by its first: between -2 and 1."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return sympy.diff(TanhSoftplusBend.definition(u), u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        falling = 2 + 2 * exp(u) - 3 * exp(2 * u) - 2 * exp(3 * u)
        return falling / ((1 + exp(u)) * (2 + 2 * exp(u) + exp(2 * u)))

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        decay = _decay(b, u)
        falling = _polynomial(b, decay, (2.0, 2.0, -3.0, -2.0))
        rising = _polynomial(b, decay, (-2.0, -3.0, 2.0, 2.0))
        numerator = b("select", b("lt", u, 0.0), falling, rising)
        return b("div", numerator, b("mul", b("add", decay, 1.0), _gate(b, u)[1]))


def _gate_half(b: Builder, u: Operand) -> Operand:
    """exp(-|u|/2) for u < 0, exp(-|u|) for u >= 0: the square of the gate's slope falls as fast."""
    b.halved.add(b("abs", u))
    return b("select", b("lt", u, 0.0), _half_decay(b, u), _decay(b, u))


def _gate(b: Builder, u: Operand) -> tuple[Operand, Operand]:
    """Numerator and denominator of tanh(log(1 + exp(u))) in e = exp(-|u|), scaled so that neither overflows."""
    decay = _decay(b, u)
    negative = b("lt", u, 0.0)
    numerator = b(
        "select",
        negative,
        b("mul", decay, b("add", decay, 2.0)),
        b("add", b("mul", decay, 2.0), 1.0),
    )
    rest = b("select", negative, 2.0, b("mul", _square(b, decay), 2.0))
    return numerator, b("add", numerator, rest)


def _polynomial(b: Builder, u: Operand, coefficients: tuple[float, ...]) -> Operand:
    """Horner's scheme, lowest coefficient first."""
    value: Operand = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = b("add", b("mul", value, u), coefficient)
    return value


class Erfc(Decaying):
    """The complementary error function, relatively accurate in its right tail."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return -2 * exp(-(u**2)) / sqrt(pi)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return sympy.erfc(u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        if "erfc" in b.native:
            return b("erfc", u)
        tail = _erfc_of_magnitude(b, u)
        return b("select", b("lt", u, 0.0), b("sub", 2.0, tail), tail)

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        if "erfc" in b.native and b.work_format.bits == 32:
            return b("erfc", u), 1.0  # underflows at |x| = 14: what x makes of it stays a few subnormal ulps
        scaled, magnitude = _erfc_scaled(b, u)
        half = b("exp", b("mul", _square(b, magnitude), -0.5))
        negative = b("lt", u, 0.0)
        left = b("sub", 2.0, b("mul", _square(b, half), scaled))
        return b("select", negative, left, b("mul", half, scaled)), b("select", negative, 1.0, half)

    @staticmethod
    def mark(b: Builder, u: Operand) -> None:
        """Its exponential is of the square: nothing to share."""


class Erf(Bounded):
    """The error function, relatively accurate at 0."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return 2 * exp(-(u**2)) / sqrt(pi)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return sympy.erf(u)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        if "erf" in b.native:
            return b("erf", u)
        core = approximants.named("erf", b.work_format)
        inner = b("max", b("min", u, core.upper), core.lower)
        near = b("mul", inner, core.horner(b, _square(b, inner)))
        rest = b("sub", 1.0, _erfc_of_magnitude(b, u))
        far = b("select", b("lt", u, 0.0), b("neg", rest), rest)
        return b("select", b("lt", b("abs", u), core.upper), near, far)


def _erfc_of_magnitude(b: Builder, u: Operand) -> Operand:
    """erfc(|u|)."""
    scaled, magnitude = _erfc_scaled(b, u)
    return b("mul", b("exp", b("neg", _square(b, magnitude))), scaled)


def _erfc_scaled(b: Builder, u: Operand) -> tuple[Operand, Operand]:
    """erfc(|u|) exp(u^2) = P(t) / (1 + 2 |u|) with t = (|u| - k) / (|u| + k), and |u| clamped to where it matters."""
    core = approximants.named("erfcx", b.work_format)
    magnitude = b("min", b("abs", u), core.upper)
    t = b("div", b("sub", magnitude, core.centre), b("add", magnitude, core.centre))
    return b("div", core.horner(b, t), b("add", b("mul", magnitude, 2.0), 1.0)), magnitude


class Hypot(Stable):
    """sqrt(u^2 + c) for c > 0, without overflow of the square."""

    even = True

    @staticmethod
    def slope(u: Expr, c: Expr) -> Expr:
        return u / Hypot(u, c)

    @staticmethod
    def second_slope(u: Expr, c: Expr) -> Expr:
        return 1 / (2 * Hypot(u, c))

    @staticmethod
    def definition(u: Expr, c: Expr) -> Expr:
        return sqrt(u**2 + c)

    @staticmethod
    def expansion(b: Builder, u: Operand, c: Operand) -> Operand:
        magnitude = b("abs", u)
        root = b("sqrt", b("add", _square(b, b("min", magnitude, _square_edge(b))), c))
        return b("max", magnitude, root)


class InverseQuadratic(Bounded):
    """1 / (u^2 + c) for c > 0, without overflow of the square."""

    even = True

    @staticmethod
    def slope(u: Expr, c: Expr) -> Expr:
        return -2 * u * InverseQuadratic(u, c) ** 2

    @staticmethod
    def second_slope(u: Expr, c: Expr) -> Expr:
        return -(InverseQuadratic(u, c) ** 2)

    @staticmethod
    def definition(u: Expr, c: Expr) -> Expr:
        return 1 / (u**2 + c)

    @staticmethod
    def expansion(b: Builder, u: Operand, c: Operand) -> Operand:
        near = b("div", 1.0, b("add", _square(b, u), c))
        far = _square(b, b("div", 1.0, u))
        return b("select", b("lt", b("abs", u), _square_edge(b)), near, far)


class Log1pSquare(Stable):
    """log(1 + u^2), without overflow of the square."""

    even = True

    @staticmethod
    def slope(u: Expr) -> Expr:
        return 2 * u * InverseQuadratic(u, sympy.S.One)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return log(1 + u**2)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        far = b("mul", b("log", b("abs", u)), 2.0)
        return b("select", b("lt", b("abs", u), _square_edge(b)), b("log1p", _square(b, u)), far)


def _square_edge(b: Builder) -> float:
    """2^(emax/2 - 1): beyond it u^2 + c is u^2 to less than half an ulp for every c below 2^(emax/2)."""
    return float(2.0 ** (b.work_format.max_exponent // 2 - 1))


class HypotMean(Stable):
    """(u + sqrt(u^2 + c)) / 2 for c > 0; for u < 0 as (c/2) / (sqrt(u^2 + c) - u)."""

    @staticmethod
    def slope(u: Expr, c: Expr) -> Expr:
        return HypotRatio(u, c) / 2

    @staticmethod
    def second_slope(u: Expr, c: Expr) -> Expr:
        return 1 / (4 * Hypot(u, c))

    @staticmethod
    def definition(u: Expr, c: Expr) -> Expr:
        return (u + sqrt(u**2 + c)) / 2

    @staticmethod
    def expansion(b: Builder, u: Operand, c: Operand) -> Operand:
        mean = b("add", b("mul", b("abs", u), 0.5), b("mul", Hypot.expansion(b, u, c), 0.5))
        quarter = c / 4 if isinstance(c, float) else b("mul", c, 0.25)
        return b("select", b("lt", u, 0.0), b("div", quarter, mean), mean)


class HypotRatio(Bounded):
    """1 + u / sqrt(u^2 + c) for c > 0."""

    @staticmethod
    def slope(u: Expr, c: Expr) -> Expr:
        return c / Hypot(u, c) ** 3

    @staticmethod
    def second_slope(u: Expr, c: Expr) -> Expr:
        return -u / (2 * Hypot(u, c) ** 3)

    @staticmethod
    def definition(u: Expr, c: Expr) -> Expr:
        return 1 + u / sqrt(u**2 + c)

    @staticmethod
    def expansion(b: Builder, u: Operand, c: Operand) -> Operand:
        return b("mul", b("div", HypotMean.expansion(b, u, c), Hypot.expansion(b, u, c)), 2.0)


FAMILY: tuple[type[Stable], ...] = (
    Expm1, Expm1Gap, Log1p, Sigmoid, SigmoidSlope, Softplus, SigmoidEntropy, Tanh, TanhExp, Sech, Sech2,
    TanhGap, SineGap, LogCosh,
    TanhSoftplus, TanhSoftplusSlope, TanhSoftplusBend, Erfc, Erf, Hypot, HypotMean, HypotRatio,
    InverseQuadratic, Log1pSquare,
)  # fmt: skip
