"""One array in place of several: equal parts side by side along an axis, as linear layers make them."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from relusym.errors import InvalidRequest


def parts(array: Any, count: int, axis: int = -1) -> tuple[Any, ...]:
    """So many equal parts of an array along an axis, as views: nothing is copied, and kernels can write into them.

    `array` is of NumPy, CuPy or PyTorch. Two parts are what a gated unit takes from one array (..., 2 d), and where
    CReLU writes; k parts are a Maxout's inputs. Raises `InvalidRequest` for an axis that the array lacks, and for one
    that has no such parts.
    """
    shape = tuple(array.shape)
    for name, number in (("count", count), ("axis", axis)):
        if not isinstance(number, Integral):
            raise InvalidRequest(f"parts: {name} = {number!r}; give an integer")
    if count < 2:
        raise InvalidRequest(f"parts: count = {count}; an array is cut in two parts or more")
    if not -len(shape) <= axis < len(shape):
        raise InvalidRequest(f"parts: there is no axis {axis} in an array of the shape {shape}")
    places = shape[axis]
    if places % count:
        raise InvalidRequest(
            f"parts: axis {axis} of an array of the shape {shape} has {places} places, which do not make {count} equal "
            "parts"
        )
    size = places // count
    before = (slice(None),) * (axis % len(shape))
    return tuple(array[(*before, slice(size * number, size * (number + 1)))] for number in range(count))
