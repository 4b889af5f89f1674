"""What a function of several inputs or values is made of, read off its formula."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import sympy
from sympy import Expr, Max, Symbol
from sympy.core.relational import Relational

from relusym.activation import Activation, x
from relusym.activations import catalogue
from relusym.errors import InvalidRequest


@dataclass(frozen=True)
class Maximum:
    """The largest of the inputs."""

    inputs: tuple[Symbol, ...]


@dataclass(frozen=True)
class Gated:
    """One input, the `factor`, times a function of the other one, the `variable`.

    The `gate` is the catalogue's own function where that has the same formula.
    """

    factor: Symbol
    variable: Symbol
    gate: Activation


@dataclass(frozen=True)
class Bundle:
    """Several functions of one input, side by side."""

    parts: tuple[Activation, ...]


Structure: TypeAlias = Maximum | Gated | Bundle


def structure_of(activation: Activation) -> Structure:
    """The structure of a function that is not of one input and one value.

    A product of two inputs is the first of them, gated by the other. Raises `InvalidRequest` for a function that is
    none of the three.
    """
    if len(activation.inputs) == 1:
        (variable,) = activation.inputs
        parts = enumerate(activation.exprs, 1)
        return Bundle(tuple(_of_one(activation, f"{number}", expr, variable) for number, expr in parts))
    found = None if activation.others else _maximum(activation) or _gated(activation)
    if found is None:
        raise InvalidRequest(
            f"{activation.name} = {', '.join(map(str, activation.exprs))} is neither the maximum of its inputs nor one "
            "input times a function of one other; write it in parts that are"
        )
    return found


def _maximum(activation: Activation) -> Maximum | None:
    inputs = activation.inputs
    return Maximum(inputs) if isinstance(activation.expr, Max) and set(activation.expr.args) == set(inputs) else None


def _gated(activation: Activation) -> Gated | None:
    """Linear in one input without a constant, so that its coefficient is a function of the other one alone."""
    if len(activation.inputs) != 2:
        return None
    # a derivative does not show what jumps where a branch changes
    switches = {symbol for condition in activation.expr.atoms(Relational) for symbol in condition.free_symbols}
    for factor, variable in (activation.inputs, activation.inputs[::-1]):
        coefficient = activation.expr.diff(factor)
        if (
            factor not in switches
            and not coefficient.has(factor)
            and sympy.expand(activation.expr.subs(factor, 0)) == 0
        ):
            return Gated(factor, variable, _of_one(activation, "gate", coefficient, variable))
    return None


def _of_one(activation: Activation, part: str, expr: Expr, variable: Symbol) -> Activation:
    """A part as a function of x: the catalogue's entry with this formula, else one with a name of its own."""
    formula = expr.xreplace({variable: x})
    for entry in catalogue():
        if entry.expr == formula:
            return entry
    return replace(activation, name=f"{activation.name}_{part}", expr=formula, inputs=(x,), others=())
