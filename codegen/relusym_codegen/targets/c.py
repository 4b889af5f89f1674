"""C99: one scalar element function, vectorised by the compiler, threads by OpenMP; the text stands alone.

What is exported is what is loaded: the text goes through the system's C compiler into a shared object.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Format, format_of
from relusym_codegen import compilers
from relusym_codegen.broadcasting import folded, grid_of, refuse_misfit, values_of
from relusym_codegen.emit import Names, emit
from relusym_codegen.kernel import Kernel
from relusym_codegen.program import OPERATIONS, Let, Program, renamed
from relusym_codegen.target import C_OPERATORS, Header, Target, goal_on_cpu, sum_format, wrapping
from relusym_codegen.templates import template

_LIBRARY = {
    "abs": "fabs",
    "sqrt": "sqrt",
    "exp": "exp",
    "expm1": "expm1",
    "log": "log",
    "log1p": "log1p",
    "tanh": "tanh",
    "sinh": "sinh",
    "cosh": "cosh",
    "sin": "sin",
    "cos": "cos",
    "atan": "atan",
    "erf": "erf",
    "erfc": "erfc",
}


def _rows(bits: int, suffix: str) -> dict[str, str]:
    return {
        **C_OPERATORS,
        "div": "{0} / {1}",
        **{operation: f"{name}{suffix}({{0}})" for operation, name in _LIBRARY.items()},
        "pow": f"pow{suffix}({{0}}, {{1}})",
        "fma": f"fma{suffix}({{0}}, {{1}}, {{2}})",
        "bits": f"relusym_bits{bits}({{0}})",
        "from_bits": f"relusym_from_bits{bits}({{0}})",
        **wrapping(f"int{bits}_t", f"uint{bits}_t"),
    }


ROWS: dict[str, dict[str, str]] = {"float32": _rows(32, "f"), "float64": _rows(64, "")}
"""By work format: a float32 program must not hold one double."""

_TYPES = {"float32": "float", "float64": "double"}
_STORED = {"float16": "uint16_t", "bfloat16": "uint16_t", "float32": "float", "float64": "double"}

FLAGS = ("-std=c99", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
"""None changes a value: no contraction, and leave to compute what is not used in the end."""

THREADS_ABOVE = 65536
"""Elements from which threads pay."""

_TAKEN = {
    *(name + suffix for name in (*_LIBRARY.values(), "pow", "fma") for suffix in ("", "f")),
    *("NAN", "INFINITY", "inline", "restrict", "parts", "part", "linux", "unix"),
    *("outer", "channels", "inner", "workspace", "along", "pieces", "columns", "blocks", "count", "jobs", "job"),
    *("at", "rows", "width", "channel", "within", "skipped", "pitch", "together", "row", "place", "taken"),
}
"""Names that the text needs for something else."""


def _literal(work: Format) -> Callable[[float], str]:
    """Hexadecimal literals, which hold a float exactly; integers in decimal."""

    def text(value: float) -> str:
        if isinstance(value, int):
            smallest = -(2 ** (work.bits - 1))
            if value == smallest:
                return f"INT{work.bits}_MIN"
            digits = f"INT{work.bits}_C({abs(value)})"
        elif value != value:
            return "NAN"
        elif abs(value) == float("inf"):
            digits = "INFINITY"
        else:
            mantissa, exponent = abs(value).hex().split("p")
            digits = f"{mantissa.rstrip('0').rstrip('.')}p{exponent}" if "." in mantissa else f"{mantissa}p{exponent}"
            digits += "f" if work.name == "float32" else ""
        return f"(-{digits})" if str(value).startswith("-") else digits

    return text


def _render(header: Header, program: Program) -> str:
    work, half = program.work_format, header.dtype.bits == 16
    scalar, stored = _TYPES[work.name], _STORED[header.dtype.name]
    safe = {name: f"{name}_" if name in _TAKEN else name for name in header.arguments}
    arrays = [name for name in header.inputs if name not in header.arguments]
    arguments, outputs = list(safe.values()), list(header.outputs)
    kinds = {"float": scalar, "mask": "int", "int": f"int{work.bits}_t"}

    def statement(let: Let, place: str, expression: str) -> str:
        return f"const {kinds[OPERATIONS[let.operation].yields]} {place} = {expression};"

    lines, results = emit(
        renamed(program, safe), rows=ROWS[work.name], literal=_literal(work), statement=statement, storage=Names()
    )
    used = {operand for let in program.lets for operand in let.operands} | set(program.outputs)
    ignored = [f"(void){safe.get(name, name)};" for name in header.inputs if name not in used]
    lines = [*ignored, *lines, *(f"*{name} = {value};" for name, value in zip(outputs, results, strict=True))]
    widened, narrowed = "%s", "%s"
    if half:
        widened = f"relusym_{header.dtype.name}_to_{work.name}(%s)"
        narrowed = f"relusym_{work.name}_to_{header.dtype.name}(%s)"
    elif stored != scalar:
        widened, narrowed = f"({scalar})%s", f"({stored})%s"
    listed = [*((stored, name) for name in arrays), *((scalar, name) for name in arguments)]

    def joined(*groups: Sequence[str]) -> str:
        return ", ".join(item for group in groups for item in group)

    pointers = [f"const {stored} *{name}" for name in arrays]
    written = [f"{stored} *{name}" for name in outputs]
    addresses = [f"&{name}_work" for name in outputs]
    return template("c.jinja").render(
        header=header,
        work=work,
        scalar=scalar,
        stored=stored,
        half=half,
        arrays=arrays,
        lines=lines,
        flags="cc " + " ".join(FLAGS),
        threshold=f"{THREADS_ABOVE:,}",
        threshold_literal=THREADS_ABOVE,
        promise=_promise(header),
        helpers=_helpers(header, work, lines, arguments),
        narrowed=narrowed,
        taken=listed,
        part_arrays=[(stored, [*arrays, *outputs]), *([(scalar, arguments)] if arguments else [])],
        element_parameters=joined(
            [f"const {scalar} {name}" for name in (*arrays, *arguments)], [f"{scalar} *{name}" for name in outputs]
        ),
        parameters=joined(pointers, [f"{scalar} {name}" for name in arguments], written, ["size_t n"]),
        array_parameters=joined(pointers, [f"const {scalar} *{name}" for name in arguments], written, ["size_t n"]),
        strided_parameters=joined(
            [f"const void *{name}, ptrdiff_t {name}_step" for name in (*arrays, *arguments)],
            [f"void *{name}, ptrdiff_t {name}_step" for name in outputs],
            ["size_t n"],
        ),
        operands=joined([widened % f"{name}[i]" for name in arrays], arguments, addresses),
        array_operands=joined(
            [widened % f"{name}[i]" for name in arrays], [f"{name}[i]" for name in arguments], addresses
        ),
        whole_operands=joined(arrays, arguments, outputs),
        part_operands=joined(
            [f"{name} + first" for name in arrays], arguments, [f"{name} + first" for name in outputs]
        ),
        packed_operands=joined([f"{name}_part" for name in (*arrays, *arguments, *outputs)]),
        **(_sums(header, work, arguments) if header.signature.reduced else {}),
    )


LANES = 256
"""Sums that are added to side by side, and rows that one sum takes before sums are added themselves."""

PIECE = 16384
"""Elements of a long run that are summed in one go."""


def _sums(header: Header, work: Format, arguments: Sequence[str]) -> dict[str, Any]:
    """What the template of summed gradients takes beside that of elements."""
    scalar, stored = _TYPES[work.name], _STORED[header.dtype.name]
    arrays, reduced, sums = header.signature.arrays, header.signature.reduced, _STORED[sum_format(header.dtype).name]
    passed = [f"const {scalar} *{name}" for name in arguments]
    lanes, piece = (f"{header.identifier}_{word}".upper() for word in ("lanes", "piece"))
    given = [*(f"const {stored} *{name}" for name in arrays), *passed, f"{stored} *dx"]
    return {
        "name": header.identifier,
        "reduced": reduced,
        "arguments": arguments,
        "manner": _manner(header.dtype),
        "sum_type": sums,
        "lanes": lanes,
        "lane_count": LANES,
        "piece": piece,
        "piece_count": PIECE,
        "row_parameters": ", ".join([*given, *(f"double *{name}_sums" for name in reduced), "size_t n"]),
        "row_operands": ", ".join(
            [
                *(f"{name} + place" for name in arrays),
                *(f"{name}_here" for name in arguments),
                "dx + place",
                *(f"{name}_here" for name in reduced),
            ]
        ),
        "declared": ", ".join([*given, *(f"{sums} *{name}" for name in reduced)]),
    }


def _manner(form: Format) -> str:
    """How terms are added: in double, and where results are doubles themselves with what each addition misses."""
    return "exactly" if form.name == "float64" else "plainly"


def _promise(header: Header) -> str:
    if header.entry == "forward_derivative":
        return "y = f(x) and dy = f'(x)"
    return f"{header.outputs[0]} = {header.signature.says}"


def _helpers(header: Header, work: Format, lines: Sequence[str], arguments: Sequence[str]) -> list[tuple[str, str]]:
    """(name, text) of the functions that the text calls."""
    code, form = "\n".join(lines), header.dtype
    widths = {bits for bits in (32, 64) if f"bits{bits}(" in code} | ({work.bits} if form.bits == 16 else set())
    found = [(f"bits{bits}", _bits(bits)) for bits in sorted(widths)]
    if form.bits == 16:
        found += [(f"{form.name}_{work.name}", _conversions(form, work))]
    if header.signature.reduced:
        return [*found, (f"add_{_manner(form)}", _adding(_manner(form))), ("total", _TOTAL)]
    kinds = {_STORED[form.name], *([_TYPES[work.name]] if arguments else [])}
    found += [(f"take_{kind}", _take(kind)) for kind in sorted(kinds)]
    return [*found, (f"put_{_STORED[form.name]}", _put(_STORED[form.name]))]


_ADDITIONS = {
    "plainly": """\
    (void)missed;
    *sum += term;""",
    "exactly": """\
    // the sum of two doubles and what its rounding missed are two doubles
    const double total = *sum + term, back = total - *sum;
    *missed += (*sum - (total - back)) + (term - back);
    *sum = total;""",
}


def _adding(manner: str) -> str:
    return f"""\
