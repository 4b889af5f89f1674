"""How much each rounding of a program moves its results: what must be kept in two floats, and what need not.

First-order error analysis. The program is run in float64 at sample points; the derivative of each result by each
intermediate comes from one sweep backwards through the program. An intermediate v with relative rounding error at
most e moves the result y by abs(dy/dv) abs(v) e, here counted in ulps of the result's format. Their sum bounds the
error of the result to first order at each point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.floats import Format, ulp
from relusym_codegen.program import OPERATIONS, Let, Program, low_part

Floats = npt.NDArray[np.float64]


EXACT = frozenset({"neg", "abs", "max", "min", "select"})
"""Operations that round nothing."""


@dataclass(frozen=True)
class Sensitivity:
    """For each let, one row: ulps of the result that an error in the let costs.

    Columns are sample points, those of the second output after those of the first. The error is 2^-precision of the
    value (`relative`), half an ulp of it (`rounding`), that of the rounded constants among the operands (`constants`),
    half the smallest subnormal (`underflow`). `delivered` is 1 where the let is the result, but for its sign: there
    a let kept in two floats is rounded to one at last.
    """

    relative: Floats
    rounding: Floats
    constants: Floats
    underflow: Floats
    delivered: Floats


def sensitivity(program: Program, inputs: Mapping[str, npt.NDArray[Any]], result: Format) -> Sensitivity:
    """The table of a program at these inputs; what is not finite counts as nothing."""
    work = program.work_format
    blocks = []
    with np.errstate(all="ignore"):
        values = _values(program, inputs)
        for output in program.outputs:
            blocks.append(_by_output(program, values, output, work, result))
    if len(blocks) == 1:
        return Sensitivity(*blocks[0])
    return Sensitivity(*(np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True)))


def _values(program: Program, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    shape = np.broadcast_shapes(*(np.shape(inputs[name]) for name in program.inputs))
    values: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(inputs[name], np.float64), shape) for name in program.inputs
    }
    for let in program.lets:
        operands = [values[operand] if isinstance(operand, str) else float(operand) for operand in let.operands]
        values[let.name] = np.broadcast_to(OPERATIONS[let.operation].meaning(*operands), shape)
    return values


def _by_output(
    program: Program, values: Mapping[str, Any], output: Any, work: Format, result: Format
) -> tuple[Floats, ...]:
    size = values[program.inputs[0]].size
    relative, rounding, constants, underflow, delivered = (np.zeros((len(program.lets), size)) for _ in range(5))
    if not isinstance(output, str):
        return relative, rounding, constants, underflow, delivered
    spacing = _spacing(values[output], result)
    # a result that overflows, or is a zero hit exactly, has no relative error
    counts = (np.abs(values[output]) <= result.max) & (values[output] != 0)
    adjoint: dict[str, Any] = {output: np.where(counts, 1.0, 0.0)}
    unit = 2.0**-work.precision
    handed_on: dict[str, Any] = {output: np.ones(size)}
    for index in range(len(program.lets) - 1, -1, -1):
        let = program.lets[index]
        if let.name not in adjoint or OPERATIONS[let.operation].yields != "float":
            continue
        towards = np.abs(adjoint[let.name]) / spacing
        relative[index] = _finite(towards * np.abs(values[let.name]) * unit)
        rounding[index] = _finite(towards * 0.5 * _spacing(values[let.name], work))
        underflow[index] = _finite(towards * (work.smallest_subnormal / 2))
        delivered[index] = handed_on.get(let.name, 0.0)
        slopes = _slopes(let, values)
        for operand, slope in zip(let.operands, slopes, strict=True):
            if slope is None:
                continue
            if isinstance(operand, str) and let.operation in EXACT and let.name in handed_on:
                handed_on[operand] = handed_on.get(operand, 0.0) + handed_on[let.name] * np.abs(slope)
            moved = _finite(np.broadcast_to(adjoint[let.name] * slope, size))
            if isinstance(operand, str):
                adjoint[operand] = adjoint.get(operand, 0.0) + moved
            elif low_part(operand):
                constants[index] += np.abs(moved) / spacing * abs(low_part(operand))
    return relative, rounding, _finite(constants), underflow, np.minimum(_finite(delivered), 1.0)


def _spacing(value: Floats, form: Format) -> Floats:
    return ulp(np.where(np.isfinite(value), value, 1.0), form)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)


def _slopes(let: Let, values: Mapping[str, Any]) -> list[Any]:
    operands = [values[operand] if isinstance(operand, str) else float(operand) for operand in let.operands]
    return _SLOPES[let.operation](values[let.name], *operands)


def _chosen(mask: Any) -> list[Any]:
    return [np.where(mask, 1.0, 0.0), np.where(mask, 0.0, 1.0)]


_SLOPES: Mapping[str, Callable[..., list[Any]]] = {
    "neg": lambda y, a: [-1.0],
    "abs": lambda y, a: [np.sign(a)],
    "add": lambda y, a, b: [1.0, 1.0],
    "sub": lambda y, a, b: [1.0, -1.0],
    "mul": lambda y, a, b: [b, a],
    "fma": lambda y, a, b, c: [b, a, 1.0],
    "div": lambda y, a, b: [1 / b, -y / b],
    "max": lambda y, a, b: _chosen(a >= b),
    "min": lambda y, a, b: _chosen(a <= b),
    "select": lambda y, mask, a, b: [None, *_chosen(mask)],
    "sqrt": lambda y, a: [0.5 / y],
    "exp": lambda y, a: [y],
    "exp_lifted": lambda y, a, lift: [y, None],
    "expm1": lambda y, a: [y + 1],
    "log": lambda y, a: [1 / a],
    "log1p": lambda y, a: [1 / (1 + a)],
    "tanh": lambda y, a: [1 - y * y],
    "sinh": lambda y, a: [np.cosh(a)],
    "cosh": lambda y, a: [np.sinh(a)],
    "sin": lambda y, a: [np.cos(a)],
    "cos": lambda y, a: [-np.sin(a)],
    "sin_shifted": lambda y, a, eighths: [np.cos(a + eighths * np.pi / 4), None],
    "atan": lambda y, a: [1 / (1 + a * a)],
    "erf": lambda y, a: [2 / np.sqrt(np.pi) * np.exp(-a * a)],
    "erfc": lambda y, a: [-2 / np.sqrt(np.pi) * np.exp(-a * a)],
    "pow": lambda y, a, b: [b * y / a, y * np.log(a)],
}
