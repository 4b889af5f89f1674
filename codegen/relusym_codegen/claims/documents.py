"""Claims and what became of them, as text, Markdown and JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from relusym.errors import InvalidRequest
from relusym_codegen.claims.collection import Outcome
from relusym_codegen.claims.statements import Evidence, Measurement, Ruling, Settled

SCHEMA = 1
_WIDTH = 110
_HEAD = """# Claims, put to the test

What textbooks and papers say of ReLU and its relatives, one statement after another. *Proved* and *refuted* come from
`relusym prove` and the [facts](facts.md), a refutation with its witness. *True with a condition* means that the
statement holds where the text says so, and that a witness shows it failing elsewhere. *Measured* statements are
settled by seeded runs with kernels of relusym on NumPy arrays; the tables give the mean and the extremes over the
seeds, and the last digits depend on the machine. *Not derivable* are results of single trainings, which are only
quoted. Statements are in our words.

`relusym claims` prints the same, and `relusym claims WORD` the claims that hold a word. This page is what
`relusym claims --format markdown -o docs/reference/claims.md --plots docs/reference --force` writes."""


def render(outcomes: Sequence[Outcome], form: str = "text", pictures: Mapping[str, str] | None = None) -> str:
    """All outcomes as text, markdown or json; `InvalidRequest` for another form.

    `pictures` are links to the curves' files by name, for Markdown.
    """
    if form == "text":
        return "\n\n".join(map(outcome_text, outcomes))
    if form == "markdown":
        return _markdown(outcomes, pictures or {})
    if form == "json":
        return json.dumps({"schema": SCHEMA, "claims": [_plain(one) for one in outcomes]}, indent=1)
    raise InvalidRequest(f"claims are printed as text, markdown or json, not as {form!r}")


def verdict_words(settled: Settled) -> str:
    """The ruling; of a measured claim also whether it holds here."""
    if settled.supported is None:
        return settled.ruling.value
    return f"{settled.ruling.value}, and {'holds' if settled.supported else 'does not hold'} here"


def outcome_text(outcome: Outcome) -> str:
    """One claim for a terminal."""
    claim, settled = outcome.claim, outcome.settled
    lines = [f"{claim.name}: {verdict_words(settled)}", *_wrapped(claim.statement, 2), *_wrapped(settled.says, 4)]
    for one in settled.evidence:
        lines += _wrapped(f"{one.verdict}: {one.subject}: {one.claim}  [{one.known}]", 4, hang=4)
    if settled.measurements:
        width = max(len(one.quantity) for one in settled.measurements)
        lines.append(f"    {'':{width}}  {'mean':>9}  {'least':>9}  {'greatest':>9}   of {_count(settled)}")
        lines += [
            f"    {one.quantity:{width}}  " + "  ".join(f"{cell:>9}" for cell in _cells(one))
            for one in settled.measurements
        ]
    lines += _wrapped(f"said by: {claim.citation}", 4)
    return "\n".join(lines)


def _wrapped(text: str, indent: int, *, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _count(settled: Settled) -> str:
    samples = len(settled.measurements[0].samples)
    return f"{samples} repetitions on this machine" if settled.on_this_machine else f"{samples} seeds"


def _cells(measurement: Measurement) -> tuple[str, str, str]:
    return f"{measurement.mean:.3g}", f"{min(measurement.samples):.3g}", f"{max(measurement.samples):.3g}"


def _markdown(outcomes: Sequence[Outcome], pictures: Mapping[str, str]) -> str:
    parts = [_HEAD, _overview(outcomes)]
    parts += ["\n".join(_section(outcome, pictures)) for outcome in outcomes]
    return "\n\n".join(parts)


def _overview(outcomes: Sequence[Outcome]) -> str:
    rows = [
        f"| [{one.claim.name}](#{one.claim.name}) | {_cell(one.claim.statement)} | {verdict_words(one.settled)} |"
        for one in outcomes
    ]
    counts = {ruling: sum(one.settled.ruling is ruling for one in outcomes) for ruling in Ruling}
    told = ", ".join(f"{count} {ruling.value}" for ruling, count in counts.items() if count)
    return "\n".join([f"{len(outcomes)} claims: {told}.", "", "| claim | says | verdict |", "|---|---|---|", *rows])


def _section(outcome: Outcome, pictures: Mapping[str, str]) -> Iterator[str]:
    claim, settled = outcome.claim, outcome.settled
    yield from (f"## {claim.name}", "", f"> {claim.statement}", "", f"Said by: {claim.citation}", "")
    yield f"**{verdict_words(settled).capitalize()}.** {settled.says}"
    if settled.evidence:
        yield from ("", "| of | what | verdict | by |", "|---|---|---|---|")
        yield from (_evidence_row(one) for one in settled.evidence)
    if settled.measurements:
        machine = " Times: another machine gives others." if settled.on_this_machine else ""
        yield from (
            "",
            f"Measured on one machine, over {_count(settled).removesuffix(' on this machine')}.{machine}",
            "",
        )
        yield from ("| | mean | least | greatest |", "|---|---|---|---|")
        for one in settled.measurements:
            yield f"| {_cell(one.quantity)} | {' | '.join(_cells(one))} |"
    if settled.curves is not None and settled.curves.name in pictures:
        yield from ("", f"![{settled.curves.title}]({pictures[settled.curves.name]})")


def _evidence_row(one: Evidence) -> str:
    return f"| {_cell(one.subject)} | {_cell(one.claim)} | {one.verdict} | {_cell(one.known)} |"


def _cell(text: str) -> str:
    """Text inside a table: a bar or an asterisk would be read as Markdown."""
    return text.replace("|", r"\|").replace("*", r"\*").replace("_", r"\_")


def _plain(outcome: Outcome) -> dict[str, Any]:
    """One claim as plain data; samples as hexadecimal floats."""
    claim, settled = outcome.claim, outcome.settled
    return {
        "name": claim.name,
        "statement": claim.statement,
        "citation": claim.citation,
        "verdict": settled.ruling.value,
        "supported": settled.supported,
        "says": settled.says,
        "on_this_machine": settled.on_this_machine,
        "evidence": [
            {"subject": one.subject, "claim": one.claim, "verdict": one.verdict, "known": one.known}
            for one in settled.evidence
        ],
        "measurements": [
            {"quantity": one.quantity, "samples": [float(sample).hex() for sample in one.samples]}
            for one in settled.measurements
        ],
    }
