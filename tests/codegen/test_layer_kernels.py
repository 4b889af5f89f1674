"""Layers evaluated with kernels agree with PyTorch's autograd, and differ from it exactly where a kink is met."""

from typing import Any

import numpy as np
import pytest
from relusym_codegen.layers import affine_kernels, gradients, pre_activations

from relusym import analyse, named

SAMPLES, INPUTS, UNITS = 24, 7, 9
POLICIES = ("torch", "jax", "tensorflow", "least-norm", "left", "right", "midpoint")


def by_autograd(torch: Any, name: str, weight: Any, bias: Any, x: Any, grad: Any) -> tuple[Any, ...]:
    """DE/dW, dE/db, dE/dx as PyTorch differentiates the layer."""
    leaves = [torch.tensor(array, requires_grad=True) for array in (weight, bias, x)]
    z = leaves[2] @ leaves[0].T + leaves[1]
    function: Any = torch
    for part in named(name).names["torch"].split(".")[1:]:
        function = getattr(function, part)
    function(z).backward(torch.tensor(grad))
    return tuple(leaf.grad.numpy() for leaf in leaves)


def ours(name: str, policy: Any, weight: Any, bias: Any, x: Any, grad: Any) -> tuple[Any, ...]:
    kernels = affine_kernels(name, dtype="float64", subgradient=policy)
    found = gradients(kernels, weight, x, pre_activations(weight, bias, x), grad)
    return found.weight, found.bias, found.input


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus"])
def test_random_layers_agree_with_the_autograd_of_torch_to_rounding(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch's autograd")
    random = np.random.default_rng(7)
    weight, bias, x, grad = (
        random.standard_normal(shape) for shape in ((UNITS, INPUTS), UNITS, (SAMPLES, INPUTS), (SAMPLES, UNITS))
    )
    # z is a sum of INPUTS + 1 products, off by that many half ulps of the sum of their sizes; |f'| and |f''| are below
    # 2 here; sums over samples, units or inputs add a half ulp of their size for each term.
    size = np.abs(grad) * 2 * (2 + np.abs(x) @ np.abs(weight).T + np.abs(bias))
    terms = (SAMPLES + INPUTS + UNITS) * np.finfo(np.float64).eps
    bounds = (terms * size.T @ np.abs(x), terms * size.sum(axis=0), terms * size @ np.abs(weight))
    want = by_autograd(torch, name, weight, bias, x, grad)
    for policy in POLICIES if name in ("relu", "leaky_relu") else ("torch",):
        for one, other, bound in zip(ours(name, policy, weight, bias, x, grad), want, bounds, strict=True):
            assert np.all(np.abs(one - other) <= bound)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh"])
def test_policies_differ_from_torch_exactly_where_a_pre_activation_is_at_a_kink(name: str, policy: str) -> None:
    """Small integers: every sum is exact, many pre-activations are kinks, and results are equal, not near."""
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch's autograd")
    random = np.random.default_rng(3)
    weight, bias, x, grad = (
        random.integers(-2, 3, size=shape).astype(np.float64)
        for shape in ((UNITS, INPUTS), UNITS, (SAMPLES, INPUTS), (SAMPLES, UNITS))
    )
    z = pre_activations(weight, bias, x)
    more, met = np.zeros_like(z), 0
    torchs = {kink.at: kink.chosen for kink in analyse(named(name), subgradient="torch").kinks}
    for kink in analyse(named(name), subgradient=policy).kinks:
        here = z == float(kink.at)
        met += np.count_nonzero(here)
        more += here * float(kink.chosen - torchs[kink.at])
    assert met > 10
    delta = grad * more
    excess = (delta.T @ x, delta.sum(axis=0), delta @ weight)
    want = by_autograd(torch, name, weight, bias, x, grad)
    for one, other, added in zip(ours(name, policy, weight, bias, x, grad), want, excess, strict=True):
        np.testing.assert_array_equal(one, other + added)
    if policy == "torch":
        assert not more.any()


def test_kernels_fold_the_parameters_that_are_given() -> None:
    kernels = affine_kernels("prelu", dtype="float32", parameters={"alpha": "1/2"})
    assert kernels.forward(np.array([-4, 4], np.float32)).tolist() == [-2, 4]
    assert kernels.backward(np.ones(2, np.float32), np.array([-4, 4], np.float32)).tolist() == [0.5, 1]
