"""analyse_several(): everything known of a function of several inputs or values, in one frozen table."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy
from sympy import Expr, Symbol

from relusym import conventions
from relusym.activation import Activation, Number, exact, parameter_values
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.facts import Absent, Fact, Verdict
from relusym.several import gates, maxima, values
from relusym.several.forms import AffineMaximum, Form, GatedUnit, Values, form_of

_OF_NO_FORM = (
    "it is no maximum of affine functions, no product of an input and a function of another, and no list of functions "
    "of one input"
)


@dataclass(frozen=True)
class SeveralAnalysis:
    """The facts of one function of several inputs or values, at the values of its parameters.

    `form` is what the formula was found to be, None where that is none of those with a calculus: every fact is then
    UNKNOWN. `subgradient` is what is taken at kinks and ties.
    """

    activation: Activation
    parameters: Mapping[Symbol, Expr] = field(hash=False)
    subgradient: Policy = field(hash=False)
    sigma: Expr
    form: Form | None

    @functools.cached_property
    def facts(self) -> Mapping[str, Fact]:
        """All facts by their identifiers."""
        if isinstance(self.form, AffineMaximum):
            return maxima.facts(self.form, self.sigma)
        if isinstance(self.form, GatedUnit):
            return gates.facts(self.form, self.sigma)
        if isinstance(self.form, Values):
            return values.facts(self.form, self.sigma)
        unknown = Fact("facts of this function", Verdict.UNKNOWN, Absent(_OF_NO_FORM), "not settled")
        return {"form": unknown}

    @functools.cached_property
    def special_cases(self) -> Mapping[str, Fact]:
        """What it is for special inputs and parameters, by the claim."""
        if isinstance(self.form, AffineMaximum):
            return maxima.special_cases(self.form)
        if isinstance(self.form, GatedUnit):
            return gates.special_cases(self.form)
        return values.special_cases(self.form) if isinstance(self.form, Values) else {}

    def _repr_latex_(self) -> str:
        return str(self.activation._repr_latex_())


def analyse_several(
    activation: Activation,
    parameters: Mapping[str, Number] | None = None,
    subgradient: Policy = "least-norm",
    sigma: Number = 1,
) -> SeveralAnalysis:
    """The form, gradient and facts of a function of several inputs, or of several values.

    Parameters take the values given by name, else their defaults. `subgradient` is for a gate or a value what it is
    for `analyse`; for a maximum "least-norm", "first" or "last": what is taken where several lines are largest.
    `sigma` is the standard deviation of the inputs, independent and normal, in statements on moments. Raises what
    `analyse` raises, and `InvalidRequest` for a function of one input and one value.
    """
    if activation.is_scalar:
        raise InvalidRequest(f"{activation.name} takes one number to one number; relusym.analyse derives its facts")
    deviation = exact(sigma)
    if deviation.is_positive is not True:
        raise InvalidRequest(f"sigma = {sigma} is no standard deviation; give a positive number")
    given = dict(parameters or {})
    settled = parameter_values(activation, given)
    return SeveralAnalysis(
        activation=activation,
        parameters=settled,
        subgradient=conventions.full_name(subgradient),
        sigma=sympy.sympify(deviation),
        form=form_of(activation, given, settled, subgradient, deviation),
    )
