"""Pieces as rows of a table: a form, and the part of the line on which it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy
from sympy import Expr, Symbol

from relusym.calculus.subdifferentials import Kink
from relusym.formulas.tidiness import name_constants, tidy
from relusym.pieces import Pieces
from relusym.signs import equal


@dataclass(frozen=True)
class Row:
    """`expr` between two ends, each inside or outside; at a single point when the ends are the same."""

    expr: Expr
    lower: Expr
    upper: Expr
    with_lower: bool = False
    with_upper: bool = False

    def condition(self, variable: str, places: Sequence[str], words: dict[str, str]) -> str:
        """The condition as text; `places` are the printed ends, `words` the signs for <=, >= and so on."""
        lower, upper = places
        below, above = words["<="] if self.with_lower else "<", words["<="] if self.with_upper else "<"
        if self.lower is -sympy.oo and self.upper is sympy.oo:
            return ""
        if self.lower == self.upper:
            return f"{variable} = {lower}"
        if self.lower is -sympy.oo:
            return f"{variable} {above} {upper}"
        if self.upper is sympy.oo:
            return f"{variable} {words['>='] if self.with_lower else '>'} {lower}"
        return f"{lower} {below} {variable} {above} {upper}"


@dataclass(frozen=True)
class Table:
    """All rows from left to right, with the names of long constants."""

    variable: Symbol
    rows: tuple[Row, ...]
    constants: dict[Symbol, Expr]


def table(
    pieces: Pieces, kinks: Sequence[Kink] = (), *, as_defined: bool = False, name_long_constants: bool = True
) -> Table:
    """The rows of a function; a kink gets its own, other breakpoints go to the side whose value fits.

    Rows of equal form that fit the value between them are one. Forms are tidied unless they stand `as_defined`.
    """
    places = {kink.at for kink in kinks}
    shown = (lambda expr: expr) if as_defined else tidy
    rows = [Row(shown(piece.expr), piece.lower, piece.upper) for piece in pieces.pieces]
    result = [rows[0]]
    for row, place, value in zip(rows[1:], pieces.breakpoints, pieces.values, strict=True):
        after = row
        same = row.expr == result[-1].expr and place not in places
        if same and _fits(row.expr, pieces.variable, place, value):
            result[-1] = replace(result[-1], upper=row.upper)
            continue
        if place not in places and _fits(result[-1].expr, pieces.variable, place, value):
            result[-1] = replace(result[-1], with_upper=True)
        elif place not in places and _fits(row.expr, pieces.variable, place, value):
            after = replace(row, with_lower=True)
        else:
            result.append(Row(shown(value), place, place, with_lower=True, with_upper=True))
        result.append(after)
    if not name_long_constants:
        return Table(pieces.variable, tuple(result), {})
    named, constants = name_constants([row.expr for row in result])
    renamed = tuple(replace(row, expr=expr) for row, expr in zip(result, named, strict=True))
    return Table(pieces.variable, renamed, constants)


def _fits(expr: Expr, variable: Symbol, place: Expr, value: Expr) -> bool:
    here = expr.subs(variable, place)
    return not here.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) and equal(here, value) is True
