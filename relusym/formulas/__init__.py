"""Formulas for people and machines: text, LaTeX, Markdown, JSON."""

from __future__ import annotations

from relusym.analysis import Analysis
from relusym.errors import InvalidRequest
from relusym.formulas.document import analysis_json
from relusym.formulas.latex import analysis_latex
from relusym.formulas.markdown import analysis_markdown
from relusym.formulas.text import analysis_text

_FORMATS = {
    "text": analysis_text,
    "latex": analysis_latex,
    "markdown": analysis_markdown,
    "json": analysis_json,
}


def render(analysis: Analysis, format: str = "text") -> str:
    """The analysis as text (for a terminal), latex, markdown or json; `InvalidRequest` for another format."""
    if format not in _FORMATS:
        raise InvalidRequest(f"format {format!r} is unknown; known: {', '.join(_FORMATS)}")
    return _FORMATS[format](analysis)
