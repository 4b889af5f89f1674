"""What is run: generate."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relusym.cli.application import DEFECT, Settings, Subject, activation_of, app, plain_errors, policy_of, settings_of
from relusym.cli.files import refuse_existing, write
from relusym.errors import InvalidRequest

if TYPE_CHECKING:
    from relusym_codegen.kernel import Kernel


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
            "fused: backward-parameters, bias-forward, bias-backward (cuda only), residual-forward, residual-backward, "
            "backward-from-output."
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
    with plain_errors():
        language = target or _target_of(check or output)
        kernel = _kernel(subject, language, dtype, computes, accuracy, values, arguments, subgradient)
        if check is not None:
            _compare(_files(check, kernel))
        elif output is not None:
            files = _files(output, kernel)
            for path in files:
                refuse_existing(path, force=force)  # all of them, before any is written
            for path, text in files.items():
                write(path, text, force=force)
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
            activation_of(subject),
            target,
            dtype,
            computes,
            accuracy,
            policy_of(subgradient),
            None if arguments is None else [name for name in arguments.split(",") if name],
            **settings_of(values),
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
