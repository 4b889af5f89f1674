"""Claims of textbooks, put to the test: claims."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relusym.cli.application import Form, app, plain_errors
from relusym.cli.files import refuse_existing, write
from relusym.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relusym_codegen.claims import Claim, Effort, Outcome


@app.command(epilog="Example: relusym claims dead subgradient --quick")
def claims(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORD]...", help="Claims whose name or statement holds a word; all by default."),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.TEXT,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and shorter trainings.")] = False,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of printing.")] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Draw the measured curves there, as SVG (extra `plot`).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """What textbooks say of activations: proved, measured, true with a condition, refuted, or only quoted."""
    with plain_errors():
        from relusym_codegen.claims import FULL, QUICK, chosen, settle
        from relusym_codegen.claims.documents import render

        # what can be refused is refused now, not after minutes of work
        if file is not None:
            refuse_existing(file, force=force)
        if plots is not None:
            _refuse_pictures(plots, force=force)
        wanted, effort = chosen(words or ()), QUICK if quick else FULL
        told = form is Form.TEXT and file is None
        outcomes = list(_told(wanted, effort)) if told else settle(wanted, effort)
        pictures = _drawn(outcomes, plots, file) if plots is not None else {}
        text = render(outcomes, form.value, pictures)
        if file is not None:
            write(file, text + "\n", force=force)
        elif not told:
            typer.echo(text)


def _refuse_pictures(plots: Path, *, force: bool) -> None:
    from relusym_codegen.claims.pictures import NEEDED_BY

    from relusym.drawing import matplotlib

    if not plots.is_dir():
        raise InvalidRequest(f"{plots} is no directory; create it first")
    for path in plots.glob("claims-*.svg"):
        refuse_existing(path, force=force)
    matplotlib(NEEDED_BY)


def _told(wanted: Sequence[Claim], effort: Effort) -> Iterator[Outcome]:
    """Each as soon as it is known, which takes the place of a progress bar."""
    from relusym_codegen.claims import outcome_of
    from relusym_codegen.claims.documents import outcome_text

    for claim in wanted:
        outcome = outcome_of(claim, effort)
        typer.echo(("" if claim is wanted[0] else "\n") + outcome_text(outcome))
        yield outcome


def _drawn(outcomes: list[Outcome], plots: Path, file: Path | None) -> dict[str, str]:
    """The pictures' names, and links to them from where the text will be."""
    from relusym_codegen.claims.pictures import draw

    links = {}
    for outcome in outcomes:
        curves = outcome.settled.curves
        if curves is not None:
            path = plots / f"claims-{curves.name}.svg"
            draw(curves, path)
            links[curves.name] = Path(os.path.relpath(path, file.parent if file is not None else Path.cwd())).as_posix()
    return links
