"""CUDA: one scalar device function, a vector body and a tail through it, and a CuPy launcher beside the text.

The source of a kernel is a Python module that holds the CUDA text in `SOURCE`. On a GPU it is compiled by NVRTC with
the flags it names and loaded through CuPy; `load(on="cpu")` hands the very same text to a C++ compiler, behind a
header that stands in for CUDA, so that its logic is tested where there is no GPU.
"""

from __future__ import annotations

import ctypes
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relusym.errors import InvalidRequest, Missing
from relusym.floats import FORMATS, Format, format_of
from relusym_codegen import compilers
from relusym_codegen.emit import Names, emit
from relusym_codegen.kernel import Kernel, device_text
from relusym_codegen.program import OPERATIONS, Let, Program, renamed
from relusym_codegen.signatures import Signature
from relusym_codegen.target import C_OPERATORS, Header, Target, goal_of, sum_format, wrapping
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


THREADS = 256
"""Of a block."""

CHUNK = 32
"""Elements that a thread adds up before sums are added themselves."""

_BESIDE_SIZES = (
    "const unsigned long long inner",
    "const unsigned int channels",
    "const unsigned long long inner_magic",
    "const unsigned int inner_shift",
    "const unsigned long long magic",
    "const unsigned int shift",
)
"""What says where a channel is: outer x channels x inner elements, and reciprocals."""