static inline void relusym_add_{manner}(double *sum, double *missed, const double term)
{{
{_ADDITIONS[manner]}
}}

// All rows to the first one: the second half is added to the first until one is left.
static void relusym_fold_{manner}(double *sums, double *missed, size_t rows, size_t width)
{{
    while (rows > 1) {{
        const size_t half = rows - rows / 2, n = (rows - half) * width;
        RELUSYM_VECTORIZE
        for (size_t k = 0; k < n; ++k) {{
            relusym_add_{manner}(sums + k, missed + k, sums[half * width + k]);
            missed[k] += missed[half * width + k];
        }}
        rows = half;
    }}
}}"""


_TOTAL = """\
// A sum with what it missed, unless that is no number because the sum is infinite.
static inline double relusym_total(double sum, double missed)
{
    const double total = sum + missed;
    return total - total == 0.0 ? total : sum;
}"""


def _bits(bits: int) -> str:
    real = {32: "float", 64: "double"}[bits]
    return f"""\
static inline int{bits}_t relusym_bits{bits}(const {real} value)
{{
    int{bits}_t pattern;
    memcpy(&pattern, &value, sizeof pattern);
    return pattern;
}}

static inline {real} relusym_from_bits{bits}(const int{bits}_t pattern)
{{
    {real} value;
    memcpy(&value, &pattern, sizeof value);
    return value;
}}"""


def _take(kind: str) -> str:
    return f"""\
