"""The GPU's benchmark from end to end, on a machine that pretends: times are those of the CPU, and thrown away."""

import ctypes
import json
import re
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_cupy
import gpu
import gpu_cases
import gpu_page
import gpu_timing
import numpy as np
import plain
import pytest
from gpu_cases import COPY, OURS, Case
from relusym_codegen import compilers, generate
from relusym_codegen.targets import cuda

from relusym.activations import NAMES

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler to run CUDA text on the CPU"
)


class Event:
    """A point in time; `done` as if the host were always quicker than the device."""

    done = False

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pretended GPU of `fake_cupy`, with what a benchmark needs besides; CuPy's elu is refused."""
    wanted = [
        *((case.activation, case.dtype, case.computes, case.accuracy) for case in gpu_cases.cases(["relu", "elu"])),
        ("silu", "float32", "forward", "fast"),
    ]
    kernels = [generate(name, "cuda", dtype, computes, acc, arguments=()) for name, dtype, computes, acc in wanted]
    pretended = fake_cupy.install(monkeypatch, kernels)
    cupy = sys.modules["cupy"]
    held: list[int] = []

    class Stream(cupy.cuda.Stream):  # type: ignore[misc,name-defined]
        def __init__(self, ptr: int = 0, *, non_blocking: bool = False) -> None:
            super().__init__(ptr or 0xBEE)

    def elementwise(inputs: str, outputs: str, text: str, name: str) -> Any:
        def call(*arrays: Any) -> None:
            if name.startswith("plain_elu"):
                raise RuntimeError("not for\nthis one")
            arrays[-1].host.fill(0)

        return call

    def memcpy(target: int, source: int, size: int, kind: int, stream: int) -> None:
        assert kind == 3
        ctypes.memmove(target, source, size)

    def asarray(array: Any) -> Any:
        return fake_cupy.ndarray(array, 0) if isinstance(array, np.ndarray) else array

    monkeypatch.setattr(cupy.cuda.Device, "attributes", {"L2CacheSize": 2**12}, raising=False)
    monkeypatch.setattr(cupy.cuda.Device, "synchronize", lambda self: None, raising=False)
    for name, value in {
        "RawKernel": lambda text, name: lambda grid, block, args: held.append(int(args[0])),
        "ElementwiseKernel": elementwise,
        "asarray": asarray,
        "get_default_memory_pool": lambda: SimpleNamespace(free_all_blocks=lambda: None),
        "__version__": "0.0",
    }.items():
        monkeypatch.setattr(cupy, name, value, raising=False)
    for name, value in {
        "Event": Event,
        "Stream": Stream,
        "get_elapsed_time": lambda start, stop: (stop.at - start.at) * 1000,
    }.items():
        monkeypatch.setattr(cupy.cuda, name, value, raising=False)
    for name, value in {
        "memcpyAsync": memcpy,
        "memcpyDeviceToDevice": 3,
        "memGetInfo": lambda: (2**19, 2**20),
        "getDeviceProperties": lambda device: {"name": b"Pretended GPU"},
        "driverGetVersion": lambda: 13020,
        "runtimeGetVersion": lambda: 12090,
    }.items():
        monkeypatch.setattr(cupy.cuda.runtime, name, value, raising=False)
    monkeypatch.setenv("RELUSYM_CACHE", "off")
    monkeypatch.setattr(gpu, "_torch", lambda: None)
    pretended.held = held  # type: ignore[attr-defined]
    return pretended


@needs_compiler
def test_a_run_leaves_a_record_of_every_kernel_and_its_peers(
    machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_cases, "SIZES", (2**8, 2**10, 2**20))
    monkeypatch.setattr(gpu_timing, "ROUNDS", 3)
    before = set((gpu.ROOT / "docs" / "reference").iterdir())
    code = gpu.main(["relu", "elu", "--json", str(tmp_path / "record.json"), "--jobs", "1"])
    printed = capsys.readouterr().out
    document = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert set((gpu.ROOT / "docs" / "reference").iterdir()) == before
    counts = gpu_cases.tally(document["rows"])
    assert code == (1 if counts["missed"] else 0)
    assert document["complete"]
    assert (document["schema"], document["device"]["name"]) == (1, "Pretended GPU")
    assert (document["versions"]["CUDA driver"], document["versions"]["CUDA runtime"]) == ("13.2", "12.9")
    rows = {gpu_cases.case_of(row): row for row in document["rows"]}
    assert set(rows) == set(gpu_cases.cases(["relu", "elu"]))
    for case, row in rows.items():
        peers = {"cupy"} if case.activation == "relu" and case.accuracy == "fast" else set()
        assert {size: set(times) for size, times in row["times"].items()} == {
            size: {COPY, OURS, *peers} for size in ("256", "1024")
        }
        assert all(
            0 < t["least"] <= t["median"] <= t["most"] for times in row["times"].values() for t in times.values()
        )
        assert "are free" in row["not_run"][str(2**20)]
        refused = case.activation == "elu" and case.accuracy == "fast"
        assert row["not_run"].get("cupy") == ("RuntimeError: not for" if refused else None)
        assert gpu_page.line(row) in printed
    assert {"relusym", "relusym, by address", "cupy"} == set(document["overhead"]["times"])
    assert {launch.stream for launch in machine.launches} == {0, 0xBEE}
    assert set(machine.held) == {int(gpu_timing.FIRST_WAIT * gpu_timing.CLOCK)}
    assert {launch.name for launch in machine.launches} == {kernel.identifier for kernel in machine.kernels}
    assert "Pretended GPU" in gpu_page.page([document])


