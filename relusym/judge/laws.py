"""What every kernel must obey: at each input against the reference, and as a call whatever the layout."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.errors import InvalidRequest, Missing
from relusym.floats import FORMATS, Array, Format, format_of, from_bits, to_bits, ulp
from relusym.judge.addends import parted
from relusym.judge.metrics import Bound, error_in_ulps, exact_value
from relusym.judge.reports import Finding
from relusym.rounding import Reference

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


BLURRED = 1 / 8
"""The relative error up to which a subnormal result may come from subnormal intermediates."""


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
        """Its results at these inputs, quietly; `CallFailed` where it does not keep its promise."""
        operands = (gradient, x) if self.takes_gradient else (x,)
        if self.addend:
            operands = (*operands[:-1], *parted(x))
        arguments = [array.reshape(-1) if self.addend == "bias" else array for array in operands if array is not None]
        results = self.called(*arguments)
        if self.addend != "bias":
            return results
        for result in results:
            if np.shape(result) != arguments[-1].shape:
                told = f"shape {arguments[-1].shape} in, {np.shape(result)} out"
                raise CallFailed(_finding("shape", told, str(np.shape(result)), str(arguments[-1].shape)))
        return tuple(np.asarray(result).reshape(x.shape) for result in results)

    def called(self, *arguments: Array) -> tuple[Any, ...]:
        """Its results for these arrays, passed as they are; `CallFailed` where it raises or gives too many or few."""
        before = [array.tobytes() for array in arguments]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                result = self.fn(*arguments)
        except Missing:
            raise
        except Exception as error:
            x = arguments[1 if self.takes_gradient else 0]
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
        return tuple(results)


@dataclass(frozen=True)
class Standard:
    """What the results at some inputs are held to.

    `known` says where the expectation is settled, and `trusted` where accuracy is asked for; elsewhere a
    finite input must not give NaN, nor infinity for a finite value. `allowed` counts ulps of the expected
    value; by `excused` ulps a result may lie beyond zero, for conditioning explains a change of sign. At breakpoints
    everything from the value to `other` is right. Errors of the kinds in `reported` are no matter of accuracy.
    """

    reference: Reference
    known: Bools
    trusted: Bools
    at_breakpoint: Bools
    allowed: Floats
    excused: Floats
    other: Array | None = None
    reported: frozenset[str] = frozenset()


def standard(
    reference: Reference,
    bound: Bound,
    *,
    known: Bools,
    trusted: Bools,
    at_breakpoint: Bools,
    least: Floats | None,
    other: Array | None = None,
    reported: frozenset[str] = frozenset(),
) -> Standard:
    """The bound at each input.

    Of a product, `least` is what it would be were one factor - the derivative beside a gradient - the smallest normal
    number: where it is less, that factor's ulp no longer shrinks, and the others show that.
    """
    condition = reference.condition
    allowed, excused = bound.allowed(condition), bound.per_condition * condition
    if least is not None:
        form = format_of(reference.value.dtype)
        with np.errstate(all="ignore"):
            product = np.maximum(np.abs(reference.value.astype(np.float64)), form.smallest_subnormal)
            below = product < least
            # The condition of the product, taken with the floor of the derivative instead of its own.
            inner = condition * (np.maximum(product, form.smallest_normal) / least)
            spacing = least * 2.0 ** (1 - form.precision) / ulp(reference.value)
            floor = np.where(below & ~np.isnan(spacing), bound.allowed(inner) * spacing, 0.0)
        allowed, excused = allowed + floor, excused + floor
    return Standard(reference, known, trusted, at_breakpoint, allowed, excused, other, reported)


def least_product(*factors: Array) -> Floats:
    """The size of a product with these factors where the function beside them is the smallest normal number."""
    with np.errstate(all="ignore"):
        sizes = np.abs(np.stack([factor.astype(np.float64) for factor in factors]))
        found = np.full(sizes.shape[1:], format_of(factors[0].dtype).smallest_normal)
        for size in np.sort(sizes, axis=0)[::-1]:  # the smallest one first could underflow
            found = found * size
    return found


def pointwise(x: Array, got: Array, held_to: Standard) -> tuple[dict[str, Bools], Floats, Floats]:
    """Which inputs break which law (each input at most one), the errors in ulps, and error/allowed.

    NaN inputs are always judged. Where the expectation is not settled or not trusted, errors count as 0, and so do
    those at kinks and of kinds that are reported only.
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
        smallest = format_of(value.dtype).smallest_normal
        tiny = (np.abs(numbers) < smallest) & (numbers != 0)
        read_as_zero = tiny & (results == _at_zero(numbers, results, wrong))
        below = np.abs(wanted) <= smallest  # what is rounded up to it was smaller
        flushed = (results == 0) & (wanted != 0) & (tiny | below)
        chosen = held_to.at_breakpoint & _between(results, wanted, held_to.other)
        wrong &= ~chosen
        of_policy = wrong & (flushed | read_as_zero)
        if "subnormal" in held_to.reported:
            # There it is no matter of how much is allowed, and digits that subnormal intermediates lose are part of it.
            blurred = below & (np.abs(results - exact) <= BLURRED * np.abs(exact))
            of_policy = (flushed | read_as_zero | blurred) & (error >= 1)
            of_policy &= (results * np.sign(exact) >= 0) & ~chosen
        broken = {
            "nan-swallowed": missing & ~np.isnan(results),
            "limit": infinite & known & (wrong | (np.isinf(wanted) & (results != wanted))),
            "nan": finite & np.isnan(results),
            "kink": trusted & held_to.at_breakpoint & wrong,
            "overflow": finite & np.isinf(results) & np.isfinite(wanted) & wrong,
            "subnormal": trusted & of_policy,
            "sign": trusted & (results * np.sign(exact) < 0) & ~excused & ~chosen,
            "accuracy": trusted & wrong,
        }
    taken = np.zeros(x.shape, dtype=bool)
    for kind, mask in broken.items():
        broken[kind] = mask & ~taken
        taken |= mask
    judged = (trusted | (infinite & known)) & ~chosen
    # The distance to another choice at a kink says nothing about accuracy.
    for kind in ("kink", *(held_to.reported & broken.keys())):
        judged &= ~broken[kind]
    with np.errstate(all="ignore"):
        ratio = np.where(judged & (error > 0), error / allowed, 0.0)
    return broken, np.where(judged, error, 0.0), ratio


