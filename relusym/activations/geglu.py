"""Gated unit of GELU: one input times the GELU of the other, by the normal distribution function."""

from sympy import Rational, erf, sqrt, symbols

from relusym.activation import Activation

a, b = symbols("a b", real=True)

geglu = Activation(
    name="geglu",
    expr=a * b * (1 + erf(b / sqrt(2))) * Rational(1, 2),
    inputs=(a, b),
    source="Shazeer 2020, arXiv:2002.05202",
)
