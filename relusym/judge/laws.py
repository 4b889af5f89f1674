"""What every kernel must obey: at each input against the reference, and as a call whatever the layout."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.floats import Array, Format, format_of, from_bits, to_bits, ulp
from relusym.judge.addends import parted
from relusym.judge.metrics import Bound, error_in_ulps, exact_value
from relusym.judge.reports import Finding, hex_of
from relusym.rounding import Reference

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LONGEST_TAIL = 67
"""Lengths 0 to this are tried one by one: whatever the vector width, body and tail both occur."""


class CallFailed(Exception):
    """The kernel raised, or returned something that is not an array of the promised kind."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True)
class Subject:
    """The callable under judgement: fn(x), or fn(grad, x), returning one array or several.

    With an `addend` it takes one more array, and `x` is the sum aimed at, which is parted: a bias has one dimension,
    so the others get it as one row.
    """

    fn: Callable[..., Any]
    takes_gradient: bool
    outputs: int
    addend: str = ""

    def __call__(self, x: Array, gradient: Array | None = None) -> tuple[Any, ...]:
        """Its results, quietly; `CallFailed` where it raises or returns another number of results."""
        operands = (gradient, x) if self.takes_gradient else (x,)
        if self.addend:
            operands = (*operands[:-1], *parted(x))
        arguments = [array.reshape(-1) if self.addend == "bias" else array for array in operands if array is not None]
        before = [array.tobytes() for array in arguments]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                result = self.fn(*arguments)
        except Exception as error:
            raise CallFailed(
                _finding(
                    "exception",
                    f"{type(error).__name__}: {error} (x: {x.dtype}, shape {x.shape}, strides {x.strides})",
                )
            ) from error
        results = result if self.outputs > 1 else (result,)
        if not isinstance(results, tuple | list) or len(results) != self.outputs:
            raise CallFailed(_finding("shape", f"returned {type(result).__name__}, not {self.outputs} arrays"))
        if self.addend and before != [array.tobytes() for array in arguments]:
            raise CallFailed(_finding("input-changed", "fn changes its input"))
        return tuple(result.reshape(x.shape) for result in results) if self.addend == "bias" else tuple(results)


@dataclass(frozen=True)
class Standard:
    """What the results at some inputs are held to.

    `known` says where the expectation is settled, and `trusted` where accuracy is asked for; elsewhere a
    finite input must not give NaN, nor infinity for a finite value. `allowed` counts ulps of the expected
    value; by `excused` ulps a result may lie beyond zero, for conditioning explains a change of sign.
    """

    reference: Reference
    known: Bools
    trusted: Bools
    at_breakpoint: Bools
    allowed: Floats
    excused: Floats


def standard(
    reference: Reference,
    bound: Bound,
    *,
    known: Bools,
    trusted: Bools,
    at_breakpoint: Bools,
    gradient: Array | None,
) -> Standard:
    """The bound at each input.

    With a gradient it is that of the derivative, times the gradient: where the derivative lies below the
    normal range its ulp no longer shrinks, and a large gradient shows that.
    """
    condition = reference.condition
    allowed, excused = bound.allowed(condition), bound.per_condition * condition
    if gradient is not None:
        form = format_of(reference.value.dtype)
        with np.errstate(all="ignore"):
            times = np.abs(gradient.astype(np.float64))
            product = np.maximum(np.abs(reference.value.astype(np.float64)), form.smallest_subnormal)
            below = product < form.smallest_normal * times
            # The condition of the product, taken with the floor of the derivative instead of its own.
            inner = condition * (np.maximum(product, form.smallest_normal) / (form.smallest_normal * times))
            spacing = form.smallest_subnormal * times / ulp(reference.value)
            floor = np.where(below & np.isfinite(spacing), bound.allowed(inner) * spacing, 0.0)
        allowed, excused = allowed + floor, excused + floor
    return Standard(reference, known, trusted, at_breakpoint, allowed, excused)


