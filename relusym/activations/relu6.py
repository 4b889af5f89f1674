"""Rectified linear unit, capped at 6."""

from relusym.activation import Activation, piecewise, x

relu6 = Activation(
    name="relu6",
    expr=piecewise((0, x <= 0), (6, x >= 6), (x, True)),
    source="Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10",
    names={"torch": "torch.nn.functional.relu6", "jax": "jax.nn.relu6"},
)
