"""The audit of a framework: audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relusym.cli.application import DEFECT, LACKING, app, plain_errors, sarif_text
from relusym.cli.files import refuse_existing, write
from relusym.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relusym.audit import Audit, Framework, Row
    from relusym.judge.known import KnownDefect, Settled


@app.command(epilog="Example: relusym audit torch gelu silu --dtype float32 --html audit.html")
def audit(
    framework: Annotated[str, typer.Argument(help="torch, jax, onnxruntime, tensorflow or numpy.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Functions of it, or activations; all by default."),
    ] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="A dtype; may be given again. All by default.")] = None,
    computes: Annotated[
        list[str] | None,
        typer.Option(help="forward, derivative or second-derivative; may be given again. All by default."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer inputs of float32 and float64.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write tables of them here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write an alert for each finding here, for code scanning.")] = None,
    known: Annotated[
        Path | None, typer.Option(help="Defects known upstream (TOML), which must be there still.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core by default.")] = None,
) -> None:
    """Judge all activation functions of an installed framework, and its derivatives; exit 1 where one is wrong."""
    with plain_errors():
        from relusym.audit import audit as audited
        from relusym.audit import framework_named
        from relusym.judge.known import read_known, settle, unmet

        files = [path for path in (json_file, markdown, html, sarif) if path is not None]
        if len(set(files)) < len(files):
            raise InvalidRequest("--json, --markdown, --html and --sarif are written to files of their own")
        for path in files:
            refuse_existing(path, force=force)  # now, not after minutes of work
        defects = read_known(known) if known is not None else ()
        asked = framework_named(framework)
        found = audited(asked, names or (), dtypes=dtype or (), computes=computes or (), quick=quick, jobs=jobs)
        _write(found, json_file, markdown, html, force=force)
        results = [_as_result(row) for row in found.rows]
        settled = [settle(result, defects) for result in results]
        gone = unmet(defects, results, lambda entry: _asked_about(entry, asked, found, everything=not names))
        if sarif is not None:
            seen = [one.applied_to(result) for one, result in zip(settled, results, strict=True)]
            text = sarif_text(seen, sarif, category=f"audit/{framework}", known=known, gone=gone)
            write(sarif, text, force=force)
        _tell(found, settled, gone)
        statuses = {one.status for one in settled}
        if "failed" in statuses or gone:
            raise typer.Exit(DEFECT)
        if statuses == {"not run"}:
            reason = found.rows[0].reason
            typer.echo(f"relusym: nothing was judged: {framework} has none of these kernels ({reason})", err=True)
            raise typer.Exit(LACKING)


def _asked_about(entry: KnownDefect, framework: Framework, found: Audit, *, everything: bool) -> bool:
    """Whether the audit should have met this entry: its dtype and quantity were asked for, and so was its function.

    Where functions were named, nothing can be said of an entry about a function that was not judged.
    """
    if entry.dtype not in {row.dtype for row in found.rows}:
        return False
    if entry.computes not in {row.computes for row in found.rows}:
        return False
    name = entry.callable or ""
    if not everything:
        return name in {row.target for row in found.rows}
    return _home(name) in {_home(one.function) for one in framework.entries}


def _home(function: str) -> str:
    """The package that a function belongs to; operators of ONNX have none."""
    home, colon, _ = function.partition(":")
    return home.partition(".")[0] if colon else ""


def _write(found: Audit, json_file: Path | None, markdown: Path | None, html: Path | None, *, force: bool) -> None:
    if json_file is not None:
        from relusym.audit.documents import json_text

        write(json_file, json_text(found), force=force)
    if markdown is not None:
        from relusym.audit.documents import markdown as document

        write(markdown, document(found), force=force)
    if html is not None:
        from relusym.audit.pages import page

        write(html, page(found), force=force)


def _tell(found: Audit, settled: Sequence[Settled], gone: Sequence[str]) -> None:
    """Print what was found, and how often."""
    from relusym.audit.documents import versions_line

    typer.echo(f"audit of {found.framework}: {versions_line(found)}")
    counts: dict[str, int] = {}
    for row, one in zip(found.rows, settled, strict=True):
        status = {"not run": "not supported"}.get(one.status, one.status)
        counts[status] = counts.get(status, 0) + 1
        if status == "failed":
            _tell_defects(row)
        for line in one.lines():
            typer.echo(f"  {line}")
    for line in gone:
        typer.echo(line)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    typer.echo(f"{len(found.rows)} combinations of function, dtype and quantity: {told}")


def _tell_defects(row: Row) -> None:
    from relusym.audit.documents import example

    typer.echo(f"FAILED: {row.function} {row.computes} {row.dtype}, as {row.activation}")
    for finding in sorted(row.findings, key=lambda one: one.severity):
        where = f", {finding.where}" if finding.where else ""
        typer.echo(f"  {finding.defect}{where}: {example(finding)}")


def _as_result(row: Row) -> dict[str, Any]:
    """The row as known defects are compared with: the result of a check."""
    result = row.to_json()
    status = {"not supported": "not run"}.get(row.status, row.status)
    return {**result, "status": status}
