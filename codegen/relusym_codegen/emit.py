"""`emit`: the only walk over a program; rows are looked up, operands printed, results stored.

A row is text with {0}, {1}, {2} for the operands and, where results live in buffers, {out}; or a function
`(operands, out, storage) -> lines` for an operation that takes several statements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from relusym_codegen.program import OPERATIONS, Let, Operand, Program


class Storage(Protocol):
    """Where the results of lets are kept."""

    def place(self, let: Let, dying: Sequence[str], row: Any) -> str:
        """The place for this let's result; `dying` are the places of operands used here for the last time."""
        ...

    def release(self, place: str) -> None:
        """Nothing reads this place any more."""
        ...


class Names:
    """Each let is a fresh constant of a scalar language."""

    def place(self, let: Let, dying: Sequence[str], row: Any) -> str:
        """The let's own name."""
        return let.name

    def release(self, place: str) -> None:
        """Names cost nothing."""


@dataclass
class Buffers:
    """Results live in numbered buffers, reused as soon as nothing reads them; masks in integer buffers."""

    count: int = 0
    free: list[str] = field(default_factory=list)

    def place(self, let: Let, dying: Sequence[str], row: Any) -> str:
        """A buffer of an operand that dies here where the row works in place, else a free or new one."""
        if isinstance(row, str) and not OPERATIONS[let.operation].yields_mask:
            for place in dying:
                self.free.remove(place)
                return place
        return self.take()

    def take(self) -> str:
        """Any free buffer, or a new one."""
        if self.free:
            return self.free.pop()
        self.count += 1
        return f"b{self.count - 1}"

    def release(self, place: str) -> None:
        """Back to the pool."""
        self.free.append(place)


def emit(
    program: Program,
    *,
    rows: Mapping[str, Any],
    literal: Callable[[float], str],
    statement: Callable[[Let, str, str], str],
    storage: Storage,
) -> tuple[list[str], tuple[str, ...]]:
    """Lines that compute the program, and the text of its outputs.

    `statement(let, place, expression)` wraps a text row into a line. A buffer read for the last time is released
    before the result is placed, so that a row that works in place may take it over; a row given as a function gets
    its operands' buffers released afterwards.
    """
    last_use = {operand: index for index, let in enumerate(program.lets) for operand in let.operands}
    last_use |= dict.fromkeys(program.outputs, len(program.lets))
    places: dict[str, str] = {name: name for name in program.inputs}
    inputs = set(program.inputs)

    def text(operand: Operand) -> str:
        return places[operand] if isinstance(operand, str) else literal(operand)

    lines: list[str] = []
    for index, let in enumerate(program.lets):
        row = rows[let.operation]
        operands = [text(operand) for operand in let.operands]
        names = {operand for operand in let.operands if isinstance(operand, str) and operand not in inputs}
        dying = [places[name] for name in sorted(names) if last_use[name] == index]
        simple = isinstance(row, str)
        if simple:
            for place in dying:
                storage.release(place)
        places[let.name] = storage.place(let, dying, row)
        if simple:
            lines.append(statement(let, places[let.name], row.format(*operands, out=places[let.name])))
        else:
            lines += row(let, operands, places[let.name])
            for place in dying:
                storage.release(place)
    return lines, tuple(text(output) for output in program.outputs)
