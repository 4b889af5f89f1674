"""Mish: self-regularised, smooth and not monotone."""

from sympy import exp, log, tanh

from relusym.activation import Activation, x

mish = Activation(
    name="mish",
    expr=x * tanh(log(1 + exp(x))),
    source="Misra 2019, arXiv:1908.08681",
    names={"torch": "torch.nn.functional.mish", "jax": "jax.nn.mish", "onnx": "Mish"},
)
