"""NVIDIA's compiler and disassembler, as pip installs them: CUDA text to PTX and machine code, without a GPU."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

from relusym.errors import InvalidRequest, Missing
from relusym_codegen.kernel import Kernel

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
"""Ampere, Hopper and Blackwell of the data centre."""

PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "cuda-bindings", "nvidia-cuda-nvdisasm")
"""The extra `gpu-check`."""

INSTALL = "pip install 'relusym[gpu-check]'"


@dataclass(frozen=True)
class Compiled:
    """One translation unit for one architecture: PTX, its disassembled machine code, and what the assembler said."""

    architecture: str
    ptx: str
    assembly: str
    log: str


class Rejected(Exception):
    """The compiler does not take the text; the message is its log."""


def missing() -> str | None:
    """What the gates need and this machine lacks, with the command that installs it; None where all is here."""
    lacking = [name for name in PACKAGES if name not in versions()]
    if lacking:
        return f"{', '.join(lacking)} not installed; {INSTALL}"
    try:
        _library()
        _disassembler()
    except Missing as lack:
        return str(lack)
    return None


def versions() -> dict[str, str]:
    """The packages of the extra that are installed, with their versions."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def options_of(kernel: Kernel) -> tuple[str, ...]:
    """The flags with which the launcher of a CUDA kernel compiles its text: the gates look at what will run."""
    for node in ast.parse(kernel.source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OPTIONS":
            return tuple(map(str, ast.literal_eval(node.value)))
    raise InvalidRequest(f"{kernel.identifier} names no OPTIONS for NVRTC; targets/cuda.jinja writes them")


def compile_text(text: str, options: tuple[str, ...], architecture: str) -> Compiled:
    """The text, compiled with these options for an architecture such as sm_90, and disassembled.

    Raises `Rejected` where the compiler does not take it, and `Missing` where there is no compiler.
    """
    nvrtc = _library()
    words = (*options, f"--gpu-architecture={architecture}", "--ptxas-options=-v")

    def checked(returned: tuple[object, ...]) -> object:
        status, *rest = returned
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise Rejected(f"NVRTC: {nvrtc.nvrtcGetErrorString(status)[1].decode()}")
        return rest[0] if rest else None

    def written(size: object, get: object) -> bytes:
        assert callable(size)
        assert callable(get)
        room = b" " * int(str(checked(size(program))))
        checked(get(program, room))
        return room

    program = checked(nvrtc.nvrtcCreateProgram(text.encode(), b"kernels.cu", 0, [], []))
    try:
        status = nvrtc.nvrtcCompileProgram(program, len(words), [word.encode() for word in words])[0]
        log = _plain(written(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog))
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise Rejected(log)
        ptx = _plain(written(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX))
        binary = written(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return Compiled(architecture, ptx, _disassembled(binary), log)


def _plain(text: bytes) -> str:
    return text.rstrip(b"\0").decode("utf-8", errors="replace")


def _disassembled(binary: bytes) -> str:
    with tempfile.TemporaryDirectory(prefix="relusym-") as scratch:
        path = Path(scratch, "kernels.cubin")
        path.write_bytes(binary)
        # without its data flow analysis, which only annotates, it takes two thirds of the time
        done = subprocess.run(
            [_disassembler(), "--print-code", "--no-dataflow", str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"nvdisasm rejects what NVRTC made: {done.stderr[:2000]}")
    return done.stdout


@cache
def _library() -> Any:
    """cuda.bindings.nvrtc, with its shared library loaded."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:
        raise Missing(f"NVRTC cannot be loaded ({type(error).__name__}: {error}); {INSTALL}") from None
    return nvrtc


@cache
def _disassembler() -> str:
    """The path of nvdisasm in the package that brings it."""
    home = util.find_spec("nvidia")
    for folder in home.submodule_search_locations or () if home else ():
        for path in sorted(Path(folder).glob("cu*/bin/nvdisasm*")):
            if re.fullmatch(r"nvdisasm(\.exe)?", path.name) and os.access(path, os.X_OK):
                return str(path)
    raise Missing(f"nvdisasm is not where nvidia-cuda-nvdisasm puts it; {INSTALL}")
