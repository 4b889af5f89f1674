"""What is true of a definition: list, derive, compare, plot, relax, prove, recheck."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relusym.cli.application import (
    DEFECT,
    UNKNOWN,
    Settings,
    Subject,
    activation_of,
    app,
    definitions,
    plain_errors,
    policy_of,
    settings_of,
)
from relusym.cli.files import refuse_existing, write
from relusym.errors import InvalidRequest

if TYPE_CHECKING:
    from relusym.activation import Activation


class Format(StrEnum):
    """How `derive` prints."""

    TEXT = "text"
    LATEX = "latex"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command("list", epilog="Example: relusym list")
def list_command() -> None:
    """The catalogue, one line each: name, formula, defaults of the parameters; those of several inputs come last."""
    from relusym.activations import NAMES, SEVERAL, catalogue, named
    from relusym.formulas.tidiness import name_constants
    from relusym.printing import grammar_text

    width = max(map(len, (*NAMES, *SEVERAL)))
    for entry in (*catalogue(), *map(named, SEVERAL)):
        formulas, constants = name_constants(list(entry.exprs))
        written = ", ".join(map(grammar_text, formulas))
        values = [f"{parameter.name} = {parameter.default}" for parameter in entry.parameters]
        values += [f"{symbol} = {constant.evalf(17)}" for symbol, constant in constants.items()]
        values += ["maxout3, maxout4, ... take more"] if entry.name == "maxout2" else []
        typer.echo(f"{entry.name:<{width}}  {written}" + (f"  [{', '.join(values)}]" if values else ""))


@app.command(epilog="Example: relusym derive elu --set alpha=2 --format latex")
def derive(
    subject: Annotated[
        str | None, typer.Argument(metavar="NAME|FORMULA", help="A name of the catalogue, or a formula in x.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TEXT,
    values: Settings = None,
    subgradient: Annotated[
        str,
        typer.Option(
            help="Derivative at kinks: least-norm, left, right, midpoint, a number, or a framework's: torch, jax-0.10; "
            "at ties of a maximum: least-norm, first, last."
        ),
    ] = "least-norm",
    digits: Annotated[int, typer.Option(min=1, max=1000, help="Significant digits of decimals in JSON.")] = 40,
    sigma: Annotated[str, typer.Option(help="Standard deviation of normal inputs, exact.")] = "1",
    everything: Annotated[bool, typer.Option("--all", help="The whole catalogue; JSON gives a list.")] = False,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of printing.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Formula, derivatives with a stated value at every kink, and facts, each with how it is known."""
    with plain_errors():
        if (subject is None) != everything:
            raise InvalidRequest("derive takes one NAME or FORMULA, or --all")
        if file is not None:
            refuse_existing(file, force=force)
        card = _Card(output.value, tuple(settings_of(values).items()), policy_of(subgradient), digits, sigma)
        if everything:
            text = _all_cards(card)
        else:
            assert subject is not None
            text = card(activation_of(subject))
        if file is not None:
            write(file, text + "\n", force=force)
        else:
            typer.echo(text)


@dataclass(frozen=True)
class _Card:
    """What `derive` prints of one activation; picklable, for worker processes."""

    format: str
    settings: tuple[tuple[str, str], ...]
    subgradient: Any
    digits: int
    sigma: str

    def __call__(self, activation: Activation) -> str:
        from relusym.analysis import analyse
        from relusym.formulas import render
        from relusym.several import analyse_several

        made = analyse if activation.is_scalar else analyse_several
        analysis = made(activation, dict(self.settings), subgradient=self.subgradient, sigma=self.sigma)
        return render(analysis, self.format, digits=self.digits)


def _all_cards(card: _Card) -> str:
    """The catalogue in its order: a list in JSON, else one after the other."""
    from relusym.activations import catalogue
    from relusym.workers import in_processes

    if card.settings:
        raise InvalidRequest("--all is about the default parameters; give --set with one NAME")
    texts = in_processes(catalogue(), card, doing="deriving", name=lambda activation: str(activation.name))
    if card.format == "json":
        return "[" + ",\n".join(texts) + "]"
    return "\n\n\n".join(texts)


@app.command(epilog="Example: relusym compare relu gelu silu --format markdown")
def compare(
    subjects: Annotated[list[str], typer.Argument(metavar="[NAME|FORMULA]...", help="What to compare.")],
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TEXT,
) -> None:
    """Range, smoothness, Lipschitz constant, gains and more, beside each other."""
    with plain_errors():
        from relusym.analysis import analyse
        from relusym.formulas import compare as compared

        typer.echo(compared([analyse(activation) for activation in definitions(subjects, {})], output.value))


