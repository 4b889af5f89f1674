"""The table of conventions as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sympy import Expr

from relusym.conventions.holdings import Convention
from relusym.conventions.tables import Row, Table
from relusym.errors import InvalidRequest
from relusym.printing import grammar_text
from relusym.signs import equal, sign_of

SCHEMA = 1


def render(found: Table, form: str = "text") -> str:
    """The table as text, markdown or json; `InvalidRequest` for another form."""
    makers = {"text": _text, "markdown": _markdown, "json": _json}
    if form not in makers:
        raise InvalidRequest(f"conventions are printed as {', '.join(makers)}, not as {form!r}")
    return makers[form](found)


@dataclass(frozen=True)
class _Part:
    """A table under its titles, or a list of lines where there are none; `empty` is said of one without rows."""

    title: str
    empty: str
    rows: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...] = ()


def _parts(found: Table) -> tuple[_Part, ...]:
    disputed = tuple((_dispute(row),) for row in found.rows if row.disputed)
    outside = tuple((_exception(row, name),) for row in found.rows for name in row.outside)
    obtained = tuple((_obtained(held),) for held in found.conventions)
    return (
        _slopes(found),
        _Part("Disagreements", "none", disputed),
        _Part("Outside the Clarke interval", "none", outside),
        _jumps(found),
        _Part("How it was obtained", "", obtained),
    )


def _obtained(held: Convention) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in held.packages.items())
    return f"{held.name} ({packages}): {held.obtained}"


def _slopes(found: Table) -> _Part:
    """What each convention takes at each kink; one that defines no derivative has no column."""
    columns = [held.name for held in found.conventions if any(held.name in row.taken for row in found.rows)]
    rows = tuple(
        (row.activation, _shown(row.at), _interval(row), *(_taken(row, name) for name in columns), _shown(row.default))
        for row in found.rows
        if row.taken
    )
    return _Part("Slopes at kinks", "none", rows, ("function", "kink", "Clarke interval", *columns, "least-norm"))


def _jumps(found: Table) -> _Part:
    columns = [held.name for held in found.conventions if any(held.name in row.values for row in found.rows)]
    rows = tuple(
        (
            row.activation,
            _shown(row.at),
            *(_shown(row.values[name]) if name in row.values else "" for name in columns),
            _shown(row.value),
        )
        for row in found.rows
        if row.values
    )
    return _Part("Values of f where it jumps", "none", rows, ("function", "jump", *columns, "relusym"))


def _taken(row: Row, name: str) -> str:
    if name not in row.taken:
        return ""
    return _shown(row.taken[name]) + (" (outside)" if name in row.outside else "")


def _dispute(row: Row) -> str:
    by_slope: dict[Expr, list[str]] = {}
    for name, slope in row.taken.items():
        same = next((known for known in by_slope if equal(known, slope)), slope)
        by_slope.setdefault(same, []).append(name)
    sides = "; ".join(f"{_shown(slope)} in {' and '.join(those)}" for slope, those in by_slope.items())
    return f"{row.activation} at {_shown(row.at)}: {sides}; least-norm is {_shown(row.default)}"


def _exception(row: Row, name: str) -> str:
    truth = (
        f"the derivative is {_shown(row.left)}" if row.left == row.right else f"the Clarke interval is {_interval(row)}"
    )
    return f"{row.activation} at {_shown(row.at)}: {_shown(row.taken[name])} in {name}; {truth}"


def _interval(row: Row) -> str:
    if row.clarke is None:
        return "none: f jumps"
    lower, upper = map(_shown, row.clarke)
    # A parameter may put the two in the other order.
    return f"{lower} to {upper}" if sign_of(row.right - row.left) is None else f"[{lower}, {upper}]"


def _shown(value: Expr) -> str:
    """In the grammar of formulas; a long constant as a decimal, for reading only."""
    return grammar_text(value.evalf(6) if value.is_number and value.count_ops() > 8 else value)


def _text(found: Table) -> str:
    return "\n\n".join("\n".join((part.title, *_block(part))) for part in _parts(found))


def _block(part: _Part) -> list[str]:
    if not part.rows:
        return [f"  {part.empty}"]
    rows = [part.titles, *part.rows] if part.titles else part.rows
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _markdown(found: Table) -> str:
    return "\n\n".join("\n".join((f"## {part.title}", "", *_marked(part))) for part in _parts(found))


def _marked(part: _Part) -> list[str]:
    if not part.titles or not part.rows:
        return [f"- {line}" for (line,) in part.rows] or [part.empty.capitalize() + "."]
    code = len(part.titles) - 1  # everything but the name of the function is a formula
    rows = [f"| {row[0]} | " + " | ".join(f"`{cell}`" if cell else "" for cell in row[1:]) + " |" for row in part.rows]
    return [f"| {' | '.join(part.titles)} |", f"|---{'|---' * code}|", *rows]


def _json(found: Table) -> str:
    conventions = [
        {
            "name": held.name,
            "framework": held.framework,
            "version": held.version,
            "packages": dict(held.packages),
            "obtained": held.obtained,
        }
        for held in found.conventions
    ]
    rows = [
        {
            "activation": row.activation,
            "at": grammar_text(row.at),
            "left": grammar_text(row.left),
            "right": grammar_text(row.right),
            "clarke": None if row.clarke is None else [grammar_text(end) for end in row.clarke],
            "least_norm": grammar_text(row.default),
            "value": grammar_text(row.value),
            "conventions": {
                held.name: {
                    "function": found.functions[held.name, row.activation],
                    "slope": grammar_text(row.taken[held.name]) if held.name in row.taken else None,
                    "inside": None
                    if row.clarke is None or held.name not in row.taken
                    else held.name not in row.outside,
                    "value": grammar_text(row.values[held.name]) if held.name in row.values else None,
                }
                for held in found.conventions
                if (held.name, row.activation) in found.functions
            },
            "disputed": row.disputed,
        }
        for row in found.rows
    ]
    return json.dumps({"schema": SCHEMA, "conventions": conventions, "kinks": rows}, indent=1)
