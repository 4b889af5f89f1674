"""CuPy as far as exported kernels use it: NumPy arrays for those of a GPU, the CUDA text compiled for the CPU.

Names, arguments and errors are those of CuPy 14. What is launched, where and on which stream is written down.
"""

import ctypes
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from relusym_codegen import compilers
from relusym_codegen.kernel import Kernel
from relusym_codegen.targets import cuda

EXACT = (np.uint32, np.uint64, np.int64, np.float32, np.float64)


@dataclass(frozen=True)
class Launch:
    name: str
    blocks: int
    device: int
    stream: int


@dataclass
class Machine:
    """Two GPUs, and what was done on them."""

    kernels: Sequence[Kernel]
    capability: str = "90"
    launches: list[Launch] = field(default_factory=list)
    compiled: list[tuple[str, ...]] = field(default_factory=list)
    device: int = 0
    streams: dict[int, "Stream"] = field(default_factory=dict)
    library: ctypes.CDLL | None = None

    def run(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], args: Any, stream: Any) -> None:
        assert block == (cuda.THREADS,)
        assert all(type(value) in EXACT for value in args), [type(value) for value in args]
        on = stream or self.streams[self.device]
        self.launches.append(Launch(name, grid[0], self.device, on.ptr))
        if self.library is None:
            self.library = compilers.library(
                cuda.unit(self.kernels), flags=cuda.FLAGS, language="c++", tuned=False, keep=False
            )
        cuda.run_on_cpu(self.library, name, grid[0], args)


class Stream:
    """A stream of the machine; entering one makes it current on the device in use."""

    machine: Machine

    def __init__(self, ptr: int = 0) -> None:
        self.ptr = ptr

    @classmethod
    def from_external(cls, other: Any) -> "Stream":
        version, address = other.__cuda_stream__()
        assert version == 0
        return cls(address)

    def __enter__(self) -> "Stream":
        self.before = self.machine.streams[self.machine.device]
        self.machine.streams[self.machine.device] = self
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.streams[self.machine.device] = self.before


class ndarray:  # noqa: N801 - CuPy's name
    """An array on a GPU; slices and transposes are views."""

    def __init__(self, host: Any, device: int) -> None:
        self.host, self.device = host, types.SimpleNamespace(id=device)
        self.data = types.SimpleNamespace(ptr=host.ctypes.data)

    shape = property(lambda self: self.host.shape)
    ndim = property(lambda self: self.host.ndim)
    dtype = property(lambda self: self.host.dtype)
    size = property(lambda self: self.host.size)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: self.host.flags)
    T = property(lambda self: ndarray(self.host.T, self.device.id))

    def reshape(self, *shape: int) -> "ndarray":
        return ndarray(self.host.reshape(*shape), self.device.id)

    def __getitem__(self, key: Any) -> "ndarray":
        return ndarray(self.host[key], self.device.id)

    def __setitem__(self, key: Any, value: "ndarray") -> None:
        self.host[key] = value.host


class Exchanged:
    """An array of another library, on a GPU or on the CPU, that only knows DLPack."""

    def __init__(self, host: Any, device: int, kind: int = 2) -> None:
        self.host, self.device, self.kind = host, device, kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, self.device

    def __dlpack__(self, **_: Any) -> Any:
        return self


class Interfaced:
    """An array of another library that only has the CUDA array interface."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.__cuda_array_interface__ = host.__array_interface__


def install(monkeypatch: pytest.MonkeyPatch, kernels: Sequence[Kernel]) -> Machine:
    """Put the module into `sys.modules`; returns the machine it runs on."""
    machine = Machine(kernels)
    stream = type("Stream", (Stream,), {"machine": machine})
    machine.streams.update({0: stream(0), 1: stream(0)})

    class Device:
        def __init__(self, device: int | None = None) -> None:
            self.id = machine.device if device is None else device

        def __enter__(self) -> "Device":
            self.before, machine.device = machine.device, self.id
            return self

        def __exit__(self, *_: object) -> None:
            machine.device = self.before

        @property
        def compute_capability(self) -> str:
            return machine.capability

    class Module:
        def load(self, cubin: bytes) -> None:
            self.text = cubin.removeprefix(b"CUBIN ").decode()

        def get_function(self, name: str) -> Any:
            assert f" {name}(" in self.text

            def call(grid: Any, block: Any, args: Any, shared_mem: int = 0, stream: Any = None) -> None:
                machine.run(name, grid, block, args, stream)

            return call

    class NVRTCError(RuntimeError):
        pass

    def compile_program(program: list[str], options: tuple[str, ...]) -> None:
        machine.compiled.append(tuple(options))
        if "sm_00" in options[-1]:
            raise NVRTCError("NVRTC_ERROR_INVALID_OPTION")

    def asarray(array: Any, dtype: Any = None) -> ndarray:
        host = getattr(array, "host", array)
        return ndarray(np.asarray(host, dtype), machine.device)

    names: dict[str, dict[str, Any]] = {
        "cupy.cuda.function": {"Module": Module},
        "cupy.cuda.nvrtc": {
            "NVRTCError": NVRTCError,
            "getVersion": lambda: (13, 0),
            "createProgram": lambda text, name, headers, includes: [text],
            "compileProgram": compile_program,
            "getCUBIN": lambda program: b"CUBIN " + program[0].encode(),
            "getProgramLog": lambda program: "what NVRTC said",
            "destroyProgram": lambda program: None,
        },
        "cupy.cuda.runtime": {"getDeviceCount": lambda: 2, "CUDARuntimeError": RuntimeError},
        "cupy.cuda": {
            "Device": Device,
            "Stream": stream,
            "get_current_stream": lambda: machine.streams[machine.device],
        },
        "cupy": {
            "ndarray": ndarray,
            "empty": lambda shape, dtype: ndarray(np.empty(shape, dtype), machine.device),
            "ascontiguousarray": lambda array: ndarray(np.ascontiguousarray(array.host), machine.device),
            "from_dlpack": lambda array: ndarray(array.__dlpack__().host, array.device),
            "asarray": asarray,
            "broadcast_to": lambda array, shape: ndarray(np.broadcast_to(array.host, shape), array.device.id),
        },
    }
    modules = {name: types.ModuleType(name) for name in names}
    for name, members in names.items():
        for member, value in members.items():
            setattr(modules[name], member, value)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, modules[name])
        monkeypatch.setitem(sys.modules, name, modules[name])
    return machine
