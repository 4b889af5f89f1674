"""The layer h = f(W x + b) as text, LaTeX and Markdown: its gradients and its update, with the choice at every kink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sympy import Expr, Sum

from relusym.calculus.subdifferentials import Kink
from relusym.errors import InvalidRequest
from relusym.formulas.latex import LATEX, expression_latex, table_latex
from relusym.formulas.rows import Table, table
from relusym.formulas.text import TEXT, expression_text, function_lines, policy_text
from relusym.layers import AffineLayer, plain, pre_activation_symbol


@dataclass(frozen=True)
class _Entry:
    """One formula: what it is in both languages, in general, and over the values of z_i where that says more."""

    text: str
    latex: str
    formula: Expr
    in_cases: bool


def _entries(layer: AffineLayer) -> Iterator[_Entry]:
    w, b, x, z = (str(base) for base in (layer.weight, layer.bias, layer.input, layer.before))
    yield _Entry(f"f'({z}_i)", f"f'({z}_i)", layer.slope[layer.unit], True)
    yield _Entry(f"dE/d{w}_ij", _partial(f"{w}_{{ij}}"), layer.by_weight, True)
    yield _Entry(f"dE/d{b}_i", _partial(f"{b}_i"), layer.by_bias, True)
    yield _Entry(f"dE/d{x}_j", _partial(f"{x}_j"), layer.by_input, False)
    yield _Entry(f"{w}*_ij", f"{w}^*_{{ij}}", layer.updated_weight, True)
    yield _Entry(f"{b}*_i", f"{b}^*_i", layer.updated_bias, True)


def _letters(layer: AffineLayer) -> tuple[str, ...]:
    return tuple(str(base) for base in (layer.weight, layer.bias, layer.input, layer.gradient, layer.before))


def _partial(by: str) -> str:
    return rf"\frac{{\partial E}}{{\partial {by}}}"


def layer_text(layer: AffineLayer) -> str:
    """For a terminal: every formula for one entry, its pieces behind a brace, then all of them as matrices."""
    analysis = layer.analysis
    w, b, x, g, z = _letters(layer)
    lines = [
        f"{analysis.activation.name} layer: h = f({z}), {z} = {w} {x} + {b}, with m units i and n inputs j;",
        f"E is a loss of h, and {g} = dE/dh",
        "",
        f"{z}_i = {_text(layer, layer.pre_activation)}",
    ]
    for entry in _entries(layer):
        general = entry.formula != layer.slope[layer.unit]
        lines.append("")
        if general:
            lines.append(f"{entry.text} = {_text(layer, entry.formula)}")
        if entry.in_cases:
            left = " " * (len(entry.text) - 1) if general else entry.text
            lines += function_lines(left, _rows(layer, entry.formula), analysis, analysis.formula_kinks)
        if not general:
            lines += [f"    {_choice(layer, kink, TEXT.number)}" for kink in analysis.formula_kinks]
    rate = expression_text(layer.rate)
    lines += [
        "",
        f"in matrices, with δ = {g} ⊙ f'({z}):",
        f"    dE/d{w} = δ {x}ᵀ,   dE/d{b} = δ,   dE/d{x} = {w}ᵀ δ",
        f"    {w}* = {w} - {rate} δ {x}ᵀ,   {b}* = {b} - {rate} δ",
    ]
    return "\n".join(line.rstrip() for line in lines)


def layer_latex(layer: AffineLayer) -> str:
    """An aligned display for the entries, and one for the matrices; the preamble needs amsmath."""
    return "\n".join([r"\[", _entries_latex(layer), r"\]", *_notes(layer), r"\[", _matrices_latex(layer), r"\]"])


def layer_markdown(layer: AffineLayer) -> str:
    """The displays under a heading."""
    name, parts = layer.analysis.activation.name, (_entries_latex(layer), _matrices_latex(layer))
    shown = [f"$$\n{part}\n$$" for part in parts]
    return "\n\n".join([f"## A layer of {name} units", shown[0], *_notes(layer), shown[1]])


def render_layer(layer: AffineLayer, form: str = "text") -> str:
    """The layer as text, latex or markdown; `InvalidRequest` for another form."""
    makers: dict[str, Callable[[AffineLayer], str]] = {
        "text": layer_text,
        "latex": layer_latex,
        "markdown": layer_markdown,
    }
    if form not in makers:
        raise InvalidRequest(f"a layer is printed as {', '.join(makers)}, not as {form!r}")
    return makers[form](layer)


def _rows(layer: AffineLayer, formula: Expr) -> Table:
    """The formula at each value of z_i; constants have the names that f' gives them, and are listed with it alone."""
    slopes, slope = table(layer.analysis.formula_derivative, layer.analysis.formula_kinks), layer.slope[layer.unit]
    z = pre_activation_symbol(layer)
    rows = tuple(
        replace(row, expr=plain(layer, formula.xreplace({slope: row.expr.xreplace({slopes.variable: z})})))
        for row in slopes.rows
    )
    return Table(z, rows, slopes.constants if formula == slope else {})


