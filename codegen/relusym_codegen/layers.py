"""A layer h = f(W x + b) on NumPy arrays: f and f' are kernels, the sums are NumPy's matrix products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relusym.activation import Activation, Number
from relusym.calculus.subdifferentials import Policy
from relusym.floats import format_of
from relusym_codegen.generation import generate
from relusym_codegen.kernel import LoadedKernel

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class AffineKernels:
    """The two kernels of a layer: f, and g * f' with the value at kinks that was asked for."""

    dtype: np.dtype[Any]
    forward: LoadedKernel
    backward: LoadedKernel


@dataclass(frozen=True)
class Gradients:
    """dE/dW and dE/db, summed over the samples, and dE/dx for each sample."""

    weight: Array
    bias: Array
    input: Array


def affine_kernels(
    activation: str | Activation,
    *,
    target: str = "numpy",
    dtype: str = "float32",
    subgradient: Policy = "least-norm",
    parameters: Mapping[str, Number] | None = None,
) -> AffineKernels:
    """The kernels of a layer with this activation, all parameters folded into their text; errors as of `generate`."""
    forward, backward = (
        generate(
            activation,
            target=target,
            dtype=dtype,
            computes=computes,
            subgradient=subgradient,
            arguments=(),
            **(parameters or {}),  # type: ignore[arg-type]  # names of parameters are none of generate's own
        ).load()
        for computes in ("forward", "backward")
    )
    return AffineKernels(np.dtype(format_of(dtype).dtype), forward, backward)


def pre_activations(weight: Array, bias: Array, x: Array) -> Array:
    """Z = W x + b for samples x in rows, of shape (samples, n); the result has the shape (samples, m)."""
    return np.asarray(x @ weight.T + bias)


def gradients(kernels: AffineKernels, weight: Array, x: Array, z: Array, grad: Array) -> Gradients:
    """The gradients at samples x with pre-activations z, where grad holds dE/dh; all of the kernels' dtype."""
    delta = kernels.backward(grad, z)
    return Gradients(delta.T @ x, delta.sum(axis=0), delta @ weight)
