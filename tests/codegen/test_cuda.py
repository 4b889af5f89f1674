"""The CUDA text: what stands in it, and what it computes when a C++ compiler runs it on the CPU."""

import re
import shutil
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relusym_codegen import acceptance, generate
from relusym_codegen.program import evaluate
from relusym_codegen.targets import cuda
from sympy import Symbol

from relusym.activation import Activation, Parameter, x
from relusym.errors import InvalidRequest, Missing
from relusym.floats import FORMATS, all_values

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler to run CUDA text on the CPU"
)


def test_the_text_has_vector_accesses_and_one_element_function() -> None:
    text = generate("silu", "cuda", "float16").device_source
    assert "alignas(16)" in text
    assert "lane[8]" in text
    assert text.count("_element(") == 2
    loops = re.findall(r"(#pragma unroll.*)\n\s*for \((.*)", text)
    assert len(loops) == len(re.findall(r"\bfor \(", text))
    outer = [pragma for pragma, head in loops if "Pack::lanes" not in head and "DEPTH" not in head]
    assert set(outer) == {"#pragma unroll 1"}


@pytest.mark.parametrize("computes", ["forward", "backward", "forward-derivative", "bias-forward", "bias-backward"])
def test_only_the_kernel_for_separate_memory_promises_that_nothing_overlaps(computes: str) -> None:
    entries = cuda.entries(generate("elu", "cuda", computes=computes).device_source)
    promising = [name for name, parameters in entries if "__restrict__" in parameters]
    assert promising == [generate("elu", "cuda", computes=computes).identifier]
    assert len(entries) == 4


def test_divisions_and_roots_would_be_found() -> None:
    assert cuda.slow_operations('y = a / b; // 1/2\nasm("cvt %0");') == ["/"]
    assert cuda.slow_operations("sqrtf(x) + __fsqrt_rn(x) + i % n") == ["sqrtf", "__fsqrt_rn", "%"]


def test_a_parameter_may_have_the_name_of_a_variable_of_the_text() -> None:
    for word in ("lanes", "channel", "sum", "shift"):
        symbol = Symbol(word, positive=True)
        activation = Activation("f", symbol * x, parameters=(Parameter(symbol, 2),))
        for computes in ("forward", "bias-backward"):
            text = generate(activation, "cuda", computes=computes, arguments=[word]).device_source
            assert f"const float {word}_" in text


@needs_compiler
@pytest.mark.parametrize(
    ("name", "dtypes", "computes"),
    [  # .ci/run judges all of elu in float16 and float32
        ("elu", ("float32",), ("derivative",)),
        ("prelu", ("float16",), None),
        ("hardshrink", ("bfloat16",), ("forward", "derivative")),
        *(
            pytest.param(name, ("float16", "bfloat16", "float32"), None, marks=pytest.mark.slow)
            for name in ("elu", "prelu", "hardshrink")
        ),
    ],
)
def test_the_text_on_the_cpu_satisfies_the_judge(
    name: str, dtypes: tuple[str, ...], computes: tuple[str, ...] | None
) -> None:
    from relusym.activations import named

    (batch,) = acceptance.batches([named(name)], targets=("cuda",), dtypes=dtypes, computes=computes)
    for result in acceptance.run(batch):
        assert result.status == "passed", result.report
        assert "the GPU was not run" in result.reason


@needs_compiler
def test_body_and_tail_give_the_same_bits_at_every_length() -> None:
    kernels = [generate("elu", "cuda", dtype, "derivative") for dtype in ("float16", "float32", "float64")]
    for kernel, fn in zip(kernels, cuda.load_on_cpu(kernels), strict=True):
        points = np.linspace(-9, 9, 3 * 8192 + 9).astype(kernel.dtype)
        (whole,) = evaluate(kernel.program, {"x": points})
        whole = whole.astype(kernel.dtype)
        lanes = 16 // points.itemsize
        tiles = [k * cuda.THREADS * lanes for k in (1, 2, 4, 6)]
        for length in (*range(20), *(tile + step for tile in tiles for step in (-1, 0, 1, lanes)), points.size - 3):
            for start in (0, 1, 3):
                part = points[start : start + length]
                assert np.array_equal(fn(part), whole[start : start + length])


