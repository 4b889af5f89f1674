"""`fma`: the fused multiply-add on NumPy arrays, rounded once, as IEEE 754 defines it.

NumPy has none. A float32 one is computed in float64, which holds the product exactly; a float64 one by exact
transformations. The last rounding is made single by rounding to odd before it: Boldo & Melquiond, "Emulation of
FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Trans. Computers 57 (2008), section 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def fma(a: Any, b: Any, c: Any) -> Any:
    """A * b + c, rounded once, elementwise for float32 or float64 operands.

    Exact for float32 always. For float64 where neither the product nor its error term overflows or underflows,
    which is where abs(a b) lies between 2^-960 and 2^1020; elsewhere within an ulp.
    """
    dtype = np.result_type(a, b, c)
    with np.errstate(all="ignore"):
        if dtype == np.float32:
            return _single(np.multiply(a, b, dtype=np.float64), np.asarray(c, np.float64))
        return _double(*np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (a, b, c))))


def _single(product: Floats, c: Floats) -> npt.NDArray[np.float32]:
    """Product + c rounded once to float32.

    Two roundings are one but where the first lands halfway between two float32. That is seen in the bits of a sum that
    is normal in float32: only such sums, and those below, are rounded to odd.
    """
    total = np.asarray(product + c)
    halfway = (total.view(np.int64) & 0x1FFF_FFFF) == 0x1000_0000
    rare = halfway | (np.abs(total) < 2.0**-126)
    if np.any(rare):
        product, c = np.broadcast_arrays(product, c)
        total[rare] = _to_odd(product[rare], c[rare])
    return total.astype(np.float32)


def _double(a: Floats, b: Floats, c: Floats) -> Floats:
    product = a * b
    error = _product_error(a, b, product)
    plain = product + c
    high, low = _two_sum(c, error)
    top, middle = _two_sum(product, high)
    fused = top + _to_odd(middle, low)
    # where the splitting overflows the error term is not a number: the plain result is then the best there is
    # and where nothing is left its zero has the right sign
    return np.where(np.isfinite(fused) & (fused != 0), fused, plain)


def _two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The rounded sum and its exact error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product_error(a: Floats, b: Floats, product: Floats) -> Floats:
    """A b - product exactly (Dekker, with Veltkamp's splitting)."""
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: Floats) -> tuple[Floats, Floats]:
    scaled = 134217729.0 * a
    high = scaled - (scaled - a)
    return high, a - high


def _to_odd(a: Floats, b: Floats) -> Floats:
    """A + b, rounded to the neighbour with an odd last bit where it is not exact."""
    total, error = _two_sum(a, b)
    even = (total.view(np.int64) & 1) == 0
    # one step towards the exact sum: up in magnitude where the error has the sign of the sum, else down
    step = np.where((error > 0) == (total > 0), 1, -1)
    moved = (total.view(np.int64) + step).view(np.float64)
    return np.where(even & (error != 0) & np.isfinite(error), moved, total)