def _render(header: Header, program: Program) -> str:
    work, signature = program.work_format, header.signature
    scalar, stored = _TYPES[work.name], _STORED[header.dtype.name]
    half, name = header.dtype.bits == 16, header.identifier
    kinds = {"float": scalar, "mask": "bool", "int": "int" if work.bits == 32 else "long long"}
    # no other name in the text ends like this
    safe = {argument: f"{argument}_" for argument in header.arguments}
    arguments = list(safe.values())

    def statement(let: Let, place: str, expression: str) -> str:
        return f"const {kinds[OPERATIONS[let.operation].yields]} {place} = {expression};"

    def joined(*groups: Sequence[str], deeper: int = 0) -> str:
        """A list in lines that fit, the further ones indented so much."""
        listed = ", ".join(item for group in groups for item in group).replace(" ", "\0").replace(",\0", ", ")
        return textwrap.fill(
            listed, 112, subsequent_indent=" " * deeper, break_long_words=False, break_on_hyphens=False
        ).replace("\0", " ")

    lines, outputs = emit(
        renamed(program, safe), rows=ROWS[work.name], literal=_literal(work), statement=statement, storage=Names()
    )
    arrays = signature.arrays
    # a sum over rows is no result of an element
    reduced = signature.reduced
    computed = tuple(result for result in signature.results if result not in (signature.summed, *reduced))
    lines += [f"*{result} = {value};" for result, value in zip((*computed, *reduced), outputs, strict=True)]
    passed = [f"const {scalar} {argument}" for argument in arguments]
    beside = bool(arguments) and not signature.channelwise and not reduced
    sizes = ["const unsigned long long n"]
    extra: list[str] = []
    if signature.summed:
        sizes = [f"{scalar}* partial", "const unsigned long long rows", "const unsigned int channels"]
        extra = ["const unsigned long long magic", "const unsigned int shift"]
    elif reduced:
        sizes += [f"const unsigned long long {what}" for what in ("span", "pitch", "jobs", "width_magic")]
        sizes += ["const unsigned int width_shift", *_BESIDE_SIZES]
    elif signature.channelwise:
        extra = [
            "const unsigned int channels",
            "const unsigned long long wide_magic",
            "const unsigned int magic",
            "const unsigned int shift",
        ]

    def parameters(qualifier: str) -> str:
        return joined(
            [f"const {stored}*{qualifier} {array}" for array in arrays],
            [one.replace(f"{scalar} ", f"{scalar}*{qualifier} ") for one in passed] if reduced else passed,
            [f"{stored}*{qualifier} {result}" for result in computed],
            [f"{scalar}*{qualifier} {result}" for result in reduced],
            [size.replace("*", f"*{qualifier}") for size in sizes],
            extra,
            deeper=4,
        )

    def element_of(array: str) -> str:
        if array == signature.channelwise:
            place = f"{name}_channel(channel + (i << Pack::places), channels, magic, shift)"
            return f"*reinterpret_cast<const Pack*>({array} + {place})"
        return f"{array}_tile[i]"

    def strided(array: str) -> str:
        steps = [f"at{axis} * {array}_step{axis}" for axis in range(4)]
        return f"{array}[{' + '.join(steps)}]"

    def two_rows(first: int) -> str:
        left = f"left > {first} ? left - {first} : 0" if first else "left"
        places = [f"{place}_place + {first}ull * width" if first else f"{place}_place" for place in swept]
        result = f"{computed[0]}_place + {first}ull * width" if first else f"{computed[0]}_place"
        return joined(places, [f"{signature.channelwise}_pack"], arguments, [result, "width", left])

    def two_terms(first: int) -> str:
        sums = [f"{result}_{'other' if first else 'one'}" for result in reduced]
        places = [f"{name}_place + {first}ull * width" if first else f"{name}_place" for name in (*arrays, "dx")]
        passed_on = [f"{argument}here" for argument in arguments]
        return joined(places[:-1], passed_on, [places[-1], "width", "second" if first else "first"], sums)

    swept = [array for array in arrays if array != signature.channelwise]
    lanes = 16 * 8 // header.dtype.bits
    text = template("cuda.jinja").render(
        header=header,
        signature=signature,
        name=name,
        work=work,
        scalar=scalar,
        stored=stored,
        half=half,
        suffix="f" if work.name == "float32" else "",
        arrays=arrays,
        swept=swept,
        computed=computed,
        list_of_results=list(computed),
        channelwise=signature.channelwise,
        summed=signature.summed,
        lines=lines,
        lanes=lanes,
        # twice as many registers: only where there are some to spare
        widest=16 if signature.summed or reduced or header.dtype.bits == 64 else 32,
        places=lanes.bit_length() - 1,
        threads=THREADS,
        # by itself the assembler stops at 64 registers, and spills float64 programs that need a few more
        bounds=f"{THREADS}, 2" if work.name == "float64" else str(THREADS),
        depth=2 if len(swept) == 1 else 1,  # loads from far away; a bias is near
        chunk=CHUNK,
        chunk_places=CHUNK.bit_length() - 1,
        promise=signature.says,
        suffixes=[
            *("_inplace", "_any", "_fold" if signature.summed or reduced else "_strided"),
            *(("_channels", "_channels_any") if beside else ()),
        ],
        beside=beside,
        reduced=reduced,
        arguments=arguments,
        tuples={
            "arrays": repr(arrays),
            "arguments": repr(header.arguments),
            "results": repr(signature.results),
            "channelwise": repr(tuple(filter(None, (signature.channelwise, signature.summed)))),
        },
        source_of={array: element_of(array) for array in arrays},
        element_parameters=joined(
            [f"const {scalar} {array}" for array in arrays],
            passed,
            [f"{scalar}* {result}" for result in (*computed, *reduced)],
        ),
        apply_parameters=joined(
            [f"const {stored} {array}" for array in arrays],
            passed,
            [f"{stored}* {result}" for result in computed],
            [f"{scalar}* term"] if signature.summed else [f"{scalar}* {result}_term" for result in reduced],
        ),
        element_operands=joined(
            [f"{name}_widen({array})" if half else array for array in arrays],
            arguments,
            [f"&{result}_work" for result in (*computed, *reduced)],
        ),
        pack_parameters=joined(
            [f"const Pack& {array}_pack" for array in arrays], passed, [f"Pack* {result}" for result in computed]
        ),
        lane_operands=joined(
            [f"{array}_pack.lane[k]" for array in arrays],
            arguments,
            [f"&{result}_pack.lane[k]" for result in computed],
        ),
        deep_operands=joined(
            [f"{array}_pack[u]" for array in arrays], arguments, [f"{result}_tile + i" for result in computed]
        ),
        shallow_operands=joined(
            [f"{array}_pack" for array in arrays], arguments, [f"{result}_tile + i" for result in computed]
        ),
        last_operands=joined(
            [f"{array}[last]" for array in arrays], arguments, [f"&{result}[last]" for result in computed]
        ),
        row_operands=joined(
            [
                f"{array}_pack.lane[k]" if array == signature.channelwise else f"{array}_pack[u].lane[k]"
                for array in arrays
            ],
            arguments,
            [f"&{result}_pack.lane[k]" for result in computed],
            ["&term"],
        ),
        two_rows_parameters=joined(
            [f"const Pack* {array}" for array in swept],
            [f"const Pack& {signature.channelwise}_pack"],
            passed,
            [f"Pack* {computed[0]}", "const unsigned int width", "const unsigned int left"],
            [f"{scalar} (&sum)[Pack::lanes]"],
        ),
        first_rows=two_rows(0),
        second_rows=two_rows(2),
        kernel_parameters=parameters(""),
        restrict_parameters=parameters(" __restrict__"),
        kernel_operands=joined(
            arrays,
            arguments,
            computed,
            reduced,
            [size.split()[-1] for size in (*sizes, *extra)],
        ),
        beside_parameters=joined(
            [f"const {stored}* {array}" for array in arrays],
            [f"const {scalar}* {argument}" for argument in arguments],
            [f"{stored}* {result}" for result in computed],
            ["const unsigned long long n", *_BESIDE_SIZES],
            deeper=4,
        ),
        beside_names=joined(arrays, arguments, computed, ["n"], [size.split()[-1] for size in _BESIDE_SIZES]),
        beside_operands=joined(
            [f"{array}_pack.lane[k]" for array in arrays],
            [f"{argument}[channel]" for argument in arguments],
            [f"&{result}_pack.lane[k]" for result in computed],
        ),
        beside_last=joined(
            [f"{array}[last]" for array in arrays],
            [f"{argument}[channel]" for argument in arguments],
            [f"&{result}[last]" for result in computed],
        ),
        two_terms_parameters=joined(
            [f"const Pack* {array}" for array in arrays],
            [f"const {scalar} (&{argument}here)[Pack::lanes]" for argument in arguments],
            ["Pack* dx", "const unsigned long long width", "const unsigned int left"],
            [f"{scalar} (&{result}_sum)[Pack::lanes]" for result in reduced],
            deeper=4,
        ),
        two_terms_operands=joined(
            [f"{array}_pack[u].lane[k]" for array in arrays],
            [f"{argument}here[k]" for argument in arguments],
            ["&dx_pack.lane[k]", *(f"&{result}_term" for result in reduced)],
        ),
        first_terms=two_terms(0),
        second_terms=two_terms(2),
        strided_parameters=joined(
            [f"const {stored}* {array}" for array in arrays],
            passed,
            [f"{stored}* {result}" for result in computed],
            ["const unsigned int n"],
            [f"const unsigned int {what}{axis}" for axis in (1, 2, 3) for what in ("size", "magic", "shift")],
            [f"const long long {array}_step{axis}" for array in (*arrays, *computed) for axis in range(4)],
            deeper=4,
        ),
        strided_operands=joined(
            [strided(array) for array in arrays],
            arguments,
            ["&" + strided(result) for result in computed],
            deeper=12,
        ),
    )
    assert not slow_operations(device_text(text))
    return text


