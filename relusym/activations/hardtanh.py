"""Hard hyperbolic tangent: the identity, clipped."""

from sympy import Symbol

from relusym.activation import Activation, Parameter, piecewise, x

lower = Symbol("lower", negative=True)
upper = Symbol("upper", positive=True)

hardtanh = Activation(
    name="hardtanh",
    expr=piecewise((lower, x <= lower), (upper, x >= upper), (x, True)),
    parameters=(
        Parameter(lower, default=-1),
        Parameter(upper, default=1),
    ),
    source="Collobert 2004, Large scale machine learning, thesis, Paris VI",
    names={"torch": "torch.nn.functional.hardtanh", "jax": "jax.nn.hard_tanh"},
)
