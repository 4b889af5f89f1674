"""The logistic function."""

from sympy import exp

from relusym.activation import Activation, x

sigmoid = Activation(
    name="sigmoid",
    expr=1 / (1 + exp(-x)),
    source="Verhulst 1845, Recherches mathematiques sur la loi d'accroissement de la population",
    names={"torch": "torch.sigmoid", "jax": "jax.nn.sigmoid", "onnx": "Sigmoid"},
)
