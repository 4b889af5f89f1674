"""Kernels from definitions: lowering, programs and targets.

`generate(activation, target=..., dtype=..., computes=...)` is the front door; public names are served lazily.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relusym_codegen.broadcasting import channels
    from relusym_codegen.generation import generate
    from relusym_codegen.kernel import Kernel
    from relusym_codegen.parting import parts
    from relusym_codegen.program import Program

_HOMES = {
    "Kernel": "kernel",
    "Program": "program",
    "channels": "broadcasting",
    "generate": "generation",
    "parts": "parting",
}

__all__ = ["Kernel", "Program", "channels", "generate", "parts"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"relusym_codegen.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
