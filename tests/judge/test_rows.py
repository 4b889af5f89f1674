"""Kernels with a bias and several rows: sums that lose a row and rows that see each other are caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from relusym.judge import check
from relusym.judge.rows import SHAPES

FEW: Any = {"points": 11_000, "examples": 2}
Kernel = Callable[..., Any]


def softplus(x: Any, bias: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.logaddexp(0, x.astype(np.float64) + bias.astype(np.float64)).astype(x.dtype)


def slopes(grad: Any, x: Any, bias: Any) -> Any:
    """grad * sigmoid(x + bias) in float64, as rows."""
    with np.errstate(all="ignore"):
        total = (x + bias).astype(np.float64)
        dx = grad.astype(np.float64) / (1 + np.exp(-np.maximum(total, -745)))
    return dx.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])


def backward(total: Callable[[Any], Any]) -> Kernel:
    """The backward pass, its bias gradient being what `total` makes of the rows of dx."""

    def kernel(grad: Any, x: Any, bias: Any) -> Any:
        dx = slopes(grad, x, bias)
        return dx.reshape(x.shape).astype(x.dtype), np.asarray(total(dx)).astype(x.dtype)

    return kernel


def by_tiles(rows: Any) -> Any:
    """Of whole tiles of 32 rows, and of all rows where there are fewer."""
    return rows[: max(rows.shape[0] // 32 * 32, rows.shape[0] if rows.shape[0] < 32 else 0)].sum(axis=0)


def one_by_one(rows: Any) -> Any:
    """In float16, the worst that may be done."""
    found = np.zeros(rows.shape[1], np.float16)
    for row in rows.astype(np.float16):
        found = found + row
    return found


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_sums_of_all_rows_pass(dtype: str) -> None:
    report = check(backward(lambda rows: rows.sum(axis=0)), "softplus", dtype=dtype, computes="bias-backward", **FEW)
    assert report.passed, str(report)


def test_a_sum_in_the_narrow_format_is_within_what_its_additions_explain() -> None:
    assert check(backward(one_by_one), "softplus", dtype="float16", computes="bias-backward").passed


@pytest.mark.parametrize(
    "total",
    [
        lambda rows: rows[0],
        by_tiles,
        lambda rows: rows[:1024].sum(axis=0),
        lambda rows: rows.sum(axis=0) + (rows[-1] if rows.shape[0] > 1 else 0),
        lambda rows: rows.mean(axis=0),
        lambda rows: np.where(rows.shape[0] > 60, np.nan, rows.sum(axis=0)),
    ],
    ids=["first row", "last tile lost", "one block", "last row twice", "mean", "not a number"],
)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_sums_that_are_not_those_of_the_rows_are_caught(total: Callable[[Any], Any], dtype: str) -> None:
    report = check(backward(total), "softplus", dtype=dtype, computes="bias-backward", **FEW)
    (finding,) = report.findings
    assert finding.defect == "wrong-sum"
    assert "wrong sum over" in report.reproduce


def test_a_gradient_that_goes_to_the_wrong_row_is_caught() -> None:
    def kernel(grad: Any, x: Any, bias: Any) -> Any:
        dx = slopes(grad, x, bias)
        return dx[::-1].reshape(x.shape).astype(x.dtype), dx.sum(axis=0).astype(x.dtype)

    report = check(kernel, "softplus", dtype="float32", computes="bias-backward", **FEW)
    assert [finding.kind for finding in report.findings] == ["layout"]


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        (softplus, None),
        (lambda x, bias: softplus(x, bias if x.ndim < 2 else bias[::-1]), "layout"),
        (lambda x, bias: softplus(np.broadcast_to(x.reshape(-1, x.shape[-1])[0], x.shape), bias), "layout"),
        (lambda x, bias: softplus(x, bias).ravel() if x.ndim > 1 else softplus(x, bias), "shape"),
        (lambda x, bias: softplus(x, bias) if x.ndim < 3 else 1 // 0, "exception"),
    ],
    ids=["right", "bias the wrong way round", "first row in all", "flat", "two dimensions at most"],
)
def test_a_bias_goes_to_every_row(kernel: Kernel, kind: str | None) -> None:
    report = check(kernel, "softplus", dtype="float16", computes="bias-forward", work="float32", **FEW)
    assert [finding.kind for finding in report.findings] == ([kind] if kind else []), str(report)


def test_rows_are_tried_beyond_a_block_of_1024_and_in_three_dimensions() -> None:
    assert max(int(np.prod(shape[:-1])) for shape in SHAPES) % 1024 != 0
    assert {len(shape) for shape in SHAPES} == {2, 3}
