"""The catalogue: one file, one activation; a file is imported when its activation is asked for."""

from __future__ import annotations

import difflib
import importlib
import re

from relusym.activation import Activation
from relusym.activations.maxout import maxout
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
"""Every activation of one number, in the order of tables; `activations/NAME.py` defines NAME."""

SEVERAL: tuple[str, ...] = ("maxout2", "glu", "reglu", "geglu", "geglu_tanh", "swiglu", "crelu")
"""Those of several inputs or values. There is a maxoutK for every K from 2 on, of which tables show the smallest."""

_MAXOUT = re.compile(r"maxout(\d{1,9})")


def named(name: str) -> Activation:
    """The activation of this name; `InvalidRequest` lists near matches."""
    pieces = _MAXOUT.fullmatch(name)
    if pieces:
        return maxout(int(pieces[1]))
    if name not in (*NAMES, *SEVERAL):
        all_names = (*NAMES, *SEVERAL)
        near = difflib.get_close_matches(name, all_names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(all_names)}"
        raise InvalidRequest(f"no activation is called {name!r}; {hint}")
    module = importlib.import_module(f"relusym.activations.{name}")
    found = getattr(module, name)
    assert isinstance(found, Activation)
    return found


def catalogue() -> tuple[Activation, ...]:
    """All activations of one number, in the order of `NAMES`."""
    return tuple(named(name) for name in NAMES)


def known(name: str) -> bool:
    """Whether `named` has an activation of this name."""
    return name in NAMES or name in SEVERAL or _MAXOUT.fullmatch(name) is not None
