"""What the CUDA text does to memory: run on the CPU under AddressSanitizer and UBSan, every access watched.

The exported module of a kernel says what it launches on which addresses; these launches, over lengths, alignments,
layouts and grids, are run by a program of two parts: the text behind its stand-in for CUDA, instrumented, and
`memory.cpp`, which gives it arrays that end where the heap's guard zones begin, and counts what is written.

Shown by that, for the cases that are run: no access outside of the arrays and none to an array that is not for it; each
byte of each result written exactly once, and none read before; no undefined behaviour of C++ in the element arithmetic.
Not shown: what only threads that run at the same time can do. Each element goes to one thread, so they share nothing.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from relusym.errors import Missing
from relusym_codegen import compilers
from relusym_codegen.gates.rules import MEMORY, Finding
from relusym_codegen.kernel import Kernel
from relusym_codegen.targets import cuda

READ, WRITTEN, UPDATED, SCRATCH = range(4)

SOME_LENGTHS = (*range(41), *(2**k + d for k in range(6, 13) for d in (-1, 0, 1)))
ALL_LENGTHS = tuple(range(4098))

_BASE = 2**40
"""Arrays stand this far apart in the addresses that a launcher is asked about."""

_SANITIZERS = (
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)
_WATCHED = ("memcpy", *(f"__asan_{kind}{size}" for kind in ("load", "store") for size in (1, 2, 4, 8, 16, "N")))


@dataclass(frozen=True)
class Array:
    """An array of a case: so many bytes, beginning so many after a boundary of 64."""

    name: str
    bytes: int
    misalignment: int
    role: int


@dataclass(frozen=True)
class Case:
    """Launches on arrays: (entry function, blocks, operands), as the exported module asks for them."""

    kernel: Kernel
    says: str
    arrays: tuple[Array, ...]
    launches: tuple[tuple[str, int, tuple[Any, ...]], ...]


def missing() -> str | None:
    """Why nothing can be run under the sanitizers here, or None where it can."""
    try:
        with tempfile.TemporaryDirectory(prefix="relusym-") as scratch:
            place = Path(scratch)
            (place / "kernels.cpp").write_text(
                'extern "C" void relusym_start(unsigned, unsigned, const unsigned long long*) {}\n', encoding="utf-8"
            )
            _linked(place)
    except Missing as lack:
        return str(lack)
    return None


def run(kernels: Sequence[Kernel], *, lengths: Sequence[int] = SOME_LENGTHS, wide: int = 16) -> list[Finding]:
    """What is wrong in these kernels, at most one finding each; `wide` is the size of a pack, 16 or 32 bytes.

    Raises `Missing` without a C++ compiler that has AddressSanitizer.
    """
    entries: dict[str, list[str]] = {}
    text = cuda.unit(kernels)
    for name, given in re.findall(r'extern "C" void run_(\w+)\(([^)]*)\)', text):
        entries[name] = [parameter.strip() for parameter in given.split(",")]
    with tempfile.TemporaryDirectory(prefix="relusym-") as scratch:
        place = Path(scratch)
        (place / "kernels.cpp").write_text(text + _dispatch(entries), encoding="utf-8")
        program = _linked(place, () if wide == 16 else ("-D__CUDA_ARCH__=1000",))
        waiting = [case for kernel in kernels for case in cases(kernel, lengths, wide)]
        found: dict[str, Finding] = {}
        while waiting:
            wrong, stopped = _watched(program, waiting, entries)
            for case, says in wrong:
                name = case.kernel.identifier
                found.setdefault(name, Finding(MEMORY, name, case.says, says))
            if stopped is None:
                break
            # the rest is asked again without the kernel at which a sanitizer ended the program
            waiting = [
                case
                for case in waiting[waiting.index(stopped) :]
                if case.kernel.identifier != stopped.kernel.identifier
            ]
    return list(found.values())


def cases(kernel: Kernel, lengths: Sequence[int], wide: int) -> Iterator[Case]:
    """What the exported module launches on arrays of these lengths and of some around a tile, in several layouts."""
    module: dict[str, Any] = {"__name__": kernel.identifier}
    exec(compile(kernel.source, f"<{kernel.identifier}>", "exec"), module)
    if kernel.signature.reduced:
        yield from _summing(kernel, module, wide)
        return
    channelwise, item = set(module["CHANNELWISE"]), module["_ITEM"]
    tile = _tile(module, wide)
    if channelwise:
        shapes = [(rows, channels) for rows in (0, 1, 2, 3, 8, 31, 33, 257) for channels in (1, 3, 8, 17, 32, 65)]
        shapes += [(1025, 3), (1025, 8)]  # sums of sums of sums
    else:
        shapes = [(n, 1) for n in dict.fromkeys((*lengths, tile - 1, tile, tile + 1, 2 * tile + tile // 2 + 3))]
    for rows, channels in shapes:
        n = rows * channels
        size = {
            name: (channels if name in channelwise else n) * item for name in (*module["ARRAYS"], *module["RESULTS"])
        }
        for layout, off in (("aligned", ()), ("all one element off", tuple(size)), ("one array off", tuple(size)[-1:])):
            arrays = [
                Array(name, bytes_, item if name in off else 0, WRITTEN if name in module["RESULTS"] else READ)
                for name, bytes_ in size.items()
            ]
            yield from _on_grids(kernel, module, f"{n} elements, {layout}", arrays, n, channels, wide)
        arrays = [
            Array(name, bytes_, 0, UPDATED if name == module["ARRAYS"][0] else READ)
            for name, bytes_ in size.items()
            if name != module["RESULTS"][0]
        ]
        arrays = [Array(a.name, a.bytes, 0, WRITTEN) if a.name in module["RESULTS"] else a for a in arrays]
        yield from _on_grids(kernel, module, f"{n} elements, in place", arrays, n, channels, wide)
        if not channelwise and n:
            yield from _strided(kernel, module, n, item)
    if "channel_launch" in module:
        yield from _beside(kernel, module, wide)


GRIDS = ((1, 1, 1), (3, 5, 7), (2, 3, 256), (1, 1, 33), (1, 8, 512), (1, 1, 4099), (67, 3, 1), (33, 8, 2), (1, 17, 1))
"""(outer, channels, inner) of elements with parameters for each channel: about a pass, a chunk and a pack."""


def _beside(kernel: Kernel, module: dict[str, Any], wide: int) -> Iterator[Case]:
    """Parameters with one value for each channel, beside elements at any alignment."""
    item, work = module["_ITEM"], module["_WORK"]
    for sizes in (*GRIDS, (0, 3, 1)):
        n = math.prod(sizes)
        given = dict.fromkeys((*module["ARRAYS"], *module["RESULTS"]), n * item)
        for layout, off in (("aligned", ()), ("one array off", tuple(given)[-1:])):
            arrays = [
                Array(name, count, item if name in off else 0, WRITTEN if name in module["RESULTS"] else READ)
                for name, count in given.items()
            ]
            arrays += [Array(name, sizes[1] * work, 0, READ) for name in module["ARGUMENTS"]]
            place = {array.name: (k + 1) * _BASE + array.misalignment for k, array in enumerate(arrays)}
            parts = [[place[name] for name in module[kind]] for kind in ("ARRAYS", "RESULTS", "ARGUMENTS")]
            launch = module["channel_launch"](parts[0], parts[1], sizes, parts[2], wide=wide)
            if launch is not None:
                yield Case(kernel, f"{sizes} elements, {layout}", tuple(arrays), (launch,))


def _summing(kernel: Kernel, module: dict[str, Any], wide: int) -> Iterator[Case]:
    """Gradients of parameters: a value for each channel, and one for all of them, also in place and on other grids."""
    item, work, names = module["_ITEM"], module["_WORK"], module["ARGUMENTS"]
    first, *sums = module["RESULTS"]
    for sizes in (*GRIDS, (0, 3, 1), (3, 5, 0)):
        n = math.prod(sizes)
        for varies in ((True,) * len(names), (False,) * len(names)):
            counts = dict(zip(sums, (sizes[1] if one else 1 for one in varies), strict=True))
            for layout in ("aligned", "one array off", "in place"):
                roles = dict.fromkeys(module["ARRAYS"], READ) | {first: WRITTEN}
                if layout == "in place":
                    roles = {**roles, module["ARRAYS"][0]: UPDATED}
                    del roles[first]
                off = tuple(roles)[-1] if layout == "one array off" else ""
                arrays = [Array(name, n * item, item if name == off else 0, role) for name, role in roles.items()]
                arrays += [Array(name, sizes[1] * work, 0, READ) for name in names]
                arrays += [Array(name, count * work, 0, WRITTEN) for name, count in counts.items()]
                place = {array.name: (k + 1) * _BASE + array.misalignment for k, array in enumerate(arrays)}
                scratch = int(module["workspace"](sizes, varies))
                launches = module["launches"](
                    [place[name] for name in module["ARRAYS"]],
                    [place.get(name, place[module["ARRAYS"][0]]) for name in module["RESULTS"]],
                    sizes,
                    [place[name] for name in names],
                    varies=varies,
                    wide=wide,
                    scratch=(len(arrays) + 1) * _BASE,
                )
                given = (*arrays, *([Array("scratch memory", scratch, 0, SCRATCH)] if scratch else []))
                most = max((blocks for _, blocks, _ in launches), default=1)
                for change, grid in (("", None), (", one block", 1), (", blocks to spare", most + 2)):
                    if grid != most:
                        says = f"{sizes} elements, {layout}{change}"
                        yield Case(kernel, says, given, tuple((e, grid or b, operands) for e, b, operands in launches))


def _tile(module: dict[str, Any], wide: int) -> int:
    """The largest length that the launcher gives to one block."""
    if module["CHANNELWISE"]:
        return 0
    places = [(k + 1) * _BASE for k in range(len(module["ARRAYS"]) + len(module["RESULTS"]))]
    inputs, outputs = places[: len(module["ARRAYS"])], places[len(module["ARRAYS"]) :]
    arguments = [0.5] * len(module["ARGUMENTS"])

    def blocks(n: int) -> int:
        return int(module["launches"](inputs, outputs, n, arguments=arguments, wide=wide)[0][1])

    low, high = 1, 2**24
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if blocks(middle) == 1 else (low, middle - 1)
    return low


def _on_grids(
    kernel: Kernel, module: dict[str, Any], says: str, arrays: list[Array], n: int, channels: int, wide: int
) -> Iterator[Case]:
    """The launches with as many blocks as the launcher wants, with one, and with more than there is work for."""
    place = {array.name: (k + 1) * _BASE + array.misalignment for k, array in enumerate(arrays)}
    scratch = int(module["workspace"](n, channels))
    launches = module["launches"](
        [place[name] for name in module["ARRAYS"]],
        [place.get(name, place[module["ARRAYS"][0]]) for name in module["RESULTS"]],
        n,
        arguments=[0.5] * len(module["ARGUMENTS"]),
        channels=channels,
        wide=wide,
        scratch=(len(arrays) + 1) * _BASE,
    )
    given = (*arrays, *([Array("scratch memory", scratch, 0, SCRATCH)] if scratch else []))
    most = max((blocks for _, blocks, _ in launches), default=1)
    for change, grid in (("", None), (", one block", 1), (", blocks to spare", most + 2)):
        if grid != most:
            yield Case(kernel, says + change, given, tuple((e, grid or b, operands) for e, b, operands in launches))


def _strided(kernel: Kernel, module: dict[str, Any], n: int, item: int) -> Iterator[Case]:
    """Every other element of the first input, and a result written column by column."""
    rows = next(d for d in (7, 5, 4, 3, 2, 1) if n % d == 0)
    shape, plain, gaps = (rows, n // rows), (n // rows * item, item), (2 * n // rows * item, 2 * item)
    inputs, results = module["ARRAYS"], module["RESULTS"]
    steps = [gaps, *(plain for _ in inputs[1:]), *((item, rows * item) for _ in results)]
    arrays = [
        Array(name, n * item * (2 if k == 0 else 1), item, WRITTEN if name in results else READ)
        for k, name in enumerate((*inputs, *results))
    ]
    given = [((k + 1) * _BASE + item, step) for k, step in enumerate(steps)]
    launch = module["strided_launch"](
        shape, given[: len(inputs)], given[len(inputs) :], [0.5] * len(module["ARGUMENTS"])
    )
    if launch is not None:
        yield Case(kernel, f"{n} elements, strided", tuple(arrays), (launch,))


def _dispatch(entries: dict[str, list[str]]) -> str:
    """C++ that starts an entry function by its number, its operands given as 64 bits each."""
    lines = [
        "\ntemplate <typename To> static To relusym_read(const unsigned long long& bits)",
        "{",
        "    To to;",
        "    __builtin_memcpy(&to, &bits, sizeof to);",
        "    return to;",
        "}",
        'extern "C" void relusym_start(unsigned entry, unsigned blocks, const unsigned long long* given)',
        "{",
        "    switch (entry) {",
    ]
    for number, (name, parameters) in enumerate(entries.items()):
        kinds = [parameter.rpartition(" ")[0] for parameter in parameters[:-1]]
        plain = [kind if "*" in kind else kind.replace("const ", "") for kind in kinds]
        operands = ", ".join(f"relusym_read<{kind}>(given[{place}])" for place, kind in enumerate(plain))
        lines.append(f"    case {number}: run_{name}({operands}, blocks); break;")
    return "\n".join([*lines, "    }", "}", ""])


def _linked(place: Path, flags: tuple[str, ...] = ()) -> Path:
    """The program in this folder, from kernels.cpp there and memory.cpp here."""
    compiler = compilers.find("c++")
    calls = (
        ("-mllvm", "-asan-instrumentation-with-call-threshold=0")
        if "__clang__" in compiler.macros
        else ("--param", "asan-instrumentation-with-call-threshold=0")
    )
    text, program = place / "kernels.cpp", place / "watched"
    text_object, watching = place / "kernels.o", place / "memory.o"
    _compiled(compiler, [*cuda.FLAGS, *flags, *_SANITIZERS, *calls, "-c", str(text), "-o", str(text_object)])
    watching.write_bytes(_watcher())
    wrapped = [f"-Wl,--wrap={name}" for name in _WATCHED]
    _compiled(compiler, [str(watching), str(text_object), *_SANITIZERS, *wrapped, "-o", str(program)])
    return program


@cache
def _watcher() -> bytes:
    """memory.cpp as an object file, compiled once in a process and without instrumentation."""
    source = Path(__file__).with_name("memory.cpp")
    with tempfile.TemporaryDirectory(prefix="relusym-") as scratch:
        made = Path(scratch, "memory.o")
        _compiled(compilers.find("c++"), ["-std=gnu++17", "-O2", "-c", str(source), "-o", str(made)])
        return made.read_bytes()


def _compiled(compiler: compilers.Compiler, words: Sequence[str]) -> None:
    done = subprocess.run([*compiler.command, *words], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip()
        if any(word in said for word in ("asan", "sanitize", "--wrap")):
            raise Missing(
                f"{compiler.path} has no AddressSanitizer that links ({said[:200]}); install its runtime (libasan of "
                "GCC, compiler-rt of Clang), or name another compiler in $CXX"
            )
        raise RuntimeError(f"{compiler.path} rejects generated code; this is a bug of relusym\n{done.stderr[:4000]}")


def _watched(
    program: Path, waiting: Sequence[Case], entries: dict[str, list[str]]
) -> tuple[list[tuple[Case, str]], Case | None]:
    """What was seen in which case, and the case at which a sanitizer ended the program."""
    numbers = {name: number for number, name in enumerate(entries)}
    text = "\n".join(_written(number, case, numbers, entries) for number, case in enumerate(waiting))
    done = subprocess.run(
        [program],
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0:color=never", "UBSAN_OPTIONS": "color=never"},
    )
    wrong = []
    for line in done.stdout.splitlines():
        number, _, says = line.partition(" ")
        case = waiting[int(number)]
        name = re.search(r"array (\d+)", says)
        wrong.append((case, says.replace(name[0], case.arrays[int(name[1])].name) if name else says))
    if not done.returncode:
        return wrong, None
    stopped = waiting[int(re.findall(r"^case (\d+)$", done.stderr, re.MULTILINE)[-1])]
    error = re.search(r"ERROR: (AddressSanitizer: [\w-]+)[^\n]*\n((?:READ|WRITE) of size \d+)?", done.stderr)
    error = error or re.search(r"(runtime error: .*)", done.stderr)
    wrong.append((stopped, " ".join(filter(None, error.groups())) if error else f"ended with {done.returncode}"))
    return wrong, stopped


def _written(number: int, case: Case, numbers: dict[str, int], entries: dict[str, list[str]]) -> str:
    """A case as memory.cpp reads it."""
    words: list[Any] = ["case", number, len(case.arrays)]
    for array in case.arrays:
        words += [array.bytes, array.misalignment, array.role]
    words.append(len(case.launches))
    for name, blocks, operands in case.launches:
        words += [numbers[name], blocks, len(operands)]
        for operand, parameter in zip(operands, entries[name][:-1], strict=True):
            if "*" in parameter:
                index, offset = divmod(int(operand), _BASE)
                given = case.arrays[index - 1 : index]  # none where there is no scratch memory
                words += [1, index - 1, offset - given[0].misalignment] if given else [0, 0]
            else:
                words += [0, int.from_bytes(operand.tobytes(), "little")]
    return " ".join(map(str, words))