static void relusym_take_{kind}({kind} *to, const void *from, size_t first, ptrdiff_t step, size_t m)
{{
    const char *place = (const char *)from + (ptrdiff_t)first * step;
    if (step == (ptrdiff_t)sizeof *to)
        memcpy(to, place, m * sizeof *to);
    else
        for (size_t k = 0; k < m; ++k)
            memcpy(to + k, place + (ptrdiff_t)k * step, sizeof *to);
}}"""


def _put(kind: str) -> str:
    return f"""\
static void relusym_put_{kind}(void *to, const {kind} *from, size_t first, ptrdiff_t step, size_t m)
{{
    char *place = (char *)to + (ptrdiff_t)first * step;
    if (step == (ptrdiff_t)sizeof *from)
        memcpy(place, from, m * sizeof *from);
    else
        for (size_t k = 0; k < m; ++k)
            memcpy(place + (ptrdiff_t)k * step, from + k, sizeof *from);
}}"""


def _conversions(form: Format, work: Format) -> str:
    """Between a 16-bit format and the work format, rounded once to nearest, ties to even; every NaN becomes one.

    Rounding a normal number adds half a unit of the last place kept, less one, and one more where that place is
    odd: the carry may run into the exponent, as it should, and makes the smallest number that overflows infinite. A
    subnormal is added to a power of two whose unit in the last place is the smallest subnormal.
    """
    fraction, shift = form.precision - 1, work.precision - form.precision
    bias = work.max_exponent - form.max_exponent
    integer, unsigned, real = f"int{work.bits}_t", f"uint{work.bits}_t", _TYPES[work.name]
    bits, from_bits = f"relusym_bits{work.bits}", f"relusym_from_bits{work.bits}"
    literal, hidden = _literal(work), 1 << (work.precision - 1)
    infinity = (2 * form.max_exponent + 1) << fraction

    def whole(value: int) -> str:
        return f"INT{work.bits}_C(0x{value:x})"

    def pattern(value: float) -> int:
        return int(np.array(value, work.dtype).view(work.integer))

    def shifted(value: str, places: int) -> str:
        return f"({integer})(({unsigned}){value} >> {places})"

    widening = [f"return {from_bits}(({integer})(({unsigned})stored << {shift}));"]
    rounding = [
        f"const {integer} rounded = {shifted('(bounded + odd + ' + whole((1 << (shift - 1)) - 1) + ')', shift)};"
    ]
    if bias:
        magic = 2.0 ** (form.min_exponent - fraction + work.precision - 1)
        smallest = 2.0**form.min_exponent
        widening = [
            f"const {integer} sign = ({integer})(({unsigned})(stored & 0x8000) << {work.bits - 16});",
            f"const {integer} magnitude = ({integer})(stored & 0x7fff) << {shift};",
            f"const {integer} normal = magnitude + {whole(bias * hidden)};",
            f"const {integer} small = {bits}({from_bits}(normal + {whole(hidden)}) - {literal(smallest)});",
            f"const {integer} finite = magnitude < {whole(hidden)} ? small : normal;",
            f"const {integer} special = normal + {whole(bias * hidden)};",
            f"return {from_bits}((magnitude < {whole(infinity << shift)} ? finite : special) | sign);",
        ]
        rounding = [
            rounding[0].replace("rounded = ", "normal = ").replace(";", f" - {whole(bias << fraction)};"),
            f"const {integer} small = {bits}({from_bits}(magnitude) + {literal(magic)}) - {whole(pattern(magic))};",
            f"const {integer} rounded = magnitude < {whole(pattern(smallest))} ? small : normal;",
        ]
    overflow = pattern(form.max + 2.0 ** (form.max_exponent - form.precision))
    narrowing = [
        f"const {integer} pattern = {bits}(value);",
        f"const {integer} sign = {shifted('pattern', work.bits - 16)} & 0x8000;",
        f"const {integer} magnitude = pattern & {whole(2 ** (work.bits - 1) - 1)};",
        f"const {integer} bounded = magnitude < {whole(overflow)} ? magnitude : {whole(overflow)};",
        f"const {integer} odd = {shifted('bounded', shift)} & 1;",
        *rounding,
        f"const {integer} special = {whole(infinity | 1 << (fraction - 1))};",
        f"return (uint16_t)((magnitude > {whole(pattern(np.inf))} ? special : rounded) | sign);",
    ]

    def function(result: str, name: str, parameter: str, body: Sequence[str]) -> str:
        lines = "\n".join(f"    {line}" for line in body)
        return f"static inline {result} relusym_{name}({parameter})\n{{\n{lines}\n}}"

    return "\n\n".join(
        (
            function(real, f"{form.name}_to_{work.name}", "const uint16_t stored", widening),
            function("uint16_t", f"{work.name}_to_{form.name}", f"const {real} value", narrowing),
        )
    )


def header(kernel: Kernel) -> str:
    """The header file beside a kernel's text: its comment and its declarations."""
    comment = kernel.source.partition("\n\n#include")[0].partition("//\n// C99;")[0].rstrip("/\n ")
    declarations = kernel.source.partition("// ---- declarations\n")[2].partition("// ---- end of declarations")[0]
    guard = f"{kernel.identifier}_h".upper()
    lines = (comment, f"#ifndef {guard}", f"#define {guard}", "", "#include <stddef.h>", "#include <stdint.h>", "")
    return "\n".join(lines) + f"\n{declarations}\n#endif\n"


