"""NumPy: one ufunc a line over cache-sized blocks; the source is a module that needs NumPy alone."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Format
from relusym_codegen.emit import Buffers, emit
from relusym_codegen.kernel import Kernel
from relusym_codegen.program import Let, Operand, Program
from relusym_codegen.target import Header, Target, sum_format
from relusym_codegen.templates import template


def _unary(name: str) -> str:
    return f"np.{name}({{0}}, out={{out}})"


def _binary(name: str) -> str:
    return f"np.{name}({{0}}, {{1}}, out={{out}})"


_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}

ROWS: dict[str, str] = {
    "neg": _unary("negative"),
    "abs": _unary("absolute"),
    "add": _binary("add"),
    "sub": _binary("subtract"),
    "mul": _binary("multiply"),
    "div": _binary("divide"),
    "max": _binary("maximum"),
    "min": _binary("minimum"),
    "sqrt": _unary("sqrt"),
    "exp": _unary("exp"),
    "expm1": _unary("expm1"),
    "log": _unary("log"),
    "log1p": _unary("log1p"),
    "tanh": _unary("tanh"),
    "sinh": _unary("sinh"),
    "cosh": _unary("cosh"),
    "sin": _unary("sin"),
    "cos": _unary("cos"),
    "atan": _unary("arctan"),
    "pow": _binary("power"),
}


def _literal(value: float) -> str:
    if value != value:
        return "np.nan"
    if value in (float("inf"), float("-inf")):
        return "np.inf" if value > 0 else "-np.inf"
    return repr(value)


def _bits(value: float, work: Format) -> int:
    """The bit pattern of a float as a signed integer."""
    code, integer = ("<f", "<i") if work.bits == 32 else ("<d", "<q")
    return int(struct.unpack(integer, struct.pack(code, value))[0])


def _integers(place: str) -> str:
    """The integer view of a buffer, or of an input."""
    return f"i{place[1:]}" if place.startswith("b") and place[1:].isdigit() else f"{place}.view(_BITS)"


def _compare(name: str) -> Callable[[Let, Sequence[str], str], list[str]]:
    """A mask: all bits of an integer set where the comparison holds."""

    def row(let: Let, operands: Sequence[str], place: str) -> list[str]:
        return [
            f"np.{name}({operands[0]}, {operands[1]}, out=m)",
            f"np.negative(m.view(np.int8), out={_integers(place)})",
        ]

    return row


def _select(work: Format) -> Callable[[Let, Sequence[str], str], list[str]]:
    """The mask blends the bits of both operands: no branch to mispredict, discarded infinities do no harm."""

    def integer(operand: Operand, text: str) -> str:
        return _integers(text) if isinstance(operand, str) else repr(_bits(operand, work))

    def row(let: Let, operands: Sequence[str], place: str) -> list[str]:
        _, yes, no = let.operands
        mask, out = _integers(operands[0]), _integers(place)
        first, second = integer(yes, operands[1]), integer(no, operands[2])
        if not isinstance(yes, str) and not isinstance(no, str):
            difference = _bits(yes, work) ^ _bits(no, work)
            masked = f"np.bitwise_and({mask}, {difference}, out={out})"
            return [masked] if second == "0" else [masked, f"np.bitwise_xor({out}, {second}, out={out})"]
        if second == "0":
            return [f"np.bitwise_and({first}, {mask}, out={out})"]
        if first == "0":
            return [f"np.invert({mask}, out={out})", f"np.bitwise_and({second}, {out}, out={out})"]
        return [
            f"np.bitwise_xor({first}, {second}, out={out})",
            f"np.bitwise_and({out}, {mask}, out={out})",
            f"np.bitwise_xor({out}, {second}, out={out})",
        ]

    return row


def _render(header: Header, program: Program) -> str:
    work = program.work_format
    storage = Buffers()
    rows: dict[str, Any] = {**ROWS, **{key: _compare(name) for key, name in _COMPARISONS.items()}}
    rows["select"] = _select(work)
    lines, outputs = emit(
        program,
        rows=rows,
        literal=_literal,
        statement=lambda let, place, expression: expression,
        storage=storage,
    )
    lines += _deliver(lines, outputs, header.outputs, program)
    return template("numpy.jinja").render(
        header=header,
        promise=header.signature.says,
        work=work,
        sums=sum_format(header.dtype),
        compensated=header.dtype.name == "float64",
        lines=lines,
        buffers=storage.count,
        floats=_used("b", lines),
        integers=_used("i", lines),
        uses_integers=any("_BITS" in line or "out=i" in line for line in lines),
        uses_mask=any("out=m" in line for line in lines),
    )


def _used(letter: str, lines: list[str]) -> list[int]:
    """Numbers of the buffers that some line names with this letter."""
    return sorted({int(number) for line in lines for number in re.findall(rf"\b{letter}(\d+)\b", line)})


def _deliver(lines: list[str], outputs: tuple[str, ...], names: tuple[str, ...], program: Program) -> list[str]:
    """Results into the caller's arrays: the last statement writes there itself, the rest is copied."""
    if len(outputs) == 1 and lines and program.lets and program.outputs[0] == program.lets[-1].name:
        for suffix, replacement in ((f"out={outputs[0]})", f"out={names[0]})"),
                                    (f"out={_integers(outputs[0])})", f"out={names[0]}.view(_BITS))")):  # fmt: skip
            if lines[-1].endswith(suffix):
                lines[-1] = lines[-1].removesuffix(suffix) + replacement
                return []
    return [f"np.copyto({name}, {output})" for name, output in zip(names, outputs, strict=True)]


def _work_formats(form: Format, accuracy: str) -> tuple[Format, ...]:
    if form.bits == 16 or (form.name == "float32" and accuracy == "fast"):
        return (FORMATS["float32"], FORMATS["float64"])
    return (FORMATS["float64"],)


def _load(kernel: Kernel, on: str | None) -> Callable[..., Any]:
    if on not in (None, "cpu"):
        raise InvalidRequest(f"a numpy kernel runs on the cpu, not on {on!r}")
    module: dict[str, Any] = {"__name__": f"relusym_generated.{kernel.identifier}"}
    exec(compile(kernel.source, f"<{kernel.identifier}>", "exec"), module)  # the same text that is exported
    entry: Callable[..., Any] = module[kernel.computes.partition(":")[0].replace("-", "_")]
    return entry


TARGET = Target(
    name="numpy",
    dtypes=("float16", "bfloat16", "float32", "float64"),
    rows=ROWS,
    work_formats=_work_formats,
    goal=lambda form, accuracy, work: None,
    render=_render,
    load=_load,
)
