"""Sums as inputs: which x and addend a kernel is called with so that it computes f about here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relusym.floats import Array, Format, format_of, round_to, to_bits, to_format


def parted(aim: Array) -> tuple[Array, Array]:
    """(x, addend) of the format of `aim`, element by element, whose sum is `aim` or close to it.

    An element's parts depend on the element alone. In turns: halves, which add up exactly; an addend of ordinary size,
    which cancels where `aim` is small; one smaller than `aim`, so that most sums are no floats of the format; 0. Where
    `aim` is no finite number, x is it and the addend 1.
    """
    form = format_of(aim.dtype)
    with np.errstate(all="ignore"):
        wanted = aim.astype(np.float64)
        finite = np.isfinite(wanted)
        drawn = _drawn(aim)
        kind, sign = drawn % 4, np.where(drawn >> 2 & 1, 1.0, -1.0)
        fraction = 1.0 + (drawn >> 3) % 1021 / 1024.0
        scale = np.exp2((drawn >> 13) % 12 - 8.0)
        small = wanted * np.exp2(-1.0 - (drawn >> 17) % 6) * fraction
        addend = np.select([kind == 0, kind == 1, kind == 2], [wanted / 2, sign * fraction * scale, small], 0.0)
        addend = round_to(np.where(finite, addend, 1.0), form)
        x = np.clip(round_to(np.where(finite, wanted - addend, wanted), form), -form.max, form.max)
        x = np.where(finite, x, wanted)
    return to_format(x, form).reshape(aim.shape), to_format(addend, form).reshape(aim.shape)


def summed(x: Array, addend: Array, work: Format) -> Array:
    """The sum of x and the addend, rounded once to the work format."""
    with np.errstate(all="ignore"):
        total: Array = x.astype(work.dtype) + addend.astype(work.dtype)
    return total


def _drawn(values: Array) -> npt.NDArray[np.int64]:
    """Numbers below 2^22 that look random, from the bits of each element."""
    bits = to_bits(values).astype(np.uint64)
    mixed = (bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    drawn: npt.NDArray[np.int64] = (mixed >> np.uint64(42)).astype(np.int64)
    return drawn
