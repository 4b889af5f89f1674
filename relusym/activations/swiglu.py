"""Gated unit of Swish: one input times the Swish of the other; beta = 1 makes it SiLU."""

from sympy import Symbol, exp, symbols

from relusym.activation import Activation, Parameter

a, b = symbols("a b", real=True)
beta = Symbol("beta", real=True)

swiglu = Activation(
    name="swiglu",
    expr=a * b / (1 + exp(-beta * b)),
    inputs=(a, b),
    parameters=(Parameter(beta, default=1),),
    source="Shazeer 2020, arXiv:2002.05202",
)
