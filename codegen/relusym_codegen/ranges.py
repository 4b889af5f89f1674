"""Intervals that hold every intermediate of a program: what the choice of code may rely on.

Outward rounding is left to margins: bounds are used to tell 1 from 2^100, never one float from the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from relusym_codegen.program import Let, Operand, Program

Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)


def ranges(program: Program) -> dict[str, Range]:
    """For each input and let the interval of its values, NaN aside; masks and integers are left out."""
    found: dict[str, Range] = dict.fromkeys(program.inputs, EVERYTHING)
    for let in program.lets:
        found[let.name] = _meets_nan(_RULES.get(let.operation, _anything)(let, [of(found, o) for o in let.operands]))
    return found


def of(found: Mapping[str, Range], operand: Operand) -> Range:
    """The interval of an operand."""
    if isinstance(operand, str):
        return found.get(operand, EVERYTHING)
    return (float(operand), float(operand))


def magnitudes(interval: Range) -> Range:
    """Least and largest magnitude in an interval."""
    low, high = interval
    least = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return least, max(abs(low), abs(high))


def _meets_nan(interval: Range) -> Range:
    low, high = interval
    return (-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high)


def _anything(let: Let, operands: Sequence[Range]) -> Range:
    return EVERYTHING


def _product(let: Let, operands: Sequence[Range]) -> Range:
    (a, b), (c, d) = operands
    if let.operands[0] == let.operands[1]:
        least, largest = magnitudes((a, b))
        return _square(least), _square(largest)
    corners = [_times(x, y) for x in (a, b) for y in (c, d)]
    return min(corners), max(corners)


def _square(value: float) -> float:
    return value * value if value < 1e150 else math.inf


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def _sum(let: Let, operands: Sequence[Range]) -> Range:
    (a, b), (c, d) = operands
    return a + c, b + d


def _difference(let: Let, operands: Sequence[Range]) -> Range:
    (a, b), (c, d) = operands
    return a - d, b - c


def _fused(let: Let, operands: Sequence[Range]) -> Range:
    product = _product(Let("", "mul", let.operands[:2]), operands[:2])
    return _sum(let, (_meets_nan(product), operands[2]))


def _quotient(let: Let, operands: Sequence[Range]) -> Range:
    (c, d) = operands[1]
    if c <= 0 <= d:
        return EVERYTHING
    reciprocal = (1 / d if math.isfinite(d) else 0.0, 1 / c if math.isfinite(c) else 0.0)
    return _product(Let("", "mul", ("", "other")), (operands[0], (min(reciprocal), max(reciprocal))))


def _absolute(let: Let, operands: Sequence[Range]) -> Range:
    return magnitudes(operands[0])


def _hull(let: Let, operands: Sequence[Range]) -> Range:
    return min(operands[1][0], operands[2][0]), max(operands[1][1], operands[2][1])


def _monotone(function: Callable[[float], float]) -> Callable[[Let, Sequence[Range]], Range]:
    def rule(let: Let, operands: Sequence[Range]) -> Range:
        return function(operands[0][0]), function(operands[0][1])

    return rule


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _log(value: float) -> float:
    return -math.inf if value <= 0 else math.log(value)


_RULES: Mapping[str, Callable[[Let, Sequence[Range]], Range]] = {
    "neg": lambda let, operands: (-operands[0][1], -operands[0][0]),
    "abs": _absolute,
    "add": _sum,
    "sub": _difference,
    "mul": _product,
    "fma": _fused,
    "div": _quotient,
    "max": lambda let, operands: (max(operands[0][0], operands[1][0]), max(operands[0][1], operands[1][1])),
    "min": lambda let, operands: (min(operands[0][0], operands[1][0]), min(operands[0][1], operands[1][1])),
    "select": _hull,
    "sqrt": lambda let, operands: (math.sqrt(max(operands[0][0], 0.0)), math.sqrt(max(operands[0][1], 0.0))),
    "exp": _monotone(_exp),
    "exp_lifted": lambda let, operands: (0.0, _exp(operands[0][1]) * operands[1][1]),
    "expm1": _monotone(lambda value: math.expm1(value) if value < 700 else math.inf),
    "log": _monotone(_log),
    "log1p": _monotone(lambda value: _log(1 + value)),
    "tanh": _monotone(math.tanh),
    "sin": lambda let, operands: (-1.0, 1.0),
    "cos": lambda let, operands: (-1.0, 1.0),
    "sin_shifted": lambda let, operands: (-1.0, 1.0),
}
