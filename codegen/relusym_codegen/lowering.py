"""`lower`: from an activation to a `Program`, by way of its pieces, the stable family and the tails."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy import Expr, Symbol

from relusym.activation import Activation
from relusym.calculus.derivatives import derivative, parameter_gradient
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Format, from_ordinal, ordinal, ulp
from relusym.pieces import Piece, Pieces, split
from relusym_codegen.anchors import Anchor, anchors
from relusym_codegen.arithmetic import NATIVE, Goal, arithmetic, error_at_level
from relusym_codegen.enclosures import enclosure
from relusym_codegen.literals import below, is_exact, nearest
from relusym_codegen.primitives import Hypot, HypotMean, HypotRatio, InverseQuadratic
from relusym_codegen.program import Builder, Operand, Program, evaluate
from relusym_codegen.reflections import MAGNITUDE, falling_side, one_sided, reflected
from relusym_codegen.rewrites import stabilise
from relusym_codegen.signatures import PARAMETERS
from relusym_codegen.tails import Tail, limit_at_infinity, tail
from relusym_codegen.translation import translate

COMPUTES = (
    "forward",
    "derivative",
    "second-derivative",
    "backward",
    "forward-derivative",
    PARAMETERS,
    "parameter-gradient:NAME",
)


@dataclass(frozen=True)
class Lowered:
    """A program, the inputs where its code changes (kinks, regimes), and what could not be made safe.

    Of arithmetic also the first-order bound of its error in ulps at the sample, and the functions of the platform's
    library that are left in it; `paired` says that some step is done in two floats.
    """

    program: Program
    thresholds: tuple[float, ...]
    warnings: tuple[str, ...]
    error: float = 0.0
    foreign: tuple[str, ...] = ()
    paired: bool = False


@dataclass(frozen=True)
class _Quantity:
    """One function to compute: `pieces` with elementary branches and chosen values, `stable` branches to run.

    With a `side` they are of the magnitude of the input, to be reflected as the derivative of this `order`.
    """

    pieces: Pieces
    stable: tuple[Expr, ...]
    side: int | None = None
    order: int = 0


def lower(
    activation: Activation,
    *,
    computes: str,
    work_format: Format,
    values: Mapping[Symbol, Expr],
    arguments: tuple[Symbol, ...] = (),
    subgradient: Policy = "least-norm",
    goal: Goal | None = None,
) -> Lowered:
    """The program of one quantity: inputs are `x`, `grad` where it takes one, then the `arguments` by name.

    With a `goal` it is arithmetic of that accuracy, else a formula with elementary functions.

    `values` are the exact values of all parameters; those in `arguments` stay inputs. Raises `InvalidRequest` for
    a quantity nobody knows.
    """
    return _lowered(_Request(activation, computes, work_format, tuple(values.items()), arguments, subgradient), goal)


@dataclass(frozen=True)
class _Request:
    """What is to be computed, of which function, in which format; `given` are the values of all parameters."""

    activation: Activation
    computes: str
    work_format: Format
    given: tuple[tuple[Symbol, Expr], ...]
    arguments: tuple[Symbol, ...]
    subgradient: Policy

    @property
    def values(self) -> dict[Symbol, Expr]:
        """The values by parameter."""
        return dict(self.given)

    @property
    def folded(self) -> dict[Symbol, Expr]:
        """The values of the parameters that are not inputs."""
        return {symbol: value for symbol, value in self.given if symbol not in self.arguments}


@lru_cache(maxsize=256)  # targets with the same goal have the same program
def _lowered(request: _Request, goal: Goal | None) -> Lowered:
    if goal is None:
        draft = _drafted(request, None, 0.0, None)
        return Lowered(draft.program, draft.thresholds, draft.warnings)
    drafts = []
    for form in (0, 1) if _falling_side(request) else (None,):
        drafts.append(_drafted(request, goal, _ANCHORED_FROM[0], form))
        if drafts[-1].anchored:
            # the further an anchor reaches the longer its polynomial, and the fewer steps elsewhere need two floats
            drafts += [_drafted(request, goal, multiple, form) for multiple in _ANCHORED_FROM[1:]]
    candidates = []
    for draft in dict.fromkeys(drafts):  # several may have come out the same
        inputs = _sample(draft, request.values, goal.result)
        for made in arithmetic(draft.program, inputs, goal):
            lowered = Lowered(made.program, draft.thresholds, draft.warnings, made.error, made.foreign, made.paired)
            candidates.append((lowered, inputs))
    candidates.sort(key=lambda candidate: len(candidate[0].program.lets))
    if goal.shown is None:
        return min((lowered for lowered, _ in candidates), key=lambda found: max(found.error, max(goal.ulps)))
    exact = _drafted(replace(request, work_format=FORMATS["float64"]), None, 0.0, None).program
    best: tuple[float, Lowered] | None = None
    for lowered, inputs in candidates:
        shown = _shown(lowered.program, exact, inputs, goal.result, goal.shown)
        # the truth lies between what inputs show and the sum of worst cases
        if shown <= goal.shown and shown * lowered.error <= _APART * goal.shown**2:
            return lowered
        if best is None or shown < best[0]:
            best = (shown, lowered)
    assert best is not None
    if math.isinf(best[0]):
        return replace(
            best[1], warnings=(*best[1].warnings, _told(request, "finite values come out as infinities or NaN"))
        )
    return best[1]


_APART = 1.8
"""How many times what a program may show its first-order bound may be, if it shows as much."""

_ANCHORED_FROM = (8.0, 4.0, 2.0, 1.25, 0.6, 0.35)
"""Multiples of a goal's largest bound that a formula may cost next to a root before an anchor takes over."""


