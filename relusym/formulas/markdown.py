"""A card in Markdown: display formulas and a table of facts."""

from __future__ import annotations

from relusym.analysis import Analysis
from relusym.formulas.latex import analysis_latex
from relusym.formulas.text import expression_text, kink_text, value_text


def analysis_markdown(analysis: Analysis) -> str:
    """Heading, source, formulas, facts."""
    activation = analysis.activation
    lines = [f"## {activation.name}", ""]
    if activation.source:
        lines += [f"Source: {activation.source}", ""]
    lines += ["$$", analysis_latex(analysis), "$$", ""]
    values = [f"{expression_text(symbol)} = {expression_text(value)}" for symbol, value in analysis.parameters.items()]
    if values:
        lines += [f"Facts at {', '.join(values)}:", ""]
    lines += ["| fact | value | verdict | method |", "| --- | --- | --- | --- |"]
    for name, fact in analysis.facts.items():
        if name != "kinks":
            lines.append(f"| {name} | {value_text(fact.value)} | {fact.verdict.value.lower()} | {fact.method} |")
    for kink in analysis.kinks:
        method = analysis.facts["kinks"].method
        lines.append(f"| kink at {value_text(kink.at)} | {kink_text(kink, analysis)} | proved | {method} |")
    return "\n".join(lines)
