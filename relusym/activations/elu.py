"""Exponential linear unit."""

from sympy import Symbol, exp

from relusym.activation import Activation, Parameter, piecewise, x

alpha = Symbol("alpha", positive=True)

elu = Activation(
    name="elu",
    expr=piecewise((x, x > 0), (alpha * (exp(x) - 1), True)),
    parameters=(Parameter(alpha, default=1),),
    source="Clevert, Unterthiner & Hochreiter 2015, arXiv:1511.07289, eq. 15",
    names={"torch": "torch.nn.functional.elu", "jax": "jax.nn.elu", "onnx": "Elu"},
)
