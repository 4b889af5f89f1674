"""CuPy: arrays on the current device, in the memory layout of the NumPy array."""

from __future__ import annotations

from typing import Any

import numpy as np

from relusym.floats import Array
from relusym.judge.adapters.adapter import LAYOUTS, Adapter, Function, needed, takes


def _given(array: Array) -> Any:
    cupy = needed("cupy", "cuda13")
    packed = cupy.asarray(np.ascontiguousarray(array).reshape(array.shape))
    if not array.size or array.flags.c_contiguous:
        return packed
    # CuPy packs what it copies: lay it out again, with the gaps and directions it had.
    reaches = [(length - 1) * stride for length, stride in zip(array.shape, array.strides, strict=True)]
    before = -sum(min(reach, 0) for reach in reaches) // array.itemsize
    after = sum(max(reach, 0) for reach in reaches) // array.itemsize
    memory = cupy.zeros(before + after + 1, dtype=packed.dtype)
    laid_out = cupy.lib.stride_tricks.as_strided(memory[before:], array.shape, array.strides)
    laid_out[...] = packed
    return laid_out


def _taken(result: Any) -> Any:
    cupy = needed("cupy", "cuda13")
    return cupy.asnumpy(result) if isinstance(result, cupy.ndarray) else result


def _in_place(fn: Any) -> Function | None:
    """With `out` set to the last input, for functions that have such an argument."""
    if not isinstance(fn, needed("cupy", "cuda13").ufunc) and not takes(fn, "out"):
        return None
    return lambda *arrays: fn(*arrays, out=arrays[-1])


ADAPTER = Adapter(
    name="cupy",
    packages=("cupy-cuda12x", "cupy-cuda13x"),
    roots=("cupy", "cupyx"),
    layouts=LAYOUTS - {"unaligned"},
    given=_given,
    taken=_taken,
    in_place=_in_place,
)
