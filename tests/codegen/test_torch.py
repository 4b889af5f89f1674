"""Kernels inside PyTorch: right in every layout, differentiable, and known to PyTorch by shapes alone."""

import copy
import ctypes
import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import fake_cupy
import ml_dtypes
import numpy as np
import pytest
from relusym_codegen import compilers, generate

import relusym
from relusym import activations
from relusym.activation import exact
from relusym.errors import InvalidActivation, InvalidRequest, InvalidSubgradient

# before what imports it
torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")

from relusym_codegen import torch as adapter  # noqa: E402
from relusym_codegen.torch import DTYPES, Function, Setting, as_function, as_module  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.autograd.gradcheck import GradcheckError  # noqa: E402

CATALOGUE = [activation.name for activation in activations.catalogue()]
CHEAP = ("elu", "hardswish", "softsign", "tanh")
"""Of several kinds, and generated in a moment."""


def tensor(array: Any) -> Any:
    own = np.array(array)
    if own.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(own.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(own)


def array(of: Any) -> Any:
    plain = of.detach()
    return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if plain.dtype is torch.bfloat16 else plain.numpy()


def points(shape: tuple[int, ...] = (3, 4), dtype: Any = None, **more: Any) -> Any:
    """Numbers on both sides of zero, none of them at a kink."""
    count = int(np.prod(shape))
    values = torch.linspace(-3.1, 2.9, count) if count > 1 else torch.full((count,), 0.7)
    return values.reshape(shape).to(dtype or torch.float32).requires_grad_(more.get("requires_grad", False))


def gradient(fn: Callable[..., Any], *inputs: Any) -> Any:
    first = inputs[0].clone().requires_grad_()
    fn(first, *inputs[1:]).sum().backward()
    return first.grad


# ---- what is computed


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_the_operator_and_its_backward_pass_the_judge(dtype: str) -> None:
    fn = as_function("tanh")

    def backward(grad: Any, x: Any) -> Any:
        grad, x = np.broadcast_arrays(grad, x)
        leaf = tensor(x).requires_grad_()
        fn(leaf).backward(tensor(grad))
        return array(leaf.grad)

    for computes, call in (("forward", lambda x: array(fn(tensor(x)))), ("backward", backward)):
        report = relusym.check(call, "tanh", dtype=dtype, computes=computes, examples=10)
        assert report.passed, report


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CHEAP)
def test_the_operator_gives_what_the_kernel_gives_to_the_bit(name: str, dtype: Any) -> None:
    x = points((5, 13), dtype)
    kernel = generate(name, dtype=DTYPES[dtype], accuracy="fast").load()
    assert array(as_function(name, accuracy="fast")(x)).tobytes() == kernel(array(x)).tobytes()


def layouts() -> Iterator[tuple[str, Any]]:
    x = points((2, 3, 4, 5))
    yield "contiguous", x
    yield "channels last", x.to(memory_format=torch.channels_last)
    yield "channels last in three dimensions", points((2, 3, 2, 2, 3)).to(memory_format=torch.channels_last_3d)
    yield "permuted", x.permute(2, 0, 3, 1)
    yield "every other", x[..., ::2]
    yield "a part, from the middle", x[1:, 1:, 1:]
    yield "one number for all", torch.tensor(0.3).expand(3, 4)
    yield "of no dimension", torch.tensor(-0.3)
    yield "empty", torch.empty(0, 3)
    yield "empty in the middle", torch.empty(2, 0, 3).permute(2, 1, 0)
    yield "of one element with odd strides", torch.ones(9).as_strided((1, 1), (5, 7))
    yield "negated lazily", torch.conj(torch.complex(points(), points())).imag


