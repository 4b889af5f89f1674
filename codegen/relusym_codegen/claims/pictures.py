"""Curves of measured claims as SVG."""

from __future__ import annotations

from pathlib import Path

from relusym.drawing import figures
from relusym_codegen.claims.statements import Curves

# Okabe and Ito's palette, and dashes, so that lines are told apart without colours
_LINES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"))
NEEDED_BY = "pictures of claims need"


def draw(curves: Curves, path: Path) -> None:
    """The bands on a logarithmic scale, median and extremes over the seeds; `Missing` without matplotlib."""
    with figures(NEEDED_BY) as new_figure:
        figure = new_figure(figsize=(6.4, 4.0), layout="constrained")
        panel = figure.subplots()
        for band, (colour, dashes) in zip(curves.bands, _LINES, strict=False):
            panel.fill_between(curves.places, band.low, band.high, color=colour, alpha=0.18, linewidth=0)
            panel.plot(curves.places, band.middle, color=colour, linestyle=dashes, label=band.label)
        panel.set(yscale="log", xlabel=curves.across, ylabel=curves.upwards)
        panel.set_title(f"{curves.title}: median, least and greatest over the seeds", fontsize=10)
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
