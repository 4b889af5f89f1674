"""`Program`: straight-line scalar code in one format; the only thing a target sees.

A program computes in its work format and is rounded once to the output format by the target's wrapper. Operands
are names (inputs or earlier lets) or numbers already rounded to the work format. NaN rules: `max` and `min` hand
on a NaN of their first operand, comparisons with NaN are false, `select` copies the chosen operand's bits.

A program is written twice. As a *formula* it may use elementary functions (`exp`, `log1p`, `div`), which mean what
NumPy makes of them. As *arithmetic* (see `arithmetic`) it holds the operations of `ARITHMETIC` alone, which IEEE 754
and two's complement fix to the bit: then `evaluate` says exactly what every machine computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy import Expr

from relusym.floats import Format
from relusym_codegen.fused import fma
from relusym_codegen.literals import fraction, is_exact, nearest

Operand = str | float
"""A name, or a number; the numbers of integer operations are `int`."""
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """What an operation means on NumPy arrays of the work format, and how many operands it takes.

    `yields` is "float", "mask" or "int": a signed integer as wide as the work format, wrapping around.
    """

    arity: int
    meaning: Callable[..., Any]
    yields: str = "float"

    @property
    def yields_mask(self) -> bool:
        """Whether the result is a truth value."""
        return self.yields == "mask"


def _bits(value: Any) -> Any:
    """The bit pattern of floats, as signed integers."""
    return np.asarray(value).view(np.dtype(f"i{np.asarray(value).dtype.itemsize}"))


def _from_bits(pattern: Any) -> Any:
    """The floats with these bit patterns."""
    return np.asarray(pattern).view(np.dtype(f"f{np.asarray(pattern).dtype.itemsize}"))


def spare(work: Format) -> int:
    """The power of two by which an exponential is lifted: enough to make every result normal."""
    return 64 if work.bits == 32 else 128


def _exp_lifted(value: Any, lift: Any) -> Any:
    """exp(u) times a power of four, without underflow for an exponential that is no more than subnormal."""
    half = np.exp(value * np.asarray(value).dtype.type(0.5)) * np.sqrt(lift)
    return half * half


OPERATIONS: Mapping[str, Operation] = {
    "neg": Operation(1, np.negative),
    "abs": Operation(1, np.abs),
    "add": Operation(2, np.add),
    "sub": Operation(2, np.subtract),
    "mul": Operation(2, np.multiply),
    "div": Operation(2, np.divide),
    "max": Operation(2, lambda a, b: np.where(a < b, b, a)),
    "min": Operation(2, lambda a, b: np.where(a > b, b, a)),
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
    "sin_shifted": Operation(
        2, lambda value, eighths: np.sin(value + eighths * np.asarray(value).dtype.type(np.pi / 4))
    ),
    "atan": Operation(1, np.arctan),
    "pow": Operation(2, np.power),
    "erf": Operation(1, np.vectorize(math.erf)),
    "erfc": Operation(1, np.vectorize(math.erfc)),
    "lt": Operation(2, np.less, yields="mask"),
    "le": Operation(2, np.less_equal, yields="mask"),
    "gt": Operation(2, np.greater, yields="mask"),
    "ge": Operation(2, np.greater_equal, yields="mask"),
    "eq": Operation(2, np.equal, yields="mask"),
    "ne": Operation(2, np.not_equal, yields="mask"),
    "select": Operation(3, np.where),
    "fma": Operation(3, fma),
    "exp_lifted": Operation(2, _exp_lifted),
    "bits": Operation(1, _bits, yields="int"),
    "from_bits": Operation(1, _from_bits),
    "iadd": Operation(2, np.add, yields="int"),
    "isub": Operation(2, np.subtract, yields="int"),
    "iand": Operation(2, np.bitwise_and, yields="int"),
    "shl": Operation(2, np.left_shift, yields="int"),
    "shr": Operation(2, np.right_shift, yields="int"),
}

ARITHMETIC = frozenset(
    [
        "neg",
        "abs",
        "add",
        "sub",
        "mul",
        "fma",
        "max",
        "min",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "select",
        "bits",
        "from_bits",
        "iadd",
        "isub",
        "iand",
        "shl",
        "shr",
    ]
)
"""Operations whose result is fixed to the bit; `shr` keeps the sign. On the CPU `div` and `sqrt` join them."""


@dataclass(frozen=True)
class Let:
    """`name = operation(operands)`."""

    name: str
    operation: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Program:
    """Lets in order of evaluation; `outputs` are operands, one for each result.

    `approximations` are lets that stand for a function and miss it, before any rounding, by so much of its value.
    """

    inputs: tuple[str, ...]
    lets: tuple[Let, ...]
    outputs: tuple[Operand, ...]
    work_format: Format
    approximations: tuple[tuple[str, float], ...] = ()


def renamed(program: Program, names: Mapping[str, str]) -> Program:
    """The program with other names for some of its inputs."""

    def new(operand: Operand) -> Operand:
        return names.get(operand, operand) if isinstance(operand, str) else operand

    return Program(
        tuple(names.get(name, name) for name in program.inputs),
        tuple(Let(let.name, let.operation, tuple(map(new, let.operands))) for let in program.lets),
        tuple(map(new, program.outputs)),
        program.work_format,
        program.approximations,
    )


class Constant(float):
    """A number rounded to a format, and what the rounding left: `low`, rounded to the same format.

    Behaves as the rounded number; arithmetic in two floats uses the rest as well.
    """

    low: float

    def __new__(cls, high: float, low: float = 0.0) -> Constant:
        """The number with its rest."""
        constant = super().__new__(cls, high)
        constant.low = low
        return constant

    def __reduce__(self) -> tuple[type[Constant], tuple[float, float]]:
        return Constant, (float(self), self.low)

    def __neg__(self) -> Constant:
        return Constant(-float(self), -self.low)


def low_part(operand: Operand) -> float:
    """What rounding left of a constant; 0 for other numbers."""
    return operand.low if isinstance(operand, Constant) else 0.0


def evaluate(program: Program, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """Run a program by the meanings above, on arrays of its work format; quiet about overflow and NaN."""
    dtype = program.work_format.dtype
    integer = np.dtype(f"i{dtype.itemsize}")
    values: dict[str, Any] = {}

    def value(operand: Operand) -> Any:
        if isinstance(operand, str):
            return values[operand]
        return (integer if isinstance(operand, int) else dtype).type(operand)

    with np.errstate(all="ignore"):
        values.update((name, np.asarray(inputs[name], dtype)) for name in program.inputs)
        for let in program.lets:
            values[let.name] = OPERATIONS[let.operation].meaning(*map(value, let.operands))
        shape = np.broadcast_shapes(*(values[name].shape for name in program.inputs))
        return tuple(np.broadcast_to(np.asarray(value(output), dtype), shape) for output in program.outputs)


class Builder:
    """Collects lets; equal computations become one let (common subexpressions), dead ones are dropped."""

    def __init__(
        self,
        inputs: tuple[str, ...],
        work_format: Format,
        native: frozenset[str] = frozenset(),
        result: Format | None = None,
    ) -> None:
        """`native` names the operations beyond the common ones that the target has (see `arithmetic.NATIVE`).

        `result` is the format that results are rounded to, the work format itself by default: cores are as long as
        it needs. `halved` holds operands u for which exp(-|u|) is to be computed as exp(-|u|/2) squared, because
        one half of it is needed on its own (see `primitives`).
        """
        self.inputs = inputs
        self.work_format = work_format
        self.native = native
        self.result = result or work_format
        self.halved: set[Operand] = set()
        self._lets: list[Let] = []
        self._negations: dict[Operand, Operand] = {}
        self._known: dict[tuple[str, tuple[Any, ...]], str] = {}
        self._approximations: dict[Operand, float] = {}

    def __call__(self, operation: str, *operands: Operand) -> Operand:
        """Append `operation(operands)`, or find it, or fold it where it changes nothing; returns its operand."""
        assert OPERATIONS[operation].arity == len(operands), (operation, operands)
        folded = _identity(operation, operands)
        if folded is not None:
            return folded
        parts = [(type(operand).__name__, repr(operand), low_part(operand)) for operand in operands]
        if operation in ("add", "mul", "fma"):
            parts[:2] = sorted(parts[:2])
        key = (operation, tuple(parts))
        if operation == "abs" and operands[0] in self._negations:
            return self("abs", self._negations[operands[0]])
        if operation == "add":
            for one, other in (operands, operands[::-1]):
                if one in self._negations:
                    return self("sub", other, self._negations[one])
        if key not in self._known:
            name = self._known[key] = f"v{len(self._lets)}"
            self._lets.append(Let(name, operation, operands))
            if operation == "neg":
                self._negations[name] = operands[0]
        return self._known[key]

    def approximate(self, operand: Operand, relative_error: float) -> None:
        """Say that an operand stands for a function that it misses by so much of its value."""
        self._approximations[operand] = relative_error

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
        """An exact number, rounded once to the work format, with what the rounding left."""
        high = nearest(value, self.work_format)
        if not math.isfinite(high) or is_exact(value, self.work_format):
            return high
        rest = fraction(value) - Fraction(high)
        return Constant(high, nearest(sympy.Rational(rest.numerator, rest.denominator), self.work_format))

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
        approximations = tuple(
            (names[let.name], self._approximations[let.name])
            for let in reversed(kept)
            if let.name in self._approximations
        )
        return Program(self.inputs, lets, tuple(map(renamed, outputs)), self.work_format, approximations)


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
