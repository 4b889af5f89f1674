"""The judge of functions of several inputs or values: right kernels pass, and each kind of wrong one is caught."""

import math
from fractions import Fraction

import numpy as np
import pytest
from sympy import Max, Symbol, exp, symbols

import relusym
from relusym.activation import Activation, Parameter
from relusym.errors import InvalidRequest, InvalidSubgradient
from relusym.floats import FORMATS
from relusym.judge.laws import least_product
from relusym.judge.reports import hex_of
from relusym.judge.several import case
from relusym.rounding import reference


def checked(fn, name, computes="forward", dtype="float32", **words):
    return relusym.check(fn, name, dtype=dtype, computes=computes, points=words.pop("points", 1500), **words)


# --- right kernels, written by hand ---


def sigmoid(b):
    e = np.exp(-np.abs(b))
    return np.where(b >= 0, 1, e) / (1 + e)


def glu(a, b):
    return (a.astype(np.float64) * sigmoid(b.astype(np.float64))).astype(a.dtype)


def glu_backward(grad, a, b):
    wide = sigmoid(b.astype(np.float64))
    product = grad.astype(np.float64) * a.astype(np.float64)
    slope = wide * sigmoid(-b.astype(np.float64))
    return (grad * wide).astype(a.dtype), (product * slope).astype(a.dtype)


def maxout(*z):
    return np.max(np.stack(z), axis=0)


def maxout_backward(grad, *z):
    stacked = np.stack(z)
    largest = stacked.max(axis=0)
    tied = stacked == largest
    share = grad.astype(np.float64) / np.maximum(tied.sum(axis=0), 1)
    return tuple(np.where(np.isnan(largest), largest, np.where(here, share, 0)).astype(grad.dtype) for here in tied)


def crelu(x):
    return np.maximum(x, 0), np.maximum(-x, 0)


def crelu_backward(one, other, x):
    slopes = np.where(x > 0, one, np.where(x < 0, -other, np.array(0, x.dtype)))
    return np.where(np.isnan(x), x, slopes)


RIGHT = [
    ("glu", "forward", glu),
    ("glu", "backward", glu_backward),
    ("maxout3", "forward", maxout),
    ("maxout3", "backward", maxout_backward),
    ("crelu", "forward", crelu),
    ("crelu", "backward", crelu_backward),
]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(("name", "computes", "fn"), RIGHT, ids=[f"{name}-{computes}" for name, computes, _ in RIGHT])
def test_a_right_kernel_is_not_accused(name, computes, fn, dtype):
    report = checked(fn, name, computes, dtype)
    assert report.passed, report
    assert report.max_ulp <= 1
    assert not report.exhaustive  # pairs of inputs are too many


def test_a_kernel_that_is_as_right_as_its_own_format_allows_passes():
    report = checked(lambda a, b: a * sigmoid(b), "glu")  # all of it in float32
    assert report.passed, report
    assert report.max_ulp > 0.6


def test_a_kernel_whose_exponential_overflows_is_accused():
    report = checked(lambda a, b: a * (np.exp(b) / (1 + np.exp(b))), "glu")
    assert not report.passed
    assert "nan" in {finding.kind for finding in report.findings}


# --- wrong ones ---


