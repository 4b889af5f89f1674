"""From a formula program to arithmetic: the same program in operations that IEEE 754 fixes to the bit.

Elementary functions become range reductions and polynomial cores, divisions become reciprocals by Newton's method,
products that are added become fma. Each step is done at one of four levels; `levels` finds the cheapest choice whose
first-order error (see `sensitivity`) stays below the target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from relusym.floats import Format
from relusym_codegen import elementary, pairs
from relusym_codegen.elementary import Context
from relusym_codegen.pairs import Pair
from relusym_codegen.program import ARITHMETIC, OPERATIONS, Builder, Let, Operand, Program, low_part
from relusym_codegen.ranges import Range, magnitudes, of, ranges
from relusym_codegen.sensitivity import EXACT, Sensitivity, sensitivity

NATIVE = frozenset({"exp_lifted", "sin_shifted"})
"""Operations of formulas that arithmetic has beyond those that every language has."""

QUICK, SINGLE, MENDED, DOUBLE = range(4)
"""To the bits the result needs; rounded to one float; with the rests of constants; as a float and its rest."""

_Row = tuple[float, float, float, float]

_ERRORS: Mapping[str, _Row] = {
    # in units of 2^-precision relative to the value, as measured on dense points (tests/codegen/test_elementary.py);
    # the first three grow where cores are shorter
    "add": (1, 1, 2, 1e-5),
    "sub": (1, 1, 2, 1e-5),
    "mul": (1, 1, 1, 1e-5),
    "fma": (1, 1, 3, 1e-5),
    "div": (1.4, 1, 1, 1e-4),
    "sqrt": (1, 1, 1, 1e-4),
    "exp": (1.4, 1.4, 1.4, 0.3),
    "exp_lifted": (1.4, 1.4, 1.4, 0.3),
    "expm1": (2.4, 2.4, 2.4, 0.5),
    "log": (1.4, 1.4, 1.4, 0.3),
    "log1p": (2.2, 2.2, 2.2, 0.3),
    "sin": (1.2, 1.2, 1.2, 0.4),
    "cos": (1.2, 1.2, 1.2, 0.4),
    "sin_shifted": (1.2, 1.2, 1.2, 0.4),
}
_SHORT = frozenset({"div", "exp", "exp_lifted", "expm1", "log", "log1p", "sin", "cos", "sin_shifted", "sqrt"})
_COSTS: Mapping[str, _Row] = {
    "add": (1, 1, 2, 6),
    "sub": (1, 1, 2, 6),
    "mul": (1, 1, 2, 3),
    "fma": (1, 1, 3, 10),
    "div": (8, 10, 10, 13),
    "sqrt": (12, 12, 12, 15),
    "exp": (12, 12, 12, 20),
    "exp_lifted": (12, 12, 12, 20),
    "expm1": (13, 13, 13, 24),
    "log": (24, 24, 24, 36),
    "log1p": (24, 24, 24, 38),
    "sin": (35, 35, 35, 42),
    "cos": (35, 35, 35, 42),
    "sin_shifted": (36, 36, 36, 43),
}
_ROUNDED = frozenset({"add", "sub", "mul", "fma"})
"""Operations that IEEE 754 rounds: their error is half an ulp, not a relative one."""
_LIBRARY: _Row = (2, 2, 2, 2)
"""Of a function of the platform's own library, for which there is no core."""


@dataclass(frozen=True)
class Goal:
    """What a program is to reach, in ulps of `result`.

    `ulps` are first-order bounds of what its roundings may cost: of programs made to several bounds the shortest is
    taken that shows at most `shown` ulps at the sample inputs (less where its bound is far above), or, where that is
    None, that keeps its bound. Where work
    format and result are the same the last rounding is counted; where they differ it is not. `level` is the one at
    which formulas are expected to keep their digits away from roots: nearer to a root than that allows, an anchor
    takes over (see `anchors`). `division` says that IEEE division and square root may stand in the text.
    """

    result: Format
    ulps: tuple[float, ...]
    shown: float | None = None
    level: int = MENDED
    division: bool = False


@dataclass(frozen=True)
class Arithmetic:
    """A program, and what is known of it.

    `error` is its first-order error bound in ulps at the sample, the final rounding to a narrower result not counted;
    `foreign` names the functions left to the platform's library, whose bits nobody promises; `paired` says that some
    step is done in two floats.
    """

    program: Program
    error: float
    foreign: tuple[str, ...]
    paired: bool