def _work_formats(form: Format, accuracy: str) -> tuple[Format, ...]:
    if form.name == "float32" and accuracy == "precise":
        return (FORMATS["float32"], FORMATS["float64"])
    return (FORMATS["float64" if form.name == "float64" else "float32"],)


def _load(kernel: Kernel, on: str | None) -> Callable[..., Any]:
    if on not in (None, "cpu"):
        raise InvalidRequest(f"a c kernel runs on the cpu, not on {on!r}")
    return _bound(compilers.library(kernel.source, flags=FLAGS), kernel)


def load_together(kernels: Sequence[Kernel]) -> list[Callable[..., Any]]:
    """Several kernels, compiled as few translation units, outside the cache; raises `Missing` without a compiler."""
    units: list[dict[str, str]] = []
    homes = []
    for kernel in kernels:
        home = next(
            (k for k, unit in enumerate(units) if unit.get(kernel.identifier, kernel.source) == kernel.source),
            len(units),
        )
        if home == len(units):
            units.append({})
        units[home][kernel.identifier] = kernel.source
        homes.append(home)
    loaded = [compilers.library("\n".join(unit.values()), flags=FLAGS, keep=False) for unit in units]
    return [_bound(loaded[home], kernel) for home, kernel in zip(homes, kernels, strict=True)]


