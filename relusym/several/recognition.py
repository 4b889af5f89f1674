"""Which function of the catalogue a formula is, proved."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import sympy
from sympy import Expr, Rational, Symbol

from relusym import conventions
from relusym.activation import Activation, Parameter, x
from relusym.activations import catalogue
from relusym.calculus.subdifferentials import Policy
from relusym.calculus.symmetry import vanishes
from relusym.errors import InvalidActivation, Undecided
from relusym.pieces import split
from relusym.signs import sign_of

_PLACES = (Rational(2, 5), Rational(-3, 5), Rational(19, 10), Rational(-27, 10), Rational(5))


@dataclass(frozen=True)
class Recognised:
    """A function of the catalogue at these values of its parameters; `mirrored`, of -x; `negated`, times -1."""

    activation: Activation
    parameters: tuple[tuple[Symbol, Expr], ...]
    mirrored: bool = False
    negated: bool = False

    def of(self, variable: object) -> str:
        """What it is, written for this input."""
        given = [f"{symbol} = {value}" for symbol, value in self.parameters]
        at = f" at {', '.join(given)}" if given else ""
        text = f"{self.activation.name}({'-' if self.mirrored else ''}{variable}){at}"
        return f"(-{text})" if self.negated else text


def recognised(expr: Expr, variable: Symbol, values: Mapping[Symbol, Expr]) -> Recognised | None:
    """The first function of the catalogue that equals the expression everywhere; None where none is proved to.

    Parameters of the catalogue take the value of ours of the same name, else their defaults.
    """
    return _recognised(expr.xreplace({variable: x}), tuple(sorted(values.items(), key=str)))


@functools.lru_cache(maxsize=64)
def _recognised(expr: Expr, values: tuple[tuple[Symbol, Expr], ...]) -> Recognised | None:
    named = {symbol.name: value for symbol, value in values}
    there = [_near(expr, place) for place in _PLACES]
    for mirrored, negated in product((False, True), repeat=2):
        for entry in catalogue():
            settings = {p.symbol: named.get(p.name, p.default) for p in entry.parameters}
            formula = entry.expr.xreplace({**settings, **({x: -x} if mirrored else {})}) * (-1 if negated else 1)
            if all(_agree(_near(formula, place), value) for place, value in zip(_PLACES, there, strict=True)) and same(
                expr, formula, x
            ):
                return Recognised(entry, tuple(settings.items()), mirrored, negated)
    return None


def policy_of(function: Activation, policy: Policy, values: Mapping[Symbol, Expr]) -> Policy:
    """A policy in terms of a function of one input.

    The name of a convention stands for the slopes that it has for the function of the catalogue that this one is, is
    at -x, or is times -1; anything else stays as it is. Raises `InvalidSubgradient` where the convention says nothing.
    """
    if conventions.full_name(policy) not in conventions.names():
        return policy
    known = recognised(function.expr.xreplace(dict(values)), function.inputs[0], values)
    if known is None:
        return conventions.resolved(function, policy, values)
    found = conventions.resolved(known.activation, policy, dict(known.parameters))
    if not isinstance(found, Mapping):
        return found
    at, slope = -1 if known.mirrored else 1, -1 if known.mirrored != known.negated else 1
    return {at * place: slope * chosen for place, chosen in found.items()}


def _near(expr: Expr, at: Expr) -> Expr:
    return expr.xreplace({x: at}).evalf(20)


def _agree(one: Expr, other: Expr) -> bool:
    """Whether two values may be the same; what differs needs no proof."""
    return bool(abs(one - other) < 1e-12 * (1 + abs(other)))


def same(one: Expr, other: Expr, variable: Symbol) -> bool:
    """Whether two expressions are proved equal for every real value of the variable, and of the parameters in them.

    False says that no proof was found.
    """
    difference = sympy.sympify(one - other)
    parameters = tuple(Parameter(symbol) for symbol in sorted(difference.free_symbols - {variable}, key=str))
    try:
        pieces = split(Activation("difference", difference, inputs=(variable,), parameters=parameters))
    except (InvalidActivation, Undecided):
        return False
    return all(vanishes(piece.expr, variable, piece.lower, piece.upper) for piece in pieces.pieces) and all(
        sign_of(value) == 0 for value in pieces.values
    )
