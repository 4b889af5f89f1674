"""Hard shrinkage: small inputs become zero."""

from sympy import Rational, Symbol

from relusym.activation import Activation, Parameter, piecewise, x

lambd = Symbol("lambd", positive=True)

hardshrink = Activation(
    name="hardshrink",
    expr=piecewise((x, x > lambd), (x, x < -lambd), (0, True)),
    parameters=(Parameter(lambd, default=Rational(1, 2)),),
    source="Donoho & Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage",
    names={"torch": "torch.nn.functional.hardshrink", "onnx": "Shrink(bias=0.0, lambd=0.5)"},
)
