"""Numbers of one kernel on one architecture, read from its PTX, its machine code and the assembler's log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from relusym_codegen.gates.machine_code import Instruction, Routine, routines
from relusym_codegen.gates.toolchain import Compiled
from relusym_codegen.gates.uniformity import divergent_branches

KINDS = ("fma", "mul", "add")
"""The operations that round. A subtraction is an addition of the negated operand."""

PACK = 16
"""Bytes of one vector access: 128 bits."""


@dataclass(frozen=True)
class Region:
    """What runs once for each time around: a loop, or what is in no loop; the loops inside it stand by themselves."""

    routine: Routine
    header: int | None

    @property
    def start(self) -> int:
        """Where it begins."""
        return 0 if self.header is None else self.header

    @cached_property
    def body(self) -> frozenset[int]:
        """All its blocks, those of inner loops too."""
        return frozenset(self.routine.blocks) if self.header is None else self.routine.loops[self.header]

    @cached_property
    def inner(self) -> Mapping[int, int]:
        """By block in a loop inside, the header of the outermost one."""
        loops = self.routine.loops
        inside = sorted(
            (header for header in loops if header != self.header and header in self.body), key=lambda h: len(loops[h])
        )
        return {number: header for header in inside for number in loops[header]}

    @property
    def longest(self) -> tuple[Instruction, ...]:
        """The way through it that stores most by vectors, and of these the one of most instructions, padding aside.

        A way goes through no loop inside: what is there runs an unknown number of times.
        """
        ways: dict[int, tuple[Instruction, ...]] = {}
        for number in self._backwards:
            if number in self.inner:
                ways[number] = ()
                continue
            here = tuple(i for i in self.routine.blocks[number].instructions if i.base != "NOP")
            further = [ways[successor] for successor in self._following(number)]
            ways[number] = here + max(further, key=lambda way: (stored(way), len(way)), default=())
        return ways[self.start]

    def divergences(self, divergent: frozenset[int]) -> int:
        """Branches that threads of a warp may take differently on the way to the same stores.

        `divergent` are the blocks that end in a branch at which they may part. A way that leaves out loads or stores
        which the other has is a bounds check, one that leaves the region is control of a loop, and so is one that leads
        into a loop with stores of its own.
        """
        reached: dict[int, frozenset[int]] = {}
        found = 0
        for number in self._backwards:
            if number in self.inner and any(map(self._stores, self.routine.loops[number])):
                reached[number] = frozenset()
                continue
            ways = [reached[successor] for successor in self._following(number)]
            reached[number] = frozenset([number] if self._accesses(number) else ()).union(*ways)
            storing = [way for way in ways if any(map(self._stores, way))]
            rivals = any(not (one < other or other < one) for one, other in combinations(storing, 2))
            found += rivals and number in divergent and number not in self.inner
        return found

    def _accesses(self, number: int) -> bool:
        return any(i.loads or i.stores for i in self.routine.blocks[number].instructions)

    def _stores(self, number: int) -> bool:
        return any(instruction.stores for instruction in self.routine.blocks[number].instructions)

    def _following(self, number: int) -> tuple[int, ...]:
        """What comes next in the same time around: blocks, and for a loop inside its header."""
        blocks = self.routine.loops[number] if number in self.inner else {number}
        successors = (successor for block in blocks for successor in self.routine.blocks[block].successors)
        return tuple(
            dict.fromkeys(
                self.inner.get(successor, successor)
                for successor in successors
                if successor in self.body and successor not in blocks and successor != self.start
            )
        )

    @cached_property
    def _backwards(self) -> tuple[int, ...]:
        """Every block and inner loop, after all that follow it in the same time around."""
        order: dict[int, None] = {}

        def visit(number: int) -> None:
            for successor in self._following(number):
                if successor not in order:
                    visit(successor)
            order[number] = None

        for number in sorted(self.body):
            if self.inner.get(number, number) == number and number not in order:
                visit(number)
        return tuple(order)


def stored(instructions: Iterable[Instruction]) -> int:
    """Bytes that vector stores write."""
    return sum(i.bytes for i in instructions if i.stores and i.bytes >= PACK)


@dataclass(frozen=True)
class Measurement:
    """One entry function on one architecture.

    `narrow` counts accesses to global memory of less than 128 bits in the vector body, `per_element` its machine
    instructions for each element, None where no vector body was found. `loose` are PTX operations whose rounding is
    not fixed; `in_ptx` and `in_machine` count those that round.
    """

    entry: str
    architecture: str
    registers: int
    stack: int
    spills: int
    local: int
    calls: tuple[str, ...]
    divergences: int
    doubles: int
    special: tuple[str, ...]
    flushing: int
    wide_loads: int
    wide_stores: int
    narrow: int
    loads: int
    per_element: float | None
    loose: tuple[str, ...]
    in_ptx: tuple[int, int, int]
    in_machine: tuple[int, int, int]


def measured(compiled: Compiled, elements: Mapping[str, int]) -> dict[str, Measurement]:
    """Every entry function that `elements` names, with the bytes of results that belong to one element.

    Raises KeyError where the compiler made no machine code of one.
    """
    found, entries, reports = routines(compiled.assembly), ptx_entries(compiled.ptx), _reports(compiled.log)
    return {
        name: _measured(found[name], entries[name], reports[name], compiled.architecture, element)
        for name, element in elements.items()
    }


def _measured(routine: Routine, ptx: str, report: tuple[int, int, int], architecture: str, element: int) -> Measurement:
    everything = tuple(routine.instructions)
    regions, divergent = regions_of(routine), divergent_branches(routine)
    body = max((region.longest for region in regions), key=stored)
    written = stored(body)
    accesses = [i for i in body if i.loads or i.stores]
    registers, stack, spills = report
    return Measurement(
        entry=routine.name,
        architecture=architecture,
        registers=registers,
        stack=stack,
        spills=spills,
        local=sum(i.base in ("LDL", "STL") for i in everything),
        calls=tuple(dict.fromkeys(i.called for i in everything if i.called is not None)),
        divergences=sum(region.divergences(divergent) for region in regions),
        doubles=sum(_is_double(i) for i in everything),
        special=tuple(dict.fromkeys(i.opcode for i in everything if i.base == "MUFU")),
        flushing=sum("FTZ" in i.modifiers for i in everything),
        wide_loads=sum(i.loads and i.bytes >= PACK for i in accesses),
        wide_stores=sum(i.stores and i.bytes >= PACK for i in accesses),
        narrow=sum(i.bytes < PACK for i in accesses) if written else 0,
        loads=sum(i.loads for i in everything),
        per_element=len(body) * element / written if written else None,
        loose=loose_operations(ptx),
        in_ptx=ptx_counts(ptx),
        in_machine=machine_counts(everything),
    )


def regions_of(routine: Routine) -> tuple[Region, ...]:
    """What is in no loop, and each loop."""
    return tuple(Region(routine, header) for header in (None, *routine.loops))


def _is_double(instruction: Instruction) -> bool:
    return instruction.base in ("DADD", "DMUL", "DFMA", "DSETP", "DMNMX", "DSET") or "F64" in instruction.modifiers


_PER_INSTRUCTION = {
    **{f"{letter}{kind.upper()}": (kind, 1) for letter in "FD" for kind in KINDS},
    **{f"F{kind.upper()}2": (kind, 2) for kind in KINDS},  # Blackwell: two floats at once
}


def machine_counts(instructions: tuple[Instruction, ...]) -> tuple[int, int, int]:
    """How many fma, mul and add the machine code holds; additions of zero aside, which only move a number."""
    counts: Counter[str] = Counter()
    for instruction in instructions:
        kind, times = _PER_INSTRUCTION.get(instruction.base, ("", 0))
        if kind and not (kind == "add" and re.search(r"\bRZ\b", instruction.operands.partition(",")[2])):
            counts[kind] += times
    return (counts["fma"], counts["mul"], counts["add"])


_OPERATION = re.compile(
    r"^\s*(?:\{\s*)?(?:@!?%\w+\s+)?([a-z]\w*(?:\.\w+)*\.f(?:32|64)(?:x2)?)\s+([^;]*);", re.MULTILINE
)
_ROUNDS = ("fma", "mad", "mul", "add", "sub", "div", "sqrt", "rcp")
_ZERO = re.compile(r"\b0[fd][08]0+\b")


def ptx_entries(ptx: str) -> dict[str, str]:
    """The body of every entry function."""
    return {found[1]: found[2] for found in re.finditer(r"\.entry (\w+)\((.*?)\n\}\n", ptx, re.DOTALL)}


def ptx_counts(body: str) -> tuple[int, int, int]:
    """How many fma, mul and add a body holds, subtractions among the additions, additions of a literal zero aside."""
    counts: Counter[str] = Counter()
    for opcode, operands in _OPERATION.findall(body):
        kind = {"sub": "add", "mad": "fma"}.get(opcode.partition(".")[0], opcode.partition(".")[0])
        if not (kind == "add" and _ZERO.search(operands)):
            counts[kind] += 2 if opcode.endswith("x2") else 1
    return (counts["fma"], counts["mul"], counts["add"])


def loose_operations(body: str) -> tuple[str, ...]:
    """Operations that are not rounded to nearest, approximate, or flush subnormals: IEEE 754 does not fix them."""
    return tuple(
        dict.fromkeys(
            opcode
            for opcode, _ in _OPERATION.findall(body)
            for kind, *words in [opcode.split(".")]
            if (kind in _ROUNDS and "rn" not in words)
            or kind in ("ex2", "lg2", "sin", "cos", "tanh", "rsqrt")
            or not {"approx", "ftz", "sat", "full"}.isdisjoint(words)
        )
    )


def _reports(log: str) -> dict[str, tuple[int, int, int]]:
    """By entry function, registers, bytes of stack and bytes spilled, as the assembler reports them."""
    return {
        found[1]: (int(found[5]), int(found[2]), int(found[3]) + int(found[4]))
        for found in re.finditer(
            r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
            r"(\d+) bytes spill loads.*?Used (\d+) registers",
            log,
            re.DOTALL,
        )
    }