def _shown(
    program: Program, exact: Program, inputs: Mapping[str, npt.NDArray[Any]], form: Format, limit: float
) -> float:
    """The largest error of a program's normal results, in ulps, against a formula run in float64.

    At these inputs and, as long as it stays within the limit, at many more, each time also beside the worst: of two
    programs of which a sample shows the same, one may be much worse at its worst.
    """
    parameters = {name: np.ravel(values)[:1] for name, values in inputs.items()}
    dense = _dense(form)
    shown = 0.0
    for x in (inputs["x"], dense[np.abs(dense) <= np.max(np.abs(inputs["x"]), initial=0.0)]):
        ulps = _ulps(program, exact, {**parameters, "x": x}, form)
        worst = np.unique(np.argsort(ulps)[-_REFINED:] % x.size)
        beside = np.add.outer(ordinal(x[worst].astype(form.dtype)), _OFFSETS).ravel()
        near = from_ordinal(beside, form).astype(np.float64)
        for found in (ulps, _ulps(program, exact, {**parameters, "x": near}, form)):
            shown = max(shown, float(np.max(found, initial=0.0)))
        if shown > limit:
            break
    return shown


_REFINED = 150
_OFFSETS = np.arange(-150, 150) * 3
"""Beside so many of the worst inputs so many floats are tried."""


@lru_cache(maxsize=4)
def _dense(form: Format) -> npt.NDArray[np.float64]:
    """Some 300,000 inputs, always the same: uniform where functions bend, and in the exponent."""
    random = np.random.default_rng(0)
    even = random.uniform(-16, 16, 180_000)
    powers = random.choice([-1.0, 1.0], 120_000) * np.exp2(random.uniform(-12, 7, 120_000))
    return np.concatenate([even, powers]).astype(form.dtype).astype(np.float64)


def _ulps(
    program: Program, exact: Program, inputs: Mapping[str, npt.NDArray[Any]], form: Format
) -> npt.NDArray[np.float64]:
    with np.errstate(all="ignore"):
        got = np.concatenate(evaluate(program, inputs)).astype(np.float64)
        want = np.concatenate(evaluate(exact, inputs))
        # subnormal results have errors of their own, which no choice of levels mends
        finite = np.isfinite(want) & (np.abs(want) <= form.max) & (np.abs(want) >= 4 * form.smallest_normal)
        ulps = np.where(finite, np.abs(got - want) / ulp(np.where(finite, want, 1.0), form), 0.0)
    return np.where(np.isnan(ulps), np.inf, ulps)


