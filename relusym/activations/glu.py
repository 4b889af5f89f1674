"""Gated linear unit: one input, weighted by the logistic function of the other."""

from sympy import exp, symbols

from relusym.activation import Activation

a, b = symbols("a b", real=True)

glu = Activation(
    name="glu",
    expr=a / (1 + exp(-b)),
    inputs=(a, b),
    source="Dauphin, Fan, Auli & Grangier 2017, arXiv:1612.08083",
    names={"torch": "torch.nn.functional.glu"},
)
