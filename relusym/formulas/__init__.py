"""Formulas for people and machines: text, LaTeX, Markdown, JSON."""

from __future__ import annotations

from relusym.analysis import Analysis
from relusym.errors import InvalidRequest
from relusym.formulas.comparison import compare
from relusym.formulas.document import DIGITS, analysis_json
from relusym.formulas.latex import analysis_latex
from relusym.formulas.markdown import analysis_markdown
from relusym.formulas.several import render_several
from relusym.formulas.text import analysis_text
from relusym.several import SeveralAnalysis

__all__ = ["compare", "render"]

_FORMATS = {
    "text": analysis_text,
    "latex": analysis_latex,
    "markdown": analysis_markdown,
}


def render(analysis: Analysis | SeveralAnalysis, format: str = "text", digits: int = DIGITS) -> str:
    """The analysis as text (for a terminal), latex, markdown or json; `InvalidRequest` for another format.

    `digits` are the significant digits of the decimals in JSON.
    """
    if isinstance(analysis, SeveralAnalysis):
        return render_several(analysis, format, digits)
    if format == "json":
        return analysis_json(analysis, digits)
    if format not in _FORMATS:
        raise InvalidRequest(f"format {format!r} is unknown; known: {', '.join(_FORMATS)}, json")
    return _FORMATS[format](analysis)
