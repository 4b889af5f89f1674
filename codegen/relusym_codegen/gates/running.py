"""Kernels through all gates: one unit of work an activation, picklable, so that processes can share the catalogue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from relusym.activation import Activation
from relusym.errors import InvalidRequest, Missing
from relusym.floats import format_of
from relusym_codegen import acceptance
from relusym_codegen.gates import memory, toolchain
from relusym_codegen.gates.measuring import Measurement, measured
from relusym_codegen.gates.rules import COMPILES, FLAGS, GATES, NEEDED, TEXT, Finding, Subject, slow_or_loose
from relusym_codegen.kernel import Kernel
from relusym_codegen.targets import cuda

SHORT = 8
"""Programs of so few operations are run at all lengths where everything is to be tried: all have the same loops."""


@dataclass(frozen=True)
class Unit:
    """What is to be put through the gates of one activation: a batch of kernels, on these architectures.

    `thorough` runs short programs at every length from 0 to 4097, and the text with 32-byte packs as well.
    """

    batch: acceptance.Batch
    architectures: tuple[str, ...]
    thorough: bool


@dataclass(frozen=True)
class Row:
    """One entry function on one architecture."""

    subject: Subject
    found: Measurement


@dataclass(frozen=True)
class Outcome:
    """What came out for one activation: names of the kernels, the numbers, and the gates that do not hold."""

    activation: str
    kernels: tuple[str, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


def missing() -> str | None:
    """What the gates need and is not here, with how to get it; None where they can run."""
    return toolchain.missing() or memory.missing()


def units(
    activations: Sequence[Activation],
    *,
    architectures: Sequence[str] = toolchain.ARCHITECTURES,
    dtypes: Sequence[str] = acceptance.DTYPES,
    computes: Sequence[str] | None = None,
    thorough: bool = False,
) -> list[Unit]:
    """The work, one unit an activation.

    Raises `InvalidRequest` for words nobody knows, and `Missing` where something that the gates need is not here.
    """
    for architecture in architectures:
        if not re.fullmatch(r"sm_\d{2,3}[af]?", architecture):
            raise InvalidRequest(
                f"architecture {architecture!r} is none; give one such as {', '.join(toolchain.ARCHITECTURES)}"
            )
    if lack := missing():
        raise Missing(f"the gates cannot run here: {lack}")
    batches = acceptance.batches(activations, targets=("cuda",), dtypes=dtypes, computes=computes)
    return [Unit(batch, tuple(architectures), thorough) for batch in batches]


def name_of(unit: Unit) -> str:
    """What a unit is called where something goes wrong in it."""
    return f"{unit.batch.activation.name} for cuda"


def run(unit: Unit) -> Outcome:
    """Generate the kernels of a unit and put them through all gates."""
    kernels = acceptance.kernels(unit.batch)
    rows, findings = examined(kernels, unit.architectures)
    findings += sanitized(kernels, thorough=unit.thorough)
    names = tuple(kernel.identifier for kernel in kernels)
    return Outcome(unit.batch.activation.name, names, tuple(rows), tuple(findings))


def examined(kernels: Sequence[Kernel], architectures: Sequence[str]) -> tuple[list[Row], list[Finding]]:
    """The text, compiled as one translation unit for each architecture: numbers, and the gates that do not hold."""
    findings = [
        Finding(TEXT, kernel.identifier, "", ", ".join(dict.fromkeys(words)))
        for kernel in kernels
        if (words := slow_or_loose(kernel.device_source))
    ]
    text = "\n".join(kernel.device_source for kernel in kernels)
    options = dict.fromkeys(toolchain.options_of(kernel) for kernel in kernels)
    assert len(options) <= 1, "kernels of one target are compiled alike"
    findings += [
        Finding(FLAGS, kernels[0].activation.name, "", f"{flag} is not among {' '.join(given)}")
        for given in options
        for flag in NEEDED
        if flag not in given
    ]
    subjects = {subject.entry: subject for kernel in kernels for subject in subjects_of(kernel)}
    rows: list[Row] = []
    for given, architecture in product(options, architectures):
        try:
            compiled = toolchain.compile_text(text, given, architecture)
        except toolchain.Rejected as rejection:
            findings.append(Finding(COMPILES, kernels[0].activation.name, architecture, str(rejection)[:2000]))
            continue
        numbers = measured(compiled, {entry: subject.itemsize * subject.writes for entry, subject in subjects.items()})
        rows += [Row(subject, numbers[entry]) for entry, subject in subjects.items()]
    findings += [
        Finding(gate.name, row.subject.entry, row.found.architecture, says)
        for row in rows
        for gate in GATES
        if (says := gate.seen(row.subject, row.found))
    ]
    return rows, findings


def sanitized(kernels: Sequence[Kernel], *, thorough: bool) -> list[Finding]:
    """The text run on the CPU; see `memory`."""
    if not kernels:
        return []
    if not thorough:
        return memory.run(kernels)
    short = [kernel for kernel in kernels if len(kernel.program.lets) <= SHORT]
    long = [kernel for kernel in kernels if len(kernel.program.lets) > SHORT]
    found = [
        replace(finding, where=f"{finding.where}, packs of {wide} bytes")
        for wide in (16, 32)
        for some, lengths in ((short, memory.ALL_LENGTHS), (long, memory.SOME_LENGTHS))
        if some
        for finding in memory.run(some, lengths=lengths, wide=wide)
    ]
    return list({finding.subject: finding for finding in reversed(found)}.values())


def subjects_of(kernel: Kernel) -> list[Subject]:
    """The entry functions in the text of a kernel."""
    signature = kernel.signature
    whole = [
        name
        for name in (*signature.arrays, *signature.results)
        if name not in (signature.channelwise, signature.summed, *signature.reduced)
    ]
    return [
        Subject(
            entry=entry,
            kernel=kernel.identifier,
            activation=kernel.activation.name,
            dtype=kernel.dtype,
            computes=kernel.computes,
            accuracy=kernel.accuracy,
            work_format=kernel.work_format.name,
            itemsize=format_of(kernel.dtype).bits // 8,
            reads=len([name for name in whole if name in signature.arrays]),
            writes=len([name for name in whole if name in signature.results]),
            operations=len(kernel.program.lets),
        )
        for entry, _ in cuda.entries(kernel.device_source)
    ]
