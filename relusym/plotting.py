"""Pictures: f, f' and f'' above each other, with kinks, Clarke intervals, asymptotes and marked points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sympy
from sympy import Expr

from relusym.analysis import Analysis
from relusym.balls import enclosure, order
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.subdifferentials import around
from relusym.errors import InvalidRequest, Missing, Undecided
from relusym.facts import Absent, Enclosed, Real, RealSet
from relusym.pieces import Pieces

# Okabe and Ito's palette: told apart by the colour-blind, and in grey
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
_MARKS = {
    "zeros": ("zero", "o", _GREEN),
    "argmin": ("least value", "v", _RED),
    "argmax": ("greatest value", "^", _RED),
    "inflections": ("inflection", "D", _ORANGE),
}
_SAMPLES = 400
_NAMES = ("f", "f'", "f''")


def plot(analysis: Analysis, path: Path, *, interval: tuple[float, float] | None = None) -> None:
    """Draw an analysis into a PNG or SVG file; the same analysis gives the same SVG.

    The interval is chosen so that breakpoints and marked points are seen. Raises `InvalidRequest` for another
    kind of file, and `Missing` without matplotlib.
    """
    if path.suffix not in (".png", ".svg"):
        raise InvalidRequest(f"{path} is neither .png nor .svg")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise Missing("plot needs matplotlib; install it with: pip install 'relusym[plot]'") from None
    low, high = interval or _interval(analysis)
    settings = {"svg.hashsalt": "relusym", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(8, 8.5), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True, height_ratios=(1.5, 1, 1))
        functions = (analysis.pieces, analysis.derivative, analysis.second_derivative)
        for panel, name, function in zip(panels, _NAMES, functions, strict=True):
            heights = _draw(panel, function, low, high)
            panel.set_ylabel(f"${name}(x)$")
            panel.grid(color="#dddddd", linewidth=0.6)
            panel.axhline(0, color=_GREY, linewidth=0.8)
            panel.axvline(0, color=_GREY, linewidth=0.8)
            _limit_height(panel, heights)
        _shade_dead_region(panels, analysis, low, high)
        _draw_asymptotes(panels[0], analysis, low, high)
        _mark(panels[0], analysis, low, high)
        _draw_kinks(panels[1], analysis)
        panels[0].set_title(analysis.activation.name)
        panels[-1].set_xlabel("$x$")
        panels[-1].set_xlim(low, high)
        for panel in panels[:2]:
            if panel.get_legend_handles_labels()[0]:
                panel.legend(loc="best", frameon=False, fontsize=9)
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw(panel: Any, function: Pieces, low: float, high: float) -> list[float]:
    """Each piece by itself; filled and open circles where it jumps. Gives the heights drawn."""
    heights: list[float] = []
    for piece in function.pieces:
        start, stop = max(low, _float(piece.lower)), min(high, _float(piece.upper))
        if start >= stop:
            continue
        value = sympy.lambdify(function.variable, piece.expr, ["math", {"erf": math.erf, "erfc": math.erfc}])
        inset = (stop - start) * 1e-6  # a branch may have no value at its very end
        step = (stop - start - 2 * inset) / _SAMPLES
        xs = [start + inset + k * step for k in range(_SAMPLES + 1)]
        points = [(x, y) for x in xs if (y := _evaluated(value, x)) is not None]
        panel.plot([x for x, _ in points], [y for _, y in points], color=_BLUE, linewidth=2, solid_capstyle="butt")
        heights += [y for _, y in points]
    for at, value in zip(function.breakpoints, function.values, strict=True):
        place = _float(at)
        if not low <= place <= high or value is sympy.nan:
            continue
        ends = _one_sided(function, at)
        if any(abs(end - _float(value)) > 1e-9 for end in ends):
            for end in ends:
                panel.plot([place], [end], "o", markerfacecolor="white", markeredgecolor=_BLUE, markersize=6)
            panel.plot([place], [_float(value)], "o", color=_BLUE, markersize=6)
    return heights


def _evaluated(value: Any, x: float) -> float | None:
    try:
        y = float(value(x))
    except (ArithmeticError, ValueError):
        return None
    return y if math.isfinite(y) else None


def _one_sided(function: Pieces, at: Expr) -> list[float]:
    try:
        limits = [one_sided_limit(piece, at, function.variable) for piece in around(function, at)]
    except Undecided:
        return []
    return [_float(limit) for limit in limits if limit.is_finite]


def _limit_height(panel: Any, heights: list[float]) -> None:
    """Room for all heights; a constant function gets a unit of room."""
    if not heights:
        return
    bottom, top = min(heights), max(heights)
    margin = 0.08 * (top - bottom) or 0.5
    panel.set_ylim(bottom - margin, top + margin)


def _draw_kinks(panel: Any, analysis: Analysis) -> None:
    """The Clarke interval as a bar, the value chosen as a dot."""
    drawn = 0
    for number, kink in enumerate(analysis.kinks):
        place = _float(kink.at)
        if kink.clarke is not None:
            ends = [_float(end) for end in kink.clarke]
            label = "Clarke interval" if not drawn else None
            (bar,) = panel.plot([place, place], ends, color=_ORANGE, linewidth=6, alpha=0.55, label=label)
            bar.set_gid(f"clarke-{number}")
            bar.set_solid_capstyle("butt")
            drawn += 1
        if kink.chosen is not sympy.nan:
            label = "value chosen" if number == 0 else None
            panel.plot([place], [_float(kink.chosen)], "o", color=_RED, markersize=6, label=label, zorder=4)


def _draw_asymptotes(panel: Any, analysis: Analysis, low: float, high: float) -> None:
    lines = analysis.facts["asymptotes"].value
    if not isinstance(lines, Mapping):
        return
    drawn = 0
    for end, line in lines.items():
        if not isinstance(line, Mapping):
            continue
        slope, intercept = (_float(line[part]) for part in ("slope", "intercept"))
        start, stop = (low, (low + high) / 2) if end == "-oo" else ((low + high) / 2, high)
        xs = [start, stop]
        label = "asymptote" if not drawn else None
        ys = [slope * x + intercept for x in xs]
        panel.plot(xs, ys, "--", color=_GREY, linewidth=1.2, label=label, zorder=1)
        drawn += 1


def _mark(panel: Any, analysis: Analysis, low: float, high: float) -> None:
    """Zeros, extrema and inflections; points only, each kind with its sign."""
    for name, (label, marker, colour) in _MARKS.items():
        places = [at for at in _points(analysis, name) if low <= at <= high]
        heights = [_height(analysis.pieces, at) for at in places]
        if places:
            panel.plot(places, heights, marker, color=colour, markersize=6, linestyle="none", label=label, zorder=5)


def _height(pieces: Pieces, at: float) -> float:
    index = sum(1 for place in pieces.breakpoints if _float(place) < at)
    for place, value in zip(pieces.breakpoints, pieces.values, strict=True):
        if abs(_float(place) - at) < 1e-12:
            return _float(value)
    return float(pieces.pieces[index].expr.subs(pieces.variable, sympy.Float(at, 30)).evalf(20))


def _shade_dead_region(panels: Any, analysis: Analysis, low: float, high: float) -> None:
    region = analysis.facts["dead_region"].value
    if not isinstance(region, RealSet):
        return
    for number, part in enumerate(p for p in region.components if p.inf is not p.sup):
        for panel in panels:
            label = "dead region" if number == 0 and panel is panels[0] else None
            ends = max(low, _float(part.inf)), min(high, _float(part.sup))
            panel.axvspan(*ends, color="#000000", alpha=0.05, linewidth=0, label=label)


def _points(analysis: Analysis, name: str) -> Iterator[float]:
    """The points of a set among the facts; of a periodic one a few periods."""
    found = analysis.facts[name].value
    if isinstance(found, Absent) or not isinstance(found, RealSet):
        return
    for part in found.components:
        if part.inf is part.sup:
            shifts = range(-3, 4) if found.period is not None else (0,)
            period = 0.0 if found.period is None else _float(found.period)
            yield from (_float(part.inf) + shift * period for shift in shifts)


def _interval(analysis: Analysis) -> tuple[float, float]:
    """[-5, 5], or wider: every breakpoint and marked point with a margin."""
    places = [_float(at) for at in analysis.pieces.breakpoints]
    if not _is_periodic(analysis):
        places += [at for name in _MARKS for at in _points(analysis, name)]
    reach = max([5.0, *(1.5 * abs(place) for place in places)])
    return -reach, reach


def _is_periodic(analysis: Analysis) -> bool:
    found = analysis.facts["inflections"].value
    return isinstance(found, RealSet) and found.period is not None


def _float(number: Real) -> float:
    if isinstance(number, Enclosed):
        return float(number.enclose(53).mid())
    if number.is_infinite:
        return math.inf if number is sympy.oo else -math.inf
    return 0.0 if order(number, sympy.S.Zero) == 0 else float(enclosure(number, 53).mid())
