"""Formulas for a terminal: one line an expression, Unicode signs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import sympy
from sympy import Expr
from sympy.printing.pretty.pretty_symbology import greek_unicode
from sympy.printing.str import StrPrinter

from relusym.activation import Activation
from relusym.analysis import Analysis
from relusym.calculus.subdifferentials import Kink
from relusym.formulas import card
from relusym.formulas.rows import Table, table
from relusym.formulas.words import Style

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_WORDS = {"<=": "≤", ">=": "≥"}
_WIDTH, _LABEL, _VALUE = 110, 20, 40


class _UnicodePrinter(StrPrinter):  # type: ignore[misc]  # SymPy has no types, so its classes are Any
    """SymPy's one-line printer with π, √, ∞, Greek letters, raised integers and a dot for products."""

    def _print_Pi(self, expr: Any) -> str:
        return "π"

    def _print_Exp1(self, expr: Any) -> str:
        return "e"

    def _print_Infinity(self, expr: Any) -> str:
        return "∞"

    def _print_NegativeInfinity(self, expr: Any) -> str:
        return "-∞"

    def _print_NaN(self, expr: Any) -> str:
        return "undefined"

    def _print_Symbol(self, expr: Any) -> str:
        return str(greek_unicode.get(expr.name, expr.name))

    def _print_Max(self, expr: Any) -> str:
        return f"max({self.stringify(expr.args, ', ')})"

    def _print_Min(self, expr: Any) -> str:
        return f"min({self.stringify(expr.args, ', ')})"

    def _print_Mul(self, expr: Any) -> str:
        return str(super()._print_Mul(expr)).replace("*", "·")

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        if expr.exp == sympy.S.Half:
            inner = self._print(expr.base)
            return f"√{inner}" if expr.base.is_Integer or expr.base is sympy.pi else f"√({inner})"
        if expr.exp.is_Rational and expr.exp < 0:
            below = self.parenthesize(1 / expr, sympy.printing.precedence.PRECEDENCE["Mul"] + 1)
            return f"1/{below}"
        if expr.exp.is_Integer and expr.exp > 1:
            if isinstance(expr.base, sympy.Function) and not isinstance(expr.base, sympy.exp | sympy.Abs):
                name, arguments = str(self._print(expr.base)).split("(", 1)
                return f"{name}{str(expr.exp).translate(_SUPERSCRIPTS)}({arguments}"
            base = self.parenthesize(expr.base, sympy.printing.precedence.PRECEDENCE["Pow"])
            return f"{base}{str(expr.exp).translate(_SUPERSCRIPTS)}"
        return str(super()._print_Pow(expr, rational=rational)).replace("**", "^").replace("*", "·")

    def _print_LambertW(self, expr: Any) -> str:
        return f"W({self._print(expr.args[0])})"

    def _print_Piecewise(self, expr: Any) -> str:
        rows = [
            self._print(form) + ("" if when == sympy.true else f" for {self._print(when)}") for form, when in expr.args
        ]
        return "; ".join([*rows[:-1], f"{rows[-1]} otherwise"])

    def _print_Relational(self, expr: Any) -> str:
        sign = {"<=": "≤", ">=": "≥", "==": "="}.get(expr.rel_op, expr.rel_op)
        return f"{self._print(expr.lhs)} {sign} {self._print(expr.rhs)}"

    def _print_Abs(self, expr: Any) -> str:
        return f"|{self._print(expr.args[0])}|"


def expression_text(expr: Expr) -> str:
    """An expression on one line."""
    return str(_UnicodePrinter({"order": None}).doprint(expr))


TEXT = Style(
    expression=expression_text,
    word=str,
    union="∪",
    none="∅",
    about="=",
    infinity="∞",
    opening="{",
    closing="}",
)


def analysis_text(analysis: Analysis) -> str:
    """Formula, derivative with its value at every kink, second derivative, and the facts by group."""
    activation = analysis.activation
    lines = [activation.name + (f"  ({activation.source})" if activation.source else "")]
    x = str(analysis.pieces.variable)
    lines += ["", *function_lines(f"f({x})", table(analysis.formula, as_defined=True), analysis, ())]
    slopes = table(analysis.formula_derivative, analysis.formula_kinks)
    lines += ["", *function_lines(f"f'({x})", slopes, analysis, analysis.formula_kinks)]
    curvatures = table(analysis.formula_second_derivative)
    lines += ["", *function_lines(f"f''({x})", curvatures, analysis, ())]
    lines += [f"    {note}" for note in dirac_notes(analysis.formula_kinks)]
    values = card.heading(analysis, TEXT)
    if values:
        lines += ["", f"The facts hold at {values}."]
    for group in card.GROUPS:
        rows = [fact_lines(line) for line in card.lines(analysis.facts, group, TEXT)]
        if group == "Smoothness":
            rows += [
                fact_lines(card.Line(f"kink at {TEXT.number(k.at)}", kink_text(k, analysis), ""))
                for k in analysis.kinks
            ]
        lines += ["", group.upper(), *(text for row in rows for text in row)]
    if analysis.general:
        lines += ["", "FOR ALL PARAMETERS"]
        for group in card.GROUPS:
            lines += [text for line in card.lines(analysis.general, group, TEXT) for text in fact_lines(line)]
        lines += [text for line in card.general_kinks(analysis.general, TEXT) for text in fact_lines(line)]
    return "\n".join(line.rstrip() for line in lines)


