"""What is judged only on request, what any choice may be, and what is reported beside the verdict."""

from __future__ import annotations

from typing import Any

import mutants
import numpy as np
import pytest
from hypothesis import given, settings, strategies

from relusym.errors import InvalidRequest
from relusym.judge import assert_agrees, check
from relusym.judge.diagnosis import CLASSES, diagnosed
from relusym.parsing import parse

POINTS = 20_000


def kinds(report: Any) -> set[str]:
    return {finding.kind for finding in report.findings}


@pytest.mark.parametrize("f", [mutants.flushed, mutants.flushed_inputs])
def test_flushing_is_a_policy_unless_judged_strictly(f: Any) -> None:
    kernel = f(mutants.in_double(np.tanh))
    assert kinds(check(kernel, "tanh", dtype="float32", points=POINTS)) == {"subnormal"}
    lenient = check(kernel, "tanh", dtype="float32", points=POINTS, strict=False)
    assert lenient.passed, str(lenient)
    assert "got 0x0p+0" in lenient.policies["subnormal numbers"]
    assert lenient.max_ulp < 1, "what is reported only says nothing about accuracy"
    honest = check(mutants.in_double(np.tanh), "tanh", dtype="float32", points=POINTS, strict=False)
    assert honest.policies["subnormal numbers"] == "computed like all others"


def test_a_derivative_that_swallows_nan_is_a_policy_and_a_function_that_does_is_not() -> None:
    def step(x: Any) -> Any:
        return (x > 0).astype(x.dtype)

    assert kinds(check(step, "relu", dtype="float16", computes="derivative")) == {"nan-swallowed"}
    lenient = check(step, "relu", dtype="float16", computes="derivative", strict=False)
    assert lenient.passed
    assert "got 0x0p+0" in lenient.policies["NaN"]
    swallowed = check(lambda x: np.where(x > 0, x, x.dtype.type(0)), "relu", dtype="float16", strict=False)
    assert kinds(swallowed) == {"nan-swallowed"}


def test_bits_may_depend_on_the_layout_but_errors_may_not_unless_judged_strictly() -> None:
    body_and_tail = mutants.tail_of_eight(mutants.in_double(mutants.silu))
    assert "layout" in kinds(check(body_and_tail, "silu", dtype="float32", points=POINTS, strict=True))
    lenient = check(body_and_tail, "silu", dtype="float32", points=POINTS)
    assert lenient.passed, str(lenient)
    assert "none of them wrong" in lenient.policies["layouts"]

    def wrong_in_the_tail(x: Any) -> Any:
        result = np.ravel(mutants.in_double(mutants.silu)(x)).copy()
        result[result.size - result.size % 8 :] *= x.dtype.type(1.01)
        return result.reshape(x.shape)

    assert kinds(check(wrong_in_the_tail, "silu", dtype="float32", points=POINTS, strict=False)) == {"layout"}


def test_the_clarke_interval_is_told_with_the_derivative_of_a_pair_and_not_with_the_function() -> None:
    def pair(x: Any) -> Any:
        return np.where(x == 0, x.dtype.type(1), np.maximum(x, 0)), np.where(
            x == 0, x.dtype.type(1), np.heaviside(x, 0)
        )

    report = check(pair, "relu", dtype="float32", computes="forward-derivative", points=POINTS, strict=False)
    of_f, of_slope = (finding.message for finding in report.findings if finding.kind == "kink")
    assert of_f.startswith("result 1 of 2: ")
    assert "Clarke" not in of_f
    assert of_slope.startswith("result 2 of 2: ")
    assert "inside the Clarke interval [0, 1]" in of_slope


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_any_takes_every_value_of_the_clarke_interval(value: float) -> None:
    def kernel(x: Any) -> Any:
        return np.where(x == 0, x.dtype.type(value), np.heaviside(x, x.dtype.type(0)))

    report = check(kernel, "relu", dtype="float16", computes="derivative", subgradient="any")
    assert report.passed, str(report)
    (kink,) = report.kinks
    assert (kink.at, kink.chosen, kink.inside) == ("0", "any", True)
    assert float.fromhex(kink.got) == value
    assert (float.fromhex(kink.lower or ""), float.fromhex(kink.upper or "")) == (0, 1)
    backward = check(lambda g, x: g * kernel(x), "relu", dtype="float16", computes="backward", subgradient="any")
    assert backward.passed, str(backward)


