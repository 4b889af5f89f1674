"""The audit of a framework: audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relusym.cli.application import DEFECT, app, plain_errors
from relusym.cli.files import refuse_existing, write
from relusym.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relusym.audit import Audit, Row


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
        from relusym.judge.known import read_known

        files = [path for path in (json_file, markdown, html) if path is not None]
        if len(set(files)) < len(files):
            raise InvalidRequest("--json, --markdown and --html are written to files of their own")
        for path in files:
            refuse_existing(path, force=force)  # now, not after minutes of work
        defects = read_known(known) if known is not None else ()
        found = audited(
            framework_named(framework), names or (), dtypes=dtype or (), computes=computes or (), quick=quick, jobs=jobs
        )
        _write(found, json_file, markdown, html, force=force)
        sound = _told(found, defects)
        if not sound:
            raise typer.Exit(DEFECT)


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


def _told(found: Audit, defects: Sequence[Any]) -> bool:
    """Print what was found, and say whether nothing is wrong but what is known."""
    from relusym.audit.documents import versions_line
    from relusym.judge.known import settle

    typer.echo(f"audit of {found.framework}: {versions_line(found)}")
    sound = True
    counts: dict[str, int] = {}
    for row in found.rows:
        settled = settle(_as_result(row), defects)
        status = {"not run": "not supported"}.get(settled.status, settled.status)
        counts[status] = counts.get(status, 0) + 1
        if status == "failed":
            sound = False
            _tell(row)
        for line in settled.lines():
            typer.echo(f"  {line}")
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    typer.echo(f"{len(found.rows)} combinations of function, dtype and quantity: {told}")
    return sound


def _tell(row: Row) -> None:
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
