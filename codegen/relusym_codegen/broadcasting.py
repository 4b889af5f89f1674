"""Parameters beside elements: which shapes go together, and how elements are gone through to sum gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.errors import InvalidRequest


def channels(values: Any, shape: int | Sequence[int], axis: int = 1, *, name: str = "parameter") -> npt.NDArray[Any]:
    """One value for each place along `axis` of arrays of this shape, as kernels take them: shape (1, ..., n, ..., 1).

    `values` have one dimension, or are one number for all places; `shape` is that of the elements, or how many
    dimensions they have, where the count cannot be looked at. By default the axis is 1, where PyTorch and ONNX have
    their channels. Raises `InvalidRequest` for an axis that does not exist and for another count of values; `name` is
    what the messages call them.
    """
    given = np.asarray(values)
    if given.ndim > 1:
        raise InvalidRequest(f"{name} has the shape {given.shape}; give the values in one dimension, beside an axis")
    return given.reshape(beside(given.size, shape, axis, name=name))


def beside(count: int, shape: int | Sequence[int], axis: int, *, name: str) -> tuple[int, ...]:
    """The shape (1, ..., count, ..., 1) of so many values along an axis; raises what `channels` does."""
    whole = None if isinstance(shape, int) else tuple(shape)
    dimensions = shape if isinstance(shape, int) else len(shape)
    called = f"elements of {dimensions} dimensions" if whole is None else f"elements of the shape {whole}"
    if not -dimensions <= axis < dimensions:
        have = f"whose axes are 0 to {dimensions - 1}" if dimensions else "which have none"
        raise InvalidRequest(f"{name}: there is no axis {axis} in {called}, {have}; give one of them, or one number")
    if whole is not None and count not in (1, whole[axis]):
        raise InvalidRequest(
            f"{name} has {count} values, but axis {axis} of {called} has {whole[axis]} places; "
            "give one value for each of them, or one number"
        )
    return tuple(count if place == axis % dimensions else 1 for place in range(dimensions))


def refuse_misfit(name: str, own: Sequence[int], shape: Sequence[int]) -> None:
    """`ValueError` unless a parameter of the shape `own` broadcasts to elements without making them larger."""
    padded = _padded(own, shape)
    if len(padded) != len(shape) or any(size not in (1, whole) for size, whole in zip(padded, shape, strict=True)):
        raise ValueError(
            f"{name} has the shape {tuple(own)}, which does not broadcast to elements of the shape {tuple(shape)}: "
            "give a number, or one value for each place along an axis, in the shape (1, ..., n, ..., 1); "
            "relusym_codegen.channels(values, shape, axis) makes it"
        )


@dataclass(frozen=True)
class Grid:
    """Elements as outer x channels x inner, of which the parameters have one value for each channel.

    `union` is the shape of all parameters together; `order` is that of the axes in which they lie side by side.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    union: tuple[int, ...]
    sizes: tuple[int, int, int]

    @property
    def in_order(self) -> bool:
        """Whether the axes stay where they are."""
        return self.order == tuple(range(len(self.shape)))


def grid_of(shape: Sequence[int], parameters: Sequence[Sequence[int]]) -> Grid:
    """The grid for elements of this shape beside parameters of those; numbers alone make one channel."""
    shape = tuple(shape)
    padded = [_padded(own, shape) for own in parameters]
    union = tuple(0 if 0 in sizes else max(sizes) for sizes in zip(*padded, strict=True))
    varying = [axis for axis, size in enumerate(union) if size != 1]
    order = tuple(range(len(shape)))
    if not varying:
        return Grid(shape, order, union, (1, 1, math.prod(shape)))
    first, after = varying[0], varying[-1] + 1
    if any(union[axis] == 1 != shape[axis] for axis in range(first, after)):
        order = (*varying, *(axis for axis in order if axis not in varying))
        first, after = 0, len(varying)
    sizes = [shape[axis] for axis in order]
    return Grid(
        shape, order, union, (math.prod(sizes[:first]), math.prod(sizes[first:after]), math.prod(sizes[after:]))
    )


def folded(
    sums: npt.NDArray[np.float64], rests: npt.NDArray[np.float64], grid: Grid, own: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Sums for each channel, and what their roundings missed, added further to the shape of one parameter."""
    padded = _padded(own, grid.shape)
    over = [axis for axis, size in enumerate(grid.union) if padded[axis] != size]
    order = (*over, *(axis for axis in range(len(grid.shape)) if axis not in over))
    rows = math.prod(grid.union[axis] for axis in over)
    total, missed = (part.reshape(grid.union).transpose(order).reshape(rows, math.prod(own)) for part in (sums, rests))
    while len(total) > 1:
        half = (len(total) + 1) // 2
        count = len(total) - half
        one, other = total[:count], total[half:]
        added = one + other
        back = added - one
        lost = missed[:count] + missed[half:] + ((one - (added - back)) + (other - back))
        total = np.concatenate([added, total[count:half]])
        missed = np.concatenate([lost, missed[count:half]])
    whole = total + missed
    exact: npt.NDArray[np.float64] = np.where(np.isfinite(whole), whole, total).sum(axis=0).reshape(tuple(own))
    return exact


def values_of(parameters: Mapping[str, npt.NDArray[Any]], grid: Grid) -> list[npt.NDArray[Any]]:
    """Each parameter with one value for each channel, side by side in memory."""
    return [np.ascontiguousarray(np.broadcast_to(own, grid.union)).reshape(-1) for own in parameters.values()]


def _padded(own: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    return (*(1,) * (len(shape) - len(own)), *own)
