"""CUDA: one scalar device function, a vector body and a tail through it, and a CuPy launcher beside the text.

The source of a kernel is a Python module that holds the CUDA text in `SOURCE`. On a GPU it is compiled by NVRTC with
the flags it names and loaded through CuPy; `load(on="cpu")` hands the very same text to a C++ compiler, behind a
header that stands in for CUDA, so that its logic is tested where there is no GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relusym.errors import InvalidRequest, Missing
from relusym.floats import FORMATS, Format, format_of
from relusym_codegen import compilers
from relusym_codegen.emit import Names, emit
from relusym_codegen.kernel import Kernel
from relusym_codegen.program import OPERATIONS, Let, Program
from relusym_codegen.target import C_OPERATORS, Header, Target, goal_of, wrapping
from relusym_codegen.templates import template

_LIBRARY = ("sinh", "cosh", "atan")
"""Functions without a core, left to CUDA's library."""


ROWS: dict[str, dict[str, str]] = {
    "float32": {
        **C_OPERATORS,
        "abs": "fabsf({0})",
        **wrapping("int", "unsigned int"),
        **{name: f"{name}f({{0}})" for name in _LIBRARY},
        "pow": "powf({0}, {1})",
        "fma": "__fmaf_rn({0}, {1}, {2})",
        "bits": "__float_as_int({0})",
        "from_bits": "__int_as_float({0})",
    },
    "float64": {
        **C_OPERATORS,
        "abs": "fabs({0})",
        **wrapping("long long", "unsigned long long"),
        **{name: f"{name}({{0}})" for name in _LIBRARY},
        "pow": "pow({0}, {1})",
        "fma": "__fma_rn({0}, {1}, {2})",
        "bits": "__double_as_longlong({0})",
        "from_bits": "__longlong_as_double({0})",
    },
}
"""By work format: a float32 program must not hold one double."""

_TYPES = {"float32": "float", "float64": "double"}
_STORED = {"float16": "unsigned short", "bfloat16": "unsigned short", "float32": "float", "float64": "double"}


def _literal(work: Format) -> Callable[[float], str]:
    """Typed decimal literals that read back to the same float; infinities and NaN by their bits."""

    def text(value: float) -> str:
        single = work.name == "float32"
        if isinstance(value, int):
            digits = str(value) if single else f"{value}ll"
            if value == -(2 ** (work.bits - 1)):
                digits = f"({value + 1}{'' if single else 'll'} - 1)"
            return f"({digits})" if value < 0 else digits
        if value != value:
            return "__int_as_float(0x7fc00000)" if single else "__longlong_as_double(0x7ff8000000000000ll)"
        if abs(value) == float("inf"):
            infinity = "__int_as_float(0x7f800000)" if single else "__longlong_as_double(0x7ff0000000000000ll)"
            return infinity if value > 0 else f"(-{infinity})"
        digits = f"{value:.9g}" if single else repr(value)
        if not any(mark in digits for mark in ".e"):
            digits += ".0"
        digits += "f" if single else ""
        return f"({digits})" if value < 0 else digits

    return text


def _render(header: Header, program: Program) -> str:
    work = program.work_format
    scalar = _TYPES[work.name]

    kinds = {"float": scalar, "mask": "bool", "int": "int" if work.bits == 32 else "long long"}

    def statement(let: Let, place: str, expression: str) -> str:
        return f"const {kinds[OPERATIONS[let.operation].yields]} {place} = {expression};"

    lines, outputs = emit(program, rows=ROWS[work.name], literal=_literal(work), statement=statement, storage=Names())
    lines += [f"*{name} = {value};" for name, value in zip(header.outputs, outputs, strict=True)]
    stored, half = _STORED[header.dtype.name], header.dtype.bits == 16
    arrays = [name for name in header.inputs if name not in header.arguments]
    passed = [f"const {scalar} {name}" for name in header.arguments]
    widened = [f"{header.identifier}_widen({name})" if half else name for name in arrays]

    def joined(*groups: Sequence[str]) -> str:
        return ", ".join(item for group in groups for item in group)

    return template("cuda.jinja").render(
        header=header,
        work=work,
        scalar=scalar,
        stored=stored,
        half=half,
        arrays=arrays,
        lines=lines,
        lanes=16 * 8 // header.dtype.bits,
        element_parameters=joined(
            [f"const {scalar} {name}" for name in arrays],
            passed,
            [f"{scalar}* {name}" for name in header.outputs],
        ),
        apply_parameters=joined(
            [f"const {stored} {name}" for name in arrays],
            passed,
            [f"{stored}* {name}" for name in header.outputs],
        ),
        kernel_parameters=joined(
            [f"const {stored}* {name}" for name in arrays],
            passed,
            [f"{stored}* {name}" for name in header.outputs],
            ["const unsigned long long n", "const int aligned"],
        ),
        element_operands=joined(widened, header.arguments, [f"&{name}_work" for name in header.outputs]),
        lane_operands=joined(
            [f"{name}_pack.lane[k]" for name in arrays],
            header.arguments,
            [f"&{name}_pack.lane[k]" for name in header.outputs],
        ),
        tail_operands=joined(
            [f"{name}[i]" for name in arrays], header.arguments, [f"&{name}[i]" for name in header.outputs]
        ),
    )


