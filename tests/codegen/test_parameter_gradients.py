"""Parameters beside elements: numbers and one for each channel, and their gradients summed in the backward pass."""

import functools
import itertools
import math
from typing import Any

import fake_cupy
import numpy as np
import pytest
from relusym_codegen import acceptance, channels, compilers, generate
from relusym_codegen.program import evaluate
from relusym_codegen.target import sum_format
from relusym_codegen.targets import c, cuda

from relusym import parse
from relusym.activations import named
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS

WORD = "backward-parameters"
needs_c = pytest.mark.skipif(compilers.available() is None, reason="no C compiler")
needs_cpp = pytest.mark.skipif(acceptance.missing("cuda") is not None, reason="no C++ compiler for CUDA text")
TARGETS = ["numpy", pytest.param("c", marks=needs_c), pytest.param("cuda", marks=needs_cpp)]

SHAPES = [  # of the elements, and of the parameter
    ((), ()),
    ((1,), (1,)),
    ((0,), ()),
    ((0, 4), (1, 4)),
    ((4, 0), (4, 1)),
    ((0, 4), (0, 1)),
    ((3, 4, 5), ()),
    ((3, 4, 5), (1, 4, 1)),
    ((3, 4, 5), (5,)),
    ((3, 4, 5), (3, 1, 5)),  # axes that are no neighbours
    ((3, 4, 5), (3, 4, 5)),
    ((67, 3, 300), (3, 1)),
    ((1, 3, 17_001), (1, 3, 1)),
    ((1031, 3), (3,)),
    ((300, 257), (257,)),
    ((70_001,), ()),
]


@functools.cache
def made(name: str, target: str, dtype: str) -> tuple[Any, Any]:
    """The kernel and its function, all parameters being passed."""
    arguments = [parameter.name for parameter in named(name).parameters]
    kernel = generate(name, target, dtype, WORD, arguments=arguments)
    return kernel, loaded(kernel)


def loaded(kernel: Any) -> Any:
    return kernel.load("cpu" if kernel.target == "cuda" else None)


def operands(kernel: Any, shape: tuple[int, ...], own: tuple[int, ...], spread: float = 0.0) -> list[Any]:
    """Gradient, x and parameter; with a `spread` the gradients differ by so many powers of two."""
    random = np.random.default_rng(sum(shape) + sum(own))
    dtype = FORMATS[kernel.dtype].dtype
    grad = random.normal(size=shape) * np.exp2(random.uniform(-spread, spread, shape))
    parameter = np.array(random.uniform(0.25, 1.5, size=own)).astype(np.float16)
    return [
        grad.astype(dtype),
        (2 * random.normal(size=shape)).astype(dtype),
        parameter.astype(kernel.work_format.dtype),
    ]


def terms(kernel: Any, grad: Any, x: Any, parameter: Any) -> Any:
    """dx and the terms of the sums as the program computes them, in its work format."""
    work = kernel.work_format.dtype
    inputs = {"grad": grad.astype(work), "x": x.astype(work), kernel.arguments[0]: np.broadcast_to(parameter, x.shape)}
    with np.errstate(all="ignore"):
        return evaluate(kernel.program, {name: np.ravel(inputs[name]) for name in kernel.program.inputs})


def columns(values: Any, shape: tuple[int, ...], own: tuple[int, ...]) -> Any:
    """A row for each value of the parameter, of the terms that belong to it."""
    padded = (1,) * (len(shape) - len(own)) + own
    axes = [axis for axis, size in enumerate(padded) if size == 1]
    moved = np.moveaxis(np.asarray(values, np.float64).reshape(shape), axes, range(len(axes)))
    return moved.reshape(math.prod(shape[axis] for axis in axes), math.prod(own)).T


