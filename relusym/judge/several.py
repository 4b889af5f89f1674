"""What kernels of several inputs or values are held to, and where they are tried.

The values are those of the untouched definition in ball arithmetic, one input varied and the others given along with
it. What the definition does not fix - who gets the gradient at a tie, limits at infinity - comes from the calculus of
the functions it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy import Expr, Symbol

from relusym.activation import Activation, Parameter, exact, x
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest, InvalidSubgradient
from relusym.floats import Array, Format, format_of, from_ordinal, ordinal
from relusym.judge.expectations import Expectation, Quantity, expectation
from relusym.judge.laws import least_product
from relusym.judge.strategies import edge_points, gradients_for, inputs_for
from relusym.rounding import Reference, reference
from relusym.several.forms import TIE_POLICIES
from relusym.several.recognition import policy_of
from relusym.structures import Bundle, Gated, Maximum, Structure, structure_of

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, Array]

TIES = (*TIE_POLICIES, "any")
"""What a maximum may do with a gradient where several inputs are largest."""

_FORWARD, _SLOPE = Quantity("forward"), Quantity("derivative", order=1)


@dataclass(frozen=True)
class Expected:
    """What one result of a kernel is held to, row by row.

    `varied` is the input by which the condition is meant, NaN where one of the inputs is that the result depends on.
    At `ties` a policy decides, and everything from the value to `other` is right where that is given. `least` is
    what the result would be were the function beside the factors the smallest normal number; see `standard`.
    """

    result: str
    varied: Array
    reference: Reference
    known: Bools
    ties: Bools
    least: Floats | None = None
    other: Array | None = None

    def at(self, rows: npt.NDArray[np.int64]) -> Expected:
        """In these rows, all of which are decided."""
        whole = self.reference
        return Expected(
            self.result,
            self.varied[rows],
            Reference(whole.value[rows], whole.offset[rows], whole.condition[rows], np.zeros(0, dtype=np.int64)),
            self.known[rows],
            self.ties[rows],
            None if self.least is None else self.least[rows],
            None if self.other is None else self.other[rows],
        )


@dataclass(frozen=True)
class Case:
    """The arrays of one call, in its order, and what each result is held to; `total`, what the sum of all is."""

    arrays: tuple[tuple[str, Array], ...]
    expected: tuple[Expected, ...]
    total: Expected | None = None


def names_of(activation: Activation, computes: str) -> tuple[str, ...]:
    """The arrays that a kernel takes, in order; raises `InvalidRequest` for a quantity that the function lacks."""
    structure = structure_of(activation)
    inputs = tuple(map(str, activation.inputs))
    known: dict[str, tuple[str, ...]] = {"forward": inputs}
    if isinstance(structure, Bundle):
        known["backward"] = (*(f"grad{number}" for number, _ in enumerate(structure.parts, 1)), *inputs)
    else:
        known["backward"] = ("grad", *inputs)
    if isinstance(structure, Maximum):
        known |= {"forward-index": inputs, "backward-from-index": ("grad", "index")}
    if computes not in known:
        raise InvalidRequest(
            f"{activation.name} has {activation.shape}: nobody knows its {computes!r}; known: {', '.join(known)}"
        )
    return known[computes]


@lru_cache(maxsize=32)
def case(
    activation: Activation,
    computes: str,
    values: tuple[tuple[Symbol, Expr], ...],
    chosen: Policy | tuple[tuple[Any, Any], ...],
    form: Format,
    points: int,
    seed: int,
    extra: tuple[float, ...] = (),
) -> Case:
    """The same rows for the same seed: some `points`, in which each input in turn runs over all that matters.

    `chosen` is a policy, one that is a mapping given by its items; each input is tried at the `extra` points too.
    Raises `InvalidRequest` for a function without a known structure, and `InvalidSubgradient`.
    """
    policy: Policy = dict(chosen) if isinstance(chosen, tuple) else chosen
    structure, folded = structure_of(activation), dict(values)
    names = names_of(activation, computes)
    drawn = _rows(activation, structure, folded, form, points, seed, extra)
    size = next(iter(drawn.values())).size
    for number, name in enumerate(names):
        if name.startswith("grad") and name not in drawn:
            drawn[name] = gradients_for(np.ones(size, dtype=form.dtype), seed=seed + number)
    if "index" in names:
        places = np.random.default_rng(seed).integers(0, len(activation.inputs), size).astype(form.dtype)
        drawn["index"] = np.where(np.arange(size) % 64 == 63, np.array(np.nan, form.dtype), places)
    arrays = {name: drawn[name] for name in names}
    with np.errstate(all="ignore"):
        match structure:
            case Maximum():
                expected = _of_maximum(structure, computes, arrays, policy)
            case Gated():
                expected = _of_gate(activation, structure, computes, arrays, folded, policy)
            case Bundle():
                expected = _of_bundle(activation, structure, computes, arrays, folded, policy)
    total = None
    if isinstance(structure, Maximum) and computes == "backward" and policy == "any":
        total = _whole(structure, arrays)
    return Case(tuple(arrays.items()), tuple(expected), total)


# --- where they are tried ---


def _rows(
    activation: Activation,
    structure: Structure,
    values: Mapping[Symbol, Expr],
    form: Format,
    points: int,
    seed: int,
    extra: tuple[float, ...],
) -> dict[str, Array]:
    """Inputs: each in turn at its landmarks and everywhere, the others beside it anything; ties; edges with edges."""
    random = np.random.default_rng(seed)
    names = list(map(str, activation.inputs))
    edges = edge_points(form)
    columns: dict[str, list[Array]] = {name: [] for name in names}
    for number, name in enumerate(names):
        landmarks = _landmarks(structure, name, values, form)
        run = inputs_for(form, landmarks, points=points // len(names), examples=40, seed=seed + number)
        run = random.permutation(run)[: max(points // len(names), 1)]
        run = np.concatenate([run, np.array(extra).astype(form.dtype)])
        for other in names:
            columns[other].append(run if other == name else _anything(run.size, edges, form, random))
    for other in names:
        columns[other].append(random.choice(edges, 20 * len(edges)))
    rows = {name: np.concatenate(parts) for name, parts in columns.items()}
    if isinstance(structure, Maximum):
        _tie(rows, random)
    return rows


def _landmarks(structure: Structure, name: str, values: Mapping[Symbol, Expr], form: Format) -> Array:
    """Where a function of one input changes: kinks, roots, edges of overflow and underflow."""
    functions: tuple[Activation, ...] = ()
    if isinstance(structure, Gated) and name == str(structure.variable):
        functions = (structure.gate,)
    elif isinstance(structure, Bundle):
        functions = structure.parts
    found = [
        expectation(function, quantity, parameters=_named(function, values)).landmarks(form)
        for function in functions
        for quantity in (_FORWARD, _SLOPE)
    ]
    return np.concatenate(found) if found else np.zeros(1, dtype=form.dtype)


def _anything(size: int, edges: Array, form: Format, random: np.random.Generator) -> Array:
    """Ordinary numbers, one in eight of any size, one in sixteen at an edge."""
    reach = form.infinity_ordinal
    ordinary = (random.standard_normal(size) * np.exp2(random.integers(-3, 4, size))).astype(form.dtype)
    anywhere = from_ordinal(random.integers(-reach + 1, reach, size), form)
    chosen = random.random(size)
    return np.where(chosen < 1 / 16, random.choice(edges, size), np.where(chosen < 3 / 16, anywhere, ordinary))


def _tie(rows: dict[str, Array], random: np.random.Generator) -> None:
    """One row in three gets inputs that are equal, by their bits or as zeros of two signs, or next to each other."""
    names = list(rows)
    size = rows[names[0]].size
    for name, other in zip(names[1:], names, strict=False):
        same = random.random(size) < 1 / 3
        rows[name] = np.where(same, rows[other], rows[name])
        beside = same & (random.random(size) < 1 / 8) & np.isfinite(rows[other])
        rows[name] = np.where(beside, _next(rows[other]), rows[name])
    zeros = random.random(size) < 1 / 64
    for name in names:
        signed = np.where(random.random(size) < 0.5, 0.0, -0.0).astype(rows[name].dtype)
        rows[name] = np.where(zeros, signed, rows[name])


def _next(values: Array) -> Array:
    """The floats above, infinity above the largest."""
    return from_ordinal(ordinal(values) + 1, format_of(values.dtype))


# --- the largest of several ---


def _of_maximum(structure: Maximum, computes: str, arrays: Arrays, policy: Policy) -> list[Expected]:
    if policy not in TIES:
        raise InvalidSubgradient(f"a maximum's ties are not settled by {policy!r}; known: {', '.join(TIES)}")
    if computes == "forward-index" and policy not in ("first", "last"):
        raise InvalidSubgradient(
            f"{computes} keeps one of the inputs that are tied; say which: subgradient='first' or 'last'"
        )
    names = list(map(str, structure.inputs))
    if computes == "backward-from-index":
        grad, index = arrays["grad"], arrays["index"]
        lost = np.isnan(index)
        return [
            _exactly(f"d{name}", np.where(lost, grad * np.nan, np.where(index == place, grad, 0)), lost, grad)
            for place, name in enumerate(names)
        ]
    inputs = np.stack([arrays[name] for name in names])
    lost = np.isnan(inputs).any(axis=0)
    largest = np.max(np.where(lost, 0, inputs), axis=0)
    tied = inputs == largest
    if computes != "backward":
        value = _by_balls(structure, names, arrays, lost, largest)
        first = np.argmax(tied, axis=0)
        place = first if policy != "last" else len(names) - 1 - np.argmax(tied[::-1], axis=0)
        indices = _exactly("index", place.astype(largest.dtype), lost, largest)
        return [value, *([indices] if computes == "forward-index" else [])]
    grad = arrays["grad"]
    several = tied.sum(axis=0)
    found = []
    for number, name in enumerate(names):
        alone = {
            "first": tied[:number].sum(axis=0) == 0,
            "last": tied[number + 1 :].sum(axis=0) == 0,
        }.get(str(policy), np.ones(grad.shape, dtype=bool))
        mine = tied[number] & alone
        share = several if policy == "least-norm" else np.ones_like(several)
        ties = tied[number] & (several > 1) & ~lost
        whole = _exactly(f"d{name}", np.where(mine, grad, 0).astype(grad.dtype), lost, arrays[name])
        shared = np.flatnonzero(mine & (share > 1) & np.isfinite(grad))
        known = whole.known & np.isfinite(grad)
        other = np.zeros_like(grad) if policy == "any" else None
        found.append(replace(_with_shares(whole, shared, grad, share), known=known, ties=ties, other=other))
    return found


def _whole(structure: Maximum, arrays: Arrays) -> Expected:
    """Whatever each input gets at a tie, all of them together get the gradient."""
    names, grad = list(map(str, structure.inputs)), arrays["grad"]
    inputs = np.stack([arrays[name] for name in names])
    lost = np.isnan(inputs).any(axis=0)
    several = (inputs == np.max(np.where(lost, 0, inputs), axis=0)).sum(axis=0) > 1
    whole = _exactly(" + ".join(f"d{name}" for name in names), grad, lost, grad)
    return replace(whole, known=np.isfinite(grad), ties=several & ~lost)


def _by_balls(structure: Maximum, names: Sequence[str], arrays: Arrays, lost: Bools, largest: Array) -> Expected:
    """The maximum by the definition where all inputs are finite; beyond, by comparisons, which are exact."""
    whole = _exactly("y", largest, lost, arrays[names[-1]])
    function = _view(Activation("maximum", sympy.Max(*structure.inputs), structure.inputs), names[-1])
    finite = np.flatnonzero(np.logical_and.reduce([np.isfinite(arrays[name]) for name in names]))
    found = reference(function, arrays[names[-1]][finite], along={name: arrays[name][finite] for name in names[:-1]})
    return replace(whole, reference=_replaced(whole.reference, finite, found))


def _with_shares(whole: Expected, rows: npt.NDArray[Any], grad: Array, share: npt.NDArray[Any]) -> Expected:
    """The gradient in equal shares, rounded once."""
    parts = Symbol("parts", real=True)
    divided = Activation("share", x / parts, parameters=(Parameter(parts, 1),))
    found = reference(divided, grad[rows], along={"parts": share[rows].astype(np.float64)})
    return replace(whole, reference=_replaced(whole.reference, rows, found))


# --- one input times a function of another ---


def _of_gate(
    activation: Activation,
    structure: Gated,
    computes: str,
    arrays: Arrays,
    values: Mapping[Symbol, Expr],
    policy: Policy,
) -> list[Expected]:
    factor, gate = str(structure.factor), str(structure.variable)
    a, b = arrays[factor], arrays[gate]
    forward = expectation(structure.gate, _FORWARD, parameters=_named(structure.gate, values))
    ends = {sign: _end(forward.stated, sign) for sign in (1, -1)}
    settled = _named(activation, values)
    if computes == "forward":
        found = reference(_view(activation, gate), b, along={factor: a}, parameters=settled)
        return [_gated("y", found, b, (a,), forward.at(b).value, ends)]
    grad = arrays["grad"]
    one = np.ones_like(a)
    weighted = replace(activation, expr=_WEIGHT * activation.expr, parameters=(*activation.parameters, _WEIGHTED))
    # linear in the factor: the derivative by it is the value at factor 1, with the condition of the gate
    value = reference(_view(weighted, gate), b, along={factor: one, "weight": grad}, parameters=settled)
    by_factor = _gated(f"d{factor}", value, b, (grad,), forward.at(b).value, ends)
    sides = ("left", "right") if policy == "any" else (policy_of(structure.gate, policy, values),) * 2
    slopes = [
        expectation(structure.gate, _SLOPE, parameters=_named(structure.gate, values), subgradient=side)
        for side in sides
    ]
    slope_ends = {sign: _end(slopes[0].stated, sign) for sign in (1, -1)}
    found = reference(_view(weighted, gate), b, order=1, along={factor: a, "weight": grad}, parameters=settled)
    by_gate = _gated(f"d{gate}", found, b, (grad, a), slopes[0].at(b).value, slope_ends)
    chosen = [_at_kinks(by_gate, side.stated, b, grad, a) for side in slopes]
    by_gate = replace(chosen[0], other=chosen[1].reference.value if policy == "any" else None)
    return [{factor: by_factor, gate: by_gate}[str(name)] for name in activation.inputs]


def _gated(
    result: str,
    found: Reference,
    b: Array,
    factors: Sequence[Array],
    alone: Array,
    ends: Mapping[int, float],
) -> Expected:
    """A product with a function of b; at infinite inputs what IEEE 754 makes of the product of the limits."""
    wide = [_wide(array) for array in factors]
    infinite = np.isinf(_wide(b)) | np.logical_or.reduce([np.isinf(array) for array in wide])
    at_ends = np.where(_wide(b) > 0, ends[1], ends[-1])
    function = np.where(np.isinf(_wide(b)), at_ends, _wide(alone))
    # whether a function that is nearly 0 is 0, when multiplied by infinity, is a matter of its rounding
    vanishing = ~np.isinf(_wide(b)) & (np.abs(function) < format_of(b.dtype).smallest_normal)
    function = np.where(vanishing, 0.0, function)
    product = np.prod(np.stack([*wide, function]), axis=0)
    lost = np.isnan(_wide(b)) | np.logical_or.reduce([np.isnan(array) for array in wide])
    beyond = np.flatnonzero(infinite & ~lost)
    merged = _replaced(found, beyond, _settled(product[beyond].astype(b.dtype)))
    known = ~lost & ~(infinite & np.isnan(product))
    known[found.undecided] = False
    marked = np.where(lost, np.array(np.nan, b.dtype), b)
    return Expected(result, marked, merged, known | lost, np.zeros(b.shape, dtype=bool), least_product(*factors))


def _at_kinks(of: Expected, stated: Mapping[Expr, Expr], b: Array, grad: Array, a: Array) -> Expected:
    """With the slopes that a policy chooses, times both factors, at kinks that are floats."""
    second, slope = Symbol("second", real=True), Symbol("slope", real=True)
    product = Activation("product", x * second * slope, parameters=(Parameter(second, 1), Parameter(slope, 1)))
    ties, known, value = of.ties.copy(), of.known.copy(), of.reference
    for place, chosen in stated.items():
        if place.is_finite is False:
            continue
        rows = np.flatnonzero((_wide(b) == _float_at(place)) & np.isfinite(grad) & np.isfinite(a))
        if rows.size and chosen.is_finite:
            found = reference(product, grad[rows], along={"second": a[rows]}, parameters={"slope": chosen})
            value = _replaced(value, rows, found)
            ties[rows] = known[rows] = True
    return replace(of, reference=value, ties=ties, known=known)


# --- several values of one input ---


def _of_bundle(
    activation: Activation,
    structure: Bundle,
    computes: str,
    arrays: Arrays,
    values: Mapping[Symbol, Expr],
    policy: Policy,
) -> list[Expected]:
    (variable,) = map(str, activation.inputs)
    point = arrays[variable]
    found = []
    for number, part in enumerate(structure.parts, 1):
        whole = expectation(part, _FORWARD, parameters=_named(part, values))
        result = whole.at(point)
        known = whole.known(point)
        known[result.undecided] = False
        found.append(Expected(f"y{number}", point, result, known, np.zeros(point.shape, dtype=bool)))
    if computes == "forward":
        return found
    weights = [arrays[f"grad{number}"] for number, _ in enumerate(structure.parts, 1)]
    sides = ("left", "right") if policy == "any" else (policy,)
    sums = [_weighted_sum(structure, point, weights, values, side) for side in sides]
    return [replace(sums[0], other=sums[1].reference.value if len(sums) > 1 else None)]


def _weighted_sum(
    structure: Bundle, point: Array, weights: Sequence[Array], values: Mapping[Symbol, Expr], policy: Policy
) -> Expected:
    """The derivatives of the parts, each times its gradient, summed and rounded once."""
    symbols = [Symbol(f"weight{number}", real=True) for number, _ in enumerate(weights, 1)]
    parameters = {parameter for part in structure.parts for parameter in part.parameters}
    total = Activation(
        "total",
        sympy.Add(*(symbol * part.expr for symbol, part in zip(symbols, structure.parts, strict=True))),
        parameters=(*parameters, *(Parameter(symbol, 1) for symbol in symbols)),
    )
    along = {str(symbol): weight for symbol, weight in zip(symbols, weights, strict=True)}
    named = {str(symbol): value for symbol, value in values.items() if symbol in {p.symbol for p in parameters}}
    found = reference(total, point, order=1, along=along, parameters=named)
    slopes = [
        expectation(part, _SLOPE, parameters=_named(part, values), subgradient=policy_of(part, policy, values))
        for part in structure.parts
    ]
    ties = np.zeros(point.shape, dtype=bool)
    finite = np.logical_and.reduce([np.isfinite(weight) for weight in weights])
    places = {place for slope in slopes for place in slope.stated}
    known = np.isfinite(point) & finite
    known[found.undecided] = False
    for place in places:
        rows = np.flatnonzero((_wide(point) == _float_at(place)) & finite)
        chosen = [_slope_at(slope, place) for slope in slopes]
        if not rows.size or any(one.is_finite is not True for one in chosen):
            continue
        summed = replace(
            total, expr=sympy.Add(*(symbol * x * one for symbol, one in zip(symbols, chosen, strict=True)))
        )
        here = {name: weight[rows] for name, weight in along.items()}
        found = _replaced(
            found, rows, reference(summed, np.ones(rows.size, dtype=point.dtype), along=here, parameters=named)
        )
        known[rows] = True
        ties[rows] = place.is_finite is not False
    lost = np.isnan(point)
    return Expected("dx", point, found, known | lost, ties)


def _slope_at(slope: Expectation, place: Expr) -> Expr:
    """The derivative of one part where another one has a kink."""
    if place in slope.stated:
        return slope.stated[place]
    pieces = slope.pieces
    inside = next(piece for piece in pieces.pieces if piece.lower < place < piece.upper)
    return inside.expr.subs(pieces.variable, place)


# --- pieces of references ---

_WEIGHT = Symbol("weight", real=True)
_WEIGHTED = Parameter(_WEIGHT, 1)


def _view(activation: Activation, name: str) -> Activation:
    """The function of one of its inputs, the others as parameters."""
    varied = next(symbol for symbol in activation.inputs if str(symbol) == name)
    others = tuple(Parameter(symbol, 1) for symbol in activation.inputs if symbol != varied)
    return replace(activation, inputs=(varied,), parameters=(*activation.parameters, *others))


def _exactly(result: str, value: Array, lost: Bools, varied: Array) -> Expected:
    """A result that is one of the inputs, or 0: no rounding, no condition."""
    marked = np.where(
        lost, np.array(np.nan, varied.dtype), np.where(np.isfinite(varied), varied, 0).astype(varied.dtype)
    )
    everywhere = np.ones(value.shape, dtype=bool)
    stated = np.where(lost, np.array(np.nan, value.dtype), value)
    return Expected(result, marked, _settled(stated), everywhere, np.zeros_like(everywhere))


def _settled(value: Array) -> Reference:
    nothing = np.zeros(value.shape)
    return Reference(value, nothing, nothing.copy(), np.zeros(0, dtype=np.int64))


def _replaced(whole: Reference, rows: npt.NDArray[Any], part: Reference) -> Reference:
    """With other values in these rows."""
    value, offset, condition = whole.value.copy(), whole.offset.copy(), whole.condition.copy()
    value[rows], offset[rows], condition[rows] = part.value, part.offset, part.condition
    undecided = np.union1d(np.setdiff1d(whole.undecided, rows), rows[part.undecided])
    return Reference(value, offset, condition, undecided.astype(np.int64))


def _wide(array: Array) -> Floats:
    with np.errstate(invalid="ignore"):
        found: Floats = array.astype(np.float64)
    return found


def _end(stated: Mapping[Expr, Expr], sign: int) -> float:
    """The limit at one end, NaN where it is not settled."""
    limit = stated.get(sign * sympy.oo, sympy.nan)
    return float(limit)


def _float_at(place: Expr) -> float:
    """The float that equals a point, NaN where none does."""
    if place.is_finite is False:
        return float(place)
    number = exact(place)
    return float(number) if number.is_Rational and sympy.Rational(float(number)) == number else float("nan")


def _named(function: Activation, values: Mapping[Symbol, Expr]) -> dict[str, Expr]:
    """The values of the parameters that a function has, by name."""
    known = {parameter.symbol for parameter in function.parameters}
    return {str(symbol): value for symbol, value in values.items() if symbol in known}
