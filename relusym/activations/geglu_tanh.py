"""Gated unit of GELU in its approximation by the hyperbolic tangent."""

from sympy import Rational, pi, sqrt, symbols, tanh

from relusym.activation import Activation

a, b = symbols("a b", real=True)

geglu_tanh = Activation(
    name="geglu_tanh",
    expr=a * b * (1 + tanh(sqrt(2 / pi) * (b + Rational(44715, 1000000) * b**3))) * Rational(1, 2),
    inputs=(a, b),
    source="Shazeer 2020, arXiv:2002.05202",
)
