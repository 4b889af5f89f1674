"""Squared rectified linear unit."""

from relusym.activation import Activation, piecewise, x

relu_squared = Activation(
    name="relu_squared",
    expr=piecewise((x**2, x > 0), (0, True)),
    source="So et al. 2021, arXiv:2109.08668",
)
