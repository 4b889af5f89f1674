"""Error in ulps of the output format against the exact value, and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relusym.floats import Array, format_of, ulp

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """Allowed error in ulps: constant + per_condition * kappa, the condition of g at the input."""

    constant: float
    per_condition: float = 0.0

    def allowed(self, kappa: Floats) -> Floats:
        """Ulps allowed at inputs of this condition."""
        slope = self.per_condition
        return np.full(np.shape(kappa), self.constant) + (slope * kappa if slope else 0.0)

    def __str__(self) -> str:
        if self.per_condition == 0:
            return f"{self.constant:g}"
        return f"{self.constant:g} + {self.per_condition:g} kappa"


def error_in_ulps(got: Array, value: Array, offset: Floats) -> Floats:
    """abs(got - exact) / ulp(value), where exact = value + offset * ulp(value).

    For counting, an infinity stands for 2**(max_exponent + 1), with the ulp of the top binade. NaN for a
    number is infinitely wrong; NaN for NaN is right.
    """
    form = format_of(value.dtype)
    with np.errstate(all="ignore"):
        expected: Floats = value.astype(np.float64)
        actual: Floats = got.astype(np.float64)
        # 2**1024 is no float64, but a sixteenth of it is.
        exponent = np.where(np.maximum(np.abs(expected), np.abs(actual)) >= 2.0**1000, -4, 0)
        top = np.ldexp(1.0, np.minimum(form.max_exponent + 1 + exponent, 1023))
        expected, actual = (
            np.where(np.isinf(side), np.copysign(top, side), np.ldexp(side, exponent)) for side in (expected, actual)
        )
        error = np.abs((actual - expected) / np.ldexp(ulp(value), exponent) - offset)
    missing, wanted = np.isnan(actual), np.isnan(expected)
    errors: Floats = np.where(missing & wanted, 0.0, np.where(missing | wanted, np.inf, error))
    return errors


def exact_value(value: Array, offset: Floats) -> Floats:
    """The exact value in double accuracy; what underflows keeps its sign."""
    with np.errstate(all="ignore"):
        wide: Floats = value.astype(np.float64)
    tiny = np.where(offset == 0, wide, np.sign(offset) * np.finfo(np.float64).smallest_subnormal)
    return np.where(wide == 0, tiny, wide)
