"""The C and C++ compilers of this machine: finding one, compiling text into a library, keeping what was compiled.

Compiled text is kept in a directory of the user's own, because a library that is loaded runs: `RELUSYM_CACHE` names
another directory, or is `off`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from relusym.errors import Missing

_NAMES = {"c": ("cc", "gcc", "clang"), "c++": ("c++", "g++", "clang++")}
_VARIABLES = {"c": "CC", "c++": "CXX"}
_SUFFIXES = {"c": ".c", "c++": ".cpp"}


@dataclass(frozen=True)
class Compiler:
    """A compiler that answers: `machine` are the flags for this processor, `macros` what it defines with them."""

    command: tuple[str, ...]
    language: str
    version: str
    machine: tuple[str, ...]
    macros: str

    @property
    def path(self) -> str:
        """The program, without flags that came with it."""
        return self.command[0]

    @property
    def simd_bits(self) -> int:
        """Width of the vectors it makes here; 0 where it does not say."""
        widths = {"__AVX512F__": 512, "__AVX__": 256, "__SSE2__": 128, "__ARM_NEON": 128}
        return next((width for name, width in widths.items() if f"#define {name} " in self.macros), 0)


def find(language: str = "c") -> Compiler:
    """The compiler in $CC (for C++ $CXX), or the first one on the path; raises `Missing` where none works."""
    variable = os.environ.get(_VARIABLES[language], "")
    words = shlex.split(variable)
    names = (words[0],) if words else _NAMES[language]
    for name in names:
        if path := shutil.which(name):
            return _described((path, *words[1:]), language)
    if words:
        raise Missing(
            f"${_VARIABLES[language]} names the compiler {words[0]!r}, which is not here; unset it or correct it"
        )
    kind = {"c": "C", "c++": "C++"}[language]
    raise Missing(
        f"no {kind} compiler was found ({', '.join(names)}); install one, or name it in ${_VARIABLES[language]}"
    )


def available() -> str | None:
    """Path of the C compiler that the c target would use, or None where there is none that works."""
    try:
        return find("c").path
    except Missing:
        return None


@functools.cache
def _described(command: tuple[str, ...], language: str) -> Compiler:
    """What a compiler says about itself; flags for the processor are the first it understands."""
    for machine in (("-march=native",), ("-mcpu=native",), ()):
        asked = _run((*command, *machine, "-x", language, "-dM", "-E", os.devnull))
        if asked is not None and asked.returncode == 0:
            wide = ("-mprefer-vector-width=512",) if "#define __AVX512F__ " in asked.stdout else ()
            said = _run((*command, "--version"))
            version = said.stdout.partition("\n")[0] if said else ""
            return Compiler(command, language, version, (*machine, *wide), asked.stdout)
    raise Missing(
        f"{shlex.join(command)} does not work as a compiler: {asked.stderr[:500] if asked else 'it does not run'}"
    )


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """What a command printed, in English; None where it cannot be started."""
    try:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError:
        return None


_PROBE = """\
#include <omp.h>

