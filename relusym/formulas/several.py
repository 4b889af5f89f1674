"""Functions of several inputs or values as text, LaTeX, Markdown and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr

from relusym.analysis import Analysis
from relusym.calculus.hulls import Vector
from relusym.calculus.subdifferentials import Kink
from relusym.errors import InvalidRequest
from relusym.facts import Fact
from relusym.formulas import card
from relusym.formulas.document import DIGITS, Writer, expression_document, pieces_text
from relusym.formulas.latex import LATEX, expression_latex, fact_row, pieces_latex
from relusym.formulas.markdown import fact_table
from relusym.formulas.rows import table
from relusym.formulas.text import TEXT, expression_text, fact_lines, function_lines
from relusym.formulas.words import Style
from relusym.pieces import Pieces
from relusym.printing import grammar_text
from relusym.several import SeveralAnalysis
from relusym.several.forms import AffineMaximum, GatedUnit, Values, scaled

GROUPS: dict[str, dict[str, str]] = {
    "Shape": {
        "form": "form",
        "range": "range",
        "convex": "convex",
        "concave": "concave",
        "monotonicity": "monotone",
        "homogeneity": "homogeneity",
        "injective": "injective",
        "identities": "identities",
    },
    "Smoothness": {
        "continuity_class": "continuity class",
        "kinks": "no derivative",
        "subdifferential": "subdifferential",
        "lipschitz": "Lipschitz constant",
        "lipschitz_on_a_box": "Lipschitz on a box",
    },
    "Normal inputs": {
        "gaussian_mean": "E f",
        "gaussian_second_moment": "E f²",
        "gradient_second_moments": "E of squared slopes",
        "gain_forward": "gain, forward",
        "gain_backward": "gain, backward",
    },
}
"""Facts by group, with the label of each."""

_ROWS = 4  # a gradient of so many rows is written out


@dataclass(frozen=True)
class _Function:
    """One of the formulas of a function of pieces: its name in both languages, the pieces, and which row is chosen."""

    text: str
    latex: str
    pieces: Pieces
    kinks: tuple[Kink, ...]
    analysis: Analysis
    as_defined: bool


def render_several(analysis: SeveralAnalysis, form: str = "text", digits: int = DIGITS) -> str:
    """The analysis as text, latex, markdown or json; `InvalidRequest` for another format."""
    if form == "json":
        return json.dumps(several_document(analysis, digits), indent=2, ensure_ascii=False)
    makers: dict[str, Callable[[SeveralAnalysis], str]] = {"text": _text, "latex": _latex, "markdown": _markdown}
    if form not in makers:
        raise InvalidRequest(f"format {form!r} is unknown; known: {', '.join(makers)}, json")
    return makers[form](analysis)


# --- formulas ---


def _functions(form: GatedUnit | Values) -> Iterator[_Function]:
    """The values, then their derivatives."""
    if isinstance(form, GatedUnit):
        a, gate, inputs = form.factor, form.gate, ", ".join(map(str, form.inputs))
        yield _Function(f"f({inputs})", f"f({inputs})", scaled(gate.formula, a), (), gate, True)
        by_gate = scaled(gate.formula_derivative, a), gate.formula_kinks
        slopes = {form.factor: (gate.formula, ()), form.variable: by_gate}
        for symbol in form.inputs:
            pieces, kinks = slopes[symbol]
            yield _Function(f"∂f/∂{symbol}", _partial("f", symbol), pieces, kinks, gate, False)
        return
    x = form.variable
    for number, part in enumerate(form.parts, 1):
        yield _Function(f"y{number}({x})", f"y_{{{number}}}({x})", part.formula, (), part, True)
    for number, part in enumerate(form.parts, 1):
        pieces, kinks = part.formula_derivative, part.formula_kinks
        yield _Function(f"y{number}'({x})", f"y_{{{number}}}'({x})", pieces, kinks, part, False)


def _partial(function: str, by: Expr) -> str:
    return rf"\frac{{\partial {function}}}{{\partial {expression_latex(by)}}}"


def _regions(form: AffineMaximum) -> list[tuple[Vector, Expr, tuple[Expr, ...]]]:
    """For each line its gradient, the line, and the others, above which it is there."""
    exprs = [line.expr for line in form.lines]
    return [
        (line.gradient, line.expr, tuple(other for other in exprs if other is not line.expr)) for line in form.lines
    ]


def _ties(form: AffineMaximum) -> str:
    """What is taken where several lines are largest."""
    if form.policy != "least-norm":
        return f"the gradient of the {form.policy} of those that are largest, where several are"
    if form.is_of_inputs:
        return "1/r for each of the r largest inputs, where several are"
    return "the element of least norm of the hull of their gradients, where several are largest"


def _gradient_rows(form: AffineMaximum, style: Style) -> tuple[str, list[tuple[str, str]]]:
    """What stands on the left, and each value with its condition, ties aside; of many inputs for one of them."""
    if len(form.lines) > _ROWS and form.is_of_inputs:
        left = r"\frac{\partial f}{\partial z_i}" if style is LATEX else "∂f/∂z_i"
        conditions = "for the input that is larger than all others", "for the others"
        return left, [(value, style.word(words)) for value, words in zip("10", conditions, strict=True)]
    rows = [
        (_vector(gradient, style.expression), _above(line, others, style)) for gradient, line, others in _regions(form)
    ]
    return r"\nabla f" if style is LATEX else "∇f", rows


def _maximum_text(form: AffineMaximum) -> list[str]:
    exprs = [expression_text(line.expr) for line in form.lines]
    lines = [f"f({', '.join(map(str, form.inputs))}) = max({', '.join(exprs)})", ""]
    left, rows = _gradient_rows(form, TEXT)
    width = max(len(value) for value, _ in rows)
    texts = [f"{value:{width}}    {condition}" for value, condition in rows] + [f"{_ties(form)}   ({form.policy})"]
    braces = ["⎧", *("⎨" if 2 * n == len(texts) - 1 else "⎪" for n in range(1, len(texts) - 1)), "⎩"]
    middle = (len(texts) - 1) // 2
    heads = [f"{left} = " if n == middle else " " * (len(left) + 3) for n in range(len(texts))]
    return lines + [f"{head}{brace} {text}" for head, brace, text in zip(heads, braces, texts, strict=True)]


def _vector(gradient: Vector, printed: Callable[[Expr], str]) -> str:
    return f"({', '.join(map(printed, gradient))})"


def _above(line: Expr, others: tuple[Expr, ...], style: Style) -> str:
    """Where a line is larger than all others."""
    texts = [style.expression(other) for other in others]
    name = r"\max" if style is LATEX else "max"
    highest = texts[0] if len(texts) == 1 else f"{name}({', '.join(texts)})"
    return f"{style.expression(line)} > {highest}"


def formulas_text(analysis: SeveralAnalysis) -> list[str]:
    """Formula and gradient, a row a line."""
    form = analysis.form
    if isinstance(form, AffineMaximum):
        return _maximum_text(form)
    if form is None:
        inputs = ", ".join(map(str, analysis.activation.inputs))
        return [f"f({inputs}) = {', '.join(map(expression_text, analysis.activation.exprs))}"]
    lines: list[str] = []
    for function in _functions(form):
        rows = table(function.pieces, function.kinks, as_defined=function.as_defined)
        lines += ["", *function_lines(function.text, rows, function.analysis, function.kinks)]
    return lines[1:]


def formulas_latex(analysis: SeveralAnalysis) -> str:
    """Formula and gradient, as an aligned display."""
    form = analysis.form
    inputs = ", ".join(map(expression_latex, analysis.activation.inputs))
    lines = []
    if isinstance(form, AffineMaximum):
        lines.append(rf"f({inputs}) &= \max({', '.join(expression_latex(line.expr) for line in form.lines)})")
        left, rows = _gradient_rows(form, LATEX)
        cases = [*(f"{value} & {condition}" for value, condition in rows), rf"\text{{{_ties(form)}}} &"]
        lines.append(rf"{left} &= \begin{{cases}} " + r" \\ ".join(cases) + r" \end{cases}")
    elif form is None:
        lines.append(f"f({inputs}) &= {', '.join(map(expression_latex, analysis.activation.exprs))}")
    else:
        for function in _functions(form):
            shown = pieces_latex(function.pieces, function.kinks, as_defined=function.as_defined)
            lines.append(f"{function.latex} &= {shown}")
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}"])


# --- documents ---


def _heading(analysis: SeveralAnalysis, style: Style) -> str:
    values = [f"{style.expression(symbol)} = {style.number(value)}" for symbol, value in analysis.parameters.items()]
    if analysis.sigma != 1:
        values.append(f"σ = {style.number(analysis.sigma)}")
    return ", ".join(values)


def _special(analysis: SeveralAnalysis) -> Iterator[card.Line]:
    """Special cases: the claim, and how it is known."""
    for claim, fact in analysis.special_cases.items():
        known = fact.method if fact.value is True else f"unknown: {fact.value}"
        yield card.Line("", claim, known)


def _latex_claim(claim: str) -> str:
    """A claim in words, with the sign of infinity."""
    return LATEX.word(re.sub(r"\boo\b", r"$\\infty$", claim))


def _text(analysis: SeveralAnalysis) -> str:
    activation = analysis.activation
    lines = [activation.name + (f"  ({activation.source})" if activation.source else ""), ""]
    lines += formulas_text(analysis)
    values = _heading(analysis, TEXT)
    if values:
        lines += ["", f"The facts hold at {values}."]
    for group in GROUPS:
        rows = list(card.lines(analysis.facts, group, TEXT, GROUPS))
        lines += ["", group.upper(), *(text for row in rows for text in fact_lines(row))] if rows else []
    special = list(_special(analysis))
    if special:
        lines += ["", "SPECIAL CASES"]
        lines += [text for row in special for text in (f"  {row.value}", f"      [{row.method}]")]
    return "\n".join(line.rstrip() for line in lines)


def _latex(analysis: SeveralAnalysis) -> str:
    lines = [r"\[", formulas_latex(analysis), r"\]", r"\begin{longtable}{lp{0.7\linewidth}}"]
    for group in GROUPS:
        rows = list(card.lines(analysis.facts, group, LATEX, GROUPS))
        if rows:
            lines.append(rf"\multicolumn{{2}}{{l}}{{\textbf{{{group}}}}} \\")
        lines += map(fact_row, rows)
    special = list(_special(analysis))
    if special:
        lines.append(r"\multicolumn{2}{l}{\textbf{Special cases}} \\")
        lines += [fact_row(card.Line("", _latex_claim(row.value), "")) for row in special]
    return "\n".join([*lines, r"\end{longtable}"])


def _markdown(analysis: SeveralAnalysis) -> str:
    activation = analysis.activation
    lines = [f"## {activation.name}", ""]
    if activation.source:
        lines += [f"Source: {activation.source}", ""]
    lines += ["$$", formulas_latex(analysis), "$$", ""]
    values = _heading(analysis, TEXT)
    if values:
        lines += [f"The facts hold at {values}.", ""]
    for group in GROUPS:
        rows = list(card.lines(analysis.facts, group, TEXT, GROUPS))
        lines += fact_table(group, rows) if rows else []
    special = list(_special(analysis))
    if special:
        lines += fact_table("Special cases", special)
    return "\n".join(lines).rstrip()


def several_document(analysis: SeveralAnalysis, digits: int = DIGITS) -> dict[str, Any]:
    """The document as plain data; numbers are text, never rounded doubles."""
    activation = analysis.activation
    free = {symbol for expr in activation.exprs for symbol in expr.free_symbols} | set(activation.inputs)
    bounds = {sympy.Symbol(letter, nonnegative=True) for letter in "ABL"}
    write = Writer(digits, tuple(sorted(free | bounds, key=str)))

    def facts(found: Mapping[str, Fact]) -> dict[str, Any]:
        return {name: write.fact(fact) for name, fact in found.items()}

    return {
        "schema": 1,
        "name": activation.name,
        "inputs": list(map(str, activation.inputs)),
        "parameters": {str(symbol): grammar_text(value) for symbol, value in analysis.parameters.items()},
        **_formulas_document(analysis),
        "facts": facts(analysis.facts),
        "special_cases": facts(analysis.special_cases),
    }


def _formulas_document(analysis: SeveralAnalysis) -> dict[str, Any]:
    form = analysis.form
    if isinstance(form, AffineMaximum):
        names = list(map(str, form.inputs))
        regions = [
            {
                "where": _above(line, others, TEXT),
                "gradient": dict(zip(names, map(grammar_text, gradient), strict=True)),
            }
            for gradient, line, others in _regions(form)
        ]
        formula = expression_document(sympy.Max(*(line.expr for line in form.lines)))
        ties = {"policy": form.policy, "taken": _ties(form)}
        return {"form": "maximum", "formulas": [formula], "gradient": {"regions": regions, "ties": ties}}
    if form is None:
        return {"form": None, "formulas": list(map(expression_document, analysis.activation.exprs)), "gradient": None}
    written = [
        {
            "text": pieces_text(function.pieces, function.kinks, as_defined=function.as_defined),
            "latex": pieces_latex(function.pieces, function.kinks, as_defined=function.as_defined),
        }
        for function in _functions(form)
    ]
    if isinstance(form, GatedUnit):
        gradient = dict(zip(map(str, form.inputs), written[1:], strict=True))
        return {"form": "gated unit", "formulas": written[:1], "gradient": gradient}
    count = len(form.parts)
    slopes = {f"y{number}": slope for number, slope in enumerate(written[count:], 1)}
    return {"form": "values", "formulas": written[:count], "gradient": slopes}
