"""What a defect looks like: of which class the wrong results are, and over which inputs they extend.

Everything is read off the results; nothing is known here of any framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relusym.floats import Array, format_of
from relusym.judge.reports import hex_of

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

CLASSES: Mapping[str, str] = {
    "lost-tail": "zero is returned where the value is an ordinary number",
    "cut-off": "beyond a threshold something simpler is returned",
    "constant": "the same number is returned everywhere",
    "cancellation": "the absolute error does not shrink with the value: digits are lost by a subtraction",
    "inaccurate": "the error is larger than conditioning explains",
    "wrong-sign": "the result has the other sign",
    "wrong-limit": "the value at an infinity is wrong",
    "nan": "NaN is returned for a number",
    "nan-swallowed": "a number is returned for NaN",
    "overflow": "infinity is returned for a finite value",
    "flush": "subnormal numbers are taken for zero, or lose digits",
    "kink": "the derivative chosen at a kink is not the one asked for",
    "wrong-sum": "the sum over rows is not that of the rows",
    "range": "the result lies outside all values of the function",
    "layout": "the result depends on where the element lies",
    "interface": "the call does not keep its promise",
}
"""The classes of defects, in words."""

_OF_KIND = {
    "sign": "wrong-sign",
    "limit": "wrong-limit",
    "nan": "nan",
    "nan-swallowed": "nan-swallowed",
    "overflow": "overflow",
    "subnormal": "flush",
    "kink": "kink",
    "range": "range",
    "layout": "layout",
}


@dataclass(frozen=True)
class Diagnosis:
    """A class of `CLASSES`, the inputs over which it extends, and what is returned there, in words."""

    defect: str
    where: str = ""
    detail: str = ""


def diagnosed(kind: str, x: Array, got: Array, value: Array, failing: Bools) -> Diagnosis:
    """The class of the results at the failing inputs, of all that were swept."""
    if kind != "accuracy":
        return Diagnosis(_OF_KIND.get(kind, "interface"), _extent(x[failing]))
    form = format_of(x.dtype)
    with np.errstate(all="ignore"):
        inputs, results, wanted = (part.astype(np.float64) for part in (x, got, value))
    at, found, exact = inputs[failing], results[failing], wanted[failing]
    finite = np.isfinite(inputs)
    if np.all(results[finite] == results[finite][0]):
        return Diagnosis("constant", _extent(x[failing]), f"returns {hex_of(results[finite][0])} everywhere")
    zero = (found == 0) & (np.abs(exact) >= form.smallest_normal)
    if np.any(zero):
        # next to zero the value is small because x is: there it is not a tail that is lost
        near = np.min(np.abs(at[zero])) <= 4 * form.smallest_normal
        return Diagnosis("cancellation" if near else "lost-tail", _extent(x[failing][zero]), "returns zero")
    itself = found == at
    if 2 * np.count_nonzero(itself) >= at.size:
        return Diagnosis("cut-off", _extent(x[failing][itself]), "returns x itself")
    values, counts = np.unique(found, return_counts=True)
    if at.size >= 8 and 2 * np.max(counts) >= at.size:
        common = values[np.argmax(counts)]
        return Diagnosis("cut-off", _extent(x[failing][found == common]), f"returns {hex_of(common)}")
    with np.errstate(all="ignore"):
        absolute = np.abs(found - exact)
    # As large as a few roundings of numbers of the size of 1, whatever the size of the value.
    if at.size >= 8 and np.max(absolute) <= 4 * form.epsilon and np.median(np.abs(exact)) < 1 / 16:
        size = hex_of(np.max(absolute))
        return Diagnosis("cancellation", _extent(x[failing]), f"is off by up to {size} whatever the size of the value")
    return Diagnosis("inaccurate", _extent(x[failing]))


def _extent(inputs: Array) -> str:
    """From the least to the greatest, in words; of each sign by itself."""
    finite = inputs[np.isfinite(inputs)].astype(np.float64)
    sides = [side for side in (finite[finite < 0], finite[finite >= 0]) if side.size]
    ends = [(float(np.min(side)), float(np.max(side))) for side in sides]
    if not ends:
        return ""
    words = [f"at {low:.6g}" if low == high else f"from {low:.6g} to {high:.6g}" for low, high in ends]
    return "x " + " and ".join(words)
