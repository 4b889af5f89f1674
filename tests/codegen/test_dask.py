"""Kernels travel: between processes, and to the blocks of an array that no single machine holds."""

import os
import pickle
from typing import Any

import numpy as np
import pytest
from relusym_codegen import compilers, generate
from relusym_codegen.kernel import LoadedKernel

from relusym.errors import Missing

TARGETS = ["numpy", "c"] if compilers.available() else ["numpy"]


def loaded(target: str, dtype: str = "float32", computes: str = "forward", name: str = "softsign") -> LoadedKernel:
    return generate(name, target, dtype, computes, accuracy="fast").load()


# ---- between processes


@pytest.mark.parametrize("target", TARGETS)
def test_a_loaded_kernel_is_the_same_function_after_pickling(target: str) -> None:
    fn, x = loaded(target), np.linspace(-3, 3, 500, dtype=np.float32)
    again = pickle.loads(pickle.dumps(fn))
    assert again == fn
    assert again(x).tobytes() == fn(x).tobytes()
    out = np.empty_like(x)
    assert again(x, out=out) is out


def test_a_cuda_kernel_remembers_where_it_runs() -> None:
    try:
        compilers.find("c++")
    except Missing as lack:
        pytest.skip(str(lack))
    fn = generate("softsign", "cuda", accuracy="fast").load(on="cpu")
    again = pickle.loads(pickle.dumps(fn))
    assert again.on == "cpu"
    x = np.linspace(-3, 3, 500, dtype=np.float32)
    assert again(x).tobytes() == fn(x).tobytes()


# ---- in blocks


def numbers(dtype: Any) -> Any:
    return np.linspace(-20, 20, 3000).reshape(60, 50).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("target", TARGETS)
def test_blocks_in_two_processes_give_what_the_whole_gives_to_the_bit(client: Any, target: str, dtype: str) -> None:
    import dask.array as da

    fn, whole = loaded(target, dtype), numbers(dtype)
    blocks = da.from_array(whole, chunks=((7, 50, 3), (20, 30)))
    result = blocks.map_blocks(fn)
    assert result.dtype == whole.dtype
    assert result.compute().tobytes() == fn(whole).tobytes()


@pytest.mark.parametrize("target", TARGETS)
def test_two_arrays_and_an_argument_go_block_by_block(client: Any, target: str) -> None:
    import dask.array as da

    fn = loaded(target, computes="backward", name="prelu")
    x, grad = numbers("float32"), numbers("float32")[::-1].copy()
    blocks = da.from_array(x, chunks=(13, 50)), da.from_array(grad, chunks=(13, 50))
    result = da.map_blocks(fn, blocks[1], blocks[0], 0.25, dtype="float32")
    assert result.compute().tobytes() == fn(grad, x, 0.25).tobytes()


def test_the_kernel_runs_in_the_workers(client: Any) -> None:
    fn = loaded(TARGETS[-1])

    def where(_: Any) -> tuple[int, float]:
        return os.getpid(), float(fn(np.ones(1, np.float32))[0])

    found = client.gather([client.submit(where, None, pure=False, workers=[name]) for name in client.nthreads()])
    processes, values = zip(*found, strict=True)
    assert len({*processes, os.getpid()}) == 3
    assert set(values) == {0.5}


def test_what_a_block_is_not_made_for_is_said_by_the_worker(client: Any) -> None:
    import dask.array as da

    blocks = da.from_array(numbers("float64"), chunks=(20, 50))
    result = blocks.map_blocks(loaded(TARGETS[-1]), meta=np.empty((0, 0), np.float32))
    with pytest.raises(TypeError, match="this kernel is for float32"):
        result.compute()