@needs_compiler
@given(
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=5).map(tuple),
    steps=st.lists(st.sampled_from([1, 2, 3, -1, -2]), min_size=5, max_size=5),
    order=st.permutations(range(5)),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_layout_does_not_change_a_result(
    strided_backward: Any, shape: tuple[int, ...], steps: list[int], order: list[int]
) -> None:
    kernel, fn = strided_backward
    axes = [axis for axis in order if axis < len(shape)]
    random = np.random.default_rng(0)

    def view() -> Any:
        extents = [size * abs(step) for size, step in zip(shape, steps, strict=False)]
        plain = random.normal(size=extents).astype(np.float32)
        return plain[tuple(slice(None, None, step) for step in steps[: len(shape)])].transpose(axes)

    grad, points = view(), view()
    (expected,) = evaluate(kernel.program, {"grad": grad, "x": points})
    assert np.array_equal(fn(grad, points), expected)
    out = view()
    assert fn(grad, points, out=out) is out
    assert np.array_equal(out, expected)
    fn(grad, points, out=grad)
    assert np.array_equal(grad, expected)


@pytest.fixture(scope="module")
def strided_backward() -> Any:
    kernel = generate("silu", "cuda", "float32", "backward")
    return kernel, kernel.load(on="cpu")


def read_only(array: Any) -> Any:
    view = array[...]
    view.flags.writeable = False
    return view


@needs_compiler
def test_the_run_on_the_cpu_writes_only_where_a_result_may_be(strided_backward: Any) -> None:
    _, fn = strided_backward
    memory = np.arange(48, dtype=np.float32).reshape(8, 6)
    grad, before = np.ones((8, 6), np.float32), memory.copy()
    bytes_ = np.zeros(memory.nbytes + 4, np.uint8)
    off = bytes_[1:-3].view(np.float32).reshape(8, 6)
    for points, out, error, words in (
        (memory, read_only(memory), ValueError, r"out \(y\) is read-only"),
        (memory, read_only(grad.copy())[::-1], ValueError, r"out \(y\) is read-only"),
        (memory, before.tolist(), TypeError, r"out \(y\) must be a NumPy array, not list"),
        (memory, grad.astype(np.float64), TypeError, r"out \(y\) is float64; this kernel is for float32"),
        (memory, np.empty((6, 8), np.float32), ValueError, r"y has shape \(6, 8\); beside x it should be \(8, 6\)"),
        (memory[1:], memory[:-1], ValueError, "the memory of y overlaps that of x"),
        (memory[:, 1:], memory[:, :-1], ValueError, "the memory of y overlaps that of x"),
        (memory, memory[::-1], ValueError, "the memory of y overlaps that of x"),
        (off[1:], off[:-1], ValueError, "the memory of y overlaps that of x"),
    ):
        with pytest.raises(error, match=words):
            fn(grad[: len(points), : points.shape[1]], points, out=out)
        assert np.array_equal(memory, before)
    wanted = fn(grad, memory)
    assert np.array_equal(fn(grad, read_only(memory), out=off), wanted)
    assert fn(grad[:, 1:], memory[:, 1:], out=memory[:, 1:]) is not None
    assert np.array_equal(memory[:, 1:], wanted[:, 1:])


@needs_compiler
def test_a_kernel_of_two_results_is_given_both_to_fill() -> None:
    both = generate("elu", "cuda", "float32", "forward-derivative").load(on="cpu")
    points = np.linspace(-2, 2, 6, dtype=np.float32)
    with pytest.raises(ValueError, match="fills y, dy, but out has 1"):
        both(points, out=(points,))
    with pytest.raises(ValueError, match="the memory of dy overlaps that of y"):
        both(points, out=(points, points))
    value, slope = both(points, out=(None, points))
    assert slope is points
    assert np.array_equal(value, both(np.linspace(-2, 2, 6, dtype=np.float32))[0])


@needs_compiler
@pytest.mark.parametrize("dtype", list(FORMATS))
def test_every_quantity_may_be_written_in_place(dtype: str) -> None:
    kernels = [generate("elu", "cuda", dtype, computes) for computes in ("forward", "forward-derivative", "backward")]
    forward, both, backward = cuda.load_on_cpu(kernels)
    points = np.linspace(-3, 3, 5000).astype(FORMATS[dtype].dtype)
    value, (first, slope), product = forward(points), both(points), backward(points, points)
    for start in (0, 1):
        here = points.copy()[start:]
        assert np.array_equal(forward(here, out=here), value[start:])
        here, other = points.copy()[start:], np.empty_like(points[start:])
        both(here, out=(other, here))
        assert np.array_equal(other, first[start:])
        assert np.array_equal(here, slope[start:])
        here = points.copy()[start:]
        assert np.array_equal(backward(here, here, out=here), product[start:])