def arithmetic(program: Program, inputs: Mapping[str, npt.NDArray[Any]], goal: Goal) -> list[Arithmetic]:
    """The program in `ARITHMETIC` operations, once for each of the goal's bounds; `inputs` are the sample points."""
    fused = _fused(_expanded(program))
    table = sensitivity(fused, inputs, goal.result)
    known = ARITHMETIC | {"div", "sqrt"} if goal.division else ARITHMETIC
    found: dict[tuple[int, ...], Arithmetic] = {}
    rows = _rows(fused, table, goal.result)
    for ulps in goal.ulps:
        chosen = tuple(levels(fused, rows, ulps))
        if chosen not in found:
            error = float(np.max(_total(rows, chosen), initial=0.0))
            made = _made(fused, chosen, goal)
            foreign = tuple(sorted({let.operation for let in made.lets} - known))
            found[chosen] = Arithmetic(made, error, foreign, max(chosen, default=QUICK) >= MENDED)
    return list(found.values())


def error_at_level(program: Program, x: npt.NDArray[Any], goal: Goal) -> npt.NDArray[np.float64]:
    """Ulps of the result that the roundings of a formula cost at points x, every step at the goal's level."""
    fused = _fused(_expanded(program))
    table = sensitivity(fused, {"x": x}, goal.result)
    return _total(_rows(fused, table, goal.result, (goal.level,)), [0] * len(fused.lets))


# --- the formula, in fewer kinds of operations ---


def _expanded(program: Program) -> Program:
    """Tanh by expm1: -tanh|u| = m / (m + 2) with m = expm1(-2|u|); a number that divides, by its reciprocal."""
    b = Builder(program.inputs, program.work_format)
    names: dict[str, Operand] = {name: name for name in program.inputs}
    for let in program.lets:
        operands = [names[operand] if isinstance(operand, str) else operand for operand in let.operands]
        if let.operation == "tanh":
            m = b("expm1", b("mul", b("abs", operands[0]), -2.0))
            falling = b("div", m, b("add", m, 2.0))
            names[let.name] = b("select", b("lt", operands[0], 0.0), falling, b("neg", falling))
        elif let.operation == "div" and isinstance(operands[1], float) and _has_reciprocal(operands[1]):
            names[let.name] = b("mul", operands[0], b.constant(1 / sympy.Rational(float(operands[1]))))
        else:
            names[let.name] = b(let.operation, *operands)
    for name, error in program.approximations:
        b.approximate(names[name], error)
    return b.program(*(names[output] if isinstance(output, str) else output for output in program.outputs))


def _has_reciprocal(divisor: float) -> bool:
    """Whether dividing by this number may be multiplying by another: a number with no rest, neither 0 nor infinite."""
    return divisor != 0 and math.isfinite(divisor) and not low_part(divisor)


def _fused(program: Program) -> Program:
    """A product that is used once, in a sum, is fused with it."""
    uses: dict[Operand, int] = {}
    for operand in [*(operand for let in program.lets for operand in let.operands), *program.outputs]:
        if isinstance(operand, str):
            uses[operand] = uses.get(operand, 0) + 1
    products = {let.name: let for let in program.lets if let.operation == "mul" and uses.get(let.name) == 1}
    b = Builder(program.inputs, program.work_format)
    names: dict[str, Operand] = {name: name for name in program.inputs}

    def renamed(operand: Operand) -> Operand:
        return names[operand] if isinstance(operand, str) else operand

    for let in program.lets:
        first, *rest = let.operands
        second = rest[0] if rest else first
        if let.operation in ("add", "sub") and first in products and first != second:
            factors = map(renamed, products[first].operands)
            other = renamed(second)
            names[let.name] = b("fma", *factors, other if let.operation == "add" else b("neg", other))
        elif let.operation in ("add", "sub") and second in products and first != second:
            one, other = map(renamed, products[second].operands)
            names[let.name] = b("fma", one if let.operation == "add" else b("neg", one), other, renamed(first))
        else:
            names[let.name] = b(let.operation, *map(renamed, let.operands))
    for name, error in program.approximations:
        b.approximate(names[name], error)
    return b.program(*map(renamed, program.outputs))


# --- choosing the levels ---


def _errors(let: Let, work: Format, result: Format, scales: frozenset[str]) -> _Row:
    if let.operation in EXACT or OPERATIONS[let.operation].yields != "float":
        return (0, 0, 0, 0)
    row = _ERRORS.get(let.operation, _LIBRARY)
    if let.operation == "mul" and any(_is_power_of_two(operand) or operand in scales for operand in let.operands):
        return (0, 0, 0, 0)
    if let.operation in _SHORT and result.precision < work.precision:
        short = 1.5 * 2.0 ** (work.precision - result.precision - 10)
        # cores of the right length serve all levels but the last; a quick quotient has the bits of its reciprocal
        quick = max(row[0], short)
        return (quick, quick if let.operation != "div" else row[1], quick, row[3])
    return row


