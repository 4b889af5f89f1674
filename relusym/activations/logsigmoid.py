"""Logarithm of the logistic function."""

from sympy import exp, log

from relusym.activation import Activation, x

logsigmoid = Activation(
    name="logsigmoid",
    expr=-log(1 + exp(-x)),
    source="the log-likelihood of logistic regression",
    names={"torch": "torch.nn.functional.logsigmoid", "jax": "jax.nn.log_sigmoid"},
)
