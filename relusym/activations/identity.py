"""The identity: no activation at all."""

from relusym.activation import Activation, x

identity = Activation(
    name="identity",
    expr=x,
    source="the linear unit",
    names={"torch": "torch.nn.Identity", "jax": "jax.nn.identity", "onnx": "Identity"},
)
