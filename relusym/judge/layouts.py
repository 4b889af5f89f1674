"""A kernel as a call: one element, one result, whatever surrounds it in memory, and inputs left as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.floats import Array
from relusym.judge.adapters.adapter import LAYOUTS, LONGEST_TAIL
from relusym.judge.laws import CallFailed, Subject, canonical_bits, kind_of_result
from relusym.judge.reports import Finding, hex_of

Bools = npt.NDArray[np.bool_]

Wrong = Callable[[int, Array, Array, "Array | None"], Bools]
"""(output, its results, inputs, gradients) -> which results break a law; all have one dimension."""

LONG = (128, 256, 521, 1024, 4099, 70_001)
"""Lengths beyond those of tails: whole blocks, and no multiples of a vector, a block, or of what one thread takes."""

ROWS = ((5, 1031), (1031, 5))
"""Rows longer than a block, and more of them than one, for kernels that go row by row."""

IN_PLACE = "x, written in place"


@dataclass(frozen=True)
class Ways:
    """Which calls are compared: the layouts a framework has, lengths, and the variant that writes into its last input.

    With `strict` every bit must agree. Otherwise two results for one element may differ where both are right, or both
    are wrong.
    """

    layouts: frozenset[str] = LAYOUTS
    lengths: Sequence[int] = tuple(range(LONGEST_TAIL + 1))
    in_place: Callable[..., Any] | None = None
    strict: bool = True


@dataclass(frozen=True)
class Compared:
    """What came out: findings, and in which layouts how many results have other bits without being wrong."""

    findings: tuple[Finding, ...] = ()
    differing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A way in which an array lies in memory; `index` says which of the plain elements it holds, in its shape."""

    name: str
    lay: Callable[[Array], Array]
    index: Any
    several: str = ""
    lay_gradient: Callable[[Array], Array] | None = None

    def __call__(self, x: Array, gradient: Array | None) -> tuple[Array, Array | None]:
        """Inputs and gradients, laid out."""
        return self.lay(x), None if gradient is None else (self.lay_gradient or self.lay)(gradient)

    @property
    def family(self) -> str:
        """What it has in common with others of its kind, in words."""
        return self.several or self.name


def compare_layouts(subject: Subject, x: Array, gradient: Array | None, ways: Ways, wrong: Wrong) -> Compared:
    """Results for one element in every layout beside those in a plain array.

    `x` (a hundred inputs or more) is tried strided, reversed, unaligned, in two and three dimensions, in Fortran
    order, as 0-d arrays, at many lengths, in place, and once more.
    """
    inputs = (x.copy(), None if gradient is None else gradient.copy())
    try:
        first = kind_of_result(subject, *inputs)
        plain = tuple(np.array(result) for result in first)
        if _contents(inputs) != _contents((x, gradient)):
            return Compared((_changed("x"),))
        kind_of_result(subject, *((x[::-1].copy(), None if gradient is None else gradient[::-1].copy())))
        if any(
            canonical_bits(now).tobytes() != canonical_bits(then).tobytes()
            for now, then in zip(first, plain, strict=True)
        ):
            return Compared(
                (Finding("result-changed", "", "", "", 0.0, "a second call changes the result of the first"),)
            )
    except CallFailed as failure:
        return Compared((failure.finding,))
    broken = tuple(wrong(output, result, x, gradient) for output, result in enumerate(plain))
    written = None if ways.in_place is None else replace(subject, fn=ways.in_place)
    differing: dict[str, int] = {}
    for layout in layouts_of(x.size, ways):
        called = written if layout.name == IN_PLACE else subject
        if called is None or (layout.lay_gradient is not None and gradient is None):
            continue
        inputs = layout(x, gradient)
        before = _contents(inputs)
        try:
            results = kind_of_result(called, *inputs)
        except CallFailed as failure:
            return Compared((_renamed(failure.finding, layout.name),))
        if called is subject and before != _contents(inputs):
            return Compared((_changed(layout.name),))
        at = np.ravel(layout.index)
        laid = (x[at], None if gradient is None else gradient[at])
        for output, (result, whole) in enumerate(zip(results, plain, strict=True)):
            here, there = np.ravel(np.asarray(result)), whole[at]
            other = canonical_bits(here) != canonical_bits(there)
            if not np.any(other):
                continue
            judged = other if ways.strict else other & (wrong(output, here, *laid) != broken[output][at])
            if np.any(judged):
                first = np.flatnonzero(judged)[0]
                values = (laid[0][first], here[first], there[first])
                return Compared((_difference(layout.name, *values, int(np.count_nonzero(judged))),))
            differing[layout.family] = differing.get(layout.family, 0) + int(np.count_nonzero(other))
    return Compared(differing=tuple(f"{family} ({count} elements)" for family, count in differing.items()))


