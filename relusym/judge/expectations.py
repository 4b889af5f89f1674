"""What a kernel should return: the reference, kink values by policy, limits, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy import Expr, Symbol

from relusym.activation import Activation, Number, parameter_values
from relusym.calculus.derivatives import derivative, parameter_gradient
from relusym.calculus.limits import limits_at_infinity
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest, Undecided
from relusym.floats import Array, Format, format_of, from_ordinal, ordinal, round_to, to_bits, to_format
from relusym.judge.addends import parted, summed
from relusym.pieces import Pieces, split
from relusym.rounding import Reference, reference

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

COMMON = 40.0
"""Inputs up to this size are surveyed by value, beyond by magnitude only."""

MOST_TRANSITIONS = 32
"""How many roots, overflow and underflow edges of one function are looked for."""


@dataclass(frozen=True)
class Quantity:
    """One thing that a kernel computes: a derivative in x or by a parameter, perhaps times a gradient.

    With an `addend` ("bias" or "residual") it is taken at the sum of x and a second array; see `addends`.
    """

    name: str
    order: int = 0
    parameter: str | None = None
    takes_gradient: bool = False
    addend: str = ""

    @property
    def has_limits(self) -> bool:
        """Whether the contract fixes the value at ±inf: it does for f and f', not for higher derivatives."""
        return self.parameter is None and self.order < 2

    def policies_in(self, form: Format) -> frozenset[str]:
        """Kinds of errors that are a kernel's policy, reported and no findings, unless it is judged strictly.

        No processor has a mode that takes subnormal numbers of float16 for zero: there a lost one is lost.
        """
        found = set() if self.name == "forward" else {"nan-swallowed"}
        return frozenset(found if form.name == "float16" else found | {"subnormal"})


QUANTITIES: dict[str, tuple[Quantity, ...]] = {
    "forward": (Quantity("forward"),),
    "derivative": (Quantity("derivative", order=1),),
    "second-derivative": (Quantity("second-derivative", order=2),),
    "backward": (Quantity("backward", order=1, takes_gradient=True),),
    "forward-derivative": (Quantity("forward"), Quantity("derivative", order=1)),
    "bias-forward": (Quantity("forward", addend="bias"),),
    "residual-forward": (Quantity("forward", addend="residual"),),
    # with one row, the sum over all rows is what is summed; `rows` calls it with several
    "bias-backward": (Quantity("backward", order=1, takes_gradient=True, addend="bias"),) * 2,
    "residual-backward": (Quantity("backward", order=1, takes_gradient=True, addend="residual"),),
    # of f' as a function of f
    "backward-from-output": (Quantity("backward", takes_gradient=True),),
}


def quantities_of(computes: str, activation: Activation, passed: Sequence[str] = ()) -> tuple[Quantity, ...]:
    """The quantities that a kernel which `computes` this returns, in order; `passed` are parameters it is called with.

    Raises `InvalidRequest` for an unknown word or parameter.
    """
    if computes in QUANTITIES:
        return QUANTITIES[computes]
    if computes == "backward-parameters":
        by_parameter = [Quantity(f"parameter-gradient:{name}", parameter=name, takes_gradient=True) for name in passed]
        return Quantity("backward", order=1, takes_gradient=True), *by_parameter
    kind, _, name = computes.partition(":")
    known = [parameter.name for parameter in activation.parameters]
    if kind != "parameter-gradient":
        raise InvalidRequest(
            f"computes {computes!r} is unknown; known: {', '.join(QUANTITIES)}, backward-parameters, "
            "parameter-gradient:NAME"
        )
    if name not in known:
        raise InvalidRequest(
            f"{activation.name} has no parameter {name!r} to take a gradient by; "
            f"its parameters: {', '.join(known) or 'none'}"
        )
    return (Quantity(computes, parameter=name, takes_gradient=True),)