@dataclass(frozen=True)
class _Draft:
    """A program with elementary functions, before it is made arithmetic."""

    program: Program
    thresholds: tuple[float, ...]
    warnings: tuple[str, ...]
    anchored: bool


def _told(request: _Request, text: str) -> str:
    """A warning that says of what it speaks."""
    return f"{request.activation.name} {request.computes} in {request.work_format.name}: {text}"


@lru_cache(maxsize=64)
def _drafted(request: _Request, goal: Goal | None, anchored_from: float, form: int | None) -> _Draft:
    """The draft that anchors from so many times the goal's bound; `form` is which formula of one side to reflect."""
    symbol, computes, arguments = request.activation.inputs[0], request.computes, request.arguments
    side = None if form is None else _falling_side(request)
    takes_gradient = computes.startswith(("backward", "parameter-gradient:"))
    inputs = ("x", *(["grad"] if takes_gradient else []), *(str(argument) for argument in arguments))
    native = frozenset() if goal is None else NATIVE
    b = Builder(inputs, request.work_format, native, None if goal is None else goal.result)
    operands: dict[Symbol, Operand] = {symbol: "x", **{argument: str(argument) for argument in arguments}}
    results: list[Operand] = []
    thresholds: set[float] = set()
    warnings: list[str] = []
    anchored = False
    for whole in _quantities(request):
        quantity = whole if form is None or side is None else _of_one_side(whole, side, form)
        inside = takes_gradient and _grows(quantity)
        factor = "grad" if inside else None
        assembly = _Assembly(b, quantity, operands, arguments, factor, goal, anchored_from)
        value = assembly.result()
        results.append(b("mul", "grad", value) if takes_gradient and not inside else value)
        warnings += _cancellations(quantity)
        thresholds |= assembly.thresholds
        warnings += assembly.warnings
        anchored = anchored or assembly.anchored
    named = tuple(_told(request, text) for text in warnings)
    return _Draft(b.program(*results), tuple(sorted(thresholds)), named, anchored)


def _sample(draft: _Draft, values: Mapping[Symbol, Expr], form: Format) -> dict[str, npt.NDArray[Any]]:
    """Inputs at which the error of a program is estimated: everywhere, and closer and closer to its thresholds."""
    steps = np.exp2(-np.arange(1.0, form.precision + 2))
    close = [
        at + side * max(abs(at), 2.0**-10) * steps
        for at in draft.thresholds
        if abs(at) < form.max / 4
        for side in (-1, 1)
    ]
    x = np.unique(np.concatenate([sample(form), *close]).astype(form.dtype))
    x = x[np.isfinite(x)]
    if any(let.operation in ("sin", "cos", "sin_shifted") for let in draft.program.lets):
        x = x[np.abs(x.astype(np.float64)) <= _SINES_UP_TO]
    parameters = {str(symbol): np.array(float(value)) for symbol, value in values.items()}
    inputs = {"x": x.astype(np.float64), "grad": np.ones(x.shape), **parameters}
    return {name: inputs[name] for name in draft.program.inputs}


_SINES_UP_TO = 2.0**20
"""The sine of larger arguments is not promised."""


def sample(form: Format) -> npt.NDArray[Any]:
    """Some 40,000 inputs: evenly spaced where functions bend, evenly in the exponent there and everywhere."""
    even = np.linspace(-16, 16, 12000)
    moderate = np.exp2(np.linspace(max(-16, form.min_exponent), min(5, form.max_exponent), 12000))
    powers = np.exp2(np.linspace(form.min_exponent, form.max_exponent, 2000))
    return np.concatenate([even, moderate, -moderate, powers, -powers]).astype(form.dtype)


def _cancellations(quantity: _Quantity) -> list[str]:
    """A line for each branch that loses digits which conditioning does not explain."""
    lines, variable = [], quantity.pieces.variable
    for expr, piece in zip(quantity.stable, quantity.pieces.pieces, strict=True):
        if expr.has(variable):
            loss, at = _measured_loss(expr, variable, piece.lower, piece.upper)
            if loss > _TOLERABLE:
                lines.append(f"the formula {expr} cancels, for example at x = {at.hex()}; no rewrite is known")
    return lines


