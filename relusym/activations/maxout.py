"""Maxout: the largest of k inputs, which a layer makes of k linear functions of its own input."""

from numbers import Integral

from sympy import Max, symbols

from relusym.activation import Activation
from relusym.errors import InvalidRequest

MOST = 64
"""As many inputs as a kernel is written for."""


def maxout(k: int) -> Activation:
    """The maximum of z1, ..., zk.

    Raises `InvalidRequest` for k that is no integer, below 2 or above 64.
    """
    if not isinstance(k, Integral) or isinstance(k, bool) or not 2 <= k <= MOST:
        raise InvalidRequest(f"maxout: k = {k!r}; give the number of inputs, an integer from 2 to {MOST}")
    inputs = symbols(f"z1:{k + 1}", real=True)
    return Activation(
        name=f"maxout{k}",
        expr=Max(*inputs),
        inputs=inputs,
        source="Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013, arXiv:1302.4389",
    )