def _scales(program: Program) -> frozenset[str]:
    """Lets that choose between two powers of two."""
    return frozenset(
        let.name for let in program.lets if let.operation == "select" and all(map(_is_power_of_two, let.operands[1:]))
    )


def _is_power_of_two(operand: Operand) -> bool:
    return not isinstance(operand, str) and operand != 0 and math.frexp(operand)[0] in (0.5, -0.5)


_Rows = list[list[npt.NDArray[np.float64]]]
"""For each let and each level: what it costs, in ulps of the result, at each sample point."""


def _rows(program: Program, table: Sensitivity, result: Format, at: Sequence[int] = range(4)) -> _Rows:
    work, scales = program.work_format, _scales(program)
    # a core with all the bits of the format misses by less than its own rounding
    missed = dict(program.approximations) if result.precision < work.precision else {}
    return [
        [
            _cost_in_ulps(let, index, table, work, result, level, scales)
            + table.relative[index] * missed.get(let.name, 0.0) * 2.0**work.precision
            for level in at
        ]
        for index, let in enumerate(program.lets)
    ]


def _total(rows: _Rows, chosen: Sequence[int]) -> npt.NDArray[np.float64]:
    """Ulps at each sample point."""
    total = np.zeros_like(rows[0][chosen[0]] if rows else 0.0)
    for row, level in zip(rows, chosen, strict=True):  # np.sum would copy them all into one array first
        total += row[level]
    return total


def _cost_in_ulps(
    let: Let, index: int, table: Sensitivity, work: Format, result: Format, level: int, scales: frozenset[str]
) -> npt.NDArray[np.float64]:
    error = _errors(let, work, result, scales)[level]
    size = table.rounding if let.operation in _ROUNDED else table.relative
    ulps: npt.NDArray[np.float64] = size[index] * error
    if error or let.operation == "mul":
        # a power of two rounds nothing but what underflows
        ulps = ulps + table.underflow[index]
    if level < MENDED:
        ulps = ulps + table.constants[index]
    if level == DOUBLE and work == result:
        ulps = ulps + table.delivered[index] * 0.5
    return ulps


def levels(program: Program, rows: _Rows, target: float) -> list[int]:
    """A level for each let: raised one by one where it helps most for its cost, until the sum is below the target.

    What cannot be mended by raising levels stays; the sum then says by how much the target is missed.
    """
    chosen = [QUICK] * len(program.lets)
    if not rows:
        return chosen
    costs = [_COSTS.get(let.operation, (0, 0, 0, 0)) for let in program.lets]
    total = _total(rows, chosen)
    # where even two floats everywhere miss the target, a little more than they reach is asked for
    asked = np.maximum(target, 1.25 * _total(rows, [DOUBLE] * len(rows)))
    hopeless = np.zeros(total.shape, dtype=bool)
    while total.size:
        excess = np.where(hopeless, 0.0, total / asked)
        worst = int(np.argmax(excess))
        if excess[worst] <= 1:
            break
        best: tuple[float, int, int] | None = None
        for index in range(len(program.lets)):
            for level in range(chosen[index] + 1, 4):
                gain = rows[index][chosen[index]][worst] - rows[index][level][worst]
                price = costs[index][level] - costs[index][chosen[index]] + 0.5
                if gain > 0.01 * target and (best is None or gain / price > best[0]):
                    best = (gain / price, index, level)
        if best is None:
            hopeless[worst] = True
            continue
        _, index, level = best
        total = total - rows[index][chosen[index]] + rows[index][level]
        chosen[index] = level
    return _lowered_again(rows, chosen, total, asked)


def _lowered_again(
    rows: _Rows,
    chosen: list[int],
    total: npt.NDArray[np.float64],
    asked: npt.NDArray[np.float64],
) -> list[int]:
    """Levels that turn out to be higher than needed, lowered.

    The sum stays where it is below what is asked for, and grows by no more than a hundredth where it is not.
    """
    allowed = np.maximum(total * 1.01, asked)
    for index, level in enumerate(chosen):
        for lower in range(level):
            candidate = total - rows[index][level] + rows[index][lower]
            if np.all(candidate <= allowed):
                total, chosen[index] = candidate, lower
                break
    return chosen


# --- writing it down ---