def _entries_latex(layer: AffineLayer) -> str:
    z = layer.before
    lines = [rf"{z}_i &= {_latex(layer, layer.pre_activation)}, \qquad h_i = f({z}_i)"]
    for entry in _entries(layer):
        parts = [] if entry.formula == layer.slope[layer.unit] else [_latex(layer, entry.formula)]
        parts += [table_latex(_rows(layer, entry.formula))] if entry.in_cases else []
        lines.append(f"{entry.latex} &= {' = '.join(parts)}")
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}"])


def _matrices_latex(layer: AffineLayer) -> str:
    w, b, x, g, z = _letters(layer)
    rate = expression_latex(layer.rate)
    parts = (
        rf"\delta = {g} \odot f'({z})",
        rf"{_partial(w)} = \delta {x}^\top",
        rf"{_partial(b)} = \delta",
        rf"{_partial(x)} = {w}^\top \delta",
        rf"{w}^* = {w} - {rate}\, \delta {x}^\top",
        rf"{b}^* = {b} - {rate}\, \delta",
    )
    return r",\quad ".join(parts)


def _notes(layer: AffineLayer) -> list[str]:
    """What is chosen at each kink, in words with formulas between dollar signs."""
    return [_choice(layer, kink, lambda expr: f"${LATEX.number(expr)}$") for kink in layer.analysis.formula_kinks]


def _choice(layer: AffineLayer, kink: Kink, printed: Callable[[Expr], str]) -> str:
    """What was chosen at a kink, by which policy, and what else could be."""
    chosen = f"{printed(kink.chosen)} is chosen by {policy_text(kink, layer.analysis)}"
    if kink.clarke is None:
        return f"at {printed(kink.at)} there is no Clarke interval; {chosen}"
    lower, upper = map(printed, kink.clarke)
    return f"at {printed(kink.at)} every slope from {lower} to {upper} is a subgradient; {chosen}"


def _text(layer: AffineLayer, formula: Expr) -> str:
    return _summed(layer, formula, expression_text, "Σ_{}")


def _latex(layer: AffineLayer, formula: Expr) -> str:
    written = _summed(layer, formula, expression_latex, r"\sum_{}")
    return written.replace(r"\operatorname{f'}", "f'")  # SymPy's way with names of two characters


def _summed(layer: AffineLayer, formula: Expr, printed: Callable[[Expr], str], sign: str) -> str:
    """A formula whose sums are written with their index alone: what it runs over is said once, above."""
    sums = [part for part in formula.as_ordered_terms() if isinstance(part, Sum)]
    texts = []
    for part in sums:
        index = part.limits[0][0]
        texts.append(f"{sign.format(index)} {printed(plain(layer, part.function))}")
    rest = formula - sum(sums)
    return " + ".join([*texts, *([printed(plain(layer, rest))] if rest != 0 else [])])