@pytest.mark.parametrize("value", [-0.25, 1.25])
def test_any_takes_nothing_beyond_it(value: float) -> None:
    def kernel(x: Any) -> Any:
        return np.where(x == 0, x.dtype.type(value), np.heaviside(x, x.dtype.type(0)))

    report = check(kernel, "relu", dtype="float16", computes="derivative", subgradient="any")
    assert kinds(report) == {"kink"}
    assert "outside the Clarke interval [0, 1]" in report.findings[0].message
    assert report.kinks[0].inside is False


def test_a_subgradient_other_than_the_one_asked_for_is_said_to_be_inside() -> None:
    report = check(lambda x: np.heaviside(x, x.dtype.type(1)), "relu", dtype="float16", computes="derivative")
    assert kinds(report) == {"kink"}
    assert "inside the Clarke interval [0, 1]" in report.findings[0].message
    assert report.max_ulp == 0, "a choice is no error of rounding"


def test_writing_in_place_is_tried_where_a_function_has_an_argument_for_it() -> None:
    def careless(x: Any, out: Any = None) -> Any:
        """Needs its input again after it has begun to write."""
        out = np.empty_like(x) if out is None else out
        out[...] = np.minimum(x, 0)
        np.expm1(out, out=out)
        np.copyto(out, x, where=x > 0)
        return out

    report = check(careless, "elu", dtype="float32", points=POINTS)
    assert kinds(report) == {"layout"}
    assert "written in place" in report.findings[0].message
    assert check(np.tanh, "tanh", dtype="float32", points=POINTS).policies["layouts"].endswith("in place")


def test_a_variant_that_writes_in_place_may_be_given() -> None:
    def relu_(x: Any) -> None:
        np.maximum(x, 0, out=x)

    def leaky_(x: Any) -> None:
        np.maximum(x, x * x.dtype.type(0.5), out=x)

    assert check(mutants.relu, "relu", dtype="float16", in_place=relu_).passed
    assert kinds(check(mutants.relu, "relu", dtype="float16", in_place=leaky_)) == {"layout"}


def test_results_outside_the_range_are_wrong_by_no_tolerance() -> None:
    def one_beyond(x: Any) -> Any:
        return np.where(x > 12, np.nextafter(x.dtype.type(1), x.dtype.type(2)), mutants.in_double(np.tanh)(x))

    report = check(one_beyond, "tanh", dtype="float32", points=POINTS)
    assert kinds(report) == {"range"}
    assert report.findings[0].defect == "range"
    assert report.max_ulp <= 4, "by its errors alone it would have passed"


def test_an_ulp_beyond_an_extremum_inside_is_rounding() -> None:
    def quarter(x: Any) -> Any:
        slope = mutants.in_double(lambda x: mutants.sigmoid(x) * mutants.sigmoid(-x))(x)
        return np.where(np.abs(x) < 0.001, np.nextafter(x.dtype.type(0.25), x.dtype.type(1)), slope)

    assert check(quarter, "sigmoid", dtype="float32", computes="derivative", points=POINTS).passed
    below = check(
        lambda x: np.where(x < -100, -np.finfo(x.dtype).smallest_subnormal, quarter(x)),
        "sigmoid",
        dtype="float32",
        computes="derivative",
        points=POINTS,
    )
    assert {"sign", "range"} & kinds(below)


def test_steps_the_wrong_way_and_missed_identities_are_reported_not_judged() -> None:
    def uneven(x: Any) -> Any:
        """Two ulps up on every other float."""
        result = mutants.in_double(mutants.silu)(x)
        odd = x.view(f"u{x.itemsize}") & 1 == 1
        up = np.nextafter(np.nextafter(result, np.inf, dtype=x.dtype), np.inf, dtype=x.dtype)
        return np.where(odd & np.isfinite(result) & (np.abs(x) < 8) & (np.abs(x) > 0.01), up, result)

    report = check(uneven, "silu", dtype="float16")
    assert report.passed, str(report)
    assert "the wrong way" in report.policies["monotonicity"]
    assert "f(x) - f(-x) = x is missed" in report.policies["symmetry"]
    quiet = check(mutants.in_double(mutants.silu), "silu", dtype="float16")
    assert not {"monotonicity", "symmetry"} & quiet.policies.keys()


