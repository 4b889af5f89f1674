"""Our CUDA kernels beside a device-to-device copy, CuPy's ElementwiseKernel and PyTorch, in one run on one GPU.

    python benchmarks/gpu.py [--quick] [--json FILE] [NAME ...]
    python benchmarks/gpu.py --page

For n = 2^20, 2^22, ..., 2^28, forward and backward, float32, bfloat16, float16 and float64: the median time of each
contender by the GPU's own clock, and what a launch costs. Writes benchmarks/results/gpu-DEVICE.json, after each dtype
what is there by then, and docs/reference/benchmarks-gpu.md; with --quick (n = 2^26, float32 and bfloat16), NAMEs or
--json only FILE, if there is one. `--page` writes the page anew from all records. Exit codes: 0 measured, 1 a kernel
misses its goal, 2 wrong usage, 3 there is no GPU or no CuPy.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import platform
import sys
import time
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import gpu_cases
import gpu_page
import gpu_timing
from gpu_cases import COPY, OURS, Case
from gpu_timing import Gpu
from relusym_codegen.targets.cuda import gpu_missing

from relusym.activations import NAMES
from relusym.workers import in_processes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
COMPILED_DTYPES = gpu_cases.QUICK_DTYPES
"""Where torch.compile is measured, at the largest n alone: it takes seconds for each function."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="n = 2^26, float32 and bfloat16, without torch.compile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record there")
    parser.add_argument("--page", action="store_true", help="write the page from the records; measures nothing")
    parser.add_argument("--minutes", type=float, default=7.0, help="after so many, torch.compile is left out")
    parser.add_argument("--jobs", type=int, help="processes that generate kernels; by default one a core")
    parser.add_argument("names", nargs="*", metavar="NAME", help="activations; all by default")
    given = parser.parse_args(argv)
    if given.page:
        gpu_page.write(ROOT)
        return 0
    if unknown := [name for name in given.names if name not in NAMES]:
        parser.error(f"no activation is called {', '.join(unknown)}; known: {', '.join(NAMES)}")
    if lack := gpu_missing():
        print(
            f"benchmarks/gpu.py measures kernels on a GPU, and cannot here: {lack}. Nothing was measured. What can be "
            "known without a GPU: relusym doctor --gpu-check",
            file=sys.stderr,
        )
        return 3
    began = time.monotonic()
    whole = not (given.quick or given.names or given.json)
    gpu, torch = Gpu.found(), _torch()
    document = _document(gpu, torch, quick=given.quick)
    path = given.json or (RESULTS / f"gpu-{gpu_cases.slug(document['device']['name'])}.json" if whole else None)
    dtypes = gpu_cases.QUICK_DTYPES if given.quick else gpu_cases.DTYPES
    wanted = gpu_cases.cases(given.names or NAMES, dtypes)
    kernels = _kernels(wanted, given.jobs)
    print(f"{len(kernels)} kernels are compiled, after {time.monotonic() - began:.0f} s", flush=True)
    for dtype in dtypes:
        group = [case for case in wanted if case.dtype == dtype]
        rows: dict[Case, dict[str, Any]] = {case: _row(case) for case in group}
        for n in document["sizes"]:
            until = None
            if not given.quick and dtype in COMPILED_DTYPES and n == document["sizes"][-1]:
                until = began + given.minutes * 60
            _measure(gpu, torch, rows, kernels, dtype, n, until)
        for row in rows.values():
            print(gpu_page.line(row), flush=True)
        document["rows"] += rows.values()
        _save(document, path)
    document["overhead"] = gpu_timing.overhead(gpu, torch)
    document["complete"] = True
    document["seconds"] = round(time.monotonic() - began)
    _save(document, path)
    print(json.dumps(document["overhead"]["times"]))
    found = gpu_cases.tally(document["rows"])
    print(", ".join(f"{count} {word}" for word, count in found.items()) + f"; {document['seconds']} s")
    if whole:
        gpu_page.write(ROOT)
    return 1 if found["missed"] else 0


def _kernels(wanted: Sequence[Case], jobs: int | None) -> dict[Case, Any]:
    """All kernels, generated and compiled in processes; what is shared by dtypes is found out once."""
    units = [
        tuple(group)
        for _, group in itertools.groupby(
            sorted(wanted, key=lambda case: (case.activation, case.computes)),
            key=lambda case: (case.activation, case.computes),
        )
    ]
    made = in_processes(
        units, gpu_timing.kernels_of, doing="generating kernels", name=lambda unit: str(unit[0]), jobs=jobs
    )
    return {
        case: kernel for unit, some in zip(units, made, strict=True) for case, kernel in zip(unit, some, strict=True)
    }


