"""analyse(): everything known of an activation, in one frozen table."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sympy
from sympy import Expr, Symbol

from relusym import conventions
from relusym.activation import Activation, Number, exact, parameter_values
from relusym.calculus.derivatives import derivative
from relusym.calculus.subdifferentials import Kink, Policy, kinks
from relusym.certificates import certificate
from relusym.derivation import Facts, Subject
from relusym.errors import InvalidActivation, InvalidRequest, InvalidSubgradient, Undecided
from relusym.facts import Fact
from relusym.parametric import general_facts
from relusym.pieces import Pieces, joined, split


@dataclass(frozen=True)
class Analysis:
    """The facts of one activation at the values of its parameters.

    `formula` and the derivatives named after it keep as symbols the parameters that were not given, where
    their assumptions order the breakpoints; everything else holds at `parameters`. `facts` are derived when
    first asked for.
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
    sigma: Expr = sympy.S.One

    @functools.cached_property
    def facts(self) -> Mapping[str, Fact]:
        """All facts by their identifiers, each derived when first asked for."""
        symbols = tuple(parameter.symbol for parameter in self.activation.parameters)
        return Facts(
            Subject(self.activation.name, self.pieces, self.derivative, self.kinks, self._symbolic, symbols, self.sigma)
        )

    @functools.cached_property
    def general(self) -> dict[str, Fact]:
        """Facts for all values of the parameters, with the conditions under which they hold; {} without parameters."""
        if self._symbolic is None or not self.activation.parameters:
            return {}
        return general_facts(self._symbolic, derivative(self._symbolic))

    @functools.cached_property
    def _symbolic(self) -> Pieces | None:
        """The pieces with all parameters as symbols, where their assumptions order the breakpoints."""
        try:
            return split(self.activation)
        except (InvalidActivation, Undecided):
            return None

    @functools.cached_property
    def certificate(self) -> dict[str, Any]:
        """Sign tables and breakpoints as plain data, for `relusym recheck`."""
        return certificate(self.pieces)

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
    sigma: Number = 1,
) -> Analysis:
    """Pieces, derivatives, kinks and facts of an activation of one input and one value.

    Parameters take the values given by name, else their defaults; one without either stays a symbol. `subgradient`
    is a policy, a number, a number for each kink, or the name of a convention ("torch", "torch-2.13"). `sigma` is
    the standard deviation of the normal pre-activations of the statements on moments and probabilities. Raises
    `InvalidActivation` for a definition that describes no function, `InvalidSubgradient` for a subgradient outside
    the Clarke interval and where a convention has none, `InvalidRequest` for a sigma that is not positive and for a
    function of several inputs or values, which `analyse_several` is about. What cannot be settled in time is a fact
    with the verdict UNKNOWN.
    """
    if not activation.is_scalar:
        raise InvalidRequest(
            f"{activation.name} has {activation.shape}, and this is about one of each; relusym.analyse_several, or "
            f"relusym derive {activation.name}, says what is known of it"
        )
    deviation = exact(sigma)
    if deviation.is_positive is not True:
        raise InvalidRequest(f"sigma = {sigma} is no standard deviation; give a positive number")
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
    policy = conventions.resolved(activation, subgradient, values)
    slope = derivative(pieces, policy=policy, stated=stated)
    curvature = derivative(pieces, 2, policy=policy, stated=stated)
    try:
        formula = split(activation, fixed)
        general = conventions.resolved(activation, subgradient, fixed)
        formula_slope = derivative(formula, policy=general, stated=stated)
        formula_curvature = derivative(formula, 2, policy=general, stated=stated)
        formula_kinks = kinks(formula, policy=general, stated=stated)
    except (InvalidActivation, InvalidSubgradient, Undecided):
        # The breakpoints, or what a convention takes there, depend on signs that only values decide.
        formula, formula_slope, formula_curvature = pieces, slope, curvature
        formula_kinks = kinks(pieces, policy=policy, stated=stated)
    return Analysis(
        activation=activation,
        parameters=values,
        subgradient=conventions.full_name(subgradient),
        formula=formula,
        formula_derivative=formula_slope,
        formula_second_derivative=formula_curvature,
        formula_kinks=formula_kinks,
        pieces=pieces,
        derivative=slope,
        second_derivative=curvature,
        kinks=kinks(pieces, policy=policy, stated=stated),
        sigma=deviation,
    )