LAYOUTS = dict(layouts())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_computed_and_laid_out_as_pytorch_does(layout: str, dtype: Any) -> None:
    x = LAYOUTS[layout] if dtype is torch.float32 else LAYOUTS[layout].to(dtype)
    fn, before = as_function("hardswish", accuracy="fast"), x.clone()
    y, theirs = fn(x), torch.nn.functional.hardswish(x)
    assert (y.shape, y.dtype) == (theirs.shape, theirs.dtype)
    assert y.stride() == theirs.stride() or y.numel() < 2
    # theirs is rounded a few times; near the root at -3 the factors cancel, hence the absolute part
    torch.testing.assert_close(y, theirs, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)
    assert torch.equal(x, before)
    mine, wanted = gradient(fn, x), gradient(torch.nn.functional.hardswish, x)
    torch.testing.assert_close(mine, wanted, rtol=8 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


def test_a_gradient_of_another_layout_meets_the_right_elements() -> None:
    x = points((4, 6), torch.float64, requires_grad=True)
    incoming = torch.arange(24.0, dtype=torch.float64).reshape(6, 4).t()
    as_function("tanh")(x).backward(incoming)
    torch.testing.assert_close(x.grad, incoming * (1 - torch.tanh(x.detach()) ** 2))


@pytest.mark.parametrize(
    ("policy", "slope"), [("least-norm", 0.0), ("left", 0.0), ("right", 1.0), (exact("1/2"), 0.5), ({0: 1}, 1.0)]
)
def test_the_derivative_at_a_kink_is_the_one_asked_for(policy: Any, slope: float) -> None:
    fn = as_function("relu", subgradient=policy)
    assert gradient(fn, torch.tensor([-1.0, 0.0, 2.0])).tolist() == [0.0, slope, 1.0]


def test_parameters_are_folded_exactly_or_passed() -> None:
    x = points(dtype=torch.float64)
    folded, passed = as_function("prelu", alpha="1/8"), as_function("prelu")
    assert torch.equal(folded(x), passed(x, 0.125))
    assert torch.equal(folded(x), passed(x, torch.tensor([0.125], dtype=torch.bfloat16)))
    assert torch.equal(folded(x), torch.where(x > 0, x, x / 8))
    scaled = relusym.parse("a*x", "scaled")
    assert torch.equal(as_function(scaled, arguments=["a"], a=2)(x, 3.0), 3 * x)
    assert torch.equal(as_module(scaled, arguments=["a"], a=2)(x), 2 * x)


# ---- derivatives


@pytest.mark.parametrize("name", CHEAP)
def test_first_and_second_derivatives_pass_gradcheck(name: str) -> None:
    fn, x = as_function(name), points((7,), torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(fn, (x,))
    assert torch.autograd.gradgradcheck(fn, (x,))


def test_the_gradient_of_a_parameter_passes_gradcheck() -> None:
    x = points((7,), torch.float64, requires_grad=True)
    for alpha in (torch.tensor(0.3, dtype=torch.float64), torch.tensor([0.3], dtype=torch.float64)):
        assert torch.autograd.gradcheck(as_function("prelu"), (x, alpha.requires_grad_()))


def test_parameters_of_each_channel_pass_gradcheck_and_opcheck() -> None:
    x = points((2, 3, 4), torch.float64, requires_grad=True)
    for own in ((3, 1), (4,), (2, 3, 4), (1, 1, 1)):
        alpha = torch.linspace(0.3, 1.2, int(np.prod(own)), dtype=torch.float64).reshape(own).requires_grad_()
        fn = as_function("elu", arguments=["alpha"])
        assert torch.autograd.gradcheck(fn, (x, alpha))
        assert torch.autograd.gradgradcheck(lambda x, alpha=alpha, fn=fn: fn(x, alpha), (x,))
    torch.library.opcheck(fn.operator, (x, alpha))
    together = getattr(torch.ops.relusym, f"{fn.setting.name}_backward_parameters").default
    grad = torch.ones(2, 3, 4, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(together, (grad, x.detach(), alpha.detach()))
    assert torch.autograd.gradcheck(lambda grad: together(grad, x.detach(), alpha.detach()), (grad,))
    dx, dalpha = together(grad, x, alpha)
    with pytest.raises(InvalidRequest, match="second derivatives that involve the argument alpha have no kernel"):
        (dx.sum() + dalpha.sum()).backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_with_channels_is_the_prelu_of_pytorch(dtype: Any) -> None:
    module, theirs = as_module("prelu", channels=3, dtype=dtype), torch.nn.PReLU(3, dtype=dtype)
    assert module.alpha.shape == theirs.weight.shape
    x = points((5, 3, 4, 2), dtype)
    for laid in (x, x.to(memory_format=torch.channels_last), x[::2]):
        module.zero_grad()
        theirs.zero_grad()
        ours, others = (laid.clone().requires_grad_() for _ in range(2))
        assert torch.equal(module(ours), theirs(others))
        module(ours).square().sum().backward()
        theirs(others).square().sum().backward()
        assert torch.equal(ours.grad, others.grad)
        assert torch.allclose(module.alpha.grad, theirs.weight.grad)
    assert as_module("prelu", channels=2, axis=-1)(x.to(dtype)).shape == x.shape
    assert "channels=3, axis=1" in repr(module)


def test_the_gradient_of_a_wide_parameter_keeps_its_digits_beside_narrow_elements() -> None:
    x = -torch.ones(70_000, dtype=torch.float16)
    alpha = torch.tensor(0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(as_function("prelu")(x, alpha), alpha, torch.ones_like(x))
    assert (gradient.item(), gradient.dtype) == (-70_000, torch.float32)


def test_gradcheck_catches_a_derivative_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Setting.kernel

    def swapped(setting: Setting, computes: str, dtype: Any, target: str | None) -> Any:
        if computes == "backward":
            setting = dataclasses.replace(setting, definition=activations.named("tanh"))
        return right(setting, computes, dtype, target)

    monkeypatch.setattr(Setting, "kernel", swapped)
    fn = as_function(relusym.parse("x/(1 + abs(x)) + x", "broken"))
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(fn, (points((7,), torch.float64, requires_grad=True),))


def test_gradients_are_taken_only_where_they_are_asked_for() -> None:
    fn, x = as_function("prelu"), points()
    alpha = torch.tensor(0.25, requires_grad=True)
    assert not fn(x, alpha.detach()).requires_grad
    with torch.no_grad():
        assert not fn(x, alpha).requires_grad
    fn(x, alpha).sum().backward()
    assert x.grad is None
    torch.testing.assert_close(alpha.grad, x[x < 0].sum())


def test_what_has_no_kernel_is_refused_when_it_is_asked_for_and_not_before() -> None:
    fn, x = as_function("prelu"), points(requires_grad=True)
    alpha = torch.tensor(0.25, requires_grad=True)
    (first,) = torch.autograd.grad(fn(x, alpha).sum(), x, create_graph=True)
    assert torch.count_nonzero(torch.autograd.grad(first.sum(), x, retain_graph=True)[0]) == 0
    with pytest.raises(InvalidRequest, match=r"second derivatives that involve the argument alpha .* fold the value"):
        first.sum().backward()
    (by_alpha,) = torch.autograd.grad(fn(x, alpha).sum(), alpha, create_graph=True)
    with pytest.raises(InvalidRequest, match="second derivatives that involve the argument alpha"):
        by_alpha.backward()
    curve, at = as_function("tanh"), points(dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(curve(at).sum(), at, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), at, create_graph=True)
    with pytest.raises(InvalidRequest, match="the third derivative has no kernel"):
        second.sum().backward()


def test_forward_mode_is_refused_rather_than_taken_for_zero() -> None:
    with pytest.raises(InvalidRequest, match="forward-mode derivatives are not available"):
        torch.func.jvp(as_function("tanh"), (points(),), (torch.ones(3, 4),))


# ---- PyTorch's own tools


@pytest.mark.parametrize("name", ["elu", "prelu"])
def test_the_operators_pass_opcheck(name: str) -> None:
    extra = (torch.tensor(0.2, requires_grad=True),) if name == "prelu" else ()
    fn = as_function(name)
    torch.library.opcheck(fn.operator, (points(requires_grad=True), *extra))
    torch.library.opcheck(fn.operator, (points((2, 3, 2, 2)).to(memory_format=torch.channels_last), *extra))
    backward = getattr(torch.ops.relusym, f"{fn.setting.name}_backward").default
    torch.library.opcheck(backward, (torch.ones(3, 4), points(requires_grad=True), *extra))


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), as_module("prelu", alpha="1/8"), as_module("elu", alpha="1/2"))


def test_a_compiled_network_has_the_values_and_gradients_of_the_network() -> None:
    plain, x = network(), points()
    compiled = torch.compile(copy.deepcopy(plain), backend="aot_eager", fullgraph=True)
    for model in (plain, compiled):
        model(x).square().sum().backward()
    torch.testing.assert_close(compiled(x), plain(x))
    for mine, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_a_network_is_exported_with_its_operators_by_name() -> None:
    model, x = network(), points((3, 4))
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert {str(model[1].function.operator), str(model[2].function.operator)} <= called
    longer = points((6, 4))
    torch.testing.assert_close(program.module()(longer), model(longer))


@pytest.mark.parametrize("name", CATALOGUE)
def test_shapes_alone_generate_nothing_even_for_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("generated while only shapes were asked for")

    monkeypatch.setattr(Setting, "kernel", never)
    fn = as_function(name, accuracy="fast")
    arguments = [0.5] * len(fn.setting.arguments)
    with FakeTensorMode():
        x = torch.empty(2, 3, 4, 4, device="cuda", dtype=torch.float16).to(memory_format=torch.channels_last)
        y = fn(x, *arguments)
    assert (y.device.type, y.dtype, y.shape) == ("cuda", torch.float16, x.shape)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert fn(torch.empty(3, device="meta"), *arguments).is_meta


def test_vmap_goes_through_the_elements_and_the_parameters() -> None:
    fn, x, alphas = as_function("prelu"), points((3, 4)), torch.tensor([0.5, 0.25, 0.0])
    wanted = torch.stack([fn(row, alpha) for row, alpha in zip(x, alphas, strict=True)])
    assert torch.equal(torch.vmap(fn)(x, alphas), wanted)
    assert torch.equal(torch.vmap(fn, in_dims=(None, 0))(x[0], alphas)[0], wanted[0])
    assert torch.equal(torch.vmap(lambda row: fn(row, 0.5), in_dims=1, out_dims=1)(x), fn(x, 0.5))
    backward = getattr(torch.ops.relusym, f"{fn.setting.name}_backward")
    slopes = torch.vmap(backward, in_dims=(None, 1, None), out_dims=1)(torch.ones(3), x, torch.tensor(0.5))
    assert torch.equal(slopes, torch.where(x > 0, 1.0, 0.5))


@pytest.mark.parametrize(
    ("dims", "shapes"), [((0, 0), ((0, 3), (0,))), ((1, 0), ((3, 0), (0,))), ((None, 0), ((3,), (0,)))]
)
def test_vmap_over_nothing_gives_nothing(dims: tuple[int | None, ...], shapes: tuple[tuple[int, ...], ...]) -> None:
    fn = as_function("prelu")
    x, alpha = torch.ones(shapes[0], dtype=torch.float64), torch.ones(shapes[1])
    got = torch.vmap(fn, in_dims=dims)(x, alpha)
    assert (got.shape, got.dtype) == ((0, 3), torch.float64)
    assert torch.vmap(lambda row: fn(row, 0.5))(torch.ones(0, 3)).shape == (0, 3)
    with pytest.raises(InvalidRequest, match="takes tensors of"):
        torch.vmap(fn, in_dims=dims)(x.to(torch.int32), alpha)


def test_autocast_leaves_the_dtype_alone() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert as_function("elu")(points()).dtype is torch.float32
        assert network()[:2](points()).dtype is torch.bfloat16


# ---- names, modules, processes


def test_two_settings_never_share_an_operator_and_one_has_one() -> None:
    other_elu = dataclasses.replace(activations.named("elu"), expr=activations.named("celu").expr)
    different = [
        *(as_function(name) for name in CATALOGUE),
        *(as_function(name, accuracy="fast") for name in CATALOGUE),
        *(as_function("relu", subgradient=policy) for policy in ("left", "right", "midpoint", 1, exact("1/3"))),
        as_function("relu", subgradient={0: 1}),
        as_function("prelu", alpha="1/4"),
        as_function("prelu", alpha="1/8"),
        as_function("elu", alpha=2),
        as_function("elu", arguments=["alpha"]),
        as_function(other_elu),
        as_function(dataclasses.replace(activations.named("elu"), source="another paper")),
    ]
    assert len({fn.operator for fn in different}) == len({fn.setting.name for fn in different}) == len(different)
    assert all(fn.setting.name.startswith(f"{fn.setting.definition.name}_") for fn in different)
    assert as_function("elu", alpha="1/2") is as_function(activations.named("elu"), alpha=exact("0.5"))
    assert as_function("relu", subgradient=exact("1/2")) is as_function("relu", subgradient=0.5)


def test_a_module_is_dropped_in_and_learns() -> None:
    torch.manual_seed(1)
    module, x = as_module("prelu", alpha="0.9"), torch.randn(256)
    wanted = torch.nn.functional.leaky_relu(x, 0.1)
    descent = torch.optim.SGD(module.parameters(), lr=0.3)
    for _ in range(40):
        descent.zero_grad()
        (module(x) - wanted).square().mean().backward()
        descent.step()
    assert abs(module.alpha.item() - 0.1) < 1e-3
    assert list(as_module("gelu").parameters()) == []
    assert "prelu" in repr(module)
    assert "alpha=1/2" in repr(as_module("elu", alpha="1/2"))


def test_a_module_is_copied_moved_saved_and_restored() -> None:
    module, x = as_module("prelu", alpha="1/8", dtype=torch.float64), points(dtype=torch.float64)
    again = as_module("prelu")
    again.load_state_dict(module.state_dict())
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), again):
        assert torch.equal(twin(x), module(x))
        assert twin.alpha is not module.alpha
    half = copy.deepcopy(module).to(torch.bfloat16)
    assert half.alpha.dtype is half(x.to(torch.bfloat16)).dtype is torch.bfloat16
    assert list(module.state_dict()) == ["alpha"]