def test_no_convention_fixes_a_second_derivative_where_the_first_one_jumps() -> None:
    def at_zero(value: float) -> Any:
        return mutants.in_double(lambda x: np.where(x > 0, 0.0, np.where(x == 0, value, np.exp(np.minimum(x, 0)))))

    for value in (0.0, 0.5, 1.0):
        assert check(at_zero(value), "elu", dtype="float16", computes="second-derivative", strict=False).passed
    assert not check(at_zero(2.0), "elu", dtype="float16", computes="second-derivative", strict=False).passed


DEFECTS: dict[str, tuple[Any, str, str]] = {
    "lost-tail": (mutants.in_double(lambda x: np.where(x < -20, x * 0, mutants.silu(x))), "silu", "float32"),
    "cut-off": (mutants.in_double(lambda x: np.where(x > 20, x, mutants.softplus(x))), "softplus", "float64"),
    "constant": (lambda x: np.full_like(x, 0.5), "sigmoid", "float16"),
    "cancellation": (
        lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - x.dtype.type(1)),
        "elu",
        "float32",
    ),
    "wrong-limit": (lambda x: x / (1 + np.exp(-x)), "silu", "float64"),
    "overflow": (lambda x: np.log1p(np.exp(x)), "softplus", "float32"),
    "nan": (lambda x: x * np.abs(x) / np.abs(x) / (1 + np.abs(x)), "softsign", "float16"),
    "flush": (mutants.flushed(mutants.in_double(mutants.sigmoid)), "sigmoid", "float16"),
    "wrong-sign": (mutants.in_double(lambda x: -np.tanh(x)), "tanh", "float16"),
}


@pytest.mark.parametrize("defect", list(DEFECTS))
def test_the_class_of_a_defect_is_read_off_the_results(defect: str) -> None:
    kernel, activation, dtype = DEFECTS[defect]
    report = check(kernel, activation, dtype=dtype, points=POINTS)
    assert defect in {finding.defect for finding in report.findings}, str(report)
    assert defect in CLASSES


def test_a_cut_off_is_reported_with_its_place() -> None:
    kernel, activation, dtype = DEFECTS["cut-off"]
    (finding,) = check(kernel, activation, dtype=dtype, points=POINTS).findings
    assert finding.where.startswith("x from 20.0")
    assert "returns x itself" in finding.message


def test_both_sides_of_an_even_defect_are_told_apart() -> None:
    x = np.array([-9.0, -8.0, 0.0, 8.0, 9.0], dtype=np.float32)
    value = np.full(5, 0.25, dtype=np.float32)
    found = diagnosed("accuracy", x, value * (np.abs(x) < 8), value, np.abs(x) >= 8)
    assert (found.defect, found.where) == ("lost-tail", "x from -9 to -8 and from 8 to 9")


def test_agreement_is_asserted_with_the_text_of_the_report() -> None:
    assert assert_agrees(np.tanh, "tanh", dtype="float16").passed
    with pytest.raises(AssertionError, match=r"FAILED: tanh forward float16[\s\S]*reproduce: fn\(np\.array"):
        assert_agrees(np.sin, "tanh", dtype="float16")


