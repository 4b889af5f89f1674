"""Makes `tables.py`: `python -m relusym_codegen.approximants.make` rewrites it, byte for byte the same each time.

Each core is the polynomial that interpolates its function at Chebyshev nodes, computed in 80 digits, its
coefficients rounded once to the format. The bound beside it is the largest relative error found on a grid of
4,001 points with the rounded coefficients evaluated in 80 digits: approximation and coefficient rounding together,
evaluation error not included.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
from mpmath import mp

Real = Any
CENTRE = 3
"""k of t = (u - k) / (u + k), which maps [0, oo) to [-1, 1)."""


def _erfcx(t: Real) -> Real:
    """(1 + 2u) exp(u^2) erfc(u), which stays between 1 and 1.3."""
    u = CENTRE * (1 + t) / (1 - t)
    return (1 + 2 * u) * mp.exp(u * u) * mp.erfc(u)


def _erf(v: Real) -> Real:
    """erf(u) / u as a function of v = u^2."""
    u = mp.sqrt(v)
    return mp.erf(u) / u if v else 2 / mp.sqrt(mp.pi)


def _tanh_gap(v: Real) -> Real:
    """(u - tanh u) / u^3 as a function of v = u^2."""
    if v < mpmath.mpf(10) ** -20:
        return mpmath.mpf(1) / 3 - 2 * v / 15
    u = mp.sqrt(v)
    return (u - mp.tanh(u)) / u**3


def _sine_gap(v: Real) -> Real:
    """(u - sin u) / u^3 as a function of v = u^2."""
    return mp.fsum((-v) ** k / mp.factorial(2 * k + 3) for k in range(40))


def _expm1_gap(u: Real) -> Real:
    """(u exp(u) - expm1(u)) / u^2, whose Taylor coefficients are (k + 1) / (k + 2)!."""
    return mp.fsum((k + 1) * u**k / mp.factorial(k + 2) for k in range(64))


# name, function, interval of the polynomial's variable, bounds of |u|, degree by format
CORES: tuple[tuple[str, Callable[[Real], Real], tuple[Real, Real], dict[str, int]], ...] = (
    ("erfcx", _erfcx, (-1, mpmath.mpf(25) / 31), {"float32": 11, "float64": 26}),
    ("erf", _erf, (0, 1), {"float32": 7, "float64": 13}),
    ("expm1_gap", _expm1_gap, (-1, 1), {"float32": 9, "float64": 16}),
    ("sine_gap", _sine_gap, (0, 1), {"float32": 4, "float64": 8}),
    ("tanh_gap", _tanh_gap, (0, 1), {"float32": 8, "float64": 17}),
)
UPPER: dict[str, Any] = {
    "erfcx": {"float32": 10.5, "float64": 28.0},
    "erf": 1.0,
    "expm1_gap": 1.0,
    "sine_gap": 1.0,
    "tanh_gap": 1.0,
}


def interpolant(f: Callable[[Real], Real], a: Real, b: Real, degree: int) -> list[Real]:
    """Monomial coefficients, lowest first, of the polynomial through the Chebyshev nodes of [a, b]."""
    n = degree + 1
    nodes = [mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]
    values = [f((a + b) / mpmath.mpf(2) + (b - a) * node / 2) for node in nodes]
    weights = [
        mp.fsum(values[k] * mp.cos(j * mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)) * 2 / n for j in range(n)
    ]
    weights[0] /= 2
    # sum of weights[j] T_j(s) with s = (2 v - a - b) / (b - a), expanded in v
    scale, shift = mpmath.mpf(2) / (b - a), -mpmath.mpf(a + b) / (b - a)
    previous, current = [mpmath.mpf(1)], [shift, scale]
    total = [mpmath.mpf(0)] * n
    for j, weight in enumerate(weights):
        polynomial = previous if j == 0 else current
        for index, coefficient in enumerate(polynomial):
            total[index] += weight * coefficient
        if j >= 1:
            following = [mpmath.mpf(0)] * (len(current) + 1)
            for index, coefficient in enumerate(current):
                following[index] += 2 * shift * coefficient
                following[index + 1] += 2 * scale * coefficient
            for index, coefficient in enumerate(previous):
                following[index] -= coefficient
            previous, current = current, following
    return total


def rounded(value: Real, precision: int) -> float:
    """Nearest number of `precision` bits."""
    with mp.workprec(precision):
        return float(+value)


def relative_error(f: Callable[[Real], Real], coefficients: list[float], a: Real, b: Real) -> float:
    """Largest relative error of the polynomial on a grid of 4,001 points."""
    worst = mpmath.mpf(0)
    for index in range(4001):
        v = a + (b - a) * mpmath.mpf(index) / 4000
        exact = f(v)
        value = mp.polyval([mpmath.mpf(c) for c in reversed(coefficients)], v)
        worst = max(worst, abs(value - exact) / abs(exact))
    return float(mp.nstr(worst, 3))


def tables() -> str:
    """The text of `tables.py`."""
    lines = [
        '"""Polynomial cores, written by make.py: do not edit."""',
        "",
        "from relusym_codegen.approximants.core import Core",
        "",
        "CORES = (",
    ]
    with mp.workdps(80):
        for name, function, (a, b), degrees in CORES:
            for form, degree in degrees.items():
                precision = {"float32": 24, "float64": 53}[form]
                upper = UPPER[name] if isinstance(UPPER[name], float) else UPPER[name][form]
                end = (upper - CENTRE) / mpmath.mpf(upper + CENTRE) if name == "erfcx" else b
                coefficients = [rounded(c, precision) for c in interpolant(function, mpmath.mpf(a), end, degree)]
                error = relative_error(function, coefficients, mpmath.mpf(a), end)
                lines += [
                    "    Core(",
                    f'        name="{name}",',
                    f'        format="{form}",',
                    f"        upper={upper},",
                    f"        centre={float(CENTRE) if name == 'erfcx' else 0.0},",
                    f"        relative_error={error!r},",
                    "        coefficients=(",
                    *(f'            float.fromhex("{c.hex()}"),' for c in coefficients),
                    "        ),",
                    "    ),",
                ]
    return "\n".join([*lines, ")", ""])


if __name__ == "__main__":
    Path(__file__).with_name("tables.py").write_text(tables(), encoding="utf-8")
