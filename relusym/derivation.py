"""Every fact of one activation: the claim, how it is settled, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import sympy
from sympy import Expr, Symbol

from relusym.balls import combined, order
from relusym.calculus import bounds, shape
from relusym.calculus.antiderivatives import antiderivative
from relusym.calculus.constants import gelu_tanh_constant, quick_gelu_constant, selu_constants
from relusym.calculus.continuity import continuity_class
from relusym.calculus.derivatives import parameter_gradient
from relusym.calculus.expansions import asymptote, expansion_at_infinity, series_at
from relusym.calculus.inverses import inverse
from relusym.calculus.limits import limits_at_infinity
from relusym.calculus.moments import gain, gaussian_measure, gaussian_moment
from relusym.calculus.sign_tables import tables
from relusym.calculus.subdifferentials import Kink
from relusym.calculus.symmetry import identities, parity
from relusym.deadline import within
from relusym.errors import Undecided
from relusym.facts import Absent, Certificate, Enclosed, Fact, Real, RealSet, Value, Verdict
from relusym.pieces import Pieces, joined, value_at

_SECONDS = 2.0  # for one expansion

Finding: TypeAlias = "tuple[Value, str]"
"""A value, and the method that proves it."""


@dataclass(frozen=True)
class Subject:
    """What the facts are about: the name, f in pieces, f' with its values at the breakpoints, kinks, and the formula.

    `symbolic` is f with all parameters as symbols, where that is possible; sigma is the standard deviation of the
    pre-activations in the statements on Gaussian inputs.
    """

    name: str
    pieces: Pieces
    derivative: Pieces
    kinks: tuple[Kink, ...]
    symbolic: Pieces | None
    parameters: tuple[Symbol, ...]
    sigma: Expr


class Facts(Mapping[str, Fact]):
    """All facts of a subject by their identifiers, each derived when first asked for.

    What cannot be settled is UNKNOWN, with the reason.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._known: dict[str, Fact] = {}

    def __getitem__(self, name: str) -> Fact:
        if name not in self._known:
            claim, settle = _CLAIMS[name]
            fact = settled(claim.format(sigma=self._subject.sigma), lambda: settle(self._subject, self))
            if name in _RESTS_ON and fact.verdict is Verdict.PROVED:
                fact = replace(
                    fact, certificate=Certificate("sign tables and breakpoints", {"orders": _RESTS_ON[name]})
                )
            self._known[name] = fact
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_CLAIMS)

    def __len__(self) -> int:
        return len(_CLAIMS)

    def __contains__(self, name: object) -> bool:
        return name in _CLAIMS


def settled(claim: str, settle: Callable[[], tuple[Value, str] | tuple[Value, str, tuple[str, ...]]]) -> Fact:
    """A proved fact of what `settle` finds, or an unknown one with the reason why not."""
    try:
        value, method, *conditions = settle()
    except Undecided as reason:
        return Fact(claim, Verdict.UNKNOWN, Absent(str(reason)), "not settled")
    return Fact(claim, Verdict.PROVED, value, method, conditions=conditions[0] if conditions else ())


def _value(known: Mapping[str, Fact], name: str) -> Value:
    """The value of an earlier fact, on which another rests."""
    fact = known[name]
    if fact.verdict is Verdict.UNKNOWN:
        assert isinstance(fact.value, Absent)
        raise Undecided(f"{name.replace('_', ' ')} is not known: {fact.value.reason}")
    return fact.value


# --- smoothness ---


def _continuity(subject: Subject, known: Mapping[str, Fact]) -> tuple[Value, str, tuple[str, ...]]:
    found = continuity_class(subject.pieces)
    order: Value = "infinity" if found.order is sympy.oo else int(found.order)
    method = "one-sided limits of f, f', f'', ... at the breakpoints" if subject.pieces.breakpoints else "no breakpoint"
    return order, method, tuple(f"{difference} != 0" for difference in found.differences)


