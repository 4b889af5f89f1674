"""Hyperbolic tangent."""

import sympy

from relusym.activation import Activation, x

tanh = Activation(
    name="tanh",
    expr=sympy.tanh(x),
    source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp",
    names={"torch": "torch.tanh", "jax": "jax.nn.tanh", "onnx": "Tanh"},
)