def pointwise(x: Array, got: Array, held_to: Standard) -> tuple[dict[str, Bools], Floats, Floats]:
    """Which inputs break which law (each input at most one), the errors in ulps, and error/allowed.

    NaN inputs are always judged. Where the expectation is not settled or not trusted, errors count as 0.
    """
    value, offset = held_to.reference.value, held_to.reference.offset
    known, allowed = held_to.known, held_to.allowed
    with np.errstate(all="ignore"):
        numbers: Floats = x.astype(np.float64)
        wanted: Floats = value.astype(np.float64)
        results: Floats = got.astype(np.float64)
        error = error_in_ulps(got, value, offset)
        exact = exact_value(value, offset)
        missing = np.isnan(numbers)
        infinite = np.isinf(numbers)
        finite = ~missing & ~infinite & known & ~np.isnan(wanted)
        trusted = finite & held_to.trusted
        wrong = error > allowed
        # A result on the wrong side of zero is excused only where conditioning explains a change of sign.
        crossing = np.abs(wanted / ulp(value) + offset)
        excused = crossing <= held_to.excused
        tiny = (np.abs(wanted) < format_of(value.dtype).smallest_normal) | (
            np.abs(numbers) < format_of(value.dtype).smallest_normal
        )
        broken = {
            "nan-swallowed": missing & ~np.isnan(results),
            "limit": infinite & known & (wrong | (np.isinf(wanted) & (results != wanted))),
            "nan": finite & np.isnan(results),
            "kink": trusted & held_to.at_breakpoint & wrong,
            "overflow": finite & np.isinf(results) & np.isfinite(wanted) & wrong,
            "subnormal": trusted & wrong & (results == 0) & (wanted != 0) & tiny,
            "sign": trusted & (results * np.sign(exact) < 0) & ~excused,
            "accuracy": trusted & wrong,
        }
    taken = np.zeros(x.shape, dtype=bool)
    for kind, mask in broken.items():
        broken[kind] = mask & ~taken
        taken |= mask
    judged = trusted | (infinite & known)
    with np.errstate(all="ignore"):
        ratio = np.where(judged & (error > 0), error / allowed, 0.0)
    return broken, np.where(judged, error, 0.0), ratio


def kind_of_result(subject: Subject, x: Array, gradient: Array | None) -> tuple[Array, ...]:
    """The results for a plain contiguous array; raises `CallFailed` for another dtype or shape."""
    results = subject(x, gradient)
    for result in results:
        if not isinstance(result, np.ndarray | np.generic):
            raise CallFailed(_finding("dtype", f"returned {type(result).__name__}, not a NumPy array"))
        if result.dtype != x.dtype:
            raise CallFailed(_finding("dtype", f"{x.dtype} in, {result.dtype} out", str(result.dtype), str(x.dtype)))
        if result.shape != x.shape:
            raise CallFailed(
                _finding("shape", f"shape {x.shape} in, {result.shape} out", str(result.shape), str(x.shape))
            )
    return results


def layout_findings(subject: Subject, x: Array, gradient: Array | None) -> list[Finding]:
    """Bit-identical results for one element whatever surrounds it, and inputs left as they were.

    `x` (a hundred inputs or more) is tried strided, reversed, unaligned, in two and three dimensions, in
    Fortran order, as 0-d arrays, and at every length up to `LONGEST_TAIL`.
    """
    inputs = (x.copy(), None if gradient is None else gradient.copy())
    try:
        plain = tuple(np.array(result) for result in kind_of_result(subject, *inputs))
    except CallFailed as failure:
        return [failure.finding]
    if _contents(inputs) != _contents((x, gradient)):
        return [_finding("input-changed", "fn(x) changes its input")]
    for name, layout, index in _layouts(x.size):
        inputs = (layout(x), None if gradient is None else layout(gradient))
        before = _contents(inputs)
        try:
            results = kind_of_result(subject, *inputs)
        except CallFailed as failure:
            return [_renamed(failure.finding, name)]
        if before != _contents(inputs):
            return [_finding("input-changed", f"fn({name}) changes its input")]
        for result, whole in zip(results, plain, strict=True):
            found = _first_difference(np.asarray(result), whole, x, index, name)
            if found is not None:
                return [found]
    return []


def _contents(arrays: tuple[Array, Array | None]) -> list[bytes]:
    return [array.tobytes() for array in arrays if array is not None]


def canonical_bits(values: Array) -> Array:
    """Bit patterns in which all NaNs are one."""
    bits = to_bits(values)
    return np.where(np.isnan(values), to_bits(np.array([np.nan], dtype=values.dtype)), bits)


def simplicity(x: Array) -> Array:
    """Sort keys: the fewer significant bits and the smaller the exponent, the simpler an input."""
    form = format_of(x.dtype)
    with np.errstate(all="ignore"):
        mantissa, exponent = np.frexp(np.abs(x.astype(np.float64)))
    scaled = np.where(np.isfinite(mantissa), np.ldexp(mantissa, form.precision), 0).astype(np.int64)
    trailing = np.where(scaled == 0, form.precision, _trailing_zeros(np.maximum(scaled, 1)))
    significant = form.precision - trailing
    keys: npt.NDArray[np.int64] = significant * 4096 + np.minimum(np.abs(exponent), 1100) * 2 + np.signbit(x)
    return keys


