"""The catalogue: one file, one activation; a file is imported when its activation is asked for."""

from __future__ import annotations

import difflib
import importlib

from relusym.activation import Activation
from relusym.errors import InvalidRequest

NAMES: tuple[str, ...] = (
    "identity",
    "relu",
    "leaky_relu",
    "prelu",
    "relu6",
    "relu_squared",
    "elu",
    "selu",
    "celu",
    "gelu",
    "gelu_tanh",
    "quick_gelu",
    "silu",
    "swish",
    "mish",
    "softplus",
    "squareplus",
    "logsigmoid",
    "sigmoid",
    "tanh",
    "hardtanh",
    "hardsigmoid",
    "hardswish",
    "softsign",
    "softshrink",
    "hardshrink",
    "tanhshrink",
    "snake",
    "threshold",
)
"""Every activation of the catalogue, in the order of tables; `activations/NAME.py` defines NAME."""


def named(name: str) -> Activation:
    """The activation of this name; `InvalidRequest` lists near matches."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(NAMES)}"
        raise InvalidRequest(f"no activation is called {name!r}; {hint}")
    module = importlib.import_module(f"relusym.activations.{name}")
    found = getattr(module, name)
    assert isinstance(found, Activation)
    return found


def catalogue() -> tuple[Activation, ...]:
    """All activations, in the order of `NAMES`."""
    return tuple(named(name) for name in NAMES)
