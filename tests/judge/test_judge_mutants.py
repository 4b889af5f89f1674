"""The judge is judged: every kernel broken on purpose is caught, and for the right reason."""

from __future__ import annotations

import json
import pickle

import mutants
import numpy as np
import pytest

from relusym.judge import check

POINTS = 30_000
HEX = ("0x", "-0x", "nan", "inf", "-inf")


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_kernel_broken_on_purpose_is_caught(mutant: mutants.Mutant) -> None:
    report = check(
        mutant.kernel,
        mutant.activation,
        dtype=mutant.dtype,
        computes=mutant.computes,
        parameters=mutant.parameters,
        points=POINTS,
        strict=True,
    )
    assert not report.passed
    kinds = {finding.kind for finding in report.findings}
    assert mutant.kind in kinds, str(report)
    for finding in report.findings:
        assert finding.count >= 1
        assert finding.message
        if finding.input:
            assert finding.input.startswith(HEX)
            assert finding.got.startswith(HEX)
            assert finding.expected.startswith(HEX)
    assert report.reproduce
    assert report.reproduce in str(report)
    json.dumps(report.to_json(), allow_nan=False)
    assert pickle.loads(pickle.dumps(report)) == report


def found(name: str, kind: str) -> tuple[str, str]:
    """Input and text of the finding of this kind on the mutant of this name."""
    (mutant,) = (each for each in mutants.MUTANTS if each.name == name)
    report = check(
        mutant.kernel,
        mutant.activation,
        dtype=mutant.dtype,
        computes=mutant.computes,
        parameters=mutant.parameters,
        points=POINTS,
        strict=True,
    )
    (finding,) = (each for each in report.findings if each.kind == kind)
    return finding.input, str(report)


def test_kink_value_is_shown_at_the_kink() -> None:
    shown, text = found(">= for > at the kink", "kink")
    assert float.fromhex(shown) == 0
    assert "expected 0x0p+0" in text


def test_shrinking_leads_to_a_simple_input_next_to_where_the_error_begins() -> None:
    shown, _ = found("right only on [-2, 2]", "accuracy")
    assert 2 < abs(float.fromhex(shown)) <= 4
    shown, _ = found("a threshold set too low", "accuracy")
    assert 6 < float.fromhex(shown) <= 16


def test_shrinking_needs_few_significant_bits() -> None:
    shown, _ = found("exp - 1 for expm1", "accuracy")
    mantissa = shown.lstrip("-").removeprefix("0x1").partition("p")[0].lstrip(".")
    assert len(mantissa) <= 1, shown


def test_the_one_bad_input_of_65536_is_named() -> None:
    shown, text = found("one bad input in bfloat16", "accuracy")
    assert float.fromhex(shown) == 1.5
    assert "65,536 inputs, exhaustive" in text
    assert "bfloat16" in text.splitlines()[-1]


def test_gradient_is_shrunk_with_the_input() -> None:
    report = check(
        lambda g, x: mutants.in_double(lambda g, x: 2 * g * (1 - np.tanh(x) ** 2))(g, x),
        "tanh",
        dtype="float32",
        computes="backward",
    )
    accuracy = next(finding for finding in report.findings if finding.kind == "accuracy")
    assert accuracy.gradient == "0x1p+0"
    assert abs(float.fromhex(accuracy.input)) <= 1


def test_an_error_that_depends_on_the_company_is_shown_where_it_was_seen() -> None:
    def kernel(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        result = np.tanh(x.astype(np.float64)).astype(x.dtype)
        if x.size > 5000:
            result[-1000:] = 0
        return result

    report = check(kernel, "tanh", dtype="float32")
    assert not report.passed
    assert "got 0x0p+0" in str(report)