@needs_compiler
def test_pytorch_takes_part_and_torch_compile_until_its_time_is_up(
    machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
    monkeypatch.setattr(gpu_cases, "SIZES", (2**8,))
    monkeypatch.setattr(gpu_cases, "DTYPES", ("float32", "float64"))
    monkeypatch.setattr(gpu, "_torch", lambda: torch)
    monkeypatch.setattr(gpu_timing, "tensor", lambda torch, array: torch.from_numpy(array.host))
    monkeypatch.setattr(gpu_timing, "overhead", lambda gpu, torch: {"times": {}})
    gpu.main(["relu", "--json", str(tmp_path / "record.json"), "--jobs", "1", "--minutes", "0"])
    for row in json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))["rows"]:
        fast = row["accuracy"] == "fast"
        assert ("torch" in row["times"]["256"]) == fast
        assert ("its time was up" in row["not_run"].get("torch.compile", "")) == (fast and row["dtype"] == "float32")


def test_calls_that_the_host_cannot_queue_in_time_are_no_measurement(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gpu_timing.Gpu.found()
    assert found.cache == 2**12
    monkeypatch.setattr(Event, "done", True)
    with pytest.raises(gpu_timing.HostBound, match="5 calls take the host longer"):
        gpu_timing.device_time(found, lambda: None, 5)
    assert len(machine.held) == gpu_timing.ATTEMPTS
    assert machine.held == sorted(set(machine.held))
    times, reasons = gpu_timing.device_times(found, {"peer": lambda: None}, 1)
    assert times == {}
    assert reasons["peer"].startswith("HostBound: ")
    with pytest.raises(gpu_timing.HostBound):
        gpu_timing.device_times(found, {OURS: lambda: None}, 1)


@pytest.mark.parametrize("name", ["silu", "prelu", "gelu_tanh", "threshold", "identity"])
def test_pytorch_is_timed_on_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")
    monkeypatch.setattr(gpu_timing, "tensor", lambda torch, array: torch.from_numpy(array))
    points = np.linspace(-4, 4, 41)
    given = [gpu_timing.Arrays(points + 1, points * scale, None) for scale in (1, 2)]
    for computes in gpu_cases.COMPUTES:
        call = gpu_timing.torch_call(torch, Case(name, computes, "float64", "fast"), given)
        if name == "identity":
            assert call is None, "a copy is there already"
            continue
        assert call is not None
        kernel = generate(name, "numpy", "float64", computes, arguments=()).load()
        for on in (*given, given[0]):
            want = kernel(on.x) if computes == "forward" else kernel(on.grad, on.x)
            np.testing.assert_allclose(call().detach().numpy(), want, rtol=0, atol=1e-13)


def test_without_a_gpu_nothing_is_measured_or_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu, "gpu_missing", lambda: "CuPy finds no CUDA device")
    assert gpu.main(["--json", str(tmp_path / "record.json")]) == 3
    assert "CuPy finds no CUDA device. Nothing was measured." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="2"):
        gpu.main(["no_such_activation"])


@needs_compiler
def test_the_formula_of_the_peer_is_the_activation() -> None:
    """In double, at inputs where a formula as it stands loses no more than a few hundred roundings of numbers to 10."""
    lines = ["#include <cmath>", "typedef double T;", 'extern "C" {']
    entries = [(name, computes) for name in NAMES for computes in gpu_cases.COMPUTES]
    for name, computes in entries:
        body = plain.operation(name, computes, "float64")
        lines.append(f"double {name}_{computes}(double v, double g) {{ double y; {body} return y; }}")
    text = "\n".join([*lines, "}"])
    assert not re.search(r"Not supported|\bM_\w+|powf?\(", text)
    library = compilers.library(text, flags=cuda.FLAGS, language="c++", tuned=False, keep=False)
    points = np.linspace(-3.9, 4.1, 41)
    for name, computes in entries:
        function = library[f"{name}_{computes}"]
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * 2
        got = [function(point, 1.5) for point in points]
        kernel = generate(name, "numpy", "float64", computes, arguments=()).load()
        want = kernel(points) if computes == "forward" else kernel(np.full_like(points, 1.5), points)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13, err_msg=f"{name} {computes}")


def test_the_peer_computes_in_float_but_for_float64() -> None:
    for name in NAMES:
        for computes in gpu_cases.COMPUTES:
            text = plain.operation(name, computes, "bfloat16")
            assert "double" not in text
            assert not re.search(r"(?<![\w.])\d+\.\d*(e[-+]?\d+)?(?![\dFe.])", text), "a literal without F is a double"
            assert not re.search(r"\b(exp|log|sqrt|tanh|erfc?|fabs|sin|cos)\(", text)
