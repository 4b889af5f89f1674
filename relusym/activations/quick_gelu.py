"""The approximation of GELU by the logistic function."""

from sympy import Rational, exp

from relusym.activation import Activation, x

quick_gelu = Activation(
    name="quick_gelu",
    expr=x / (1 + exp(-Rational(1702, 1000) * x)),
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415",
)
