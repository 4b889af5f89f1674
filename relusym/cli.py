"""The command line: list, derive, generate, verify, doctor.

Exit codes: 0 fine, 1 a defect, 2 wrong usage or bad input, 3 something needed is missing, 4 undecided where an
answer was asked for, 130 interrupted. Everything heavy is imported inside the command that needs it, so that
`relusym --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relusym.errors import InvalidRequest, Missing, RelusymError, Undecided

if TYPE_CHECKING:
    from relusym.activation import Activation
    from relusym_codegen.acceptance import Batch, Result
    from relusym_codegen.kernel import Kernel

DEFECT, USAGE, LACKING, UNKNOWN, INTERRUPTED = 1, 2, 3, 4, 130

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
    """The catalogue, one line each: name, formula, source."""
    from relusym.activations import catalogue

    entries = list(catalogue())
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        defaults = ", ".join(f"{parameter.name} = {parameter.default}" for parameter in entry.parameters)
        typer.echo(f"{entry.name:<{width}}  {entry.expr}" + (f"  [{defaults}]" if defaults else ""))


@app.command(epilog="Example: relusym derive elu --set alpha=2 --format latex")
def derive(
    subject: Subject,
    output: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TEXT,
    values: Settings = None,
    subgradient: Annotated[
        str, typer.Option(help="Derivative at kinks: least-norm, left, right, midpoint, or a number.")
    ] = "least-norm",
) -> None:
    """Formula, derivatives with a stated value at every kink, continuity, limits."""
    with _plain_errors():
        from relusym.analysis import analyse
        from relusym.formulas import render

        analysis = analyse(_activation(subject), _settings(values), subgradient=_policy(subgradient))
        typer.echo(render(analysis, format=output.value))


def _policy(text: str) -> Any:
    """A policy by name, or an exact number."""
    from relusym.activation import exact

    return text if text in ("least-norm", "left", "right", "midpoint") else exact(text)


@app.command(epilog="Example: relusym generate gelu --target cuda --computes backward -o gelu_backward.py")
def generate(
    subject: Subject,
    target: Annotated[str, typer.Option(help="numpy, cuda (or cupy).")] = "numpy",
    dtype: Annotated[str, typer.Option(help="float16, bfloat16, float32 or float64.")] = "float32",
    computes: Annotated[
        str,
        typer.Option(
            help="forward, derivative, second-derivative, backward, forward-derivative, parameter-gradient:NAME."
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
    """Generate a kernel: a stand-alone module (or, into FILE.cu, the CUDA text alone)."""
    with _plain_errors():
        kernel = _kernel(subject, target, dtype, computes, accuracy, values, arguments, subgradient)
        if check is not None:
            _compare(check, _text_for(check, kernel))
        elif output is not None:
            _write(output, _text_for(output, kernel), force=force)
        else:
            sys.stdout.write(str(kernel))


def _kernel(
    subject: str,
    target: str,
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


def _text_for(path: Path, kernel: Kernel) -> str:
    return kernel.device_source if path.suffix == ".cu" else str(kernel)


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all, and never over one that stands, unless asked to."""
    import os
    import tempfile

    if path.exists() and not force:
        raise InvalidRequest(f"{path} exists; give --force to overwrite it, or another name")
    if not path.parent.is_dir():
        raise InvalidRequest(f"{path.parent} is no directory; create it first")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _compare(path: Path, text: str) -> None:
    import difflib

    if not path.is_file():
        raise InvalidRequest(f"{path} is no file; generate it with -o {path}")
    found = path.read_text(encoding="utf-8")
    if found == text:
        typer.echo(f"{path} is what would be generated")
        return
    difference = difflib.unified_diff(found.splitlines(), text.splitlines(), str(path), "generated", lineterm="", n=1)
    for _, line in zip(range(30), difference, strict=False):
        typer.echo(line)
    typer.echo(f"{path} differs from what would be generated", err=True)
    raise typer.Exit(DEFECT)


