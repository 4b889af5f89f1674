"""The operators on tensors of a GPU: PyTorch's memory and streams, our kernels."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from relusym_codegen import acceptance
from relusym_codegen.targets import cuda

import relusym

torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")

from relusym_codegen.torch import DTYPES, as_function, as_module  # noqa: E402

LACK = cuda.gpu_missing() or (None if torch.cuda.is_available() else "this PyTorch finds no CUDA device")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(LACK is not None, reason=str(LACK))]


def on_gpu(array: Any) -> Any:
    own = np.array(array)
    if own.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(own.view(np.int16)).view(torch.bfloat16).cuda()
    return torch.from_numpy(own).cuda()


def on_host(tensor: Any) -> Any:
    plain = tensor.detach().cpu()
    return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if plain.dtype is torch.bfloat16 else plain.numpy()


@pytest.mark.parametrize("name", ["elu", "gelu", "silu", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES.values())
def test_the_operator_and_its_backward_pass_the_judge(name: str, dtype: str) -> None:
    fn = as_function(name)

    def backward(grad: Any, x: Any) -> Any:
        grad, x = np.broadcast_arrays(grad, x)
        leaf = on_gpu(x).requires_grad_()
        fn(leaf).backward(on_gpu(grad))
        return on_host(leaf.grad)

    for computes, call in (("forward", lambda x: on_host(fn(on_gpu(x)))), ("backward", backward)):
        bound = acceptance.bound_for(dtype, computes, "precise", "cuda")
        report = relusym.check(call, name, dtype=dtype, computes=computes, bound=bound)
        assert report.passed, report


def test_derivatives_pass_gradcheck() -> None:
    x = torch.linspace(-3.1, 2.9, 7, dtype=torch.float64, device="cuda", requires_grad=True)
    assert torch.autograd.gradcheck(as_function("tanh"), (x,))
    assert torch.autograd.gradgradcheck(as_function("tanh"), (x,))
    for device in ("cpu", "cuda"):
        alpha = torch.tensor(0.3, dtype=torch.float64, device=device, requires_grad=True)
        assert torch.autograd.gradcheck(as_function("prelu"), (x, alpha))


def test_every_layout_is_computed_and_kept() -> None:
    fn = as_function("hardswish", accuracy="fast")
    plain = torch.linspace(-4, 4, 2 * 3 * 8 * 5, device="cuda").reshape(2, 3, 8, 5)
    for x in (
        plain,
        plain.to(memory_format=torch.channels_last),
        plain[..., ::2],
        plain[:, 1:],
        plain.permute(3, 1, 0, 2),
    ):
        y, theirs = fn(x), torch.nn.functional.hardswish(x)
        assert y.stride() == theirs.stride()
        torch.testing.assert_close(y, theirs, rtol=4 * 2.0**-23, atol=4 * 2.0**-23)
    assert fn(torch.empty(0, 3, device="cuda")).shape == (0, 3)


def test_a_kernel_waits_for_what_stands_before_it_in_its_stream() -> None:
    fn, stream = as_function("relu"), torch.cuda.Stream()
    x = torch.zeros(1 << 22, device="cuda")
    fn(x)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        x.fill_(3.0)
        y = fn(x)
    stream.synchronize()
    assert torch.all(y == 3.0)


def test_operators_without_arguments_are_captured_in_a_graph() -> None:
    fn, x = as_function("tanh"), torch.zeros(1000, device="cuda")
    fn(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = fn(x)
    x.fill_(0.5)
    graph.replay()
    torch.testing.assert_close(y, torch.tanh(x))


def test_a_compiled_network_learns_as_the_network_does() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(8, 8), as_module("prelu"), as_module("gelu")).cuda()
    x = torch.randn(64, 8, device="cuda")
    plain(x).square().sum().backward()
    wanted = [parameter.grad.clone() for parameter in plain.parameters()]
    plain.zero_grad()
    torch.compile(plain, backend="aot_eager", fullgraph=True)(x).square().sum().backward()
    for parameter, gradient in zip(plain.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.skipif(not torch.cuda.is_available() or torch.cuda.device_count() < 2, reason="one CUDA device only")
def test_a_tensor_is_computed_on_its_own_device() -> None:
    x = torch.linspace(-2, 2, 1000, device="cuda:1")
    y = as_function("tanh")(x)
    assert y.device == x.device
    torch.testing.assert_close(y, torch.tanh(x))
