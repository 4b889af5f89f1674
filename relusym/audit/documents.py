"""An audit as JSON and as Markdown: a table for each quantity with one column a dtype, then defects, kinks, gaps."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from relusym.audit.results import Audit, Defect, Kink, Row, by_severity

TITLES = {"forward": "Forward", "derivative": "Derivative", "second-derivative": "Second derivative"}


def json_text(found: Audit) -> str:
    """The audit as JSON, each row on a line of its own, so that two of them can be compared line by line."""
    content = found.to_json()
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in content.pop("rows"))
    head = json.dumps(content, indent=1, ensure_ascii=False).removesuffix("\n}")
    return f'{head},\n "rows": [\n{rows}\n ]\n}}\n'


def markdown(found: Audit, *, level: int = 1) -> str:
    """The whole report, its first heading of this level."""
    lines = [*_head(found, level), *_tables(found, level + 1), *_defects(found, level + 1)]
    lines += [*_kinks(found, level + 1), *_gaps(found, level + 1)]
    return "\n".join(lines).rstrip() + "\n"


def versions_line(found: Audit) -> str:
    """What took part: torch 2.13.0, relusym 0.1.0, ..."""
    first = [name for name in found.versions if name not in ("python", "platform")]
    own = ("relusym", "numpy", "ml_dtypes", "sympy", "python-flint", "hypothesis")
    order = [name for name in first if name not in own] + ["relusym", "numpy", "python"]
    return ", ".join(f"{name} {found.versions[name]}" for name in dict.fromkeys(order) if name in found.versions)


def number(value: float) -> str:
    """Two digits, or a few more before the point: 0.5, 12, 1234, 1.4e4."""
    if not math.isfinite(value):
        return "inf"
    if 100 <= value < 10_000:
        return f"{value:.0f}"
    mantissa, exponent, power = f"{value:.2g}".partition("e")
    return f"{mantissa}e{int(power)}" if exponent else mantissa


def cell(row: Row) -> str:
    """One row of the audit in one cell of a table."""
    if row.status == "not supported":
        return "–"
    classes = ", ".join(row.classes)
    return f"{number(row.scaled)} **{classes}**" if classes else number(row.scaled)


def example(defect: Defect) -> str:
    """An input, and what came out beside what is right."""
    if not defect.input:
        return defect.message
    if defect.kind == "layout":
        return defect.message
    got, expected = float.fromhex(defect.got), float.fromhex(defect.expected)
    digits = next((few for few in (4, 6, 9) if f"{got:.{few}g}" != f"{expected:.{few}g}"), 17)
    return f"x = {both(defect.input)}: {both(defect.got, digits)}, not {both(defect.expected, digits)}"


def both(text: str, digits: int = 6) -> str:
    """A hex float with its decimal value, where that is another text."""
    value = float.fromhex(text)
    return f"{text} ({value:.{digits}g})" if math.isfinite(value) and value != 0 else text.replace("0x0p+0", "0")


def kink_lines(found: Audit) -> Iterator[tuple[str, Kink, tuple[str, ...]]]:
    """(function, kink, dtypes) for every value at a kink of the first derivative; dtypes that agree are together."""
    for function in found.functions:
        seen: dict[tuple[str, str], tuple[Kink, list[str]]] = {}
        for row in found.of(function):
            for kink in row.kinks:
                value = f"{float.fromhex(kink.got):.2g}"
                seen.setdefault((kink.at, value), (kink, []))[1].append(row.dtype)
        for kink, dtypes in seen.values():
            yield function, kink, tuple(dtypes)


def interval(kink: Kink) -> str:
    """The Clarke interval in decimals."""
    if kink.lower is None or kink.upper is None:
        return "none: f jumps"
    return f"[{float.fromhex(kink.lower):.4g}, {float.fromhex(kink.upper):.4g}]"


def choice(kink: Kink) -> str:
    """What the value is among those of the interval."""
    if kink.inside is None:
        return ""
    if not kink.inside:
        return "**outside**"
    return "nearest to 0" if kink.least_norm else "inside"


def _head(found: Audit, level: int) -> list[str]:
    judged = [row for row in found.rows if row.status != "not supported"]
    functions = len({row.function for row in judged})
    wrong = len({row.function for row in found.failed})
    lines = [
        f"{'#' * level} Audit of {found.framework}",
        "",
        f"{versions_line(found)}.",
        "",
        f"{functions} functions in {len(judged)} combinations of dtype and quantity: {len(judged) - len(found.failed)} "
        f"pass, {len(found.failed)} have defects (of {wrong} functions).",
    ]
    if found.quick:
        lines += ["", "A quick audit: float32 and float64 were tried at few inputs."]
    return [*lines, ""]


def _tables(found: Audit, level: int) -> Iterator[str]:
    for computes, title in TITLES.items():
        rows = [row for row in found.rows if row.computes == computes]
        if not rows:
            continue
        dtypes = list(dict.fromkeys(row.dtype for row in rows))
        yield from (f"{'#' * level} {title}", "", f"| function | {' | '.join(dtypes)} |")
        yield "|---" * (len(dtypes) + 1) + "|"
        for function in found.functions:
            cells = {row.dtype: cell(row) for row in rows if row.function == function}
            yield f"| `{function}` | " + " | ".join(cells.get(dtype, "") for dtype in dtypes) + " |"
        yield ""


def _defects(found: Audit, level: int) -> Iterator[str]:
    if not found.failed:
        return
    yield from (f"{'#' * level} Defects", "")
    for function in by_severity(found.failed):
        rows = [row for row in found.failed if row.function == function]
        yield from (f"{'#' * (level + 1)} {function}", "")
        held_to = f"`{rows[0].activation}`" + "".join(
            f", {name} = {value}" for name, value in rows[0].parameters.items()
        )
        note = found.notes.get(function, "")
        yield from (f"Held to {held_to}{f' ({note})' if note else ''}.", "")
        yield from ("| dtype | quantity | class | where | for example |", "|---|---|---|---|---|")
        for row in rows:
            for defect in row.findings:
                cells = (row.dtype, row.computes, defect.defect, _where(defect), example(defect))
                yield "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"
        yield ""
        shown = _worst(rows)
        if shown:
            yield from ("```py", *shown.reproducer, "```", "")


def _where(defect: Defect) -> str:
    return defect.where + (f" ({defect.count:,} inputs)" if defect.count > 1 else "")


def _worst(rows: Sequence[Row]) -> Defect | None:
    """The worst defect that has a reproducer, in the widest-used dtype that has it."""
    shown = [(defect.severity, row.dtype != "float32", defect) for row in rows for defect in row.findings]
    shown = [one for one in shown if one[2].reproducer]
    return min(shown, key=lambda one: one[:2])[2] if shown else None


def _kinks(found: Audit, level: int) -> Iterator[str]:
    lines = list(kink_lines(found))
    if not lines:
        return
    yield from (f"{'#' * level} Values at kinks", "")
    yield "Every value of the Clarke interval is right; the one that is chosen is a convention."
    yield from (
        "",
        "| function | at x = | derivative | Clarke interval | choice | dtypes |",
        "|---|---|---|---|---|---|",
    )
    for function, kink, dtypes in lines:
        value = f"{float.fromhex(kink.got):.4g}"
        shown = "all" if len(dtypes) > 3 else ", ".join(dtypes)
        yield f"| `{function}` | {kink.at} | {value} | {interval(kink)} | {choice(kink)} | {shown} |"
    yield ""


def _gaps(found: Audit, level: int) -> Iterator[str]:
    gaps = [row for row in found.rows if row.status == "not supported"]
    if not gaps:
        return
    yield from (
        f"{'#' * level} Not supported",
        "",
        "The framework has no such kernel here; not counted as defects.",
        "",
    )
    for function in dict.fromkeys(row.function for row in gaps):
        by_quantity: dict[str, list[str]] = {}
        for row in gaps:
            if row.function == function:
                by_quantity.setdefault(row.computes, []).append(row.dtype)
        told = "; ".join(f"{computes} in {', '.join(dtypes)}" for computes, dtypes in by_quantity.items())
        yield f"- `{function}`: {told}"
    yield ""
