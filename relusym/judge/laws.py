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
from relusym.judge.metrics import Bound, error_in_ulps, exact_value
from relusym.judge.reports import Finding, hex_of
from relusym.rounding import Reference

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LONGEST_TAIL = 67
"""Lengths 0 to this are tried one by one: whatever the vector width, body and tail both occur."""


class CallFailed(Exception):  # noqa: N818 - carries a finding to the front door
    """The kernel raised, or returned something that is not an array of the promised kind."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True)
class Subject:
    """The callable under judgement: fn(x), or fn(grad, x), returning one array or several."""

    fn: Callable[..., Any]
    takes_gradient: bool
    outputs: int

    def __call__(self, x: Array, gradient: Array | None = None) -> tuple[Any, ...]:
        """Its results, quietly; `CallFailed` where it raises or returns another number of results."""
        arguments = (gradient, x) if self.takes_gradient else (x,)
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
            raise CallFailed(
                _finding("shape", f"returned {type(result).__name__}, not {self.outputs} arrays")
            )
        return tuple(results)


def pointwise(
    x: Array,
    got: Array,
    expected: Reference,
    known: Bools,
    at_breakpoint: Bools,
    bound: Bound,
    gradient: Array | None = None,
) -> tuple[dict[str, Bools], Floats, Floats]:
    """Which inputs break which law (each input at most one), the errors in ulps, and error/allowed.

    `known` says where the expectation is settled; NaN inputs are always judged. Errors count at the others as
    0.
    """
    value, offset = expected.value, expected.offset
    with np.errstate(all="ignore"):
        numbers: Floats = x.astype(np.float64)
        wanted: Floats = value.astype(np.float64)
        results: Floats = got.astype(np.float64)
        error = error_in_ulps(got, value, offset)
        allowed = bound.allowed(expected.condition)
        exact = exact_value(value, offset)
        if gradient is not None:
            allowed = allowed + _from_underflow(exact, gradient, value, bound)
        missing = np.isnan(numbers)
        infinite = np.isinf(numbers)
        finite = ~missing & ~infinite & known & ~np.isnan(wanted)
        wrong = error > allowed
        # A result on the wrong side of zero is excused only where conditioning explains a change of sign.
        crossing = np.abs(wanted / ulp(value) + offset)
        excused = crossing <= bound.per_condition * expected.condition
        tiny = (np.abs(wanted) < format_of(value.dtype).smallest_normal) | (
            np.abs(numbers) < format_of(value.dtype).smallest_normal
        )
        broken = {
            "nan-swallowed": missing & ~np.isnan(results),
            "limit": infinite & known & (wrong | (np.isinf(wanted) & (results != wanted))),
            "kink": finite & at_breakpoint & wrong,
            "nan": finite & np.isnan(results),
            "overflow": finite & np.isinf(results) & np.isfinite(wanted) & wrong,
            "subnormal": finite & wrong & (results == 0) & (wanted != 0) & tiny,
            "sign": finite & (results * np.sign(exact) < 0) & ~excused,
            "accuracy": finite & wrong,
        }
    taken = np.zeros(x.shape, dtype=bool)
    for kind, mask in broken.items():
        broken[kind] = mask & ~taken
        taken |= mask
    judged = finite | (infinite & known)
    with np.errstate(all="ignore"):
        ratio = np.where(judged & (error > 0), error / allowed, 0.0)
    return broken, np.where(judged, error, 0.0), ratio


def _from_underflow(exact: Floats, gradient: Array, value: Array, bound: Bound) -> Floats:
    """What gradient * f' may lose more where f' alone lies below the normal range: its ulp stops shrinking there."""
    form = format_of(value.dtype)
    size = np.abs(gradient.astype(np.float64))
    carried = bound.constant * size * form.smallest_subnormal / ulp(value)
    return np.where(np.abs(exact) < size * form.smallest_normal, carried, 0.0)


def kind_of_result(subject: Subject, x: Array, gradient: Array | None) -> tuple[Array, ...]:
    """The results for a plain contiguous array; raises `CallFailed` for another dtype or shape."""
    results = subject(x, gradient)
    for result in results:
        if not isinstance(result, np.ndarray | np.generic):
            raise CallFailed(_finding("dtype", f"returned {type(result).__name__}, not a NumPy array"))
        if result.dtype != x.dtype:
            raise CallFailed(
                _finding("dtype", f"{x.dtype} in, {result.dtype} out", str(result.dtype), str(x.dtype))
            )
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
    try:
        plain = kind_of_result(subject, x, gradient)
    except CallFailed as failure:
        return [failure.finding]
    for name, layout, index in _layouts(x.size):
        arguments = [layout(x), None if gradient is None else layout(gradient)]
        before = [None if array is None else array.tobytes() for array in arguments]
        assert arguments[0] is not None
        try:
            results = kind_of_result(subject, arguments[0], arguments[1])
        except CallFailed as failure:
            return [_renamed(failure.finding, name)]
        if before != [None if array is None else array.tobytes() for array in arguments]:
            return [_finding("input-changed", f"fn({name}) changes its input")]
        for result, whole in zip(results, plain, strict=True):
            found = _first_difference(np.asarray(result), whole, x, index, name)
            if found is not None:
                return [found]
    return []


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
        math.ldexp(math.trunc(math.ldexp(mantissa, keep)), exponent - keep)
        for keep in range(1, form.precision)
    ]
    candidates += [
        sign * math.ldexp(1.0, power)
        for power in np.unique(np.linspace(0, min(exponent, 1023), 65).astype(int)).tolist()
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
    single: Array = values[at].reshape(()).copy()
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
