"""Networks of a few layers and gradient descent on them, in NumPy with kernels of ours: just what the claims need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from relusym.activations import named
from relusym.analysis import analyse
from relusym.balls import enclosure
from relusym.facts import Enclosed
from relusym_codegen.generation import generate
from relusym_codegen.kernel import LoadedKernel
from relusym_codegen.layers import AffineKernels, Array, affine_kernels, gradients, pre_activations

Weights: TypeAlias = "tuple[tuple[Array, Array], ...]"
"""W and b of every layer."""


@dataclass(frozen=True)
class Pass:
    """What one way through a network leaves behind: the inputs of every layer, and its pre-activations."""

    inputs: tuple[Array, ...]
    before: tuple[Array, ...]
    output: Array

    def of(self, number: int) -> Pass:
        """The same of one layer alone."""
        after = self.inputs[number + 1] if number + 1 < len(self.inputs) else self.output
        return Pass(self.inputs[number : number + 1], self.before[number : number + 1], after)


@dataclass(frozen=True)
class Run:
    """A training: the loss before every step, and the weights at the end."""

    losses: tuple[float, ...]
    weights: Weights

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being a number."""
        return not np.isfinite(self.losses[-1])


@lru_cache(maxsize=64)
def layer(activation: str, dtype: str = "float32", at_zero: str | None = None) -> AffineKernels:
    """The kernels of a layer, made once; `at_zero` is the slope at the kink, least-norm without it."""
    return affine_kernels(activation, dtype=dtype, subgradient="least-norm" if at_zero is None else float(at_zero))


@lru_cache(maxsize=8)
def _loss_kernels(dtype: str) -> tuple[LoadedKernel, LoadedKernel]:
    forward, backward = (generate("softplus", "numpy", dtype, computes).load() for computes in ("forward", "backward"))
    return forward, backward


@lru_cache(maxsize=16)
def forward_gain(activation: str) -> float:
    """1 / sqrt(E f(z)^2) for standard normal z, the derived fact, as a float: He's sqrt(2) for ReLU."""
    value = analyse(named(activation)).facts["gain_forward"].value
    return float(enclosure(value, 60).mid()) if isinstance(value, Enclosed) else float(value)  # type: ignore[arg-type]


def hidden(
    activation: str, depth: int, dtype: str = "float32", at_zero: str | None = None
) -> tuple[AffineKernels, ...]:
    """`depth` layers of this activation, and a linear one."""
    return (layer(activation, dtype, at_zero),) * depth + (layer("identity", dtype),)


def initial(
    random: np.random.Generator, sizes: Sequence[int], gain: float, *, dtype: str = "float32", bias: float = 0.0
) -> Weights:
    """Normal weights of standard deviation gain / sqrt(inputs), and equal biases."""
    return tuple(
        (
            (random.standard_normal((units, inputs)) * gain / np.sqrt(inputs)).astype(dtype),
            np.full(units, bias, dtype=dtype),
        )
        for inputs, units in pairwise(sizes)
    )


def forwards(layers: Sequence[AffineKernels], weights: Weights, x: Array) -> Pass:
    """One way through, samples in rows."""
    inputs, before = [x], []
    for kernels, (weight, bias) in zip(layers, weights, strict=True):
        before.append(pre_activations(weight, bias, inputs[-1]))
        inputs.append(kernels.forward(before[-1]))
    return Pass(tuple(inputs[:-1]), tuple(before), inputs[-1])


def backwards(
    layers: Sequence[AffineKernels], weights: Weights, passed: Pass, grad: Array
) -> tuple[list[tuple[Array, Array]], Array]:
    """The gradients of every layer's W and b, and that of the network's input, for dE/d(output) = grad."""
    found = []
    for number in reversed(range(len(layers))):
        one = gradients(layers[number], weights[number][0], passed.inputs[number], passed.before[number], grad)
        found.append((one.weight, one.bias))
        grad = one.input
    return found[::-1], grad


def train(
    layers: Sequence[AffineKernels],
    weights: Weights,
    x: Array,
    signs: Array,
    *,
    rate: float,
    steps: int,
    batch: int = 0,
) -> Run:
    """Gradient descent on the mean logistic loss log(1 + exp(-sign * output)); signs are -1 and 1, in a column.

    All samples in every step, or `batch` of them, one after the other. Stops where the loss is no number any more.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a training that diverges says so by its loss
        return _descend(layers, weights, x, signs, rate, steps, batch)


def _descend(
    layers: Sequence[AffineKernels], weights: Weights, x: Array, signs: Array, rate: float, steps: int, batch: int
) -> Run:
    dtype = x.dtype
    loss, slope = _loss_kernels(dtype.name)
    eta, losses, size = dtype.type(rate), [], batch or len(x)
    for step in range(steps):
        begin = step * size % len(x)
        part, wanted = x[begin : begin + size], signs[begin : begin + size]
        passed = forwards(layers, weights, part)
        margins = -wanted * passed.output
        losses.append(float(np.mean(loss(margins), dtype=np.float64)))
        if not np.isfinite(losses[-1]):
            break
        share = np.full(margins.shape, 1 / len(part), dtype=dtype)
        found, _ = backwards(layers, weights, passed, -wanted * slope(share, margins))
        weights = tuple(
            (weight - eta * by_weight, bias - eta * by_bias)
            for (weight, bias), (by_weight, by_bias) in zip(weights, found, strict=True)
        )
    return Run(tuple(losses), weights)


def moons(
    random: np.random.Generator, samples: int, *, noise: float = 0.15, dtype: str = "float32"
) -> tuple[Array, Array]:
    """Two interleaved half circles, made on the spot: places of shape (samples, 2), and signs -1 and 1 in a column."""
    angle, side = np.pi * random.random(samples), random.integers(0, 2, samples)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    places = np.where(side[:, None] == 1, upper, lower) + noise * random.standard_normal((samples, 2))
    centred = places - np.array([0.5, 0.25])
    return centred.astype(dtype), (2 * side[:, None] - 1).astype(dtype)
