"""The JSON document of an analysis, and formulas as text that `parse` reads back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sympy
from sympy import Expr
from sympy.printing.str import StrPrinter

from relusym.analysis import Analysis
from relusym.calculus.subdifferentials import Kink
from relusym.facts import Absent, Fact, Value
from relusym.formulas.latex import pieces_latex
from relusym.formulas.rows import table
from relusym.pieces import Pieces

DIGITS = 40


class _GrammarPrinter(StrPrinter):  # type: ignore[misc]
    """SymPy's printer, with the constants as the grammar spells them."""

    def _print_Exp1(self, expr: Any) -> str:
        return "e"


def grammar_text(expr: Expr) -> str:
    """An expression in the grammar of `relusym.parse`."""
    return str(_GrammarPrinter().doprint(expr))


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


def analysis_document(analysis: Analysis) -> dict[str, Any]:
    """The document as plain data; numbers are text, never rounded doubles."""
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
        "facts": {name: _fact(fact) for name, fact in analysis.facts.items()},
    }


def analysis_json(analysis: Analysis) -> str:
    """The document as text."""
    return json.dumps(analysis_document(analysis), indent=2, ensure_ascii=False)


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "verdict": fact.verdict.value,
        "value": _value(fact.value),
        "method": fact.method,
        "conditions": list(fact.conditions),
    }


def _value(value: Value) -> Any:
    if isinstance(value, Absent):
        return {"type": "none", "reason": value.reason}
    if isinstance(value, Expr):
        return _number(value)
    if isinstance(value, tuple):
        return [_value(part) for part in value]
    if isinstance(value, Mapping):
        return {key: _value(part) for key, part in value.items()}
    return value


def _number(value: Expr) -> dict[str, Any]:
    decimal = str(value.evalf(DIGITS)) if value.is_number and value.is_finite else None
    return {"type": "number", "exact": grammar_text(value), "decimal": decimal, "radius": None}