def slow_operations(text: str) -> list[str]:
    """Divisions, remainders and square roots in CUDA text, comments aside: each would be a call of a hundred steps."""
    return re.findall(r"[/%]|\b\w*sqrt\w*\b", bare(text))


def bare(text: str) -> str:
    """CUDA text without its comments and strings."""
    return re.sub(r'//.*|/\*[\s\S]*?\*/|"[^"\n]*"', "", text)


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
    module = _module(kernel)
    module["cubin"] = functools.partial(_kept_cubin, kernel, module["cubin"])
    entry: Callable[..., Any] = module[_entry(kernel)]
    return entry


def _entry(kernel: Kernel) -> str:
    """The function of the exported module that a user calls."""
    return kernel.computes.partition(":")[0].replace("-", "_")


def _kept_cubin(kernel: Kernel, compile_: Callable[[str], bytes], capability: str) -> bytes:
    """What the exported module compiles, from the cache of compiled kernels where it is there."""
    from cupy.cuda import nvrtc

    options = _module(kernel)["OPTIONS"]
    identity = (kernel.device_source, *options, str(nvrtc.getVersion()), capability)
    return compilers.kept(identity, ".cubin", lambda: compile_(capability))


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

BLOCKS_ON_CPU = 3
"""Blocks of a launch on the CPU: few, so that their loops over tiles turn more than once."""

_ENTRY = re.compile(r'extern "C" __global__ void __launch_bounds__\([^)]*\) (\w+)\(([^)]*)\)')


def unit(kernels: Sequence[Kernel]) -> str:
    """The CUDA texts of several kernels as one C++ translation unit.

    For each kernel NAME in a text it defines `run_NAME`, with the same parameters and the number of blocks after them.
    """
    texts = {kernel.identifier: kernel.device_source for kernel in kernels}
    return template("cuda_unit.jinja").render(
        shim=Path(__file__).with_name("cuda_shim.h").read_text(encoding="utf-8"),
        texts=texts.values(),
        threads=THREADS,
        entries=[
            (name, " ".join(given.split()), [parameter.split()[-1] for parameter in given.split(",")])
            for text in texts.values()
            for name, given in entries(text)
        ],
    )


def entries(text: str) -> list[tuple[str, str]]:
    """(name, parameters) of the kernels in a CUDA text, in order."""
    return [(match[1], match[2]) for match in _ENTRY.finditer(text)]


