"""A definition as disjoint open intervals with smooth branches and explicit values at the breakpoints."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, Symbol


@dataclass(frozen=True)
class Piece:
    """A branch that is smooth (no Piecewise, Max, Min, Abs, sign, Heaviside) inside the open interval."""

    expr: Expr
    lower: Expr
    upper: Expr


@dataclass(frozen=True)
class Pieces:
    """Branches from left to right; `values[i]` is the value at `breakpoints[i]`, between pieces i and i + 1."""

    variable: Symbol
    pieces: tuple[Piece, ...]
    breakpoints: tuple[Expr, ...]
    values: tuple[Expr, ...]