@app.command(epilog="Example: relusym verify gelu silu --dtype float16 --json report.json")
def verify(
    subjects: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|FORMULA]...", help="All of the catalogue by default.")
    ] = None,
    target: Annotated[str, typer.Option(help="numpy, cuda (its text on the CPU), or all.")] = "numpy",
    dtype: Annotated[list[str] | None, typer.Option(help="A dtype; may be given again. All by default.")] = None,
    computes: Annotated[list[str] | None, typer.Option(help="A quantity; may be given again.")] = None,
    accuracy: Annotated[list[str] | None, typer.Option(help="precise or fast; both by default.")] = None,
    values: Settings = None,
    callable_: Annotated[
        str | None, typer.Option("--callable", help="Judge this: package.module:function or path/file.py:function.")
    ] = None,
    exhaustive: Annotated[bool, typer.Option("--exhaustive", help="All inputs; 16-bit dtypes always are.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes; one a core by default.")] = None,
) -> None:
    """Derive, generate and judge kernels; exit 1 where one is wrong."""
    with _plain_errors():
        if exhaustive and set(dtype or ["float32"]) & {"float32", "float64"}:
            raise InvalidRequest(
                "--exhaustive is there for float16 and bfloat16 (which are always judged at all 65,536 inputs); "
                "all 2^32 inputs of float32 cannot be swept yet"
            )
        if callable_ is not None:
            _judge_callable(callable_, subjects, dtype, computes, values, json_file)
            return
        from relusym.activations import catalogue
        from relusym_codegen import acceptance

        activations = [_activation(text) for text in subjects] if subjects else list(catalogue())
        targets = acceptance.TARGETS if target == "all" else (target,)
        batches = acceptance.batches(
            activations,
            targets=targets,
            dtypes=tuple(dtype or acceptance.DTYPES),
            computes=computes,
            accuracies=tuple(accuracy or acceptance.ACCURACIES),
            parameters=tuple(_settings(values).items()),
        )
        lacks = [lack for name in targets if (lack := acceptance.missing(name))]
        if lacks and target != "all":
            raise Missing(f"target {target!r} cannot run here: {lacks[0]}")
        results = _run(batches, jobs)
        _show(results)
        if json_file is not None:
            _write_json(json_file, [result.to_json() for result in results])
        if any(result.status == "failed" for result in results):
            raise typer.Exit(DEFECT)


def _run(batches: list[Batch], jobs: int | None) -> list[Result]:
    """All batches in worker processes, with a progress bar on a terminal."""
    import multiprocessing
    import os
    from concurrent.futures import ProcessPoolExecutor, as_completed

    from rich.console import Console
    from rich.progress import Progress

    from relusym_codegen import acceptance

    workers = min(jobs or os.cpu_count() or 1, len(batches))
    console = Console(stderr=True)
    done: dict[int, tuple[Result, ...]] = {}
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("judging", total=len(batches))
        if workers == 1:
            for index, batch in enumerate(batches):
                done[index] = acceptance.run(batch)
                progress.advance(task)
        else:
            # a fork would copy threads and compiled state; a server process starts clean
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context) as pool:
                futures = {pool.submit(acceptance.run, batch): index for index, batch in enumerate(batches)}
                try:
                    for future in as_completed(futures):
                        done[futures[future]] = future.result()
                        progress.advance(task)
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
    return [result for index in range(len(batches)) for result in done[index]]


