"""`Target`: what a language needs to print a program - a table of rows, literals, a template, a loader."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relusym.errors import InvalidRequest
from relusym.floats import Format

if TYPE_CHECKING:
    from relusym_codegen.kernel import Kernel
    from relusym_codegen.program import Program

TARGETS: Mapping[str, str] = {"numpy": "numpy", "cuda": "cuda", "cupy": "cuda"}
"""Names a user may give, and the file in targets/ that serves each."""


@dataclass(frozen=True)
class Target:
    """A language and a machine.

    `rows` maps every operation of a program to text (see `emit`); `native` names the operations beyond the common
    ones that the language has. `work_formats` lists, for an output dtype and an accuracy, the formats a program may
    compute in, cheapest first. `render` turns a finished program into the source of a module, `load` that source
    into callables.
    """

    name: str
    dtypes: tuple[str, ...]
    rows: Mapping[str, Any]
    native: frozenset[str]
    work_formats: Callable[[Format, str], tuple[Format, ...]]
    render: Callable[[Header, Program], str]
    load: Callable[[Kernel, str | None], Callable[..., Any]]
    suffixes: tuple[str, ...] = (".py",)


@dataclass(frozen=True)
class Header:
    """What a generated file says about itself, and the names it defines."""

    activation: str
    formula: str
    source: str
    computes: str
    dtype: Format
    accuracy: str
    choice: str
    version: str
    arguments: tuple[str, ...]

    @property
    def entry(self) -> str:
        """The function a user calls: forward, derivative, backward, ..."""
        return self.computes.partition(":")[0].replace("-", "_")

    @property
    def takes_gradient(self) -> bool:
        """Whether the first argument is the incoming gradient."""
        return self.entry in ("backward", "parameter_gradient")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Arguments in the order of the call."""
        return (*(["grad"] if self.takes_gradient else []), "x", *self.arguments)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the results."""
        return ("y", "dy") if self.entry == "forward_derivative" else ("y",)

    @property
    def identifier(self) -> str:
        """A name unique among the kernels of one activation."""
        return f"{self.activation}_{self.computes}_{self.dtype.name}_{self.accuracy}".replace("-", "_").replace(
            ":", "_"
        )


def target_named(name: str) -> Target:
    """The target a user calls `name`; its file is imported now and not before."""
    if name not in TARGETS:
        raise InvalidRequest(f"target {name!r} is unknown; known: {', '.join(TARGETS)}")
    target: Target = importlib.import_module(f"relusym_codegen.targets.{TARGETS[name]}").TARGET
    return target
