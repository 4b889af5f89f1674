"""Makes `tables.py`: `python -m relusym_codegen.approximants.make` rewrites it, byte for byte the same each time.

Each core is a minimax polynomial (Remez) of the lowest degree that reaches the wanted bits, its coefficients rounded
one after the other. The bound beside it is certified: the error is enclosed by balls on the whole interval, with the
rounded coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from flint import arb, arb_series, ctx, fmpq, fmpq_series

from relusym_codegen.approximants.minimax import Function, Problem, certified_error, leveled_error, polynomial

PRECISION = {"float32": 24, "float64": 53}
SIZES: tuple[tuple[str, int], ...] = (("float32", 21), ("float32", 28), ("float64", 34), ("float64", 57))
"""(format, bits): results of 16 bits from float32, float32 from itself and from float64, float64 from itself."""

_ONE = arb_series([1])
_TERMS = 240


def _series(coefficients: Iterable[fmpq]) -> Function:
    """A power series around 0 as a function; its terms beyond the last are below 2^-200 where it is used."""
    known = list(coefficients)

    def function(v: arb_series) -> arb_series:
        value = arb_series([arb(0, 2.0**-200)])
        for coefficient in reversed(known):
            value = value * v + coefficient
        return value

    return function


_EXP = _series(fmpq(1, math.factorial(k + 2)) for k in range(60))
_LOG1P = _series(fmpq((-1) ** k, k + 3) for k in range(_TERMS))
_SINE = _series(fmpq((-1) ** (k + 1), math.factorial(2 * k + 3)) for k in range(40))
_COSINE = _series(fmpq((-1) ** k, math.factorial(2 * k + 4)) for k in range(40))
_SINC = _series(fmpq((-1) ** k, math.factorial(2 * k + 1)) for k in range(40))
_COS = _series(fmpq((-1) ** k, math.factorial(2 * k)) for k in range(40))
_EXPM1_RATIO = _series(fmpq(1, math.factorial(k + 1)) for k in range(60))
_LOG1P_RATIO = _series(fmpq((-1) ** k, k + 1) for k in range(_TERMS))
_ERF = _series(fmpq((-1) ** k, math.factorial(k) * (2 * k + 1)) for k in range(120))
_EXPM1_GAP = _series(fmpq(k + 1, math.factorial(k + 2)) for k in range(64))
_SINE_GAP = _series(fmpq((-1) ** k, math.factorial(2 * k + 3)) for k in range(40))


def _tanh_gap() -> Function:
    """(u - tanh u) / u^3 as a series in u^2."""
    terms = 2 * _TERMS
    before, ctx.cap = ctx.cap, terms
    odd = fmpq_series([0 if k % 2 == 0 else fmpq(1, math.factorial(k)) for k in range(terms)], terms)
    even = fmpq_series([fmpq(1, math.factorial(k)) if k % 2 == 0 else 0 for k in range(terms)], terms)
    tanh = odd / even
    ctx.cap = before
    return _series(-tanh[2 * k + 3] for k in range(_TERMS - 4))


def _erfcx(centre: Fraction) -> Function:
    """(u + k) / 2 exp(u^2) erfc(u) as a function of t."""
    k = fmpq(centre.numerator, centre.denominator)

    def function(t: arb_series) -> arb_series:
        u = k * (1 + t) / (1 - t)
        return (u * u).exp() * u.erfc() * (u + k) / 2

    return function


def _normal(centre: Fraction, scale: int) -> Function:
    """The normal tail, (m + k) / 2 exp(m^2 / 2) Phi(-m), times its scale, as a function of t."""
    k = fmpq(centre.numerator, centre.denominator)

    def function(t: arb_series) -> arb_series:
        m = k * (1 + t) / (1 - t)
        return (m * m / 2).exp() * (m * (1 / arb(2).sqrt())).erfc() * (m + k) * scale / 4

    return function


def _inverse(function: Function) -> Function:
    return lambda v: _ONE / function(v)


@dataclass(frozen=True)
class Row:
    """What a core approximates on which interval, relative to what; `upper` by bits where it depends on them."""

    name: str
    function: Function
    weight: Function
    lower: Fraction
    upper: Callable[[int], Fraction]
    reach: Callable[[int], Fraction]
    centre: Fraction = Fraction(0)
    scale: int = 1


def _rational(centre: Fraction, reach: Callable[[int], Fraction]) -> Callable[[int], Fraction]:
    return lambda bits: (reach(bits) - centre) / (reach(bits) + centre)


def _fixed(value: Fraction | int) -> Callable[[int], Fraction]:
    return lambda bits: Fraction(value)


def _by_range(narrow: Fraction, wide: Fraction) -> Callable[[int], Fraction]:
    """`narrow` for results with the exponents of float32, `wide` for those of float64."""
    return lambda bits: wide if bits > 40 else narrow


_HALF_LOG2 = Fraction(347, 1000)  # log(2)/2, and room for a rounded choice of the multiple
_ROOT_HALF, _ROOT_TWO = Fraction(7071, 10000) - 1, Fraction(14143, 10000) - 1
_QUARTER_PI_SQUARED = Fraction(62, 100)
_ERFCX_REACH = _by_range(Fraction(21, 2), Fraction(28))
_NORMAL_REACH = _by_range(Fraction(57, 4), Fraction(77, 2))
_UNIT = _fixed(1)
_NEAR, _ROOT = Fraction(5, 4), Fraction(3, 2)

ROWS: tuple[Row, ...] = (
    # exp(r) = 1 + r + r^2 P(r), and expm1 without the 1
    Row("exp", _EXP, lambda r: r * r / r.exp(), -_HALF_LOG2, _fixed(_HALF_LOG2), _fixed(_HALF_LOG2)),
    Row("expm1", _EXP, lambda r: r / _EXPM1_RATIO(r), -_HALF_LOG2, _fixed(_HALF_LOG2), _fixed(_HALF_LOG2)),
    # log(1 + f) = f - f^2/2 + f^3 P(f)
    Row("log1p", _LOG1P, lambda f: f * f / _LOG1P_RATIO(f), _ROOT_HALF, _fixed(_ROOT_TWO), _fixed(_ROOT_TWO)),
    # sin(r) = r + r^3 P(r^2); cos(r) = 1 - r^2/2 + r^4 P(r^2)
    Row("sine", _SINE, lambda v: v / _SINC(v), Fraction(0), _fixed(_QUARTER_PI_SQUARED), _fixed(Fraction(4, 5))),
    Row("cosine", _COSINE, lambda v: v * v / _COS(v), Fraction(0), _fixed(_QUARTER_PI_SQUARED), _fixed(Fraction(4, 5))),
    # the normal tail and the complementary error function, freed of their exponentials, in t = (u - k) / (u + k)
    # the normal tail's centre and scale keep the polynomial between 0.59 and 0.94, so that its last step costs little
    Row(
        "normal",
        _normal(_NEAR, 3),
        _inverse(_normal(_NEAR, 3)),
        Fraction(-1),
        _rational(_NEAR, _NORMAL_REACH),
        _NORMAL_REACH,
        _NEAR,
        3,
    ),
    Row(
        "erfcx",
        _erfcx(_ROOT),
        _inverse(_erfcx(_ROOT)),
        Fraction(-1),
        _rational(_ROOT, _ERFCX_REACH),
        _ERFCX_REACH,
        _ROOT,
    ),
    # erf(u) = u P(u^2) (times 2/sqrt(pi)), and differences that would cancel, in u or u^2
    Row("erf", lambda v: _ERF(v) * (2 / arb.pi().sqrt()), _inverse(_ERF), Fraction(0), _UNIT, _UNIT),
    Row("expm1_gap", _EXPM1_GAP, _inverse(_EXPM1_GAP), Fraction(-1), _UNIT, _UNIT),
    Row("sine_gap", _SINE_GAP, _inverse(_SINE_GAP), Fraction(0), _UNIT, _UNIT),
    Row("tanh_gap", _tanh_gap(), _inverse(_tanh_gap()), Fraction(0), _UNIT, _UNIT),
)


def tables() -> str:
    """The text of `tables.py`."""
    lines = [
        '"""Polynomial cores, written by make.py: do not edit."""',
        "",
        "from relusym_codegen.approximants.core import Core",
        "",
        "CORES = (",
    ]
    for row in ROWS:
        for form, bits in SIZES:
            coefficients, error = core(row, bits, PRECISION[form])
            lines += [
                "    Core(",
                f'        name="{row.name}",',
                f'        format="{form}",',
                f"        bits={bits},",
                f"        upper={float(row.reach(bits))},",
                f"        centre={float(row.centre)},",
                f"        scale={float(row.scale)},",
                f"        relative_error={error:.3e},",
                "        coefficients=(",
                *(f"            (float.fromhex({high.hex()!r}), float.fromhex({low.hex()!r})),".replace("'", '"')
                  for high, low in coefficients),
                "        ),",
                "    ),",
            ]  # fmt: skip
    return "\n".join([*lines, ")", ""])


def core(row: Row, bits: int, precision: int) -> tuple[tuple[tuple[float, float], ...], float]:
    """Coefficients of the lowest degree that reaches the bits, and the certified bound of their error."""
    problem = Problem(row.function, row.weight, row.lower, row.upper(bits))
    for degree in range(2, 48):
        if leveled_error(problem, degree) < 2.0**-bits:
            coefficients = polynomial(problem, degree, precision)
            error = certified_error(problem, coefficients)
            if error < 2.0**-bits:
                return coefficients, error
    raise AssertionError(f"no polynomial of degree below 48 reaches {bits} bits for {row.name}")


if __name__ == "__main__":
    Path(__file__).with_name("tables.py").write_text(tables(), encoding="utf-8")
