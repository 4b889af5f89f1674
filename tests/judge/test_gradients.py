"""Incoming gradients that are NaN or infinite: reported, and judged where IEEE 754 says what the product is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relusym.judge import check
from relusym.judge.gradients import SUBJECT

FEW: Any = {"computes": "backward", "points": 11_000, "examples": 2}


def multiplied(grad: Any, x: Any) -> Any:
    return grad * np.where(np.isnan(x), x, x > 0).astype(x.dtype)


def selected(grad: Any, x: Any) -> Any:
    return np.where(np.isnan(x), x, np.where(x > 0, grad, x.dtype.type(0)))


@pytest.mark.parametrize(("kernel", "where_flat"), [(multiplied, "NaN"), (selected, "0")])
def test_what_a_gradient_of_infinity_times_0_is_is_a_policy(kernel: Any, where_flat: str) -> None:
    report = check(kernel, "relu", dtype="float32", **FEW)
    assert report.passed, str(report)
    told = f"where f' is 0, NaN gives {where_flat}, infinity gives {where_flat}"
    assert report.policies[SUBJECT] == f"NaN gives NaN, infinity gives infinity; {told}"
    assert SUBJECT not in str(report)


def sigmoid(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return 1 / (1 + np.exp(-np.maximum(x.astype(np.float64), -745)))


def by_the_product_rule(grad: Any, x: Any) -> Any:
    """silu' times the gradient, which comes twice: infinity minus infinity where x is negative."""
    wide, there = grad.astype(np.float64), np.minimum(x.astype(np.float64), 745)
    there = np.maximum(there, -745)
    slope = sigmoid(x)
    found = wide * slope + wide * (there * slope * (1 - slope))
    return np.where(np.isnan(x), x, found).astype(x.dtype)


@pytest.mark.parametrize(
    ("activation", "kernel", "kinds"),
    [
        ("softplus", lambda grad, x: (grad.astype(np.float64) * sigmoid(x)).astype(x.dtype), []),
        ("softplus", lambda grad, x: (np.nan_to_num(grad).astype(np.float64) * sigmoid(x)).astype(x.dtype), None),
        ("silu", by_the_product_rule, ["nan", "nan"]),
    ],
    ids=["right", "swallowed", "by the product rule"],
)
def test_a_product_that_is_not_that_of_ieee_754_is_found_unless_judged_leniently(
    activation: str, kernel: Any, kinds: list[str] | None
) -> None:
    report = check(kernel, activation, dtype="float32", **FEW)
    of_gradients = [
        f.kind for f in report.findings if f.gradient is not None and not np.isfinite(float.fromhex(f.gradient))
    ]
    assert of_gradients == (["nan-swallowed", "accuracy", "accuracy"] if kinds is None else kinds)
    lenient = check(kernel, activation, dtype="float32", strict=False, **FEW)
    assert lenient.passed, str(lenient)
    assert (SUBJECT in str(lenient)) == (kinds != [])


def test_a_bias_and_a_parameter_gradient_are_asked_too() -> None:
    def backward(grad: Any, x: Any, bias: Any) -> Any:
        dx = multiplied(grad, x + bias)
        return dx, dx.sum(axis=tuple(range(dx.ndim - 1)))

    words = {**FEW, "computes": "bias-backward"}
    assert SUBJECT in check(backward, "relu", dtype="float32", **words).policies

    def slope(grad: Any, x: Any) -> Any:
        return grad * np.minimum(x, 0)

    words = {**FEW, "computes": "parameter-gradient:alpha"}
    assert SUBJECT in check(slope, "prelu", dtype="float32", **words).policies
