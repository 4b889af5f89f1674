"""Scaled exponential linear unit: keeps the standard normal law's mean 0 and variance 1."""

from sympy import erfc, exp, pi, sqrt

from relusym.activation import Activation, piecewise, x

# The fixed point of mean and variance in closed form; published as 1.67326324... and 1.05070098...
tail = sqrt(exp(1)) * erfc(1 / sqrt(2))
alpha = sqrt(2 / pi) / (1 - tail)
scale = sqrt(2 * pi) * (1 - tail) / sqrt(2 * exp(2) * erfc(sqrt(2)) + pi * tail**2 - 2 * (2 + pi) * tail + pi + 2)

selu = Activation(
    name="selu",
    expr=piecewise((scale * x, x > 0), (scale * alpha * (exp(x) - 1), True)),
    source="Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515",
    names={"torch": "torch.nn.functional.selu", "jax": "jax.nn.selu", "onnx": "Selu"},
)
