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
from relusym_codegen.approximants.core import Core
from relusym_codegen.program import Builder, Operand, spare


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

    @staticmethod
    def one_sided(v: Expr, side: int) -> Expr | None:
        """The function at v (side 1) or -v (side -1), v >= 0, with its exponential in sight; None: as it is."""
        return None


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
        _mark(b, u)


def _mark(b: Builder, u: Operand) -> None:
    if "exp_lifted" not in b.native:  # a lifted exponential is the exponential but for a power of two
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


def _split_exp(b: Builder, u: Operand) -> tuple[Operand, Operand]:
    """Two factors of exp(u), u not positive, of which neither underflows where exp(u) is no more than subnormal."""
    if "exp_lifted" in b.native:
        lift = 2.0 ** spare(b.work_format)
        return b("exp_lifted", u, lift), 1 / lift
    half = b("exp", b("mul", u, 0.5))
    return half, half


def _split_decay(b: Builder, u: Operand) -> tuple[Operand, Operand]:
    """Two factors of exp(-|u|)."""
    return _split_exp(b, b("neg", b("abs", u)))


def _square(b: Builder, u: Operand) -> Operand:
    return b("mul", u, u)


class Decay(Decaying):
    """exp(-v) for v >= 0."""

    @staticmethod
    def slope(v: Expr) -> Expr:
        return -Decay(v)

    @staticmethod
    def definition(v: Expr) -> Expr:
        return exp(-v)

    @staticmethod
    def expansion(b: Builder, v: Operand) -> Operand:
        return b("exp", b("neg", v))

    @staticmethod
    def halves(b: Builder, v: Operand) -> tuple[Operand, Operand]:
        return _split_exp(b, b("neg", v))

    @staticmethod
    def mark(b: Builder, v: Operand) -> None:
        """Its exponential is of v as it stands: nothing to share."""


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
        core = approximants.named("expm1_gap", b.work_format, b.result)
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
        first, second = _falling_on_the_left(b, u)
        return b("div", first, b("add", _decay(b, u), 1.0)), second

    @staticmethod
    def one_sided(v: Expr, side: int) -> Expr:
        return (Decay(v) if side < 0 else sympy.S.One) / (1 + Decay(v))


def _falling_on_the_left(b: Builder, u: Operand) -> tuple[Operand, Operand]:
    """Two factors of min(1, exp(u))."""
    negative = b("lt", u, 0.0)
    first, second = _split_decay(b, u)
    kept = b("select", negative, first, 1.0)
    return kept, kept if second == first else b("select", negative, second, 1.0)


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
        first, second = _split_decay(b, u)
        return b("div", first, _square(b, b("add", _decay(b, u), 1.0))), second

    @staticmethod
    def one_sided(v: Expr, side: int) -> Expr:
        return Decay(v) / (1 + Decay(v)) ** 2


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
        _mark(b, u)
        (first, second), decay = _split_decay(b, u), _decay(b, u)
        # |u| between the halves: the product underflows only if its value does
        weighted = b("mul", b("div", b("mul", first, b("abs", u)), b("add", decay, 1.0)), second)
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
        return b("mul", *Sech.halves(b, u))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        first, second = _split_decay(b, u)
        return b("div", b("mul", first, 2.0), b("add", _square(b, _decay(b, u)), 1.0)), second


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
        return b("mul", *Sech2.halves(b, u))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        first, second = _split_exp(b, b("mul", b("abs", u), -2.0))
        return b("div", b("mul", first, 4.0), _square(b, b("add", _double_decay(b, u), 1.0))), second


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
    core = approximants.named(core_name, b.work_format, b.result)
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
        first, second = _falling_on_the_left(b, u)
        decay = _decay(b, u)
        rest = b("select", b("lt", u, 0.0), b("add", decay, 2.0), b("add", b("mul", decay, 2.0), 1.0))
        return b("div", b("mul", first, rest), _gate(b, u)[1]), second


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
        (first, second), decay = _gate_halves(b, u), _decay(b, u)
        numerator = b("mul", b("mul", first, 4.0), b("add", decay, 1.0))
        return b("div", numerator, _square(b, _gate(b, u)[1])), second


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


def _gate_halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
    """Two factors of exp(-|u|) for u < 0 and of exp(-2|u|) for u >= 0, as fast as the gate's slope falls."""
    _mark(b, u)
    negative, decay = b("lt", u, 0.0), _decay(b, u)
    first, second = _split_decay(b, u)
    if second == first:
        half = b("select", negative, first, decay)
        return half, half
    return b("select", negative, first, b("mul", first, decay)), second


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
        tail = _erfc_of_magnitude(b, u)
        return b("select", b("lt", u, 0.0), b("sub", 2.0, tail), tail)

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        scaled, magnitude = _freed_tail(b, u, "erfcx")
        first, second = _split_exp(b, b("neg", _square(b, magnitude)))
        negative = b("lt", u, 0.0)
        left = b("sub", 2.0, b("mul", b("mul", first, scaled), second))
        return b("select", negative, left, b("mul", first, scaled)), b("select", negative, 1.0, second)

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
        core = approximants.named("erf", b.work_format, b.result)
        inner = b("max", b("min", u, core.upper), core.lower)
        near = b("mul", inner, core.horner(b, _square(b, inner)))
        rest = b("sub", 1.0, _erfc_of_magnitude(b, u))
        far = b("select", b("lt", u, 0.0), b("neg", rest), rest)
        return b("select", b("lt", b("abs", u), core.upper), near, far)


