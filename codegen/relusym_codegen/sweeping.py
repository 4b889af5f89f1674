"""Our kernels at every float32 input: what `relusym.judge.exhaustive` needs to know of each."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from relusym.activation import Activation, Number, parameter_values
from relusym.errors import InvalidRequest, Missing
from relusym.judge.exhaustive import Trial
from relusym_codegen.acceptance import ACCURACIES, TRUSTED, batches, bound_for, missing
from relusym_codegen.generation import UnsafeKernel, generate
from relusym_codegen.kernel import Kernel
from relusym_codegen.literals import nearest
from relusym_codegen.signatures import FUSED, PARAMETERS

DTYPE = "float32"
COMPUTES = ("forward", "derivative")
"""What is swept when nothing is asked for."""


@dataclass(frozen=True)
class Making:
    """How to make one of our kernels again, in another process; a call gives it as a function of x alone."""

    activation: Activation
    target: str
    computes: str
    accuracy: str
    parameters: tuple[tuple[str, str], ...] = ()

    def kernel(self) -> Kernel:
        """The kernel, generated."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnsafeKernel)
            return generate(self.activation, self.target, DTYPE, self.computes, self.accuracy, **dict(self.parameters))

    def passed(self, kernel: Kernel) -> dict[str, float]:
        """Learnable parameters go in as arguments, in the work format, and are judged as passed."""
        values = parameter_values(self.activation, dict(self.parameters))
        return {str(s): nearest(v, kernel.work_format) for s, v in values.items() if str(s) in kernel.arguments}

    def __call__(self) -> Callable[..., Any]:
        """The kernel as a callable on the CPU."""
        kernel = self.kernel()
        fn = kernel.load(on="cpu" if kernel.target == "cuda" else None)
        passed = self.passed(kernel)
        return functools.partial(fn, **passed) if passed else fn


def trials(
    activations: Sequence[Activation],
    *,
    target: str = "numpy",
    computes: Sequence[str] | None = None,
    accuracies: Sequence[str] = ACCURACIES,
    parameters: Sequence[tuple[str, str]] = (),
    stride: int = 1,
) -> list[Trial]:
    """What to sweep, in the order of activations, quantities and accuracies.

    Raises `InvalidRequest` for words nobody knows, and `Missing` where the target cannot run here.
    """
    for activation in activations:
        if not activation.is_scalar:
            raise InvalidRequest(f"no sweep tries every input of {activation.name}, which has {activation.shape}")
    for word in computes or ():
        if word in (*FUSED, PARAMETERS):
            raise InvalidRequest(f"no sweep tries every input of {word}; leave out --exhaustive")
    found = []
    for batch in batches(
        activations,
        targets=(target,),
        dtypes=(DTYPE,),
        computes=tuple(computes or COMPUTES),
        accuracies=accuracies,
        parameters=parameters,
    ):
        lack = missing(batch.target)
        if lack is not None:
            raise Missing(f"target {target!r} cannot run here: {lack}")
        for quantity in batch.computes:
            for accuracy in batch.accuracies:
                making = Making(batch.activation, batch.target, quantity, accuracy, batch.parameters)
                found.append(_trial(making, stride))
    return found


def _trial(making: Making, stride: int) -> Trial:
    kernel = making.kernel()
    given: dict[str, Number] = {**dict(making.parameters), **making.passed(kernel)}
    return Trial(
        activation=making.activation,
        computes=making.computes,
        make=making,
        bound=bound_for(DTYPE, making.computes, making.accuracy, making.target),
        parameters=tuple(given.items()),
        within=TRUSTED.get(making.activation.name),
        kernel=f"{kernel.target} {kernel.dtype} {kernel.accuracy}",
        kernel_sha256=hashlib.sha256(str(kernel).encode()).hexdigest(),
        stride=stride,
    )
