"""Which formula a callable computes: identify."""

from __future__ import annotations

from typing import Annotated

import typer

from relusym.cli.application import UNKNOWN, app, plain_errors

NEAREST = 3
"""Entries that are shown beside those which are the same."""


@app.command(epilog="Example: relusym identify numpy:tanh --dtype float64")
def identify(
    callable_: Annotated[
        str, typer.Argument(metavar="CALLABLE", help="package.module:function or path/file.py:function, of one input.")
    ],
    dtype: Annotated[str, typer.Option(help="float16, bfloat16, float32 or float64.")] = "float32",
    through: Annotated[str | None, typer.Option(help="The framework whose arrays it takes: torch, jax, ...")] = None,
) -> None:
    """Which formula of the catalogue this is, and with which parameters; exit 4 where it is none."""
    with plain_errors():
        from relusym.cli.callables import function_named
        from relusym.judge.identification import identify as identified

        matches = identified(function_named(callable_, through), dtype=dtype, through=through)
        same = [match for match in matches if match.same]
        for match in (*same, *matches[len(same) : len(same) + NEAREST]):
            typer.echo(str(match))
        if not same:
            raise typer.Exit(UNKNOWN)
