"""A card in Markdown: display formulas and a table of facts for each group."""

from __future__ import annotations

from relusym.analysis import Analysis
from relusym.formulas import card
from relusym.formulas.latex import formulas_latex
from relusym.formulas.text import TEXT, kink_text


def analysis_markdown(analysis: Analysis) -> str:
    """Heading, source, formulas, facts."""
    activation = analysis.activation
    lines = [f"## {activation.name}", ""]
    if activation.source:
        lines += [f"Source: {activation.source}", ""]
    lines += ["$$", formulas_latex(analysis), "$$", ""]
    values = card.heading(analysis, TEXT)
    if values:
        lines += [f"The facts hold at {values}.", ""]
    for group in card.GROUPS:
        rows = list(card.lines(analysis.facts, group, TEXT))
        if group == "Smoothness":
            method = analysis.facts["kinks"].method
            rows += [card.Line(f"kink at {TEXT.number(k.at)}", kink_text(k, analysis), method) for k in analysis.kinks]
        lines += fact_table(group, rows)
    general = [line for group in card.GROUPS for line in card.lines(analysis.general, group, TEXT)]
    if general:
        lines += fact_table("For all parameters", [*general, *card.general_kinks(analysis.general, TEXT)])
    return "\n".join(lines).rstrip()


def fact_table(title: str, rows: list[card.Line]) -> list[str]:
    """Facts of one group, and how each is known."""
    body = [f"| {row.label} | {_cell(row.value)} | {_cell(row.method)} |" for row in rows]
    return [f"| {title} | | how it is known |", "| --- | --- | --- |", *body, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
