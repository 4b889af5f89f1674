"""Formulas in LaTeX, with a cases environment for pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sympy
from sympy import Expr

from relusym.analysis import Analysis
from relusym.calculus.subdifferentials import Kink
from relusym.formulas import card
from relusym.formulas.rows import Table, table
from relusym.formulas.words import Style
from relusym.pieces import Pieces

_WORDS = {"<=": r"\le", ">=": r"\ge"}
_SIGNS = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne", "->": r"\to", "<": "<", ">": ">", "|": "|"}
_ESCAPES = str.maketrans({"^": r"\^{}", "_": r"\_", "²": "$^2$", "&": r"\&", "%": r"\%", "#": r"\#"})


def _in_text(words: str) -> str:
    """Words with the signs of comparisons, limits and sizes in them."""
    escaped = words.translate(_ESCAPES)
    return re.sub("|".join(map(re.escape, _SIGNS)), lambda found: f"${_SIGNS[found[0]]}$", escaped)


def expression_latex(expr: Expr) -> str:
    """An expression in LaTeX, without dollar signs."""
    return r"\text{undefined}" if expr is sympy.nan else str(sympy.latex(expr))


def pieces_latex(pieces: Pieces, kinks: Sequence[Kink] = (), *, as_defined: bool = False) -> str:
    """A function in LaTeX; the rows of kinks are named, long constants are listed after it."""
    return table_latex(table(pieces, kinks, as_defined=as_defined))


def formulas_latex(analysis: Analysis) -> str:
    """Formula and derivative, as an aligned display."""
    x = expression_latex(analysis.pieces.variable)
    return "\n".join(
        [
            r"\begin{aligned}",
            f"f({x}) &= {pieces_latex(analysis.formula, as_defined=True)} \\\\",
            f"f'({x}) &= {pieces_latex(analysis.formula_derivative, analysis.formula_kinks)}",
            r"\end{aligned}",
        ]
    )


LATEX = Style(
    expression=expression_latex,
    word=lambda text: r"\text{" + _in_text(text) + "}" if text else "",
    union=r"\cup",
    none=r"\emptyset",
    about=r"\approx",
    infinity=r"\infty",
    opening=r"\{",
    closing=r"\}",
)


def analysis_latex(analysis: Analysis) -> str:
    """The formulas as a display, then the facts as a table; the preamble needs amsmath and longtable."""
    lines = [r"\[", formulas_latex(analysis), r"\]", r"\begin{longtable}{lp{0.7\linewidth}}"]
    for group in card.GROUPS:
        rows = list(card.lines(analysis.facts, group, LATEX))
        if rows:
            lines.append(rf"\multicolumn{{2}}{{l}}{{\textbf{{{group}}}}} \\")
        lines += map(fact_row, rows)
        if group == "Smoothness":
            lines += [_kink_row(kink) for kink in analysis.kinks]
    return "\n".join([*lines, r"\end{longtable}"])


def fact_row(line: card.Line) -> str:
    """A fact as a row of a table."""
    return f"{line.label.translate(_ESCAPES)} & {_cell(line.value)} \\\\".replace("…", r"\ldots ")


def _cell(value: str) -> str:
    """A value in mathematics; one of words alone as text, so that its lines can break."""
    words = re.fullmatch(r"\\text\{((?:[^{}]|\{\})*)\}", value)
    return words[1] if words else f"${value}$"


def _kink_row(kink: Kink) -> str:
    slopes = rf"f'_- = {LATEX.number(kink.left)},\; f'_+ = {LATEX.number(kink.right)}"
    clarke = ""
    if kink.clarke is not None:
        low, high = map(LATEX.number, kink.clarke)
        clarke = rf",\; \partial f = [{low}, {high}]"
    return rf"kink at ${LATEX.number(kink.at)}$ & ${slopes}{clarke}$ \\".replace("…", r"\ldots ")


def table_latex(rows: Table) -> str:
    """The rows as a cases environment, or the only one; named constants follow."""
    x = expression_latex(rows.variable)
    lines = []
    for row in rows.rows:
        places = expression_latex(row.lower), expression_latex(row.upper)
        condition = row.condition(x, places, _WORDS)
        lines.append(f"{expression_latex(row.expr)} & {condition}" if condition else expression_latex(row.expr))
    where = "".join(
        rf", \quad {expression_latex(symbol)} = {expression_latex(constant)}"
        for symbol, constant in rows.constants.items()
    )
    if len(lines) == 1:
        return lines[0] + where
    return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}" + where