def _show(results: Sequence[Result]) -> None:
    """One table, a summary, and the full report of every failure."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("activation", "target", "dtype", "work", "computes", "accuracy"):
        table.add_column(title, no_wrap=True)
    for title in ("max ulp", "of bound"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("bound", "worst input", "status"):
        table.add_column(title, no_wrap=True)
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
            result.status + (", all inputs" if result.exhaustive and result.status == "passed" else ""),
        )
    console.print(table)
    for reason in dict.fromkeys(result.reason for result in results if result.status != "failed" and result.reason):
        console.print(f"note: {reason}", markup=False, soft_wrap=True)
    for result in results:
        if result.status == "failed":
            console.print(f"\n{result.target}, {result.accuracy}:\n{result.report}", markup=False, soft_wrap=True)
    count = {status: sum(result.status == status for result in results) for status in ("passed", "failed", "not run")}
    console.print("\n" + ", ".join(f"{number} {status}" for status, number in count.items()), markup=False)


def _judge_callable(
    where: str,
    subjects: list[str] | None,
    dtype: list[str] | None,
    computes: list[str] | None,
    values: Sequence[str] | None,
    json_file: Path | None,
) -> None:
    """Judge somebody's function against one definition."""
    if not subjects or len(subjects) != 1 or len(dtype or []) > 1 or len(computes or []) > 1:
        raise InvalidRequest("--callable goes with exactly one NAME or FORMULA, one --dtype and one --computes")
    from relusym.activation import parameter_values
    from relusym.judge import check

    activation = _activation(subjects[0])
    given = _settings(values)
    parameter_values(activation, given)
    report = check(
        _imported(where),
        activation,
        dtype=(dtype or ["float32"])[0],
        computes=(computes or ["forward"])[0],
        parameters=given,
    )
    typer.echo(str(report))
    if json_file is not None:
        _write_json(json_file, [report.to_json()])
    if not report.passed:
        raise typer.Exit(DEFECT)


def _imported(where: str) -> Any:
    """The function at package.module:function or path/file.py:function; this runs the user's own code."""
    import importlib
    import importlib.util

    home, colon, name = where.rpartition(":")
    if not colon or not home or not name:
        raise InvalidRequest(f"--callable {where!r} is not module:function or path/file.py:function")
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
        try:
            module = importlib.import_module(home)
        except ModuleNotFoundError as error:
            raise Missing(f"--callable: {error}; install it, or give path/file.py:function") from None
    try:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise InvalidRequest(f"--callable: {home} has no {name!r}") from None
    if not callable(found):
        raise InvalidRequest(f"--callable: {where} is not callable")
    return found


def _write_json(path: Path, results: list[dict[str, Any]]) -> None:
    import json

    from relusym.judge.reports import installed_versions

    document = {"schema": 1, "versions": dict(installed_versions()), "results": results}
    _write(path, json.dumps(document, indent=1) + "\n", force=True)


@app.command(epilog="Example: relusym doctor")
def doctor() -> None:
    """What this machine can run, and what is missing."""
    import platform
    from importlib import metadata

    typer.echo(f"Python {platform.python_version()} on {platform.machine()}, {platform.system()}")
    installed = {}
    packages = ("relusym", "sympy", "numpy", "python-flint", "ml_dtypes", "hypothesis", "typer", "rich", "jinja2")
    for package in (*packages, "cupy-cuda12x", "cupy-cuda13x", "torch"):
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            if package in packages:
                typer.echo(f"missing: {package} (pip install {package})")
    typer.echo("packages: " + ", ".join(f"{name} {version}" for name, version in installed.items()))
    typer.echo("numpy kernels: run here")
    from relusym_codegen.targets.cuda import compiler, gpu_missing

    try:
        typer.echo(f"cuda kernels on the CPU (their logic): run here, compiled by {compiler()}")
    except Missing as lack:
        typer.echo(f"cuda kernels on the CPU (their logic): not here: {lack}")
    lack_of_gpu = gpu_missing()
    typer.echo("cuda kernels on a GPU: " + ("run here" if lack_of_gpu is None else f"not here: {lack_of_gpu}"))
    if {"cupy-cuda12x", "cupy-cuda13x"} <= installed.keys():
        typer.echo(
            "cupy-cuda12x and cupy-cuda13x are both installed and overwrite each other: uninstall both, then one"
        )
        raise typer.Exit(LACKING)


if __name__ == "__main__":
    main()
