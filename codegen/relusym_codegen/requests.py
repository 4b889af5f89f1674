"""What `generate` is asked for, lowered in the cheapest work format that is good enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from sympy import Expr, Symbol

from relusym import conventions
from relusym.activation import Activation, Number
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.floats import Format, all_values, ulp
from relusym_codegen.arithmetic import Goal
from relusym_codegen.fusion import FACTOR, output_activation, with_addend
from relusym_codegen.lowering import Lowered, lower, sample
from relusym_codegen.program import evaluate, renamed
from relusym_codegen.signatures import FUSED, signature_of
from relusym_codegen.target import Target


@dataclass(frozen=True)
class Request:
    """What `generate` is asked for, checked; `values` are those of all parameters, `passed` are inputs."""

    language: Target
    definition: Activation
    form: Format
    computes: str
    accuracy: str
    subgradient: Policy
    values: Mapping[Symbol, Expr]
    passed: tuple[Symbol, ...]
    formats: tuple[Format, ...] = ()

    @property
    def work_formats(self) -> tuple[Format, ...]:
        """Formats the program may compute in, cheapest first: `formats` where they are given."""
        return self.formats or self.language.work_formats(self.form, self.accuracy)

    def with_choices(self) -> Request:
        """With the slopes that its policy stands for, where that is the name of a convention."""
        folded = {symbol: value for symbol, value in self.values.items() if symbol not in self.passed}
        policy = conventions.resolved(self.definition, self.subgradient, folded)
        return replace(self, subgradient=_Choices(policy) if isinstance(policy, Mapping) else policy)


class _Choices(dict[Any, Number]):
    """A slope for each kink, as a part of a request that is remembered."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none, as it may change; no request does
        return hash(frozenset(self.items()))


def fused(request: Request) -> Lowered:
    """The program of any quantity, those of f at a sum and from its output included."""
    if request.computes not in FUSED:
        return lowered(request)
    signature, language = signature_of(request.computes), request.language
    if signature.summed and not language.sums_rows:
        raise InvalidRequest(
            f"target {language.name!r} has no {request.computes}, for it adds no rows; take target='cuda', or "
            f"residual-backward, whose arrays broadcast for {language.name}, and sum dx"
        )
    plain = replace(request, computes=signature.lowered)
    if signature.addend:
        return with_addend(lowered(plain), signature)
    product = output_activation(request.definition, request.values, request.passed, request.subgradient)
    found = lowered(
        replace(plain, definition=product, subgradient="least-norm", values={FACTOR: sympy.S.One}, passed=())
    )
    return replace(found, program=renamed(found.program, {"x": signature.point}))


def lowered(request: Request) -> Lowered:
    """The program in the cheapest work format that is good enough for the dtype."""
    language, form, accuracy = request.language, request.form, request.accuracy

    def at(work: Format) -> Lowered:
        return lower(
            request.definition,
            computes=request.computes,
            work_format=work,
            values=request.values,
            arguments=request.passed,
            subgradient=request.subgradient,
            goal=language.goal(form, accuracy, work),
        )

    *narrow, widest = request.work_formats
    best = at(widest)
    for work in narrow:
        candidate, goal = at(work), language.goal(form, accuracy, work)
        if _suffices(candidate, best, form, request.values) if goal is None else _is_cheaper(candidate, best, goal):
            return candidate
    return best


def _is_cheaper(narrow: Lowered, wide: Lowered, goal: Goal) -> bool:
    """Whether arithmetic in the narrower format keeps the goal, with at most twice as many steps.

    Not where it takes pairs: the rest of a number underflows before the number does.
    """
    return (
        not narrow.paired and narrow.error <= max(goal.ulps) and len(narrow.program.lets) <= 2 * len(wide.program.lets)
    )


def _suffices(narrow: Lowered, wide: Lowered, form: Format, values: Mapping[Symbol, Expr]) -> bool:
    """Whether computing in the narrower format is accurate enough, by comparison with the wider one.

    On all inputs of a 16-bit format, where it may cost 1/256 ulp; on a sample of float32, where it may cost
    6 + 6 kappa ulps of the 8 + 8 kappa that a fast kernel is allowed.
    """
    x = all_values(form) if form.bits == 16 else sample(form)
    # a large gradient shows where f' underflows in the narrower format and its product should not
    gradients = (1.0, 2.0 ** (form.max_exponent - 8)) if form.bits == 16 else (1.0,)
    return all(_agree(narrow, wide, x, gradient, form, values) for gradient in gradients)


def _agree(
    narrow: Lowered,
    wide: Lowered,
    x: npt.NDArray[Any],
    gradient: float,
    form: Format,
    values: Mapping[Symbol, Expr],
) -> bool:
    """Whether the narrower program's results are close enough at these inputs, with this gradient."""

    def results(lowered: Lowered, at: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Outputs one after the other, with parameters at their values."""
        named = {str(symbol): np.array(float(value)) for symbol, value in values.items()}
        inputs = {"x": at, "grad": np.full(at.shape, gradient), **named}
        outputs = evaluate(lowered.program, {name: inputs[name] for name in lowered.program.inputs})
        return np.concatenate(outputs).astype(np.float64)

    with np.errstate(all="ignore"):
        got, want = results(narrow, x), results(wide, x)
        spacing = ulp(want.astype(form.dtype))
        ulps = np.abs(got - want) / spacing
        if form.bits == 16:
            allowed: Any = 2.0**-8
        else:
            moved = results(wide, x.astype(np.float64) * (1 + 2.0**-20))
            allowed = 6 + 6 * np.abs(moved - want) * 2.0**20 * form.epsilon / spacing
    settled = (np.isnan(want) & np.isnan(got)) | (got == want) | (np.abs(want) > form.max)
    return bool(np.all(settled | (ulps <= allowed)))