_NUMBERS = (float, int)


def _bound(library: ctypes.CDLL, kernel: Kernel) -> Callable[..., Any]:
    """The compiled kernel as a function of NumPy arrays, called as the NumPy kernels are."""
    return _summing(library, kernel) if kernel.signature.reduced else _of_elements(library, kernel)


def _summing(library: ctypes.CDLL, kernel: Kernel) -> Callable[..., Any]:
    """A kernel that sums the gradients of parameters: arrays that do not lie side by side are copied."""
    form = format_of(kernel.dtype)
    dtype, sums, work = form.dtype, sum_format(form).dtype, kernel.work_format.dtype
    names, reduced = kernel.arguments, kernel.signature.reduced
    inputs = (*kernel.signature.arrays, *names)
    run, room = library[kernel.identifier], library[f"{kernel.identifier}_workspace"]
    run.restype, room.restype = None, ctypes.c_size_t
    run.argtypes = [*(ctypes.c_void_p,) * (3 + 2 * len(names)), *(ctypes.c_size_t,) * 3, ctypes.c_void_p]
    room.argtypes = [ctypes.c_size_t] * 3
    signature = _signature(inputs)

    def call(*operands: Any, out: Any = None, **named: Any) -> Any:
        given = signature.bind(*operands, **{"out": out, **named} if out is not None else named).arguments
        grad, x = (_checked(given[name], name, dtype) for name in ("grad", "x"))
        parameters = {name: np.asarray(given[name], work) for name in names}
        shape = np.broadcast_shapes(grad.shape, x.shape)
        for name, own in parameters.items():
            refuse_misfit(name, own.shape, shape)
        shapes = [own.shape for own in parameters.values()]
        grid = grid_of(shape, shapes)
        dx, *gradients = tuple(given.get("out") or (np.empty(shape, dtype), *(np.empty(own, sums) for own in shapes)))
        if len(gradients) != len(reduced):
            raise ValueError(f"{kernel.identifier} fills dx, {', '.join(reduced)}, but out has {1 + len(gradients)}")
        _checked_out(dx, shape, dtype)
        for gradient, wanted in zip(gradients, shapes, strict=True):
            _checked_out(gradient, wanted, sums)
        laid = [np.broadcast_to(array, shape).transpose(grid.order) for array in (grad, x)]
        arrays = [np.require(array, dtype.newbyteorder("="), ["C", "A"]) for array in laid]
        filled = dx if grid.in_order and dx.flags.carray else np.empty([shape[axis] for axis in grid.order], dtype)
        if any(np.may_share_memory(array, filled) for array in arrays):
            arrays = [array.copy() for array in arrays]
        values = values_of(parameters, grid)
        workspace = np.empty(room(*grid.sizes))
        found = [np.empty(grid.sizes[1], sums) for _ in reduced]
        places = [array.ctypes.data for array in (*arrays, *values, filled, *found)]
        run(*places, *grid.sizes, workspace.ctypes.data)
        if filled is not dx:
            dx[...] = filled.transpose(np.argsort(grid.order))
        partial = workspace.reshape(len(reduced), 2, -1)[:, :, : grid.sizes[1]]
        for gradient, result, (total, missed) in zip(gradients, found, partial, strict=True):
            if gradient.size == result.size:
                gradient[...] = result.reshape(gradient.shape)
            else:  # parameters of several shapes, of which this one has fewer values than there are channels
                gradient[...] = folded(total, missed, grid, gradient.shape)
        return (dx, *gradients)

    call.__name__ = call.__qualname__ = kernel.computes.partition(":")[0].replace("-", "_")
    call.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect` looks for; mypy does not
    return call


def _signature(inputs: Sequence[str]) -> inspect.Signature:
    """That of a call: the arrays and parameters in order, then `out`."""
    positional = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in inputs]
    out = inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
    return inspect.Signature([*positional, out])


def _of_elements(library: ctypes.CDLL, kernel: Kernel) -> Callable[..., Any]:
    dtype, work = format_of(kernel.dtype).dtype, kernel.work_format.dtype
    arrays, results = kernel.signature.arrays, len(kernel.signature.results)
    inputs = (*arrays, *kernel.arguments)
    count, extra = len(arrays), len(kernel.arguments)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    scalar = ctypes.c_float if work.itemsize == 4 else ctypes.c_double
    contiguous, strided = library[kernel.identifier], library[f"{kernel.identifier}_strided"]
    contiguous.restype = strided.restype = None
    contiguous.argtypes = [*(pointer,) * count, *(scalar,) * extra, *(pointer,) * results, size]
    strided.argtypes = [*(pointer, ctypes.c_ssize_t) * (len(inputs) + results), size]
    signature = _signature(inputs)
    ndarray, empty = np.ndarray, np.empty
    # of a dtype that NumPy has only one of; the others are compared, and buffers do not know them
    alone = len(inputs) == results == dtype.isbuiltin == 1

    def call(*operands: Any, out: Any = None, **named: Any) -> Any:
        if alone and len(operands) == 1 and type(out) is ndarray and not named:
            # one array in and one out: the calls that cost more than their elements, without a loop over operands
            (x,) = operands
            if (
                type(x) is ndarray
                and x.dtype is dtype is out.dtype
                and x.shape == out.shape
                and x.size
                and x.flags.carray
                and out.flags.carray
            ):
                source, target = ctypes.addressof(_FIRST_BYTE(x)), ctypes.addressof(_FIRST_BYTE(out))
                if source == target or abs(source - target) >= x.nbytes:
                    contiguous(source, target, x.size)
                    return out
        if named or len(operands) != len(inputs):
            given = {"out": out, **named} if out is not None else named
            bound = signature.bind(*operands, **given)
            operands, out = tuple(bound.arguments[name] for name in inputs), bound.arguments.get("out")
        outs = None if out is None else (out,) if results == 1 else tuple(out)
        if outs is not None and len(outs) != results:
            raise ValueError(
                f"{kernel.identifier} fills {', '.join(kernel.signature.results)}, but out has {len(outs)}"
            )
        x, arguments = operands[count - 1], operands[count:]
        # the common case, without a detour: arrays side by side in memory, numbers for parameters
        if type(x) is ndarray and (not arguments or all(type(value) in _NUMBERS for value in arguments)):
            filled = outs or tuple([empty(x.shape, dtype) for _ in range(results)])
            places = _side_by_side(operands[:count], filled, x.shape, dtype)
            if places is not None:
                read, written = places
                contiguous(*read, *arguments, *written, x.size)
                return filled[0] if results == 1 else filled
        filled = _in_blocks(operands, outs)
        return filled[0] if results == 1 else filled

    def _in_blocks(operands: tuple[Any, ...], outs: tuple[Any, ...] | None) -> tuple[Any, ...]:
        """Any layout: NumPy walks the arrays, and copies what overlaps, is unaligned or of foreign byte order."""
        checked = [_checked(array, name, dtype) for array, name in zip(operands, arrays, strict=False)]
        shape = np.broadcast_shapes(*(array.shape for array in checked))
        checked += [np.asarray(value, work) for value in operands[count:]]
        for name, array in zip(kernel.arguments, checked[count:], strict=True):
            refuse_misfit(name, array.shape, shape)
        if outs is None:
            outs = tuple(empty(shape, dtype) for _ in range(results))
        for array in outs:
            _checked_out(array, shape, dtype)
        formats: Any = (*(dtype,) * count, *(work,) * extra, *(dtype,) * results)
        blocks = np.nditer(
            (*checked, *outs),
            flags=("external_loop", "buffered", "growinner", "zerosize_ok", "copy_if_overlap"),
            op_flags=(*(_READ,) * len(checked), *(_WRITE,) * results),
            op_dtypes=formats,
            buffersize=_BLOCK,
        )
        with blocks:
            for block in blocks:
                places = [part for array in block for part in (array.ctypes.data, array.strides[0])]
                strided(*places, block[0].size)
        return outs

    call.__name__ = call.__qualname__ = kernel.computes.partition(":")[0].replace("-", "_")
    call.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect` looks for; mypy does not
    return call


