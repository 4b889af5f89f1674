"""analyse(): everything known of an activation, in one frozen table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import sympy
from sympy import Expr, Symbol

from relusym.activation import Activation, Number, parameter_values
from relusym.calculus.continuity import continuity_class
from relusym.calculus.derivatives import derivative
from relusym.calculus.limits import limits_at_infinity
from relusym.calculus.subdifferentials import Kink, Policy, kinks
from relusym.errors import InvalidActivation, Undecided
from relusym.facts import Absent, Fact, Value, Verdict
from relusym.pieces import Pieces, joined, split


@dataclass(frozen=True)
class Analysis:
    """The facts of one activation at the values of its parameters.

    `formula` and the derivatives named after it keep as symbols the parameters that were not given, where
    their assumptions order the breakpoints; everything else holds at `parameters`.
    """

    activation: Activation
    parameters: Mapping[Symbol, Expr] = field(hash=False)
    subgradient: Policy = field(hash=False)
    formula: Pieces
    formula_derivative: Pieces
    formula_second_derivative: Pieces
    formula_kinks: tuple[Kink, ...]
    pieces: Pieces
    derivative: Pieces
    second_derivative: Pieces
    kinks: tuple[Kink, ...]
    continuity_class: Fact
    limits: Fact
    derivative_limits: Fact

    @property
    def facts(self) -> dict[str, Fact]:
        """All facts by their identifiers."""
        return {
            "continuity_class": self.continuity_class,
            "kinks": Fact(
                claim="breakpoints without a derivative",
                verdict=Verdict.PROVED,
                value=tuple(_kink_value(kink) for kink in self.kinks),
                method="one-sided limits of f and f' on the smooth pieces",
            ),
            "limits": self.limits,
            "derivative_limits": self.derivative_limits,
        }

    def _repr_latex_(self) -> str:
        return (
            f"$\\displaystyle f(x) = {sympy.latex(joined(self.formula))}, \\qquad "
            f"f'(x) = {sympy.latex(joined(self.formula_derivative))}$"
        )

    def _repr_html_(self) -> str:
        return f"<p><b>{self.activation.name}</b></p><p>{self._repr_latex_()}</p>"


def analyse(
    activation: Activation,
    parameters: Mapping[str, Number] | None = None,
    subgradient: Policy = "least-norm",
) -> Analysis:
    """Pieces, derivatives, kinks, continuity and limits of an activation of one input; exact.

    Parameters take the values given by name, else their defaults; one without either stays a symbol.
    Raises `InvalidActivation` for a definition that describes no function, `InvalidSubgradient` for a
    subgradient outside the Clarke interval. What cannot be settled in time is a fact with the verdict
    UNKNOWN.
    """
    named = {parameter.name: parameter for parameter in activation.parameters}
    given = dict(parameters or {})
    free = [p for p in activation.parameters if p.default is None and p.name not in given]
    # A parameter without a value is one more input as far as values go.
    inputs = (*activation.inputs, *(p.symbol for p in free))
    valued = tuple(p for p in activation.parameters if p not in free)
    values = parameter_values(replace(activation, inputs=inputs, parameters=valued), given)
    stated = activation.subgradients
    fixed = {named[name].symbol: values[named[name].symbol] for name in given}
    pieces = split(activation, values)
    slope = derivative(pieces, policy=subgradient, stated=stated)
    curvature = derivative(pieces, 2, policy=subgradient, stated=stated)
    try:
        formula = split(activation, fixed)
        formula_slope = derivative(formula, policy=subgradient, stated=stated)
        formula_curvature = derivative(formula, 2, policy=subgradient, stated=stated)
        formula_kinks = kinks(formula, policy=subgradient, stated=stated)
    except (InvalidActivation, Undecided):
        # The breakpoints depend on signs that only values decide.
        formula, formula_slope, formula_curvature = pieces, slope, curvature
        formula_kinks = kinks(pieces, policy=subgradient, stated=stated)
    return Analysis(
        activation=activation,
        parameters=values,
        subgradient=subgradient,
        formula=formula,
        formula_derivative=formula_slope,
        formula_second_derivative=formula_curvature,
        formula_kinks=formula_kinks,
        pieces=pieces,
        derivative=slope,
        second_derivative=curvature,
        kinks=kinks(pieces, policy=subgradient, stated=stated),
        continuity_class=_settled("f is C^k for this k and no larger one", lambda: _continuity(pieces)),
        limits=_settled("limits of f at -oo and +oo", lambda: _limits(pieces)),
        derivative_limits=_settled("limits of f' at -oo and +oo", lambda: _limits(slope)),
    )


def _settled(claim: str, settle: Callable[[], tuple[Value, str, tuple[str, ...]]]) -> Fact:
    try:
        value, method, conditions = settle()
    except Undecided as reason:
        return Fact(claim, Verdict.UNKNOWN, Absent(str(reason)), "not settled")
    return Fact(claim, Verdict.PROVED, value, method, conditions=conditions)


def _continuity(pieces: Pieces) -> tuple[Value, str, tuple[str, ...]]:
    found = continuity_class(pieces)
    order: Value = "infinity" if found.order is sympy.oo else int(found.order)
    method = "one-sided limits of f, f', f'', ... at the breakpoints" if pieces.breakpoints else "no breakpoint"
    return order, method, tuple(f"{difference} != 0" for difference in found.differences)


def _limits(pieces: Pieces) -> tuple[Value, str, tuple[str, ...]]:
    at_ends = zip(("-oo", "+oo"), limits_at_infinity(pieces), strict=True)
    value = {end: Absent("no limit exists") if limit is sympy.nan else limit for end, limit in at_ends}
    return value, "limit of the outermost smooth pieces", ()


def _kink_value(kink: Kink) -> Mapping[str, Value]:
    def number(limit: Expr) -> Value:
        return Absent("no limit exists") if limit is sympy.nan else limit

    return {
        "at": kink.at,
        "left": number(kink.left),
        "right": number(kink.right),
        "clarke": kink.clarke,
        "chosen": number(kink.chosen),
        "in_clarke": kink.in_clarke,
    }
