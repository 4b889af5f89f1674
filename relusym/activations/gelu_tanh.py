"""The approximation of GELU by the hyperbolic tangent."""

from sympy import Rational, pi, sqrt, tanh

from relusym.activation import Activation, x

gelu_tanh = Activation(
    name="gelu_tanh",
    expr=x * (1 + tanh(sqrt(2 / pi) * (x + Rational(44715, 1000000) * x**3))) / 2,
    source="Hendrycks & Gimpel 2016, arXiv:1606.08415",
    names={
        "torch": "torch.nn.functional.gelu(approximate='tanh')",
        "jax": "jax.nn.gelu(approximate=True)",
        "onnx": "Gelu(approximate='tanh')",
    },
)