_BLOCK = 32768
_READ: Any = ("readonly", "aligned", "nbo")
_WRITE: Any = ("writeonly", "aligned", "nbo", "no_broadcast", "overlap_assume_elementwise")


def _side_by_side(
    sources: Sequence[Any], outs: Sequence[Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[list[int], list[int]] | None:
    """Addresses of arrays of one shape without gaps, of which no two overlap in part; None where they are not so."""
    read: list[int] = []
    written: list[int] = []
    for array in sources:
        place = _address(array, shape, dtype, written_to=False)
        if place is None:
            return None
        read.append(place)
    size = sources[0].nbytes
    for array in outs:
        place = _address(array, shape, dtype, written_to=True)
        if place is None:
            return None
        for other in read:
            if abs(place - other) < size and place != other:
                return None
        for other in written:
            if abs(place - other) < size:
                return None
        written.append(place)
    return read, written


_FIRST_BYTE: Callable[[Any], ctypes.c_char] = ctypes.c_char.from_buffer


def _address(array: Any, shape: tuple[int, ...], dtype: np.dtype[Any], *, written_to: bool) -> int | None:
    """Where the elements begin, of an array that `_side_by_side` is about."""
    if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
        return None
    flags = array.flags
    if flags.carray:  # may be written, as _FIRST_BYTE demands; `array.ctypes` takes three times as long
        try:
            return ctypes.addressof(_FIRST_BYTE(array))
        except (TypeError, ValueError):  # empty, or a dtype that buffers do not know
            return int(array.ctypes.data)
    if written_to or not (flags.c_contiguous and flags.aligned):
        return None
    return int(array.ctypes.data)


def _checked(array: Any, name: str, dtype: np.dtype[Any]) -> Any:
    if not hasattr(array, "dtype"):
        array = np.asarray(array, dtype)
    if array.dtype.name != dtype.name:
        raise TypeError(
            f"{name} is {array.dtype.name}; this kernel is for {dtype.name}: convert it, or generate another"
        )
    return np.asarray(array)


def _checked_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray) or out.dtype.name != dtype.name or out.shape != shape:
        raise TypeError(f"out must be a {dtype.name} array of shape {shape}")


TARGET = Target(
    name="c",
    dtypes=("float16", "bfloat16", "float32", "float64"),
    rows=ROWS,
    work_formats=_work_formats,
    goal=goal_on_cpu,
    render=_render,
    load=_load,
    suffixes=(".c", ".h"),
)