def _row(case: Case) -> dict[str, Any]:
    return {
        "activation": case.activation,
        "computes": case.computes,
        "dtype": case.dtype,
        "accuracy": case.accuracy,
        "times": {},
        "not_run": {},
    }


def _measure(
    gpu: Gpu,
    torch: Any,
    rows: dict[Case, dict[str, Any]],
    kernels: dict[Case, Any],
    dtype: str,
    n: int,
    compile_until: float | None,
) -> None:
    """All kernels of a dtype at one size, into the rows; what memory or time does not allow, the rows say.

    torch.compile takes part until the clock says `compile_until`; not at all where that is None.
    """
    free, _ = gpu.cupy.cuda.runtime.memGetInfo()
    needed = gpu_cases.bytes_of(dtype, n, 3) * gpu_cases.sets_of(dtype, n, gpu.cache)
    needed += gpu_cases.bytes_of(dtype, n, 3)  # PyTorch makes results of its own
    if needed > free:
        for row in rows.values():
            row["not_run"][str(n)] = f"takes {needed} bytes of memory, {free} are free"
        return
    arrays = gpu_timing.sets(gpu, dtype, n)
    for case, row in rows.items():
        fn = kernels[case].load()
        calls = {
            COPY: gpu_timing.in_turn(gpu_timing.copy(gpu), arrays),
            OURS: gpu_timing.in_turn(gpu_timing.ours(fn, case.computes), arrays),
        }
        if case.accuracy == "fast":  # peers have one tier
            calls["cupy"] = gpu_timing.in_turn(gpu_timing.cupy_call(gpu, case), arrays)
            if torch is not None:
                for name, compiled in (("torch", False), ("torch.compile", True)):
                    if compiled:
                        if compile_until is None:
                            continue
                        if time.monotonic() > compile_until:
                            row["not_run"][name] = "left out, for its time was up (--minutes)"
                            continue
                    try:
                        call = gpu_timing.torch_call(torch, case, arrays, compiled=compiled)
                    except Exception as error:
                        row["not_run"][name] = gpu_timing.reason_of(error)
                        continue
                    if call is not None:
                        calls[name] = call
        times, reasons = gpu_timing.device_times(gpu, calls, gpu_cases.calls_of(dtype, n))
        row["times"][str(n)] = {name: gpu_cases.summary(found) for name, found in times.items()}
        row["not_run"] |= reasons
        if torch is not None:
            del calls
            torch.cuda.empty_cache()
    del arrays
    gpu.free()


def _torch() -> Any:
    """PyTorch where it is installed and sees the GPU, else None."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    import torch._dynamo
    import torch._functorch.config

    # the same backward pass is run again and again, so it may not eat what was saved for it
    torch._functorch.config.donated_buffer = False
    # one compilation for each function and dtype, all of them through one lambda or partial
    torch._dynamo.config.cache_size_limit = 1024
    return torch


def _document(gpu: Gpu, torch: Any, *, quick: bool) -> dict[str, Any]:
    runtime = gpu.cupy.cuda.runtime
    device = gpu.cupy.cuda.Device()
    properties = runtime.getDeviceProperties(device.id)
    versions = {
        "relusym": metadata.version("relusym"),
        "CuPy": gpu.cupy.__version__,
        "CUDA driver": _version(runtime.driverGetVersion()),
        "CUDA runtime": _version(runtime.runtimeGetVersion()),
        "NVRTC": ".".join(map(str, gpu.cupy.cuda.nvrtc.getVersion())),
        "PyTorch": "not there, or without a GPU" if torch is None else torch.__version__,
        "Python": platform.python_version(),
    }
    return {
        "schema": 1,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": {
            "name": properties["name"].decode(),
            "compute_capability": device.compute_capability,
            "l2_bytes": gpu.cache,
            "memory_bytes": runtime.memGetInfo()[1],
            "driver": _driver(),
        },
        "versions": versions,
        "quick": quick,
        "complete": False,
        "sizes": gpu_cases.QUICK_SIZES if quick else gpu_cases.SIZES,
        "unit": "microseconds a call",
        "rows": [],
        "overhead": None,
    }


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver() -> str:
    """The version of the kernel driver, as Linux tells it."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    words = text.splitlines()[0].split("  ")
    return next((word.strip() for word in words if word.strip()[:1].isdigit()), "unknown")


def _save(document: dict[str, Any], path: Path | None) -> None:
    """The record so far; a run that is stopped leaves whole rows behind."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
        beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
