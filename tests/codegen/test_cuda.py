"""The CUDA text: what stands in it, and what it computes when a C++ compiler runs it on the CPU."""

import re
import shutil

import numpy as np
import pytest
from relusym_codegen import acceptance, generate
from relusym_codegen.targets import cuda

from relusym.activations import NAMES
from relusym.errors import InvalidRequest, Missing
from relusym.floats import FORMATS, all_values

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler to run CUDA text on the CPU"
)


@pytest.mark.parametrize("name", NAMES)
def test_a_float32_program_holds_no_double(name: str) -> None:
    for computes in ("forward", "derivative", "second-derivative"):
        text = generate(name, "cuda", "float32", computes).device_source
        code = re.sub(r"//.*", "", text)
        assert not re.search(r"\bdouble\b", code)
        assert not re.search(r"(?<![\w.])\d+\.\d*(e[-+]?\d+)?(?![\df.e])", code), "a literal without f is a double"
        assert not re.search(r"\b(exp|log|sqrt|tanh|erfc?|fabs|expm1|log1p)\(", code)


def test_the_text_has_vector_accesses_and_one_element_function() -> None:
    text = generate("silu", "cuda", "float16").device_source
    assert "alignas(16)" in text
    assert "lane[8]" in text
    assert text.count("_element(") == 2
    assert "#pragma unroll 1" in text


@needs_compiler
@pytest.mark.parametrize("name", ["relu", "elu", "silu", "prelu", "hardswish", "hardshrink"])
def test_the_text_on_the_cpu_satisfies_the_judge(name: str) -> None:
    from relusym.activations import named

    (batch,) = acceptance.batches([named(name)], targets=("cuda",), dtypes=("float16", "bfloat16", "float32"))
    for result in acceptance.run(batch):
        assert result.status == "passed", result.report
        assert "the GPU was not run" in result.reason


@needs_compiler
def test_body_and_tail_give_the_same_bits_at_every_length() -> None:
    fn = generate("mish", "cuda", "float32", "derivative").load(on="cpu")
    points = np.linspace(-9, 9, 131).astype(np.float32)
    whole = fn(points)
    for length in range(68):
        for start in (0, 1, 3):
            part = points[start : start + length]
            assert np.array_equal(fn(part), whole[start : start + length])


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


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", list(FORMATS))
def test_on_a_gpu_the_judge_is_satisfied(name: str, dtype: str) -> None:
    if (lack := cuda.gpu_missing()) is not None:
        pytest.skip(lack)
    import cupy

    from relusym.judge import check

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