def _contents(arrays: tuple[Array, Array | None]) -> list[bytes]:
    return [array.tobytes() for array in arrays if array is not None]


def layouts_of(size: int, ways: Ways) -> Iterator[Layout]:
    """Those that need nothing special first: where one of them fails, the reason is not memory."""
    index = np.arange(size)
    rows = size // 12 * 12
    grid, block = index[:rows].reshape(-1, 12), index[:rows].reshape(-1, 3, 4)
    yield Layout("x, in another call", np.copy, index)
    yield Layout("x[::-1].copy()", lambda a: a[::-1].copy(), index[::-1])
    for length in ways.lengths:
        if length <= size:
            yield Layout(f"x[:{length}]", partial(_first, count=length), index[:length], "the first n elements of x")
    for length in LONG:
        place = np.resize(index, length)
        yield Layout(f"np.resize(x, {length})", partial(np.take, indices=place), place)
    for shape in ROWS:
        place = np.resize(index, shape)
        yield Layout(f"np.resize(x, {shape})", partial(np.take, indices=place), place)
    for position in range(0, size, max(size // 8, 1)):
        lay = partial(_alone, at=position)
        yield Layout(f"x[{position}].reshape(())", lay, index[position], "arrays of no dimension")
    yield Layout("x.reshape(-1, 12)", lambda a: a[:rows].reshape(-1, 12), grid)
    yield Layout("x.reshape(-1, 3, 4)", lambda a: a[:rows].reshape(-1, 3, 4), block)
    yield Layout(IN_PLACE, lambda a: a.copy(), index)
    if "strided" in ways.layouts:
        yield Layout("x beside a gradient with gaps", np.copy, index, lay_gradient=_with_gaps)
        yield Layout("x with gaps beside a contiguous gradient", _with_gaps, index, lay_gradient=np.copy)
        for position in range(0, size, max(size // 8, 1)):
            lay = partial(_expanded, at=position)
            yield Layout(f"x[{position}], expanded", lay, np.full(LONGEST_TAIL, position), "expanded elements")
        yield Layout("x[1:]", lambda a: a[1:], index[1:])
        yield Layout("x[::2]", lambda a: a[::2], index[::2])
        yield Layout("x.reshape(-1, 12).T", lambda a: a[:rows].reshape(-1, 12).T, grid.T)
        yield Layout(
            "np.asfortranarray(x.reshape(-1, 12))", lambda a: np.asfortranarray(a[:rows].reshape(-1, 12)), grid
        )
        yield Layout("x.reshape(-1, 12)[1:, 3:8]", lambda a: a[:rows].reshape(-1, 12)[1:, 3:8], grid[1:, 3:8])
        yield Layout(
            "x.reshape(-1, 3, 4).swapaxes(0, 2)",
            lambda a: a[:rows].reshape(-1, 3, 4).swapaxes(0, 2),
            block.swapaxes(0, 2),
        )
    if "reversed" in ways.layouts:
        yield Layout("x[::-1]", lambda a: a[::-1], index[::-1])
        yield Layout("x[::-3]", lambda a: a[::-3], index[::-3])
    if "unaligned" in ways.layouts:
        yield Layout("an unaligned copy of x", _unaligned, index)


def _first(values: Array, count: int) -> Array:
    return values[:count].copy()


def _alone(values: Array, at: int) -> Array:
    # By a slice: values[at] is a NumPy scalar, which is no array.
    single: Array = values[at : at + 1].reshape(()).copy()
    return single


def _expanded(values: Array, at: int) -> Array:
    """With a stride of 0, as gradients of sums are."""
    return np.broadcast_to(values[at : at + 1], (LONGEST_TAIL,))


def _with_gaps(values: Array) -> Array:
    return np.repeat(values, 2)[::2]


def _unaligned(values: Array) -> Array:
    buffer = np.zeros(values.nbytes + 1, dtype=np.uint8)
    shifted = buffer[1:].view(values.dtype)
    shifted[:] = values
    return shifted


def _difference(layout: str, x: Any, got: Any, whole: Any, count: int) -> Finding:
    at, here, there = hex_of(x), hex_of(got), hex_of(whole)
    return Finding(
        kind="layout",
        input=at,
        got=here,
        expected=there,
        ulps=0.0,
        message=f"the element {at} gives {here} in {layout}, but {there} in x",
        count=count,
    )


def _changed(layout: str) -> Finding:
    return Finding("input-changed", "", "", "", 0.0, f"fn({layout}) changes its input")


def _renamed(finding: Finding, layout: str) -> Finding:
    kind = "layout" if finding.kind == "exception" else finding.kind
    return Finding(kind, "", finding.got, finding.expected, finding.ulps, f"fn({layout}): {finding.message}")
