"""`Kernel`: generated source, what it claims, and how to run it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from relusym.activation import Activation
from relusym.errors import InvalidRequest
from relusym.floats import Format
from relusym_codegen.program import Program
from relusym_codegen.signatures import Signature


def device_text(source: str) -> str:
    """The CUDA text in the source of a module for CuPy."""
    return source.partition("SOURCE = r'''")[2].partition("'''")[0]


@dataclass(frozen=True)
class Kernel:
    """One function in one language and dtype; `str(kernel)` is the text of a stand-alone module.

    `thresholds` are the inputs at which the code changes branch: kinks and regimes, worth judging closely.
    `signature` says which arrays a call takes and gives; `arguments` are the parameters that follow the arrays.
    `warnings` name what could not be made safe. Where the text is arithmetic that IEEE 754 fixes, `error` is the
    first-order bound of what its roundings cost at a sample of inputs, in ulps, and `foreign` names the functions of
    the platform's library that stand in the way.
    """

    activation: Activation
    target: str
    dtype: str
    computes: str
    accuracy: str
    work_format: Format
    arguments: tuple[str, ...]
    thresholds: tuple[float, ...]
    warnings: tuple[str, ...]
    identifier: str
    source: str = field(repr=False)
    program: Program = field(repr=False)
    signature: Signature = field(repr=False)
    error: float | None = None
    foreign: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.source

    @property
    def device_source(self) -> str:
        """The CUDA text alone, without the launcher; raises `InvalidRequest` for other targets."""
        if self.target != "cuda":
            raise InvalidRequest(f"a {self.target} kernel has no CUDA text; generate it with target='cuda'")
        return device_text(self.source)

    def load(self, on: str | None = None) -> LoadedKernel:
        """The kernel as a callable: `fn(x, *arguments, out=None)`, the arrays being those of `signature`.

        `on="cpu"` runs a CUDA kernel's text through a C++ compiler instead of a GPU. Raises `Missing` when the
        machine lacks what the target needs.
        """
        from relusym_codegen.target import target_named

        return LoadedKernel(self, on, target_named(self.target).load(self, on))


@dataclass(frozen=True)
class LoadedKernel:
    """A kernel that runs here. It travels to another process as its text, and is loaded anew when it arrives there."""

    kernel: Kernel
    on: str | None
    function: Callable[..., Any] = field(repr=False, compare=False)

    @property
    def __call__(self) -> Callable[..., Any]:
        """A call is one of the function itself: passing operands on would take a sixth of a small array's time."""
        return self.function

    @property
    def __signature__(self) -> inspect.Signature:
        """The arrays and arguments by name, for whoever asks `inspect`."""
        return inspect.signature(self.function)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Kernel, str | None]]:
        return Kernel.load, (self.kernel, self.on)

    @property
    def __name__(self) -> str:
        """What schedulers and tracebacks call it."""
        return self.kernel.identifier
