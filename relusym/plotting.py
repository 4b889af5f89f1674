"""Pictures: f, f' and f'' above each other, with kinks, Clarke intervals, asymptotes and marked points."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import sympy
from flint import arb
from sympy import Expr, Symbol

from relusym.analysis import Analysis
from relusym.balls import compiled, enclosure, precision
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.subdifferentials import around
from relusym.drawing import figures
from relusym.errors import InvalidRequest, Undecided
from relusym.facts import Interval, Real, RealSet, Verdict
from relusym.formulas.tidiness import name_constants
from relusym.pieces import Pieces, joined

# Okabe and Ito's palette: told apart by the colour-blind, and in grey
_BLUE, _SKY, _ORANGE, _GREEN, _RED, _PURPLE = "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
_GREY = "#666666"
_MARKS = {
    # what is marked: label, marker and its size, width of the band where it is an interval, colour.
    # The sizes differ so that marks on the same point are both seen.
    "zeros": ("zero", "s", 8.5, 10, _GREEN),
    "argmin": ("least value", "v", 7.5, 7, _RED),
    "argmax": ("greatest value", "^", 7.5, 4.5, _SKY),
    "inflections": ("inflection", "D", 4.5, 3, _PURPLE),
}
_SAMPLES = 400
_MOST_SAMPLES = 12_000
_MOST_MARKS = 60
_SMALL_PARENTHESES = re.compile(r"\\left\(((?:(?!\\left|\\right|frac).)*)\\right\)")
_FUNCTION_AFTER_FACTOR = re.compile(r"(?<=[\w}]) \\(?:operatorname|log|sin|cos|tanh|sinh|cosh|atan)\b")
_WIDTH, _HEIGHT = 6.4, 7.6


def plot(analysis: Analysis, path: Path, *, interval: tuple[float, float] | None = None) -> None:
    """Draw an analysis into a PNG or SVG file; the same analysis gives the same SVG.

    Without an `interval`, breakpoints and marked points are all seen. Raises `InvalidRequest` for another
    kind of file, an empty interval and a parameter without a value, and `Missing` without matplotlib.
    """
    form = path.suffix.lower()
    if form not in (".png", ".svg"):
        raise InvalidRequest(f"{path} is neither .png nor .svg")
    low, high = _checked(analysis, interval)
    with figures("plot needs", **{"mathtext.fontset": "cm"}) as new_figure:
        figure = new_figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True, height_ratios=(1.6, 1, 1))
        kinks = [kink.at for kink in analysis.kinks]
        functions = (analysis.pieces, analysis.derivative, analysis.second_derivative)
        for order, (panel, function) in enumerate(zip(panels, functions, strict=True)):
            heights = [
                *_draw_curve(panel, function, low, high),
                *_draw_circles(panel, function, order, kinks, low, high),
            ]
            if order == 0:
                heights += _draw_asymptotes(panel, analysis, low, high)
            _furnish(panel, order, heights)
        _shade_dead_region(panels, analysis, low, high)
        _mark(panels[0], analysis, low, high)
        _draw_kinks(panels[1], analysis, low, high)
        panels[-1].set_xlabel("$x$")
        panels[-1].set_xlim(low, high)
        figure.align_ylabels(panels)
        figure.suptitle(_title(analysis), fontsize=11)
        entries = {
            label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        if entries:
            figure.legend(
                entries.values(),
                entries,
                loc="outside lower center",
                ncols=len(entries) if len(entries) <= 4 else 3,
                frameon=False,
                fontsize=9,
            )
        figure.savefig(path, format=form[1:], dpi=200, metadata={"Date": None} if form == ".svg" else None)


def _checked(analysis: Analysis, interval: tuple[float, float] | None) -> tuple[float, float]:
    pieces = analysis.pieces
    numbers = (*pieces.breakpoints, *pieces.values, *(piece.expr for piece in pieces.pieces))
    free = sorted({symbol.name for number in numbers for symbol in number.free_symbols} - {pieces.variable.name})
    if free:
        raise InvalidRequest(f"{analysis.activation.name}: a picture needs a value of {', '.join(free)}")
    low, high = interval or _interval(analysis)
    if not (low < high and math.isfinite(high - low)):
        raise InvalidRequest(f"interval ({low}, {high}): the lower end must be below the upper, both finite")
    return low, high


# --- the curves ---


def _furnish(panel: Any, order: int, heights: list[float]) -> None:
    """Grid, axes, and room for all heights; a constant function gets a unit of room on both sides."""
    panel.set_ylabel(("$f(x)$", "$f'(x)$", "$f''(x)$")[order])
    panel.grid(color="#e4e4e4", linewidth=0.6)
    panel.axhline(0, color="#aaaaaa", linewidth=0.8, zorder=0.9)
    panel.axvline(0, color="#aaaaaa", linewidth=0.8, zorder=0.9)
    if heights:
        bottom, top = min(heights), max(heights)
        margin = 0.1 * (top - bottom) if top - bottom > 1e-12 * (1 + abs(top)) else 1.0
        panel.set_ylim(bottom - margin, top + margin)


def _draw_curve(panel: Any, function: Pieces, low: float, high: float) -> list[float]:
    """Each piece by itself, so that nothing joins them at a jump. Gives the heights to make room for."""
    heights: list[float] = []
    for piece in function.pieces:
        start, stop = max(low, _float(piece.lower)), min(high, _float(piece.upper))
        if start >= stop:
            continue
        value = _evaluator(piece.expr, function.variable)
        inset = (stop - start) * 1e-9  # a branch may have no value at its very end
        width = stop - start - 2 * inset
        points = [(at, value(at)) for at in (start + inset + width * k / _SAMPLES for k in range(_SAMPLES + 1))]
        if all(math.isfinite(end) for end in _ends(function, piece.lower, piece.upper)):
            points = _refined(points, value)
            seen = sorted(height for _, height in points if math.isfinite(height))
        else:  # it runs out of the picture
            seen = sorted(height for _, height in points if math.isfinite(height))
            seen = seen[len(seen) // 20 : len(seen) - len(seen) // 20]
        heights += (seen[0], seen[-1]) if seen else ()
        panel.plot(*zip(*points, strict=True), color=_BLUE, linewidth=2, solid_capstyle="butt", zorder=3)
    return heights


def _refined(points: list[tuple[float, float]], value: Callable[[float], float]) -> list[tuple[float, float]]:
    """Points of a curve with more between them, for as long as a chord misses the curve by what can be seen."""
    bent = set(range(len(points) - 1))  # the chords to look at, by the number of their first point
    while bent and len(points) < _MOST_SAMPLES:
        heights = [height for _, height in points if math.isfinite(height)]
        visible = 0.002 * (max(heights) - min(heights)) if heights else 0.0
        finer: list[tuple[float, float]] = []
        again: set[int] = set()
        for number, ((at, height), (after, other)) in enumerate(pairwise(points)):
            finer.append((at, height))
            if number in bent:
                middle = (at + after) / 2
                between = value(middle)
                if abs(between - (height + other) / 2) > visible:
                    again |= {len(finer) - 1, len(finer)}
                    finer.append((middle, between))
        points, bent = [*finer, points[-1]], again
    return points


def _ends(function: Pieces, lower: Expr, upper: Expr) -> Iterator[float]:
    for at, side in ((lower, 1), (upper, 0)):
        if at in function.breakpoints:
            yield _one_sided(function, at)[side]


def _draw_circles(panel: Any, function: Pieces, order: int, kinks: list[Expr], low: float, high: float) -> list[float]:
    """Where a function jumps: open circles at its limits, a filled one at its value.

    f'' has no value there, nor at the kinks of f; the values of f' at kinks are drawn with the Clarke intervals.
    """
    heights: list[float] = []
    for at, exact in zip(function.breakpoints, function.values, strict=True):
        place, value = _float(at), _float(exact)
        limits = [limit for limit in _one_sided(function, at) if math.isfinite(limit)]
        jumps = any(not _close(limit, limits[0]) for limit in limits)
        if not low <= place <= high or not (jumps or (order == 2 and at in kinks) or _misses(limits, value)):
            continue
        circle = {"marker": "o", "linestyle": "none", "color": _BLUE, "markersize": 6, "zorder": 4}
        for limit in limits:
            if order == 2 or not _close(limit, value):
                panel.plot([place], [limit], markerfacecolor="white", markeredgewidth=1.4, **circle)
                heights.append(limit)
        if order < 2 and math.isfinite(value):
            panel.plot([place], [value], **circle)
            heights.append(value)
    return heights


def _misses(limits: list[float], value: float) -> bool:
    """Whether the value at a point is none of the limits there."""
    return math.isfinite(value) and any(not _close(limit, value) for limit in limits)


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)


def _evaluator(expr: Expr, variable: Symbol) -> Callable[[float], float]:
    """`expr` at floats, by balls: no overflow and no cancellation; NaN where it has no value."""
    function = compiled(expr, variable)

    def value(place: float) -> float:
        for bits in (96, 768):
            with precision(bits):
                ball = function(arb(place))
            if ball.is_finite() and (ball.rel_accuracy_bits() > 24 or ball.rad() < 1e-12):
                break
        return _midpoint(ball)

    return value


def _one_sided(function: Pieces, at: Expr) -> list[float]:
    """The limits from the left and from the right; NaN where there is none or none was found."""
    limits = []
    for piece in around(function, at):
        try:
            limits.append(_float(one_sided_limit(piece, at, function.variable)))
        except Undecided:
            limits.append(math.nan)
    return limits


# --- what is known of them ---


def _draw_kinks(panel: Any, analysis: Analysis, low: float, high: float) -> None:
    """The Clarke interval as a bar, the chosen value as a dot."""
    for number, kink in enumerate(analysis.kinks):
        place, chosen = _float(kink.at), _float(kink.chosen)
        if not low <= place <= high:
            continue
        if kink.clarke is not None:
            panel.plot(
                [place, place],
                [_float(end) for end in kink.clarke],
                color=_ORANGE,
                linewidth=7,
                alpha=0.5,
                solid_capstyle="butt",
                zorder=2,
                label="Clarke interval",
                gid=f"clarke-{number}",
            )
        if math.isfinite(chosen):
            style = {"color": _RED, "markeredgecolor": "white", "markersize": 7.5, "zorder": 5, "linestyle": "none"}
            panel.plot([place], [chosen], marker="o", label="$f'$ chosen at a kink", gid=f"chosen-{number}", **style)


def _draw_asymptotes(panel: Any, analysis: Analysis, low: float, high: float) -> list[float]:
    """Each on its side of the breakpoints; none that f itself reaches, since it would lie under the curve.

    Gives the heights at the edges of the picture, to make room for.
    """
    outer: list[float] = []
    fact, pieces = analysis.facts["asymptotes"], analysis.pieces
    if fact.verdict is not Verdict.PROVED or not isinstance(fact.value, Mapping):
        return outer
    places = [_float(at) for at in pieces.breakpoints] or [0.0]
    middle = (places[0] + places[-1]) / 2
    sides = (("-oo", low, min(high, middle), pieces.pieces[0]), ("+oo", max(low, middle), high, pieces.pieces[-1]))
    for end, start, stop, piece in sides:
        line = fact.value[end]
        if not isinstance(line, Mapping) or start >= stop:
            continue
        slope, intercept = line["slope"], line["intercept"]
        if piece.expr.is_polynomial(pieces.variable):  # then it has an asymptote only where it is a line
            continue
        m, c = _float(slope), _float(intercept)
        heights = [m * start + c, m * stop + c]
        outer.append(heights[0 if end == "-oo" else 1])
        panel.plot(
            [start, stop],
            heights,
            color=_GREY,
            linewidth=1.3,
            dashes=(5, 3),
            zorder=2.5,
            label="asymptote",
            gid="asymptote" + end,
        )
    return outer


def _mark(panel: Any, analysis: Analysis, low: float, high: float) -> None:
    """Zeros, extrema and inflections: points by marks, intervals by bands along the curve."""
    for name, (label, marker, size, width, colour) in _MARKS.items():
        parts = [(max(low, start), min(high, stop)) for start, stop in _parts(analysis, name, low, high)]
        points = [start for start, stop in parts if start == stop]
        if len(points) > _MOST_MARKS:  # they would hide the curve
            continue
        for start, stop in parts:
            if start < stop:
                height = _height(analysis.pieces, (start + stop) / 2)
                style = {"color": _tint(colour), "linewidth": width, "solid_capstyle": "butt", "zorder": 2}
                panel.plot([start, stop], [height, height], label=label, gid=f"{name}-interval", **style)
        if points:
            panel.plot(
                points,
                [_height(analysis.pieces, at) for at in points],
                marker,
                color=colour,
                markersize=size,
                markeredgecolor="white",
                markeredgewidth=0.8,
                zorder=6,
                label=label,
                gid=name,
            )


def _tint(colour: str) -> str:
    """A colour mixed with white: bands lie on each other, and transparent ones would give a third colour."""
    channels = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return "#" + "".join(f"{255 - 2 * (255 - channel) // 5:02x}" for channel in channels)


def _shade_dead_region(panels: Any, analysis: Analysis, low: float, high: float) -> None:
    for start, stop in _parts(analysis, "dead_region", low, high):
        if start < stop:
            for panel in panels:
                panel.axvspan(
                    max(low, start),
                    min(high, stop),
                    color="black",
                    alpha=0.06,
                    linewidth=0,
                    zorder=0,
                    label="dead region",
                )


def _set(analysis: Analysis, name: str) -> RealSet:
    """A set among the facts; empty where it is not known."""
    fact = analysis.facts[name]
    return fact.value if fact.verdict is Verdict.PROVED and isinstance(fact.value, RealSet) else RealSet()


def _parts(analysis: Analysis, name: str, low: float, high: float) -> Iterator[tuple[float, float]]:
    """The ends of those parts of a set that can be seen, through all periods."""
    found = _set(analysis, name)
    for part in found.components:
        start, stop = _float_ends(part)
        period = math.inf if found.period is None else _float(found.period)
        first, last = (
            (0, 0) if math.isinf(period) else (math.ceil((low - stop) / period), math.floor((high - start) / period))
        )
        for shift in range(first, min(last, first + 2 * _MOST_MARKS) + 1):
            moved = shift * period if shift else 0.0
            if start + moved <= high and stop + moved >= low:
                yield start + moved, stop + moved


def _float_ends(part: Interval) -> tuple[float, float]:
    start = _float(part.inf)
    return start, start if part.sup is part.inf else _float(part.sup)


def _height(pieces: Pieces, at: float) -> float:
    places = [_float(place) for place in pieces.breakpoints]
    for place, value in zip(places, pieces.values, strict=True):
        if _close(place, at):
            return _float(value)
    return _evaluator(pieces.pieces[sum(place < at for place in places)].expr, pieces.variable)(at)


def _interval(analysis: Analysis) -> tuple[float, float]:
    """[-5, 5], or wider: every breakpoint and marked point with a margin, and more than one period."""
    places = [-5.0, 5.0]
    features = [_float(at) for at in analysis.pieces.breakpoints]
    for name in _MARKS:
        found = _set(analysis, name)
        features += [end for part in found.components for end in _float_ends(part) if math.isfinite(end)]
        if found.period is not None:
            places += [-_float(found.period), _float(found.period)]
    if features:
        spread = max(*places, *features) - min(*places, *features)
        places += [math.floor(min(features) - 0.1 * spread), math.ceil(max(features) + 0.1 * spread)]
    return min(places), max(places)


# --- words and numbers ---


def _title(analysis: Analysis) -> str:
    """Name and formula, as far as mathtext can set it in the width there is; else the name."""
    name, given = analysis.activation.name, analysis.parameters
    free = {symbol for piece in analysis.formula.pieces for symbol in piece.expr.free_symbols}
    free |= {symbol for at in analysis.formula.breakpoints for symbol in at.free_symbols}
    whole = joined(analysis.formula)
    rows = list(whole.args) if isinstance(whole, sympy.Piecewise) else [(whole, sympy.true)]
    exprs, constants = name_constants([expr for expr, _ in rows])
    branches = [_branch(expr, condition) for expr, (_, condition) in zip(exprs, rows, strict=True)]
    if len(branches) > 1:
        branches[-1] += r"\;\;(\mathrm{otherwise})"
    values = [f"{_latex(symbol)} = {_latex(value)}" for symbol, value in given.items() if symbol in free]
    values += [rf"{sympy.latex(symbol)} \approx {_float(value):.5g}" for symbol, value in constants.items()]
    lines = [name, f"$f(x) = {branches[0]}$" + "".join(rf"$,\quad {branch}$" for branch in branches[1:])]
    if values:
        lines.append(r"$,\quad $".join(f"${value}$" for value in values))
    return "\n".join(lines) if all(map(_fits, lines)) else name


def _branch(expr: Expr, condition: Any) -> str:
    if condition == sympy.true:
        return _latex(expr)
    return rf"{_latex(expr)}\;\;({_latex(condition)})"


def _latex(expr: Any) -> str:
    """LaTeX with fractions at full size, and stretched parentheses around those only: mathtext shrinks the others."""
    named = {symbol: _word(symbol) for symbol in getattr(expr, "free_symbols", ())}
    text, found = str(sympy.latex(expr, symbol_names=named)).replace(r"\frac", r"\dfrac"), 1
    while found:
        text, found = _SMALL_PARENTHESES.subn(r"(\1)", text)
    return _FUNCTION_AFTER_FACTOR.sub(r"\,\g<0>", text)


def _word(symbol: Symbol) -> str:
    """Upright where it is a word, such as negative_slope, which is no n with an index."""
    text, word = str(sympy.latex(symbol)), symbol.name.replace("_", "")
    if text.startswith("\\") or len(word) == 1 or not word.isalpha():
        return text
    return rf"\mathrm{{{symbol.name}}}\,".replace("_", r"\_")


def _fits(line: str) -> bool:
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    try:
        width = MathTextParser("path").parse(line, 72, FontProperties(size=11))[0]
    except ValueError:  # an environment that mathtext lacks
        return False
    return bool(width < 72 * _WIDTH * 0.96)


def _float(number: Real) -> float:
    """The float next to a number or infinity; NaN for SymPy's NaN."""
    if isinstance(number, Expr):
        if number in (sympy.nan, sympy.zoo):
            return math.nan
        if number.is_infinite:
            return math.inf if number is sympy.oo else -math.inf
    return _midpoint(enclosure(number, 53))


def _midpoint(ball: Any) -> float:
    return float(ball.mid()) if ball.is_finite() else math.nan