def test_another_process_has_the_same_operators(tmp_path: Any) -> None:
    model = network()
    path = tmp_path / "model.pt"
    torch.save(model, path)
    code = f"""
import torch
model = torch.load({str(path)!r}, weights_only=False)
print(model[1].function.operator, model[2].function.operator, *model(torch.ones(1, 4)).flatten().tolist())
"""
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    first, second, *values = done.stdout.split()
    assert (first, second) == (str(model[1].function.operator), str(model[2].function.operator))
    assert [float(value) for value in values] == model(torch.ones(1, 4)).flatten().tolist()


# ---- CUDA, as far as it goes without a GPU


@dataclasses.dataclass
class Launches:
    """Stands where the loaded CUDA module would: reads and writes plain runs of memory, and keeps what it was told."""

    called: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def load(self) -> Any:
        namespace: dict[str, Any] = {"launch": self.launch}
        exec("def forward(x, out=None): raise AssertionError('tensors are launched by their addresses')", namespace)
        return SimpleNamespace(function=namespace["forward"])

    def launch(self, inputs: Any, outputs: Any, n: int, *, device: Any, stream: Any, arguments: Any = ()) -> None:
        self.called.append({"n": n, "device": device, "stream": stream, "arguments": arguments, "inputs": inputs})
        *before, x, y = ((ctypes.c_float * n).from_address(place) for place in (*inputs, *outputs))
        for index in range(n):
            y[index] = (2 * x[index] + sum(arguments)) * (before[0][index] if before else 1)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    """CPU tensors take the way of CUDA tensors; their stream is 77 and their kernels double."""
    made = Launches()
    monkeypatch.setattr(Setting, "kernel", lambda *_: made)
    monkeypatch.setattr(adapter, "_on_cpu", adapter._on_gpu)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    return made


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "lazily" not in name])
def test_a_gpu_kernel_gets_runs_of_memory_on_the_current_stream(layout: str, launches: Launches) -> None:
    x = LAYOUTS[layout]
    fn = as_function(relusym.parse("2*x", f"twice_{layout.replace(' ', '_').replace(',', '')}"))
    y = fn(x)
    assert torch.equal(y, 2 * x)
    assert y.stride() == torch.empty_like(x).stride()
    incoming = torch.arange(float(x.numel())).reshape(x.shape[::-1]).permute(tuple(reversed(range(x.dim()))))
    (found,) = torch.autograd.grad(fn(leaf := x.clone().requires_grad_()), leaf, incoming)
    assert torch.equal(found, 2 * leaf * incoming)
    if not x.numel():
        assert not launches.called, "a grid of no blocks is an error of CUDA"
        return
    assert [call["n"] for call in launches.called] == [x.numel()] * 3
    assert {call["stream"] for call in launches.called} == {77}
    if x.is_contiguous():
        assert launches.called[0]["inputs"] == (x.data_ptr(),)


