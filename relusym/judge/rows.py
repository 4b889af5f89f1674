"""Kernels with a bias, called with several rows: each element as if its row were alone, and sums over all rows.

Elsewhere such a kernel is given one row, where a sum over rows has one term. Here some columns have a gradient in one
row alone, the others zeros: their sum is exact in any order and any format, so that a row that is left out or taken
twice shows, whatever a sum of many terms may lose. The other columns have a gradient in every row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relusym.floats import Array, Format, round_to, to_format, ulp
from relusym.judge.laws import CallFailed, Standard, pointwise
from relusym.judge.reports import Finding, hex_of
from relusym.judge.sweeps import Sweep

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SHAPES = ((2, 5), (3, 64), (2, 3, 9), (67, 67), (1027, 64))
"""Few rows and many, none of the latter a multiple of what one thread, tile or block adds up."""

FULL = 4
"""Columns with a gradient in every row."""


@dataclass(frozen=True)
class _Rows:
    """One call: x and the gradient with a row for each channel-wise vector, the bias, and which elements are judged."""

    shape: tuple[int, ...]
    x: Array
    bias: Array
    gradient: Array | None
    judged: Bools


def in_rows(over: Sweep, form: Format, *, seed: int) -> Iterator[Finding]:
    """What is wrong with several rows: results that depend on the others, of kind layout, and wrong sums.

    `over` is the first result of the kernel. Raises `CallFailed` where a call fails or gives other dtypes or shapes.
    """
    for shape in SHAPES:
        call = _call(over, shape, form, seed)
        arrays = [array.reshape(shape) for array in (call.gradient, call.x) if array is not None]
        results = over.subject.called(*arrays, call.bias)
        wanted = [shape, call.bias.shape][: over.subject.outputs]
        for result, expected in zip(results, wanted, strict=True):
            if not isinstance(result, np.ndarray) or (result.dtype, result.shape) != (form.dtype, expected):
                told = (
                    f"{form.name} {shape} in, {getattr(result, 'dtype', type(result).__name__)} {np.shape(result)} out"
                )
                raise CallFailed(Finding("shape", "", str(np.shape(result)), str(expected), 0.0, told))
        bias = np.broadcast_to(call.bias, call.x.shape)[call.judged]
        weight = None if call.gradient is None else call.gradient[call.judged]
        held_to = over.standard(call.x[call.judged], weight, bias)
        got = results[0].reshape(call.x.shape)
        found = [*_elements(over, call, got, held_to)]
        if len(results) > 1:
            found += _sums(over, call, results[1], held_to, form)
        if found:
            yield from found
            return


def _call(over: Sweep, shape: tuple[int, ...], form: Format, seed: int) -> _Rows:
    """Numbers of ordinary size, no kink among the sums; one bias for all rows."""
    random = np.random.default_rng((seed, *shape))
    columns = shape[-1]
    rows = math.prod(shape[:-1])
    bias = _rounded(random.normal(size=columns), form)
    x = _rounded(2 * random.standard_normal((rows, columns)), form)
    place = np.arange(columns)
    # The last rows, which a partial tile holds, and others in between.
    alone = np.where(place % 2, rows - 1 - place // 2, place * rows // columns) % rows
    judged = (place < FULL) | (np.arange(rows)[:, None] == alone)
    sums = over.expected.points(x, np.broadcast_to(bias, x.shape))
    judged &= ~over.expected.at_breakpoint(x, np.broadcast_to(bias, x.shape))
    judged &= np.abs(sums.astype(np.float64)) <= (np.inf if over.within is None else over.within)
    if not over.subject.takes_gradient:
        return _Rows(shape, x, bias, None, judged)
    weight = _rounded(random.choice([-1.0, 1.0], x.shape) * random.uniform(0.5, 2, x.shape), form)
    return _Rows(shape, x, bias, np.where(judged, weight, np.zeros_like(weight)), judged)


def _rounded(values: Floats, form: Format) -> Array:
    return to_format(round_to(values, form), form)


def _elements(over: Sweep, call: _Rows, got: Array, held_to: Standard) -> Iterator[Finding]:
    """Elements that break a law in their row."""
    sums = over.expected.points(call.x, np.broadcast_to(call.bias, call.x.shape))[call.judged]
    broken, _, _ = pointwise(sums, got[call.judged], held_to)
    wrong = np.zeros(sums.shape, dtype=bool)
    for kind in broken.keys() - over.reported:
        wrong |= broken[kind]
    if np.any(wrong):
        first = int(np.flatnonzero(wrong)[0])
        row, column = (int(index[first]) for index in np.nonzero(call.judged))
        here, there = hex_of(got[row, column]), hex_of(held_to.reference.value[first])
        told = f"in an array of shape {call.shape} row {row} has {here} in column {column}, where {there} is right"
        yield Finding("layout", "", here, there, 0.0, told, count=int(np.count_nonzero(wrong)), defect="layout")
    elif call.gradient is not None and np.any(got[~call.judged] != 0):
        told = f"in an array of shape {call.shape} the gradient of some element is not 0 where the incoming one is"
        yield Finding("layout", "", "", hex_of(0.0), 0.0, told, defect="layout")


def _sums(over: Sweep, call: _Rows, got: Array, held_to: Standard, form: Format) -> Iterator[Finding]:
    """Sums over rows that are further off than the terms may be and the additions can add.

    Each term may be wrong by what is allowed for it. Adding n of them, in any order and in their own format, is off by
    at most (n - 1) u times the sum of their sizes, u being half the distance from 1 to the next float (Higham, Accuracy
    and Stability of Numerical Algorithms, section 4.2), and half an ulp more when the result is rounded.
    """
    value: Floats = held_to.reference.value.astype(np.float64)
    spacing = ulp(held_to.reference.value)
    rest = held_to.reference.offset * spacing
    _, column = np.nonzero(call.judged)
    floor = form.smallest_normal if "subnormal" in over.reported else 0.0
    wrong: list[tuple[int, float, float]] = []
    for place in range(call.bias.size):
        here = column == place
        terms = int(np.count_nonzero(here))
        exact = math.fsum([*value[here], *rest[here]])
        size = math.fsum(np.abs(value[here]))
        slack = math.fsum(held_to.allowed[here] * spacing[here]) + max(terms - 1, 0) * form.epsilon / 2 * size
        slack += float(ulp(to_format(round_to(np.array([exact]), form), form))[0]) / 2 + terms * floor
        if not abs(float(got[place]) - exact) <= slack:
            wrong.append((place, exact, slack))
    if wrong:
        place, exact, slack = wrong[0]
        terms = int(np.count_nonzero(column == place))
        rows = np.nonzero(call.judged[:, place])[0]
        where = f"row {rows[0]} alone" if terms == 1 else f"{terms} rows"
        here, there = hex_of(got[place]), hex_of(exact)
        told = (
            f"wrong sum over {call.judged.shape[0]} rows, x being of shape {call.shape}: column {place} has a gradient "
            f"in {where}, and gives {here}, not {there} ({float(got[place]):.6g}, not {exact:.6g} within {slack:.2g})"
        )
        yield Finding("accuracy", "", here, there, 0.0, told, count=len(wrong), defect="wrong-sum")
