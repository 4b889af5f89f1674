"""What all verbs share: the application, exit codes, errors as messages, and reading what a user typed.

Exit codes: 0 fine, 1 a defect, 2 wrong usage or bad input, 3 something needed is missing, 4 undecided where an
answer was asked for, 130 interrupted. Everything heavy is imported inside the command that needs it, so that
`relusym --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relusym.errors import InvalidRequest, Missing, RelusymError, Undecided

if TYPE_CHECKING:
    from relusym.activation import Activation

DEFECT, USAGE, LACKING, UNKNOWN, INTERRUPTED = 1, 2, 3, 4, 130
POLICIES = ("least-norm", "left", "right", "midpoint", "first", "last")


class Form(StrEnum):
    """How tables are printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


app = typer.Typer(
    name="relusym",
    help="Activation functions from one symbolic definition: formulas, kernels, and a verdict on any kernel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Our errors as one message on stderr and the exit code of their kind."""
    try:
        yield
    except RelusymError as error:
        code = LACKING if isinstance(error, Missing) else UNKNOWN if isinstance(error, Undecided) else USAGE
        typer.echo(f"relusym: {error}", err=True)
        raise typer.Exit(code) from None


Subject = Annotated[str, typer.Argument(metavar="NAME|FORMULA", help="A name of the catalogue, or a formula in x.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An exact parameter value: alpha=1/3.")
]


def activation_of(text: str) -> Activation:
    """The catalogue's entry of this name, or the formula, parsed; a name wins."""
    from relusym.activations import known, named
    from relusym.parsing import parse

    if known(text):
        return named(text)
    if text.isidentifier() and text != "x":
        named(text)  # raises, naming the entries that are near
    return parse(text, name="f")


def definitions(subjects: Sequence[str], settings: dict[str, str]) -> list[Activation]:
    """What to judge: the catalogue when nothing is named; formulas are called f, or f1, f2, ... when several.

    Wrong names and parameter values are refused here, before any work is done.
    """
    from dataclasses import replace

    from relusym.activation import parameter_values
    from relusym.activations import SEVERAL, catalogue, known, named

    found = [activation_of(text) for text in dict.fromkeys(subjects)] or [*catalogue(), *map(named, SEVERAL)]
    formulas = [activation for activation in found if not known(activation.name)]
    if len(formulas) > 1:
        names = {id(activation): f"f{number}" for number, activation in enumerate(formulas, 1)}
        found = [replace(a, name=names[id(a)]) if id(a) in names else a for a in found]
    for activation in found:
        parameter_values(activation, settings)
    return found


def settings_of(pairs: Sequence[str] | None) -> dict[str, str]:
    """Values by parameter, as text, of what was given as NAME=VALUE."""
    values = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InvalidRequest(f"--set {pair!r} is not NAME=VALUE; write --set alpha=0.5")
        values[name.strip()] = value.strip()
    return values


def policy_of(text: str) -> Any:
    """A policy or a convention by name, or an exact number."""
    from relusym.activation import exact
    from relusym.conventions import full_name, names
    from relusym.errors import InvalidActivation

    if text in POLICIES or full_name(text) in names():
        return text
    try:
        return exact(text)
    except InvalidActivation:
        known = ", ".join((*POLICIES, *names()))
        raise InvalidRequest(f"--subgradient {text!r} is unknown; give {known}, or a number") from None


def tell_github(results: Sequence[Mapping[str, Any]]) -> None:
    """Annotations and a summary of these results, where GitHub Actions runs the command."""
    import os

    from relusym.judge.github import tell

    tell(results, os.environ, typer.echo, root=Path.cwd())


def sarif_text(
    results: Sequence[Mapping[str, Any]], file: Path, *, category: str, known: Path | None, gone: Sequence[str]
) -> str:
    """What is written into a SARIF `file`; what has no place of its own lies in the file of known defects, or in it."""
    import json
    import os

    from relusym.judge.github import in_repository
    from relusym.judge.sarif import log

    here = Path.cwd()
    content = log(
        results,
        category=f"relusym/{category}",
        stands_for_run=str(known or file),
        gone=gone,
        file_in_repository=lambda name: in_repository(name, here, os.environ.get("GITHUB_WORKSPACE") or str(here)),
    )
    return json.dumps(content, indent=1) + "\n"
