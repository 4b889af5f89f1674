"""Hard Swish: x times the hard logistic function."""

from relusym.activation import Activation, piecewise, x

hardswish = Activation(
    name="hardswish",
    expr=piecewise((0, x <= -3), (x, x >= 3), (x * (x + 3) / 6, True)),
    source="Howard et al. 2019, arXiv:1905.02244",
    names={"torch": "torch.nn.functional.hardswish", "jax": "jax.nn.hard_swish", "onnx": "HardSwish"},
)