@dataclass(frozen=True)
class Expectation:
    """One quantity of one activation with exact parameter values and a policy at kinks."""

    activation: Activation
    quantity: Quantity
    values: tuple[tuple[Symbol, Expr], ...]
    subgradient: Any
    work: str = ""

    def at(self, x: Array, gradient: Array | None = None, addend: Array | None = None) -> Reference:
        """The correctly rounded values at these inputs (one dimension), remembered for the next kernel."""
        bits, points = None, self.points(x, addend)
        if gradient is not None and not np.all(gradient == 1):
            bits = to_bits(gradient).tobytes()
        inputs = points.dtype.name, to_bits(points).tobytes()
        return _remembered(self._at_inputs(bits is not None), x.dtype.name, *inputs, bits)

    def points(self, x: Array, addend: Array | None = None) -> Array:
        """Where the quantity is taken: at x, or at x plus the addend; without it x is the sum aimed at, and parted."""
        if not self.quantity.addend:
            return x
        parts = parted(x) if addend is None else (x, addend)
        return summed(*parts, format_of(self.work or x.dtype))

    def _at_inputs(self, takes_gradient: bool = False) -> Expectation:
        """The same quantity at its points, whatever a kernel is called with: what is remembered is shared."""
        return replace(
            self, quantity=replace(self.quantity, name="", takes_gradient=takes_gradient, addend=""), work=""
        )

    @cached_property
    def pieces(self) -> Pieces:
        """The quantity as smooth pieces, with its values at the breakpoints; parameters are numbers."""
        values = dict(self.values)
        policy: Policy = dict(self.subgradient) if isinstance(self.subgradient, tuple) else self.subgradient
        parameter = self.quantity.parameter
        if parameter is None:
            stated = {
                sympy.sympify(point).xreplace(values): sympy.sympify(value).xreplace(values)
                for point, value in self.activation.subgradients.items()
            }
            return derivative(split(self.activation, values), self.quantity.order, policy=policy, stated=stated)
        (symbol,) = (symbol for symbol in values if symbol.name == parameter)
        others = {other: value for other, value in values.items() if other != symbol}
        pieces = parameter_gradient(split(self.activation, others), symbol, policy=policy)
        here = {symbol: values[symbol]}
        return Pieces(
            pieces.variable,
            pieces.pieces,
            tuple(place.xreplace(here) for place in pieces.breakpoints),
            tuple(value.xreplace(here) for value in pieces.values),
        )

    @cached_property
    def stated(self) -> dict[Expr, Expr]:
        """Exact values that the definition's own branches do not give: at kinks, and the limits at ±oo."""
        stated: dict[Expr, Expr] = {}
        if self.quantity.order or self.quantity.parameter:
            stated = dict(zip(self.pieces.breakpoints, self.pieces.values, strict=True))
        if self.quantity.has_limits:
            # A limit that is not settled leaves its infinite input unjudged.
            with suppress(Undecided):
                stated[-sympy.oo], stated[sympy.oo] = limits_at_infinity(self.pieces)
        return stated

    def known(self, x: Array) -> Bools:
        """Where the value is known: everywhere but at infinities whose limit is not settled or not fixed."""
        known: Bools = ~np.isinf(x) | (sympy.oo in self.stated)
        return known

    def at_breakpoint(self, x: Array, addend: Array | None = None) -> Bools:
        """Which inputs are breakpoints of the definition."""
        here: Bools = np.isin(self.points(x, addend).astype(np.float64), self._float_breakpoints)
        return here

    def landmarks(self, form: Format) -> Array:
        """Inputs next to which kernels go wrong: breakpoints, roots, overflow and underflow edges."""
        places = np.concatenate([np.asarray(self._near_breakpoints), _landmarks(self._at_inputs(), form.name)])
        with np.errstate(over="ignore"):
            return to_format(round_to(places, form), form)

    def breakpoints(self, form: Format) -> Array:
        """The floats next to the breakpoints of the definition."""
        return to_format(round_to(np.asarray(self._near_breakpoints, dtype=np.float64), form), form)

    @cached_property
    def _float_breakpoints(self) -> list[float]:
        """The breakpoints that a float equals exactly."""
        return [
            float(place)
            for place in self.pieces.breakpoints
            if place.is_Rational and sympy.Rational(float(place)) == place
        ]

    @cached_property
    def _near_breakpoints(self) -> list[float]:
        return [float(place) for place in self.pieces.breakpoints]


def expectation(
    activation: Activation,
    quantity: Quantity,
    *,
    parameters: Mapping[str, Number] | None = None,
    subgradient: Policy = "least-norm",
    work: str = "",
) -> Expectation:
    """The expectation for these parameter values; raises `InvalidActivation` and `InvalidSubgradient`.

    `work` is the format to which a sum with an addend is rounded, that of the inputs by default.
    """
    values = tuple(parameter_values(activation, parameters).items())
    policy = tuple(subgradient.items()) if isinstance(subgradient, Mapping) else subgradient
    return _expectation(activation, quantity, values, policy, work)


def expectations(
    activation: Activation,
    quantity: Quantity,
    *,
    parameters: Mapping[str, Number] | None = None,
    subgradient: Policy = "least-norm",
    strict: bool = True,
    work: str = "",
) -> tuple[Expectation, Expectation | None]:
    """The expectation, and where all values up to another one are right at breakpoints, that with the other ones.

    So it is with the policy "any", and with second derivatives that are not judged strictly: no convention fixes them
    where the first derivative jumps.
    """
    free = subgradient == "any" or (quantity.order == 2 and not strict)
    one, other = (
        expectation(activation, quantity, parameters=parameters, subgradient=side, work=work)
        for side in (("left", "right") if free else (subgradient, subgradient))
    )
    return one, None if one.stated == other.stated else other


@lru_cache(maxsize=64)
def _expectation(
    activation: Activation, quantity: Quantity, values: tuple[tuple[Symbol, Expr], ...], policy: Any, work: str
) -> Expectation:
    return Expectation(activation, quantity, values, policy, work)


