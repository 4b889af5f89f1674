"""Kernels on a GPU: the same bits as on the CPU, in every layout, on every stream, at every size."""

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gpu_timing import Gpu
from relusym_codegen import acceptance, generate
from relusym_codegen.kernel import Kernel
from relusym_codegen.program import evaluate
from relusym_codegen.signatures import FUSED
from relusym_codegen.targets import cuda

from relusym.activations import NAMES, named
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, all_values, from_bits
from relusym.judge import check
from relusym.judge.laws import canonical_bits

cupy = pytest.importorskip("cupy", reason="CuPy is not installed (the extras `cuda12` and `cuda13`)")

LACK = cuda.gpu_missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(LACK is not None, reason=str(LACK))]

CHANNELS = 64  # of the last axis: divides the number of inputs below


def kernels_of(name: str, dtype: str) -> Iterator[Kernel]:
    """Every quantity of an activation in a dtype, in both accuracies where they differ."""
    for computes in (*acceptance.COMPUTES, *FUSED):
        (batch,) = acceptance.batches([named(name)], targets=("cuda",), dtypes=(dtype,), computes=(computes,))
        try:
            yield from acceptance.kernels(batch)
        except InvalidRequest:
            assert computes == "backward-from-output", "f' is no function of f for some; all else there is for all"


def inputs(dtype: str) -> Any:
    """All values in 16 bits; in float32 each 4093rd, in float64 10^6 by chance, of all bit patterns."""
    form = FORMATS[dtype]
    if form.bits == 16:
        return all_values(form)
    if form.bits == 32:
        return from_bits(np.arange(0, 2**32, 4093).astype(np.uint32)[: 2**20], form)
    patterns = np.random.default_rng(64).integers(0, 2**64, 10**6, dtype=np.uint64, endpoint=False)
    return from_bits(patterns, form)


def operands(kernel: Kernel, points: Any) -> list[Any]:
    """Arrays for a call: the point where f is taken goes through all inputs in order, the others by chance."""
    random = np.random.default_rng(1)
    rows = points.reshape(-1, CHANNELS)
    given = []
    for array in kernel.signature.arrays:
        if array == kernel.signature.point:
            given.append(rows)
        elif array == kernel.signature.channelwise:
            given.append(np.linspace(-2, 2, CHANNELS).astype(rows.dtype))
        else:
            given.append(random.permutation(points).reshape(rows.shape))
    return given


