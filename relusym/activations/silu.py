"""Sigmoid linear unit, Swish with beta = 1."""

from sympy import exp

from relusym.activation import Activation, x

silu = Activation(
    name="silu",
    expr=x / (1 + exp(-x)),
    source="Elfwing, Uchibe & Doya 2017, arXiv:1702.03118",
    names={"torch": "torch.nn.functional.silu", "jax": "jax.nn.silu"},
)