def load_on_cpu(kernels: Sequence[Kernel]) -> list[Callable[..., Any]]:
    """The CUDA texts of several kernels, compiled as one C++ translation unit; NumPy arrays in and out.

    What is launched on which arguments is decided by the exported module itself, as on a GPU. Raises `Missing` where
    there is no C++ compiler.
    """
    loaded = compilers.library(unit(kernels), flags=FLAGS, language="c++", tuned=False, keep=False)
    return [_bound(loaded, kernel) for kernel in kernels]


_C_TYPES = {
    np.uint32: ctypes.c_uint32,
    np.uint64: ctypes.c_uint64,
    np.int64: ctypes.c_int64,
    np.float32: ctypes.c_float,
    np.float64: ctypes.c_double,
}


def run_on_cpu(loaded: ctypes.CDLL, name: str, blocks: int, operands: Sequence[Any]) -> None:
    """One launch, its blocks and threads one after the other."""
    function = loaded[f"run_{name}"]
    function.restype = None
    typed = [_C_TYPES[type(operand)](operand) for operand in operands]
    function(*typed, ctypes.c_uint(min(blocks, BLOCKS_ON_CPU)))


def _bound(loaded: ctypes.CDLL, kernel: Kernel) -> Callable[..., Any]:
    """The kernel as a function of NumPy arrays: what the exported module would launch, run on the CPU."""
    form, module, signature = format_of(kernel.dtype), _module(kernel), kernel.signature
    if signature.reduced:
        return _summing(loaded, module, kernel)
    parameters = inspect.signature(module[_entry(kernel)])

    def call(*operands: Any, **named: Any) -> Any:
        given = parameters.bind(*operands, **named).arguments
        arrays = {name: np.asarray(given[name]) for name in signature.arrays}
        arguments = [given[name] for name in kernel.arguments]
        for name, array in arrays.items():
            if array.dtype != form.dtype:
                raise TypeError(f"{name} is {array.dtype}; this kernel is for {form.name}")
        shape = arrays[signature.point].shape
        if signature.channelwise and not shape:
            raise ValueError(f"{kernel.identifier}: a single number has no last axis")
        shapes = {
            name: shape[-1:] if name in (signature.channelwise, signature.summed) else shape
            for name in (*signature.arrays, *signature.results)
        }
        out, names = given.get("out"), signature.results
        outs = [out] if len(names) == 1 else [None] * len(names) if out is None else list(out)
        if len(outs) != len(names):
            raise ValueError(f"{kernel.identifier} fills {', '.join(names)}, but out has {len(outs)}")
        results = {
            name: np.empty(shapes[name], form.dtype) if array is None else _to_be_filled(array, name, form)
            for name, array in zip(names, outs, strict=True)
        }
        for name, array in (*arrays.items(), *results.items()):
            if array.shape != shapes[name]:
                raise ValueError(
                    f"{name} has shape {array.shape}; beside {signature.point} it should be {shapes[name]}"
                )
        if any(np.ndim(argument) for argument in arguments):
            if signature.channelwise:
                raise ValueError(f"{kernel.identifier} takes one number for each of {', '.join(kernel.arguments)}")
            given_values = [(name, np.asarray(given[name], module["_SCALAR"])) for name in kernel.arguments]
            _run_beside(loaded, module, shape, list(arrays.values()), list(results.values()), given_values)
        else:
            _run(loaded, module, shape, list(arrays.values()), list(results.values()), arguments, signature)
        finished = tuple(array[()] if out is None else array for array in results.values())
        return finished if len(finished) > 1 else finished[0]

    return call


