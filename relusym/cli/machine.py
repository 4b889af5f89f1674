"""What this machine can run: doctor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from relusym.cli.application import DEFECT, LACKING, app, definitions, plain_errors
from relusym.errors import InvalidRequest, Missing


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
    with plain_errors():
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
        definitions(subjects, {}),
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