def _tail_lost(a, b):
    y = glu(a, b)
    y[y.size // 32 * 32 :] = 0
    return y


def _first_row_for_all(grad, a, b):
    da, db = glu_backward(grad, a, b)
    return da, np.broadcast_to(db.ravel()[:1], db.shape).copy()


def _of_one_stride(grad, a, b):
    return glu_backward(grad, a, b if a.strides == b.strides else a)


def _in_blocks(a, b):
    y = glu(a, b)
    if y.ndim == 2 and y.shape[1] > 1024:
        y[:, 1024:] = y[:, : y.shape[1] - 1024]
    return y


def _only_contiguous(a, b):
    return glu(a, b) if a.flags.c_contiguous and b.flags.c_contiguous else glu(a, a)


WRONG = {
    "halves swapped": ("glu", "forward", lambda a, b: glu(b, a)),
    "gradients swapped": ("glu", "backward", lambda grad, a, b: glu_backward(grad, a, b)[::-1]),
    "gate forgotten in the factor's gradient": ("glu", "backward", lambda g, a, b: (g, glu_backward(g, a, b)[1])),
    "factor forgotten in the gate's gradient": (
        "glu", "backward", lambda g, a, b: (glu_backward(g, a, b)[0], glu_backward(g, np.ones_like(a), b)[1]),
    ),
    "slope of tanh for that of the logistic function": (
        "glu", "backward", lambda g, a, b: (glu_backward(g, a, b)[0], (g * a * (1 - np.tanh(b) ** 2)).astype(a.dtype)),
    ),
    "silu for sigmoid": ("glu", "forward", lambda a, b: (b * glu(a, b)).astype(a.dtype)),
    "erf for tanh": ("geglu_tanh", "forward", lambda a, b: checked_geglu(a, b)),
    "beta forgotten": ("swiglu", "forward", lambda a, b: (b * glu(a, b)).astype(a.dtype)),
    "tail of the vector lost": ("glu", "forward", _tail_lost),
    "one row's gradient for all": ("glu", "backward", _first_row_for_all),
    "right only on contiguous arrays": ("glu", "forward", _only_contiguous),
    "zeros": ("maxout2", "forward", lambda *z: np.zeros_like(z[0])),
    "minimum": ("maxout3", "forward", lambda *z: np.min(np.stack(z), axis=0)),
    "last input forgotten": ("maxout3", "forward", lambda *z: maxout(*z[:-1])),
    "NaN lost": ("maxout2", "forward", lambda *z: np.fmax(*z)),
    "gradient to every tied input, whole": (
        "maxout2", "backward", lambda g, *z: tuple(np.where(one == maxout(*z), g, 0) + 0 * maxout(*z) for one in z),
    ),
    "gradient to none at ties": (
        "maxout2", "backward", lambda g, p, q: (np.where(p > q, g, 0) + 0 * p * q, np.where(q > p, g, 0) + 0 * p * q),
    ),
    "sign of the second part": ("crelu", "forward", lambda x: (np.maximum(x, 0), np.minimum(x, 0))),
    "gradient of the first part alone": ("crelu", "backward", lambda p, q, x: np.where(x > 0, p, 0 * x)),
    "one result": ("crelu", "forward", lambda x: np.maximum(x, 0)),
    "an input is written over": ("maxout2", "forward", lambda p, q: np.maximum(p, q, out=p)),
    "inputs next to each other taken for tied": (
        "maxout2", "backward", lambda g, *z: maxout_backward(g, *(one.astype(np.float16).astype(g.dtype) for one in z)),
    ),
    "NaN lost on the way back": (
        "maxout2", "backward", lambda g, *z: tuple(np.nan_to_num(one, nan=0) for one in maxout_backward(g, *z)),
    ),
    "right only where both inputs have the same strides": ("glu", "backward", _of_one_stride),
    "right only where the last two inputs have the same strides": (
        "maxout3", "forward", lambda p, q, r: maxout(p, q, r if q.strides == r.strides else q),
    ),
    "a long row's end taken from its start": ("glu", "forward", _in_blocks),
    "another dtype": ("maxout2", "forward", lambda p, q: np.maximum(p, q).astype(np.float64)),
}  # fmt: skip


def checked_geglu(a, b):
    exact = np.vectorize(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2 if np.isfinite(v) else max(v, 0.0 * v))
    return (a * exact(b.astype(np.float64))).astype(a.dtype)


@pytest.mark.parametrize("mutant", WRONG)
def test_a_wrong_kernel_is_caught(mutant):
    name, computes, fn = WRONG[mutant]
    words = {"parameters": {"beta": 2}} if name == "swiglu" else {}
    report = checked(fn, name, computes, **words)
    assert not report.passed
    assert report.findings


def test_a_finding_names_every_input_and_the_line_that_shows_it():
    report = checked(lambda a, b: glu(b, a), "glu")
    finding = report.findings[0]
    a, b = eval(report.reproduce, {"np": np, "fn": lambda a, b: (a, b)})  # what a user pastes
    assert a.dtype == b.dtype == np.float32
    assert a.shape == b.shape == (1,)
    assert f"a = {hex_of(a[0])} " in finding.message
    assert "y at a = " in finding.message
    assert ", b = " in finding.message
    assert "reproduce: fn(np.array([float.fromhex(" in finding.message


# --- ties ---


def test_a_policy_decides_who_gets_the_gradient_at_ties_and_any_allows_all_of_them():
    def select(grad, one, other):
        lost = np.isnan(one) | np.isnan(other)
        goes = one >= other
        nan = np.array(np.nan, grad.dtype)
        zero = np.zeros_like(grad)
        return np.where(lost, nan, np.where(goes, grad, zero)), np.where(lost, nan, np.where(goes, zero, grad))

    assert checked(select, "maxout2", "backward", subgradient="first").passed
    assert not checked(select, "maxout2", "backward", subgradient="last").passed
    assert not checked(select, "maxout2", "backward").passed
    assert checked(select, "maxout2", "backward", subgradient="any").passed


@pytest.mark.parametrize("share", [0.0, 0.75, 1.0])
def test_where_any_share_is_right_the_shares_have_to_add_up(share):
    def backward(grad, one, other):
        tied = one == other
        lost = np.isnan(one) | np.isnan(other)
        first = np.where(lost, np.nan, np.where(tied, share, one > other))
        second = np.where(lost, np.nan, np.where(tied, 1 - share if balanced else share, other > one))
        with np.errstate(all="ignore"):
            return tuple((grad * weight).astype(grad.dtype) for weight in (first, second))

    balanced = True
    assert checked(backward, "maxout2", "backward", subgradient="any").passed
    balanced = False
    report = checked(backward, "maxout2", "backward", subgradient="any")
    assert {finding.kind for finding in report.findings} == {"kink"}
    assert "dz1 + dz2 at grad = " in report.findings[0].message


def test_an_index_is_that_of_the_first_or_last_of_the_largest_and_the_judge_is_told_which():
    def first(*z):
        stacked = np.stack(z)
        y = stacked.max(axis=0)
        return y, np.where(np.isnan(y), y, np.argmax(stacked, axis=0)).astype(y.dtype)

    assert checked(first, "maxout3", "forward-index", subgradient="first").passed
    assert not checked(first, "maxout3", "forward-index", subgradient="last").passed
    for policy in ("least-norm", "any"):
        with pytest.raises(InvalidSubgradient, match="keeps one of the inputs that are tied"):
            checked(first, "maxout3", "forward-index", subgradient=policy)


def test_any_slope_between_the_sides_passes_at_a_kink_of_a_gate():
    def backward(slope):
        def fn(grad, a, b):
            at = np.where(b > 0, 1.0, np.where(b < 0, 0.0, slope))
            wide = grad.astype(np.float64)
            return (wide * np.maximum(b, 0)).astype(a.dtype), np.where(
                np.isnan(b), b, (wide * a.astype(np.float64) * at).astype(a.dtype)
            )

        return fn

    assert checked(backward(0.25), "reglu", "backward", subgradient="any").passed
    assert not checked(backward(0.25), "reglu", "backward").passed
    assert checked(backward(0.0), "reglu", "backward").passed
    assert checked(backward(1.0), "reglu", "backward", subgradient="right").passed
    assert not checked(backward(1.5), "reglu", "backward", subgradient="any").passed
    assert checked(backward(0.0), "reglu", "backward", subgradient="torch").passed
    assert not checked(backward(1.0), "reglu", "backward", subgradient="torch").passed
    assert checked(backward(0.25), "reglu", "backward", subgradient={0: "1/4"}).passed


def test_a_convention_is_held_to_in_every_part():
    assert checked(crelu_backward, "crelu", "backward", subgradient="torch").passed
    assert not checked(crelu_backward, "crelu", "backward", subgradient="left").passed


# --- what it is held to ---


def test_values_given_along_with_x_are_those_of_a_parameter_at_each_input():
    a, b = symbols("a b", real=True)
    function = Activation("f", a / (1 + exp(-b)), inputs=(b,), parameters=(Parameter(a, 1),))
    x = np.linspace(-20, 20, 41, dtype=np.float32)
    many = np.linspace(-3, 5, 41).astype(np.float32)
    together = reference(function, x, order=1, along={"a": many})
    for position in range(41):
        alone = reference(function, x[position : position + 1], order=1, parameters={"a": float(many[position])})
        assert together.value[position] == alone.value[0]
        assert together.offset[position] == alone.offset[0]


def test_a_comparison_with_a_value_along_is_exact():
    z, w = symbols("z w", real=True)
    function = Activation("f", Max(z, w), inputs=(z,), parameters=(Parameter(w, 1),))
    x = np.array([1, 1, np.nextafter(1, 2), 3], np.float64)
    beside = np.array([1, np.nextafter(1, 2), 1, np.inf], np.float64)
    found = reference(function, x, order=1, along={"w": beside})
    assert found.undecided.tolist() == [0]  # a tie has no derivative
    assert found.value[1:3].tolist() == [0, 1]
    assert np.isnan(found.value[3])


def test_what_goes_along_with_x_has_its_shape_and_is_a_parameter():
    a, b = symbols("a b", real=True)
    function = Activation("f", a * b, inputs=(b,), parameters=(Parameter(a, 1),))
    x = np.ones(3, np.float32)
    with pytest.raises(InvalidRequest, match="has its shape"):
        reference(function, x, along={"a": np.ones(2, np.float32)})
    with pytest.raises(InvalidRequest, match="no parameter c to go along"):
        reference(function, x, along={"c": x})


@pytest.mark.parametrize("sizes", [(1e307, 1e307), (1e-300, 1e300), (1e300, 1e-300), (1e-10, 1e300, 1e-290)])
def test_what_a_small_function_may_lose_is_known_where_its_factors_alone_leave_the_range(sizes):
    least = least_product(*(np.array([size, -size]) for size in sizes))
    exact = Fraction(FORMATS["float64"].smallest_normal) * math.prod(map(Fraction, sizes))
    assert least.tolist() == [pytest.approx(float(exact), rel=1e-15)] * 2


def test_rows_are_the_same_for_the_same_seed_and_hold_ties_edges_and_landmarks():
    rows = case(relusym.maxout(2), "backward", (), "first", FORMATS["float32"], 1000, 0)
    one, other = (dict(rows.arrays)[name] for name in ("z1", "z2"))
    again = case(relusym.maxout(2), "backward", (), "last", FORMATS["float32"], 1000, 0)
    assert one.tobytes() == dict(again.arrays)["z1"].tobytes()
    assert np.count_nonzero(one == other) > one.size / 4
    assert np.isnan(one).any()
    assert np.isinf(other).any()
    assert {0.0} == set(one[(one == other) & (np.signbit(one) != np.signbit(other))].tolist())


def test_points_of_the_caller_are_tried_in_every_input():
    def fails(a, b):
        return np.where((a == 1234.5) | (b == -77.25), 0, glu(a, b)).astype(a.dtype)

    assert checked(fails, "glu").passed
    for point in (1234.5, -77.25):
        assert not checked(fails, "glu", extra_points=[point]).passed


def test_words_that_mean_nothing_here_are_refused():
    with pytest.raises(InvalidRequest, match="nobody knows its 'derivative'; known: forward, backward"):
        checked(glu, "glu", "derivative")
    with pytest.raises(InvalidSubgradient, match="ties are not settled by 'left'"):
        checked(maxout_backward, "maxout2", "backward", subgradient="left")
    for word in ("in_place", "within", "arguments"):
        with pytest.raises(InvalidRequest, match=f"{word} is for functions of one input; glu has 2 inputs"):
            checked(glu, "glu", **{word: glu if word == "in_place" else 1.0})
    with pytest.raises(InvalidRequest, match="is not taken by autograd"):
        checked(glu, "glu", "backward", through="torch")
    alpha = Symbol("alpha", real=True)
    with pytest.raises(InvalidRequest, match="neither the maximum"):
        checked(
            glu, Activation("odd", alpha**2 + Symbol("x", real=True) * alpha, inputs=(alpha, Symbol("x", real=True)))
        )
