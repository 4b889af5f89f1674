"""Continuously differentiable exponential linear unit."""

from sympy import Symbol, exp

from relusym.activation import Activation, Parameter, piecewise, x

alpha = Symbol("alpha", positive=True)

celu = Activation(
    name="celu",
    expr=piecewise((x, x > 0), (alpha * (exp(x / alpha) - 1), True)),
    parameters=(Parameter(alpha, default=1),),
    source="Barron 2017, arXiv:1704.07483",
    names={"torch": "torch.nn.functional.celu", "jax": "jax.nn.celu", "onnx": "Celu"},
)
