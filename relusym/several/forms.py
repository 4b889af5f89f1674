"""What a definition of several inputs or values is, by its formula: a maximum, a gated unit, values of one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from sympy import Expr, Max, Symbol
from sympy.core.relational import Relational

from relusym import conventions
from relusym.activation import Activation, Number
from relusym.analysis import Analysis, analyse
from relusym.balls import sign
from relusym.calculus.hulls import Vector
from relusym.calculus.subdifferentials import Policy, is_continuous_at, slopes
from relusym.errors import InvalidRequest, InvalidSubgradient
from relusym.pieces import Piece, Pieces, split, value_at
from relusym.several.recognition import Recognised, policy_of, recognised
from relusym.structures import Bundle, Gated, structure_of

TIE_POLICIES = ("least-norm", "first", "last")
"""Which gradient a maximum takes where several of its lines are largest: that of least norm, or that of one of them."""


@dataclass(frozen=True)
class Line:
    """An affine function of the inputs."""

    expr: Expr
    gradient: Vector
    constant: Expr


@dataclass(frozen=True)
class AffineMaximum:
    """The largest of lines, in the order of the inputs where they are these; `policy` decides at ties."""

    inputs: tuple[Symbol, ...]
    lines: tuple[Line, ...]
    policy: str

    @property
    def is_of_inputs(self) -> bool:
        """Whether the lines are the inputs themselves, all of them, each once."""
        return tuple(line.expr for line in self.lines) == self.inputs

    @property
    def gradients(self) -> tuple[Vector, ...]:
        """Those of the lines, each once."""
        return tuple(dict.fromkeys(line.gradient for line in self.lines))


@dataclass(frozen=True)
class GatedUnit:
    """One input, `factor`, times a function of the other, `gate`, of which the calculus of the line knows all."""

    inputs: tuple[Symbol, ...]
    factor: Symbol
    gate: Analysis
    known: Recognised | None

    @property
    def variable(self) -> Symbol:
        """The input of the gate."""
        return self.gate.pieces.variable


@dataclass(frozen=True)
class Values:
    """Several functions of one input, `parts`, with what each is known as."""

    parts: tuple[Analysis, ...]
    known: tuple[Recognised | None, ...]

    @property
    def variable(self) -> Symbol:
        """The one input."""
        return self.parts[0].pieces.variable


Form: TypeAlias = AffineMaximum | GatedUnit | Values


def form_of(
    activation: Activation,
    given: Mapping[str, Number],
    values: Mapping[Symbol, Expr],
    subgradient: Policy,
    sigma: Expr,
) -> Form | None:
    """The form of a definition at these values of its parameters; None for one that has none of them.

    Raises `InvalidSubgradient` for a policy that this form does not know, and what `analyse` raises of a gate or value.
    """
    lines = _lines(activation.expr.xreplace(dict(values)), activation.inputs) if not activation.others else None
    if lines is not None:
        if subgradient not in TIE_POLICIES:
            raise InvalidSubgradient(
                f"{activation.name}: subgradient policy {subgradient!r} says nothing about ties of a maximum; "
                f"known: {', '.join(TIE_POLICIES)}"
            )
        return AffineMaximum(activation.inputs, lines, str(subgradient))
    try:
        structure = structure_of(activation)
    except InvalidRequest:
        return None
    assert isinstance(structure, Gated | Bundle)  # a maximum of the inputs has been met above
    variable = structure.variable if isinstance(structure, Gated) else activation.inputs[0]
    functions = (structure.gate,) if isinstance(structure, Gated) else structure.parts

    def part(function: Activation) -> tuple[Analysis, Recognised | None]:
        """With our own variable, and our own defaults of the parameters."""
        expr = function.expr.xreplace({function.inputs[0]: variable})
        own = replace(function, expr=expr, inputs=(variable,), parameters=activation.parameters)
        return _analysed(own, given, values, subgradient, sigma)

    found = list(map(part, functions))
    if isinstance(structure, Gated):
        ((gate, known),) = found
        return GatedUnit(activation.inputs, structure.factor, gate, known)
    parts, names = zip(*found, strict=True)
    return Values(parts, names)


def _analysed(
    function: Activation, given: Mapping[str, Number], values: Mapping[Symbol, Expr], subgradient: Policy, sigma: Expr
) -> tuple[Analysis, Recognised | None]:
    """A function of one of the inputs; conventions are asked about the catalogue's function that it is."""
    known = recognised(function.expr.xreplace(dict(values)), function.inputs[0], values)
    analysis = analyse(function, given, subgradient=policy_of(function, subgradient, values), sigma=sigma)
    return replace(analysis, subgradient=conventions.full_name(subgradient)), known


def _lines(expr: Expr, inputs: tuple[Symbol, ...]) -> tuple[Line, ...] | None:
    """The arguments of a maximum where all are affine with known coefficients."""
    if not isinstance(expr, Max):
        return None
    if expr.atoms(Relational):  # branches with one gradient may lie at different heights
        return None
    found = []
    for argument in sorted(expr.args, key=lambda one: _place(one, inputs)):
        gradient = tuple(argument.diff(symbol) for symbol in inputs)
        constant = argument.subs(dict.fromkeys(inputs, 0))
        if not all(coefficient.is_number and coefficient.is_finite for coefficient in (*gradient, constant)):
            return None
        found.append(Line(argument, gradient, constant))
    return tuple(found)


def _place(argument: Expr, inputs: tuple[Symbol, ...]) -> tuple[int, str]:
    """SymPy sorts arguments by text, z10 before z2."""
    return (inputs.index(argument) if argument in inputs else len(inputs)), str(argument)


def scaled(pieces: Pieces, factor: Expr) -> Pieces:
    """A function of pieces times an expression in other variables."""
    return Pieces(
        pieces.variable,
        tuple(Piece(factor * piece.expr, piece.lower, piece.upper) for piece in pieces.pieces),
        pieces.breakpoints,
        tuple(factor * value for value in pieces.values),
    )


def pieces_of(expr: Expr, variable: Symbol) -> Pieces:
    """An expression without parameters in pieces."""
    return split(Activation("claim", expr, inputs=(variable,)))


def slopes_around(part: Analysis, at: Expr) -> tuple[Expr, Expr]:
    """The one-sided limits of the derivative at any point; `InvalidRequest` where f jumps or one is not finite."""
    place = next((place for place in part.pieces.breakpoints if sign(at - place) == 0), None)
    if place is None:
        slope = value_at(part.derivative, at)
        return slope, slope
    left, right = slopes(part.pieces, place)
    if not (is_continuous_at(part.pieces, place) and left.is_finite and right.is_finite):
        raise InvalidRequest(
            f"{part.activation.name} jumps at {place}, or its slopes there are not finite, so that there is no Clarke "
            "subdifferential; ask at another point"
        )
    return left, right
