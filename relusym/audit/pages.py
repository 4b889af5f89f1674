"""An audit as one self-contained HTML page: plots in SVG, no script, nothing that is fetched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import jinja2
import numpy as np

from relusym.audit import documents
from relusym.audit.curves import COLUMNS, columns, position
from relusym.audit.results import SEVERITY, Audit, Defect, Row, by_severity
from relusym.floats import FORMATS
from relusym.judge.diagnosis import CLASSES

HEIGHT = 80
"""Of a plot, in units of which a column is one wide."""

BAND = 6
"""Height of the band above it, for errors that are infinite."""

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")

TICKS = (-1000.0, -10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0, 1000.0)


@dataclass(frozen=True)
class Plot:
    """Paths of one plot: errors within what is allowed, defects, and infinite ones; and the height of the limit."""

    fine: str
    wrong: str
    infinite: str
    limit: int
    top: str

    @property
    def crowded(self) -> bool:
        """Whether the limit is so near the bottom that only one of them can be labelled."""
        return HEIGHT - self.limit < 7


@dataclass(frozen=True)
class Tick:
    """A mark on the axis of x."""

    place: float
    label: str


def page(found: Audit) -> str:
    """The page as text; everything that is shown is escaped."""
    return _template().render(
        audit=found,
        versions=documents.versions_line(found),
        order=by_severity(found.rows),
        dtypes=tuple(dict.fromkeys(row.dtype for row in found.rows)),
        quantities=tuple(dict.fromkeys(row.computes for row in found.rows)),
        titles=documents.TITLES,
        classes={name: CLASSES.get(name, "") for name in SEVERITY if _occurs(found, name)},
        kinks=tuple(documents.kink_lines(found)),
        ticks=tuple(_ticks()),
        width=COLUMNS,
        height=HEIGHT,
        band=BAND,
    )


def plot(row: Row) -> Plot | None:
    """The plot of one row; None where it has no curve."""
    if not row.curve:
        return None
    errors, broken = columns(row.curve)
    precision = FORMATS[row.dtype].precision
    bound = float(row.bound.partition(" ")[0] or 4)
    heights = [_height(error, precision) for error in errors]
    fine = [0 if bad else height for height, bad in zip(heights, broken, strict=True)]
    wrong = [height if bad else 0 for height, bad in zip(heights, broken, strict=True)]
    infinite = [BAND if math.isinf(error) else 0 for error in errors]
    return Plot(
        fine=_steps(fine, HEIGHT),
        wrong=_steps(wrong, HEIGHT),
        infinite=_steps(infinite, 0),
        limit=HEIGHT - _height(bound, precision),
        top="2" + str(precision).translate(_RAISED),
    )


def level(row: Row) -> str:
    """How bad a row is, as one of the colours of the page."""
    if row.status != "failed":
        return "none" if row.status == "not supported" else "passed"
    worst = min(found.severity for found in row.findings)
    return "wrong" if worst < SEVERITY.index("lost-tail") else "lost" if worst < SEVERITY.index("layout") else "other"


def worst_first(row: Row) -> Sequence[Defect]:
    """Its defects."""
    return sorted(row.findings, key=lambda found: found.severity)


def _occurs(found: Audit, name: str) -> bool:
    return any(name in row.classes for row in found.rows)


def _height(error: float, precision: int) -> int:
    """Logarithmic from half an ulp on: all digits are lost at the top."""
    if math.isnan(error) or error <= 0:
        return 0
    bits = math.log2(1 + min(error, 2.0**precision))
    return max(round(HEIGHT * bits / precision), 1)


def _steps(heights: Sequence[int], base: int) -> str:
    """An area of steps that stand on the base, in the language of SVG's paths."""
    parts: list[str] = []
    before = 0
    for column, height in enumerate([*heights, 0]):
        if height == before:
            continue
        if before == 0:
            parts.append(f"M{column} {base}V{base - height}")
        else:
            parts.append(f"H{column}V{base - height}")
            if height == 0:
                parts.append("Z")
        before = height
    return "".join(parts)


def _ticks() -> Iterator[Tick]:
    for x in TICKS:
        place = 1 + (float(position(np.array(x))) + 1) / 2 * (COLUMNS - 2)
        yield Tick(round(place, 1), "" if abs(x) == 0.1 else f"{x:g}".replace("-", "−"))


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("relusym.audit", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters.update(
        plot=plot,
        level=level,
        worst_first=worst_first,
        number=documents.number,
        example=documents.example,
        interval=documents.interval,
        both=documents.both,
    )
    return environment.get_template("audit.html.jinja")
