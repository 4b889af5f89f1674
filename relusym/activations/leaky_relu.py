"""Leaky rectified linear unit."""

from sympy import Rational, Symbol

from relusym.activation import Activation, Parameter, piecewise, x

negative_slope = Symbol("negative_slope", nonnegative=True)

leaky_relu = Activation(
    name="leaky_relu",
    expr=piecewise((x, x > 0), (negative_slope * x, True)),
    parameters=(Parameter(negative_slope, default=Rational(1, 100)),),
    source="Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models, ICML",
    names={"torch": "torch.nn.functional.leaky_relu", "jax": "jax.nn.leaky_relu", "onnx": "LeakyRelu"},
)