def test_arguments_reach_a_gpu_kernel_as_numbers(launches: Launches) -> None:
    fn = as_function("celu", arguments=["alpha"])
    assert torch.equal(fn(torch.ones(2), torch.tensor(3.0)), torch.tensor([5.0, 5.0]))
    assert launches.called[0]["arguments"] == (3.0,)


@pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler to run CUDA text on the CPU"
)
def test_the_operators_launch_the_exported_module_on_the_current_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    right, dtype = Setting.kernel, torch.float16
    fn = as_function(dataclasses.replace(activations.named("celu"), name="launched"), arguments=["alpha"])
    computed = ("forward", "second-derivative", "backward-parameters")
    kernels = {computes: right(fn.setting, computes, dtype, "cuda") for computes in computed}
    machine = fake_cupy.install(monkeypatch, list(kernels.values()))
    monkeypatch.setenv("RELUSYM_CACHE", "off")
    monkeypatch.setattr(Setting, "kernel", lambda setting, computes, *_: kernels[computes])
    for way in ("_on", "_channels_on", "_sums_on"):
        monkeypatch.setattr(adapter, f"{way}_cpu", getattr(adapter, f"{way}_gpu"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))

    x = points((2, 3, 4, 5), dtype).to(memory_format=torch.channels_last).requires_grad_()
    alpha = torch.tensor(2.0, dtype=dtype, requires_grad=True)
    y = fn(x, alpha)
    incoming = torch.linspace(-1, 1, 120, dtype=dtype).reshape(2, 3, 4, 5)
    by_x, by_alpha = torch.autograd.grad(y, (x, alpha), incoming, create_graph=True)
    (twice,) = torch.autograd.grad(by_x.sum(), x)

    plain = {computes: kernel.load(on="cpu") for computes, kernel in kernels.items()}
    host, gradient_in = array(x), array(incoming)
    assert np.array_equal(array(y), plain["forward"](host, 2.0))
    dx, dalpha = plain["backward-parameters"](gradient_in, host, 2.0)
    assert np.array_equal(array(by_x), dx)
    assert np.array_equal(array(twice), gradient_in * plain["second-derivative"](host, 2.0))
    assert by_alpha.item() == np.float16(dalpha)
    assert {launch.stream for launch in machine.launches} == {77}
    names = [launch.name for launch in machine.launches]
    summing = kernels["backward-parameters"].identifier
    assert names == [
        kernels["forward"].identifier,
        *(name for name in names if name.startswith(summing)),
        kernels["second-derivative"].identifier,
    ]

    machine.launches.clear()
    each = torch.tensor([0.5, 1, 2], dtype=dtype).reshape(3, 1, 1).requires_grad_()
    y = fn(x, each)
    assert machine.launches[0].name == f"{kernels['forward'].identifier}_channels"
    by_x, by_each = torch.autograd.grad(y, (x, each), incoming)
    assert np.array_equal(array(y), plain["forward"](host, array(each)))
    dx, dalpha = plain["backward-parameters"](np.ascontiguousarray(gradient_in), host, array(each))
    assert np.array_equal(array(by_x), dx)
    assert np.array_equal(array(by_each), dalpha.astype(np.float16))


