"""Times of calls on a GPU, by its own clock, and the calls that are compared.

A call returns before the GPU is done, and a small array is done before the host can make the next call. So the GPU is
kept waiting by a kernel that does nothing, until all calls of a sample are queued behind it; events at both ends of the
queue give the time that the GPU took. Calls go through more memory than its cache holds.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gpu_cases
import numpy as np
import plain
import pytorch
from gpu_cases import COPY, OURS, Case
from relusym_codegen import generate
from relusym_codegen.kernel import Kernel, LoadedKernel

from relusym.floats import FORMATS

Call = Callable[[], Any]

ROUNDS = 7
WARM_UP = 2
ATTEMPTS = 6
"""To have all calls queued before the GPU stops waiting; each waits four times as long."""

FIRST_WAIT = 200e-6  # seconds
CLOCK = 2e9  # turns a second, about

_HOLD = """extern "C" __global__ void hold(long long turns) {
    const long long start = clock64();
    while (clock64() - start < turns) {}
}"""


class HostBound(Exception):
    """The host could not queue the calls while the GPU waited: what the GPU takes is not seen."""


@dataclass(frozen=True)
class Gpu:
    """CuPy, the kernel that keeps the device waiting, and the bytes of its cache."""

    cupy: Any
    hold: Any
    cache: int

    @classmethod
    def found(cls) -> Gpu:
        """The current device."""
        import cupy

        return cls(cupy, cupy.RawKernel(_HOLD, "hold"), cupy.cuda.Device().attributes["L2CacheSize"])

    def wait(self, seconds: float) -> None:
        """Keep the current stream busy for about so long; returns at once."""
        self.hold((1,), (1,), (np.int64(seconds * CLOCK),))

    def free(self) -> None:
        """Hand unused memory back, so that PyTorch's and CuPy's pools do not keep it from each other."""
        self.cupy.get_default_memory_pool().free_all_blocks()


@dataclass(frozen=True)
class Arrays:
    """What one call reads and writes."""

    grad: Any
    x: Any
    y: Any


def sets(gpu: Gpu, dtype: str, n: int) -> list[Arrays]:
    """Arrays to use in turn: x and grad normal, of standard deviation 3."""
    cupy, kind = gpu.cupy, FORMATS[dtype].dtype
    seed = (np.random.default_rng(20).normal(size=min(n, 2**18)) * 3).astype(kind)

    def filled(shift: int) -> Any:
        array = cupy.empty(n, kind)
        array[: seed.size] = cupy.asarray(np.roll(seed, shift))
        done = seed.size
        while done < n:
            more = min(done, n - done)
            array[done : done + more] = array[:more]
            done += more
        return array

    count = gpu_cases.sets_of(dtype, n, gpu.cache)
    return [Arrays(filled(2 * index), filled(2 * index + 1), cupy.empty(n, kind)) for index in range(count)]


def device_time(gpu: Gpu, call: Call, count: int) -> float:
    """Microseconds of the GPU for one call, `count` of them queued at once; raises `HostBound`."""
    seconds = FIRST_WAIT
    for _ in range(ATTEMPTS):
        start, stop = gpu.cupy.cuda.Event(), gpu.cupy.cuda.Event()
        gpu.wait(seconds)
        start.record()
        for _ in range(count):
            call()
        late = start.done
        stop.record()
        stop.synchronize()
        if not late:
            return float(gpu.cupy.cuda.get_elapsed_time(start, stop)) * 1000 / count
        seconds *= 4
    raise HostBound(f"{count} calls take the host longer than {seconds / 4 * 1000:.0f} ms")


def device_times(gpu: Gpu, calls: Mapping[str, Call], count: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Microseconds of each contender, sample after sample in turn; and why those that cannot run cannot.

    Anything may go wrong in a contender; ours and the copy must run, or the error is raised.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    reasons: dict[str, str] = {}
    for turn in range(ROUNDS + 1):
        for name, call in calls.items():
            if name in reasons:
                continue
            try:
                if not turn:
                    for _ in range(WARM_UP):
                        call()
                else:
                    times[name].append(device_time(gpu, call, count))
            except Exception as error:
                if name in (OURS, COPY):
                    raise
                reasons[name] = reason_of(error)
    return {name: found for name, found in times.items() if len(found) == ROUNDS}, reasons


def reason_of(error: Exception) -> str:
    """What went wrong, in one line."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:200]