_TOLERABLE = 256.0
"""Float64 ulps beyond conditioning, on the points of the measurement, from which a formula is called unsafe."""


def _grows(quantity: _Quantity) -> bool:
    """Whether a branch grows without bound, so that it may overflow where its product with a gradient does not."""
    variable = quantity.pieces.variable
    return any(
        expr.is_polynomial(variable) and expr.has(variable) for expr in (quantity.stable[0], quantity.stable[-1])
    )


def _quantities(request: _Request) -> list[_Quantity]:
    activation, computes = request.activation, request.computes
    if computes.startswith("parameter-gradient:"):
        name = computes.partition(":")[2]
        for parameter in activation.parameters:
            if parameter.name == name:
                return [_parameter_gradient(request, parameter.symbol)]
        known = ", ".join(parameter.name for parameter in activation.parameters) or "none"
        raise InvalidRequest(f"{activation.name} has no parameter {name!r}; its parameters: {known}")
    orders = {
        "forward": (0,),
        "derivative": (1,),
        "backward": (1,),
        PARAMETERS: (1,),
        "second-derivative": (2,),
        "forward-derivative": (0, 1),
    }.get(computes)
    if orders is None:
        raise InvalidRequest(f"nobody knows how to compute {computes!r}; known: {', '.join(COMPUTES)}")
    pieces = split(activation, request.folded)
    quantities = []
    for order in orders:
        shown = pieces
        if order:
            shown = derivative(pieces, order, policy=request.subgradient, stated=activation.subgradients)
        stable = tuple(
            _stable_form(piece.expr, pieces.variable, order, pieces.variable, piece.lower, piece.upper)
            for piece in pieces.pieces
        )
        quantities.append(_Quantity(shown, stable, order=order))
    if computes == PARAMETERS:
        quantities += [_parameter_gradient(request, symbol) for symbol in request.arguments]
    return quantities


@lru_cache(maxsize=64)
def _falling_side(request: _Request) -> int | None:
    """The side from which the function can be reflected, if it can: not where a parameter is an argument."""
    if request.arguments or request.computes.startswith("parameter-gradient:"):
        return None
    pieces = split(request.activation, request.values)
    return None if pieces.breakpoints else falling_side(pieces.pieces[0].expr, pieces.variable)


def _of_one_side(quantity: _Quantity, side: int, form: int) -> _Quantity:
    """The quantity as a function of the magnitude of x, for x on this side, in one of its formulas."""
    formulas = one_sided(quantity.stable[0], quantity.pieces.variable, side)
    formula = formulas[min(form, len(formulas) - 1)]
    half = Pieces(MAGNITUDE, (Piece(formula, sympy.S.Zero, sympy.oo),), (), ())
    return _Quantity(half, (formula,), side, quantity.order)


def _parameter_gradient(request: _Request, symbol: Symbol) -> _Quantity:
    others = {parameter: value for parameter, value in request.folded.items() if parameter != symbol}
    pieces = split(request.activation, others)
    shown = parameter_gradient(pieces, symbol, policy=request.subgradient)
    stable = tuple(
        _stable_form(piece.expr, pieces.variable, 1, symbol, piece.lower, piece.upper) for piece in pieces.pieces
    )
    if symbol in request.arguments:
        return _Quantity(shown, stable)
    fixed = {symbol: request.values[symbol]}
    return _Quantity(_substituted(shown, fixed), tuple(expr.subs(fixed) for expr in stable))


def _substituted(pieces: Pieces, fixed: Mapping[Symbol, Expr]) -> Pieces:
    def at(expr: Expr) -> Expr:
        return expr.subs(fixed)

    return Pieces(
        pieces.variable,
        tuple(type(piece)(at(piece.expr), at(piece.lower), at(piece.upper)) for piece in pieces.pieces),
        tuple(map(at, pieces.breakpoints)),
        tuple(map(at, pieces.values)),
    )


