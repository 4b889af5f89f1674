"""Which formula a callable computes, told from its values."""

from __future__ import annotations

from typing import Any

import mutants
import numpy as np
import pytest
from typer.testing import CliRunner

from relusym.activations import NAMES, named
from relusym.cli import app
from relusym.errors import InvalidRequest
from relusym.judge.identification import identify
from relusym.rounding import reference


def same(fn: Any, **words: Any) -> list[str]:
    return [str(match).partition(":")[0] for match in identify(fn, **words) if match.same]


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_of_the_catalogue_is_recognised(name: str) -> None:
    found = identify(lambda x: reference(named(name), x).value, dtype="float32")
    assert name in {match.activation for match in found if match.same}


OTHERS: dict[str, tuple[Any, str]] = {
    "elu(alpha=1/2)": (mutants.in_double(lambda x: mutants.elu(x, 0.5)), "float32"),
    "softplus(beta=3)": (mutants.in_double(lambda x: mutants.softplus(x, 3.0)), "float32"),
    "quick_gelu": (mutants.in_double(lambda x: x * mutants.sigmoid(1.702 * x)), "float32"),
    "swish(beta=5/4)": (mutants.in_double(lambda x: x * mutants.sigmoid(1.25 * x)), "bfloat16"),
    "hardtanh(lower=-2, upper=3)": (lambda x: np.clip(x, -2, 3), "float16"),
    "hardsigmoid(slope=1/5, shift=1/2)": (mutants.in_double(lambda x: np.clip(0.2 * x + 0.5, 0, 1)), "float32"),
    "threshold(threshold=1/10, value=20)": (lambda x: np.where(x > 0.1, x, x.dtype.type(20)), "float64"),
}


@pytest.mark.parametrize("expected", list(OTHERS))
def test_parameters_are_found_as_the_simple_numbers_they_are(expected: str) -> None:
    fn, dtype = OTHERS[expected]
    assert expected in same(fn, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_three_forms_of_gelu_are_told_apart(dtype: str) -> None:
    for name in ("gelu", "gelu_tanh", "quick_gelu"):
        found = {
            match.activation
            for match in identify(lambda x, n=name: reference(named(n), x).value, dtype=dtype)
            if match.same
        }
        assert found & {"gelu", "gelu_tanh", "quick_gelu"} == {name}


def test_a_lost_tail_does_not_hide_the_formula() -> None:
    lossy = mutants.in_double(lambda x: np.where(x < -5.5, 0 * x, mutants.gelu(x)))
    assert "gelu" in same(lossy)


def test_a_stranger_is_nobody() -> None:
    matches = identify(np.sin)
    assert not any(match.same for match in matches)
    assert len(matches) == len(NAMES)
    assert matches[0].difference > 0.1
    assert "differs by up to" in str(matches[0])


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (lambda x: x[:3], r"shape \(3,\)"),
        (lambda x: x.nothing, "AttributeError"),
        (lambda x: np.full_like(x, np.nan), "no finite number"),
    ],
)
def test_what_cannot_be_compared_is_refused(fn: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        identify(fn)


def test_the_command_names_it_and_what_is_near() -> None:
    result = CliRunner().invoke(app, ["identify", "numpy:tanh", "--dtype", "float64"])
    assert result.exit_code == 0, result.output
    first, second, *_ = result.output.splitlines()
    assert first.startswith("tanh: the same but for rounding")
    assert "differs by up to" in second
    assert CliRunner().invoke(app, ["identify", "numpy:sin"]).exit_code == 4
    assert CliRunner().invoke(app, ["identify", "numpy:nothing"]).exit_code == 2
