"""Swish: x times the logistic function of beta x; beta is learned."""

from sympy import Symbol, exp

from relusym.activation import Activation, Parameter, x

beta = Symbol("beta", real=True)

swish = Activation(
    name="swish",
    expr=x / (1 + exp(-beta * x)),
    parameters=(Parameter(beta, default=1, learnable=True),),
    source="Ramachandran, Zoph & Le 2017, arXiv:1710.05941",
    names={"onnx": "Swish"},
)
