"""What a user reads: report text, JSON, the line to reproduce, and errors for requests that make no sense."""

from __future__ import annotations

import json
import math
from typing import Any

import ml_dtypes
import mutants
import numpy as np
import pytest

from relusym import activations
from relusym.errors import InvalidActivation, InvalidRequest, InvalidSubgradient
from relusym.floats import FORMATS
from relusym.judge import Bound, Report, check
from relusym.judge.adapters.adapter import LONGEST_TAIL
from relusym.judge.laws import simpler, simplicity
from relusym.judge.metrics import error_in_ulps, exact_value
from relusym.judge.reports import hex_of
from relusym.judge.reproducing import call_line


def broken_tanh(dtype: str = "float32") -> Report:
    return check(mutants.in_double(lambda x: np.tanh(np.clip(x, -2, 2))), "tanh", dtype=dtype)


def test_a_failure_shows_input_expected_got_ulps_and_how_to_reproduce() -> None:
    report = broken_tanh()
    (finding,) = (each for each in report.findings if each.kind == "accuracy")
    x, got, expected = (float.fromhex(text) for text in (finding.input, finding.got, finding.expected))
    assert got == float(np.float32(math.tanh(math.copysign(2, x))))
    assert expected == float(np.float32(math.tanh(x)))
    spacing = float(np.spacing(np.float32(abs(expected))))
    assert finding.ulps == pytest.approx(abs(got - math.tanh(x)) / spacing, rel=1e-6)
    text = str(report)
    assert text.startswith("FAILED: tanh forward float32 (")
    for part in (finding.input, finding.got, finding.expected, "ulp", "reproduce: fn(np.array(["):
        assert part in text


def kernel_wrong_at_three(x: Any) -> Any:
    return mutants.in_double(lambda x: np.where(x == 3, 3.0, np.tanh(x)))(x)


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_the_line_to_reproduce_reproduces(dtype: str) -> None:
    report = check(kernel_wrong_at_three, "tanh", dtype=dtype, extra_points=[3])
    (finding,) = report.findings
    line = report.reproduce
    result = eval(line, {"np": np, "ml_dtypes": ml_dtypes, "fn": kernel_wrong_at_three})
    assert result.dtype == FORMATS[dtype].dtype
    assert hex_of(result[0]) == finding.got == "0x1.8p+1"
    assert line.endswith(f"# expected {finding.expected}, got {finding.got}")


def test_a_gradient_is_part_of_the_line() -> None:
    line = call_line(FORMATS["float16"], "0x1p+0", "0x1.8p+0")
    assert line.index("0x1.8p+0") < line.index("0x1p+0")
    assert line.count("np.array") == 2


def test_a_pass_is_two_lines_and_a_note() -> None:
    report = check(mutants.in_double(mutants.silu), "silu", dtype="float16")
    lines = str(report).splitlines()
    assert lines[0] == "passed: silu forward float16 (65,536 inputs, exhaustive)"
    assert "largest error 0.5 ulp at x = " in lines[1]
    assert "allowed 4 + 4 kappa" in lines[1]
    assert lines[2:] == ["  note: at +0/-0 the kernel returns 0.0/-0.0"]


def test_json_is_versioned_and_has_no_infinite_numbers() -> None:
    report = check(lambda x: np.where(x == 2, np.nan, np.tanh(x)).astype(x.dtype), "tanh", dtype="float16")
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["schema"] == 1
    assert data["passed"] is False
    assert data["max_ulp"] == "inf"
    (finding,) = data["findings"]
    assert (finding["kind"], finding["input"], finding["got"]) == ("nan", "0x1p+1", "nan")
    assert {"python", "numpy", "relusym", "python-flint"} <= set(data["versions"])


