"""Gated unit of the rectifier: one input times the ReLU of the other."""

from sympy import symbols

from relusym.activation import Activation, piecewise

a, b = symbols("a b", real=True)

reglu = Activation(
    name="reglu",
    expr=a * piecewise((b, b > 0), (0, True)),
    inputs=(a, b),
    source="Shazeer 2020, arXiv:2002.05202",
)
