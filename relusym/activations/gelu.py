"""Gaussian error linear unit: x times the standard normal distribution function."""

from sympy import erf, sqrt

from relusym.activation import Activation, x

gelu = Activation(
    name="gelu",
    expr=x * (1 + erf(x / sqrt(2))) / 2,
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    names={"torch": "torch.nn.functional.gelu", "jax": "jax.nn.gelu(approximate=False)", "onnx": "Gelu"},
)