def simpler(x: float, form: Format) -> Array:
    """Inputs simpler than this one, to be tried in its place: fewer significant bits, and small integers."""
    mantissa, exponent = math.frexp(x)
    sign = math.copysign(1.0, x)
    candidates = [
        math.ldexp(math.trunc(math.ldexp(mantissa, keep)), exponent - keep) for keep in range(1, form.precision)
    ]
    candidates += [
        sign * math.ldexp(1.0, power)
        for power in {*range(min(exponent, 17)), *np.linspace(0, min(exponent, 1023), 65).astype(int).tolist()}
    ]
    candidates += [sign * value for value in (0.0, 3.0, 5.0, 10.0)]
    with np.errstate(all="ignore"):
        rounded = np.array([*candidates, x]).astype(form.dtype)
    return from_bits(np.unique(to_bits(rounded)), form)


def _trailing_zeros(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    lowest = values & -values
    zeros: npt.NDArray[np.int64] = np.round(np.log2(lowest.astype(np.float64))).astype(np.int64)
    return zeros


def _layouts(size: int) -> Iterator[tuple[str, Callable[[Array], Array], Any]]:
    """Name, layout, and which of the plain elements the laid out array holds (in its shape)."""
    index = np.arange(size)
    yield "x[::2]", lambda a: a[::2], index[::2]
    yield "x[1:]", lambda a: a[1:], index[1:]
    yield "x[::-1]", lambda a: a[::-1], index[::-1]
    yield "x[::-3]", lambda a: a[::-3], index[::-3]
    yield "an unaligned copy of x", _unaligned, index
    rows = size // 12 * 12
    grid = index[:rows].reshape(-1, 12)
    yield "x.reshape(-1, 12)", lambda a: a[:rows].reshape(-1, 12), grid
    yield "x.reshape(-1, 12).T", lambda a: a[:rows].reshape(-1, 12).T, grid.T
    yield "np.asfortranarray(x.reshape(-1, 12))", lambda a: np.asfortranarray(a[:rows].reshape(-1, 12)), grid
    yield "x.reshape(-1, 12)[1:, 3:8]", lambda a: a[:rows].reshape(-1, 12)[1:, 3:8], grid[1:, 3:8]
    yield (
        "x.reshape(-1, 3, 4).swapaxes(0, 2)",
        lambda a: a[:rows].reshape(-1, 3, 4).swapaxes(0, 2),
        (index[:rows].reshape(-1, 3, 4).swapaxes(0, 2)),
    )
    for length in range(min(LONGEST_TAIL, size) + 1):
        yield f"x[:{length}]", partial(_first, count=length), index[:length]
    for position in range(0, size, max(size // 8, 1)):
        yield f"x[{position}].reshape(())", partial(_alone, at=position), index[position]


def _first(values: Array, count: int) -> Array:
    return values[:count].copy()


def _alone(values: Array, at: int) -> Array:
    # By a slice: values[at] is a NumPy scalar, which is no array.
    single: Array = values[at : at + 1].reshape(()).copy()
    return single


def _unaligned(values: Array) -> Array:
    buffer = np.zeros(values.nbytes + 1, dtype=np.uint8)
    shifted = buffer[1:].view(values.dtype)
    shifted[:] = values
    return shifted


def _first_difference(result: Array, whole: Array, x: Array, index: Any, name: str) -> Finding | None:
    same = canonical_bits(result) == canonical_bits(whole[index])
    if np.all(same):
        return None
    where = np.flatnonzero(~np.ravel(same))[0]
    at = np.ravel(index)[where]
    got, expected = hex_of(np.ravel(result)[where]), hex_of(whole[at])
    return Finding(
        kind="layout",
        input=hex_of(x[at]),
        got=got,
        expected=expected,
        ulps=0.0,
        message=f"the element {hex_of(x[at])} gives {got} in {name}, but {expected} in x",
        count=int(np.count_nonzero(~same)),
    )


def _renamed(finding: Finding, layout: str) -> Finding:
    kind = "layout" if finding.kind == "exception" else finding.kind
    return Finding(kind, "", finding.got, finding.expected, finding.ulps, f"fn({layout}): {finding.message}")


def _finding(kind: str, message: str, got: str = "", expected: str = "") -> Finding:
    return Finding(kind=kind, input="", got=got, expected=expected, ulps=0.0, message=message)
