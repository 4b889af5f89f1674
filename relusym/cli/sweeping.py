"""Every float32 input: verify --exhaustive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from relusym.cli.application import DEFECT
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
    if callable_ is not None:
        raise InvalidRequest(
            "--exhaustive judges kernels of ours; for a function of yours call relusym.judge.exhaust in Python"
        )
    return True


def sweep_kernels(
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
        write(json_file, json.dumps(document, indent=1) + "\n", force=force)
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
