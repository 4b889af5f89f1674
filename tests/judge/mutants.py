"""Kernels broken on purpose, and honest ones; each takes NumPy arrays as a user's kernel would."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from relusym.activation import Activation
from relusym.floats import format_of, round_to, to_format
from relusym.parsing import parse

Array = Any
Kernel = Callable[..., Any]

error_function = np.vectorize(math.erf, otypes=[np.float64])
complementary = np.vectorize(math.erfc, otypes=[np.float64])


def in_double(f: Kernel) -> Kernel:
    """Computes in float64 and rounds once to the dtype that came in."""

    def kernel(*arrays: Array) -> Array:
        wide = [np.asarray(array, dtype=np.float64) for array in arrays]
        return to_format(round_to(np.asarray(f(*wide)), format_of(arrays[0].dtype)), format_of(arrays[0].dtype))

    return kernel


# --- honest kernels, in double ---


def silu(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    sigmoid = np.where(x >= 0, 1, decay) / (1 + decay)
    return np.where(x == -np.inf, 0.0, x * sigmoid)


def sigmoid(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softplus(x: Array, beta: float = 1.0) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(beta * x))) / beta


def gelu(x: Array) -> Array:
    return np.where(x == -np.inf, 0.0, x / 2 * complementary(-x / math.sqrt(2)))


def relu_derivative(x: Array) -> Array:
    return np.where(np.isnan(x), np.nan, np.where(x > 0, 1.0, 0.0))


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


ALPHA = 1.6732632423543772848
SCALE = 1.0507009873554804934


def selu(x: Array, alpha: float = ALPHA, scale: float = SCALE) -> Array:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


# --- broken kernels ---


@dataclass(frozen=True)
class Mutant:
    """A broken kernel, what it claims to be, and the kind of finding that must name the break."""

    name: str
    kernel: Kernel
    activation: str | Activation
    kind: str
    dtype: str = "float32"
    computes: str = "forward"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def tail_of_eight(f: Kernel) -> Kernel:
    """As a vectorised loop whose last n % 8 elements go through other code."""

    def kernel(x: Array) -> Array:
        result = np.ravel(f(x)).copy()
        rest = result.size % 8
        if rest:
            result[-rest:] = np.nextafter(result[-rest:], result.dtype.type(10))
        return result.reshape(x.shape)

    return kernel


def contiguous_only(f: Kernel) -> Kernel:
    """Reads the memory of its input as though nothing lay between the elements."""

    def kernel(x: Array) -> Array:
        if x.flags.c_contiguous or x.flags.f_contiguous or not x.size:
            return f(x)
        start = x.base if isinstance(x.base, np.ndarray) and x.base.size >= x.size else x
        return f(np.ravel(start)[: x.size].reshape(x.shape).astype(x.dtype))

    return kernel


def flushed(f: Kernel) -> Kernel:
    """As on a processor that is set to flush subnormal results to zero."""

    def kernel(x: Array) -> Array:
        result = f(x)
        return np.where(np.abs(result) < np.finfo(result.dtype).smallest_normal, result * 0, result)

    return kernel


def flushed_inputs(f: Kernel) -> Kernel:
    """As on a processor that reads subnormal inputs as zero."""
    return lambda x: f(np.where(np.abs(x) < np.finfo(x.dtype).smallest_normal, x * 0, x))


def writes_into_its_input(x: Array) -> Array:
    np.maximum(x, 0, out=x)
    return x


def drops_the_last_of_thirteen(x: Array) -> Array:
    return x[:12] if x.shape == (13,) else +x


def refuses_zero_dimensions(x: Array) -> Array:
    if x.ndim == 0:
        raise TypeError("expected a vector")
    return np.tanh(x)


def mish_derivative_without_a_term(x: Array) -> Array:
    """w = 4 (x + 1) + 4 e^2x + e^3x + e^x (4 x + 6) over (2 e^x + e^2x + 2)^2, the term e^3x forgotten."""
    e = np.exp(np.minimum(x, 30))
    omega = 4 * (x + 1) + 4 * e**2 + e * (4 * x + 6)
    return np.where(x > 30, 1.0, e * omega / (2 * e + e**2 + 2) ** 2)


def elu_derivative_by_the_sign_of_the_result(x: Array) -> Array:
    """Right for a positive alpha: with alpha = -2 a negative input has a positive result."""
    y = elu(x, -2.0)
    return np.where(y > 0, 1.0, y - 2.0)


def row_zero(f: Kernel) -> Kernel:
    """Writes the results of every row of a matrix into its first one."""

    def kernel(g: Array, x: Array) -> Array:
        result = np.asarray(f(g, x))
        if result.ndim == 2:
            result = np.repeat(result[:1], result.shape[0], axis=0)
        return result

    return kernel


def gelu_tanh_derivative_in_float16(x: Array) -> Array:
    """The product of 0 and an overflowed cube is NaN."""
    one, scale, cubic = (x.dtype.type(value) for value in (1, math.sqrt(2 / math.pi), 0.044715))
    t = np.tanh(scale * (x + cubic * x * x * x))
    half = x.dtype.type(0.5)
    return half * (one + t) + half * x * (one - t * t) * scale * (one + 3 * cubic * x * x * x / x)


MUTANTS = (
    Mutant(
        "a term of mish' is missing",
        in_double(mish_derivative_without_a_term),
        "mish",
        "accuracy",
        computes="derivative",
    ),
    Mutant(
        "elu' by the sign of the result, alpha < 0",
        in_double(elu_derivative_by_the_sign_of_the_result),
        parse("Piecewise((x, x > 0), (-2*(exp(x) - 1), True))"),
        "accuracy",
        computes="derivative",
    ),
    Mutant(
        "every row's gradient in row 0",
        row_zero(in_double(lambda g, x: g * sigmoid(x))),
        "softplus",
        "layout",
        computes="backward",
    ),
    Mutant(
        "a cube overflows float16",
        gelu_tanh_derivative_in_float16,
        "gelu_tanh",
        "nan",
        "float16",
        computes="derivative",
    ),
    Mutant(
        "relu6 by subtraction",
        lambda x: np.maximum(x, 0) - np.maximum(x - x.dtype.type(6), 0),
        "relu6",
        "accuracy",
        "float16",
    ),
    Mutant(
        "closed for open knee",
        lambda x: np.where(np.isnan(x), x, (np.abs(x) <= 1).astype(x.dtype)),
        "hardtanh",
        "kink",
        computes="derivative",
    ),
    Mutant("erf for the tanh form", in_double(gelu), "gelu_tanh", "accuracy"),
    Mutant(
        "sigmoid form for the erf form",
        in_double(lambda x: np.where(x == -np.inf, 0.0, x * sigmoid(1.702 * x))),
        "gelu",
        "accuracy",
    ),
    Mutant(
        "beyond its range by an ulp",
        lambda x: np.where(x > 12, np.nextafter(x.dtype.type(1), x.dtype.type(2)), in_double(np.tanh)(x)),
        "tanh",
        "range",
    ),
    Mutant(
        "a cut-off of its own", in_double(lambda x: np.where(x > 20, x, softplus(x))), "softplus", "accuracy", "float64"
    ),
    Mutant("infinity for a large number", lambda x: x * np.clip(x + 3, 0, 6) / 6, "hardswish", "overflow"),
    Mutant(
        "exp - 1 for expm1", lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - x.dtype.type(1)), "elu", "accuracy"
    ),
    Mutant("log(1 + exp) overflows", lambda x: np.log(1 + np.exp(x)), "softplus", "overflow"),
    Mutant(
        "log(1 + exp) loses its tail",
        lambda x: np.log(1 + np.exp(np.minimum(x, 80))) + np.maximum(x - 80, 0),
        "softplus",
        "accuracy",
    ),
    Mutant(
        "1 + erf",
        in_double(lambda x: np.where(x == -np.inf, 0.0, x * (1 + error_function(x / math.sqrt(2))) / 2)),
        "gelu",
        "accuracy",
    ),
    Mutant("swapped branches", in_double(lambda x: np.where(x <= 0, x, np.expm1(np.maximum(x, 0)))), "elu", "accuracy"),
    Mutant(
        ">= for > at the kink",
        lambda x: np.where(np.isnan(x), x, (x >= 0).astype(x.dtype)),
        "relu",
        "kink",
        computes="derivative",
    ),
    Mutant("dropped alpha", in_double(elu), "elu", "accuracy", parameters={"alpha": 2}),
    Mutant("NaN swallowed", lambda x: np.where(x > 0, x, x.dtype.type(0)), "relu", "nan-swallowed"),
    Mutant("flushed results", flushed(in_double(silu)), "silu", "subnormal"),
    Mutant("flushed inputs", flushed_inputs(in_double(np.tanh)), "tanh", "subnormal"),
    Mutant("flushed results, float16", flushed(in_double(sigmoid)), "sigmoid", "subnormal", "float16"),
    Mutant("tail differs from body", tail_of_eight(in_double(silu)), "silu", "layout"),
    Mutant(
        "missing 1/beta",
        in_double(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(2 * x)))),
        "softplus",
        "accuracy",
        parameters={"beta": 2},
    ),
    Mutant("swapped alpha and scale", in_double(lambda x: selu(x, SCALE, ALPHA)), "selu", "accuracy"),
    Mutant("returns zeros", lambda x: np.zeros_like(x), "silu", "accuracy"),
    Mutant("returns what was in memory: zeros for NaN", lambda x: np.zeros_like(x), "silu", "nan-swallowed"),
    Mutant("right only on contiguous input", contiguous_only(in_double(silu)), "silu", "layout"),
    Mutant("right only on [-2, 2]", in_double(lambda x: np.tanh(np.clip(x, -2, 2))), "tanh", "accuracy"),
    Mutant("wrong dtype out", lambda x: np.tanh(x.astype(np.float64)), "tanh", "dtype"),
    Mutant("wrong sign", in_double(lambda x: -np.tanh(x)), "tanh", "sign"),
    Mutant("-inf gives NaN", lambda x: x / (1 + np.exp(-x)), "silu", "limit"),
    Mutant("wrong sign of a tiny tail", in_double(lambda x: np.where(x < -50, -silu(x), silu(x))), "silu", "sign"),
    Mutant("limit at +inf", in_double(lambda x: np.where(x == np.inf, 0.0, np.tanh(x))), "tanh", "limit"),
    Mutant("NaN at zero", lambda x: x * np.abs(x) / np.abs(x) / (1 + np.abs(x)), "softsign", "nan"),
    Mutant("writes into its input", writes_into_its_input, "relu", "input-changed"),
    Mutant("wrong shape", np.ravel, "identity", "shape"),
    Mutant("drops the last of 13", drops_the_last_of_thirteen, "identity", "shape"),
    Mutant("no 0-d arrays", refuses_zero_dimensions, "tanh", "layout"),
    Mutant("raises", lambda x: x.nothing, "identity", "exception"),
    Mutant("a scalar, not an array", lambda x: 0.0, "identity", "dtype"),
    Mutant("one result for two", lambda x: np.tanh(x), "tanh", "shape", computes="forward-derivative"),
    Mutant(
        "gradient dropped",
        lambda g, x: in_double(lambda x: 1 - np.tanh(x) ** 2)(x),
        "tanh",
        "accuracy",
        computes="backward",
        dtype="float16",
    ),
    Mutant(
        "arguments swapped",
        lambda g, x: np.where(np.isnan(g), g, np.where(g > 0, x, x * 0)),
        "relu",
        "accuracy",
        computes="backward",
    ),
    Mutant(
        "second result is the first",
        lambda x: (in_double(silu)(x), in_double(silu)(x)),
        "silu",
        "accuracy",
        computes="forward-derivative",
    ),
    Mutant("second derivative is the first", in_double(sigmoid), "softplus", "accuracy", computes="second-derivative"),
    Mutant("computes in float16", lambda x: np.tanh(x.astype(np.float16)).astype(x.dtype), "tanh", "accuracy"),
    Mutant(
        "one bad input in bfloat16",
        in_double(lambda x: np.where(x == 1.5, np.tanh(1.375), np.tanh(x))),
        "tanh",
        "accuracy",
        "bfloat16",
    ),
    Mutant(
        "a threshold set too low",
        in_double(lambda x: np.where(x > 6, x, softplus(x))),
        "softplus",
        "accuracy",
        "float64",
    ),
    Mutant(
        "float64 constant cut to single",
        in_double(lambda x: x * np.float64(np.float32(0.01)) * (x < 0) + np.maximum(x, 0)),
        "leaky_relu",
        "accuracy",
        "float64",
    ),
)
