"""Kernels of functions of several inputs or values."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relusym_codegen import generate, parts
from relusym_codegen.targets.c import load_together
from relusym_codegen.targets.cuda import load_on_cpu
from sympy import Symbol, erf, symbols

import relusym
from relusym.activation import Activation, Parameter, piecewise
from relusym.activations import SEVERAL
from relusym.errors import InvalidRequest, InvalidSubgradient
from relusym.structures import Bundle, Gated, Maximum, structure_of

A, B = symbols("a b", real=True)
TARGETS = ("numpy", "c", "cuda")
GATES = ("glu", "reglu", "geglu", "geglu_tanh", "swiglu")


def loaded(name, target, dtype="float32", computes="forward", **words):
    kernel = generate(name, target, dtype, computes, **words)
    return load_on_cpu([kernel])[0] if target == "cuda" else kernel.load()


def drawn(count, shape, seed=0, dtype=np.float32):
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape).astype(dtype) for _ in range(count)]


# --- structures ---


def test_every_entry_of_several_inputs_or_values_has_a_structure():
    kinds = {name: type(structure_of(relusym.activations.named(name))) for name in SEVERAL}
    assert kinds == {"maxout2": Maximum, **dict.fromkeys(GATES, Gated), "crelu": Bundle}


def test_a_gate_that_is_in_the_catalogue_is_recognised_by_its_formula():
    gates = {name: structure_of(relusym.activations.named(name)).gate for name in GATES}
    names = {name: gate.name for name, gate in gates.items()}
    assert names == {"glu": "sigmoid", "reglu": "relu", "geglu": "gelu", "geglu_tanh": "gelu_tanh", "swiglu": "swish"}
    own = structure_of(Activation("own", A * erf(3 * B), inputs=(A, B))).gate
    assert own.name == "own_gate"
    assert own.is_scalar


def test_a_function_without_a_structure_is_refused_with_what_to_do():
    with pytest.raises(InvalidRequest, match="neither the maximum of its inputs nor one input times a function"):
        generate(Activation("odd", A * B + A**2, inputs=(A, B)), "numpy")


def test_a_product_that_jumps_with_its_factor_is_none():
    jumps = piecewise((A * B + 1, A > 0), (A * B, True))  # whose derivative by a is b everywhere
    with pytest.raises(InvalidRequest, match="neither the maximum of its inputs nor one input times a function"):
        structure_of(Activation("odd", jumps, inputs=(A, B)))


# --- values ---


@pytest.mark.parametrize("target", TARGETS)
def test_a_gated_unit_is_its_factor_times_the_gate_and_its_gradients_are_the_products(target):
    grad, a, b = drawn(3, (5, 7))
    sigmoid = 1 / (1 + np.exp(-b.astype(np.float64)))
    y = loaded("swiglu", target)(a, b)
    da, db = loaded("swiglu", target, computes="backward")(grad, a, b)
    slope = sigmoid * (1 + b * (1 - sigmoid))
    for got, wanted in ((y, a * b * sigmoid), (da, grad * b * sigmoid), (db, grad * a * slope)):
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=1e-7)  # the comparison rounds, not the kernel


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("k", [2, 5])
def test_a_maxout_is_the_maximum_and_sends_the_gradient_to_it(target, k):
    grad, *z = drawn(1 + k, 300)
    stacked = np.stack(z)
    assert np.array_equal(loaded(f"maxout{k}", target)(*z), stacked.max(axis=0))
    shares = loaded(f"maxout{k}", target, computes="backward")(grad, *z)
    assert np.array_equal(np.stack(shares), np.where(stacked == stacked.max(axis=0), grad, 0))


@pytest.mark.parametrize("policy", ["least-norm", "first", "last"])
@pytest.mark.parametrize("target", TARGETS)
def test_ties_share_a_gradient_by_the_policy_and_lose_nothing_of_it(target, policy):
    z = [np.array(column, np.float32) for column in ([1, 2, 2, -0.0], [1, 2, 0, 0.0], [1, 0, 2, -1])]
    grad = np.full(4, 6, np.float32)
    shares = np.stack(loaded("maxout3", target, computes="backward", subgradient=policy)(grad, *z))
    wanted = {
        "least-norm": [[2, 3, 3, 3], [2, 3, 0, 3], [2, 0, 3, 0]],
        "first": [[6, 6, 6, 6], [0, 0, 0, 0], [0, 0, 0, 0]],
        "last": [[0, 0, 0, 0], [0, 6, 0, 6], [6, 0, 6, 0]],
    }[policy]
    assert shares.tolist() == wanted
    assert shares.sum(axis=0).tolist() == [6, 6, 6, 6]


@given(
    rows=st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=6),
    policy=st.sampled_from(["least-norm", "first", "last"]),
)
def test_gradients_at_any_rows_are_in_the_clarke_subdifferential_there(rows, policy):
    z = np.array(rows, np.float64).T
    backward = loaded("maxout3", "numpy", "float64", "backward", subgradient=policy)
    shares = np.stack(backward(np.ones(len(rows)), *z)).T
    for row, share in zip(rows, shares, strict=True):
        hull = relusym.subdifferential_at(relusym.maxout(3), dict(zip(("z1", "z2", "z3"), row, strict=True)))
        # thirds are rounded: the nearest fraction with a small denominator is what was meant
        assert hull.contains([Fraction(float(part)).limit_denominator(6) for part in share])
        if policy == "least-norm":
            np.testing.assert_allclose(share, [float(part) for part in hull.least_norm], rtol=1e-15)


@pytest.mark.parametrize("policy", ["first", "last"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_kept_index_gives_the_gradients_that_are_computed_again(dtype, policy):
    random = np.random.default_rng(3)
    z = [random.integers(-3, 4, 500).astype(dtype) for _ in range(4)]
    z[2][7] = np.nan
    grad = random.standard_normal(500).astype(dtype)
    words = {"dtype": dtype, "subgradient": policy}
    y, index = loaded("maxout4", "numpy", computes="forward-index", **words)(*z)
    again = loaded("maxout4", "numpy", computes="backward", **words)(grad, *z)
    kept = loaded("maxout4", "numpy", computes="backward-from-index", **words)(grad, index)
    assert np.array_equal(y, loaded("maxout4", "numpy", dtype)(*z), equal_nan=True)
    assert np.isnan(index[7])
    assert np.array_equal(np.stack(kept), np.stack(again), equal_nan=True)


@pytest.mark.parametrize("target", TARGETS)
def test_crelu_gives_both_parts_and_its_gradient_takes_from_both(target):
    x, one, other = drawn(3, 200)
    positive, negative = loaded("crelu", target)(x)
    assert np.array_equal(positive, np.maximum(x, 0))
    assert np.array_equal(negative, np.maximum(-x, 0))
    dx = loaded("crelu", target, computes="backward")(one, other, x)
    assert np.array_equal(dx, np.where(x > 0, one, -other))


@pytest.mark.parametrize("dtype", ["float16", "float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_fast_kernels_have_the_same_bits_on_c_and_cuda(dtype):
    words = [(name, computes) for name in ("swiglu", "maxout3", "crelu") for computes in ("forward", "backward")]
    on_c, on_cuda = (
        [generate(name, target, dtype, computes, "fast") for name, computes in words] for target in ("c", "cuda")
    )
    for kernel, one, other in zip(on_c, load_together(on_c), load_on_cpu(on_cuda), strict=True):
        arrays = [(8 * array).astype(dtype) for array in drawn(len(kernel.signature.arrays), 1000, dtype=np.float64)]
        assert np.asarray(one(*arrays)).tobytes() == np.asarray(other(*arrays)).tobytes(), kernel.identifier


def test_a_parameter_is_folded_into_a_gate_and_its_value_is_exact():
    a, b = drawn(2, 50)
    doubled = generate("swiglu", "numpy", beta=2).load()(a, b)
    half = generate("swiglu", "numpy").load()(a, 2 * b) / 2
    np.testing.assert_allclose(doubled, half, rtol=1e-6)  # 2 b is exact: both round once


@pytest.mark.parametrize("beta", [100, -1])
def test_a_gate_may_be_steep_or_reversed(beta):
    backward = loaded("swiglu", "c", "float16", "backward", beta=beta)
    words = {"dtype": "float16", "computes": "backward", "parameters": {"beta": beta}}
    report = relusym.check(backward, "swiglu", max_ulp=0.51, points=1000, **words)
    assert report.passed, report


def test_a_gate_of_a_users_own_goes_through():
    beta = Symbol("beta", positive=True)
    own = Activation("own", A * erf(beta * B), inputs=(A, B), parameters=(Parameter(beta, 3),))
    report = relusym.check(generate(own, "c").load(), own, dtype="float32", max_ulp=0.51, points=1000)
    assert report.passed, report


def test_a_gate_that_follows_a_convention_has_its_slope_at_the_kink():
    a = b = np.zeros(1, np.float32)
    one = np.ones(1, np.float32)
    for policy, slope in (("torch", 0), ("right", 1), ("midpoint", 0.5)):
        backward = generate("reglu", "numpy", computes="backward", subgradient=policy).load()
        assert float(backward(one, one, b)[1][0]) == slope
    assert float(backward(one, a, b)[1][0]) == 0


def test_a_convention_is_followed_in_both_parts_of_crelu():
    one, x = np.ones(1, np.float32), np.zeros(1, np.float32)
    for policy, slope in (("torch", 0), ("left", -2), ("right", 1)):
        backward = generate("crelu", "numpy", computes="backward", subgradient=policy).load()
        assert float(backward(one, 2 * one, x)[0]) == slope


# --- the product of three ---


@pytest.mark.parametrize("target", TARGETS)
def test_a_product_of_three_overflows_only_where_it_is_too_large(target):
    """Two factors whose product is beyond the format, with a slope that brings it back; and the reverse."""
    backward = loaded("glu", target, "float64", "backward")
    large, small = np.float64(2.0**1000), np.float64(2.0**-1000)
    slope = np.exp(-40.0) / (1 + np.exp(-40.0)) ** 2
    for grad, a, size in (
        (large, 2.0**70, 2.0**1012),
        (large, small, 1.0),
        (small, large, 1.0),
        (2.0**70, large, 2.0**1012),
    ):
        factor = np.float64(grad) * (np.float64(a) / size)
        (got,) = backward(np.array([grad]), np.array([a]), np.array([40.0]))[1] / size
        assert got == pytest.approx(factor * slope, rel=1e-14)


# --- one array in place of several ---


def test_halves_of_one_array_are_views_into_which_kernels_write():
    (ab,) = drawn(1, (6, 10))
    a, b = parts(ab, 2)
    assert a.base is ab
    assert a.shape == b.shape == (6, 5)
    for target in ("numpy", "c"):
        y = loaded("glu", target)(a, b)
        assert np.array_equal(y, loaded("glu", target)(a.copy(), b.copy()))
        whole = np.full_like(ab, np.nan)
        loaded("glu", target, computes="backward")(y, a, b, out=parts(whole, 2))
        assert np.isfinite(whole).all()
        concatenated = np.full((6, 20), np.nan, np.float32)
        loaded("crelu", target)(ab, out=parts(concatenated, 2))
        assert np.array_equal(concatenated, np.concatenate([np.maximum(ab, 0), np.maximum(-ab, 0)], axis=1))


@pytest.mark.parametrize(
    ("shape", "count", "axis"), [((3, 8), 4, -1), ((8, 3), 2, 0), ((2, 6, 5), 3, 1), ((0, 4), 2, -1)]
)
def test_parts_are_what_numpy_splits(shape, count, axis):
    array = np.arange(np.prod(shape)).reshape(shape)
    for part, wanted in zip(parts(array, count, axis), np.split(array, count, axis), strict=True):
        assert np.array_equal(part, wanted)


@pytest.mark.parametrize(
    ("shape", "count", "axis", "told"),
    [
        ((3, 7), 2, -1, "has 7 places, which do not make 2 equal parts"),
        ((3, 4), 2, 2, "no axis 2 in an array of the shape"),
        ((), 2, -1, "no axis -1"),
        ((3, 4), 1, 0, "two parts or more"),
        ((3, 4), 2.0, 0, "count = 2.0; give an integer"),
        ((3, 4), 2, None, "axis = None; give an integer"),
    ],
)
def test_arrays_that_have_no_such_parts_are_refused(shape, count, axis, told):
    with pytest.raises(InvalidRequest, match=told):
        parts(np.zeros(shape), count, axis)


@pytest.mark.parametrize("target", TARGETS)
def test_halves_of_different_shapes_are_refused(target):
    with pytest.raises(ValueError, match="shape"):
        loaded("glu", target)(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))


# --- requests ---


@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("swiglu", {"computes": "derivative"}, "there is no derivative of it; known: forward, backward"),
        ("glu", {"computes": "forward-index"}, "known: forward, backward"),
        ("swiglu", {"arguments": ("beta",)}, "parameters of a function of several inputs are folded"),
        ("relu", {"computes": "forward-index"}, "nobody knows how to compute"),
    ],
)
def test_a_quantity_that_the_function_lacks_is_refused(name, words, told):
    with pytest.raises(InvalidRequest, match=told):
        generate(name, "numpy", **words)


@pytest.mark.parametrize(
    ("computes", "policy", "told"),
    [
        ("backward", "torch", "says nothing about the ties of a maximum"),
        ("backward", 0.5, "says nothing about the ties"),
        ("forward-index", "least-norm", "keeps one index"),
    ],
)
def test_a_policy_that_settles_no_ties_is_refused(computes, policy, told):
    with pytest.raises(InvalidSubgradient, match=told):
        generate("maxout2", "numpy", computes=computes, subgradient=policy)


@pytest.mark.parametrize(
    "name", ["grad", "index", "db", "range", "begin", "xor", "restrict", "size_t", "fabs", "NAN", "q2", "size1", "a b"]
)
def test_an_input_whose_name_means_something_else_in_generated_code_is_refused(name):
    own = Symbol(name, real=True)
    with pytest.raises(InvalidRequest, match=f"no array of a kernel can be called '{name}'"):
        generate(Activation("own", own * erf(B), inputs=(own, B)), "c")


def test_two_inputs_of_one_name_are_refused():
    other = Symbol("b", positive=True)
    with pytest.raises(InvalidRequest, match="no array of a kernel can be called 'b'"):
        generate(Activation("own", other * erf(B), inputs=(other, B)), "c")
