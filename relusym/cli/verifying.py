"""Which kernels are right: verify, of ours and of anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relusym.cli.application import (
    DEFECT,
    Settings,
    app,
    definitions,
    plain_errors,
    policy_of,
    sarif_text,
    settings_of,
    tell_github,
)
from relusym.cli.callables import function_named, parameters_taken, place_of
from relusym.cli.files import refuse_existing, write
from relusym.cli.sweeping import Sweeping, sweep_callable, sweep_kernels, sweeping
from relusym.errors import InvalidRequest, Missing

if TYPE_CHECKING:
    from relusym_codegen.acceptance import Batch, Result

    from relusym.activation import Activation
    from relusym.calculus.subdifferentials import Policy


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
    subgradient: Annotated[
        str, typer.Option(help="Derivative at kinks, as for derive; with --callable also any: all of the interval.")
    ] = "least-norm",
    callable_: Annotated[
        str | None, typer.Option("--callable", help="Judge this: package.module:function or path/file.py:function.")
    ] = None,
    through: Annotated[
        str | None,
        typer.Option(help="The framework of --callable; quantities other than forward are taken by its autograd."),
    ] = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--lenient",
            help="With --callable: judge subnormals, NaN in derivatives and bits in every layout, or report them. "
            "By default functions of a framework are judged leniently.",
        ),
    ] = None,
    max_ulp: Annotated[
        float | None, typer.Option(min=0, help="With --callable: the error allowed, instead of the derived tolerance.")
    ] = None,
    known: Annotated[
        Path | None, typer.Option(help="With --callable: defects known upstream (TOML), which must be there still.")
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
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="With --exhaustive: the workers of this Dask scheduler.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results here.")] = None,
    sarif: Annotated[
        Path | None, typer.Option(help="With --callable: write an alert for each finding here, for code scanning.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the files of --json and --sarif.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes; one a core by default.")] = None,
) -> None:
    """Derive, generate and judge kernels; exit 1 where one is wrong."""
    with plain_errors():
        at_all_inputs = sweeping(exhaustive, dtype, callable_)
        if (stride or against or dask) and not at_all_inputs:
            raise InvalidRequest("--stride, --against and --dask go with --exhaustive over float32")
        if dask and jobs:
            raise InvalidRequest("--jobs is for processes of this machine; with --dask the cluster has its own workers")
        if through is not None and callable_ is None:
            raise InvalidRequest("--through goes with --callable: it names the framework of the function")
        if (strict is not None or max_ulp is not None) and (callable_ is None or at_all_inputs):
            raise InvalidRequest(
                "--strict, --lenient and --max-ulp go with --callable, without --exhaustive over float32"
            )
        if known is not None and callable_ is None:
            raise InvalidRequest("--known goes with --callable: kernels of ours have no known defects")
        if known is not None and at_all_inputs:
            raise InvalidRequest("--known is not for --exhaustive over float32: there, compare records by --against")
        if sarif is not None and (callable_ is None or at_all_inputs):
            raise InvalidRequest("--sarif goes with --callable, without --exhaustive over float32")
        if sarif is not None and sarif == json_file:
            raise InvalidRequest("--json and --sarif are written to files of their own")
        if subgradient != "least-norm" and at_all_inputs:
            raise InvalidRequest("--subgradient is not for --exhaustive over float32: there, kinks have the default")
        policy = subgradient if subgradient == "any" and callable_ is not None else policy_of(subgradient)
        for path in (json_file, sarif):
            if path is not None:
                refuse_existing(path, force=force)  # now, not after minutes of work
        settings = settings_of(values)
        activations = definitions(subjects or (), settings)
        if at_all_inputs and not subjects:
            activations = [activation for activation in activations if activation.is_scalar]
        if callable_ is not None and (len(activations) != 1 or len(dtype or ()) > 1 or len(computes or ()) > 1):
            raise InvalidRequest("--callable goes with exactly one NAME or FORMULA, one --dtype and one --computes")
        if at_all_inputs:
            asked = Sweeping(stride or 1, against, json_file, force, jobs, dask)
            if callable_ is not None:
                sweep_callable(callable_, activations[0], (computes or ["forward"])[0], through, settings, asked)
            else:
                sweep_kernels(activations, target, computes, accuracy, settings, asked)
            return
        if callable_ is not None:
            verdict = _judge_callable(
                callable_,
                activations[0],
                settings,
                known,
                sarif,
                force=force,
                dtype=(dtype or ["float32"])[0],
                computes=(computes or ["forward"])[0],
                through=through,
                subgradient=policy,
                strict=strict,
                max_ulp=max_ulp,
            )
            outcomes, sound = [verdict], verdict["status"] in ("passed", "known")
        else:
            if subjects:
                _refuse_silence(activations, settings, policy)
            results = _judge_kernels(activations, target, dtype, computes, accuracy, settings, policy, jobs)
            outcomes, sound = [result.to_json() for result in results], all(r.status != "failed" for r in results)
        if json_file is not None:
            _write_json(json_file, outcomes, force=force)
        tell_github(outcomes)
        if not sound:
            raise typer.Exit(DEFECT)


def _refuse_silence(activations: Sequence[Activation], settings: dict[str, str], policy: Policy) -> None:
    """Refuse what was asked for by name where a convention says nothing about its kinks."""
    from relusym.activation import parameter_values
    from relusym.conventions import resolved
    from relusym.several import analyse_several

    for activation in activations:
        if activation.is_scalar:
            resolved(activation, policy, parameter_values(activation, settings))
        else:
            analyse_several(activation, settings, subgradient=policy)


def _judge_kernels(
    activations: Sequence[Activation],
    target: str,
    dtype: Sequence[str] | None,
    computes: Sequence[str] | None,
    accuracy: Sequence[str] | None,
    settings: dict[str, str],
    policy: Policy,
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
        subgradient=policy,
    )
    lacks = [lack for name in targets if (lack := acceptance.missing(name))]
    if lacks and target != "all":
        raise Missing(f"target {target!r} cannot run here: {lacks[0]}")
    results = _run(batches, jobs)
    if not results:
        asked = ", ".join(activation.name for activation in activations)
        raise InvalidRequest(f"nothing to judge: {asked} has none of {', '.join(computes or ())}")
    _show(results, {activation.name: activation for activation in activations}, settings, policy)
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


def _show(
    results: Sequence[Result], activations: Mapping[str, Activation], settings: dict[str, str], policy: Policy
) -> None:
    """One table, a summary, and the full report of every failure."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from relusym.activations import known
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
    lines = [f"{name}: {grammar_text(a.expr)}" for name, a in activations.items() if not known(name)]
    lines += [f"{number.strip()} {reason}" for reason, number in numbers.items()]
    for result in results:
        if result.status == "failed":
            made = _generated_by(result, activations[result.activation], settings, policy)
            lines += ["", f"{result.target}, {result.accuracy}: {result.report}", f"  where fn = {made}"]
    count = {status: sum(result.status == status for result in results) for status in ("passed", "failed", "not run")}
    lines += ["", ", ".join(f"{number} {status}" for status, number in count.items())]
    for line in lines:
        typer.echo(line)


