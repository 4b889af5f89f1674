"""Every float32 input: verify --exhaustive."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from relusym.cli.application import DEFECT, tell_github
from relusym.cli.callables import defined, function_named, parameters_taken
from relusym.cli.clusters import dask_executor
from relusym.cli.files import write
from relusym.errors import InvalidRequest

if TYPE_CHECKING:
    from relusym.activation import Activation
    from relusym.judge.exhaustive import SweepRecord, Trial


def sweeping(exhaustive: bool, dtype: Sequence[str] | None, callable_: str | None) -> bool:
    """Whether float32 is to be judged at every input; refused for what cannot be."""
    asked = set(dtype or ["float32"])
    if not exhaustive or not asked & {"float32", "float64"}:
        return False
    if "float64" in asked:
        raise InvalidRequest("--exhaustive is not for float64: nobody can try 2^64 inputs; leave it out")
    if asked != {"float32"}:
        raise InvalidRequest("--exhaustive sweeps float32 by itself; 16-bit dtypes are always judged at all inputs")
    return True


@dataclass(frozen=True)
class Sweeping:
    """How to sweep: what was asked for beside the kernels."""

    stride: int
    against: Path | None
    json_file: Path | None
    force: bool
    jobs: int | None
    dask: str | None


@dataclass(frozen=True)
class Theirs:
    """A function that a user names, to be had again in another process: a call gives it on NumPy arrays.

    `where` is as for `imported`, looked up from `folder`; `through` and `computes` are as for `check`, and `passed`
    are values of parameters that the function takes by name. The framework uses one thread: the processes of a sweep
    share the cores.
    """

    where: str
    through: str | None
    computes: str
    passed: tuple[tuple[str, float], ...]
    folder: str

    def __call__(self) -> Callable[..., Any]:
        """The quantity as a function on NumPy arrays."""
        import sys

        from relusym.judge.adapters import adapted

        if self.folder not in sys.path:
            sys.path.insert(0, self.folder)
        home, colon, name = self.where.rpartition(":")
        path = Path(self.folder, home if colon else self.where)
        named = f"{path}{colon}{name if colon else ''}" if path.suffix in (".py", ".onnx", ".ort") else self.where
        fn = function_named(named, self.through)
        found = adapted(
            partial(fn, **dict(self.passed)) if self.passed else fn, through=self.through, computes=self.computes
        )
        found.adapter.threads(1)
        return found.fn


def sweep_callable(
    where: str, activation: Activation, computes: str, through: str | None, settings: dict[str, str], asked: Sweeping
) -> None:
    """Judge somebody's function at every float32 input."""
    from relusym.activation import Number
    from relusym.floats import FORMATS
    from relusym.judge.adapters import adapter_named, adapter_of
    from relusym.judge.checking import DEFAULT_BOUNDS
    from relusym.judge.exhaustive import QUANTITIES, Trial

    if computes not in QUANTITIES:
        raise InvalidRequest(f"--exhaustive is for functions of x alone: {', '.join(QUANTITIES)}; not {computes!r}")
    fn = function_named(where, through)
    adapter = adapter_of(fn) if through is None else adapter_named(through)
    passed = parameters_taken(fn, activation, settings, FORMATS["float32"])
    parameters: dict[str, Number] = {**settings, **passed}
    by = "" if through is None else f" through {through}"
    given = "".join(f", {name}={value!r}" for name, value in passed.items())
    trial = Trial(
        activation=activation,
        computes=computes,
        make=Theirs(where, through, computes, tuple(passed.items()), str(Path.cwd())),
        bound=DEFAULT_BOUNDS[computes],
        parameters=tuple(parameters.items()),
        kernel=f"{where}{by}{given}",
        kernel_sha256=_source_sha256(fn),
        stride=asked.stride,
        strict=adapter.name == "numpy",
        packages=adapter.packages,
    )
    _sweep([trial], asked)


def _source_sha256(fn: Any) -> str | None:
    """Of the file that defines a function, or the class of what is none; for one written in C, of its module's file."""
    import hashlib
    import inspect

    from relusym.judge.adapters.adapter import told

    source = defined(fn)
    try:
        path = inspect.getsourcefile(source)
    except TypeError:
        path = getattr(sys.modules.get(str(told(source, "__module__"))), "__file__", None)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path and Path(path).is_file() else None


def sweep_kernels(
    activations: Sequence[Activation],
    target: str,
    computes: Sequence[str] | None,
    accuracy: Sequence[str] | None,
    settings: dict[str, str],
    asked: Sweeping,
) -> None:
    """Judge kernels of ours at every float32 input."""
    from relusym_codegen import acceptance, sweeping

    trials = sweeping.trials(
        activations,
        target=target,
        computes=computes,
        accuracies=tuple(accuracy or acceptance.ACCURACIES),
        parameters=tuple(settings.items()),
        stride=asked.stride,
    )
    _sweep(trials, asked)


def _sweep(trials: Sequence[Trial], asked: Sweeping) -> None:
    """Run trials, print the table, write the records, and compare them with those kept before."""
    import json

    from relusym.judge.exhaustive import differences, exhaust
    from relusym.judge.reports import installed_versions
    from relusym.judge.results import of_sweep

    against, json_file = asked.against, asked.json_file
    kept = None if against is None else [_kept(against, trial) for trial in trials]
    partials = [json_file and json_file.with_name(f"{json_file.name}.{_file_name(t)}.partial") for t in trials]
    packages = tuple(dict.fromkeys(package for trial in trials for package in trial.packages))
    try:
        with nullcontext() if asked.dask is None else dask_executor(asked.dask, packages) as executor:
            records = [
                exhaust(trial, jobs=asked.jobs, partial=partial, executor=executor)
                for trial, partial in zip(trials, partials, strict=True)
            ]
    except KeyboardInterrupt:
        if json_file is not None:
            typer.echo("relusym: interrupted; the same command continues from what is done", err=True)
        raise
    _show_records(records)
    if json_file is not None:
        document = {
            "schema": 1,
            "versions": installed_versions(*packages),
            "records": [record.to_json() for record in records],
        }
        write(json_file, json.dumps(document, indent=1) + "\n", force=asked.force)
        for partial in partials:
            if partial is not None:
                partial.unlink(missing_ok=True)
    tell_github([of_sweep(record.to_json()) for record in records])
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


def _file_name(trial: Trial) -> str:
    """What a trial is of, in characters that any file name may have."""
    return re.sub(r"[^\w.=+-]+", "-", f"{trial.activation.name}-{trial.computes}-{trial.kernel}")


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
        found = record.counts
        table.add_row(
            identity["activation"],
            identity["kernel"],
            identity["computes"],
            f"{record.max_ulp:.6g}",
            record.worst_inputs[0][0] if record.worst_inputs else "",
            *(f"{count:,}" for count in (found.tested, found.wrong, found.over_one, found.undecided, found.unjudged)),
            f"{record.seconds:.0f}",
            "passed" if record.passed else "failed",
        )
        name = f"{identity['activation']} {identity['computes']}"
        lines += [f"{name}: {finding}" for finding in record.findings]
        lines += [f"{name}: reported, not judged: {policy}" for policy in record.policies.values()]
    with console.capture() as captured:
        console.print(table)
    for line in (*captured.get().splitlines(), *lines):
        typer.echo(line.rstrip())