def host_times(gpu: Gpu, calls: Mapping[str, Call], count: int = 1000) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Microseconds between one call and the next on a small array: what a launch costs."""
    times: dict[str, list[float]] = {}
    reasons: dict[str, str] = {}
    synchronize = gpu.cupy.cuda.Device().synchronize
    for name, call in calls.items():
        try:
            call()
            synchronize()
            found = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                for _ in range(count):
                    call()
                synchronize()
                found.append((time.perf_counter() - start) / count * 1e6)
            times[name] = found
        except Exception as error:
            if name == OURS:
                raise
            reasons[name] = reason_of(error)
    return times, reasons


def in_turn(call: Callable[[Any], Any], given: Sequence[Any]) -> Call:
    """The call on one set of arrays after the other."""
    turn = itertools.cycle(given)
    return lambda: call(next(turn))


def ours(fn: LoadedKernel, computes: str) -> Callable[[Arrays], Any]:
    """Our kernel on a set of arrays."""
    if computes == "backward":
        return lambda on: fn(on.grad, on.x, out=on.y)
    return lambda on: fn(on.x, out=on.y)


def copy(gpu: Gpu) -> Callable[[Arrays], Any]:
    """The device's own copy of x to y."""
    runtime = gpu.cupy.cuda.runtime

    def call(on: Arrays) -> None:
        stream = gpu.cupy.cuda.get_current_stream().ptr
        size = on.x.size * on.x.dtype.itemsize
        runtime.memcpyAsync(on.y.data.ptr, on.x.data.ptr, size, runtime.memcpyDeviceToDevice, stream)

    return call


def cupy_call(gpu: Gpu, case: Case) -> Callable[[Arrays], Any]:
    """An ElementwiseKernel of the formula as people write it."""
    text = plain.operation(case.activation, case.computes, case.dtype)
    name = f"plain_{case.activation}_{case.computes}"
    if case.computes == "backward":
        kernel = gpu.cupy.ElementwiseKernel("T g, T v", "T y", text, name)
        return lambda on: kernel(on.grad, on.x, on.y)
    kernel = gpu.cupy.ElementwiseKernel("T v", "T y", text, name)
    return lambda on: kernel(on.x, on.y)


def tensor(torch: Any, array: Any) -> Any:
    """The memory of a CuPy array as a tensor; through integers, which both libraries know in all sizes."""
    bits = array.dtype.itemsize * 8
    return torch.from_dlpack(array.view(np.dtype(f"int{bits}"))).view(getattr(torch, array.dtype.name))


def torch_call(torch: Any, case: Case, given: Sequence[Arrays], *, compiled: bool = False) -> Call | None:
    """PyTorch's own function, or its backward pass alone; None where it has none. Its results are new tensors."""
    found = pytorch.function(torch, case.activation)
    if found is None:
        return None
    fn = torch.compile(found) if compiled else found
    if case.computes == "forward":
        return in_turn(fn, [tensor(torch, on.x) for on in given])
    passes = []
    for on in given:
        leaf = tensor(torch, on.x).requires_grad_()
        passes.append((fn(leaf), leaf, tensor(torch, on.grad)))
    return in_turn(lambda on: torch.autograd.grad(on[0], on[1], on[2], retain_graph=True)[0], passes)


def overhead(gpu: Gpu, torch: Any, n: int = 1024) -> dict[str, Any]:
    """What a call costs where there is next to nothing to compute: silu, forward, float32."""
    case = Case("silu", "forward", "float32", "fast")
    fn = _kernel(case).load()
    on = sets(gpu, case.dtype, n)[0]
    stream = gpu.cupy.cuda.Stream(non_blocking=True)
    launch = fn.function.__globals__["launch"]
    device = gpu.cupy.cuda.Device().id
    by_address = [on.x.data.ptr], [on.y.data.ptr], n

    def address() -> None:
        launch(*by_address, device=device, stream=stream.ptr)

    calls = {OURS: in_turn(ours(fn, case.computes), [on]), "relusym, by address": address}
    calls["cupy"] = in_turn(cupy_call(gpu, case), [on])
    if torch is not None:
        for name, compiled in (("torch", False), ("torch.compile", True)):
            call = torch_call(torch, case, [on], compiled=compiled)
            assert call is not None
            calls[name] = call
    times, reasons = host_times(gpu, calls)
    return {
        "n": n,
        "of": str(case),
        "times": {name: gpu_cases.summary(found) for name, found in times.items()},
        "not_run": reasons,
    }


def _kernel(case: Case) -> Kernel:
    return generate(case.activation, "cuda", case.dtype, case.computes, case.accuracy, arguments=())


def kernels_of(unit: Sequence[Case]) -> list[Kernel]:
    """The kernels of some cases, generated and, where there is a GPU, compiled into the cache that `load` looks in.

    For another process: what takes seconds is done before anything is timed.
    """
    import cupy

    capability = cupy.cuda.Device().compute_capability
    kernels = [_kernel(case) for case in unit]
    for kernel in kernels:
        kernel.load().function.__globals__["cubin"](capability)
    return kernels