def _at_zero(x: Floats, results: Floats, wrong: Bools) -> float:
    """What the kernel makes of zero, if it is among the inputs and right; else NaN."""
    zeros = np.flatnonzero((x == 0) & ~wrong)
    return float(results[zeros[0]]) if zeros.size else math.nan


def _between(results: Floats, wanted: Floats, other: Array | None) -> Bools:
    """Which results lie from the value wanted to the other one; none where there is no other."""
    if other is None:
        return np.zeros(results.shape, dtype=bool)
    end = other.astype(np.float64)
    inside: Bools = (results >= np.minimum(wanted, end)) & (results <= np.maximum(wanted, end))
    return inside


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


def refuse_flushing() -> None:
    """`InvalidRequest` where the processor takes subnormal numbers for zero: the judge would be blind to them."""
    for form in (FORMATS["float32"], FORMATS["float64"]):
        smallest = np.full(1, form.smallest_subnormal, dtype=form.dtype)
        if not np.all(smallest * form.dtype.type(1) > 0) or not np.all(smallest.astype(np.float64) > 0):
            raise InvalidRequest(
                "this thread takes subnormal numbers for zero, so nobody can judge them in it; switch that off "
                "(torch.set_flush_denormal(False)), or judge in a process without the library that switched it on"
            )


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


def _finding(kind: str, message: str, got: str = "", expected: str = "") -> Finding:
    return Finding(kind=kind, input="", got=got, expected=expected, ulps=0.0, message=message)
