"""Squareplus: an algebraic softplus."""

from sympy import Symbol, sqrt

from relusym.activation import Activation, Parameter, x

b = Symbol("b", positive=True)

squareplus = Activation(
    name="squareplus",
    expr=(x + sqrt(x**2 + b)) / 2,
    parameters=(Parameter(b, default=4),),
    source="Barron 2021, arXiv:2112.11687",
    names={"jax": "jax.nn.squareplus"},
)
