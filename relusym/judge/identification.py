"""Which function is this: the formula of the catalogue, with its parameters, that a callable computes.

A name says little: "gelu" is x Phi(x), its tanh form or its sigmoid form, depending on who wrote it. The callable is
compared with every entry of the catalogue; parameters are fitted, and taken as the simple numbers they are close to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from relusym.activation import Activation, parameter_values
from relusym.activations import catalogue
from relusym.errors import InvalidActivation, InvalidRequest
from relusym.floats import Format, format_of
from relusym.judge.adapters import adapted
from relusym.rounding import reference

Floats = npt.NDArray[np.float64]

Function = Callable[[Floats, Floats], Floats]
"""f at these inputs, with these parameters."""

SAME = {16: 4.0, 32: 64.0, 64: 64.0}
"""By how many epsilons, by bits, a computation of the same formula may be off; those in 16 bits round once."""

STARTS = (0.01, 0.05, 0.1, 0.2, 0.25, 1 / 3, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
"""Sizes of parameters from which a fit begins, besides the defaults."""

STEPS = 25


@dataclass(frozen=True)
class Match:
    """An entry of the catalogue beside the callable.

    `difference` is the largest |fn(x) - f(x)| over the inputs tried, at `x`, and `roundings` the largest one in
    epsilons of a number of the size of max(1, |x|, |f(x)|). `same` says that nothing but rounding tells the two apart.
    """

    activation: str
    parameters: Mapping[str, str]
    difference: float
    x: float
    roundings: float
    same: bool

    def __str__(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        named = f"{self.activation}({values})" if values else self.activation
        if self.same:
            return f"{named}: the same but for rounding (by up to {self.difference:.3g})"
        return f"{named}: differs by up to {self.difference:.3g}, at x = {self.x:.6g}"


def identify(fn: Callable[..., Any], *, dtype: object = "float32", through: str | None = None) -> tuple[Match, ...]:
    """The entries of the catalogue that are closest to the forward function `fn`, the closest first.

    `fn` takes arrays of `dtype`, of the framework `through` or of the one it comes from. Several entries may be the
    same function (silu is swish with beta = 1). Raises `InvalidRequest` where fn raises, or returns no array of its
    input's shape, or no finite number at all.
    """
    form = format_of(dtype)
    x = _inputs(form)
    kernel = adapted(fn, through=through)
    try:
        with np.errstate(all="ignore"):
            returned = np.asarray(kernel.fn(x.copy()))
    except Exception as error:
        raise InvalidRequest(f"the function to be identified raises {type(error).__name__}: {error}") from error
    if returned.shape != x.shape:
        raise InvalidRequest(f"the function to be identified gives shape {returned.shape} for {x.shape}")
    got = returned.astype(np.float64)
    usable = np.isfinite(got)
    if not np.any(usable):
        raise InvalidRequest("the function to be identified gives no finite number between -30 and 30")
    x, got = x[usable], got[usable]
    found = [_match(entry, x, got, form) for entry in catalogue()]
    return tuple(sorted(found, key=lambda match: (not match.same, len(match.parameters) * match.same, match.roundings)))


def _inputs(form: Format) -> Any:
    """Where activations differ: around zero, in the knees, and where they have become straight."""
    random = np.random.default_rng(2)
    wide = [random.uniform(-6, 6, 320), random.uniform(-30, 30, 60), np.arange(-20, 21) / 2]
    return np.unique(np.concatenate(wide).astype(form.dtype))


def _match(entry: Activation, x: Any, got: Floats, form: Format) -> Match:
    """The entry with the parameters that fit best."""
    defaults = {str(symbol): value for symbol, value in parameter_values(entry, None).items()}
    candidates: list[Mapping[str, Any]] = [defaults]
    if defaults:
        fitted = _fitted(entry, x.astype(np.float64), got)
        candidates += [_simple(fitted, denominator) for denominator in (12, 1000, 10**6)]
    best: Match | None = None
    for parameters in candidates:
        try:
            match = _beside(entry, parameters, x, got, form)
        except InvalidActivation:
            continue  # a fit has left the domain
        # Simpler numbers come first: others have to be better by more than chance.
        if best is None or (not best.same and match.roundings < 0.9 * best.roundings):
            best = match
    assert best is not None
    return best


def _beside(entry: Activation, parameters: Mapping[str, Any], x: Any, got: Floats, form: Format) -> Match:
    wanted = reference(entry, x, parameters=dict(parameters)).value.astype(np.float64)
    inputs = x.astype(np.float64)
    difference = np.where(np.isfinite(wanted), np.abs(got - wanted), 0.0)
    size = np.maximum(1.0, np.maximum(np.abs(inputs), np.abs(wanted)))
    roundings = difference / (size * form.epsilon)
    # A jump may lie on the other side: that is a value at one point and no other formula.
    jumps = np.abs(np.diff(wanted, prepend=wanted[0])) > 0.25
    difference, roundings = np.where(jumps, 0.0, difference), np.where(jumps, 0.0, roundings)
    at = int(np.argmax(difference))
    shown = {name: str(value) for name, value in parameters.items()}
    most = float(np.max(roundings))
    return Match(entry.name, shown, float(difference[at]), float(inputs[at]), most, most <= SAME[form.bits])


def _fitted(entry: Activation, x: Floats, got: Floats) -> dict[str, float]:
    """Parameters by least absolute differences from a grid, then by Gauss-Newton steps."""
    compute = _compiled(entry)
    names = [str(parameter.symbol) for parameter in entry.parameters]
    sizes = [*STARTS, *(float(value) for value in parameter_values(entry, None).values())]
    signed = [
        [size for size in (*sizes, *(-size for size in sizes)) if _allowed(parameter.symbol, size)]
        for parameter in entry.parameters
    ]
    here = np.array(min(product(*signed), key=lambda values: _distance(compute, np.array(values), x, got)))
    distance = _distance(compute, here, x, got)
    for _ in range(STEPS):
        step = _step(compute, here, x, got)
        tried = min((here + step * scale for scale in (1.0, 0.5, 0.1)), key=lambda at: _distance(compute, at, x, got))
        improved = _distance(compute, tried, x, got)
        if not improved < distance:
            break
        here, distance = tried, improved
    return dict(zip(names, map(float, here), strict=True))


def _allowed(symbol: sympy.Symbol, size: float) -> bool:
    return size > 0 or symbol.is_positive is not True


def _distance(compute: Function, values: Floats, x: Floats, got: Floats) -> float:
    with np.errstate(all="ignore"):
        missed = np.abs(compute(x, values) - got)
    return float(np.mean(np.where(np.isfinite(missed), missed, 1e6)))


def _step(compute: Function, values: Floats, x: Floats, got: Floats) -> Floats:
    with np.errstate(all="ignore"):
        residual = got - compute(x, values)
        columns = []
        for index, value in enumerate(values):
            moved, by = values.copy(), 1e-6 * max(1.0, abs(value))
            moved[index] += by
            columns.append((compute(x, moved) - compute(x, values)) / by)
    slopes = np.stack(columns, axis=1)
    usable = np.isfinite(residual) & np.all(np.isfinite(slopes), axis=1)
    found: Floats = np.linalg.lstsq(slopes[usable], residual[usable], rcond=None)[0]
    return found


@lru_cache(maxsize=64)
def _compiled(entry: Activation) -> Function:
    """The formula in float64: good enough to fit by, and judged by the reference afterwards."""
    symbols = [parameter.symbol for parameter in entry.parameters]
    compute = sympy.lambdify([entry.inputs[0], *symbols], entry.expr, modules=["numpy"])

    def at(x: Floats, values: Floats) -> Floats:
        return np.broadcast_to(np.asarray(compute(x, *values), dtype=np.float64), x.shape)

    return at


def _simple(values: Mapping[str, float], denominator: int) -> dict[str, str]:
    """Each number as the fraction of small denominator next to it."""
    return {name: str(Fraction(value).limit_denominator(denominator)) for name, value in values.items()}