def _made(program: Program, chosen: Sequence[int], goal: Goal) -> Program:
    known = ranges(program)
    b = Builder(program.inputs, program.work_format)
    writer = _Writer(
        Context(b, goal.result, goal.division), known, {name: Pair(name) for name in program.inputs}, _scales(program)
    )
    for let, level in zip(program.lets, chosen, strict=True):
        writer.write(let, level)
    return b.program(*(writer.single(output) for output in program.outputs))


@dataclass
class _Writer:
    """Lets of the arithmetic program, from those of the formula."""

    c: Context
    known: Mapping[str, Range]
    values: dict[str, Pair]
    scales: frozenset[str]

    def single(self, operand: Operand) -> Operand:
        """An operand as one float."""
        return self.collapsed(self.values[operand]) if isinstance(operand, str) else operand

    def collapsed(self, pair: Pair) -> Operand:
        return pairs.collapsed(self.c.b, pair)

    def pair(self, operand: Operand, level: int) -> Pair:
        """An operand with its rest, that of a constant only where the level says so."""
        if isinstance(operand, str):
            return self.values[operand]
        return pairs.pair_of(operand) if level >= MENDED else Pair(operand)

    def within(self, operand: Operand) -> Range:
        return of(self.known, operand)

    def write(self, let: Let, level: int) -> None:
        """The lets for one operation of the formula."""
        b = self.c.b
        kind = OPERATIONS[let.operation]
        if kind.yields != "float":
            self.values[let.name] = Pair(b(let.operation, *map(self.single, let.operands)))
            return
        operands = [self.pair(operand, level) for operand in let.operands]
        if let.operation in EXACT:
            self.values[let.name] = self._carried(let.operation, operands)
            return
        function = getattr(self, f"_{let.operation}", None)
        if function is None:
            self.values[let.name] = Pair(b(let.operation, *(self.collapsed(pair) for pair in operands)))
            return
        value: Pair = function(let, operands, level)
        self.values[let.name] = self._guarded(let, operands, value)

    def _scales(self, operand: Operand) -> bool:
        """Whether an operand is a power of two, or one of two."""
        return _is_power_of_two(operand) or operand in self.scales

    def _carried(self, operation: str, operands: list[Pair]) -> Pair:
        """Operations that round nothing: both parts go through."""
        b = self.c.b
        if all(pair.low is None for pair in operands):
            return Pair(b(operation, *(pair.high for pair in operands)))
        if operation == "neg":
            return pairs.negated(b, operands[0])
        if operation == "select":
            mask, yes, no = operands
            return Pair(
                b("select", mask.high, yes.high, no.high),
                b("select", mask.high, _rest(yes), _rest(no)),
            )
        if operation == "abs":
            negative = b("lt", operands[0].high, 0.0)
            low = _rest(operands[0])
            return Pair(b("abs", operands[0].high), b("select", negative, b("neg", low), low))
        first, second = operands
        replaced = b("lt" if operation == "max" else "gt", first.high, second.high)
        return Pair(b("select", replaced, second.high, first.high), b("select", replaced, _rest(second), _rest(first)))

    def _guarded(self, let: Let, operands: list[Pair], value: Pair) -> Pair:
        """Where infinities may come by, a rest that is not a number is none."""
        b = self.c.b
        limit = self.c.work.max / 4
        tame = all(magnitudes(self.within(operand))[1] < limit for operand in (*let.operands, let.name))
        plain = all(pair.low is None for pair in operands)
        if tame or (value.low is None and plain):
            return value
        if value.low is not None:
            known = b("lt", b("abs", value.low), math.inf)
            return Pair(value.high, b("select", known, value.low, 0.0))
        alone = b(let.operation, *(pair.high for pair in operands)) if let.operation in ARITHMETIC else value.high
        # an infinite rest beside a finite product would make an infinity of its own sign
        return Pair(b("select", b("lt", b("abs", alone), math.inf), value.high, alone))

    def _ordered(self, let: Let) -> bool:
        first, second = (magnitudes(self.within(operand)) for operand in let.operands)
        return first[0] >= second[1]

    def _paired(self, let: Let) -> bool:
        """Whether an operand is the result of a step in two floats, and not only a constant with its rest."""
        return any(isinstance(operand, str) and self.values[operand].low is not None for operand in let.operands)

    def _add(self, let: Let, operands: list[Pair], level: int) -> Pair:
        b = self.c.b
        first, second = operands
        if level < DOUBLE and not self._paired(let):
            total = Pair(b("add", first.high, second.high))
            return Pair(self.collapsed(pairs.with_low(b, pairs.with_low(b, total, first.low), second.low)))
        if self._ordered(let):
            total = pairs.sum_of(b, first, second, ordered=True)
        elif self._ordered(replace(let, operands=let.operands[::-1])):
            total = pairs.sum_of(b, second, first, ordered=True)
        else:
            total = pairs.sum_of(b, first, second)
        return total if level == DOUBLE else Pair(self.collapsed(total))

    def _sub(self, let: Let, operands: list[Pair], level: int) -> Pair:
        first, second = operands
        if first.low is None and second.low is None and level < DOUBLE:
            return Pair(self.c.b("sub", first.high, second.high))
        return self._add(let, [first, pairs.negated(self.c.b, second)], level)

    def _mul(self, let: Let, operands: list[Pair], level: int) -> Pair:
        b = self.c.b
        first, second = operands
        for scale, one, other in (*zip(let.operands, (first, second), (second, first), strict=True),):
            if self._scales(scale):
                if magnitudes(self.within(scale))[0] < 2.0**-32:
                    # the rest would underflow
                    return Pair(b("mul", self.collapsed(other), one.high))
                return Pair(
                    b("mul", other.high, one.high), None if other.low is None else b("mul", other.low, one.high)
                )
        if level == DOUBLE:
            return pairs.product_of(b, first, second)
        low: Operand | None = None
        for one, other in ((first, second), (second, first)):
            if one.low is not None:
                low = b("mul", one.low, other.high) if low is None else b("fma", one.low, other.high, low)
        return Pair(b("mul", first.high, second.high) if low is None else b("fma", first.high, second.high, low))

    def _fma(self, let: Let, operands: list[Pair], level: int) -> Pair:
        b = self.c.b
        first, second, third = operands
        if level == DOUBLE:
            return pairs.sum_of(b, pairs.product_of(b, first, second), third)
        if self._paired(let):
            # rounded once: the product's rest goes in with the sum's
            product = pairs.product_of(b, first, second)
            total = pairs.two_sum(b, product.high, third.high)
            return Pair(self.collapsed(pairs.with_low(b, pairs.with_low(b, total, product.low), third.low)))
        low = third.low
        for one, other in ((first, second), (second, first)):
            if one.low is not None:
                low = b("mul", one.low, other.high) if low is None else b("fma", one.low, other.high, low)
        value = Pair(b("fma", first.high, second.high, third.high))
        return Pair(self.collapsed(pairs.with_low(b, value, low)))

    def _div(self, let: Let, operands: list[Pair], level: int) -> Pair:
        dividend, divisor = operands
        within = self.within(let.operands[1])
        tame = (
            magnitudes(self.within(let.operands[0]))[1] < math.inf and magnitudes(self.within(let.name))[1] < math.inf
        )
        return elementary.quotient(
            self.c, dividend, divisor, within, double=level == DOUBLE, quick=level == QUICK, tame=tame
        )

    def _sqrt(self, let: Let, operands: list[Pair], level: int) -> Pair:
        return elementary.square_root(self.c, operands[0], self.within(let.operands[0]), double=level == DOUBLE)

    def _exp(self, let: Let, operands: list[Pair], level: int) -> Pair:
        return elementary.exp(self.c, operands[0], self.within(let.operands[0]), double=level == DOUBLE)

    def _exp_lifted(self, let: Let, operands: list[Pair], level: int) -> Pair:
        within = self.within(let.operands[0])
        return elementary.exp(self.c, operands[0], within, double=level == DOUBLE, lifted=True)

    def _expm1(self, let: Let, operands: list[Pair], level: int) -> Pair:
        return elementary.expm1(self.c, operands[0], self.within(let.operands[0]), double=level == DOUBLE)

    def _log(self, let: Let, operands: list[Pair], level: int) -> Pair:
        return elementary.log(self.c, operands[0], self.within(let.operands[0]), double=level == DOUBLE)

    def _log1p(self, let: Let, operands: list[Pair], level: int) -> Pair:
        return elementary.log1p(self.c, operands[0], self.within(let.operands[0]), double=level == DOUBLE)

    def _sin(self, let: Let, operands: list[Pair], level: int) -> Pair:
        return elementary.sine(self.c, operands[0], eighths=0, double=level == DOUBLE)

    def _sin_shifted(self, let: Let, operands: list[Pair], level: int) -> Pair:
        eighths = let.operands[1]
        assert isinstance(eighths, float)
        return elementary.sine(self.c, operands[0], eighths=eighths, double=level == DOUBLE)

    def _cos(self, let: Let, operands: list[Pair], level: int) -> Pair:
        return elementary.sine(self.c, operands[0], eighths=2, double=level == DOUBLE)


def _rest(pair: Pair) -> Operand:
    return 0.0 if pair.low is None else pair.low