int relusym_threads(void) { return omp_get_max_threads(); }
void relusym_one_thread(void) { omp_set_num_threads(1); }
"""


@functools.cache
def openmp(compiler: Compiler) -> tuple[str, ...]:
    """The flag for threads, where it works to the end; a forked process computes on one thread.

    Threads do not survive a fork, and the runtimes of GCC and Clang wait for them for ever.
    """
    try:
        probe = library(_PROBE, flags=("-O1", "-fopenmp"), language=compiler.language, tuned=False)
    except (RuntimeError, OSError):
        return ()
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=probe.relusym_one_thread)
    return ("-fopenmp",)


def library(
    source: str, *, flags: Sequence[str], language: str = "c", tuned: bool = True, keep: bool = True
) -> ctypes.CDLL:
    """The text as a loaded library; compiled now, or by an earlier process of this user where it is kept.

    `tuned` adds the flags for this processor and for threads. Raises `Missing` without a compiler, and RuntimeError
    where the compiler rejects the text.
    """
    compiler = find(language)
    command = (*compiler.command, *flags, *((*compiler.machine, *openmp(compiler)) if tuned else ()))
    folder = _usable_cache() if keep else None
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="relusym-") as scratch:
            return ctypes.CDLL(str(_compiled(command, source, language, Path(scratch))))
    identity = (source, *command, compiler.version, compiler.macros, platform.machine(), sys.platform)
    place = folder / f"{_digest(chr(0).join(identity).encode())}.so"
    kept = _kept(place)
    if kept is not None:
        return kept
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
        made = _compiled(command, source, language, Path(scratch))
        seal = made.with_suffix(".sha256")
        seal.write_text(_digest(made.read_bytes()), encoding="ascii")
        loaded = ctypes.CDLL(str(made))
        # each file appears whole; should two processes mix theirs, the seal is wrong and the next one builds again
        made.replace(place)
        seal.replace(place.with_suffix(".sha256"))
    return loaded


def kept(identity: Sequence[str], suffix: str, make: Callable[[], bytes]) -> bytes:
    """The bytes that `make` gives, from the cache where it has those of the same identity and they are whole."""
    folder = _usable_cache()
    if folder is None:
        return make()
    place = folder / f"{_digest(chr(0).join(identity).encode())}{suffix}"
    with contextlib.suppress(OSError, UnicodeError):
        data = place.read_bytes()
        if place.with_suffix(".sha256").read_text(encoding="ascii") == _digest(data):
            return data
    data = make()
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
        for name, content in ((place.name, data), (place.with_suffix(".sha256").name, _digest(data).encode())):
            Path(scratch, name).write_bytes(content)
            Path(scratch, name).replace(folder / name)
    return data


def _compiled(command: Sequence[str], source: str, language: str, folder: Path) -> Path:
    """The library compiled in this folder."""
    text, made = folder / f"kernels{_SUFFIXES[language]}", folder / "kernels.so"
    text.write_text(source, encoding="utf-8")
    done = _run((*command, "-fPIC", "-shared", "-o", str(made), str(text), "-lm"))
    if done is None or done.returncode:
        said = done.stderr[:4000] if done else "it does not run"
        raise RuntimeError(f"{command[0]} rejects generated code; this is a bug of relusym\n{said}")
    return made


def _kept(place: Path) -> ctypes.CDLL | None:
    """What was compiled before, where it is whole: loading half a library would end the process."""
    try:
        seal = place.with_suffix(".sha256").read_text(encoding="ascii")
        return ctypes.CDLL(str(place)) if seal == _digest(place.read_bytes()) else None
    except (OSError, UnicodeError):
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def cache_directory() -> Path | None:
    """Where compiled kernels are kept, whether or not it is there yet; None where nothing is to be kept."""
    named = os.environ.get("RELUSYM_CACHE")
    if named is not None:
        return None if named in ("", "off") else Path(named).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "relusym")
    home = Path("~").expanduser()
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "relusym"


def cache_refusal(folder: Path) -> str | None:
    """Why nothing may be kept in this directory, which is made if need be; None where all is well."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        return f"it cannot be made ({error.strerror})"
    if not stat.S_ISDIR(status.st_mode):
        return "it is no directory"
    if status.st_uid != os.getuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write there (chmod 700 would mend it)"
    return None if os.access(folder, os.W_OK | os.X_OK) else "it cannot be written"


def cache_state() -> str:
    """Where compiled kernels are kept, or why they are not, in words that follow "are kept"."""
    folder = cache_directory()
    if folder is None:
        return "nowhere: RELUSYM_CACHE is off"
    if (reason := cache_refusal(folder)) is not None:
        return f"nowhere: {folder} will not do, {reason}"
    sizes = [path.stat().st_size for kind in ("*.so", "*.cubin") for path in folder.glob(kind)]
    return f"in {folder} ({len(sizes)} files, {sum(sizes) / 2**20:.1f} MiB); RELUSYM_CACHE names another place, or off"


def _usable_cache() -> Path | None:
    """The cache directory; None, with a warning, where it cannot be trusted."""
    folder = cache_directory()
    if folder is None:
        return None
    if (reason := cache_refusal(folder)) is not None:
        warnings.warn(f"compiled kernels are not kept in {folder}: {reason}; RELUSYM_CACHE names another", stacklevel=4)
        return None
    return folder
