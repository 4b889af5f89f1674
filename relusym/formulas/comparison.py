"""The table that courses draw by hand: activations beside each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from relusym.analysis import Analysis
from relusym.errors import InvalidRequest
from relusym.facts import Fact, Verdict
from relusym.formulas.card import smoothness
from relusym.formulas.document import analysis_document
from relusym.formulas.latex import LATEX
from relusym.formulas.text import TEXT
from relusym.formulas.words import Style

COLUMNS: Mapping[str, str] = {
    "range": "range",
    "continuity_class": "smooth",
    "monotonicity": "monotone",
    "convexity": "curvature",
    "zero_centred": "zero-centred",
    "saturates": "saturates",
    "dead_region": "dead region",
    "lipschitz": "Lipschitz",
    "gain_forward": "gain forward",
    "gain_backward": "gain backward",
    "parity": "parity",
}
"""Facts compared, with the heading of each column."""


def compare(analyses: Sequence[Analysis], format: str = "text") -> str:
    """A row an activation, a column a fact, as text, markdown, latex or json; `InvalidRequest` for another format."""
    formats: dict[str, Callable[[Sequence[Analysis]], str]] = {
        "text": _text,
        "markdown": _markdown,
        "latex": _latex,
        "json": _json,
    }
    if format not in formats:
        raise InvalidRequest(f"format {format!r} is unknown; known: {', '.join(formats)}")
    return formats[format](analyses)


def _rows(analyses: Sequence[Analysis], style: Style) -> list[list[str]]:
    return [
        [analysis.activation.name, *(_cell(name, analysis.facts[name], style) for name in COLUMNS)]
        for analysis in analyses
    ]


def _cell(name: str, fact: Fact, style: Style) -> str:
    if fact.verdict is Verdict.UNKNOWN:
        return style.word("unknown")
    if name == "continuity_class":
        return smoothness(fact.value, style)
    if name == "saturates" and isinstance(fact.value, Mapping):
        sides = [style.key(end) for end, holds in fact.value.items() if holds]
        return style.word("at ") + ", ".join(sides) if sides else style.word("no")
    return style.value(fact.value)


def _text(analyses: Sequence[Analysis]) -> str:
    table = [["", *COLUMNS.values()], *_rows(analyses, TEXT)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def _markdown(analyses: Sequence[Analysis]) -> str:
    head = ["activation", *COLUMNS.values()]
    lines = [head, ["---"] * len(head), *_rows(analyses, TEXT)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _latex(analyses: Sequence[Analysis]) -> str:
    lines = [r"\begin{tabular}{l" + "l" * len(COLUMNS) + "}", " & ".join(["", *COLUMNS.values()]) + r" \\ \hline"]
    for name, *cells in _rows(analyses, LATEX):
        row = " & ".join([name.replace("_", r"\_"), *(f"${cell}$" for cell in cells)])
        lines.append(row.replace("…", r"\ldots ") + r" \\")
    return "\n".join([*lines, r"\end{tabular}"])


def _json(analyses: Sequence[Analysis]) -> str:
    documents = [analysis_document(analysis) for analysis in analyses]
    rows = [
        {"name": document["name"], "parameters": document["parameters"], **{n: document["facts"][n] for n in COLUMNS}}
        for document in documents
    ]
    return json.dumps({"schema": 1, "activations": rows}, indent=2, ensure_ascii=False)