@app.command(epilog="Example: relusym plot hardswish -o hardswish.svg")
def plot(
    subject: Subject,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="PNG or SVG; NAME.svg by default.")] = None,
    interval: Annotated[str | None, typer.Option(help="LOWER,UPPER; chosen by the function by default.")] = None,
    values: Settings = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Draw f, f' and f'' with kinks, Clarke intervals and asymptotes (needs the extra `plot`)."""
    with plain_errors():
        from relusym.analysis import analyse
        from relusym.plotting import plot as drawn

        activation = activation_of(subject)
        path = file or Path(f"{activation.name}.svg")
        refuse_existing(path, force=force)
        drawn(analyse(activation, settings_of(values)), path, interval=_interval(interval))
        typer.echo(str(path))


def _interval(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        lower, upper = map(float, text.split(","))
    except ValueError:
        raise InvalidRequest(f"--interval {text!r} is not LOWER,UPPER; write --interval=-5,5") from None
    if not lower < upper or abs(lower) + abs(upper) > 1e6:
        raise InvalidRequest(f"--interval {text!r}: the lower end must be below the upper, both below 10^6 in size")
    return lower, upper


@app.command(epilog="Example: relusym relax gelu --interval=-1,2")
def relax(
    subject: Subject,
    interval: Annotated[str, typer.Option(help="LOWER,UPPER, exact.")],
    values: Settings = None,
) -> None:
    """Linear bounds of f on an interval, as network verification uses them; proved."""
    with plain_errors():
        from relusym.activation import exact, parameter_values
        from relusym.calculus.relaxations import relaxation
        from relusym.errors import InvalidActivation
        from relusym.pieces import split
        from relusym.printing import grammar_text

        activation = activation_of(subject)
        try:
            lower, upper = map(exact, interval.split(","))
        except (ValueError, InvalidActivation):
            raise InvalidRequest(f"--interval {interval!r} is not LOWER,UPPER; write --interval=-1,2") from None
        found = relaxation(split(activation, parameter_values(activation, settings_of(values))), lower, upper)
        x = activation.inputs[0]
        below, above = (
            grammar_text(slope * x + intercept)
            for slope, intercept in (
                (found.lower_slope, found.lower_intercept),
                (found.upper_slope, found.upper_intercept),
            )
        )
        typer.echo(f"for {lower} <= {x} <= {upper}:")
        typer.echo(f"  f({x}) >= {below}    (at most {float(found.lower_gap):.3g} below)")
        typer.echo(f"  f({x}) <= {above}    (at most {float(found.upper_gap):.3g} above)")


@app.command(epilog='Example: relusym prove hardswish "lipschitz <= 1.5"')
def prove(
    subject: Subject,
    claim: Annotated[str, typer.Argument(help="Such as: lipschitz <= 1.5, range subset [-1, oo), convex, f' >= 0.")],
    values: Settings = None,
) -> None:
    """Settle a claim: proved (exit 0), refuted with a witness (1), unknown (4)."""
    with plain_errors():
        from relusym.facts import Absent, Verdict
        from relusym.proving import prove as settled

        fact = settled(activation_of(subject), claim, settings_of(values))
        typer.echo(f"{fact.verdict.value.lower()}: {fact.claim}")
        if fact.verdict is Verdict.REFUTED:
            assert fact.certificate is not None
            typer.echo(f"  witness: {fact.certificate.evidence['witness']}")
        known = fact.value.reason if isinstance(fact.value, Absent) else fact.method
        typer.echo(f"  {'because' if fact.verdict is Verdict.UNKNOWN else 'by'}: {known}")
        if fact.verdict is not Verdict.PROVED:
            raise typer.Exit(DEFECT if fact.verdict is Verdict.REFUTED else UNKNOWN)


@app.command(epilog="Example: relusym derive gelu --format json -o gelu.json && relusym recheck gelu.json")
def recheck(
    file: Annotated[Path, typer.Argument(help="What `derive --format json` wrote.")],
) -> None:
    """Check certificates again, by an evaluator that shares nothing with the one that wrote them."""
    with plain_errors():
        from relusym.rechecking import recheck_file

        checks = recheck_file(file)
        widths = [max(len(getattr(check, part)) for check in checks) for part in ("activation", "subject", "status")]
        for check in checks:
            cells = (check.activation, check.subject, check.status)
            row = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            typer.echo(f"{row}  {check.reason}".rstrip())
        counts = {
            status: sum(check.status == status for check in checks) for status in ("ok", "wrong", "not re-checked")
        }
        typer.echo("\n" + ", ".join(f"{count} {status}" for status, count in counts.items()))
        if counts["wrong"]:
            raise typer.Exit(DEFECT)