def _summing(loaded: ctypes.CDLL, module: dict[str, Any], kernel: Kernel) -> Callable[..., Any]:
    """A kernel that sums the gradients of parameters, as a function of NumPy arrays."""
    form, signature, scalar = format_of(kernel.dtype), kernel.signature, module["_SCALAR"]
    sums = sum_format(form)
    parameters = inspect.signature(module[_entry(kernel)])

    def call(*operands: Any, **named: Any) -> Any:
        given = parameters.bind(*operands, **named).arguments
        arrays = [np.asarray(given[name]) for name in signature.arrays]
        for name, array in zip(signature.arrays, arrays, strict=True):
            if array.dtype != form.dtype:
                raise TypeError(f"{name} is {array.dtype}; this kernel is for {form.name}")
            if array.shape != arrays[-1].shape:
                raise ValueError(f"{name} has shape {array.shape}; beside x it should be {arrays[-1].shape}")
        shape = arrays[-1].shape
        values = [(name, np.asarray(given[name], scalar)) for name in kernel.arguments]
        sizes, vectors, varies = module["_values"](np, values, shape)
        shapes = [shape, *(value.shape for _, value in values)]
        formats = [form, *(sums for _ in values)]
        outs = given.get("out") or [None] * len(shapes)
        if len(outs) != len(shapes):
            raise ValueError(f"{kernel.identifier} fills {', '.join(signature.results)}, but out has {len(outs)}")
        results = [
            np.empty(size, kind.dtype) if out is None else _to_be_filled(out, name, kind)
            for name, out, size, kind in zip(signature.results, outs, shapes, formats, strict=True)
        ]
        for name, array, size in zip(signature.results, results, shapes, strict=True):
            if array.shape != size:
                raise ValueError(f"out ({name}) has shape {array.shape}; it should be {size}")
        packed = [np.require(array, requirements=["C", "A"]) for array in arrays]
        filled = [array if array.flags.carray else np.empty(array.shape, array.dtype) for array in results]
        scratch = np.empty(module["workspace"](sizes, varies) + 16, np.uint8)
        places = [[array.ctypes.data for array in some] for some in (packed, filled, vectors)]
        room = -(-scratch.ctypes.data // 16) * 16
        for step in module["launches"](places[0], places[1], sizes, places[2], varies=varies, scratch=room):
            run_on_cpu(loaded, *step)
        for array, result in zip(results, filled, strict=True):
            if array is not result:
                array[...] = result
        return tuple(results)

    return call


def _run_beside(
    loaded: ctypes.CDLL,
    module: dict[str, Any],
    shape: tuple[int, ...],
    arrays: list[Any],
    results: list[Any],
    values: list[tuple[str, Any]],
) -> None:
    """One call with a value of some parameter for each channel; arrays that do not lie side by side are copied."""
    sizes, vectors, _ = module["_values"](np, values, shape)
    packed = [np.require(array, requirements=["C", "A"]) for array in arrays]
    filled = [array if array.flags.carray else np.empty(shape, array.dtype) for array in results]
    places = [[array.ctypes.data for array in some] for some in (packed, filled, vectors)]
    step = module["channel_launch"](places[0], places[1], sizes, places[2])
    if step is not None:
        run_on_cpu(loaded, *step)
    for array, result in zip(results, filled, strict=True):
        if array is not result:
            array[...] = result


def _to_be_filled(out: Any, name: str, form: Format) -> np.ndarray[Any, Any]:
    """`out`, where a result may be written to it."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out ({name}) must be a NumPy array, not {type(out).__name__}")
    if out.dtype != form.dtype:
        raise TypeError(f"out ({name}) is {out.dtype}; this kernel is for {form.name}")
    if not out.flags.writeable:
        raise ValueError(f"out ({name}) is read-only; give memory that may be written, or a copy")
    return out


def _run(
    loaded: ctypes.CDLL,
    module: dict[str, Any],
    shape: tuple[int, ...],
    arrays: list[Any],
    results: list[Any],
    arguments: list[float],
    signature: Signature,
) -> None:
    """All launches of one call; arrays that even a strided kernel cannot take are copied, as on a GPU."""
    if not all(array.flags.c_contiguous and array.flags.aligned for array in (*arrays, *results)):
        step = module["strided_launch"](
            shape,
            [(array.ctypes.data, module["_steps"](array, shape)) for array in arrays],
            [(array.ctypes.data, module["_steps"](array, shape)) for array in results],
            arguments,
        )
        if step:
            run_on_cpu(loaded, *step)
            return
        arrays = [np.require(array, requirements=["C", "A"]) for array in arrays]
        fresh = [np.empty(array.shape, array.dtype) for array in results]
        _run(loaded, module, shape, arrays, fresh, arguments, signature)
        for array, result in zip(results, fresh, strict=True):
            array[...] = result
        return
    n, channels = int(np.prod(shape, dtype=np.int64)), shape[-1] if signature.channelwise else 1
    scratch = np.empty(module["workspace"](n, channels), np.uint8)
    for step in module["launches"](
        [array.ctypes.data for array in arrays],
        [array.ctypes.data for array in results],
        n,
        arguments=arguments,
        channels=channels,
        scratch=scratch.ctypes.data,
    ):
        run_on_cpu(loaded, *step)


TARGET = Target(
    name="cuda",
    dtypes=("float16", "bfloat16", "float32", "float64"),
    rows=ROWS,
    work_formats=_work_formats,
    goal=goal_of,
    render=_render,
    load=_load,
    sums_rows=True,
)
