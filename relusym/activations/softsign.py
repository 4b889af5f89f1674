"""Softsign: saturates more slowly than the hyperbolic tangent."""

from sympy import Abs

from relusym.activation import Activation, x

softsign = Activation(
    name="softsign",
    expr=x / (1 + Abs(x)),
    source="Bergstra, Desjardins, Lamblin & Bengio 2009, Quadratic polynomials learn better image features",
    names={"torch": "torch.nn.functional.softsign", "jax": "jax.nn.soft_sign", "onnx": "Softsign"},
)
