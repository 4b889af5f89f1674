"""The judge on gradients of parameters that are summed: the honest ones pass, sums broken on purpose are caught."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from relusym import check
from relusym.errors import InvalidRequest

Sum = Callable[[Any, tuple[int, ...]], Any]


def honest(terms: Any, own: tuple[int, ...]) -> Any:
    """Terms added over the axes along which a parameter of this shape was broadcast."""
    padded = (1,) * (terms.ndim - len(own)) + own
    axes = tuple(axis for axis, size in enumerate(padded) if size == 1 != terms.shape[axis])
    return np.sum(terms, axis=axes).reshape(own)


def in_the_first_channel(terms: Any, own: tuple[int, ...]) -> Any:
    result = honest(terms, own)
    if result.size > 1 and result.size != terms.size:
        whole = result.sum(dtype=result.dtype)
        result = np.zeros_like(result)
        result.flat[0] = whole
    return result


def without_the_last_block(terms: Any, own: tuple[int, ...]) -> Any:
    kept = np.array(terms)
    if terms.size > 1024 and honest(terms, own).size != terms.size:
        kept.reshape(-1)[terms.size // 1024 * 1024 :] = 0
    return honest(kept, own)


def with_the_last_row_twice(terms: Any, own: tuple[int, ...]) -> Any:
    twice = np.array(terms)
    if terms.ndim and len(terms) > 1 and honest(terms, own).size != terms.size:
        twice[-1] *= 2
    return honest(twice, own)


def in_the_next_channel(terms: Any, own: tuple[int, ...]) -> Any:
    result = honest(terms, own)
    return result if result.size == terms.size else np.roll(result, 1)


def with_nan_everywhere(terms: Any, own: tuple[int, ...]) -> Any:
    result = honest(terms, own)
    spoiled = np.isnan(result).any() and result.size != terms.size
    return np.full_like(result, np.nan) if spoiled else result


def not_a_number_for_nothing(terms: Any, own: tuple[int, ...]) -> Any:
    return honest(terms, own) if terms.size else np.full(own, np.nan, terms.dtype)


def prelu(add: Sum, wide: bool = False) -> Callable[..., Any]:
    """PReLU's backward pass with the gradient of alpha added up like this."""

    def backward(grad: Any, x: Any, alpha: Any) -> Any:
        alpha = np.asarray(alpha, x.dtype)
        slope = np.where(x > 0, x.dtype.type(1), np.where(x == 0, np.clip(alpha, 0, 1), alpha))
        with np.errstate(all="ignore"):
            dx = np.where(np.isnan(x), x, slope) * grad
            terms = np.where(x > 0, grad * x.dtype.type(0), grad * x)
            added = add(terms.astype(np.float32) if wide else terms, alpha.shape)
        return dx, np.asarray(added)

    return backward


def verdict(fn: Any, dtype: str = "float32", **words: Any) -> Any:
    return check(fn, "prelu", dtype=dtype, computes="backward-parameters", points=11_000, examples=5, **words)


@pytest.mark.parametrize(("dtype", "wide"), [("float32", False), ("float16", True), ("float16", False)])
def test_honest_sums_pass_in_the_dtype_of_the_elements_or_wider_than_16_bits(dtype: str, wide: bool) -> None:
    assert verdict(prelu(honest, wide), dtype).passed


@pytest.mark.parametrize(
    "add",
    [
        in_the_first_channel,
        in_the_next_channel,
        without_the_last_block,
        with_the_last_row_twice,
        with_nan_everywhere,
        not_a_number_for_nothing,
    ],
)
def test_a_sum_broken_on_purpose_is_caught_where_single_elements_are_right(add: Sum) -> None:
    report = verdict(prelu(add))
    assert not report.passed
    assert [(finding.kind, finding.defect) for finding in report.findings] == [("accuracy", "wrong-sum")]
    assert "wrong sum in the gradient of alpha" in report.findings[0].message


def test_a_channel_that_takes_the_parameter_of_another_is_caught() -> None:
    def backward(grad: Any, x: Any, alpha: Any) -> Any:
        moved = np.asarray(alpha) if np.size(alpha) in (1, x.size) else np.roll(alpha, 1)
        return prelu(honest)(grad, x, moved)

    report = verdict(backward)
    assert [finding.kind for finding in report.findings] == ["layout"]


def test_elements_of_such_a_kernel_are_judged_like_any_other() -> None:
    def backward(grad: Any, x: Any, alpha: Any) -> Any:
        dx, gradient = prelu(honest)(grad, x, alpha)
        return dx, gradient * np.float32(1.001)

    report = verdict(backward)
    assert "accuracy" in [finding.kind for finding in report.findings]
    assert "np.array(float.fromhex('0x1.0000000000000p-2'" in report.reproduce


@pytest.mark.parametrize(
    ("backward", "said"),
    [
        (lambda grad, x, alpha: grad, "not 2 arrays"),
        (lambda grad, x, alpha: (grad, np.zeros(x.shape, x.dtype)), "not ()"),
        (lambda grad, x, alpha: (grad, np.zeros(np.shape(alpha), "f8")), "float64"),
        (lambda grad, x: (grad, x), "positional argument"),
    ],
    ids=["one result", "the shape of the elements", "another dtype", "no parameter"],
)
def test_a_call_that_does_not_keep_its_promise_is_a_finding(backward: Any, said: str) -> None:
    report = verdict(backward)
    assert not report.passed
    assert any(said in finding.message for finding in report.findings)


def test_parameters_to_be_passed_have_to_be_known() -> None:
    def fn(grad: Any, x: Any, *parameters: Any) -> Any:
        raise AssertionError("is not called")

    for name, words, said in (
        ("relu", {}, "relu: backward-parameters .* it has none"),
        ("elu", {}, "say by arguments= which of alpha"),
        ("elu", {"arguments": ["beta"]}, "elu has no parameter 'beta' to pass; its parameters: alpha"),
        ("elu", {"arguments": "alpha"}, "give a list of names"),
        ("prelu", {"through": "torch"}, "cannot be taken by autograd"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            check(fn, name, dtype="float32", computes="backward-parameters", **words)
    with pytest.raises(InvalidRequest, match="arguments goes with 'backward-parameters'"):
        check(fn, "elu", dtype="float32", computes="backward", arguments=["alpha"])