def _erfc_of_magnitude(b: Builder, u: Operand) -> Operand:
    """erfc(|u|)."""
    scaled, magnitude = _freed_tail(b, u, "erfcx")
    return b("mul", b("exp", b("neg", _square(b, magnitude))), scaled)


def _freed_tail(b: Builder, u: Operand, core_name: str) -> tuple[Operand, Operand]:
    """A tail at |u| freed of its exponential, and |u| clamped to where it matters.

    P(t) y with y = 2 / (s (|u| + k)) and t = s |u| y - 1, which is (|u| - k) / (|u| + k) but keeps the digits of a
    small u.
    """
    core = approximants.named(core_name, b.work_format, b.result)
    magnitude, divisor = _tail_divisor(b, u, core)
    y = b("div", 1.0, divisor)
    t = b("sub", b("mul", b("mul", magnitude, core.scale), y), 1.0)
    return b("mul", core.horner(b, t), y), magnitude


def _clamped_magnitude(b: Builder, u: Operand, core: Core) -> Operand:
    """|u|, clamped somewhat beyond the core's end: any bounded factor will do there, the exponential rounds to zero."""
    return b("min", b("abs", u), core.upper + 1.75)


def _tail_divisor(b: Builder, u: Operand, core: Core) -> tuple[Operand, Operand]:
    """|u|, clamped, and s (|u| + k) / 2 for the core's k and s."""
    magnitude = _clamped_magnitude(b, u, core)
    half = 0.5 * core.scale
    return magnitude, b("add", b("mul", magnitude, half), half * core.centre)


def _normal_exponent(b: Builder, magnitude: Operand) -> Operand:
    """-u^2 / 2."""
    return b("mul", b("mul", magnitude, -0.5), magnitude)


class NormalDistribution(Decaying):
    """The normal distribution function Phi(u) = erfc(-u / sqrt(2)) / 2."""

    @staticmethod
    def slope(u: Expr) -> Expr:
        return NormalDensity(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return sympy.erfc(-u / sqrt(2)) / 2

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        freed, magnitude = _freed_tail(b, u, "normal")
        tail = b("mul", b("exp", _normal_exponent(b, magnitude)), freed)
        return b("select", b("lt", u, 0.0), tail, b("sub", 1.0, tail))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        freed, magnitude = _freed_tail(b, u, "normal")
        first, second = _split_exp(b, _normal_exponent(b, magnitude))
        negative, tail = b("lt", u, 0.0), b("mul", first, freed)
        right = b("sub", 1.0, b("mul", tail, second))
        return b("select", negative, tail, right), b("select", negative, second, 1.0)

    @staticmethod
    def mark(b: Builder, u: Operand) -> None:
        """Its exponential is of the square: nothing to share."""

    @staticmethod
    def one_sided(v: Expr, side: int) -> Expr | None:
        return Decay(v**2 / 2) * NormalTail(v) if side < 0 else None


class NormalTail(Bounded):
    """Phi(-v) exp(v^2 / 2) for v >= 0: Mills' ratio but for a constant."""

    @staticmethod
    def slope(v: Expr) -> Expr:
        return v * NormalTail(v) - 1 / sqrt(2 * pi)

    @staticmethod
    def definition(v: Expr) -> Expr:
        return sympy.erfc(v / sqrt(2)) * exp(v**2 / 2) / 2

    @staticmethod
    def expansion(b: Builder, v: Operand) -> Operand:
        return _freed_tail(b, v, "normal")[0]


class NormalRamp(Bounded):
    """v Phi(-v) exp(v^2 / 2) for v >= 0, below 2/5: with the v that the core divides anyway, one rounding less."""

    @staticmethod
    def slope(v: Expr) -> Expr:
        return (1 + v**2) * NormalTail(v) - v / sqrt(2 * pi)

    @staticmethod
    def definition(v: Expr) -> Expr:
        return v * NormalTail.definition(v)

    @staticmethod
    def expansion(b: Builder, v: Operand) -> Operand:
        core = approximants.named("normal", b.work_format, b.result)
        magnitude, divisor = _tail_divisor(b, v, core)
        quotient = b("div", magnitude, divisor)
        return b("mul", core.horner(b, b("sub", b("mul", quotient, core.scale), 1.0)), quotient)


class NormalDensity(Decaying):
    """The normal density exp(-u^2 / 2) / sqrt(2 pi)."""

    even = True

    @staticmethod
    def slope(u: Expr) -> Expr:
        return -u * NormalDensity(u)

    @staticmethod
    def definition(u: Expr) -> Expr:
        return exp(-(u**2) / 2) / sqrt(2 * pi)

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        return b("mul", b("exp", _normal_exponent(b, _where_normal(b, u))), b.constant(1 / sqrt(2 * pi)))

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        first, second = _split_exp(b, _normal_exponent(b, _where_normal(b, u)))
        return b("mul", first, b.constant(1 / sqrt(2 * pi))), second

    @staticmethod
    def mark(b: Builder, u: Operand) -> None:
        """Its exponential is of the square: nothing to share."""

    @staticmethod
    def one_sided(v: Expr, side: int) -> Expr:
        return Decay(v**2 / 2) / sqrt(2 * pi)


def _where_normal(b: Builder, u: Operand) -> Operand:
    """|u|, clamped as for the distribution, so that both share the exponential."""
    return _clamped_magnitude(b, u, approximants.named("normal", b.work_format, b.result))


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
    TanhSoftplus, TanhSoftplusSlope, TanhSoftplusBend, Erfc, Erf, NormalDistribution, NormalDensity,
    Hypot, HypotMean, HypotRatio,
    InverseQuadratic, Log1pSquare,
)  # fmt: skip