def test_a_tail_that_only_long_arrays_have_is_seen() -> None:
    def kernel(x: Any) -> Any:
        result = np.ravel(mutants.in_double(np.tanh)(x)).copy()
        if result.size > 512:
            result[result.size // 64 * 64 :] = 0
        return result.reshape(x.shape)

    assert kinds(check(kernel, "tanh", dtype="float16")) == {"layout"}


def test_a_result_that_the_next_call_overwrites_is_found() -> None:
    kept: dict[tuple[int, ...], Any] = {}

    def kernel(x: Any) -> Any:
        out = kept.setdefault(x.shape, np.empty_like(x))
        return np.tanh(x, out=out)

    report = check(kernel, "tanh", dtype="float32", points=POINTS)
    assert "result-changed" in kinds(report)


def test_a_kernel_that_remembers_is_found() -> None:
    calls: list[int] = []

    def kernel(x: Any) -> Any:
        calls.append(x.size)
        return np.tanh(x) if len(calls) < 20 else np.tanh(x) * x.dtype.type(1.5)

    assert not check(kernel, "tanh", dtype="float32", points=POINTS).passed


def test_large_inputs_are_left_alone_as_well() -> None:
    def kernel(x: Any) -> Any:
        result = np.maximum(x, 0)
        if x.size > 1000:
            x[...] = result
        return result

    assert "input-changed" in kinds(check(kernel, "relu", dtype="float32", points=POINTS))


def test_an_in_place_variant_has_to_write() -> None:
    def relu_(x: Any) -> Any:
        return np.maximum(x, 0)

    assert kinds(check(mutants.relu, "relu", dtype="float16", in_place=relu_)) == {"layout"}


def test_nan_of_every_kind_is_handed_on() -> None:
    def kernel(x: Any) -> Any:
        return np.where(np.signbit(x), x.dtype.type(0), np.maximum(x, 0)).astype(x.dtype)

    report = check(kernel, "relu", dtype="float32", points=POINTS)
    assert kinds(report) == {"nan-swallowed"}, "the NaN of x86 has its sign set"


@pytest.mark.parametrize("max_ulp", [float("nan"), -1, float("inf")])
def test_a_bound_that_is_none_is_refused(max_ulp: float) -> None:
    with pytest.raises(InvalidRequest, match="max_ulp"):
        check(np.tanh, "tanh", dtype="float16", max_ulp=max_ulp)


def test_a_gradient_in_another_layout_than_x_is_tried() -> None:
    def kernel(g: Any, x: Any) -> Any:
        """Reads the memory of g with the steps of x."""
        if g.strides != x.strides and g.size > 1:
            g = np.lib.stride_tricks.as_strided(
                g if g.strides[0] > x.strides[0] else np.repeat(g, 2), x.shape, x.strides
            )
        return mutants.in_double(lambda g, x: g * mutants.sigmoid(x))(g, x)

    report = check(kernel, "softplus", dtype="float32", computes="backward", points=POINTS)
    assert kinds(report) == {"layout"}
    assert "gradient" in report.findings[0].message


def test_numpy_that_rounds_otherwise_in_another_layout_is_not_accused() -> None:
    assert check(np.exp, parse("exp(x)"), dtype="float64", points=POINTS).passed


@pytest.mark.parametrize("computes", ["forward-derivative", "bias-forward"])
def test_an_in_place_variant_of_what_has_none_is_refused(computes: str) -> None:
    with pytest.raises(InvalidRequest, match="in_place"):
        check(np.tanh, "tanh", dtype="float16", computes=computes, in_place=np.tanh)


@settings(max_examples=2, deadline=None)
@given(strategies.integers(1, 2))
def test_a_kernel_may_be_judged_inside_a_test_of_hypothesis(times: int) -> None:
    assert check(mutants.relu, "relu", dtype="float32", points=POINTS // times).passed


def test_reports_do_not_share_their_versions() -> None:
    first = check(np.tanh, "tanh", dtype="float16")
    assert check(np.tanh, "tanh", dtype="float16").versions is not first.versions


def test_bias_kernels_that_give_another_shape_are_told() -> None:
    report = check(lambda x, b: np.zeros(3, x.dtype), "relu", dtype="float32", computes="bias-forward", points=POINTS)
    assert kinds(report) == {"shape"}


def test_layouts_of_gradients_are_for_kernels_that_take_one() -> None:
    strided = mutants.contiguous_only(mutants.in_double(mutants.silu))
    (finding,) = (each for each in check(strided, "silu", dtype="float16").findings if each.kind == "layout")
    assert "gradient" not in finding.message