def bound(kernel: Any, added: Any, exact: float) -> float:
    """As docs/reference/accuracy.md states it, with half an ulp of the result."""
    sums, count = sum_format(FORMATS[kernel.dtype]), max(len(added), 1)
    size = math.fsum(np.abs(added))
    if kernel.target == "cuda":
        depth, unit = 9 * (3 + math.log(count, 16)), kernel.work_format.epsilon / 2
        return depth * unit / (1 - depth * unit) * size + sums.smallest_subnormal
    depth = (264 + math.log2(count)) * 2.0**-53
    inside = 2 * depth * depth * size if kernel.dtype == "float64" else depth * size
    return inside + sums.epsilon / 2 * (abs(exact) + inside) + sums.smallest_subnormal


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("name", "dtype"), [("prelu", "float32"), ("prelu", "float64"), ("elu", "bfloat16"), ("swish", "float16")]
)
def test_gradients_are_the_exact_sums_of_their_terms_within_the_stated_bound(
    target: str, name: str, dtype: str
) -> None:
    kernel, fn = made(name, target, dtype)
    for shape, own in SHAPES:
        given = operands(kernel, shape, own)
        if target == "cuda" and own == (3, 1, 5):
            with pytest.raises(ValueError, match=r"along axes of \(3, 4, 5\) that are no neighbours"):
                fn(*given)
            continue
        dx, gradient = fn(*given)
        by_x, by_parameter = terms(kernel, *given)
        assert (gradient.dtype, gradient.shape) == (sum_format(FORMATS[dtype]).dtype, own)
        assert dx.dtype == given[1].dtype
        if target != "numpy":  # whose exponentials may round otherwise in another layout
            assert np.array_equal(dx, by_x.reshape(shape).astype(dx.dtype))
        for added, got in zip(columns(by_parameter, shape, own), np.ravel(gradient), strict=True):
            exact = math.fsum(added)
            assert abs(float(got) - exact) <= bound(kernel, added, exact), (shape, own)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_terms_that_cancel_leave_the_exact_sum(target: str, dtype: str) -> None:
    kernel, fn = made("prelu", target, dtype)
    for shape in ((257,), (1_000_000,)):
        grad, x, parameter = operands(kernel, shape, (), spread=20)
        x = -np.abs(x)
        order = np.random.default_rng(1).permutation(shape[0])
        half = order[: shape[0] // 2], order[shape[0] // 2 : 2 * (shape[0] // 2)]
        grad[half[1]], x[half[1]] = -grad[half[0]], x[half[0]]  # all but one pair of terms cancel
        grad[half[1][0]] = 0
        _, gradient = fn(grad, x, parameter)
        added = terms(kernel, grad, x, parameter)[1]
        exact, size = math.fsum(added), math.fsum(np.abs(added))
        assert abs(float(gradient) - exact) <= bound(kernel, added, exact)
        if dtype == "float64" and target != "cuda":  # of which plain addition would have lost the most
            assert abs(float(gradient) - exact) <= 2.0**-90 * size + 2.0**-53 * abs(exact)


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_have_the_same_bits_in_every_layout(target: str) -> None:
    for dtype in ("float32", "float64"):
        kernel, fn = made("elu", target, dtype)
        grad, x, parameter = operands(kernel, (37, 5, 270), (5, 1), spread=8)
        dx, gradient = fn(grad, x, parameter)
        gaps = np.repeat(x, 2, axis=2)[..., ::2]
        turned = np.asfortranarray(grad)
        buffer = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        buffer[...] = x
        backwards = x[::-1].copy()[::-1]
        swapped = np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0)
        for laid in (gaps, buffer, backwards, swapped):
            again = fn(turned, laid, parameter)
            assert np.array_equal(again[0], dx)
            assert np.array_equal(again[1], gradient)
        for place in ("grad", "x"):
            written = {"grad": grad.copy(), "x": x.copy()}
            again = fn(**written, **{kernel.arguments[0]: parameter}, out=(written[place], np.empty_like(gradient)))
            assert np.array_equal(written[place], dx)
            assert np.array_equal(again[1], gradient)


@needs_c
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_bit(dtype: str) -> None:
    if not compilers.openmp(compilers.find()):
        pytest.skip("the C compiler has no OpenMP")
    kernel, fn = made("prelu", "c", dtype)
    threads = compilers.library(kernel.source, flags=c.FLAGS)  # the one that is loaded, with what it is linked to
    usual = threads.omp_get_max_threads()
    for shape, own in (((400_000,), ()), ((3000, 129), (129,)), ((40, 3, 2000), (3, 1))):
        given = operands(kernel, shape, own, spread=20)
        seen = set()
        for count in (1, 2, 3, 7):
            threads.omp_set_num_threads(count)
            seen.add(tuple(result.tobytes() for result in fn(*given)))
        threads.omp_set_num_threads(usual)
        assert len(seen) == 1