def _work_formats(form: Format, accuracy: str) -> tuple[Format, ...]:
    return (FORMATS["float64" if form.name == "float64" else "float32"],)


def _load(kernel: Kernel, on: str | None) -> Callable[..., Any]:
    if on == "cpu":
        return load_on_cpu([kernel])[0]
    if on not in (None, "gpu"):
        raise InvalidRequest(f"a cuda kernel runs on the gpu or, for its logic, on the cpu; not on {on!r}")
    lack = gpu_missing()
    if lack is not None:
        raise Missing(f"{lack}; kernel.load(on='cpu') runs the same text through a C++ compiler, to test its logic")
    entry: Callable[..., Any] = _module(kernel)[kernel.computes.partition(":")[0].replace("-", "_")]
    return entry


def gpu_missing() -> str | None:
    """Why no GPU kernel can run here, or None where one can."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed (pip install 'relusym[cuda12]' or 'relusym[cuda13]')"
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no CUDA device ({error})"
    return None if found else "CuPy finds no CUDA device"


def _module(kernel: Kernel) -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": f"relusym_generated.{kernel.identifier}"}
    exec(compile(kernel.source, f"<{kernel.identifier}>", "exec"), module)  # the same text that is exported
    return module


FLAGS = ("-std=gnu++17", "-O1", "-ffp-contract=off", "-fno-fast-math", "-w")
"""No contraction and no fast-math: the arithmetic of the text is the arithmetic that runs."""


def load_on_cpu(kernels: Sequence[Kernel]) -> list[Callable[..., Any]]:
    """The CUDA texts of several kernels, compiled as one C++ translation unit; NumPy arrays in and out.

    Raises `Missing` where there is no C++ compiler.
    """
    unit = template("cuda_unit.jinja").render(
        shim=Path(__file__).with_name("cuda_shim.h").read_text(encoding="utf-8"),
        kernels=[(kernel, kernel.device_source, _parameters(kernel)) for kernel in kernels],
    )
    loaded = compilers.library(unit, flags=FLAGS, language="c++", tuned=False, keep=False)
    return [_bound(loaded, kernel) for kernel in kernels]


def _parameters(kernel: Kernel) -> list[tuple[str, str]]:
    """(C type, name) of every parameter of a kernel, as the template declares them."""
    stored, work = _STORED[kernel.dtype], _TYPES[kernel.work_format.name]
    return [
        *((f"const {stored}*", name) for name in _arrays(kernel)),
        *((f"const {work}", name) for name in kernel.arguments),
        *((f"{stored}*", name) for name in _results(kernel)),
        ("const unsigned long long", "n"),
        ("const int", "aligned"),
    ]


def _arrays(kernel: Kernel) -> tuple[str, ...]:
    return ("grad", "x") if kernel.computes.startswith(("backward", "parameter-gradient")) else ("x",)


def _results(kernel: Kernel) -> tuple[str, ...]:
    return ("y", "dy") if kernel.computes == "forward-derivative" else ("y",)


def _bound(loaded: ctypes.CDLL, kernel: Kernel) -> Callable[..., Any]:
    form = format_of(kernel.dtype)
    scalar = ctypes.c_float if kernel.work_format.name == "float32" else ctypes.c_double
    function = loaded[f"run_{kernel.identifier}"]
    function.restype = None
    arrays, results = _arrays(kernel), _results(kernel)

    def call(*operands: Any, out: Any = None, **named: float) -> Any:
        given = dict(zip((*arrays, *kernel.arguments), operands, strict=False)) | named
        inputs = [np.asarray(given[name]) for name in arrays]
        for name, array in zip(arrays, inputs, strict=True):
            if array.dtype != form.dtype:
                raise TypeError(f"{name} is {array.dtype}; this kernel is for {form.name}")
        shape = np.broadcast_shapes(*(array.shape for array in inputs))
        packed = [np.ascontiguousarray(np.broadcast_to(array, shape)) for array in inputs]
        fresh = [np.empty(shape, form.dtype) for _ in results]
        pointers = [array.ctypes.data for array in (*packed, *fresh)]
        aligned = all(pointer % 16 == 0 for pointer in pointers)
        function(
            *(ctypes.c_void_p(pointer) for pointer in pointers[: len(packed)]),
            *(scalar(given[name]) for name in kernel.arguments),
            *(ctypes.c_void_p(pointer) for pointer in pointers[len(packed) :]),
            ctypes.c_ulonglong(int(np.prod(shape, dtype=np.int64))),
            ctypes.c_int(aligned),
        )
        targets = [None] * len(results) if out is None else list(out) if len(results) > 1 else [out]
        for target, result in zip(targets, fresh, strict=True):
            if target is not None:
                target[...] = result
        finished = tuple(result if target is None else target for target, result in zip(targets, fresh, strict=True))
        return finished if len(finished) > 1 else finished[0]

    return call


TARGET = Target(
    name="cuda",
    dtypes=("float16", "bfloat16", "float32", "float64"),
    rows=ROWS,
    work_formats=_work_formats,
    goal=goal_of,
    render=_render,
    load=_load,
)