def _generated_by(result: Result, activation: Activation, settings: dict[str, str], policy: Policy) -> str:
    """A line of Python that makes the kernel again."""
    from relusym_codegen.acceptance import arguments_of
    from relusym_codegen.literals import nearest
    from relusym_codegen.signatures import PARAMETERS

    from relusym.activation import parameter_values
    from relusym.activations import known
    from relusym.floats import FORMATS
    from relusym.printing import grammar_text

    subject = repr(activation.name) if known(activation.name) else f"relusym.parse({grammar_text(activation.expr)!r})"
    words = (result.target, result.dtype, result.computes, result.accuracy)
    names = arguments_of(activation, result.computes)
    chosen = repr(policy) if isinstance(policy, str) else f"fractions.Fraction({str(policy)!r})"
    given = "" if policy == "least-norm" else f", subgradient={chosen}"
    given += "" if names is None else f", arguments={names!r}"
    given += "".join(f", {name}={value!r}" for name, value in settings.items())
    on = "'cpu'" if result.target == "cuda" else ""
    made = f"relusym_codegen.generate({subject}, {', '.join(map(repr, words))}{given}).load({on})"
    values = parameter_values(activation, settings)
    form = FORMATS[result.work_format]
    arguments = [p for p in activation.parameters if (p.learnable if names is None else p.name in names)]
    arguments = [] if result.computes == PARAMETERS else arguments  # the judge passes them
    passed = [f"{p.name}={nearest(values[p.symbol], form)!r}" for p in arguments]
    return f"functools.partial({made}, {', '.join(passed)})" if passed else made


def _judge_callable(
    where: str,
    activation: Activation,
    settings: dict[str, str],
    known: Path | None,
    sarif: Path | None,
    *,
    force: bool,
    dtype: str,
    computes: str,
    through: str | None,
    **words: Any,
) -> dict[str, Any]:
    """Judge somebody's function against one definition, with these words of `check`.

    Parameters that it takes by name are passed to it. Findings that the file of known defects lists are expected, and
    have to be there.
    """
    from functools import partial

    from relusym.floats import format_of
    from relusym.judge import check
    from relusym.judge.known import read_known, settle, unmet
    from relusym.judge.results import result_of

    defects = () if known is None else read_known(known)
    fn = function_named(where, through)
    form = format_of(dtype)
    # with gradients of parameters the judge passes them itself
    passed = {} if computes == "backward-parameters" else parameters_taken(fn, activation, settings, form)
    report = check(
        partial(fn, **passed) if passed else fn,
        activation,
        dtype=form.name,
        computes=computes,
        through=through,
        parameters={**settings, **passed},
        **words,
    )
    typer.echo(str(report))
    if passed:
        typer.echo("  parameters passed: " + ", ".join(f"{name}={value!r}" for name, value in passed.items()))
    if not report.passed:
        typer.echo(f"  where fn is {where}")
    request = {"activation": activation.name, "target": where, "dtype": form.name, "computes": computes}
    result = {**place_of(fn), **result_of(report, **request)}
    settled = settle(result, defects)
    asked = (where, form.name, computes)
    gone = unmet(defects, [result], lambda entry: (entry.callable, entry.dtype, entry.computes) == asked)
    for line in (*settled.lines(), *gone):
        typer.echo(f"  {line}")
    if settled.status == "known" and not gone:
        typer.echo(f"known: nothing was found but what {known} lists")
    found = settled.applied_to(result)
    if sarif is not None:
        category = f"verify/{where}/{activation.name}/{computes}/{form.name}"
        write(sarif, sarif_text([found], sarif, category=category, known=known, gone=gone), force=force)
    return {**found, "status": "failed", "reason": gone[0]} if gone and found["status"] != "failed" else found


def _write_json(path: Path, results: list[dict[str, Any]], *, force: bool) -> None:
    import json

    from relusym.judge.results import document

    write(path, json.dumps(document(results), indent=1) + "\n", force=force)
