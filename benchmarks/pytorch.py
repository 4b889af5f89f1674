"""What an activation is called in PyTorch, as a function of a tensor; for those that PyTorch has."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from relusym.activation import parameter_values
from relusym.activations import named

_NAME = re.compile(r"torch\.([\w.]+)(?:\((\w+)='(\w+)'\))?")
_ARGUMENTS = ("threshold",)
"""Whose parameters PyTorch asks for; elsewhere its defaults are ours."""


def function(torch: Any, name: str) -> Callable[[Any], Any] | None:
    """PyTorch's own function with our default parameters, or None; prelu's weight is made for each tensor it meets."""
    activation = named(name)
    match = _NAME.fullmatch(activation.names.get("torch", ""))
    if match is None:
        return None
    path, option, value = match.groups()
    found = functools.reduce(getattr, path.split("."), torch)
    if isinstance(found, type):
        return None  # Identity: nothing to compute
    defaults = [float(number) for number in parameter_values(activation).values()]
    if name == "prelu":
        weights: dict[Any, Any] = {}

        def prelu(x: Any) -> Any:
            key = x.dtype, x.device
            if key not in weights:
                weights[key] = torch.full((1,), defaults[0], dtype=x.dtype, device=x.device)
            return found(x, weights[key])

        return prelu
    if name in _ARGUMENTS:
        return lambda x: found(x, *defaults)
    return functools.partial(found, **{option: value}) if option else found
