"""Definitions are data: an `Activation` is a formula, its parameters, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

import sympy
from sympy import Expr, Symbol

from relusym.errors import InvalidActivation

x: Symbol = Symbol("x", real=True)
"""The input of every activation of one variable."""

Number: TypeAlias = int | float | Fraction | str | Expr
"""An exact value: int, Fraction, SymPy number, decimal text; a float means the binary number it is."""


@dataclass(frozen=True)
class Parameter:
    """A named constant of a definition; its domain is the assumptions of its symbol.

    `default` is exact, or None where a formula typed by a user gives none. `learnable` parameters are
    arguments of a generated kernel, the others are folded into its text.
    """

    symbol: Symbol
    default: Expr | None = None
    learnable: bool = False

    def __post_init__(self) -> None:
        if self.default is not None:
            object.__setattr__(self, "default", exact(self.default))

    @property
    def name(self) -> str:
        """The parameter's name, as written in calls and on the command line."""
        return str(self.symbol.name)


@dataclass(frozen=True)
class Activation:
    """One symbolic definition.

    `inputs` are the real variables (one, `x`, for most), `subgradients` maps a kink to the derivative the
    definition's source states there (it wins over the least-norm policy), `names` gives what the function is
    called in torch, jax and onnx. A function of several values has the first in `expr` and the rest in `others`.
    """

    name: str
    expr: Expr
    inputs: tuple[Symbol, ...] = (x,)
    parameters: tuple[Parameter, ...] = ()
    subgradients: Mapping[Expr, Expr] = field(default_factory=dict, hash=False)
    source: str = ""
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    others: tuple[Expr, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise InvalidActivation(
                f"activation name {self.name!r} is no identifier; generated functions carry it, so use "
                "letters, digits and underscores"
            )
        known = {*self.inputs, *(parameter.symbol for parameter in self.parameters)}
        unknown = sorted(str(symbol) for expr in self.exprs for symbol in expr.free_symbols - known)
        if unknown:
            raise InvalidActivation(
                f"activation {self.name!r}: unknown symbol {', '.join(unknown)}; "
                "declare it as a Parameter, or use the input symbol relusym.x"
            )

    @property
    def exprs(self) -> tuple[Expr, ...]:
        """The formulas of all values; one for most."""
        return (self.expr, *self.others)

    @property
    def is_scalar(self) -> bool:
        """Whether it takes one number to one number, which is what the calculus of the line is about."""
        return len(self.inputs) == 1 and not self.others

    @property
    def shape(self) -> str:
        """What it takes and gives, in words."""
        given = f"{len(self.inputs)} inputs ({', '.join(map(str, self.inputs))})" if len(self.inputs) > 1 else "1 input"
        return f"{given} and {len(self.exprs)} values" if self.others else given

    def _repr_latex_(self) -> str:
        shown = self.expr if not self.others else sympy.Tuple(*self.exprs)
        return f"$\\displaystyle {sympy.latex(shown)}$"


def piecewise(*branches: tuple[object, object]) -> Expr:
    """`(expression, condition)` pairs, first true condition wins; the last condition may be True."""
    return sympy.Piecewise(*branches)


def exact(value: Number) -> Expr:
    """The SymPy number that `value` means: '0.1' is 1/10, 0.1 is the binary fraction nearest to it.

    Raises `InvalidActivation` for text that is no number, and for NaN or infinity.
    """
    if isinstance(value, Expr):
        number = sympy.nsimplify(value, rational=True) if value.has(sympy.Float) else value
        if not number.is_number or number.is_finite is False:
            raise InvalidActivation(f"{value} is not a finite number")
        return number
    try:
        fraction = Fraction(value)
    except (ValueError, OverflowError, ZeroDivisionError, TypeError):
        raise InvalidActivation(f"{value!r} is not a finite number; write 1/3, 0.1 or 2") from None
    return sympy.Rational(fraction.numerator, fraction.denominator)


def parameter_values(activation: Activation, given: Mapping[str, Number] | None = None) -> dict[Symbol, Expr]:
    """Exact values of all parameters: those given by name, defaults for the rest.

    Raises `InvalidActivation` for a name the activation lacks, a value outside the symbol's assumptions,
    and a parameter left without any value.
    """
    given = dict(given or {})
    values: dict[Symbol, Expr] = {}
    for parameter in activation.parameters:
        if parameter.name in given:
            value = exact(given.pop(parameter.name))
        elif parameter.default is not None:
            value = parameter.default
        else:
            raise InvalidActivation(
                f"{activation.name}: parameter {parameter.name} has no default; give it a value "
                f"(--set {parameter.name}=1/2, or {parameter.name}='1/2' in Python)"
            )
        _check_domain(activation, parameter, value)
        values[parameter.symbol] = value
    if given:
        names = ", ".join(parameter.name for parameter in activation.parameters) or "none"
        raise InvalidActivation(
            f"{activation.name} has no parameter {', '.join(sorted(given))}; its parameters: {names}"
        )
    return values


def _check_domain(activation: Activation, parameter: Parameter, value: Expr) -> None:
    for assumption in ("positive", "negative", "nonnegative", "nonpositive", "nonzero", "integer", "real"):
        if parameter.symbol.assumptions0.get(assumption) and getattr(value, f"is_{assumption}") is not True:
            raise InvalidActivation(
                f"{activation.name}: {parameter.name} = {value} is outside its domain ({assumption})"
            )
