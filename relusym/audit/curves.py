"""Errors over x: the largest one in each of two hundred columns.

Along them x grows linearly near 0, and as logarithms do further away. The outermost columns hold everything beyond
`REACH`, so that no input is left out of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.activation import Activation, Number
from relusym.floats import Array, Format, all_values, neighbours, round_to, to_format
from relusym.judge.checking import DEFAULT_BOUNDS
from relusym.judge.expectations import Expectation, expectations, quantities_of
from relusym.judge.laws import CallFailed, Subject, pointwise
from relusym.judge.reports import hex_of
from relusym.judge.sweeps import Sweep

COLUMNS = 200
REACH = 1024.0
"""Inputs up to this size have columns of their own."""

LINEAR = 1 / 64
"""Up to about this size the axis is linear."""

EACH = 12
"""Points tried in one column of a format that is too large to be tried whole."""

_WIDTH = math.asinh(REACH / LINEAR)


@dataclass(frozen=True)
class Curve:
    """The largest error in each column, NaN where nothing was tried; `broken` where there is a defect.

    Errors are scaled: ulps divided by 1 + kappa, so that what conditioning explains is taken off and the same is
    allowed everywhere. `worst` is the largest finite error in ulps and `worst_input` where it was seen (a hex float),
    `scaled` the largest finite one of the others.
    """

    errors: tuple[float, ...]
    broken: tuple[bool, ...]
    worst: float
    worst_input: str
    scaled: float

    def text(self) -> str:
        """Two digits or decimals for each column, '!' behind those that are defects; '-' where nothing was tried."""
        return " ".join(
            "-" if math.isnan(error) else _short(error) + ("!" if broken else "")
            for error, broken in zip(self.errors, self.broken, strict=True)
        )


def columns(text: str) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """Errors and defects by column, of the text of a curve."""
    words = text.split()
    errors = tuple(math.nan if word == "-" else float(word.rstrip("!")) for word in words)
    return errors, tuple(word.endswith("!") for word in words)


def _short(error: float) -> str:
    mantissa, exponent, power = f"{round(error, 2) if error < 1 else error:.2g}".partition("e")
    return f"{mantissa}e{int(power)}" if exponent else mantissa


def position(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where on the axis x lies: 0 in the middle, -1 and 1 at -`REACH` and `REACH`."""
    places: npt.NDArray[np.float64] = np.arcsinh(x / LINEAR) / _WIDTH
    return places


def column_of(x: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """In which column each finite x lies."""
    inner = COLUMNS - 2
    within = np.floor((position(np.clip(x, -REACH, REACH)) + 1) / 2 * inner).astype(np.int64)
    found: npt.NDArray[np.int64] = np.clip(within, 0, inner - 1) + 1
    found[x < -REACH], found[x > REACH] = 0, COLUMNS - 1
    return found


def points(expected: Expectation, form: Format, each: int = EACH) -> Array:
    """All values of a 16-bit format; of others so many in each column, and what lies around landmarks."""
    if form.bits == 16:
        return all_values(form)  # as the judge does, so that the reference is remembered
    random = np.random.default_rng(0)
    inner = COLUMNS - 2
    places = -1 + 2 * (np.repeat(np.arange(inner), each) + random.uniform(size=inner * each)) / inner
    near = np.exp2(random.uniform(form.min_exponent, math.log2(LINEAR / 8), (2, 20 * each)))
    far = np.exp2(random.uniform(math.log2(REACH), form.max_exponent, (2, 20 * each)))
    spread = np.concatenate([LINEAR * np.sinh(places * _WIDTH), near[0], -near[1], far[0], -far[1]])
    with np.errstate(over="ignore"):
        rounded = to_format(round_to(spread, form), form)
    marks = expected.landmarks(form)
    found = np.unique(np.concatenate([rounded, neighbours(marks[np.isfinite(marks)], 2)]).astype(np.float64))
    return found[np.isfinite(found)].astype(form.dtype)


def curve(
    fn: Callable[..., Any],
    activation: Activation,
    form: Format,
    computes: str,
    parameters: dict[str, Number],
    *,
    each: int = EACH,
) -> Curve | None:
    """The errors of a function on NumPy arrays, judged as `check` does that of a framework; None where it fails.

    At kinks every value of the Clarke interval is right; subnormal numbers may be flushed.
    """
    (quantity,) = quantities_of(computes, activation)
    expected, other = expectations(activation, quantity, parameters=parameters, subgradient="any", strict=False)
    reported = quantity.policies_in(form)
    over = Sweep(Subject(fn, False, 1), 0, expected, DEFAULT_BOUNDS[computes], None, other, reported)
    x = points(expected, form, each)
    try:
        with np.errstate(all="ignore"):
            got, held_to = over.run(x, None)
            broken, error, ratio = pointwise(x, got, held_to)
            inputs = x.astype(np.float64)
    except CallFailed:
        return None
    finite = np.isfinite(inputs)
    wrong = np.zeros(x.shape, dtype=bool)
    for kind in broken.keys() - over.reported:
        wrong |= broken[kind]
    # What is allowed is a multiple of 1 + kappa.
    scaled = np.where(broken["nan"], np.inf, ratio * DEFAULT_BOUNDS[computes].constant)[finite]
    column = column_of(inputs[finite])
    errors = np.full(COLUMNS, -np.inf)
    np.maximum.at(errors, column, scaled)
    defects = np.zeros(COLUMNS, dtype=bool)
    np.logical_or.at(defects, column, wrong[finite])
    ulps = np.where(finite & np.isfinite(error), error, 0.0)
    worst = int(np.argmax(ulps))
    return Curve(
        errors=tuple(math.nan if one == -np.inf else float(one) for one in errors),
        broken=tuple(map(bool, defects)),
        worst=float(ulps[worst]),
        worst_input=hex_of(inputs[worst]),
        scaled=float(np.max(scaled[np.isfinite(scaled)], initial=0.0)),
    )
