"""What the hyperbolic tangent leaves of the identity."""

from sympy import tanh

from relusym.activation import Activation, x

tanhshrink = Activation(
    name="tanhshrink",
    expr=x - tanh(x),
    source="the identity less tanh",
    names={"torch": "torch.nn.functional.tanhshrink"},
)
