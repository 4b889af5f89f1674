"""What ReLU costs beside sigmoid and tanh, on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from relusym.errors import Missing
from relusym_codegen import compilers
from relusym_codegen.claims.citations import GLOROT, KRIZHEVSKY
from relusym_codegen.claims.statements import Claim, Effort, Measurement, Ruling, Settled
from relusym_codegen.generation import generate
from relusym_codegen.layers import Array
from relusym_codegen.signatures import signature_of

_SIZE, _CALLS = 1 << 18, 12
_QUANTITIES = ("forward", "backward")


def _cheap(effort: Effort) -> Settled:
    places: list[tuple[str, Callable[[str, str, Effort], tuple[float, ...]]]] = [("numpy", _numpy_times)]
    absent = []
    if compilers.available() is None:
        absent.append("C kernels: there is no C compiler")
    else:
        places.append(("c", _c_times))
    try:
        generate("relu", "cuda").load()
    except Missing as reason:
        absent.append(f"GPU: {str(reason).split(';')[0]}")
    else:
        places.append(("cuda", _gpu_times))
    ratios = {}
    for place, timed in places:
        for computes in _QUANTITIES:
            base = timed("relu", computes, effort)
            for other in ("sigmoid", "tanh"):
                pairs = zip(timed(other, computes, effort), base, strict=True)
                ratios[f"{place}, {computes}: time of {other} over time of relu"] = tuple(
                    one / two for one, two in pairs
                )
    lacking = f" Not run: {'; '.join(absent)}." if absent else ""
    return Settled(
        Ruling.MEASURED,
        f"Times of float32 kernels on {_SIZE:,} elements, the least of {_CALLS} calls in each repetition.{lacking}",
        measurements=tuple(Measurement(quantity, samples) for quantity, samples in ratios.items()),
        supported=all(float(np.median(samples)) > 1 for samples in ratios.values()),
        on_this_machine=True,
    )


def _numpy_times(name: str, computes: str, effort: Effort) -> tuple[float, ...]:
    return _cpu_times("numpy", name, computes, effort)


def _c_times(name: str, computes: str, effort: Effort) -> tuple[float, ...]:
    return _cpu_times("c", name, computes, effort)


def _cpu_times(target: str, name: str, computes: str, effort: Effort) -> tuple[float, ...]:
    """Seconds of a call, for each repetition the least of a few."""
    function, arrays = generate(name, target, computes=computes).load(), _inputs(computes)
    function(*arrays)

    def once() -> float:
        begin = time.perf_counter()
        function(*arrays)
        return time.perf_counter() - begin

    return tuple(min(once() for _ in range(_CALLS)) for _ in effort.seeds)


def _gpu_times(name: str, computes: str, effort: Effort) -> tuple[float, ...]:
    """The same between two events on the GPU."""
    import cupy

    function = generate(name, "cuda", computes=computes).load()
    arrays = [cupy.asarray(array) for array in _inputs(computes)]
    function(*arrays)

    def once() -> float:
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        function(*arrays)
        end.record()
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(begin, end)) / 1000

    return tuple(min(once() for _ in range(_CALLS)) for _ in effort.seeds)


def _inputs(computes: str) -> list[Array]:
    """Normal inputs, seeded; a gradient before them for the backward pass."""
    random = np.random.default_rng(0)
    return [random.standard_normal(_SIZE).astype(np.float32) for _ in signature_of(computes).arrays]


CLAIMS = (
    Claim(
        "relu-cheap",
        "ReLU is cheaper to compute than sigmoid and tanh.",
        f"{GLOROT}; {KRIZHEVSKY}, section 3.1",
        _cheap,
    ),
)