@lru_cache(maxsize=512)
def _stable_form(expr: Expr, variable: Symbol, order: int, by: Symbol, lower: Expr, upper: Expr) -> Expr:
    """The derivative of this order in the stable family, in the form that measures best.

    Differentiating the rewritten formula is usually best; where terms of the sum cancel, collecting it over one
    denominator may be better. Both are run in float64 on points of the interval and compared with balls.
    """
    stable = stabilise(expr, variable)
    for _ in range(order):
        stable = stabilise(sympy.diff(stable, by), variable)
    if not stable.is_Add:
        return stable
    candidates = [stable]
    elementary = stabilise(sympy.diff(expr, by, order), variable)
    for rearranged in (
        sympy.factor_terms(stable),
        _over_one_denominator(stable),
        elementary,
        _over_one_denominator(elementary),
    ):
        candidate = stabilise(rearranged, variable)
        # a rearrangement must bring in no exponential of its own: it could be one that grows
        if candidate not in candidates and candidate.atoms(sympy.exp) <= stable.atoms(sympy.exp):
            candidates.append(candidate)
    if len(candidates) == 1:
        return stable
    scores = [_measured_loss(candidate, variable, lower, upper)[0] for candidate in candidates]
    least = min(scores)
    good = [candidate for candidate, score in zip(candidates, scores, strict=True) if score <= least + 0.25]
    return min(good, key=lambda candidate: int(sympy.count_ops(candidate)))


def _over_one_denominator(expr: Expr) -> Expr:
    """One fraction with a factored numerator; hypotenuses are opened there, so that r^2 - x^2 can become c."""
    opened = expr.replace(InverseQuadratic, InverseQuadratic.definition).replace(Hypot, Hypot.definition)
    return sympy.factor(sympy.together(opened), deep=False)


