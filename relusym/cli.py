"""The command line: list, derive, compare, plot, relax, prove, recheck, generate, verify, doctor.

Exit codes: 0 fine, 1 a defect, 2 wrong usage or bad input, 3 something needed is missing, 4 undecided where an
answer was asked for, 130 interrupted. Everything heavy is imported inside the command that needs it, so that
`relusym --help` answers at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relusym.errors import InvalidRequest, Missing, RelusymError, Undecided

if TYPE_CHECKING:
    from relusym_codegen.acceptance import Batch, Result
    from relusym_codegen.kernel import Kernel

    from relusym.activation import Activation
    from relusym.judge.exhaustive import SweepRecord, Trial

DEFECT, USAGE, LACKING, UNKNOWN, INTERRUPTED = 1, 2, 3, 4, 130
POLICIES = ("least-norm", "left", "right", "midpoint")

app = typer.Typer(
    name="relusym",
    help="Activation functions from one symbolic definition: formulas, kernels, and a verdict on any kernel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


class Format(StrEnum):
    """How `derive` prints."""

    TEXT = "text"
    LATEX = "latex"
    MARKDOWN = "markdown"
    JSON = "json"


def main() -> None:
    """Run the command line; errors a user can cause become one message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a Greek letter must not stop a terminal that has none
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@contextmanager
def _plain_errors() -> Iterator[None]:
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


def _activation(text: str) -> Activation:
    """The catalogue's entry of this name, or the formula, parsed; a name wins."""
    from relusym.activations import NAMES, named
    from relusym.parsing import parse

    if text in NAMES:
        return named(text)
    if text.isidentifier() and text != "x":
        named(text)  # raises, naming the entries that are near
    return parse(text, name="f")


def _settings(pairs: Sequence[str] | None) -> dict[str, str]:
    values = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InvalidRequest(f"--set {pair!r} is not NAME=VALUE; write --set alpha=0.5")
        values[name.strip()] = value.strip()
    return values


@app.command("list", epilog="Example: relusym list")
def list_command() -> None:
    """The catalogue, one line each: name, formula, defaults of the parameters."""
    from relusym.activations import NAMES, catalogue
    from relusym.formulas.tidiness import name_constants
    from relusym.printing import grammar_text

    width = max(map(len, NAMES))
    for entry in catalogue():
        (formula,), constants = name_constants([entry.expr])
        values = [f"{parameter.name} = {parameter.default}" for parameter in entry.parameters]
        values += [f"{symbol} = {constant.evalf(17)}" for symbol, constant in constants.items()]
        typer.echo(f"{entry.name:<{width}}  {grammar_text(formula)}" + (f"  [{', '.join(values)}]" if values else ""))


