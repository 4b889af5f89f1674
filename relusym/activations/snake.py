"""Snake: the identity with a periodic part."""

from sympy import Symbol, sin

from relusym.activation import Activation, Parameter, x

a = Symbol("a", positive=True)

snake = Activation(
    name="snake",
    expr=x + sin(a * x) ** 2 / a,
    parameters=(Parameter(a, default=1),),
    source="Ziyin, Hartwig & Ueda 2020, arXiv:2006.08195",
)
