"""Floating-point formats as data: bit patterns, ulps, neighbours, special values.

The four formats the toolkit knows are float16, bfloat16, float32 and float64. All functions take and return
NumPy arrays of any shape, element by element.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from relusym.errors import InvalidRequest

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Format:
    """A binary interchange format; `precision` counts the hidden bit, exponents are those of 1.m * 2^e."""

    name: str
    bits: int
    precision: int
    max_exponent: int

    @property
    def min_exponent(self) -> int:
        """Exponent of the smallest normal number."""
        return 1 - self.max_exponent

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype; bfloat16 comes from ml_dtypes."""
        return np.dtype(ml_dtypes.bfloat16 if self.name == "bfloat16" else self.name)

    @property
    def integer(self) -> np.dtype[Any]:
        """The unsigned integer dtype that holds the bit patterns."""
        return np.dtype(f"uint{self.bits}")

    @property
    def infinity_ordinal(self) -> int:
        """Position of +inf on the number line counted in floats (see `ordinal`)."""
        return (2 * self.max_exponent + 1) << (self.precision - 1)

    @property
    def max(self) -> float:
        """Largest finite number."""
        return float((2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.max_exponent)

    @property
    def smallest_normal(self) -> float:
        """Smallest positive normal number."""
        return float(2.0**self.min_exponent)

    @property
    def smallest_subnormal(self) -> float:
        """Smallest positive number; also the floor of an ulp."""
        return float(2.0 ** (self.min_exponent - self.precision + 1))

    @property
    def epsilon(self) -> float:
        """Distance from 1 to the next number: one ulp of 1."""
        return float(2.0 ** (1 - self.precision))


FORMATS: dict[str, Format] = {
    "float16": Format("float16", 16, 11, 15),
    "bfloat16": Format("bfloat16", 16, 8, 127),
    "float32": Format("float32", 32, 24, 127),
    "float64": Format("float64", 64, 53, 1023),
}


def format_of(dtype: object) -> Format:
    """The format with this name or NumPy dtype; `InvalidRequest` lists the four known ones."""
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name  # type: ignore[call-overload]  # it says itself what is no dtype
    except TypeError:
        raise InvalidRequest(f"{dtype!r} is no dtype; give one of {', '.join(FORMATS)}, as text or of NumPy") from None
    if name not in FORMATS:
        raise InvalidRequest(f"dtype {name!r} is unknown; known: {', '.join(FORMATS)}")
    return FORMATS[name]


def from_bits(patterns: Array, form: Format) -> Array:
    """Floats with these bit patterns."""
    return np.ascontiguousarray(patterns, dtype=form.integer).view(form.dtype)


def to_bits(values: Array) -> Array:
    """Bit patterns of floats, as unsigned integers."""
    return np.ascontiguousarray(values).view(format_of(values.dtype).integer)


def all_values(form: Format) -> Array:
    """Every bit pattern of a 16-bit format, in pattern order: 65,536 floats, NaNs and infinities included."""
    if form.bits != 16:
        raise InvalidRequest(f"all values of {form.name} are too many to list; use lattice() around points")
    return from_bits(np.arange(2**16, dtype=np.uint16), form)


def ordinal(values: Array) -> npt.NDArray[np.int64]:
    """Position on the number line counted in floats: 0 for both zeros, +1 a step upwards (NaN undefined)."""
    form = format_of(values.dtype)
    bits = to_bits(values)
    magnitude = (bits & form.integer.type(2 ** (form.bits - 1) - 1)).astype(np.int64)
    positions: npt.NDArray[np.int64] = np.where(bits >> (form.bits - 1) != 0, -magnitude, magnitude)
    return positions


def from_ordinal(positions: npt.NDArray[np.int64], form: Format) -> Array:
    """The float at each position; positions beyond the infinities are clipped to them."""
    clipped = np.clip(positions, -form.infinity_ordinal, form.infinity_ordinal)
    bits = np.abs(clipped).astype(form.integer) | np.where(
        clipped < 0, form.integer.type(1 << (form.bits - 1)), form.integer.type(0)
    )
    return from_bits(bits, form)


def neighbours(values: Array, steps: int) -> Array:
    """The floats up to `steps` places away on both sides of each value, flattened, without repeats."""
    form = format_of(values.dtype)
    positions = ordinal(np.ravel(values))[:, None] + np.arange(-steps, steps + 1)
    return from_ordinal(np.unique(positions), form)


def ulp(values: Array, form: Format | None = None) -> npt.NDArray[np.float64]:
    """Unit in the last place of each value, floored at the smallest subnormal; ±inf counts in the top binade.

    `form` says which format the values belong to where their dtype does not (float64 arrays of its values).
    """
    form = form or format_of(values.dtype)
    magnitude = np.minimum(np.abs(values.astype(np.float64)), form.max)
    _, exponent = np.frexp(magnitude)
    exponent = np.maximum(exponent - 1, form.min_exponent)
    exponent = np.where(magnitude == 0, form.min_exponent, exponent)
    spacing: npt.NDArray[np.float64] = np.ldexp(1.0, exponent - form.precision + 1)
    return spacing


def round_to(values: npt.NDArray[np.float64], form: Format) -> npt.NDArray[np.float64]:
    """Each float64 rounded once, half to even, to `form`; the result is returned as float64, which holds it.

    Unlike `astype` this never passes through a third format (ml_dtypes casts float64 to bfloat16 by way of
    float32). NaN stays NaN; beyond the largest finite number by half an ulp the result is infinite.
    """
    _, exponent = np.frexp(values)
    spacing = np.maximum(exponent.astype(np.int64) - 1, form.min_exponent) - (form.precision - 1)
    # The product by a power of two is exact: spacing >= -1074 and the scaled magnitude is below 2**53.
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = np.ldexp(np.rint(np.ldexp(values, -spacing)), spacing)
        bounded: npt.NDArray[np.float64] = np.where(np.abs(rounded) > form.max, np.copysign(np.inf, rounded), rounded)
    return bounded


def to_format(values: npt.NDArray[np.float64], form: Format) -> Array:
    """Float64 values that `form` holds exactly, in the dtype of `form`; all NaNs become one NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.isnan(values), np.float64(np.nan), values).astype(form.dtype)