def _kinks(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return tuple(map(kink_value, subject.kinks)), "one-sided limits of f and f' on the smooth pieces"


def kink_value(kink: Kink) -> Mapping[str, Value]:
    """A kink as the value of a fact."""
    return {
        "at": kink.at,
        "left": _number(kink.left),
        "right": _number(kink.right),
        "clarke": kink.clarke,
        "chosen": _number(kink.chosen),
        "in_clarke": kink.in_clarke,
    }


def _number(limit: Expr) -> Value:
    return Absent("no limit exists") if limit is sympy.nan else limit


def _lipschitz(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return bounds.lipschitz_constant(subject.pieces), _by_tables(
        subject,
        2,
        "sup |f'| at zeros of f'' and one-sided limits; oo at jumps",
    )


# --- shape ---


def _by_tables(subject: Subject, order: int, how: str) -> str:
    """`how`, and by what the zeros that it needs were found and shown to be all."""
    found = [zero for table in tables(subject.pieces, order) for zero in table.zeros]
    if not found:
        return how
    if all(isinstance(zero.at, Expr) for zero in found):
        return f"{how}; zeros exact"
    return f"{how}; zeros in balls, none missed"


def _range(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    how = "values at zeros of f' and breakpoints, limits"
    return bounds.value_range(subject.pieces), _by_tables(subject, 1, how)


def _derivative_range(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    how = "values at zeros of f'' and limits, where f' exists"
    return bounds.value_range(subject.pieces, 1), _by_tables(subject, 2, how)


def _zeros(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return shape.zeros(subject.pieces), _by_tables(subject, 0, "complete zeros of every piece")


def _extremum(direction: int) -> Callable[[Subject, Mapping[str, Fact]], Finding]:
    def places(subject: Subject, known: Mapping[str, Fact]) -> Finding:
        _, attained, where = bounds.extremum(subject.pieces, direction)
        how = "where critical values reach the end of the range"
        return where, _by_tables(subject, 1, how if attained else "the end of the range is only approached")

    return places


def _inflections(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return shape.inflections(subject.pieces), _by_tables(
        subject, 2, "changes of the sign of f'' where a tangent exists"
    )


def _dead_region(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return shape.dead_region(subject.pieces), "pieces whose derivative is zero"


def _sign(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return shape.sign_sets(subject.pieces), _by_tables(subject, 0, "signs between the zeros")


def _monotonicity(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return shape.monotonicity(subject.pieces), _by_tables(subject, 1, "signs of f' and of the jumps")


def _convexity(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return shape.convexity(subject.pieces), _by_tables(subject, 2, "signs of f'' and of the steps of f'")


def _intervals(
    words: Mapping[int, str], runs: Callable[[Pieces], tuple[tuple[shape.Run, ...], Expr | None]], derivative: int
) -> Callable[[Subject, Mapping[str, Fact]], Finding]:
    def found(subject: Subject, known: Mapping[str, Fact]) -> Finding:
        parts, period = runs(subject.pieces)
        value: tuple[Value, ...] = tuple(
            {
                "lower": run.lower,
                "upper": run.upper,
                "shape": words[run.sign],
                **({"period": period} if period is not None else {}),
            }
            for run in parts
        )
        return value, _by_tables(subject, derivative, "signs between the zeros")

    return found


def _bounded(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    values = _value(known, "range")
    assert isinstance(values, RealSet)
    below, above = values.components[0].inf, values.components[-1].sup
    return {"below": below is not -sympy.oo, "above": above is not sympy.oo}, "ends of the range"


# --- ends ---


def _ends(function: Callable[[Subject], Pieces]) -> Callable[[Subject, Mapping[str, Fact]], Finding]:
    def limits(subject: Subject, known: Mapping[str, Fact]) -> Finding:
        at_ends = zip(("-oo", "+oo"), limits_at_infinity(function(subject)), strict=True)
        return {end: _number(limit) for end, limit in at_ends}, "limit of the outermost smooth pieces"

    return limits


def _asymptotes(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    found: dict[str, Value] = {}
    for side, end in ((-1, "-oo"), (1, "+oo")):
        line = asymptote(subject.pieces, side)
        found[end] = (
            Absent("f - (m x + c) tends to 0 for no m and c")
            if line is None
            else {"slope": line[0], "intercept": line[1]}
        )
    return found, "m = lim f', c = lim (f - m x)"


def _saturates(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    limits = _value(known, "derivative_limits")
    assert isinstance(limits, Mapping)
    return {end: limit == 0 for end, limit in limits.items()}, "whether f' tends to 0"


_PRODUCTS = {
    -1: "the product of n slopes is at most (sup |f'|)^n, which tends to 0",
    0: "the product of n slopes is at most 1, and smaller wherever a slope is below 1",
    1: "the product of n slopes is at most (sup |f'|)^n, which grows: no bound that vanishes",
}


def _vanishing_gradient(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    factor = _value(known, "lipschitz")
    assert isinstance(factor, Expr | Enclosed)
    if factor is sympy.oo:
        statement = "slopes are unbounded: no bound on the product of n of them"
    else:
        size = order(factor, sympy.S.One)
        if size is None:
            raise Undecided("whether sup |f'| is below 1")
        statement = _PRODUCTS[size]
    return {"supremum": factor, "statement": statement}, "sup |f'| is the Lipschitz constant"


def _dying(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    region, chance = _value(known, "dead_region"), _value(known, "derivative_zero_probability")
    assert isinstance(region, RealSet)
    if not region.components:
        return {
            "possible": False,
            "statement": "f' is zero on no interval: some gradient always comes through",
        }, "the dead region is empty"
    statement = "a unit whose pre-activations all lie in the dead region gets no gradient and stays as it is"
    return {"possible": True, "probability": chance, "statement": statement}, "f' is zero on the dead region"


# --- Gaussian inputs ---


def _measure(region: str) -> Callable[[Subject, Mapping[str, Fact]], Finding]:
    def probability(subject: Subject, known: Mapping[str, Fact]) -> Finding:
        where = _value(known, region)
        assert isinstance(where, RealSet)
        parts = [part for part in where.components if part.inf is not part.sup]
        total: Real = sympy.S.Zero
        for part in parts:
            total = _sum(total, gaussian_measure(_scaled(part.inf, subject.sigma), _scaled(part.sup, subject.sigma)))
        return bounds.simplest(total) if isinstance(total, Expr) else total, "normal distribution function at the ends"

    return probability


def _scaled(end: Real, sigma: Expr) -> Real:
    if isinstance(end, Expr):
        return end / sigma
    return combined(f"{end.definition} over {sigma}", lambda one, other: one / other, end, sigma)


def _sum(one: Real, other: Real) -> Real:
    if isinstance(one, Expr) and isinstance(other, Expr):
        return one + other
    return combined("a sum of probabilities", lambda a, b: a + b, one, other)


def _moment(power: int, *, of_derivative: bool = False) -> Callable[[Subject, Mapping[str, Fact]], Finding]:
    def moment(subject: Subject, known: Mapping[str, Fact]) -> Finding:
        function = subject.derivative if of_derivative else subject.pieces
        value = gaussian_moment(function, power, sigma=subject.sigma, growth=_growth(subject, known, of_derivative))
        exact = isinstance(value, Expr)
        return (
            value,
            "integrated in closed form" if exact else "integrated in balls, tails bounded by the Lipschitz constant",
        )

    return moment


def _growth(subject: Subject, known: Mapping[str, Fact], of_derivative: bool) -> tuple[Real, Real] | None:
    """C and L with |g(x)| <= c + L |x|."""
    if known["lipschitz"].verdict is not Verdict.PROVED:
        return None
    slope = known["lipschitz"].value
    assert isinstance(slope, Expr | Enclosed)
    if slope is sympy.oo:
        return None
    return (slope, sympy.S.Zero) if of_derivative else (abs(value_at(subject.pieces, sympy.S.Zero)), slope)


def _gain_of(moment: str) -> Callable[[Subject, Mapping[str, Fact]], Finding]:
    def factor(subject: Subject, known: Mapping[str, Fact]) -> Finding:
        square = _value(known, moment)
        assert isinstance(square, Expr | Enclosed)
        if square == 0:
            return Absent("the second moment is 0"), "1 / sqrt of the second moment"
        return gain(square), "1 / sqrt of the second moment"

    return factor


def _zero_centred(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    mean = _value(known, "gaussian_mean")
    assert isinstance(mean, Expr | Enclosed)
    sign = order(mean, sympy.S.Zero)
    if sign is None:
        raise Undecided("the sign of the mean is not known")
    return sign == 0, "whether E f(z) = 0"


# --- forms ---


def _parity(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return parity(subject.pieces), "equal as expressions, or apart at a point"


def _identities(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    return identities(subject.pieces), "both sides equal as expressions"


def _inverse(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    direction = _value(known, "monotonicity")
    rising = {"strictly increasing": True, "strictly decreasing": False}.get(str(direction))
    found = inverse(subject.pieces, rising) if rising is not None else None
    if found is None:
        return None, "f is not one-to-one" if rising is None else "no closed form found"
    return joined(found), "solved piece by piece, verified by composition"


def _antiderivative(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    found = antiderivative(subject.pieces)
    if found is None:
        return None, "no closed form found"
    return joined(found), "zero at 0, verified by differentiation"


def _series(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    pieces = subject.pieces
    found: dict[str, Value] = {}
    try:
        at_zero = within(_SECONDS, lambda: series_at(pieces, sympy.S.Zero))
        found |= {"0-": str(at_zero[0]), "0+": str(at_zero[1])} if isinstance(at_zero, tuple) else {"0": str(at_zero)}
    except Undecided as reason:
        found["0"] = Absent(str(reason))
    for side, end in ((-1, "-oo"), (1, "+oo")):
        found[end] = Absent("no expansion found")
        with suppress(Undecided):
            expansion = within(_SECONDS, partial(expansion_at_infinity, pieces, side))
            found[end] = str(expansion) if expansion is not None else found[end]
    return found, "derivatives at 0; the small parameter at infinity"


def _parameter_gradients(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    general = subject.symbolic
    if general is None:
        raise Undecided("the breakpoints cannot be ordered while the parameters are symbols")
    gradients: dict[str, Value] = {
        symbol.name: joined(parameter_gradient(general, symbol)) for symbol in subject.parameters
    }
    return gradients, "derivative of every piece by the parameter"


_CONSTANTS: dict[str, Callable[[], Mapping[str, Fact]]] = {
    "selu": selu_constants,
    "gelu_tanh": lambda: {"0.044715": gelu_tanh_constant()},
    "quick_gelu": lambda: {"1.702": quick_gelu_constant()},
}


def _constants(subject: Subject, known: Mapping[str, Fact]) -> Finding:
    if subject.name not in _CONSTANTS:
        return {}, "no constant of its own"
    found = _CONSTANTS[subject.name]()
    unknown = [fact for fact in found.values() if fact.verdict is not Verdict.PROVED]
    if unknown:
        raise Undecided(f"{unknown[0].claim}: {unknown[0].value}")
    return {name: {"claim": fact.claim, "value": fact.value} for name, fact in found.items()}, next(
        iter(found.values())
    ).method


_MONOTONE = {1: "increasing", 0: "constant", -1: "decreasing"}
_CURVED = {1: "convex", 0: "affine", -1: "concave"}
_RESTS_ON: dict[str, list[int]] = {
    "continuity_class": [],
    "kinks": [],
    "range": [1],
    "derivative_range": [2],
    "zeros": [0],
    "sign": [0],
    "argmin": [1],
    "argmax": [1],
    "monotonicity": [1],
    "monotone_intervals": [1],
    "convexity": [2],
    "convexity_intervals": [2],
    "inflections": [2],
    "lipschitz": [2],
    "bounded": [1],
    "dead_region": [1],
}
"""The derivatives whose sign tables, beside the limits at the breakpoints, a fact is read off."""

_GAUSSIAN = "z normal with mean 0 and standard deviation {sigma}"

_CLAIMS: dict[
    str, tuple[str, Callable[[Subject, Mapping[str, Fact]], tuple[Value, str] | tuple[Value, str, tuple[str, ...]]]]
] = {
    "continuity_class": ("f is C^k for this k and no larger one", _continuity),
    "kinks": ("breakpoints without a derivative", _kinks),
    "range": ("all values of f", _range),
    "derivative_range": ("all values of f', where it exists", _derivative_range),
    "zeros": ("all solutions of f(x) = 0", _zeros),
    "sign": ("where f is positive and where negative", _sign),
    "argmin": ("where f takes its least value", _extremum(1)),
    "argmax": ("where f takes its greatest value", _extremum(-1)),
    "monotonicity": ("f rises or falls on the whole line", _monotonicity),
    "monotone_intervals": (
        "the longest intervals on which f is monotone",
        _intervals(_MONOTONE, shape.monotone_runs, 1),
    ),
    "convexity": ("f is convex or concave on the whole line", _convexity),
    "convexity_intervals": (
        "the longest intervals on which f keeps its curvature",
        _intervals(_CURVED, shape.curvature_runs, 2),
    ),
    "inflections": ("where the curvature of f changes its sign", _inflections),
    "lipschitz": ("the least L with |f(x) - f(y)| <= L |x - y|", _lipschitz),
    "bounded": ("f is bounded below, above", _bounded),
    "limits": ("limits of f at -oo and +oo", _ends(lambda subject: subject.pieces)),
    "derivative_limits": ("limits of f' at -oo and +oo", _ends(lambda subject: subject.derivative)),
    "asymptotes": ("lines that f approaches at -oo and +oo", _asymptotes),
    "saturates": ("f' tends to 0 at -oo, at +oo", _saturates),
    "vanishing_gradient": ("the product of the slopes of n layers", _vanishing_gradient),
    "dead_region": ("the intervals on which f' is zero", _dead_region),
    "zero_probability": (f"P(f(z) = 0), {_GAUSSIAN}", _measure("zeros")),
    "derivative_zero_probability": (f"P(f'(z) = 0), {_GAUSSIAN}", _measure("dead_region")),
    "dying": ("a unit can stop learning for good", _dying),
    "gaussian_mean": (f"E f(z), {_GAUSSIAN}", _moment(1)),
    "gaussian_second_moment": (f"E f(z)^2, {_GAUSSIAN}", _moment(2)),
    "derivative_second_moment": (f"E f'(z)^2, {_GAUSSIAN}", _moment(2, of_derivative=True)),
    "gain_forward": (f"1 / sqrt(E f(z)^2), {_GAUSSIAN}", _gain_of("gaussian_second_moment")),
    "gain_backward": (f"1 / sqrt(E f'(z)^2), {_GAUSSIAN}", _gain_of("derivative_second_moment")),
    "zero_centred": (f"E f(z) = 0, {_GAUSSIAN}", _zero_centred),
    "parity": ("f is even, odd or neither", _parity),
    "identities": ("equations that f satisfies everywhere", _identities),
    "inverse": ("the inverse of f on its range, in closed form", _inverse),
    "antiderivative": ("F with F' = f and F(0) = 0, in closed form", _antiderivative),
    "series": ("expansions at 0 and at infinity", _series),
    "constants": ("where the constants of the definition come from", _constants),
    "parameter_gradients": ("derivatives by the parameters", _parameter_gradients),
}