@lru_cache(maxsize=64)
def _remembered(expected: Expectation, dtype: str, at: str, points: bytes, gradient: bytes | None) -> Reference:
    """Values in the format `dtype` at points of the format `at`."""
    form, inputs = format_of(dtype), format_of(at)
    quantity = expected.quantity
    return reference(
        expected.activation,
        np.frombuffer(points, dtype=inputs.dtype),
        order=quantity.order,
        parameters={symbol.name: value for symbol, value in expected.values},
        at_breakpoints=expected.stated,
        factor=None if gradient is None else np.frombuffer(gradient, dtype=form.dtype).astype(inputs.dtype),
        wrt=quantity.parameter,
        rounded_to=form,
    )


# --- where the value changes its class ---


@lru_cache(maxsize=64)
def _landmarks(expected: Expectation, dtype: str) -> Floats:
    """Both sides of each change of class (sign, zero, subnormal, ...), and points of worst condition."""
    form = format_of(dtype)
    grid = np.unique(np.concatenate([_evenly_by_ordinal(form), ordinal(_evenly_by_value(form))]))
    classes, condition = _survey(expected, grid, form)
    common = np.abs(from_ordinal(grid, form).astype(np.float64)) <= COMMON
    changes = _spread(np.flatnonzero(classes[1:] != classes[:-1]), common)
    edges = _bisect(expected, grid[changes], grid[changes + 1], form)
    inner = condition[1:-1]
    peaks = 1 + np.flatnonzero((inner > 8) & (inner >= condition[:-2]) & (inner >= condition[2:]))
    peaks = _spread(peaks, common, MOST_TRANSITIONS // 2)
    summits = _climb(expected, grid[peaks - 1], grid[peaks + 1], form)
    places: Floats = from_ordinal(np.unique(np.concatenate([edges, summits])), form).astype(np.float64)
    return places


def _evenly_by_ordinal(form: Format) -> Positions:
    top = int(ordinal(np.array([form.max], dtype=form.dtype))[0])
    return np.linspace(-top, top, 1025).astype(np.int64)


def _evenly_by_value(form: Format) -> Array:
    return to_format(round_to(np.linspace(-COMMON, COMMON, 1281), form), form)


def _survey(expected: Expectation, positions: Positions, form: Format) -> tuple[Positions, Floats]:
    """The class of the value at each position, and its condition."""
    x = from_ordinal(positions, form)
    quantity = expected.quantity
    found = reference(
        expected.activation,
        x,
        order=quantity.order,
        parameters={symbol.name: value for symbol, value in expected.values},
        at_breakpoints=expected.stated,
        wrt=quantity.parameter,
    )
    value: Floats = found.value.astype(np.float64)
    size = np.abs(value)
    magnitude = np.digitize(size, [form.smallest_subnormal, form.smallest_normal, np.inf])
    classes = np.where(value < 0, -magnitude, magnitude) + 10 * (value == x.astype(np.float64)) + 20 * (size == 1)
    return np.where(np.isnan(value), 99, classes), found.condition


def _spread(positions: Positions, common: Bools, most: int = MOST_TRANSITIONS) -> Positions:
    """About so many of the positions, half of them in the common range: periodic functions have too many."""
    if positions.size <= most:
        return positions
    kept = []
    for part in (positions[common[positions]], positions[~common[positions]]):
        few = min(part.size, most // 2)
        kept.append(part[np.linspace(0, part.size - 1, few).astype(np.int64)] if few else part)
    return np.unique(np.concatenate(kept))


def _bisect(expected: Expectation, low: Positions, high: Positions, form: Format) -> Positions:
    """Narrow each bracket to two neighbouring floats of different class."""
    parts = np.arange(9)
    while low.size and np.any(high - low > 1):
        grid = low[:, None] + (high - low)[:, None] // 8 * parts
        grid[:, -1] = high
        wide = high - low < 8
        grid[wide] = np.minimum(low[wide, None] + parts, high[wide, None])
        classes = _survey(expected, grid.ravel(), form)[0].reshape(grid.shape)
        first = np.argmax(classes != classes[:, :1], axis=1)
        rows = np.arange(low.size)
        low, high = grid[rows, first - 1], grid[rows, first]
    return np.concatenate([low, high])


def _climb(expected: Expectation, low: Positions, high: Positions, form: Format) -> Positions:
    """Narrow each bracket around a peak of the condition: near double roots no sign changes."""
    parts = np.arange(9)
    best = low
    for _ in range(form.bits // 2):
        if not low.size or np.all(high - low <= 8):
            break
        grid = low[:, None] + (high - low)[:, None] // 8 * parts
        condition = _survey(expected, grid.ravel(), form)[1].reshape(grid.shape)
        rows, top = np.arange(low.size), np.argmax(condition, axis=1)
        best = grid[rows, top]
        low, high = grid[rows, np.maximum(top - 1, 0)], grid[rows, np.minimum(top + 1, 8)]
    return best
