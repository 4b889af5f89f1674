"""What nvdisasm prints of one kernel, as a graph: blocks of instructions, what follows what, loops."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

_SECTION = re.compile(r"^//-+ \.text\.(\S+) -+$", re.MULTILINE)
_LABEL = re.compile(r"([.$\w]+):")
_INSTRUCTION = re.compile(r"/\*[0-9a-f]+\*/\s+\{?\s*(?:(@!?\w+)\s+)?([A-Z][\w.]*)\s*([^;]*);")
_TARGET = re.compile(r"`\((\S+?)\)")


@dataclass(frozen=True)
class Instruction:
    """`guard` is the predicate it runs under, as "@!P1", or nothing."""

    guard: str
    opcode: str
    operands: str

    @property
    def base(self) -> str:
        """The opcode without its modifiers."""
        return self.opcode.partition(".")[0]

    @property
    def modifiers(self) -> tuple[str, ...]:
        """What follows the opcode: E and 128 of LDG.E.128."""
        return tuple(self.opcode.split(".")[1:])

    @property
    def bytes(self) -> int:
        """How much a load or store moves for each thread."""
        sizes = [int(word.lstrip("US")) for word in self.modifiers if re.fullmatch(r"[US]?(8|16|32|64|128|256)", word)]
        return (sizes[-1] if sizes else 32) // 8

    @property
    def loads(self) -> bool:
        """Whether it reads global memory."""
        return self.base in ("LDG", "LD")

    @property
    def stores(self) -> bool:
        """Whether it writes global memory."""
        return self.base in ("STG", "ST")

    @property
    def called(self) -> str | None:
        """The routine it calls; a CALL to a place in the kernel itself is a jump that the assembler wrote so."""
        if self.base not in ("CALL", "CALLS"):
            return None
        found = _TARGET.search(self.operands)
        return None if found and found[1].startswith(".L_") else (found[1] if found else self.operands.strip())

    @property
    def jumps(self) -> bool:
        """Whether control may go elsewhere than to the next instruction."""
        return self.base in ("BRA", "BRX", "BRXU", "JMP", "JMX", "JMXU", "EXIT", "RET") or (
            self.base in ("CALL", "CALLS") and self.called is None
        )

    @property
    def conditional(self) -> bool:
        """Whether a jump may fall through: a guard, or a predicate among the operands."""
        return bool(self.guard) or bool(re.search(r"!?U?P[0-9T]\b|~?UR", _TARGET.sub("", self.operands)))

    @property
    def uniform(self) -> bool:
        """Whether all threads of a warp take the same way."""
        return self.guard.lstrip("@!").startswith("UP") or "U" in self.modifiers or "DIV" in self.modifiers

    @property
    def targets(self) -> tuple[str, ...]:
        """Labels it may jump to."""
        return tuple(_TARGET.findall(self.operands)) if self.jumps and self.base != "EXIT" else ()


@dataclass(frozen=True)
class Block:
    """Instructions that run one after another, and the blocks that may follow."""

    instructions: tuple[Instruction, ...]
    successors: tuple[int, ...]


@dataclass(frozen=True)
class Routine:
    """One kernel in machine code; block 0 is where it begins, and blocks that nothing reaches are left out."""

    name: str
    blocks: Mapping[int, Block]

    @property
    def instructions(self) -> Iterator[Instruction]:
        """Everything that can run."""
        for block in self.blocks.values():
            yield from block.instructions

    @cached_property
    def predecessors(self) -> Mapping[int, frozenset[int]]:
        """By block, those from which control may come."""
        before: dict[int, set[int]] = {number: set() for number in self.blocks}
        for number, block in self.blocks.items():
            for successor in block.successors:
                before[successor].add(number)
        return {number: frozenset(numbers) for number, numbers in before.items()}

    @cached_property
    def loops(self) -> Mapping[int, frozenset[int]]:
        """Natural loops: by the block that a jump backwards leads to, the blocks that can come back to it."""
        found: dict[int, set[int]] = {}
        for start, header in self._backward_jumps:
            body, waiting = found.setdefault(header, {header}), [start]
            while waiting:
                number = waiting.pop()
                if number not in body:
                    body.add(number)
                    waiting += self.predecessors[number]
        return {header: frozenset(body) for header, body in found.items()}

    @cached_property
    def _backward_jumps(self) -> tuple[tuple[int, int], ...]:
        """Jumps to a block that is on the way to them, found depth first."""
        jumps, done, way = [], set(), [0]
        stack = [iter(self.blocks[0].successors)]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
                done.add(way.pop())
            elif following in way:
                jumps.append((way[-1], following))
            elif following not in done:
                way.append(following)
                stack.append(iter(self.blocks[following].successors))
        return tuple(jumps)


def routines(assembly: str) -> dict[str, Routine]:
    """By name, every kernel in what nvdisasm printed."""
    parts = _SECTION.split(assembly)[1:]
    return {name: _routine(name, body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _routine(name: str, body: str) -> Routine:
    """Cut into blocks at labels and after jumps; then joined by where jumps lead."""
    pieces: list[list[Instruction]] = [[]]
    labels: dict[str, int] = {}
    for line in body.splitlines():
        if label := _LABEL.fullmatch(line.strip()):
            if pieces[-1]:
                pieces.append([])
            labels[label[1]] = len(pieces) - 1
        elif found := _INSTRUCTION.search(line):
            instruction = Instruction(found[1] or "", found[2], found[3].strip())
            pieces[-1].append(instruction)
            if instruction.jumps:
                pieces.append([])
    blocks = {
        number: Block(tuple(piece), tuple(_successors(number, piece, labels, len(pieces))))
        for number, piece in enumerate(pieces)
    }
    reached, waiting = {0}, [0]
    while waiting:
        for successor in blocks[waiting.pop()].successors:
            if successor not in reached:
                reached.add(successor)
                waiting.append(successor)
    return Routine(name, {number: blocks[number] for number in sorted(reached)})


def _successors(number: int, piece: list[Instruction], labels: Mapping[str, int], count: int) -> Iterator[int]:
    last = piece[-1] if piece else None
    if (last is None or not last.jumps or last.conditional) and number + 1 < count:
        yield number + 1
    if last is not None:
        yield from dict.fromkeys(labels[target] for target in last.targets if target in labels)
