"""Kernels that take a framework's derivative at kinks."""

from typing import Any

import conventions as measuring
import numpy as np
import pytest
from relusym_codegen import acceptance, generate

from relusym import named, parse
from relusym.activation import parameter_values
from relusym.calculus.subdifferentials import slopes
from relusym.conventions import Entry, convention, names
from relusym.conventions.policies import slope_of
from relusym.errors import InvalidSubgradient
from relusym.pieces import split

ENTRIES = [
    pytest.param(name, entry, id=f"{name}-{entry.activation.name}")
    for name in names()
    if convention(name).defines_slopes
    for entry in convention(name).entries
    if not any(point.outside for point in entry.points)
]


@pytest.mark.parametrize(("held", "entry"), ENTRIES)
def test_a_numpy_kernel_returns_the_slopes_of_the_convention(held: str, entry: Entry) -> None:
    activation = entry.activation
    fixed = {symbol.name: value for symbol, value in entry.fixed.items()}
    given = {**measuring.SETTINGS.get(activation.name, ({},))[-1], **fixed}
    values = parameter_values(activation, given)
    pieces = split(activation, values)
    kernel = generate(activation, "numpy", "float64", "derivative", subgradient=held, arguments=(), **given)
    assert f"derivative at kinks: {held}" in str(kernel)
    at = [point.at.xreplace(values) for point in entry.points]
    wanted = [
        slope.xreplace(values)
        for point, place in zip(entry.points, at, strict=True)
        if (slope := slope_of(point, *slopes(pieces, place))) is not None
    ]
    found = kernel.load()(np.array([float(place) for place in at]))
    np.testing.assert_array_max_ulp(found, np.array([float(slope) for slope in wanted]), 1)


@pytest.mark.parametrize(("held", "at_zero"), [("torch", -2.0), ("left", -2.0), ("right", 1.0)])
@pytest.mark.parametrize("target", ["numpy", "cuda"])
def test_a_slope_that_is_a_parameter_is_read_at_each_call(held: str, at_zero: float, target: str) -> None:
    lack = acceptance.missing(target)
    if lack is not None:
        pytest.skip(lack)
    kernel = generate("prelu", target, "float32", "derivative", subgradient=held)
    fn = kernel.load("cpu") if target == "cuda" else kernel.load()
    assert fn(np.zeros(3, np.float32), alpha=-2.0).tolist() == [at_zero] * 3


def test_backward_from_output_takes_the_convention_where_it_can() -> None:
    kernel = generate("leaky_relu", "numpy", "float32", "backward-from-output", subgradient="jax")
    assert kernel.load()(np.ones(1, np.float32), np.zeros(1, np.float32)).tolist() == [1.0]


def test_a_formula_takes_the_convention_of_the_function_it_writes_out() -> None:
    for held, slope in (("torch", 0.5), ("tensorflow", 1.0)):
        fn = generate(parse("max(x, 0)"), "numpy", "float32", "derivative", subgradient=held).load()
        assert fn(np.zeros(1, np.float32)).tolist() == [slope]


@pytest.mark.parametrize(("name", "held"), [("celu", "tensorflow"), ("softshrink", "jax"), ("relu", "onnx")])
def test_nothing_is_generated_where_a_convention_has_no_usable_slope(name: str, held: str) -> None:
    with pytest.raises(InvalidSubgradient, match="choose least-norm, left, right, midpoint"):
        generate(name, "numpy", computes="derivative", subgradient=held)


@pytest.mark.parametrize("name", ["leaky_relu", "hardtanh"])
def test_kernels_are_judged_by_the_convention_they_were_made_for(name: str) -> None:
    def statuses(made: str, judged: str) -> set[str]:
        (batch,) = acceptance.batches([named(name)], dtypes=("float16",), computes=("derivative",), subgradient=made)
        (kernel,) = acceptance.kernels(batch)
        (other,) = acceptance.batches([named(name)], dtypes=("float16",), computes=("derivative",), subgradient=judged)
        return {acceptance._judged(other, kernel, kernel.load()).status}

    assert statuses("jax", "jax") == {"passed"}
    assert statuses("torch", "torch") == {"passed"}
    assert statuses("jax", "torch") == {"failed"}


def test_what_a_convention_does_not_cover_is_not_run() -> None:
    batches = acceptance.batches(
        [named("relu"), named("softshrink")], dtypes=("float16",), computes=("derivative",), subgradient="jax"
    )
    found = [result for batch in batches for result in acceptance.run(batch)]
    assert [result.status for result in found] == ["passed", "not run"]
    assert "jax-0.10 says nothing about softshrink" in found[1].reason


def test_a_policy_about_kinks_leaves_a_maximum_out() -> None:
    batches = acceptance.batches(
        [named("reglu"), named("maxout2")], dtypes=("float16",), computes=("backward",), subgradient="right"
    )
    found = [result for batch in batches for result in acceptance.run(batch)]
    assert [result.status for result in found] == ["passed", "not run"]
    assert "says nothing about the ties of a maximum" in found[1].reason


@pytest.mark.parametrize(("name", "given"), [("leaky_relu", {"negative_slope": 2}), ("hardtanh", {}), ("prelu", {})])
def test_a_function_for_pytorch_has_the_slopes_of_pytorch(name: str, given: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from relusym_codegen.torch import as_function

    ours, theirs = as_function(name, subgradient="torch", **given), measuring.torch().functions[name]
    assert as_function(name, subgradient="torch-2.13", **given) is ours
    x = torch.tensor([-1.0, 0.0, 1.0], requires_grad=True)
    passed = {"prelu": (torch.tensor(0.25),)}.get(name, ())
    (found,) = torch.autograd.grad(ours(x, *passed).sum(), x)
    setting = {"prelu": {"alpha": 0.25}, "hardtanh": {"lower": -1.0, "upper": 1.0}}.get(name, given)
    (wanted,) = torch.autograd.grad(theirs.call(x, **setting).sum(), x)
    assert found.tolist() == wanted.tolist()