@needs_cpp
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_neither_the_grid_nor_the_width_of_an_access_changes_a_bit(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, fn = made("elu", "cuda", dtype)
    for shape, own in (((70_000,), ()), ((2100, 24), (24,)), ((3, 8, 512), (8, 1)), ((5, 16, 48), (16, 1))):
        grad, x, parameter = operands(kernel, shape, own)
        dx, gradient = fn(grad, x, parameter)
        off = np.zeros(x.nbytes + x.itemsize, np.uint8)[x.itemsize :].view(x.dtype).reshape(shape)
        off[...] = x  # one element at a time, for it does not begin where a pack could
        for blocks in (1, 2, 64):
            monkeypatch.setattr(cuda, "BLOCKS_ON_CPU", blocks)
            for laid in (x, off):
                again = fn(grad, laid, parameter)
                assert np.array_equal(again[0], dx)
                assert np.array_equal(again[1], gradient)


@needs_cpp
def test_the_launches_of_a_gpu_take_parameters_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [generate("prelu", "cuda", "float32", computes) for computes in ("forward", WORD)]
    machine = fake_cupy.install(monkeypatch, kernels)
    monkeypatch.setenv("RELUSYM_CACHE", "off")
    forward, backward = (kernel.load() for kernel in kernels)
    grad, host, _ = operands(kernels[1], (6, 8, 40), ())
    on_cpu = made("prelu", "cuda", "float32")[1]
    for own in ((), (8, 1), (40,), (6, 8, 1)):
        values = np.random.default_rng(0).uniform(size=own).astype(np.float32)
        for x in (host, np.asfortranarray(host)):
            machine.launches.clear()
            y = forward(fake_cupy.ndarray(x, 1), fake_cupy.ndarray(values, 1) if own else float(values))
            assert np.array_equal(y.host, np.where(x > 0, x, values * x))
            assert machine.launches[0].name.endswith("_channels") == bool(own)
            results = backward(fake_cupy.ndarray(grad, 1), fake_cupy.ndarray(x, 1), fake_cupy.ndarray(values, 1))
            for got, wanted in zip(results, on_cpu(grad, x, values), strict=True):
                assert np.array_equal(got.host, wanted)
            assert {launch.device for launch in machine.launches} == {1}
    with pytest.raises(ValueError, match="alpha has the shape"):
        forward(fake_cupy.ndarray(host, 0), fake_cupy.ndarray(np.ones(3, np.float32), 0))
    row, whole = fake_cupy.ndarray(np.ones(40, np.float32), 0), fake_cupy.ndarray(host, 0)
    with pytest.raises(ValueError, match="overlaps that of alpha"):
        backward(fake_cupy.ndarray(grad, 0), whole, row, out=(whole, row))


@pytest.mark.parametrize("target", TARGETS)
def test_nan_and_infinite_terms_reach_their_sums_and_no_other(target: str) -> None:
    for dtype in ("float32", "float64"):
        _, fn = made("prelu", target, dtype)
        x = -np.ones((700, 4), dtype)
        grad = np.ones_like(x)
        grad[600, 0], grad[3, 1], grad[5, 2], grad[6, 2] = np.nan, np.inf, np.inf, -np.inf
        _, gradient = fn(grad, x, np.full(4, 0.25))
        assert np.array_equal(gradient, np.array([np.nan, -np.inf, np.nan, -700], dtype), equal_nan=True)
        assert np.isnan(fn(grad, x, 0.25)[1])


@pytest.mark.parametrize("target", TARGETS)
def test_parameters_of_several_shapes_each_get_their_own_gradient(target: str) -> None:
    formula = parse("a*min(x,0) + b*max(x,0)", name="two")
    several = (((5, 1), ()), ((), (6, 1, 1)), ((6, 1, 1), (5, 1)), ((6, 1, 300), (5, 1)), ((6, 5, 1), (5, 1)))
    random = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        fn = loaded(generate(formula, target, dtype, WORD, arguments=["a", "b"], a=1, b=1))
        grad, x = (random.normal(size=(6, 5, 300)).astype(dtype) for _ in range(2))
        for one, other in several:
            if target == "cuda" and one and other:
                with pytest.raises(ValueError, match=r"two_.* (no neighbours|one value for each of the same places)"):
                    fn(grad, x, np.ones(one), np.ones(other))
                continue
            _, da, db = fn(grad, x, random.uniform(1, 2, one), random.uniform(1, 2, other))
            for got, own, part in ((da, one, np.minimum(x, 0)), (db, other, np.maximum(x, 0))):
                assert got.shape == own
                for added, found in zip(columns(grad.astype(float) * part, x.shape, own), np.ravel(got), strict=True):
                    assert abs(float(found) - math.fsum(added)) <= 8 * np.finfo(dtype).eps * math.fsum(np.abs(added))


@pytest.mark.parametrize("target", TARGETS)
def test_one_value_for_each_channel_is_that_number_in_its_channel(target: str) -> None:
    for computes in ("forward", "backward", "parameter-gradient:alpha"):
        fn = loaded(generate("prelu", target, "float32", computes))
        random = np.random.default_rng(0)
        arrays = [random.normal(size=(3, 4, 5, 6)).astype(np.float32) for _ in range(1 + (computes != "forward"))]
        values = random.normal(size=4).astype(np.float32)
        for axis, count in ((1, 4), (-3, 4)):
            got = fn(*arrays, channels(values, (3, 4, 5, 6), axis))
            for channel in range(count):
                assert np.array_equal(got[:, channel], fn(*(a[:, channel] for a in arrays), float(values[channel])))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("computes", ["forward", WORD])
def test_a_parameter_that_does_not_fit_is_refused_with_both_shapes(target: str, computes: str) -> None:
    fn = loaded(generate("prelu", target, "float32", computes))
    x = np.ones((2, 3, 4), np.float32)
    arrays = [x] if computes == "forward" else [x, x]
    for own in ((3,), (2, 1), (1, 1, 2, 3, 4), (5, 1, 1, 1), (1, 1, 1, 1), (0,)):
        with pytest.raises(ValueError, match="alpha has the shape") as caught:
            fn(*arrays, np.ones(own))
        assert str(own) in str(caught.value)
        assert "(2, 3, 4)" in str(caught.value)


def test_channels_lie_along_their_axis() -> None:
    assert channels([1, 2, 3], (5, 3, 7)).shape == (1, 3, 1)
    assert channels([1, 2, 3], (5, 7, 3), -1).shape == (1, 1, 3)
    assert channels([1, 2, 3], 4, 0).shape == (3, 1, 1, 1)
    assert channels(0.25, (5, 3, 7)).shape == (1, 1, 1)
    for words, said in (
        (([1, 2], (5, 3, 7)), r"alpha has 2 values, but axis 1 of elements of the shape \(5, 3, 7\) has 3 places"),
        (([1, 2], (5, 3, 7), 3), r"alpha: there is no axis 3 in elements of the shape \(5, 3, 7\), .* 0 to 2"),
        (([1, 2], 2, -3), "alpha: there is no axis -3 in elements of 2 dimensions, whose axes are 0 to 1"),
        ((0.25, (), 0), "alpha: there is no axis 0 in elements .* none"),
        (([[1, 2]], (5, 2)), r"alpha has the shape \(1, 2\)"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            channels(*words, name="alpha")


def test_gradients_of_no_parameter_are_refused_with_what_to_name() -> None:
    with pytest.raises(InvalidRequest, match=r"elu: .* none is; name some: arguments=\('alpha',\)"):
        generate("elu", "numpy", computes=WORD)
    with pytest.raises(InvalidRequest, match=r"relu: .* it has none; take backward"):
        generate("relu", "numpy", computes=WORD)
    with pytest.raises(InvalidRequest, match="the gradient of el cannot be called 'del'"):
        generate(parse("el*x", name="line"), "numpy", computes=WORD, arguments=["el"], el=1)


@pytest.mark.parametrize("name", ["celu", "softplus", "snake", "swish"])
def test_other_learnable_parameters_are_given_on_request(name: str) -> None:
    kernel, fn = made(name, "numpy", "float32")
    shape, own = (9, 4, 11), (4, 1)
    given = operands(kernel, shape, own)
    _, gradient = fn(*given)
    work = generate(name, "numpy", "float64", f"parameter-gradient:{kernel.arguments[0]}", arguments=kernel.arguments)
    exact = work.load()(*(array.astype(np.float64) for array in given))
    for added, got in zip(columns(exact, shape, own), np.ravel(gradient), strict=True):
        assert abs(float(got) - math.fsum(added)) <= 2.0**-23 * math.fsum(np.abs(added))


@pytest.mark.parametrize("target", TARGETS[1:])
def test_the_judge_is_satisfied_with_gradients_of_parameters(target: str) -> None:
    names = [named("prelu"), named("relu")]
    batches = acceptance.batches(names, targets=(target,), dtypes=("float16",), computes=(WORD,))
    found = list(itertools.chain.from_iterable(map(acceptance.run, batches)))
    assert [result.status for result in found] == ["passed", "not run"], [result.report for result in found]