@app.command(epilog="Example: relusym derive elu --set alpha=2 --format latex")
def derive(
    subject: Annotated[
        str | None, typer.Argument(metavar="NAME|FORMULA", help="A name of the catalogue, or a formula in x.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TEXT,
    values: Settings = None,
    subgradient: Annotated[
        str, typer.Option(help="Derivative at kinks: least-norm, left, right, midpoint, or a number.")
    ] = "least-norm",
    digits: Annotated[int, typer.Option(min=1, max=1000, help="Significant digits of decimals in JSON.")] = 40,
    sigma: Annotated[str, typer.Option(help="Standard deviation of normal inputs, exact.")] = "1",
    everything: Annotated[bool, typer.Option("--all", help="The whole catalogue; JSON gives a list.")] = False,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of printing.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Formula, derivatives with a stated value at every kink, and facts, each with how it is known."""
    with _plain_errors():
        if (subject is None) != everything:
            raise InvalidRequest("derive takes one NAME or FORMULA, or --all")
        if file is not None:
            _refuse_existing(file, force=force)
        card = _Card(output.value, tuple(_settings(values).items()), _policy(subgradient), digits, sigma)
        if everything:
            text = _all_cards(card)
        else:
            assert subject is not None
            text = card(_activation(subject))
        if file is not None:
            _write(file, text + "\n", force=force)
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

        analysis = analyse(activation, dict(self.settings), subgradient=self.subgradient, sigma=self.sigma)
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
    with _plain_errors():
        from relusym.analysis import analyse
        from relusym.formulas import compare as compared

        typer.echo(compared([analyse(activation) for activation in _definitions(subjects, {})], output.value))


@app.command(epilog="Example: relusym plot hardswish -o hardswish.svg")
def plot(
    subject: Subject,
    file: Annotated[Path | None, typer.Option("-o", "--output", help="PNG or SVG; NAME.svg by default.")] = None,
    interval: Annotated[str | None, typer.Option(help="LOWER,UPPER; chosen by the function by default.")] = None,
    values: Settings = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Draw f, f' and f'' with kinks, Clarke intervals and asymptotes (needs the extra `plot`)."""
    with _plain_errors():
        from relusym.analysis import analyse
        from relusym.plotting import plot as drawn

        activation = _activation(subject)
        path = file or Path(f"{activation.name}.svg")
        _refuse_existing(path, force=force)
        drawn(analyse(activation, _settings(values)), path, interval=_interval(interval))
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
    with _plain_errors():
        from relusym.activation import exact, parameter_values
        from relusym.calculus.relaxations import relaxation
        from relusym.errors import InvalidActivation
        from relusym.pieces import split
        from relusym.printing import grammar_text

        activation = _activation(subject)
        try:
            lower, upper = map(exact, interval.split(","))
        except (ValueError, InvalidActivation):
            raise InvalidRequest(f"--interval {interval!r} is not LOWER,UPPER; write --interval=-1,2") from None
        found = relaxation(split(activation, parameter_values(activation, _settings(values))), lower, upper)
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
    with _plain_errors():
        from relusym.facts import Absent, Verdict
        from relusym.proving import prove as settled

        fact = settled(_activation(subject), claim, _settings(values))
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
    with _plain_errors():
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


def _policy(text: str) -> Any:
    """A policy by name, or an exact number."""
    from relusym.activation import exact
    from relusym.errors import InvalidActivation

    if text in POLICIES:
        return text
    try:
        return exact(text)
    except InvalidActivation:
        raise InvalidRequest(f"--subgradient {text!r} is unknown; give {', '.join(POLICIES)} or a number") from None


@app.command(epilog="Example: relusym generate gelu --target cuda --computes backward -o gelu_backward.py")
def generate(
    subject: Subject,
    target: Annotated[
        str | None,
        typer.Option(help="numpy, c, cuda (or cupy). Default: by the file's suffix, else c where there is a compiler."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="float16, bfloat16, float32 or float64.")] = "float32",
    computes: Annotated[
        str,
        typer.Option(
            help="forward, derivative, second-derivative, backward, forward-derivative, parameter-gradient:NAME; "
            "fused: bias-forward, bias-backward, residual-forward, residual-backward, backward-from-output."
        ),
    ] = "forward",
    accuracy: Annotated[str, typer.Option(help="precise or fast.")] = "precise",
    values: Settings = None,
    arguments: Annotated[
        str | None, typer.Option(help="Parameters passed at each call, separated by commas; others are folded.")
    ] = None,
    subgradient: Annotated[str, typer.Option(help="Derivative at kinks, as for derive.")] = "least-norm",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write here instead of printing.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    check: Annotated[
        Path | None, typer.Option("--check", help="Compare with this file: exit 1 where it differs.")
    ] = None,
) -> None:
    """Generate a kernel: a stand-alone module; for c, FILE.c and FILE.h; into FILE.cu, the CUDA text alone."""
    with _plain_errors():
        language = target or _target_of(check or output)
        kernel = _kernel(subject, language, dtype, computes, accuracy, values, arguments, subgradient)
        if check is not None:
            _compare(_files(check, kernel))
        elif output is not None:
            files = _files(output, kernel)
            for path in files:
                _refuse_existing(path, force=force)  # all of them, before any is written
            for path, text in files.items():
                _write(path, text, force=force)
        else:
            sys.stdout.write(str(kernel))


def _target_of(path: Path | None) -> str | None:
    """The target whose files have the suffix of this one."""
    return {".py": "numpy", ".c": "c", ".cu": "cuda"}.get(path.suffix) if path is not None else None


def _kernel(
    subject: str,
    target: str | None,
    dtype: str,
    computes: str,
    accuracy: str,
    values: Sequence[str] | None,
    arguments: str | None,
    subgradient: str,
) -> Kernel:
    import warnings

    from relusym_codegen.generation import generate as generated

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kernel = generated(
            _activation(subject),
            target,
            dtype,
            computes,
            accuracy,
            _policy(subgradient),
            None if arguments is None else [name for name in arguments.split(",") if name],
            **_settings(values),
        )
    for warning in caught:
        typer.echo(f"warning: {warning.message}", err=True)
    return kernel


def _files(path: Path, kernel: Kernel) -> dict[Path, str]:
    """What stands in which file; C has its header beside it."""
    if kernel.target == "c":
        from relusym_codegen.targets.c import header

        if path.suffix != ".c":
            raise InvalidRequest(f"{path}: give a name that ends in .c; the header goes beside it, into a file .h")
        return {path: str(kernel), path.with_suffix(".h"): header(kernel)}
    return {path: kernel.device_source if path.suffix == ".cu" else str(kernel)}


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise InvalidRequest(f"{path} is a directory; give the name of a file")
    if path.exists() and not force:
        raise InvalidRequest(f"{path} exists; give --force to overwrite it, or another name")
    if not path.parent.is_dir():
        raise InvalidRequest(f"{path.parent} is no directory; create it first")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all, and never over one that stands, unless asked to."""
    import os
    import tempfile

    _refuse_existing(path, force=force)
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _compare(files: Mapping[Path, str]) -> None:
    """Say of each file whether it holds the text it should; exit 1 where one does not."""
    import difflib

    for path in files:
        if not path.is_file():
            raise InvalidRequest(f"{path} is no file; generate it with -o {next(iter(files))}")
    differing = False
    for path, text in files.items():
        found = path.read_bytes().decode("utf-8", errors="replace")
        if found == text:
            typer.echo(f"{path} is what would be generated")
            continue
        differing = True
        lines = difflib.unified_diff(found.splitlines(), text.splitlines(), str(path), "generated", lineterm="", n=1)
        for _, line in zip(range(30), lines, strict=False):
            typer.echo(line)
        typer.echo(f"{path} differs from what would be generated", err=True)
    if differing:
        raise typer.Exit(DEFECT)


@app.command(epilog="Example: relusym verify gelu silu --dtype float16 --json report.json")
def verify(
    subjects: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|FORMULA]...", help="All of the catalogue by default.")
    ] = None,
    target: Annotated[str, typer.Option(help="numpy, c, cuda (its text on the CPU), or all.")] = "numpy",
    dtype: Annotated[list[str] | None, typer.Option(help="A dtype; may be given again. All by default.")] = None,
    computes: Annotated[
        list[str] | None,
        typer.Option(help="A quantity, as for generate; may be given again. By default all that are not fused."),
    ] = None,
    accuracy: Annotated[list[str] | None, typer.Option(help="precise or fast; both by default.")] = None,
    values: Settings = None,
    callable_: Annotated[
        str | None, typer.Option("--callable", help="Judge this: package.module:function or path/file.py:function.")
    ] = None,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="All 2^32 inputs of float32; 16-bit dtypes always are.")
    ] = False,
    stride: Annotated[
        int | None, typer.Option(min=1, help="With --exhaustive: one block of 32,768 inputs in so many, up to 256.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="With --exhaustive: exit 1 unless the records in this file come out again.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file of --json.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core by default.")] = None,
) -> None:
    """Derive, generate and judge kernels; exit 1 where one is wrong."""
    with _plain_errors():
        sweeping = _sweeping(exhaustive, dtype, callable_)
        if (stride or against) and not sweeping:
            raise InvalidRequest("--stride and --against go with --exhaustive over float32")
        if json_file is not None:
            _refuse_existing(json_file, force=force)  # now, not after minutes of work
        settings = _settings(values)
        activations = _definitions(subjects or (), settings)
        if sweeping:
            _sweep(activations, target, computes, accuracy, settings, stride or 1, against, json_file, force, jobs)
            return
        if callable_ is not None:
            if len(activations) != 1 or len(dtype or ()) > 1 or len(computes or ()) > 1:
                raise InvalidRequest("--callable goes with exactly one NAME or FORMULA, one --dtype and one --computes")
            verdict = _judge_callable(
                callable_, activations[0], (dtype or ["float32"])[0], (computes or ["forward"])[0], settings
            )
            outcomes, sound = [verdict], verdict["status"] == "passed"
        else:
            results = _judge_kernels(activations, target, dtype, computes, accuracy, settings, jobs)
            outcomes, sound = [result.to_json() for result in results], all(r.status != "failed" for r in results)
        if json_file is not None:
            _write_json(json_file, outcomes, force=force)
        if not sound:
            raise typer.Exit(DEFECT)


def _sweeping(exhaustive: bool, dtype: Sequence[str] | None, callable_: str | None) -> bool:
    """Whether float32 is to be judged at every input; refused for what cannot be."""
    asked = set(dtype or ["float32"])
    if not exhaustive or not asked & {"float32", "float64"}:
        return False
    if "float64" in asked:
        raise InvalidRequest("--exhaustive is not for float64: nobody can try 2^64 inputs; leave it out")
    if asked != {"float32"}:
        raise InvalidRequest("--exhaustive sweeps float32 by itself; 16-bit dtypes are always judged at all inputs")
    if callable_ is not None:
        raise InvalidRequest(
            "--exhaustive judges kernels of ours; for a function of yours call relusym.judge.exhaust in Python"
        )
    return True


def _sweep(
    activations: Sequence[Activation],
    target: str,
    computes: Sequence[str] | None,
    accuracy: Sequence[str] | None,
    settings: dict[str, str],
    stride: int,
    against: Path | None,
    json_file: Path | None,
    force: bool,
    jobs: int | None,
) -> None:
    """Judge kernels of ours at every float32 input, print the table, and compare with records kept before."""
    import json

    from relusym_codegen import acceptance, sweeping

    from relusym.judge.exhaustive import differences, exhaust
    from relusym.judge.reports import installed_versions

    trials = sweeping.trials(
        activations,
        target=target,
        computes=computes,
        accuracies=tuple(accuracy or acceptance.ACCURACIES),
        parameters=tuple(settings.items()),
        stride=stride,
    )
    kept = None if against is None else [_kept(against, trial) for trial in trials]
    partials = [
        json_file
        and json_file.with_name(
            f"{json_file.name}.{t.activation.name}-{t.computes}-{t.kernel}.partial".replace(" ", "-")
        )
        for t in trials
    ]
    try:
        records = [exhaust(trial, jobs=jobs, partial=partial) for trial, partial in zip(trials, partials, strict=True)]
    except KeyboardInterrupt:
        if json_file is not None:
            typer.echo("relusym: interrupted; the same command continues from what is done", err=True)
        raise
    _show_records(records)
    if json_file is not None:
        document = {
            "schema": 1,
            "versions": dict(installed_versions()),
            "records": [record.to_json() for record in records],
        }
        _write(json_file, json.dumps(document, indent=1) + "\n", force=force)
        for partial in partials:
            if partial is not None:
                partial.unlink(missing_ok=True)
    sound = all(record.passed for record in records)
    for record, old in zip(records, kept or [], strict=False):
        differing = differences(record, old)
        name = f"{record.identity['activation']} {record.identity['computes']} {record.identity['kernel']}"
        typer.echo(f"{name}: " + ("as" if not differing else "not as") + f" recorded in {against}")
        for line in differing:
            typer.echo(f"  {line}")
        sound = sound and not differing
    if not sound:
        raise typer.Exit(DEFECT)


def _kept(path: Path, trial: Trial) -> dict[str, Any]:
    """The record of this trial in a file; a changed kernel is a defect and is not run."""
    import json

    from relusym.judge.exhaustive import not_comparable

    try:
        records = json.loads(path.read_text(encoding="utf-8"))["records"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidRequest(f"--against {path}: there are no records of sweeps in it") from None
    wanted = (trial.activation.name, trial.computes, trial.kernel)
    for record in records:
        if (record.get("activation"), record.get("computes"), record.get("kernel")) == wanted:
            other = not_comparable(trial, record)
            if other and all(line.startswith("kernel_sha256") for line in other):
                typer.echo(f"{' '.join(wanted)}: not the kernel of {path}; {other[0]}", err=True)
                raise typer.Exit(DEFECT)
            if other:
                raise InvalidRequest(f"--against {path}: {' '.join(wanted)} was swept otherwise: {'; '.join(other)}")
            return dict(record)
    raise InvalidRequest(f"--against {path}: it has no record of {' '.join(wanted)}")


def _show_records(records: Sequence[SweepRecord]) -> None:
    """One line a sweep, and every finding."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=1000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("activation", "kernel", "computes"):
        table.add_column(title, no_wrap=True)
    for title in ("max ulp", "worst input", "inputs", "wrong roundings", "> 1 ulp", "undecided", "unjudged", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    lines = []
    for record in records:
        identity = record.identity
        counts = (record.tested, record.wrong, record.over_one, record.undecided, record.unjudged)
        table.add_row(
            identity["activation"],
            identity["kernel"],
            identity["computes"],
            f"{record.max_ulp:.6g}",
            record.worst_inputs[0][0] if record.worst_inputs else "",
            *(f"{count:,}" for count in counts),
            f"{record.seconds:.0f}",
            "passed" if record.passed else "failed",
        )
        lines += [f"{identity['activation']} {identity['computes']}: {finding}" for finding in record.findings]
    with console.capture() as captured:
        console.print(table)
    for line in (*captured.get().splitlines(), *lines):
        typer.echo(line.rstrip())


def _definitions(subjects: Sequence[str], settings: dict[str, str]) -> list[Activation]:
    """What to judge: the catalogue when nothing is named; formulas are called f, or f1, f2, ... when several.

    Wrong names and parameter values are refused here, before any work is done.
    """
    from dataclasses import replace

    from relusym.activation import parameter_values
    from relusym.activations import NAMES, catalogue

    found = [_activation(text) for text in dict.fromkeys(subjects)] or list(catalogue())
    formulas = [activation for activation in found if activation.name not in NAMES]
    if len(formulas) > 1:
        names = {id(activation): f"f{number}" for number, activation in enumerate(formulas, 1)}
        found = [replace(a, name=names[id(a)]) if id(a) in names else a for a in found]
    for activation in found:
        parameter_values(activation, settings)
    return found


def _judge_kernels(
    activations: Sequence[Activation],
    target: str,
    dtype: Sequence[str] | None,
    computes: Sequence[str] | None,
    accuracy: Sequence[str] | None,
    settings: dict[str, str],
    jobs: int | None,
) -> list[Result]:
    """Generate and judge kernels of ours, and print what came out."""
    from relusym_codegen import acceptance

    targets = acceptance.TARGETS if target == "all" else (target,)
    batches = acceptance.batches(
        activations,
        targets=targets,
        dtypes=tuple(dtype or acceptance.DTYPES),
        computes=computes,
        accuracies=tuple(accuracy or acceptance.ACCURACIES),
        parameters=tuple(settings.items()),
    )
    lacks = [lack for name in targets if (lack := acceptance.missing(name))]
    if lacks and target != "all":
        raise Missing(f"target {target!r} cannot run here: {lacks[0]}")
    results = _run(batches, jobs)
    if not results:
        asked = ", ".join(activation.name for activation in activations)
        raise InvalidRequest(f"nothing to judge: {asked} has none of {', '.join(computes or ())}")
    _show(results, {activation.name: activation for activation in activations}, settings)
    return results


def _run(batches: list[Batch], jobs: int | None) -> list[Result]:
    """All batches in worker processes."""
    from relusym_codegen import acceptance

    from relusym.workers import in_processes

    found = in_processes(
        batches,
        acceptance.run,
        doing="judging",
        name=lambda batch: f"{batch.activation.name} for {batch.target}",
        jobs=jobs,
    )
    return [result for results in found for result in results]


def _show(results: Sequence[Result], activations: Mapping[str, Activation], settings: dict[str, str]) -> None:
    """One table, a summary, and the full report of every failure."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from relusym.activations import NAMES
    from relusym.printing import grammar_text

    console = Console(width=1000)  # one row, one line: a narrow terminal wraps it, and nothing is cut
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("activation", "target", "dtype", "work", "computes", "accuracy"):
        table.add_column(title, no_wrap=True)
    for title in ("max ulp", "of bound"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("bound", "worst input", "status"):
        table.add_column(title, no_wrap=True)
    reasons = dict.fromkeys(result.reason for result in results if result.status != "failed" and result.reason)
    numbers = {reason: f" [{number}]" for number, reason in enumerate(reasons, 1)}
    for result in results:
        table.add_row(
            result.activation,
            result.target,
            result.dtype,
            result.work_format,
            result.computes,
            result.accuracy,
            "" if result.max_ulp is None else f"{result.max_ulp:.4g}",
            "" if result.max_ratio is None else f"{result.max_ratio:.2g}",
            result.bound,
            result.worst_input or "",
            Text(
                result.status
                + (" at all inputs" if result.exhaustive and result.status == "passed" else "")
                + numbers.get(result.reason, "")
            ),
        )
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())
    lines = [f"{name}: {grammar_text(a.expr)}" for name, a in activations.items() if name not in NAMES]
    lines += [f"{number.strip()} {reason}" for reason, number in numbers.items()]
    for result in results:
        if result.status == "failed":
            made = _generated_by(result, activations[result.activation], settings)
            lines += ["", f"{result.target}, {result.accuracy}: {result.report}", f"  where fn = {made}"]
    count = {status: sum(result.status == status for result in results) for status in ("passed", "failed", "not run")}
    lines += ["", ", ".join(f"{number} {status}" for status, number in count.items())]
    for line in lines:
        typer.echo(line)


def _generated_by(result: Result, activation: Activation, settings: dict[str, str]) -> str:
    """A line of Python that makes the kernel again."""
    from relusym_codegen.literals import nearest

    from relusym.activation import parameter_values
    from relusym.activations import NAMES
    from relusym.floats import FORMATS
    from relusym.printing import grammar_text

    known = activation.name in NAMES
    subject = repr(activation.name) if known else f"relusym.parse({grammar_text(activation.expr)!r})"
    words = (result.target, result.dtype, result.computes, result.accuracy)
    folded = result.computes == "backward-from-output"
    given = ", arguments=()" if folded else ""
    given += "".join(f", {name}={value!r}" for name, value in settings.items())
    on = "'cpu'" if result.target == "cuda" else ""
    made = f"relusym_codegen.generate({subject}, {', '.join(map(repr, words))}{given}).load({on})"
    values = parameter_values(activation, settings)
    form = FORMATS[result.work_format]
    arguments = [] if folded else [parameter for parameter in activation.parameters if parameter.learnable]
    passed = [f"{p.name}={nearest(values[p.symbol], form)!r}" for p in arguments]
    return f"functools.partial({made}, {', '.join(passed)})" if passed else made


def _judge_callable(
    where: str, activation: Activation, dtype: str, computes: str, settings: dict[str, str]
) -> dict[str, Any]:
    """Judge somebody's function against one definition; parameters that it takes by name are passed to it."""
    from functools import partial

    from relusym_codegen.literals import nearest

    from relusym.activation import parameter_values
    from relusym.floats import format_of
    from relusym.judge import check

    fn = _imported(where)
    form = format_of(dtype)
    takes = _names_taken(fn)
    # A value that the dtype holds is the same number in whatever format the function computes.
    passed = {
        str(symbol): nearest(value, form)
        for symbol, value in parameter_values(activation, settings).items()
        if str(symbol) in takes
    }
    report = check(
        partial(fn, **passed) if passed else fn,
        activation,
        dtype=form.name,
        computes=computes,
        parameters={**settings, **passed},
    )
    typer.echo(str(report))
    if passed:
        typer.echo("  parameters passed: " + ", ".join(f"{name}={value!r}" for name, value in passed.items()))
    if not report.passed:
        typer.echo(f"  where fn is {where}")
    return {
        "activation": activation.name,
        "target": where,
        "dtype": form.name,
        "work_format": None,
        "computes": computes,
        "accuracy": None,
        "status": "passed" if report.passed else "failed",
        "reason": "" if report.passed else report.findings[0].message,
        **report.to_json(),
    }


def _names_taken(fn: Any) -> set[str]:
    import inspect

    try:
        return set(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        return set()  # functions written in C need not tell


def _imported(where: str) -> Any:
    """The function at package.module:function or path/file.py:function; this runs the user's own code."""
    import importlib
    import importlib.util

    home, colon, name = where.rpartition(":")
    if not colon or not home or not name:
        raise InvalidRequest(f"--callable {where!r} is not module:function or path/file.py:function")
    try:
        if home.endswith(".py"):
            path = Path(home)
            if not path.is_file():
                raise InvalidRequest(f"--callable: there is no file {home}")
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, str(Path.cwd()))
            module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        raise Missing(f"--callable {where}: {error}; install it, or give path/file.py:function") from None
    except (ImportError, SyntaxError, ArithmeticError, LookupError, NameError, OSError, TypeError) as error:
        raise InvalidRequest(f"--callable: {home} cannot be imported: {type(error).__name__}: {error}") from None
    try:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise InvalidRequest(f"--callable: {home} has no {name!r}") from None
    if not callable(found):
        raise InvalidRequest(f"--callable: {where} is not callable")
    return found


def _write_json(path: Path, results: list[dict[str, Any]], *, force: bool) -> None:
    import json

    from relusym.judge.reports import installed_versions

    document = {"schema": 1, "versions": dict(installed_versions()), "results": results}
    _write(path, json.dumps(document, indent=1) + "\n", force=force)


@app.command(epilog="Example: relusym doctor --gpu-check gelu --architecture sm_90 --dtype float32")
def doctor(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME|FORMULA]...", help="With --gpu-check: what to check. The catalogue by default."),
    ] = None,
    gpu_check: Annotated[
        bool, typer.Option("--gpu-check", help="Put CUDA kernels through the gates that need no GPU.")
    ] = False,
    architecture: Annotated[
        list[str] | None, typer.Option(help="Such as sm_90; may be given again. sm_80, sm_90 and sm_100 by default.")
    ] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="A dtype; may be given again. All by default.")] = None,
    computes: Annotated[list[str] | None, typer.Option(help="A quantity; may be given again. All by default.")] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Run short programs at every length from 0 to 4097.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core by default.")] = None,
) -> None:
    """What this machine can run, and what is missing; or what becomes of CUDA kernels without a GPU."""
    with _plain_errors():
        if gpu_check:
            _gpu_check(subjects or (), architecture, dtype, computes, thorough, jobs)
            return
        if subjects or architecture or dtype or computes or thorough or jobs:
            raise InvalidRequest("NAME, --architecture, --dtype, --computes, --thorough and --jobs go with --gpu-check")
    _say_what_runs()