@lru_cache(maxsize=2048)
def _measured_loss(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> tuple[float, float]:
    """Largest error in float64 ulps beyond what the condition number explains, and the point that shows it."""
    form = FORMATS["float64"]
    free = sorted(expr.free_symbols - {variable}, key=str)
    expr = expr.subs(dict.fromkeys(free, sympy.S.One))
    limits = [bound.subs(dict.fromkeys(free, sympy.S.One)) for bound in (lower, upper)]
    points = [at for at in _POINTS if limits[0] < at and at < limits[1]]
    b = Builder(("x",), form)
    got = evaluate(b.program(translate(b, expr, {variable: "x"})), {"x": np.array(points, dtype=np.float64)})[0]
    worst, where = 0.0, 0.0
    for at, value in zip(points, got, strict=True):
        exact = enclosure(expr, variable, at)
        nearby = enclosure(expr, variable, at + at / 2**30)
        if exact is None or nearby is None or not np.isfinite(value):
            continue
        if exact == 0:
            if value != 0:
                worst, where = float("inf"), float(at)
            continue
        if abs(exact) < 2.0**-960:
            continue
        condition = abs(float(((nearby - exact) / exact).mid())) * 2.0**30
        error = abs(float(((exact - value) / exact).mid())) / form.epsilon
        if error / (1 + condition) > worst:
            worst, where = error / (1 + condition), float(at)
    return worst, where


_POINTS: tuple[Fraction, ...] = tuple(Fraction(whole, 2) for whole in range(-8, 9) if whole) + tuple(
    sign * Fraction(mantissa) * Fraction(2) ** exponent
    for sign in (-1, 1)
    for exponent in (-60, -40, -26, -20, -14, -10, *range(-7, 7), 9, 12, 16, 20, 26, 40)
    for mantissa in (np.linspace(1.02, 1.97, 20) if -1 <= exponent <= 2 else (1.1875, 1.640625))
)


_FACTOR = Symbol("grad", real=True)


class _Assembly:
    """Joins the branches of one quantity: clamped operands, selects, tails, NaN handed on.

    `factor`, where given, multiplies every branch on its own, before its constants do.
    """

    def __init__(
        self,
        b: Builder,
        quantity: _Quantity,
        operands: Mapping[Symbol, Operand],
        arguments: tuple[Symbol, ...],
        factor: Operand | None,
        goal: Goal | None,
        anchored_from: float,
    ) -> None:
        self.goal = goal
        self.anchored_from = anchored_from
        self.anchored = False
        self.b = b
        self.quantity = quantity
        self.pieces = quantity.pieces
        self.stable = quantity.stable
        self.variable = quantity.pieces.variable
        self.source: Operand = "x" if quantity.side is None else b("abs", "x")
        self.operands = {**operands, self.variable: self.source}
        self.arguments = arguments
        self.factor = factor
        self.thresholds: set[float] = set()
        self.warnings: list[str] = []

    def result(self) -> Operand:
        """The operand that holds the quantity for every input."""
        if self.quantity.side is not None:
            value = reflected(self.b, self.quantity.order, self.quantity.side, self._branch(0))
            self.thresholds |= {-threshold for threshold in self.thresholds}
            return value
        for point in self.pieces.breakpoints:
            if not point.free_symbols:
                self.thresholds.add(nearest(point, self.b.work_format))
        carriers = [index for index, expr in enumerate(self.stable) if expr.has(self.variable)]
        base = carriers[-1] if carriers else 0
        value = self._branch(base)
        for index in range(base + 1, len(self.stable)):
            value = self._join(value, index, index - 1, rightwards=True)
        for index in range(base - 1, -1, -1):
            value = self._join(value, index, index, rightwards=False)
        for index in range(len(self.pieces.breakpoints)):
            value = self._stated_value(value, index)
        if not carriers and self.factor is None:
            value = self.b("select", self.b("ne", "x", "x"), "x", value)
        return value

    def _operand(self, expr: Expr) -> Operand:
        return translate(self.b, expr, self.operands)

    def _value(self, expr: Expr, variable: Operand) -> Operand:
        """`expr` at an operand, times the factor."""
        operands = {**self.operands, self.variable: variable}
        if self.factor is None:
            return translate(self.b, expr, operands)
        if expr == 0:
            return self.b("mul", self.factor, 0.0)
        return translate(self.b, _FACTOR * expr, {**operands, _FACTOR: self.factor})

    def _branch(self, index: int) -> Operand:
        """One branch, its operand clamped to where the branch is used, its infinite ends mended."""
        expr, piece = self.stable[index], self.pieces.pieces[index]
        if not expr.has(self.variable):
            return self._value(expr, self.source)
        operand = self.source
        selects: list[tuple[str, Operand, float, Operand]] = []
        straight = expr.is_polynomial(self.variable) and sympy.degree(expr, self.variable) <= 1
        for side, bound in ((-1, piece.lower), (1, piece.upper)):
            clamp = "max" if side < 0 else "min"
            if bound not in (sympy.oo, -sympy.oo):
                if not expr.is_polynomial(self.variable) and self.quantity.side is None:
                    operand = self.b(clamp, operand, self._operand(bound))
                continue
            if straight:
                continue
            remedy, scale = self._tail(expr, side)
            beyond = "lt" if side < 0 else "gt"
            if remedy.threshold is not None:
                edge = side * remedy.threshold
                self.thresholds.add(edge)
                if scale == 1:
                    operand = self.b(clamp, operand, edge)
                if remedy.asymptote is not None:
                    # where parameters are inputs what lies beyond is computed, too, and discarded
                    at = self.source if scale == 1 else self.b("mul", self.source, self._operand(scale))
                    selects.append((beyond, at, edge, self._value(remedy.asymptote, self.source)))
            if remedy.limit is not None:
                selects.append(("eq", self.source, side * float("inf"), self._value(remedy.limit, self.source)))
            if remedy.defects:
                self.warnings.append(
                    f"the formula {expr} overflows where its value does not, for example at "
                    f"x = {(side * remedy.defects[0]).hex()}; no rewrite is known"
                )
        value = self._value(expr, operand)
        scaled, scale, constant = self._without_arguments(expr)
        for anchor in self._anchors(scaled, piece):
            at = self.source if scale == 1 else self.b("mul", self.source, self._operand(scale))
            factors = [*([] if constant == 1 else [self._operand(constant)]), *([self.factor] if self.factor else [])]
            value = anchor.select(self.b, at, value, factors)
            self.anchored = True
            self.thresholds |= {float(anchor.root), anchor.root - anchor.reach, anchor.root + anchor.reach}
        for comparison, at, edge, far in selects:
            value = self.b("select", self.b(comparison, at, edge), far, value)
        return value

    def _without_arguments(self, expr: Expr) -> tuple[Expr, Expr, Expr]:
        """G, k and c with expr = c G(k x), G free of the arguments; (expr, 1, 1) where there are none such."""
        unchanged = expr, sympy.S.One, sympy.S.One
        if not any(expr.has(argument) for argument in self.arguments):
            return unchanged
        scale = _inner_coefficient(expr, self.variable)
        if scale is None or not scale.free_symbols:
            return unchanged
        scaled = sympy.factor_terms(expr.subs(self.variable, self.variable / scale))
        constant, rest = scaled.as_independent(self.variable, as_Add=False)
        return (rest, scale, constant) if rest.free_symbols == {self.variable} else unchanged

    def _anchors(self, expr: Expr, piece: Piece) -> list[Anchor]:
        """Polynomials around the roots where this branch loses its digits; none for a formula with arguments."""
        if self.goal is None or expr.free_symbols != {self.variable}:
            return []
        tolerable = self.anchored_from * max(self.goal.ulps)
        return _anchors_of(expr, self.variable, piece.lower, piece.upper, self.b.work_format, self.goal, tolerable)

    def _tail(self, expr: Expr, side: int) -> tuple[Tail, Expr]:
        """The remedy at one infinite end, and the factor k of the input x: what is beyond the threshold is k x.

        Where parameters are inputs, the remedy must be the same for several values of them, negative ones too where
        they are allowed: then it is the end of k x, and that of x is the other.
        """
        free = [argument for argument in self.arguments if expr.has(argument)]
        if not free:
            return _cached_tail(expr, self.variable, side, self.b), sympy.S.One
        scale = _inner_coefficient(expr, self.variable)
        rational = not expr.atoms(sympy.Function) - expr.atoms(Hypot, HypotMean, HypotRatio, InverseQuadratic)
        if scale is None or rational:
            # no threshold fits every value of the arguments; at infinity itself they may agree
            limits = {limit_at_infinity(expr.subs(at), self.variable, side) for at in _trials(free)}
            if len(limits) == 1:
                return Tail(limit=limits.pop()), sympy.S.One
            wanting = not rational and any(
                _cached_tail(expr.subs(at), self.variable, side, self.b) != Tail() for at in _trials(free)
            )
            return Tail(defects=(math.inf,) if wanting else ()), sympy.S.One
        threshold, asymptotes = 0.0, set()
        for at in _trials(free):
            factor = float(scale.subs(at))
            outwards = side if factor > 0 else -side
            tried = expr.subs(at)
            remedy = _cached_tail(tried, self.variable, outwards, self.b)
            if remedy.threshold is not None:
                threshold = max(threshold, remedy.threshold * abs(factor))
                constant = limit_at_infinity(tried, self.variable, outwards)
                asymptotes.add(constant if remedy.asymptote is None else remedy.asymptote)
        return (Tail(threshold * 1.25, asymptotes.pop()) if len(asymptotes) == 1 else Tail()), scale

    def _edge(self, index: int) -> tuple[Operand, bool]:
        """Breakpoint `index` as an operand, and whether it stands for the exact point itself."""
        point = self.pieces.breakpoints[index]
        if point.free_symbols:
            return self._operand(point), True
        if is_exact(point, self.b.work_format):
            return nearest(point, self.b.work_format), True
        return below(point, self.b.work_format), False

    def _join(self, value: Operand, index: int, at: int, *, rightwards: bool) -> Operand:
        """`value` with branch `index` taken to the right (left) of breakpoint `at`."""
        edge, exact = self._edge(at)
        branch = self._branch(index)
        included = self._belongs(at, index)
        expr = self.stable[index]
        if branch == edge and exact and not expr.has(self.variable) and self._is_clamp_of_input(value):
            return self.b("min" if rightwards else "max", value, edge)
        # no float lies between a breakpoint that is none and the largest float below it
        closed = ("ge", "gt") if rightwards else ("le", "lt")
        comparison = closed[0 if included else 1] if exact else ("gt" if rightwards else "le")
        return self.b("select", self.b(comparison, "x", edge), branch, value)

    def _is_clamp_of_input(self, value: Operand) -> bool:
        """Whether `value` is the input itself or the input clamped, so that a constant outer branch is a clamp too."""
        return value == "x" or self.b.is_chain(value, ("max", "min"), "x")

    def _belongs(self, at: int, index: int) -> bool:
        """Whether the stated value at a breakpoint is the limit of branch `index` there."""
        return _equal(self.pieces.values[at], self._side_limit(at, index))

    def _side_limit(self, at: int, index: int) -> Expr:
        point = self.pieces.breakpoints[at]
        return self.pieces.pieces[index].expr.subs(self.variable, point)

    def _stated_value(self, value: Operand, at: int) -> Operand:
        """A value at a breakpoint that neither neighbour has gets a select of its own."""
        if self._belongs(at, at) or self._belongs(at, at + 1):
            return value
        edge, exact = self._edge(at)
        if not exact:
            return value
        return self.b("select", self.b("eq", "x", edge), self._value(self.pieces.values[at], "x"), value)


def _equal(first: Expr, second: Expr) -> bool:
    if first == second:
        return True
    if first is sympy.nan or second is sympy.nan:
        return False
    if first.is_finite is False or second.is_finite is False:
        return False
    if not first.free_symbols | second.free_symbols:
        # twenty digits are enough to choose between two comparisons that differ at one point
        one, other = (enclosure(value, sympy.Dummy(), Fraction(0)) for value in (first, second))
        return one is not None and other is not None and bool(abs(one - other) <= abs(one) * 2.0**-70)
    return bool(sympy.simplify(first - second) == 0)


def _trials(free: Sequence[Symbol]) -> list[dict[Symbol, Expr]]:
    """Values of parameters to try a remedy at: different ones for each, and of both signs where those are allowed."""
    choices = []
    signs = itertools.product(*((1,) if symbol.is_positive else (1, -1) for symbol in free))
    for chosen in signs:
        for size in (sympy.S.One, sympy.Integer(4), sympy.Rational(1, 4)):
            spread = [sign * size * sympy.Rational(3, 2) ** index for index, sign in enumerate(chosen)]
            choices.append(dict(zip(free, spread, strict=True)))
    return choices


def _inner_coefficient(expr: Expr, variable: Symbol) -> Expr | None:
    """K where every transcendental function of `expr` takes (a number times) k x; None where they differ."""
    found: set[Expr] = set()
    for node in expr.atoms(sympy.Function):
        for argument in node.args:
            if argument.has(variable) and not argument.has(sympy.Function):
                coefficient = argument.coeff(variable)
                if not _equal(argument, coefficient * variable):
                    return None
                found.add(
                    coefficient.as_independent(*coefficient.free_symbols)[1]
                    if coefficient.free_symbols
                    else sympy.S.One
                )
    return found.pop() if len(found) == 1 else (sympy.S.One if not found else None)


@lru_cache(maxsize=1024)
def _anchors_of(
    expr: Expr, variable: Symbol, lower: Expr, upper: Expr, work: Format, goal: Goal, tolerable: float
) -> list[Anchor]:
    x = np.unique(sample(FORMATS["float32"]).astype(np.float64))
    x = x[(x > float(lower)) & (x < float(upper)) & (np.abs(x) < 64)]
    error = _error_beside(expr, variable, work, goal)
    return anchors(expr, variable, x, error, tolerable=tolerable, work=work, result=goal.result)


@lru_cache(maxsize=64)
def _error_beside(expr: Expr, variable: Symbol, work: Format, goal: Goal) -> Callable[[float, float], float]:
    b = Builder(("x",), work, NATIVE, goal.result)
    program = b.program(translate(b, expr, {variable: "x"}))

    @lru_cache
    def error(root: float, distance: float) -> float:
        distances = distance * (1 + np.arange(9) / 8)
        return float(np.max(error_at_level(program, np.concatenate([root - distances, root + distances]), goal)))

    return error


def _cached_tail(expr: Expr, variable: Symbol, side: int, b: Builder) -> Tail:
    return _tail_of(expr, variable, side, b.work_format, b.native)


_tail_of = lru_cache(maxsize=4096)(tail)