def fact_lines(line: card.Line) -> list[str]:
    """Label, value, and how it is known in a column of its own; a long value has its lines to itself."""
    indent, width = " " * (_LABEL + 2), _WIDTH - _LABEL - 2
    known = f"[{line.method}]" if line.method else ""
    if len(line.value) <= _VALUE:
        column = textwrap.wrap(known, width - _VALUE - 2) or [""]
        texts = [f"{line.value:{_VALUE}}  {column[0]}", *(" " * (_VALUE + 2) + rest for rest in column[1:])]
    else:
        texts = textwrap.wrap(line.value, width, break_long_words=False, break_on_hyphens=False)
        texts += textwrap.wrap(known, width)
    return [f"  {line.label:{_LABEL}}{texts[0]}", *(indent + text for text in texts[1:])]


def kink_text(kink: Kink, analysis: Analysis) -> str:
    """What is said of a kink: one-sided slopes, Clarke interval, the choice."""
    left, right, chosen = (expression_text(_short(value)) for value in (kink.left, kink.right, kink.chosen))
    if kink.clarke is None:
        clarke = "no Clarke interval"
    else:
        lower, upper = (expression_text(_short(end)) for end in kink.clarke)
        clarke = f"Clarke interval [{lower}, {upper}]"
    return f"slopes {left} and {right}, {clarke}, f' = {chosen} by {policy_text(kink, analysis)}"


def dirac_notes(kinks: Sequence[Kink]) -> list[str]:
    """What the values of the second derivative leave out: its Dirac part, in words."""
    notes = []
    for kink in kinks:
        if not (kink.left.is_finite and kink.right.is_finite):
            continue
        at, step = (expression_text(_short(value)) for value in (kink.at, kink.right - kink.left))
        parts = [f"a Dirac delta of weight {step}"] if step != "0" else []
        where = "where f' jumps"
        if kink.clarke is None:
            parts, where = ["the derivative of a Dirac delta", *parts], "where f itself jumps"
        notes.append(f"as a distribution, also {' and '.join(parts)} at {at}, {where}")
    return notes


def policy_text(kink: Kink, analysis: Analysis) -> str:
    """By whose word the value at a kink was chosen."""
    activation: Activation = analysis.activation
    if analysis.subgradient == "least-norm" and kink.at in activation.subgradients:
        return "the definition's source"
    return analysis.subgradient if isinstance(analysis.subgradient, str) else "request"


def _short(value: Expr) -> Expr:
    """A long constant as a decimal of 12 digits, for reading only."""
    return value.evalf(12) if value.is_number and value.is_finite and sympy.count_ops(value) > 8 else value


def function_lines(left: str, rows: Table, analysis: Analysis, kinks: tuple[Kink, ...]) -> list[str]:
    """A function behind a brace, a row a line; the rows of these kinks say by which policy they were chosen."""
    forms = [expression_text(row.expr) for row in rows.rows]
    width = max(len(form) for form in forms)
    chosen = {kink.at: policy_text(kink, analysis) for kink in kinks}
    lines = []
    for form, row in zip(forms, rows.rows, strict=True):
        places = expression_text(_short(row.lower)), expression_text(_short(row.upper))
        condition = row.condition(str(rows.variable), places, _WORDS)
        note = f"   ({chosen[row.lower]})" if row.lower == row.upper and row.lower in chosen else ""
        lines.append(f"{form:{width}}    {condition}{note}" if condition else form)
    braces = ["⎧", *("⎨" if 2 * n == len(lines) - 1 else "⎪" for n in range(1, len(lines) - 1)), "⎩"]
    signs = [""] if len(lines) == 1 else [brace + " " for brace in braces]
    middle = (len(lines) - 1) // 2
    heads = [f"{left} = " if n == middle else " " * (len(left) + 3) for n in range(len(lines))]
    result = [head + sign + line for head, sign, line in zip(heads, signs, lines, strict=True)]
    result += [
        f"    {symbol} = {constant.evalf(20)}... = {expression_text(constant)}"
        for symbol, constant in rows.constants.items()
    ]
    return result
