"""Parametric rectified linear unit: the slope on the left is learned."""

from sympy import Rational, Symbol

from relusym.activation import Activation, Parameter, piecewise, x

alpha = Symbol("alpha", real=True)

prelu = Activation(
    name="prelu",
    expr=piecewise((x, x > 0), (alpha * x, True)),
    parameters=(Parameter(alpha, default=Rational(1, 4), learnable=True),),
    source="He, Zhang, Ren & Sun 2015, arXiv:1502.01852, eq. 1",
    names={"torch": "torch.nn.functional.prelu", "onnx": "PRelu"},
)
