"""What has to hold of a CUDA kernel: each gate as a row, with what it states and how it is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from relusym_codegen.gates.measuring import KINDS, Measurement
from relusym_codegen.targets import cuda

BUDGET = 62 / 8
"""Instructions of an H200 for each byte that it moves: 62 for a float32 read and written, 31 for 16 bits."""

SCALAR = ("any", "strided", "fold", "channels", "channels_any")
"""What the names of entry functions end in that take one element at a time: of other layouts, or with its channel."""


@dataclass(frozen=True)
class Subject:
    """An entry function before it is compiled.

    `reads` and `writes` count arrays that are gone through element by element, `operations` what its program holds.
    """

    entry: str
    kernel: str
    activation: str
    dtype: str
    computes: str
    accuracy: str
    work_format: str
    itemsize: int
    reads: int
    writes: int
    operations: int

    @property
    def variant(self) -> str:
        """What is beside the kernel's name in that of the entry function: nothing for the main one."""
        return self.entry.removeprefix(self.kernel).removeprefix("_")

    @property
    def vectorised(self) -> bool:
        """Whether it is to move 128 bits at once."""
        return self.variant not in SCALAR

    @property
    def budget(self) -> float | None:
        """Instructions for each element that the GPU executes while it moves the memory; None for float64."""
        return None if self.work_format == "float64" else BUDGET * self.itemsize * (self.reads + self.writes)

    @property
    def cheap(self) -> bool:
        """Whether its arithmetic takes half the budget at most, so that the rest of the loop cannot be the excuse."""
        return self.budget is not None and self.operations <= self.budget / 2


@dataclass(frozen=True)
class Finding:
    """A gate that does not hold: of which kernel or entry function, where, and what was seen."""

    gate: str
    subject: str
    where: str
    says: str

    def __str__(self) -> str:
        return f"{self.subject}{f' ({self.where})' if self.where else ''}: {self.gate}: {self.says}"


@dataclass(frozen=True)
class Gate:
    """`seen` gives what is wrong, or None where the gate holds."""

    name: str
    states: str
    seen: Callable[[Subject, Measurement], str | None]


def _spills(subject: Subject, found: Measurement) -> str | None:
    if found.stack or found.spills or found.local:
        return f"{found.stack} bytes of stack, {found.spills} spilled, {found.local} accesses to local memory"
    return None


def _calls(subject: Subject, found: Measurement) -> str | None:
    return f"calls {', '.join(found.calls)}" if found.calls else None


def _branches(subject: Subject, found: Measurement) -> str | None:
    return f"{found.divergences} branches on data in the element arithmetic" if found.divergences else None


def _doubles(subject: Subject, found: Measurement) -> str | None:
    if subject.work_format == "float64" or not found.doubles:
        return None
    return f"{found.doubles} float64 instructions in a kernel that computes in {subject.work_format}"


def _special(subject: Subject, found: Measurement) -> str | None:
    return f"approximations of the hardware: {', '.join(found.special)}" if found.special else None


def _rounding(subject: Subject, found: Measurement) -> str | None:
    loose = [*found.loose, *(["instructions that flush subnormals"] if found.flushing else [])]
    return f"not fixed by IEEE 754: {', '.join(loose)}" if loose else None


def _contraction(subject: Subject, found: Measurement) -> str | None:
    if all(after >= before for before, after in zip(found.in_ptx, found.in_machine, strict=True)):
        return None
    rows = zip(KINDS, found.in_ptx, found.in_machine, strict=True)
    return "; ".join(f"{kind}: {before} in PTX, {after} in machine code" for kind, before, after in rows)


def _vectors(subject: Subject, found: Measurement) -> str | None:
    if not subject.vectorised:
        return None
    lacking = [] if found.wide_stores else ["no store"]
    lacking += ["no load"] if found.loads and not found.wide_loads else []
    if lacking:
        return f"{' and '.join(lacking)} of 128 bits or more in a loop without loops inside"
    return f"{found.narrow} narrower accesses in the vector loop" if found.narrow else None


def _budget(subject: Subject, found: Measurement) -> str | None:
    if not (subject.vectorised and subject.cheap and over_budget(subject, found)):
        return None
    return f"{found.per_element:.4g} instructions for {subject.operations} operations; budget {subject.budget:.4g}"


def over_budget(subject: Subject, found: Measurement) -> bool:
    """Whether the instructions of the vector loop take longer than the memory."""
    return found.per_element is not None and subject.budget is not None and found.per_element > subject.budget


GATES = (
    Gate("spills", "no stack, no register spilled, no local memory", _spills),
    Gate("calls", "no call of a routine", _calls),
    Gate("branches", "threads of a warp never part in the element arithmetic", _branches),
    Gate("doubles", "no float64 instruction where the work format is float32", _doubles),
    Gate("special", "no approximation by the special-function unit (MUFU)", _special),
    Gate("rounding", "every PTX operation rounds to nearest; none approximates or flushes", _rounding),
    Gate("contraction", "no fma, mul or add of the PTX is missing in the machine code", _contraction),
    Gate("vectors", "128-bit loads and stores, and no narrower ones beside them", _vectors),
    Gate("budget", "short programs stay within the instruction budget", _budget),
)
"""Of one entry function on one architecture."""

TEXT, FLAGS, COMPILES, MEMORY = "text", "flags", "compiles", "memory"

NEEDED = ("--fmad=false", "--ftz=false")
"""Flags without which the compiler merges operations and flushes subnormals."""

STATEMENTS = {
    TEXT: "no division, root or special function in the CUDA text",
    FLAGS: f"the launcher compiles with {' '.join(NEEDED)}",
    COMPILES: "NVRTC takes the text, with the flags of its launcher",
    **{gate.name: gate.states for gate in GATES},
    MEMORY: "AddressSanitizer and UBSan are content; each byte of a result is written once, no other touched",
}
"""Every gate, in the order in which they are asked."""

_CALLED = re.compile(
    r"\b_{0,2}[fdh]?(?:sqrt|rsqrt|cbrt|rcp|div|fdividef|fmod|remainder|hypot|pow|exp|exp2|exp10|expm1|log|log2|log10|log1p|"
    r"sin|cos|tan|sincos|sinpi|cospi|sinh|cosh|tanh|asin|acos|atan|atan2|erf|erfc|erfcx|erfinv|normcdf|tgamma|lgamma)"
    r"f?(?:_r[nzud])?\s*\("
)


def slow_or_loose(text: str) -> list[str]:
    """Slow operations, and calls of functions of CUDA's library or hardware, in CUDA text; comments aside."""
    return [*cuda.slow_operations(text), *(found.strip("( ") for found in _CALLED.findall(cuda.bare(text)))]
