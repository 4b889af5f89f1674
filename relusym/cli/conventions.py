"""What frameworks do at kinks: conventions."""

from __future__ import annotations

from typing import Annotated

import typer

from relusym.cli.application import Form, app, plain_errors


@app.command(epilog="Example: relusym conventions leaky_relu hardtanh")
def conventions(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Functions or conventions (torch, jax-0.10) to keep; all by default."),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.TEXT,
) -> None:
    """The derivative at kinks in each framework, where they disagree, and what lies outside the Clarke interval."""
    with plain_errors():
        from relusym.conventions import render, table

        typer.echo(render(table(subjects or ()), form.value))
