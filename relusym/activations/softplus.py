"""Softplus, the smooth rectifier."""

from sympy import Symbol, exp, log

from relusym.activation import Activation, Parameter, x

beta = Symbol("beta", positive=True)

softplus = Activation(
    name="softplus",
    expr=log(1 + exp(beta * x)) / beta,
    parameters=(Parameter(beta, default=1),),
    source="Dugas et al. 2000, Incorporating second-order functional knowledge, NIPS",
    names={"torch": "torch.nn.functional.softplus", "jax": "jax.nn.softplus", "onnx": "Softplus"},
)
