"""`Program`: straight-line scalar code in one format; the only thing a target sees.

A program computes in its work format and is rounded once to the output format by the target's wrapper. Operands
are names (inputs or earlier lets) or numbers already rounded to the work format. NaN rules: `max` and `min` hand
on a NaN of their first operand, comparisons with NaN are false, `select` copies the chosen operand's bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sympy import Expr

from relusym.floats import Format
from relusym_codegen.literals import nearest

Operand = str | float
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """What an operation means on NumPy arrays of the work format, and how many operands it takes."""

    arity: int
    meaning: Callable[..., Any]
    yields_mask: bool = False


OPERATIONS: Mapping[str, Operation] = {
    "neg": Operation(1, np.negative),
    "abs": Operation(1, np.abs),
    "add": Operation(2, np.add),
    "sub": Operation(2, np.subtract),
    "mul": Operation(2, np.multiply),
    "div": Operation(2, np.divide),
    "max": Operation(2, np.maximum),
    "min": Operation(2, np.minimum),
    "sqrt": Operation(1, np.sqrt),
    "exp": Operation(1, np.exp),
    "expm1": Operation(1, np.expm1),
    "log": Operation(1, np.log),
    "log1p": Operation(1, np.log1p),
    "tanh": Operation(1, np.tanh),
    "sinh": Operation(1, np.sinh),
    "cosh": Operation(1, np.cosh),
    "sin": Operation(1, np.sin),
    "cos": Operation(1, np.cos),
    "atan": Operation(1, np.arctan),
    "pow": Operation(2, np.power),
    "erf": Operation(1, np.vectorize(math.erf)),
    "erfc": Operation(1, np.vectorize(math.erfc)),
    "lt": Operation(2, np.less, yields_mask=True),
    "le": Operation(2, np.less_equal, yields_mask=True),
    "gt": Operation(2, np.greater, yields_mask=True),
    "ge": Operation(2, np.greater_equal, yields_mask=True),
    "eq": Operation(2, np.equal, yields_mask=True),
    "ne": Operation(2, np.not_equal, yields_mask=True),
    "select": Operation(3, np.where),
}


@dataclass(frozen=True)
class Let:
    """`name = operation(operands)`."""

    name: str
    operation: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Program:
    """Lets in order of evaluation; `outputs` are operands, one for each result."""

    inputs: tuple[str, ...]
    lets: tuple[Let, ...]
    outputs: tuple[Operand, ...]
    work_format: Format


def evaluate(program: Program, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """Run a program by the meanings above, on arrays of its work format; quiet about overflow and NaN."""
    dtype = program.work_format.dtype
    values: dict[str, Any] = {}

    def value(operand: Operand) -> Any:
        return values[operand] if isinstance(operand, str) else dtype.type(operand)

    with np.errstate(all="ignore"):
        values.update((name, np.asarray(inputs[name], dtype)) for name in program.inputs)
        for let in program.lets:
            values[let.name] = OPERATIONS[let.operation].meaning(*map(value, let.operands))
        shape = np.broadcast_shapes(*(values[name].shape for name in program.inputs))
        return tuple(np.broadcast_to(np.asarray(value(output), dtype), shape) for output in program.outputs)


class Builder:
    """Collects lets; equal computations become one let (common subexpressions), dead ones are dropped."""

    def __init__(self, inputs: tuple[str, ...], work_format: Format, native: frozenset[str] = frozenset()) -> None:
        """`native` names the operations beyond the common ones that the target has (erf, erfc).

        `halved` holds operands u for which exp(-|u|) is to be computed as exp(-|u|/2) squared, because one half of
        it is needed on its own (see `primitives`).
        """
        self.inputs = inputs
        self.work_format = work_format
        self.native = native
        self.halved: set[Operand] = set()
        self._lets: list[Let] = []
        self._known: dict[tuple[str, tuple[Any, ...]], str] = {}

    def __call__(self, operation: str, *operands: Operand) -> Operand:
        """Append `operation(operands)`, or find it, or fold it where it changes nothing; returns its operand."""
        assert OPERATIONS[operation].arity == len(operands), (operation, operands)
        folded = _identity(operation, operands)
        if folded is not None:
            return folded
        key = (operation, tuple((type(operand), repr(operand)) for operand in operands))
        if operation == "abs" and (inner := self._negated(operands[0])) is not None:
            return self("abs", inner)
        if key not in self._known:
            self._known[key] = f"v{len(self._lets)}"
            self._lets.append(Let(self._known[key], operation, operands))
        return self._known[key]

    def _negated(self, operand: Operand) -> Operand | None:
        """U where `operand` is -u."""
        for let in self._lets:
            if let.name == operand and let.operation == "neg":
                return let.operands[0]
        return None

    def is_chain(self, operand: Operand, operations: tuple[str, ...], end: str) -> bool:
        """Whether `operand` is a chain of these operations, first operands all the way, that ends in `end`."""
        by_name = {let.name: let for let in self._lets}
        while operand != end:
            let = by_name.get(operand) if isinstance(operand, str) else None
            if let is None or let.operation not in operations:
                return False
            operand = let.operands[0]
        return True

    def constant(self, value: Expr) -> float:
        """An exact number, rounded once to the work format."""
        return nearest(value, self.work_format)

    def program(self, *outputs: Operand) -> Program:
        """The program that computes these outputs and nothing else, its lets numbered afresh."""
        needed = {output for output in outputs if isinstance(output, str)}
        kept = []
        for let in reversed(self._lets):
            if let.name in needed:
                kept.append(let)
                needed.update(operand for operand in let.operands if isinstance(operand, str))
        names = {let.name: f"t{index}" for index, let in enumerate(reversed(kept))}

        def renamed(operand: Operand) -> Operand:
            return names.get(operand, operand) if isinstance(operand, str) else operand

        lets = tuple(Let(names[let.name], let.operation, tuple(map(renamed, let.operands))) for let in reversed(kept))
        return Program(self.inputs, lets, tuple(map(renamed, outputs)), self.work_format)


def _identity(operation: str, operands: tuple[Operand, ...]) -> Operand | None:
    """The operand that an operation by a neutral element gives back bit for bit (zero signs aside)."""
    match operation, operands:
        case ("mul", (1.0, other)) | ("mul", (other, 1.0)) | ("div", (other, 1.0)):
            return other
        case ("add", (0.0, other)) | ("add", (other, 0.0)) | ("sub", (other, 0.0)):
            return other
        case ("neg", (float(number),)):
            return -number
        case ("select", (_, yes, no)) if yes == no:
            return yes
    return None
