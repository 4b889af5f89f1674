"""Where the threads of a warp may part: branches that are not decided by numbers which a whole block shares.

The parameters of a kernel and the number of a block are such numbers, and so is what is computed from them alone. A
register is followed back to all instructions that may have written it last; it is shared where each of them computes
from shared operands, and, if there are several, none stands where only some of the threads come by. Branches are taken
for shared until they prove not to be, because the counter of a loop decides about itself. What is not known is not
shared.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

from relusym_codegen.gates.machine_code import Instruction, Routine

_COMPUTING = frozenset(
    re.findall(
        r"\w+",
        "FSETP ISETP DSETP PLOP3 FSEL SEL FMNMX FADD FMUL FFMA DADD DMUL DFMA HFMA2 IADD IADD3 IMAD IMNMX VIADD VIMNMX "
        "LOP3 SHF LEA MOV LDC PRMT",
    )
)
"""Instructions whose result depends on their operands alone."""

_REGISTER = re.compile(r"\bR\d+\b|\bP\d\b")


def divergent_branches(routine: Routine) -> frozenset[int]:
    """Blocks that end in a branch at which the threads of a block may go two ways."""
    forks = [number for number, block in routine.blocks.items() if len(block.successors) > 1]
    after = _postdominators(routine)
    writers = {number: _writers(block.instructions) for number, block in routine.blocks.items()}
    found: frozenset[int] = frozenset()
    while True:
        partial = frozenset().union(*(_between(routine, fork, after[fork] - {fork}) for fork in found))
        asked: dict[tuple[int, int, str], bool] = {}
        more = {fork for fork in forks if not _decided_by_all(routine, fork, writers, partial, asked)}
        if more <= found:
            return found
        found |= more


def _postdominators(routine: Routine) -> Mapping[int, frozenset[int]]:
    """By block, those that every way from it to the end passes, itself too."""
    everything = frozenset(routine.blocks)
    found = dict.fromkeys(routine.blocks, everything)
    changed = True
    while changed:
        changed = False
        for number in sorted(routine.blocks, reverse=True):
            ways = [found[successor] for successor in routine.blocks[number].successors]
            passed = frozenset.intersection(*ways) if ways else frozenset()
            if (passed | {number}) != found[number]:
                found[number] = passed | {number}
                changed = True
    return found


def _between(routine: Routine, fork: int, after: frozenset[int]) -> frozenset[int]:
    """Blocks between a fork and those that all ways from it pass: only some threads may come by."""
    seen: set[int] = set()
    waiting = [successor for successor in routine.blocks[fork].successors if successor not in after]
    while waiting:
        number = waiting.pop()
        if number not in seen:
            seen.add(number)
            waiting += [successor for successor in routine.blocks[number].successors if successor not in after]
    return frozenset(seen)


Writers = Mapping[str, list[int]]


def _decided_by_all(
    routine: Routine,
    fork: int,
    writers: Mapping[int, Writers],
    partial: frozenset[int],
    asked: dict[tuple[int, int, str], bool],
) -> bool:
    """Whether all threads that come to a fork go the same way, if `partial` is where only some come by."""

    def shared(number: int, place: int, register: str) -> bool:
        """Whether a register holds the same number in all threads before the instruction at this place."""
        key = (number, place, register)
        if key not in asked:
            asked[key] = True  # until the contrary is found: a counter depends on itself
            writing = list(_definitions(routine, number, place, register, writers))
            asked[key] = all(
                definition is not None and computed(*definition) and (len(writing) == 1 or definition[0] not in partial)
                for definition in writing
            )
        return asked[key]

    def computed(number: int, place: int) -> bool:
        """Whether the instruction at this place gives all threads the same result."""
        writer = routine.blocks[number].instructions[place]
        operands = [operand.strip() for operand in writer.operands.split(",")]
        if writer.base in ("S2R", "CS2R"):
            return operands[1].startswith(("SR_CTAID", "SRZ"))
        if writer.base == "P2R" and operands[1:3] == ["PR", "RZ"]:
            mask = int(operands[3], 16)  # predicates put aside
            return not writer.guard and all(shared(number, place, f"P{k}") for k in range(7) if mask >> k & 1)
        results = 1 + len(_further(operands))
        registers = set(_REGISTER.findall(" ".join([writer.guard, *operands[results:]])))
        # of a widening product the addend alone is as wide as the result
        wide = operands[-1:] if "WIDE" in writer.modifiers else operands[results:] if _width(writer) > 1 else []
        registers |= {f"R{int(number) + 1}" for operand in wide for number in re.findall(r"\bR(\d+)\b", operand)}
        return writer.base in _COMPUTING and all(shared(number, place, register) for register in registers)

    instructions = routine.blocks[fork].instructions
    jump = instructions[-1]
    if not jump.conditional or jump.uniform:
        return True
    return bool(jump.guard) and shared(fork, len(instructions) - 1, jump.guard.lstrip("@!"))


def _definitions(
    routine: Routine, number: int, place: int, register: str, writers: Mapping[int, Writers]
) -> Iterator[tuple[int, int] | None]:
    """Places of the instructions that may have written a register last; None for the kernel's beginning."""
    waiting, seen = [(number, place)], set[int]()
    while waiting:
        number, place = waiting.pop()
        covered = False
        for before in reversed([found for found in writers[number].get(register, ()) if found < place]):
            yield number, before
            if not routine.blocks[number].instructions[before].guard:
                covered = True
                break
        if covered:
            continue
        if number == 0:
            yield None
        for other in routine.predecessors[number] - seen:
            seen.add(other)
            waiting.append((other, len(routine.blocks[other].instructions)))


def _writers(instructions: tuple[Instruction, ...]) -> Writers:
    """By register, the places of the instructions that write it, or may."""
    found: dict[str, list[int]] = {}
    for place, instruction in enumerate(instructions):
        for register in _written(instruction):
            found.setdefault(register, []).append(place)
    return found


def _width(instruction: Instruction) -> int:
    """How many registers the result takes, or may."""
    sizes = {"WIDE": 2, "64": 2, "F64": 2, "128": 4, "256": 4}  # the last one twice
    double = 2 if instruction.base.startswith("D") or instruction.base == "CS2R" else 1
    return max([double, *(sizes.get(word, 1) for word in instruction.modifiers)])


def _written(instruction: Instruction) -> Iterator[str]:
    """Registers among the results; predicates may come second and third, and half of a load of 256 bits second."""
    operands = [operand.strip() for operand in instruction.operands.split(",")]
    if instruction.stores or instruction.jumps:
        return
    width = _width(instruction)
    for operand in operands[: 2 if "256" in instruction.modifiers else 1]:
        if found := re.fullmatch(r"R(\d+)", operand):
            yield from (f"R{int(found[1]) + step}" for step in range(width))
    if operands[0] == "PR":  # R2P: the mask says which predicates; in a register it could be any
        mask = int(operands[2], 16) if operands[2].startswith("0x") else 0x7F
        yield from (f"P{number}" for number in range(7) if mask >> number & 1)
    elif re.fullmatch(r"P\d", operands[0]):
        yield operands[0]
    yield from (operand for operand in _further(operands) if re.fullmatch(r"P\d", operand))


def _further(operands: list[str]) -> list[str]:
    """Predicates that are results beside the first: those right after it, which are never negated."""
    return list(itertools.takewhile(lambda operand: re.fullmatch(r"U?P[0-9T]", operand), operands[1:3]))