def same_bits(on_gpu: Any, on_cpu: Any) -> bool:
    """Whether results agree bit for bit, all NaNs being one."""
    theirs, ours = (found if isinstance(found, tuple) else (found,) for found in (on_gpu, on_cpu))
    return all(
        np.array_equal(canonical_bits(cupy.asnumpy(one)), canonical_bits(other))
        for one, other in zip(theirs, ours, strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", list(FORMATS))
def test_the_bits_are_those_of_the_same_text_on_the_cpu(name: str, dtype: str) -> None:
    kernels, points = list(kernels_of(name, dtype)), inputs(dtype)
    different = []
    for kernel, on_cpu in zip(kernels, cuda.load_on_cpu(kernels), strict=True):
        arrays, arguments = operands(kernel, points), [0.25] * len(kernel.arguments)
        with np.errstate(all="ignore"):
            expected = on_cpu(*arrays, *arguments)
        if not same_bits(kernel.load()(*map(cupy.asarray, arrays), *arguments), expected):
            different.append(kernel.identifier)
    assert different == []


@pytest.mark.slow
@pytest.mark.parametrize("computes", ["forward", "derivative"])
@pytest.mark.parametrize("name", NAMES)
def test_the_bits_are_those_of_the_c_kernel_at_all_float32_inputs(name: str, computes: str) -> None:
    ours, theirs = (generate(name, target, "float32", computes, "fast", arguments=()) for target in ("cuda", "c"))
    assert ours.program == theirs.program
    on_gpu, on_cpu = ours.load(), theirs.load()
    step = 2**24
    for first in range(0, 2**32, step):
        points = from_bits(np.arange(first, first + step, dtype=np.uint32), FORMATS["float32"])
        with np.errstate(all="ignore"):
            expected = on_cpu(points)
        assert same_bits(on_gpu(cupy.asarray(points)), expected), f"patterns {first:#x} to {first + step - 1:#x}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", list(FORMATS))
def test_the_judge_is_satisfied(name: str, dtype: str) -> None:
    kernel = generate(name, "cuda", dtype, arguments=())
    fn = kernel.load()
    report = check(
        lambda x: cupy.asnumpy(fn(cupy.asarray(x))),
        name,
        dtype=dtype,
        extra_points=kernel.thresholds,
        bound=acceptance.bound_for(dtype, "forward", "precise", "cuda"),
        within=acceptance.TRUSTED.get(name),
    )
    assert report.passed, str(report)


@functools.cache
def elu_slope(dtype: str) -> tuple[Any, Any, Any]:
    """The kernel of elu's derivative, points, and its values there."""
    kernel = generate("elu", "cuda", dtype, "derivative", arguments=())
    points = np.linspace(-9, 9, 4 * 8192 + 9).astype(FORMATS[dtype].dtype)
    (whole,) = evaluate(kernel.program, {"x": points})
    return kernel.load(), points, whole.astype(points.dtype)


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_every_length_and_alignment_gives_the_same_bits(dtype: str) -> None:
    fn, points, whole = elu_slope(dtype)
    on_gpu = cupy.asarray(points)
    lanes = [bytes_ // points.itemsize for bytes_ in (16, 32)]
    tiles = [k * cuda.THREADS * lane for lane in lanes for k in (1, 2, 4)]
    for length in (*range(70), *(tile + step for tile in tiles for step in (-1, 0, 1, *lanes)), points.size - 3):
        for start in (0, 1, 3):
            result = fn(on_gpu[start : start + length])
            assert result.shape == (min(length, points.size - start),)
            assert np.array_equal(cupy.asnumpy(result), whole[start : start + length])


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_what_lies_around_a_result_is_not_touched(dtype: str) -> None:
    fn, points, whole = elu_slope(dtype)
    on_gpu = cupy.asarray(points)
    for length in (1, 7, 63, 4095):
        for start in (0, 1, 16):
            around = cupy.asarray(np.full(points.size, 7, points.dtype))
            fn(on_gpu[start : start + length], out=around[start : start + length])
            host = cupy.asnumpy(around)
            assert np.array_equal(host[start : start + length], whole[start : start + length])
            assert np.all(host[:start] == 7)
            assert np.all(host[start + length :] == 7)


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_every_layout_gives_the_same_bits(dtype: str) -> None:
    fn, points, whole = elu_slope(dtype)
    shape = (2, 3, 4, 5, 6, 7)
    size = int(np.prod(shape))
    plain, expected = points[:size].reshape(shape), whole[:size].reshape(shape)
    on_gpu = cupy.asarray(plain)
    for key in (
        (slice(None), 0),
        (..., slice(None, None, 2)),
        (slice(None), slice(None, None, -1), 1, slice(1, 4)),
        (slice(None, None, -1),) * 6,
        (slice(None), slice(None, None, 2), slice(None, None, 3), slice(None, None, 2), slice(1, 4), slice(2)),
    ):
        result = fn(on_gpu[key])
        assert np.array_equal(cupy.asnumpy(result), expected[key])
        out = cupy.asarray(np.zeros(shape, points.dtype))
        fn(on_gpu[key], out=out[key])
        assert np.array_equal(cupy.asnumpy(out)[key], expected[key])
        here = cupy.asarray(plain)
        fn(here[key], out=here[key])
        assert np.array_equal(cupy.asnumpy(here)[key], expected[key])
    assert np.array_equal(cupy.asnumpy(fn(on_gpu.T)), expected.T)


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_every_quantity_may_be_written_in_place(dtype: str) -> None:
    forward, both, backward = (
        generate("elu", "cuda", dtype, computes, arguments=()).load()
        for computes in ("forward", "forward-derivative", "backward")
    )
    _, points, _ = elu_slope(dtype)
    for start in (0, 1):

        def fresh(start: int = start) -> Any:
            return cupy.asarray(points)[start:]

        x = fresh()
        value, (first, slope), product = forward(x), both(x), backward(x, x)
        here = fresh()
        assert same_bits(forward(here, out=here), cupy.asnumpy(value))
        here, other = fresh(), fresh()
        both(here, out=(other, here))
        assert same_bits((other, here), (cupy.asnumpy(first), cupy.asnumpy(slope)))
        here = fresh()
        assert same_bits(backward(here, here, out=here), cupy.asnumpy(product))


def test_more_than_two_to_the_31_elements_are_all_computed() -> None:
    n = 2**31 + 9
    free, _ = cupy.cuda.runtime.memGetInfo()
    if free < 3 * n * 2:
        pytest.skip(f"takes {3 * n * 2} bytes of the GPU's memory, {free} are free")
    relu = generate("relu", "cuda", "float16").load()
    x = cupy.full(n, -1, np.float16)
    x[-9:] = 2
    for begin in (0, 1):  # in packs, and one by one
        y = relu(x[begin:])
        assert int(cupy.count_nonzero(y)) == 9
        assert float(y[-1]) == float(y[-9]) == 2
        assert float(y[2**31 - 2]) == 0
        del y
    relu(x, out=x)
    assert int(cupy.count_nonzero(x)) == 9


@pytest.mark.parametrize("by_address", [False, True])
def test_a_kernel_waits_for_what_stands_before_it_in_its_stream(by_address: bool) -> None:
    fn = generate("relu", "cuda").load()
    stream = cupy.cuda.Stream(non_blocking=True)
    x, y = cupy.zeros(1 << 20, np.float32), cupy.zeros(1 << 20, np.float32)
    gpu = Gpu.found()
    fn(x)
    with stream:
        gpu.wait(0)
    cupy.cuda.Device().synchronize()
    with stream:
        gpu.wait(0.05)
        x.fill(3)
        if not by_address:
            fn(x, out=y)
    if by_address:
        launch = fn.function.__globals__["launch"]
        launch([x.data.ptr], [y.data.ptr], x.size, device=cupy.cuda.Device().id, stream=stream.ptr)
    stream.synchronize()
    assert bool((y == 3).all())


def test_arrays_that_do_not_fit_are_refused_by_name() -> None:
    backward, biased = (generate("relu", "cuda", "float32", word).load() for word in ("backward", "bias-forward"))
    host = np.zeros((8, 6), np.float32)
    x = cupy.asarray(host)
    for call, error, words in (
        (lambda: backward(x, x.astype(np.float64)), TypeError, "x is float64; this kernel is for float32"),
        (lambda: backward(host, x), TypeError, "grad is not on a GPU"),
        (lambda: backward(x, [1.0]), TypeError, "must be an array on a GPU, not list"),
        (lambda: backward(x, x[0]), ValueError, "x has shape"),
        (lambda: backward(x, x, out=x[0]), ValueError, "y has shape"),
        (lambda: backward(x[1:], x[1:], out=x[:-1]), ValueError, "overlaps"),
        (lambda: backward(x[:, 1:], x[:, 1:], out=x[:, :-1]), ValueError, "overlaps"),
        (lambda: biased(x, x[0, :5]), ValueError, "bias has shape"),
        (lambda: biased(x, x[0], out=x), ValueError, "overlaps that of bias"),
    ):
        with pytest.raises(error, match=words):
            call()
    assert np.array_equal(cupy.asnumpy(x), host)


@pytest.mark.skipif(LACK is not None or cupy.cuda.runtime.getDeviceCount() < 2, reason="one CUDA device only")
def test_arrays_of_two_devices_are_refused_and_each_is_computed_on_its_own() -> None:
    fn = generate("relu", "cuda", computes="backward").load()
    here = cupy.ones(8, np.float32)
    with cupy.cuda.Device(1):
        there = cupy.ones(8, np.float32)
    with pytest.raises(ValueError, match=r"x has shape .* on device 1"):
        fn(here, there)
    assert fn(there, there).device.id == 1


def test_arrays_of_others_are_taken_by_their_interface() -> None:
    class Interfaced:
        def __init__(self, array: Any) -> None:
            self.array, self.__cuda_array_interface__ = array, array.__cuda_array_interface__

    fn = generate("relu", "cuda").load()
    x = cupy.asarray(np.array([-1, 2], np.float32))
    assert np.array_equal(cupy.asnumpy(fn(Interfaced(x))), [0, 2])


SANITIZED = """
import cupy, numpy as np
from relusym_codegen import generate
cupy.cuda.set_allocator(None)  # a pool would hide accesses outside of an array
for dtype in ("float16", "float64"):
    calls = [
        generate("elu", "cuda", dtype, computes, arguments=()).load()
        for computes in ("forward", "backward", "bias-backward")
    ]
    forward, backward, biased = calls
    for n in (1, 7, 8, 4096, 8192 + 5):
        x = cupy.asarray(np.linspace(-2, 2, n + 1).astype(dtype))
        for part in (x[1:], x[:-1], x[::2]):
            forward(part)
            backward(part, part)
            forward(part, out=part)
    rows = cupy.asarray(np.ones((70, 24), dtype))
    for channels in (24, 23):
        part = cupy.ascontiguousarray(rows[:, :channels])
        biased(part, part, part[0].copy())
cupy.cuda.Device().synchronize()
"""


@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_compute_sanitizer_finds_nothing(tool: str) -> None:
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("no compute-sanitizer on PATH (it comes with the CUDA toolkit)")
    command = [sanitizer, "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", SANITIZED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
