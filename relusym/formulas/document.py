"""The JSON document of an analysis, and formulas as text that `parse` reads back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr, Symbol

from relusym.activation import x
from relusym.analysis import Analysis
from relusym.calculus.subdifferentials import Kink
from relusym.errors import Undecided
from relusym.facts import Absent, Enclosed, Fact, Real, RealSet, Value
from relusym.formulas.latex import pieces_latex
from relusym.formulas.numbers import decimal_and_radius
from relusym.formulas.rows import table
from relusym.pieces import Pieces
from relusym.printing import grammar_text

DIGITS = 40
"""Significant digits of decimals where none are asked for."""


def pieces_text(pieces: Pieces, kinks: Sequence[Kink] = (), *, as_defined: bool = False) -> str:
    """A function in the grammar of `relusym.parse`, exact, with the value at every kink."""
    rows = table(pieces, kinks, as_defined=as_defined, name_long_constants=False)
    if len(rows.rows) == 1:
        return grammar_text(rows.rows[0].expr)
    variable, branches = str(rows.variable), []
    for row in rows.rows:
        end = grammar_text(row.upper)
        if row.upper is sympy.oo:
            condition = "True"
        elif row.lower == row.upper:
            condition = f"{variable} == {end}"
        else:
            condition = f"{variable} {'<=' if row.with_upper else '<'} {end}"
        branches.append(f"({grammar_text(row.expr)}, {condition})")
    return f"Piecewise({', '.join(branches)})"


def analysis_document(analysis: Analysis, digits: int = DIGITS) -> dict[str, Any]:
    """The document as plain data; numbers are text, never rounded doubles."""
    write = Writer(digits)
    return {
        "schema": 1,
        "name": analysis.activation.name,
        "parameters": {str(symbol): grammar_text(value) for symbol, value in analysis.parameters.items()},
        "formula": {
            "text": pieces_text(analysis.formula, as_defined=True),
            "latex": pieces_latex(analysis.formula, as_defined=True),
        },
        "derivative": {
            "text": pieces_text(analysis.formula_derivative, analysis.formula_kinks),
            "latex": pieces_latex(analysis.formula_derivative, analysis.formula_kinks),
        },
        "facts": {name: write.fact(fact) for name, fact in analysis.facts.items()},
        "general": {name: write.fact(fact) for name, fact in analysis.general.items()},
        "certificate": analysis.certificate,
    }


def analysis_json(analysis: Analysis, digits: int = DIGITS) -> str:
    """The document as text."""
    return json.dumps(analysis_document(analysis, digits), indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Writer:
    """Values as tagged plain data, decimals with so many digits; an expression in the variables is a function."""

    digits: int
    variables: tuple[Symbol, ...] = (x,)

    def fact(self, fact: Fact) -> dict[str, Any]:
        """A fact, without its claim."""
        return {
            "verdict": fact.verdict.value,
            "value": self.value(fact.value),
            "method": fact.method,
            "conditions": list(fact.conditions),
            "certificate": self._certificate(fact),
        }

    @staticmethod
    def _certificate(fact: Fact) -> dict[str, Any] | None:
        if fact.certificate is None:
            return None
        return {"kind": fact.certificate.kind, **fact.certificate.evidence}

    def value(self, value: Value) -> Any:
        """Any value of a fact."""
        if isinstance(value, Absent):
            return {"type": "none", "reason": value.reason}
        if isinstance(value, Enclosed):
            return self.number(value)
        if isinstance(value, Expr):
            is_function = value.has(*self.variables) or isinstance(value, sympy.Piecewise)
            return expression_document(value) if is_function else self.number(value)
        if isinstance(value, RealSet):
            return self.set(value)
        if isinstance(value, tuple):
            return [self.value(part) for part in value]
        if isinstance(value, Mapping):
            return {key: self.value(part) for key, part in value.items()}
        return value

    def number(self, value: Real) -> dict[str, Any]:
        """A real number: exact, as a decimal, or both."""
        document: dict[str, Any] = {"type": "number", "exact": None, "decimal": None, "radius": None}
        if isinstance(value, Enclosed):
            document["definition"] = value.definition
        else:
            document["exact"] = grammar_text(value)
        if isinstance(value, Enclosed) or (value.is_number and value.is_finite):
            with suppress(Undecided):  # so many digits are not to be had
                document["decimal"], document["radius"] = decimal_and_radius(value, self.digits)
        return document

    def set(self, values: RealSet) -> dict[str, Any]:
        """A set by its intervals."""
        return {
            "type": "set",
            "components": [
                {
                    "inf": self.number(part.inf),
                    "sup": self.number(part.sup),
                    "inf_attained": part.inf_attained,
                    "sup_attained": part.sup_attained,
                }
                for part in values.components
            ],
            "period": None if values.period is None else self.number(values.period),
        }


def expression_document(expr: Expr) -> dict[str, str]:
    """An expression in the grammar and in LaTeX."""
    return {"text": grammar_text(expr), "latex": str(sympy.latex(expr))}
