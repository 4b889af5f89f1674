"""Soft shrinkage: the proximal map of lambd |x|."""

from sympy import Rational, Symbol

from relusym.activation import Activation, Parameter, piecewise, x

lambd = Symbol("lambd", positive=True)

softshrink = Activation(
    name="softshrink",
    expr=piecewise((x - lambd, x > lambd), (x + lambd, x < -lambd), (0, True)),
    parameters=(Parameter(lambd, default=Rational(1, 2)),),
    source="Donoho 1995, De-noising by soft-thresholding",
    names={"torch": "torch.nn.functional.softshrink", "onnx": "Shrink(bias=0.5, lambd=0.5)"},
)
