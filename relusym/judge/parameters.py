"""Kernels that give the gradients of parameters: element by element, and as sums over the axes of each parameter.

With one value of each parameter for every element nothing is summed, so that such a kernel is judged like any other.
Its sums are held to what it gives then: an exact sum of its own terms. Some calls have a gradient in one element of
each channel alone; that sum has no rounding, so that an element that is left out or taken twice shows, whatever a sum
of many terms may lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.activation import Activation
from relusym.errors import InvalidRequest, Missing
from relusym.floats import Array, Format, round_to, to_format, ulp
from relusym.judge.laws import CallFailed
from relusym.judge.reports import Finding, hex_of

Floats = npt.NDArray[np.float64]

COMPUTES = "backward-parameters"

SHAPES: tuple[tuple[tuple[int, ...], int | None], ...] = (
    ((5,), None),
    ((3, 5, 7), 1),
    ((2, 3, 4), 0),
    ((4, 6), -1),
    ((1, 64), -1),
    ((67, 67), 1),
    ((1027, 5), 1),
    ((2, 9, 521), 1),
    ((33, 40, 2), 1),
    ((70_001,), None),
)
"""Elements and the axis along which parameters vary, None for numbers: none a multiple of what a block adds up."""

ALONE = 4
"""Calls with a gradient in one element of each channel: the first, the last, and others in between."""

WIDER = {"float16": ("float16", "float32", "float64"), "bfloat16": ("bfloat16", "float32", "float64")}
"""Dtypes in which sums over elements of these may come out; elsewhere they have the dtype of the elements."""


def passed_names(activation: Activation, computes: str, arguments: object) -> tuple[str, ...]:
    """The parameters that such a kernel is called with, in the order of the definition; none for other quantities.

    Those named by `arguments`, by default those that are learnable. Raises `InvalidRequest` for an unknown name, for a
    parameter named beside another quantity, and where there is none.
    """
    if computes != COMPUTES:
        if arguments is not None:
            raise InvalidRequest(
                f"check: arguments goes with {COMPUTES!r}; for {computes!r} bind parameters with functools.partial"
            )
        return ()
    known = [parameter.name for parameter in activation.parameters]
    names = [parameter.name for parameter in activation.parameters if parameter.learnable]
    if arguments is not None:
        if isinstance(arguments, str) or not isinstance(arguments, Sequence):
            raise InvalidRequest(f"check: arguments = {arguments!r}; give a list of names, such as ['alpha']")
        names = [name for name in known if name in arguments]
        for name in arguments:
            if name not in known:
                raise InvalidRequest(
                    f"{activation.name} has no parameter {name!r} to pass; its parameters: {', '.join(known) or 'none'}"
                )
    if not names:
        say = f"say by arguments= which of {', '.join(known)}" if known else "it has none; take backward"
        raise InvalidRequest(f"{activation.name}: {COMPUTES} is called with parameters, and none is passed; {say}")
    return tuple(names)


def beside_elements(fn: Callable[..., Any], values: Mapping[str, float], work: Format) -> Callable[..., Any]:
    """`fn(grad, x, *parameters)` as a function of grad and x: each parameter has one value for every element.

    Gradients of parameters that are wider than 16-bit elements are rounded to their dtype.
    """

    def kernel(grad: Array, x: Array) -> Any:
        results = fn(grad, x, *(np.full(x.shape, value, dtype=work.dtype) for value in values.values()))
        if not isinstance(results, tuple | list):
            return results
        first, *others = results
        return first, *(_like(result, x) for result in others)

    return kernel


def _like(result: Any, x: Array) -> Any:
    wider = WIDER.get(x.dtype.name, ())
    if isinstance(result, np.ndarray | np.generic) and result.dtype.name in wider:
        with np.errstate(all="ignore"):
            return np.asarray(result).astype(x.dtype)
    return result


def sums_of_gradients(
    fn: Callable[..., Any], values: Mapping[str, float], form: Format, work: Format, *, seed: int
) -> Iterator[Finding]:
    """What is wrong in results for parameters that are numbers, or have one value for each channel.

    Raises `CallFailed` where a call fails or gives other dtypes or shapes.
    """
    for shape, axis in SHAPES:
        random = np.random.default_rng((seed, *shape))
        own = () if axis is None else tuple(n if i == axis % len(shape) else 1 for i, n in enumerate(shape))
        # not the same value in every channel; with one factor for all parameters their order stays as it is
        factors = 1 + np.arange(math.prod(own)).reshape(own) % 3 / 8
        parameters = [np.asarray(value * factors, dtype=work.dtype) for value in values.values()]
        x = to_format(round_to(2 * random.standard_normal(shape), form), form)
        for gradient in _gradients(shape, axis, random, form):
            found = list(_call(fn, dict(zip(values, parameters, strict=True)), gradient, x, form))
            if found:
                yield from found
                return
    for shape, own in (((0, 3), (1, 3)), ((3, 0), ()), ((0,), ())):
        parameters = [np.full(own, value, dtype=work.dtype) for value in values.values()]
        nothing = np.zeros(shape, dtype=form.dtype)
        yield from _call(fn, dict(zip(values, parameters, strict=True)), nothing, nothing.copy(), form)


def _gradients(shape: tuple[int, ...], axis: int | None, random: np.random.Generator, form: Format) -> Iterator[Array]:
    """Incoming gradients: of every element, with special values in two channels, and of one element of each channel."""
    count = 1 if axis is None else shape[axis]
    signs = random.choice([-1.0, 1.0], shape)
    whole = to_format(round_to(signs * random.uniform(0.5, 2, shape), form), form)
    yield whole
    special = whole.copy()
    by_channel = special.reshape(1, -1) if axis is None else np.moveaxis(special, axis, 0)
    by_channel[0][(-1,) * (by_channel.ndim - 1)] = np.nan
    by_channel[-1][(0,) * (by_channel.ndim - 1)] = np.inf
    yield np.ascontiguousarray(special)
    each = math.prod(shape) // count
    for turn in range(ALONE):
        place = (0, each - 1, each // 2, each * 7 // 9)[turn]
        alone = np.zeros((count, each))
        alone[np.arange(count), (place + (turn > 1) * np.arange(count)) % each] = 1
        sizes = shape if axis is None else tuple(np.delete(shape, axis))
        mask = alone.reshape(shape) if axis is None else np.moveaxis(alone.reshape(count, *sizes), 0, axis)
        yield np.where(mask == 1, whole, np.zeros_like(whole))


def _call(
    fn: Callable[..., Any], parameters: Mapping[str, Array], gradient: Array, x: Array, form: Format
) -> Iterator[Finding]:
    """One call beside that with a value for every element."""
    terms = _results(fn, gradient, x, [np.broadcast_to(own, x.shape).copy() for own in parameters.values()], form)
    sums = _results(fn, gradient, x, list(parameters.values()), form)
    own = next(iter(parameters.values())).shape
    where = f"x is of shape {x.shape} and {', '.join(parameters)} of shape {own}"
    if _differ(sums[0], terms[0], form):
        told = f"dx depends on how parameters are given: where {where}, it is not what one value an element gives"
        yield Finding("layout", "", "", "", 0.0, told, defect="layout")
    axes = tuple(axis for axis, size in enumerate((1,) * (x.ndim - len(own)) + own) if size == 1)
    for name, added, got in zip(parameters, terms[1:], sums[1:], strict=True):
        rows = np.moveaxis(added.astype(np.float64), axes, range(len(axes))).reshape(-1, math.prod(own))
        wrong = [
            (channel, wanted)
            for channel, (column, result) in enumerate(zip(rows.T, np.ravel(got), strict=True))
            if (wanted := _wanted(column, float(result), form)) is not None
        ]
        if wrong:
            channel, wanted = wrong[0]
            here, there = hex_of(np.ravel(got)[channel]), hex_of(wanted)
            alone = np.flatnonzero(rows[:, channel])
            of = f"a gradient in element {alone[0]} alone" if alone.size == 1 else f"{alone.size:,} terms"
            told = (
                f"wrong sum in the gradient of {name}: where {where}, channel {channel} has {of} of {len(rows):,}, and "
                f"gives {here}, not {there} ({float(np.ravel(got)[channel]):.6g}, not {wanted:.6g})"
            )
            yield Finding("accuracy", "", here, there, 0.0, told, count=len(wrong), defect="wrong-sum")


def _wanted(terms: Floats, got: float, form: Format) -> float | None:
    """The exact sum, if `got` is further from it than rounding explains.

    The terms are seen rounded, half an ulp each; adding n numbers that are not 0, in any order and in the format of the
    elements, is off by at most (n - 1) u times the sum of their sizes (Higham, Accuracy and Stability of Numerical
    Algorithms, section 4.2), and the result is rounded once more.
    """
    if not np.all(np.isfinite(terms)):
        infinite = terms[np.isinf(terms)]
        settled = not np.any(np.isnan(terms)) and np.all(infinite == infinite[0])
        special = float(infinite[0]) if settled else math.nan
        return None if got == special or (math.isnan(special) and math.isnan(got)) else special
    exact, size = math.fsum(terms), math.fsum(np.abs(terms))
    unit, count = form.epsilon / 2, int(np.count_nonzero(terms))
    slack = (max(count - 1, 0) + 1) * unit * size + (count + 1) * form.smallest_subnormal
    slack += float(ulp(to_format(round_to(np.array([exact]), form), form))[0]) / 2
    if math.isinf(got) and abs(exact) + slack > form.max:
        return None
    return None if abs(got - exact) <= slack else exact


def _differ(one: Array, other: Array, form: Format) -> bool:
    """Whether results for the same elements differ by more than a few ulps, which another loop may round otherwise."""
    first, second = one.astype(np.float64), other.astype(np.float64)
    near = np.abs(first - second) <= 16 * form.epsilon * np.abs(second) + 16 * form.smallest_subnormal
    return not bool(np.all(near | (first == second) | (np.isnan(first) & np.isnan(second))))


def _results(
    fn: Callable[..., Any], gradient: Array, x: Array, parameters: Sequence[Array], form: Format
) -> tuple[Array, ...]:
    """Results of the promised dtypes and shapes; `CallFailed` for others, and for an exception."""
    own = parameters[0].shape
    where = f"x of shape {x.shape}, parameters of shape {own}"
    try:
        with np.errstate(all="ignore"):
            results = fn(gradient.copy(), x.copy(), *(parameter.copy() for parameter in parameters))
    except Missing:
        raise
    except Exception as error:
        raise CallFailed(Finding("exception", "", "", "", 0.0, f"{type(error).__name__}: {error} ({where})")) from error
    if not isinstance(results, tuple | list) or len(results) != 1 + len(parameters):
        told = f"returned {type(results).__name__}, not {1 + len(parameters)} arrays ({where})"
        raise CallFailed(Finding("shape", "", "", "", 0.0, told))
    for position, (result, shape) in enumerate(zip(results, (x.shape, *(own,) * len(parameters)), strict=True)):
        dtypes = (form.name,) if position == 0 else WIDER.get(form.name, (form.name,))
        if not isinstance(result, np.ndarray | np.generic) or result.dtype.name not in dtypes:
            told = f"result {position} is {getattr(result, 'dtype', type(result).__name__)}, not {' or '.join(dtypes)}"
            raise CallFailed(Finding("dtype", "", "", "", 0.0, f"{told} ({where})"))
        if result.shape != shape:
            told = f"result {position} is of shape {result.shape}, not {shape} ({where})"
            raise CallFailed(Finding("shape", "", str(result.shape), str(shape), 0.0, told))
    return tuple(np.asarray(result) for result in results)