def test_quiet_kernels_and_loud_ones_are_judged_without_a_warning() -> None:
    import warnings

    def loud(x: Any) -> Any:
        warnings.warn("loud", RuntimeWarning, stacklevel=1)
        return np.log(x * 0 - 1) * 0 + np.tanh(x) if x.size > 10**9 else np.tanh(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check(loud, "tanh", dtype="float16").passed
        assert not check(lambda x: np.log(1 + np.exp(x)), "softplus", dtype="float32").passed


def test_the_worst_input_is_named_though_the_kernel_passes() -> None:
    report = check(lambda x: np.tanh(x), "tanh", dtype="float32", max_ulp=8)
    assert report.passed
    assert report.worst_input is not None
    assert 0 < report.max_ulp <= 8
    assert report.max_ratio == pytest.approx(report.max_ulp / 8)
    assert report.bound == "8"


def test_results_an_ulp_off_are_counted_as_unfaithful() -> None:
    two_up = mutants.in_double(np.tanh)
    report = check(
        lambda x: np.nextafter(np.nextafter(two_up(x), x.dtype.type(2)), x.dtype.type(2)),
        "tanh",
        dtype="float16",
        max_ulp=3,
    )
    assert report.unfaithful > 60000


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"dtype": "float8"}, InvalidRequest, "float16, bfloat16, float32, float64"),
        ({"computes": "backwards"}, InvalidRequest, "forward, derivative"),
        ({"computes": "parameter-gradient:gamma"}, InvalidRequest, "no parameter 'gamma'"),
        ({"through": "theano"}, InvalidRequest, "numpy, torch, jax"),
        ({"through": "numpy", "computes": "derivative"}, InvalidRequest, "computes='derivative'"),
        ({"max_ulp": 1, "bound": Bound(1)}, InvalidRequest, "not both"),
        ({"dtype": 3.5}, InvalidRequest, "3.5 is no dtype; give one of float16"),
        ({"work": 3.5}, InvalidRequest, "3.5 is no dtype"),
        ({"computes": None}, InvalidRequest, "computes = None; give the name of a quantity"),
        ({"computes": ["forward"]}, InvalidRequest, "computes = "),
        ({"extra_points": 3.0}, InvalidRequest, "extra_points = 3.0; give a list of numbers"),
        ({"extra_points": "12"}, InvalidRequest, "extra_points = '12'"),
        ({"extra_points": ["a"]}, InvalidRequest, "extra_points = "),
        ({"points": "9"}, InvalidRequest, "points = '9'; give an integer"),
        ({"points": 3.5}, InvalidRequest, "points = 3.5"),
        ({"points": -1}, InvalidRequest, "points = -1"),
        ({"examples": "a"}, InvalidRequest, "examples = 'a'; give an integer"),
        ({"examples": None}, InvalidRequest, "examples = None"),
        ({"seed": True}, InvalidRequest, "seed = True"),
        ({"max_ulp": "3"}, InvalidRequest, "max_ulp = '3' is no bound"),
        ({"within": "a"}, InvalidRequest, "within = 'a'"),
        ({"strict": "yes"}, InvalidRequest, "strict = 'yes'; give True or False"),
        ({"in_place": 3}, InvalidRequest, "in_place is int"),
        ({"subgradient": [1]}, InvalidRequest, "subgradient is list"),
        ({"parameters": {1: 1}}, InvalidRequest, "a mapping from names to values"),
        ({"parameters": {"gamma": 1}}, Exception, "gamma"),
        ({"activation": "reulu"}, Exception, "reulu"),
        ({"computes": "derivative", "subgradient": 7}, InvalidSubgradient, "7"),
    ],
)
def test_requests_that_make_no_sense_are_refused_by_name(changes: Any, error: Any, words: str) -> None:
    asked = {"activation": "relu", "dtype": "float32", **changes}
    with pytest.raises(error, match=words.replace("(", r"\(")):
        check(np.abs, asked.pop("activation"), **asked)


def test_integers_of_numpy_are_integers() -> None:
    few = {"points": np.int64(11_000), "examples": np.int32(2), "seed": np.uint8(3), "extra_points": np.array([3.0])}
    assert check(lambda x: np.maximum(x, 0), "relu", dtype="float32", **few).passed


def test_parameters_outside_their_domain_are_refused() -> None:
    with pytest.raises(InvalidActivation, match="alpha"):
        check(np.abs, activations.named("elu"), dtype="float32", parameters={"alpha": -1})


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_errors_are_counted_in_ulps_of_the_expected_value(dtype: str) -> None:
    form = FORMATS[dtype]

    def error(got: float, value: float, offset: float = 0.0) -> float:
        one = np.array([got]).astype(form.dtype), np.array([value]).astype(form.dtype)
        return float(error_in_ulps(*one, np.array([offset]))[0])

    eps, tiny = form.epsilon, form.smallest_subnormal
    assert error(1 + eps, 1.0) == 1
    assert error(1 + eps, 1.0, 0.25) == 0.75
    assert error(1 - eps / 2, 1.0) == 0.5
    assert error(2 * tiny, 0.0) == 2
    assert error(0.0, form.smallest_normal) == 2.0 ** (form.precision - 1)
    assert error(np.inf, form.max) == 1
    assert error(form.max, np.inf) == 1
    assert error(np.inf, np.inf) == 0
    assert error(-np.inf, np.inf) == 2.0 ** (form.precision + 1)
    assert error(np.nan, np.nan) == 0
    assert error(np.nan, 1.0) == error(1.0, np.nan) == np.inf
    assert error(-0.0, 0.0) == 0


def test_what_underflows_keeps_its_sign() -> None:
    value = np.array([0.0, -0.0, 1.0], dtype=np.float32)
    assert np.sign(exact_value(value, np.array([-0.25, 0.25, 0.0]))).tolist() == [-1, 1, 1]


def test_hex_floats_are_short() -> None:
    shown = [hex_of(value) for value in (1.5, -0.0, np.nan, -np.inf, np.float16(2.0**-24))]
    assert shown == ["0x1.8p+0", "-0x0p+0", "nan", "-inf", "0x1p-24"]
    assert float.fromhex(hex_of(np.pi)) == np.pi


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_simpler_inputs_are_simpler_and_of_the_format(dtype: str) -> None:
    form = FORMATS[dtype]
    for x in (float(form.dtype.type(0.1)), -1e-30, form.max, form.smallest_subnormal, 3.0):
        candidates = simpler(x, form)
        assert candidates.dtype == form.dtype
        here = np.array([x], dtype=form.dtype)
        assert simplicity(candidates).min() <= simplicity(here)[0]
    order = simplicity(np.array([0.0, 1.0, -1.0, 2.0, 3.0, 0.1], dtype=form.dtype))
    assert np.all(np.diff(order) > 0)


def test_layouts_and_lengths_that_a_kernel_sees() -> None:
    shapes: set[tuple[int, ...]] = set()
    flags: set[tuple[bool, bool, bool]] = set()

    def kernel(x: Any) -> Any:
        shapes.add(x.shape)
        flags.add((x.flags.c_contiguous, x.flags.f_contiguous, x.flags.aligned))
        return np.maximum(x, 0)

    assert check(kernel, "relu", dtype="float64").passed
    assert {(length,) for length in range(LONGEST_TAIL + 1)} <= shapes
    assert () in shapes
    assert {len(shape) for shape in shapes} == {0, 1, 2, 3}
    assert (True, True, False) in flags
    assert (False, True, True) in flags
    assert (False, False, True) in flags