@given(divisor=st.integers(1, 2**30), dividend=st.integers(0, 2**63 - 1))
@settings(deadline=None)
def test_a_multiplication_with_the_reciprocal_divides_exactly(divisor: int, dividend: int) -> None:
    module = RELU
    for kind, bits in ((np.uint32, 32), (np.uint64, 64)):
        magic, shift = module["_reciprocal"](divisor, kind)
        for number in (
            dividend % 2 ** (bits - 1),
            2 ** (bits - 1) - 1,
            dividend % 2 ** (bits - 1) // divisor * divisor,
        ):
            assert ((number * int(magic) >> bits) + number) >> int(shift) == number // divisor


def launcher(computes: str = "forward", name: str = "relu") -> dict[str, Any]:
    module: dict[str, Any] = {}
    exec(str(generate(name, "cuda", computes=computes)), module)
    return module


RELU = launcher()


def test_sizes_beyond_32_bits_are_passed_on_whole() -> None:
    n = 2**33 + 8
    ((name, blocks, operands),) = launcher()["launches"]([0], [2**40], n)
    assert name == "relu_forward_float32_precise"
    assert blocks == -(-n // (256 * 2 * 4))
    assert operands[-1] == np.uint64(n)
    assert type(operands[-1]) is np.uint64
    launches = launcher("bias-backward")["launches"](
        [0, 2**40, 2**39], [2**41, 2**42], 2**33, channels=64, scratch=2**43
    )
    assert [launch[0].rpartition("_")[2] for launch in launches] == ["precise", "fold", "fold", "fold", "fold", "fold"]
    assert launcher()["launches"]([0], [0], 0) == []
    assert launcher()["launches"]([0], [2**45], 2**42)[0][1] == 2**31 - 1
    assert launcher()["strided_launch"]((2**31,), [(0, (8,))], [(2**40, (4,))]) is None


@pytest.mark.parametrize("capability", ["90", "100"])
def test_alignment_and_overlap_choose_the_kernel(capability: str) -> None:
    launches, wide = launcher()["launches"], 32 if capability == "100" else 16
    for source, target, kernel in (
        (0, 2**20, ""),
        (0, 0, "_inplace"),
        (wide, 2**20 + wide, ""),
        (wide // 2, 2**20, "_any"),
        (0, 2**20 + 4, "_any"),
    ):
        assert launches([source], [target], 100, wide=wide)[0][0] == f"relu_forward_float32_precise{kernel}"
    with pytest.raises(ValueError, match="y overlaps that of x"):
        launches([0], [16], 100)
    launches([0], [400], 100)
    with pytest.raises(ValueError, match="overlaps that of bias"):
        launcher("bias-forward")["launches"]([0, 800], [800], 100, channels=100)
    with pytest.raises(ValueError, match="overlaps that of dx"):
        launcher("bias-backward")["launches"]([0, 800, 1600], [2000, 2000], 100, channels=100)
    with pytest.raises(ValueError, match="100 elements cannot have 7 along the last axis"):
        launcher("bias-forward")["launches"]([0, 800], [1600], 100, channels=7)


@pytest.mark.parametrize("computes", ["bias-forward", "bias-backward"])
def test_more_channels_than_are_counted_are_refused_for_their_number(computes: str) -> None:
    module = launcher(computes)
    places = [2**40 * k for k in range(len(module["ARRAYS"]) + len(module["RESULTS"]))]
    given, written = places[: len(module["ARRAYS"])], places[len(module["ARRAYS"]) :]
    for rows in (1, 3):
        most = 2**30 - 1
        assert module["launches"](given, written, rows * most, channels=most, scratch=2**50)
        with pytest.raises(
            ValueError, match=r"1073741824 elements along the last axis are more than 1073741823, .* parts"
        ):
            module["launches"](given, written, rows * 2**30, channels=2**30)
    with pytest.raises(ValueError, match="cannot have -1 along"):
        module["launches"](given, written, 0, channels=-1)


def test_an_overlap_is_the_same_for_every_layout_and_axes_of_one_element_have_none() -> None:
    launch = launcher()["strided_launch"]
    for shape, source, target, fits in (
        ((3, 4), (0, (64, 4)), (0, (64, 4)), True),
        ((3, 4), (0, (64, 4)), (0, (32, 4)), False),
        ((1, 4), (0, (64, 8)), (0, (16, 8)), True),
        ((3, 4), (0, (64, 4)), (144, (64, 4)), True),
        ((3, 4), (0, (64, 4)), (140, (64, 4)), False),
        ((4,), (96, (-8,)), (100, (4,)), True),
        ((4,), (96, (-8,)), (72, (-4,)), False),
        ((6, 1, 5, 1, 4, 3, 2), (0, (960, 1, 96, 1, 24, 8, 2)), (4, (960, 1, 96, 1, 24, 8, 2)), False),
    ):
        if fits:
            assert launch(shape, [source], [target]) is not None
        else:
            with pytest.raises(ValueError, match="the memory of y overlaps that of x"):
                launch(shape, [source], [target])
    assert launch((4,), [(2, (4,))], [(1024, (4,))]) is None, "an address between two elements takes a copy"


@needs_compiler
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_conversions_of_the_shim_round_once_to_nearest(dtype: str) -> None:
    values = all_values(FORMATS[dtype])
    identity = generate("identity", "cuda", dtype).load(on="cpu")
    with np.errstate(all="ignore"):
        assert np.array_equal(identity(values), values, equal_nan=True)
    third = generate("leaky_relu", "cuda", dtype, negative_slope="1/3").load(on="cpu")
    with np.errstate(all="ignore"):
        wide = values.astype(np.float32)
        expected = np.where(wide > 0, wide, wide / np.float32(3)).astype(values.dtype)
        assert np.array_equal(third(values), expected, equal_nan=True)


@needs_compiler
def test_the_launcher_runs_every_layout_where_the_arrays_are(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [generate("prelu", "cuda", "float32", "backward"), generate("elu", "cuda", "bfloat16", "bias-forward")]
    machine = fake_cupy.install(monkeypatch, kernels)
    monkeypatch.setenv("RELUSYM_CACHE", "off")
    backward, biased = (kernel.load() for kernel in kernels)
    random = np.random.default_rng(0)
    base = random.normal(size=(2, 3, 40, 4, 5, 6)).astype(np.float32)
    grads = random.normal(size=base.shape).astype(np.float32)
    for key, last in (
        (..., ""),
        ((0, 0, 0, 0, 0, slice(1, None)), "_any"),
        ((slice(None), 0), "_strided"),
        ((0, 0, slice(None, None, -2)), "_strided"),
        ((slice(None), slice(None, None, 2), slice(None, None, 3), slice(None, None, 2), slice(1, 4), slice(2)), ""),
    ):
        for device in (0, 1):
            given = [fake_cupy.ndarray(array, device)[key] for array in (grads, base)]
            machine.launches.clear()
            result = backward(*given, 0.25)
            want = grads[key] * np.where(base[key] > 0, np.float32(1), np.float32(0.25))
            assert np.array_equal(result.host, want)
            assert result.device.id == device
            (launch,) = machine.launches
            assert launch.device == device
            assert launch.name == kernels[0].identifier + last
    current = type(machine.streams[0])(77)
    with current:
        x = fake_cupy.ndarray(random.normal(size=(40, 24)).astype(FORMATS["bfloat16"].dtype), 0)
        bias = fake_cupy.ndarray(random.normal(size=24).astype(x.dtype), 0)
        plain = biased(x, bias).host
        assert machine.launches[-1].stream == 77
    turned = fake_cupy.ndarray(np.asfortranarray(x.host), 0)
    assert np.array_equal(biased(turned, bias).host, plain)
    assert machine.launches[-1].name.endswith("_strided")
    assert np.array_equal(biased(fake_cupy.Exchanged(x.host, 0), fake_cupy.Exchanged(bias.host, 0)).host, plain)
    assert np.array_equal(biased(fake_cupy.Interfaced(x.host), bias, out=x).host, plain)
    assert np.array_equal(x.host, plain)
    machine.launches.clear()
    assert biased(x[:0], bias).shape == (0, 24)
    assert machine.launches == []
    assert all(options[:3] == ("--std=c++17", "--fmad=false", "--ftz=false") for options in machine.compiled)


@needs_compiler
def test_raw_addresses_go_to_the_stream_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = generate("elu", "cuda", "float32", "bias-backward")
    machine = fake_cupy.install(monkeypatch, [kernel])
    monkeypatch.setenv("RELUSYM_CACHE", "off")
    launch = kernel.load().function.__globals__["launch"]
    random = np.random.default_rng(0)
    grad, x = random.normal(size=(2, 70, 8)).astype(np.float32)
    bias, dx, db = np.ones(8, np.float32), np.empty_like(x), np.empty(8, np.float32)
    launch(
        [array.ctypes.data for array in (grad, x, bias)],
        [dx.ctypes.data, db.ctypes.data],
        x.size,
        device=1,
        stream=0x5EED,
        channels=8,
    )
    assert {(made.device, made.stream) for made in machine.launches} == {(1, 0x5EED)}
    assert machine.device == 0
    (terms,) = evaluate(kernel.program, {"grad": grad, "x": x, "bias": np.broadcast_to(bias, x.shape)})
    assert np.array_equal(dx, terms)
    assert np.allclose(db, terms.sum(axis=0), atol=1e-5)


@needs_compiler
def test_arrays_that_do_not_fit_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [generate("relu", "cuda", "float32", computes) for computes in ("backward", "bias-forward")]
    machine = fake_cupy.install(monkeypatch, kernels)
    backward, biased = (kernel.load() for kernel in kernels)
    memory = np.zeros((8, 6), np.float32)
    on_gpu = fake_cupy.ndarray(memory, 0)
    half = fake_cupy.ndarray(np.zeros((8, 6), np.float16), 0)
    row = fake_cupy.ndarray(np.zeros(6, np.float32), 0)
    for call, error, words in (
        (lambda: backward(on_gpu, half), TypeError, "x is float16; this kernel is for float32"),
        (lambda: backward(on_gpu, memory), TypeError, "x is not on a GPU"),
        (lambda: backward(on_gpu, [1.0]), TypeError, "must be an array on a GPU, not list"),
        (lambda: backward(on_gpu, fake_cupy.Exchanged(memory, 0, 1)), TypeError, "x is not on a GPU"),
        (lambda: backward(on_gpu, fake_cupy.ndarray(memory.copy(), 1)), ValueError, "x has shape .* on device 1"),
        (lambda: backward(on_gpu, row), ValueError, "x has shape"),
        (lambda: backward(on_gpu, on_gpu, out=row), ValueError, "y has shape"),
        (lambda: backward(on_gpu[1:], on_gpu[1:], out=on_gpu[:-1]), ValueError, "overlaps"),
        (lambda: backward(on_gpu[:, 1:], on_gpu[:, 1:], out=on_gpu[:, :-1]), ValueError, "overlaps"),
        (lambda: biased(on_gpu, on_gpu), ValueError, "bias has shape"),
        (lambda: biased(on_gpu, row[:5]), ValueError, "bias has shape"),
        (lambda: biased(fake_cupy.ndarray(np.zeros((), np.float32), 0), row), ValueError, "no last axis"),
        (lambda: biased(on_gpu, on_gpu[0], out=on_gpu), ValueError, "overlaps that of bias"),
    ):
        with pytest.raises(error, match=words):
            call()
    assert machine.launches == []


def test_a_cubin_is_compiled_once_for_each_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel = generate("relu", "cuda")
    machine = fake_cupy.install(monkeypatch, [kernel])
    monkeypatch.setenv("RELUSYM_CACHE", str(tmp_path / "kernels"))

    def cubin(capability: str) -> bytes:
        compiled: bytes = kernel.load().function.__globals__["cubin"](capability)
        return compiled

    first = cubin("90")
    assert cubin("90") == first
    assert len(machine.compiled) == 1
    cubin("100")
    assert [options[-1] for options in machine.compiled] == ["--gpu-architecture=sm_90", "--gpu-architecture=sm_100"]
    (damaged, *_) = (tmp_path / "kernels").glob("*.cubin")
    damaged.write_bytes(b"half of it")
    assert {cubin("90"), cubin("100")} == {first}
    assert len(machine.compiled) == 3
    with pytest.raises(RuntimeError, match=r"NVRTC 13\.0 does not compile .* for sm_00: what NVRTC said"):
        cubin("00")


def test_without_a_gpu_load_says_what_is_missing() -> None:
    if cuda.gpu_missing() is None:
        pytest.skip("a GPU is here")
    with pytest.raises(Missing, match="on='cpu'"):
        generate("relu", "cuda").load()


def test_without_a_compiler_nothing_is_called_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    from relusym.activations import named

    monkeypatch.setattr(shutil, "which", lambda name: None)
    (batch,) = acceptance.batches([named("relu")], targets=("cuda",), dtypes=("float32",))
    results = acceptance.run(batch)
    assert results
    assert {result.status for result in results} == {"not run"}
    assert all("compiler" in result.reason for result in results)


def test_only_cuda_kernels_have_a_device_source() -> None:
    with pytest.raises(InvalidRequest):
        _ = generate("relu").device_source