def _gpu_check(
    subjects: Sequence[str],
    architectures: Sequence[str] | None,
    dtypes: Sequence[str] | None,
    computes: Sequence[str] | None,
    thorough: bool,
    jobs: int | None,
) -> None:
    """Put kernels through the gates and say what came out; exit 1 where one does not hold."""
    from relusym_codegen import acceptance
    from relusym_codegen.gates import running, toolchain
    from relusym_codegen.gates.reports import summary

    from relusym.workers import in_processes

    work = running.units(
        _definitions(subjects, {}),
        architectures=tuple(dict.fromkeys(architectures or toolchain.ARCHITECTURES)),
        dtypes=tuple(dict.fromkeys(dtypes or acceptance.DTYPES)),
        computes=computes,
        thorough=thorough,
    )
    outcomes = in_processes(work, running.run, doing="compiling for GPUs", name=running.name_of, jobs=jobs)
    if not any(outcome.kernels for outcome in outcomes):
        raise InvalidRequest(f"nothing to check: there are no kernels for {', '.join(computes or ())}")
    for line in summary(outcomes):
        typer.echo(line)
    if any(outcome.findings for outcome in outcomes):
        raise typer.Exit(DEFECT)


def _say_what_runs() -> None:
    """Packages, compilers, the cache and a GPU, in lines; exit 3 where something that is needed is missing."""
    import platform
    from importlib import metadata

    typer.echo(f"Python {platform.python_version()} on {platform.machine()}, {platform.system()}")
    installed, lacking = {}, []
    packages = ("relusym", "sympy", "numpy", "python-flint", "ml_dtypes", "hypothesis", "typer", "rich", "jinja2")
    for package in (*packages, "cupy-cuda12x", "cupy-cuda13x", "torch"):
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            if package in packages:
                lacking.append(package)
    typer.echo("packages: " + ", ".join(f"{name} {version}" for name, version in installed.items()))
    if lacking:
        typer.echo(f"missing: {', '.join(lacking)}; install with: pip install {' '.join(lacking)}")
        raise typer.Exit(LACKING)
    typer.echo("numpy kernels: run here")
    from relusym_codegen import compilers
    from relusym_codegen.gates import toolchain
    from relusym_codegen.targets.cuda import gpu_missing

    try:
        found = compilers.find("c")
        threads = "threads by OpenMP" if compilers.openmp(found) else "no OpenMP, so one thread"
        simd = f"{found.simd_bits}-bit vectors" if found.simd_bits else "vectors of unknown width"
        typer.echo(f"c kernels: run here, compiled by {found.path} ({found.version}); {simd}, {threads}")
    except Missing as lack:
        typer.echo(f"c kernels: not here: {lack}")
    typer.echo(f"compiled kernels are kept {compilers.cache_state()}")
    try:
        typer.echo(f"cuda kernels on the CPU (their logic): run here, compiled by {compilers.find('c++').path}")
    except Missing as lack:
        typer.echo(f"cuda kernels on the CPU (their logic): not here: {lack}")
    lack_of_tools = toolchain.missing()
    known = ", ".join(f"{name} {version}" for name, version in toolchain.versions().items())
    typer.echo(
        "gates of cuda kernels without a GPU (doctor --gpu-check): "
        + (f"not here: {lack_of_tools}" if lack_of_tools else f"run here, with {known}")
    )
    lack_of_gpu = gpu_missing()
    typer.echo("cuda kernels on a GPU: " + ("run here" if lack_of_gpu is None else f"not here: {lack_of_gpu}"))
    if {"cupy-cuda12x", "cupy-cuda13x"} <= installed.keys():
        typer.echo(
            "cupy-cuda12x and cupy-cuda13x are both installed and overwrite each other: uninstall both, then one"
        )
        raise typer.Exit(LACKING)


if __name__ == "__main__":
    main()
