"""Catalogue x target x dtype x quantity: generate each kernel, hand it to the judge, keep the verdict.

A `Batch` is all work on one activation for one target; it is picklable, so that worker processes can take it, and
whole, so that references and compiled objects are shared inside it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from relusym import conventions
from relusym.activation import Activation, parameter_values
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest, InvalidSubgradient, Missing
from relusym.floats import FORMATS
from relusym.judge import Bound, Report, check
from relusym.several.forms import TIE_POLICIES
from relusym.structures import Maximum, structure_of
from relusym_codegen import compilers
from relusym_codegen.generation import UnsafeKernel, generate
from relusym_codegen.kernel import Kernel
from relusym_codegen.literals import nearest
from relusym_codegen.several import OF_MAXIMA
from relusym_codegen.signatures import FUSED, PARAMETERS
from relusym_codegen.target import TARGETS as ALIASES

TARGETS = ("numpy", "c", "cuda")
DTYPES = tuple(FORMATS)
COMPUTES = (
    "forward",
    "derivative",
    "second-derivative",
    "backward",
    "forward-derivative",
    "parameter-gradient",
)
"""What is judged when nothing is asked for."""

ACCURACIES = ("precise", "fast")

OF_SEVERAL = ("forward", "backward")
"""The same for functions of several inputs or values."""

ROWS = 2_000
"""Rows of inputs at which a kernel of a function of several is judged, beside some 1,000 at the edges."""

POINTS = 30_000
"""Inputs of float32 and float64 at which each of thousands of kernels is judged; sweeps judge some at all inputs."""

LABELS = {"cuda": "run on the CPU, where its arithmetic is the same; the GPU was not run"}
"""What a verdict on a target does not prove."""


@dataclass(frozen=True)
class Batch:
    """All work on one activation for one target; `parameters` are (name, exact decimal or fraction text) pairs.

    `subgradient` is the policy at kinks with which kernels are generated and judged.
    """

    activation: Activation
    target: str
    dtypes: tuple[str, ...]
    computes: tuple[str, ...]
    accuracies: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...] = ()
    subgradient: Any = "least-norm"


@dataclass(frozen=True)
class Result:
    """The verdict on one kernel; `status` is "passed", "failed" or "not run", `report` the judge's text."""

    activation: str
    target: str
    dtype: str
    work_format: str
    computes: str
    accuracy: str
    status: str
    reason: str
    max_ulp: float | None
    max_ratio: float | None
    bound: str
    worst_input: str | None
    tested: int
    exhaustive: bool
    undecided: int
    report: str

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON; an infinite number is text."""
        fields = asdict(self)
        for key in ("max_ulp", "max_ratio"):
            if fields[key] is not None and fields[key] in (float("inf"), float("-inf")):
                fields[key] = str(fields[key])
        return fields


def batches(
    activations: Sequence[Activation],
    *,
    targets: Sequence[str] = ("numpy",),
    dtypes: Sequence[str] = DTYPES,
    computes: Sequence[str] | None = None,
    accuracies: Sequence[str] = ACCURACIES,
    parameters: Sequence[tuple[str, str]] = (),
    subgradient: Policy = "least-norm",
) -> list[Batch]:
    """The work, one batch for each activation and target; raises `InvalidRequest` for words nobody knows."""
    wanted = tuple(computes or COMPUTES)
    for given, known in ((dtypes, DTYPES), (accuracies, ACCURACIES), (targets, tuple(ALIASES))):
        for word in given:
            if word not in known:
                raise InvalidRequest(f"{word!r} is unknown here; known: {', '.join(known)}")
    for word in wanted:
        known = (*COMPUTES, PARAMETERS, *FUSED, *OF_MAXIMA)
        if word.partition(":")[0] not in known:
            raise InvalidRequest(f"nobody knows how to compute {word!r}; known: {', '.join(known)}")
    had = [(activation, _had(activation, wanted)) for activation in activations]
    if had and not any(words for _, words in had):
        names = ", ".join(activation.name for activation in activations)
        raise InvalidRequest(f"{names}: there is no {', '.join(wanted)} of {'it' if len(had) == 1 else 'any of them'}")
    return [
        Batch(activation, ALIASES[target], tuple(dtypes), words, tuple(accuracies), tuple(parameters), subgradient)
        for activation, words in had
        for target in targets
        if words
    ]


def _had(activation: Activation, wanted: Sequence[str]) -> tuple[str, ...]:
    """The quantities among those wanted that such a function has."""
    if activation.is_scalar:
        return tuple(word for word in wanted if word not in OF_MAXIMA)
    known = (*OF_SEVERAL, *OF_MAXIMA) if isinstance(structure_of(activation), Maximum) else OF_SEVERAL
    return tuple(word for word in wanted if word in known)


def missing(target: str) -> str | None:
    """Why kernels of this target cannot run here on the CPU, or None where they can."""
    language = {"c": "c", "cuda": "c++"}.get(ALIASES[target])
    if language is not None:
        try:
            compilers.find(language)
        except Missing as lack:
            return str(lack)
    return None


def bound_for(dtype: str, computes: str, accuracy: str, target: str) -> Bound:
    """What a kernel of ours may be off by; every number is explained in docs/reference/accuracy.md."""
    if computes in FUSED:
        computes = "backward" if "backward" in computes else "forward"
    if target in ("c", "cuda"):
        return _bound_of_arithmetic(dtype, computes, accuracy, target)
    rounding = 0.5 if computes.startswith(("backward", "parameter-gradient")) else 0.0
    if FORMATS[dtype].bits == 16:
        return Bound(0.51)
    if dtype == "float32" and accuracy == "precise":
        return Bound(0.51, 2.0**-25)
    if dtype == "float32" or computes != "forward":
        return Bound(8 + rounding, 8)
    return Bound(4, 4)


def _bound_of_arithmetic(dtype: str, computes: str, accuracy: str, target: str) -> Bound:
    """Of kernels made of operations that IEEE 754 fixes; no word about conditioning but for parameter gradients."""
    product = 0.5 if computes.startswith(("backward", "parameter-gradient")) else 0.0
    if FORMATS[dtype].bits == 16 or (dtype == "float32" and accuracy == "precise" and target == "c"):
        return Bound(0.51)
    if computes.startswith(("parameter-gradient", PARAMETERS)):
        return Bound(8 + product, 8)
    if dtype == "float32" and accuracy == "precise" and computes in ("forward", "derivative", "backward"):
        return Bound(2 + product)  # 1 and little more where results are normal, up to 1.9 where they underflow
    return Bound(4 + product)


def _bound(activation: Activation, dtype: str, computes: str, accuracy: str, target: str) -> Bound:
    """The same for a function of several inputs: each product adds half an ulp, where it is rounded by itself."""
    if activation.is_scalar:
        return bound_for(dtype, computes, accuracy, target)
    one = bound_for(dtype, "backward", accuracy, target)
    if isinstance(structure_of(activation), Maximum):
        return Bound(min(one.constant, 1.0))  # an equal share of a gradient is rounded twice at most
    if computes == "forward" or one.constant < 1:
        return one
    return Bound(one.constant + 0.5, one.per_condition)


def run(batch: Batch) -> tuple[Result, ...]:
    """Generate and judge everything in the batch."""
    lack = missing(batch.target)
    if lack is not None:
        return tuple(_not_run(batch, *combination, lack) for combination in _combinations(batch))
    made = [(combination, _made(batch, *combination)) for combination in _combinations(batch)]
    callables = iter(_loaded([kernel for _, kernel in made if isinstance(kernel, Kernel)]))
    return tuple(
        _judged(batch, kernel, next(callables)) if isinstance(kernel, Kernel) else _not_run(batch, *combination, kernel)
        for combination, kernel in made
    )


def kernels(batch: Batch) -> list[Kernel]:
    """Everything in the batch, generated."""
    return [_generate(batch, *combination) for combination in _combinations(batch)]


def _made(batch: Batch, dtype: str, computes: str, accuracy: str) -> Kernel | str:
    """The kernel; or why there is none: no such fused quantity, or kinks or ties about which a policy says nothing."""
    try:
        return _generate(batch, dtype, computes, accuracy)
    except InvalidSubgradient as reason:
        of_kinks = batch.subgradient not in TIE_POLICIES and isinstance(structure_of(batch.activation), Maximum)
        if conventions.full_name(batch.subgradient) not in conventions.names() and not of_kinks:
            raise
        return str(reason)
    except InvalidRequest as reason:
        if computes not in (*FUSED, PARAMETERS) and batch.activation.is_scalar:
            raise
        return str(reason)


def _combinations(batch: Batch) -> Iterator[tuple[str, str, str]]:
    """(dtype, computes, accuracy); `fast` only where it differs from `precise`: float32 on the CPU."""
    for computes in _quantities(batch):
        for dtype in batch.dtypes:
            for accuracy in batch.accuracies:
                differs = dtype == "float32"
                if differs or accuracy == "precise" or batch.accuracies == (accuracy,):
                    yield dtype, computes, accuracy


def _quantities(batch: Batch) -> Iterator[str]:
    for computes in batch.computes:
        if computes == "parameter-gradient":
            for parameter in batch.activation.parameters:
                yield f"parameter-gradient:{parameter.name}"
        else:
            yield computes


def _generate(batch: Batch, dtype: str, computes: str, accuracy: str) -> Kernel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnsafeKernel)
        return generate(
            batch.activation,
            batch.target,
            dtype,
            computes,
            accuracy,
            batch.subgradient,
            arguments_of(batch.activation, computes),
            **dict(batch.parameters),
        )


def arguments_of(activation: Activation, computes: str) -> tuple[str, ...] | None:
    """The parameters that a kernel to be judged is called with; None for those that are learnable."""
    if computes == "backward-from-output":
        return ()  # at known parameters alone
    if computes == PARAMETERS and not any(parameter.learnable for parameter in activation.parameters):
        return tuple(parameter.name for parameter in activation.parameters)
    return None


def _loaded(kernels: list[Kernel]) -> list[Callable[..., Any]]:
    if kernels and kernels[0].target == "cuda":
        from relusym_codegen.targets.cuda import load_on_cpu

        return load_on_cpu(kernels)
    if kernels and kernels[0].target == "c":
        from relusym_codegen.targets.c import load_together

        return load_together(kernels)
    return [kernel.load() for kernel in kernels]


def _judged(batch: Batch, kernel: Kernel, fn: Callable[..., Any]) -> Result:
    """Learnable parameters go in as arguments of the kernel, in its work format, and are judged as passed."""
    form = kernel.work_format
    values = {
        str(symbol): value for symbol, value in parameter_values(batch.activation, dict(batch.parameters)).items()
    }
    passed = {name: nearest(values[name], form) for name in kernel.arguments}
    summing = kernel.computes == PARAMETERS  # called by the judge with parameters of several shapes
    report: Report = check(
        functools.partial(fn, **passed) if passed and not summing else fn,
        batch.activation,
        dtype=kernel.dtype,
        computes=kernel.computes,
        parameters={**dict(batch.parameters), **passed},
        subgradient=batch.subgradient,
        extra_points=kernel.thresholds,
        bound=_bound(batch.activation, kernel.dtype, kernel.computes, kernel.accuracy, kernel.target),
        within=TRUSTED.get(batch.activation.name),
        points=POINTS if batch.activation.is_scalar else ROWS,
        strict=True,
        work=form.name,
        arguments=kernel.arguments if summing else None,
    )
    return Result(
        activation=batch.activation.name,
        target=kernel.target,
        dtype=kernel.dtype,
        work_format=form.name,
        computes=kernel.computes,
        accuracy=kernel.accuracy,
        status="passed" if report.passed else "failed",
        reason=_reason(kernel, report),
        max_ulp=report.max_ulp,
        max_ratio=report.max_ratio,
        bound=report.bound,
        worst_input=report.worst_input,
        tested=report.tested,
        exhaustive=report.exhaustive,
        undecided=report.undecided,
        report=str(report),
    )


TRUSTED = {"snake": 2.0**20}
"""Where the sine of a large argument is not promised: inputs beyond are judged for finiteness alone."""


def _reason(kernel: Kernel, report: Report) -> str:
    if not report.passed:
        return report.findings[0].message
    return "; ".join([*([LABELS[kernel.target]] if kernel.target in LABELS else []), *kernel.warnings])


def _not_run(batch: Batch, dtype: str, computes: str, accuracy: str, reason: str) -> Result:
    return Result(
        activation=batch.activation.name,
        target=batch.target,
        dtype=dtype,
        work_format="",
        computes=computes,
        accuracy=accuracy,
        status="not run",
        reason=reason,
        max_ulp=None,
        max_ratio=None,
        bound=str(_bound(batch.activation, dtype, computes, accuracy, batch.target)),
        worst_input=None,
        tested=0,
        exhaustive=False,
        undecided=0,
        report="",
    )
