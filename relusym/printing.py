"""Expressions as text that `parse` reads back."""

from __future__ import annotations

from typing import Any

from sympy import Expr
from sympy.printing.str import StrPrinter


class _GrammarPrinter(StrPrinter):  # type: ignore[misc]  # SymPy has no types, so its classes are Any
    """SymPy's printer, with the constants as the grammar spells them."""

    def _print_Exp1(self, expr: Any) -> str:
        return "e"

    def _print_Equality(self, expr: Any) -> str:
        return f"{self._print(expr.lhs)} == {self._print(expr.rhs)}"


def grammar_text(expr: Expr) -> str:
    """An expression in the grammar of `relusym.parse`; infinities as oo and -oo."""
    return str(_GrammarPrinter().doprint(expr))
