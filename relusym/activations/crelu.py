"""Concatenated rectified linear unit: the positive part of the input and that of its negative, side by side."""

from relusym.activation import Activation, piecewise, x

crelu = Activation(
    name="crelu",
    expr=piecewise((x, x > 0), (0, True)),
    others=(piecewise((-x, x < 0), (0, True)),),
    source="Shang, Sohn, Almeida & Lee 2016, arXiv:1603.05201, eq. 2",
)
