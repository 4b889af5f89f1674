"""A layer of units of several inputs as text, LaTeX and Markdown: its gradients and its update."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sympy import Expr, Mul, Sum

from relusym.errors import InvalidRequest
from relusym.formulas.latex import expression_latex
from relusym.formulas.several import formulas_latex, formulas_text
from relusym.formulas.text import expression_text
from relusym.several.layers import SeveralLayer, plain


def render_several_layer(layer: SeveralLayer, form: str = "text") -> str:
    """The layer as text, latex or markdown; `InvalidRequest` for another form."""
    makers: dict[str, Callable[[SeveralLayer], str]] = {"text": _text, "latex": _latex, "markdown": _markdown}
    if form not in makers:
        raise InvalidRequest(f"a layer is printed as {', '.join(makers)}, not as {form!r}")
    return makers[form](layer)


def _entries(layer: SeveralLayer) -> Iterator[tuple[str, str, Expr]]:
    """Each formula for one entry, after what it is in both languages."""
    w, b, x, z = (str(base) for base in (layer.weight, layer.bias, layer.input, layer.before))
    yield f"{z}^(q)_i", f"{z}^{{(q)}}_i", layer.pre_activation
    yield f"dE/d{w}^(q)_ij", _partial(f"{w}^{{(q)}}_{{ij}}"), layer.by_weight
    yield f"dE/d{b}^(q)_i", _partial(f"{b}^{{(q)}}_i"), layer.by_bias
    yield f"dE/d{x}_j", _partial(f"{x}_j"), layer.by_input
    yield f"{w}*^(q)_ij", f"{w}^{{*(q)}}_{{ij}}", layer.updated_weight
    yield f"{b}*^(q)_i", f"{b}^{{*(q)}}_i", layer.updated_bias


def _partial(by: str) -> str:
    return rf"\frac{{\partial E}}{{\partial {by}}}"


def _text(layer: SeveralLayer) -> str:
    analysis, inputs = layer.analysis, layer.analysis.activation.inputs
    w, b, x, g, z = (str(base) for base in (layer.weight, layer.bias, layer.input, layer.gradient, layer.before))
    lines = [
        f"{analysis.activation.name} layer: h = f({', '.join(f'{z}^({q})' for q, _ in enumerate(inputs, 1))}), "
        f"{z}^(q) = {w}^(q) {x} + {b}^(q), with m units i and n inputs j;",
        f"E is a loss of h, {g} = dE/dh, and f_q(z_i) is the derivative of f by its q-th input at unit i",
        "",
        *(f"{name} = {_written(layer, formula, expression_text, 'Σ_{}')}" for name, _, formula in _entries(layer)),
        "",
        f"f and its derivatives, by {', '.join(map(str, inputs))}:",
        "",
        *formulas_text(analysis),
    ]
    rate = expression_text(layer.rate)
    lines += [
        "",
        f"in matrices, with δ^(q) = {g} ⊙ f_q({z}):",
        f"    dE/d{w}^(q) = δ^(q) {x}ᵀ,   dE/d{b}^(q) = δ^(q),   dE/d{x} = Σ_q {w}^(q)ᵀ δ^(q)",
        f"    {w}*^(q) = {w}^(q) - {rate} δ^(q) {x}ᵀ,   {b}*^(q) = {b}^(q) - {rate} δ^(q)",
    ]
    return "\n".join(line.rstrip() for line in lines)


def _displays(layer: SeveralLayer) -> tuple[str, str, str]:
    """The entries, f with its gradient, and the matrices."""
    w, b, x, g, z = (str(base) for base in (layer.weight, layer.bias, layer.input, layer.gradient, layer.before))
    sums = r"\sum_{}"
    entries = [f"{name} &= {_written(layer, formula, expression_latex, sums)}" for _, name, formula in _entries(layer)]
    rate = expression_latex(layer.rate)
    matrices = (
        rf"\delta^{{(q)}} = {g} \odot f_q({z})",
        rf"{_partial(f'{w}^{{(q)}}')} = \delta^{{(q)}} {x}^\top",
        rf"{_partial(f'{b}^{{(q)}}')} = \delta^{{(q)}}",
        rf"{_partial(x)} = \sum_q {w}^{{(q)\top}} \delta^{{(q)}}",
        rf"{w}^{{*(q)}} = {w}^{{(q)}} - {rate}\, \delta^{{(q)}} {x}^\top",
        rf"{b}^{{*(q)}} = {b}^{{(q)}} - {rate}\, \delta^{{(q)}}",
    )
    aligned = "\n".join([r"\begin{aligned}", " \\\\\n".join(entries), r"\end{aligned}"])
    return aligned, formulas_latex(layer.analysis), r",\quad ".join(matrices)


def _latex(layer: SeveralLayer) -> str:
    return "\n".join(f"\\[\n{display}\n\\]" for display in _displays(layer))


def _markdown(layer: SeveralLayer) -> str:
    heading = f"## A layer of {layer.analysis.activation.name} units"
    return "\n\n".join([heading, *(f"$$\n{display}\n$$" for display in _displays(layer))])


def _written(layer: SeveralLayer, formula: Expr, printed: Callable[[Expr], str], sign: str) -> str:
    """A formula whose sums are written with their index alone: what it runs over is said once, above."""
    if formula.is_Add:
        sums = [term for term in formula.args if term.has(Sum)]
        rest = formula.func(*(term for term in formula.args if not term.has(Sum)))
        texts = [_written(layer, term, printed, sign) for term in sums]
        return " + ".join([*texts, *([printed(plain(layer, rest))] if rest != 0 else [])])
    found = next((factor for factor in Mul.make_args(formula) if isinstance(factor, Sum)), None)
    if found is None:
        return printed(plain(layer, formula))
    inside = formula / found * found.function
    return f"{sign.format(found.limits[0][0])} {_written(layer, inside, printed, sign)}"
