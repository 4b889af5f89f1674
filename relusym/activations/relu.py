"""Rectified linear unit."""

from relusym.activation import Activation, piecewise, x

relu = Activation(
    name="relu",
    expr=piecewise((x, x > 0), (0, True)),
    source="Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines, ICML",
    names={"torch": "torch.nn.functional.relu", "jax": "jax.nn.relu", "onnx": "Relu"},
)
