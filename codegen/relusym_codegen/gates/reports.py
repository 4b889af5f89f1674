"""What the gates found, as text for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from relusym_codegen.gates.memory import SOME_LENGTHS
from relusym_codegen.gates.rules import STATEMENTS, over_budget
from relusym_codegen.gates.running import Outcome, Row

QUANTITIES = ("forward", "derivative", "backward")
"""What the page shows element by element."""


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Lines: each gate with how often it fails, what is over the budget, then every finding."""
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    rows = rows_of(outcomes)
    kernels = sum(len(outcome.kernels) for outcome in outcomes)
    width = max(map(len, STATEMENTS))
    lines = []
    for gate, states in STATEMENTS.items():
        failures = sum(finding.gate == gate for finding in findings)
        lines.append(f"{gate:<{width}}  {'holds' if not failures else f'FAILS {failures}x'}: {states}")
    vectorised = [row for row in rows if row.found.per_element is not None]
    over = [row for row in vectorised if over_budget(row.subject, row.found)]
    exact = sum(row.found.in_ptx == row.found.in_machine for row in rows)
    entries = len({row.subject.entry for row in rows})
    architectures = ", ".join(dict.fromkeys(row.found.architecture for row in rows))
    lines += [
        "",
        f"{kernels} kernels, {entries} entry functions, {len(rows)} times machine code ({architectures})",
        f"as many fma, mul and add as in the PTX, without copies: {exact} of {len(rows)}",
        f"over the instruction budget, which is no defect: {len(over)} of {len(vectorised)} vector loops",
        *([""] if findings else []),
        *map(str, findings),
        "",
        f"{len(findings)} gates do not hold" if findings else "all gates hold",
    ]
    return lines


def rows_of(outcomes: Iterable[Outcome]) -> list[Row]:
    """All numbers, activation by activation."""
    return [row for outcome in outcomes for row in outcome.rows]


_SHOWN = """\
What they show, and what not:

- **contraction**: fma, mul and add are counted in the PTX and in the machine code of each entry function; additions of
  zero, which only move a number, are left out of both. All of them say `.rn` in the PTX, which forbids the assembler
  to merge a mul and an add; had it done so, both would be missing. It may copy an operation, such as one on a
  parameter into two branches: {exact:,} of {all:,} have exactly the same numbers. Counts do not show that the order
  was kept.
- **branches** are conditional jumps inside a loop, both ways of which lead to the same stores. Bounds checks and ends
  of loops are none, nor is a jump that parameters or the number of the block decide: all threads go the same way.
- **memory**: launches as the exported module asks for them, for arrays of {lengths} lengths up to 4097 and of some
  around the tiles, that begin at a boundary and one element behind it, in place, strided, on grids of as many blocks as
  wanted, of one, and of more. Every access is watched: none is outside of its array, each byte of a result is written
  exactly once. Blocks and threads run one after another there; a race would not show, but elements share nothing.
- **budget**: an H200 executes about 62 instructions for each element while it reads and writes a float32, 31 for
  16 bits, and so on in proportion to the bytes. Programs that take at most half of it are held to it, the others are
  reported.
"""

_MACHINE_CODE = """\
## Machine code

Over all entry functions; *loads* and *stores* are those of 128 bits or more in one turn of the vector loop; *fma*,
*mul* and *add* are sums.

| architecture | dtype | entry functions | registers | stack, spills, local | calls | branches | float64 | MUFU | \
loads | stores | fma | mul | add |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""

_INSTRUCTIONS = f"""\
## Instructions for each element

In the vector loop of sm_90, with loads, stores and indices: `precise` / `fast` for float32. A star is over the budget.
*Registers* is the largest number of these kernels; up to 32, a multiprocessor is filled with threads.

| activation | dtype | {" | ".join(QUANTITIES)} | registers |
|---|---|{"---|" * (len(QUANTITIES) + 1)}
"""


def page(outcomes: Sequence[Outcome], *, command: str, versions: Mapping[str, str]) -> str:
    """The page docs/reference/gpu-gates.md: sums by architecture and dtype, then instructions of every activation."""
    rows = rows_of(outcomes)
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    kernels = sum(len(outcome.kernels) for outcome in outcomes)
    computed = ", ".join(dict.fromkeys(row.subject.computes.partition(":")[0] for row in rows))
    exact = sum(row.found.in_ptx == row.found.in_machine for row in rows)
    lines = [
        "# Gates of the CUDA kernels",
        "",
        f"Written by `{command}`, on a machine without a GPU: nothing here was measured on one. What is",
        "looked at is what NVRTC makes of the text of every kernel, with the flags of its launcher, and what the text",
        "does to memory when a C++ compiler runs it. `relusym doctor --gpu-check` asks the same questions.",
        "",
        "| gate | what holds |",
        "|---|---|",
        *(f"| `{gate}` | {states} |" for gate, states in STATEMENTS.items()),
        "",
        f"{kernels} kernels ({computed}): " + (f"**{len(findings)} findings**" if findings else "all gates hold") + ".",
        "",
        _SHOWN.format(exact=exact, all=len(rows), lengths=len(SOME_LENGTHS)),
        _MACHINE_CODE + "\n".join(_sums(rows)),
        "",
        _INSTRUCTIONS + "\n".join(_instructions(rows)),
        "",
        *(["## Findings", "", *(f"- {finding}" for finding in findings), ""] if findings else []),
        "Made with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
    ]
    return "\n".join(lines)


def _sums(rows: Sequence[Row]) -> list[str]:
    keys = dict.fromkeys((row.found.architecture, row.subject.dtype) for row in rows)
    lines = []
    for architecture, dtype in keys:
        group = [row for row in rows if (row.found.architecture, row.subject.dtype) == (architecture, dtype)]
        numbers = [row.found for row in group]
        vector = [row.found for row in group if row.found.per_element is not None]
        doubles = "all" if group[0].subject.work_format == "float64" else str(sum(found.doubles for found in numbers))
        fused = [sum(found.in_machine[kind] for found in numbers) for kind in range(3)]
        cells = [
            architecture,
            dtype,
            str(len(numbers)),
            _span(found.registers for found in numbers),
            str(sum(found.stack + found.spills + found.local for found in numbers)),
            str(sum(len(found.calls) for found in numbers)),
            str(sum(found.divergences for found in numbers)),
            doubles,
            str(sum(len(found.special) for found in numbers)),
            _span(found.wide_loads for found in vector),
            _span(found.wide_stores for found in vector),
            *(f"{count:,}" for count in fused),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _span(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return "" if not found else str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _instructions(rows: Sequence[Row]) -> list[str]:
    shown = [row for row in rows if row.found.architecture == "sm_90" and not row.subject.variant]
    lines = []
    for activation, dtype in dict.fromkeys((row.subject.activation, row.subject.dtype) for row in shown):
        group = [row for row in shown if (row.subject.activation, row.subject.dtype) == (activation, dtype)]
        cells = [
            " / ".join(_instructions_of(row) for row in group if row.subject.computes == quantity)
            for quantity in QUANTITIES
        ]
        registers = max(row.found.registers for row in group)
        lines.append(f"| {activation} | {dtype} | {' | '.join(cells)} | {registers} |")
    return lines


def _instructions_of(row: Row) -> str:
    if row.found.per_element is None:
        return "?"
    return f"{row.found.per_element:.1f}" + ("*" if over_budget(row.subject, row.found) else "")
