"""Correct kernels are not accused."""

from __future__ import annotations

from typing import Any

import mutants
import numpy as np
import pytest

from relusym import activations
from relusym.floats import FORMATS, all_values, to_format
from relusym.judge import Bound, check
from relusym.judge.expectations import expectation, quantities_of

POINTS = 30_000

HONEST: dict[str, tuple[str, str, Any]] = {
    "silu": ("silu", "forward", mutants.silu),
    "sigmoid": ("sigmoid", "forward", mutants.sigmoid),
    "elu": ("elu", "forward", mutants.elu),
    "softplus": ("softplus", "forward", mutants.softplus),
    "gelu": ("gelu", "forward", mutants.gelu),
    "relu": ("relu", "forward", mutants.relu),
    "selu": ("selu", "forward", mutants.selu),
    "tanh": ("tanh", "forward", np.tanh),
    "relu'": ("relu", "derivative", mutants.relu_derivative),
    "softplus'": ("softplus", "derivative", mutants.sigmoid),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("name", list(HONEST))
def test_double_arithmetic_with_one_rounding_is_within_051_ulp(name: str, dtype: str) -> None:
    activation, computes, f = HONEST[name]
    bound = Bound(0.51, 2.0**-25) if dtype == "float32" else Bound(0.51)
    report = check(mutants.in_double(f), activation, dtype=dtype, computes=computes, bound=bound, points=POINTS)
    assert report.passed, str(report)
    assert report.findings == ()
    assert report.max_ratio <= 1
    assert report.undecided == 0
    assert report.exhaustive == (dtype != "float32")
    assert report.tested == (65536 if report.exhaustive else report.tested)


@pytest.mark.parametrize("name", list(HONEST))
def test_double_arithmetic_passes_the_default_bound_of_float64(name: str) -> None:
    activation, computes, f = HONEST[name]
    # Below -37 erfc itself is subnormal and gelu is not, below -708 so are exp and silu: honest only above.
    within = {"gelu": 37.0, "silu": 708.0}.get(name)
    report = check(f, activation, dtype="float64", computes=computes, within=within, points=POINTS)
    assert report.passed, str(report)


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_tanh_of_numpy_itself_is_not_accused(dtype: str) -> None:
    report = check(np.tanh, "tanh", dtype=dtype)
    assert report.passed, str(report)
    assert report.max_ulp < 4


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_backward_of_relu_by_selection(dtype: str) -> None:
    def backward(gradient: Any, x: Any) -> Any:
        return np.where(x > 0, gradient, np.where(np.isnan(x), x, gradient * x.dtype.type(0)))

    report = check(backward, "relu", dtype=dtype, computes="backward", max_ulp=0.5)
    assert report.passed, str(report)


def test_backward_may_lose_what_the_derivative_alone_loses_below_the_normal_range() -> None:
    def backward(gradient: Any, x: Any) -> Any:
        decay = np.exp(-np.abs(x))
        slope = decay / (1 + decay) ** 2
        return to_format(gradient * slope, FORMATS["float64"])

    report = check(backward, "sigmoid", dtype="float64", computes="backward")
    assert report.passed, str(report)


def test_forward_and_derivative_in_one_pass() -> None:
    both = mutants.in_double(mutants.softplus), mutants.in_double(mutants.sigmoid)
    report = check(
        lambda x: (both[0](x), both[1](x)), "softplus", dtype="float32", computes="forward-derivative", points=POINTS
    )
    assert report.passed, str(report)


def test_parameter_gradient_of_elu() -> None:
    def by_alpha(gradient: Any, x: Any) -> Any:
        return gradient * np.expm1(np.minimum(x, 0))

    kernel = mutants.in_double(by_alpha)
    report = check(kernel, "elu", dtype="float32", computes="parameter-gradient:alpha", points=POINTS)
    assert report.passed, str(report)


@pytest.mark.parametrize("subgradient", ["left", "right", "midpoint", 0.25])
def test_the_policy_decides_the_value_at_the_kink(subgradient: Any) -> None:
    at_zero = {"left": 0.0, "right": 1.0, "midpoint": 0.5, 0.25: 0.25}[subgradient]

    def derivative(x: Any) -> Any:
        return np.where(x == 0, at_zero, mutants.relu_derivative(x))

    kernel = mutants.in_double(derivative)
    chosen = check(kernel, "relu", dtype="float16", computes="derivative", subgradient=subgradient)
    assert chosen.passed, str(chosen)
    other = check(kernel, "relu", dtype="float16", computes="derivative", subgradient=0.75)
    assert [finding.kind for finding in other.findings] == ["kink"]


def test_parameters_are_judged_by_their_exact_values() -> None:
    tenth = mutants.in_double(lambda x: np.where(x > 0, x, 0.1 * x))
    assert check(tenth, "leaky_relu", dtype="float16", parameters={"negative_slope": "0.1"}).passed
    assert not check(tenth, "leaky_relu", dtype="float16").passed


def test_beyond_within_only_a_finite_result_is_asked() -> None:
    crude = mutants.in_double(lambda x: np.where(np.abs(x) > 100, x, np.tanh(x)))
    assert not check(crude, "tanh", dtype="float32").passed
    limits = mutants.in_double(lambda x: np.where(np.isinf(x), np.sign(x), crude(x)))
    assert check(limits, "tanh", dtype="float32", within=100, points=POINTS).passed
    lost = mutants.in_double(lambda x: np.where(np.abs(x) > 100, np.nan, np.tanh(x)))
    report = check(lost, "tanh", dtype="float32", within=100, points=POINTS)
    assert "nan" in {finding.kind for finding in report.findings}


def test_gradient_of_ones_shares_the_reference_of_the_derivative() -> None:
    x = all_values(FORMATS["float16"])
    silu = activations.named("silu")
    slope = expectation(silu, quantities_of("derivative", silu)[0]).at(x)
    ones = np.ones_like(x)
    assert expectation(silu, quantities_of("backward", silu)[0]).at(x, ones) is slope