# ---- mistakes


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: as_function("elu")(torch.ones(3, dtype=torch.int32)), InvalidRequest, "not torch.int32; convert"),
        (lambda: as_function("elu")(torch.ones(3, dtype=torch.complex64)), InvalidRequest, "not torch.complex64"),
        (lambda: as_function("elu")(torch.ones(3).to_sparse()), InvalidRequest, "takes dense tensors"),
        (
            lambda: as_function("prelu")(torch.ones(3), torch.ones(2)),
            InvalidRequest,
            r"shape \(2,\), .* x of the shape \(3,\)",
        ),
        (
            lambda: as_module("prelu", channels=2)(torch.ones(4, 3)),
            InvalidRequest,
            r"2 values, but axis 1 .* \(4, 3\) has 3",
        ),
        (
            lambda: as_module("prelu", channels=2)(torch.ones(2)),
            InvalidRequest,
            r"alpha: there is no axis 1 in .* \(2,\)",
        ),
        (lambda: as_module("relu", channels=2), InvalidRequest, "relu has no parameter that learns"),
        (lambda: as_function("prelu", alpha="1/2", arguments=["alpha"]), InvalidRequest, "passed at each call"),
        (lambda: as_function("prelu", arguments=["beta"]), InvalidRequest, "has no parameter 'beta' .* alpha"),
        (lambda: as_function("elu", accuracy="sloppy"), InvalidRequest, "'sloppy' is unknown; known: precise, fast"),
        (lambda: as_function("elu", alpha=-1), InvalidActivation, "outside its domain"),
        (lambda: as_function("relu", subgradient=2), InvalidSubgradient, "outside the Clarke interval"),
        (lambda: as_function("relu", subgradient="middle"), InvalidSubgradient, "'middle' is unknown"),
        (lambda: as_module("elu", beta=1), InvalidActivation, "has no parameter beta"),
        (lambda: as_function("nobody"), InvalidRequest, "nobody"),
        (
            lambda: as_function(relusym.parse("x*grad"), arguments=["grad"], grad=1),
            InvalidRequest,
            "can be called 'grad'",
        ),
    ],
)
def test_a_mistake_is_one_clear_message(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_device_without_kernels_is_refused() -> None:
    with FakeTensorMode(), pytest.raises(InvalidRequest, match="runs on cpu and cuda, not on mps:0; move x"):
        as_function("elu")(torch.empty(3, device="mps"))


def test_a_backward_of_two_shapes_is_refused() -> None:
    fn = as_function("elu")
    backward = getattr(torch.ops.relusym, f"{fn.setting.name}_backward")
    with pytest.raises(InvalidRequest, match=r"grad is torch.float32 of shape \(3,\) .* they must agree"):
        backward(torch.ones(3), torch.ones(4))


def test_without_a_compiler_the_numpy_kernels_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "available", lambda: None)
    fn: Function = as_function(relusym.parse("x/(1 + abs(x))", "without_a_compiler"))
    x = points((4, 3), torch.bfloat16).t()
    torch.testing.assert_close(fn(x), torch.nn.functional.softsign(x))
    assert gradient(fn, x).stride() == (1, 3)
