"""Running a kernel over many inputs and gathering what the laws say of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from relusym.floats import Array, Format, all_values, format_of, neighbours
from relusym.judge.diagnosis import Diagnosis, diagnosed
from relusym.judge.expectations import Expectation, Quantity
from relusym.judge.laws import (
    CallFailed,
    Standard,
    Subject,
    kind_of_result,
    least_product,
    pointwise,
    simpler,
    simplicity,
    standard,
)
from relusym.judge.metrics import Bound
from relusym.judge.reports import Finding, hex_of
from relusym.judge.strategies import CLOSE, gradients_for, inputs_for

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MEANINGS: Mapping[str, str] = {
    "accuracy": "too inaccurate",
    "kink": "wrong value at a breakpoint",
    "sign": "wrong sign",
    "nan": "NaN for a number",
    "overflow": "infinite where the exact value is not",
    "subnormal": "digits lost among subnormal numbers",
    "limit": "wrong value at infinity",
    "nan-swallowed": "a number for NaN",
}


@dataclass(frozen=True)
class Tally:
    """The outcome of one sweep: one finding a kind, at its simplest input."""

    findings: tuple[Finding, ...] = ()
    max_ulp: float = 0.0
    worst_input: str | None = None
    worst_gradient: str | None = None
    max_ratio: float = 0.0
    tested: int = 0
    unfaithful: int = 0
    undecided: int = 0
    reported: tuple[Finding, ...] = ()

    def plus(self, other: Tally) -> Tally:
        """Both together; the worst input is that of the larger error."""
        worse = other if other.max_ulp > self.max_ulp else self
        return replace(
            worse,
            findings=self.findings + other.findings,
            max_ratio=max(self.max_ratio, other.max_ratio),
            tested=self.tested + other.tested,
            unfaithful=self.unfaithful + other.unfaithful,
            undecided=self.undecided + other.undecided,
            reported=self.reported + other.reported,
        )


def inputs_of(
    expected: Expectation, form: Format, *, extra: Array, points: int, examples: int, seed: int
) -> list[tuple[Array, Array | None]]:
    """What to call the kernel with: inputs, and gradients where it takes one.

    All values of a 16-bit format, first with gradient 1 and then with a random one for each input; of a
    larger format the surroundings of landmarks and drawn lattices, with random gradients, one in four being
    1, and separately those of the extra points: the others are the same for every kernel.
    """
    takes_gradient = expected.quantity.takes_gradient
    if form.bits == 16:
        x = all_values(form)
        if not takes_gradient:
            return [(x, None)]
        return [(x, np.ones(x.size, dtype=form.dtype)), (x, gradients_for(x, seed=seed))]
    parts = [inputs_for(form, expected.landmarks(form), points=points, examples=examples, seed=seed)]
    if extra.size:
        parts.append(neighbours(extra, CLOSE))
    return [(x, _mixed_gradients(x, seed) if takes_gradient else None) for x in parts]


def _mixed_gradients(x: Array, seed: int) -> Array:
    random = gradients_for(x, seed=seed)
    return np.where(np.arange(x.size) % 4 == 0, np.ones(1, dtype=x.dtype), random)


@dataclass(frozen=True)
class Sweep:
    """One of the results of a kernel, and what it is held to; see `check` for `within`.

    With an expectation that takes the `other` side at breakpoints, all values in between are right there. Kinds of
    errors in `reported` are no findings.
    """

    subject: Subject
    output: int
    expected: Expectation
    bound: Bound
    within: float | None = None
    other: Expectation | None = None
    reported: frozenset[str] = frozenset()

    def run(self, x: Array, gradient: Array | None) -> tuple[Array, Standard]:
        """The kernel's results at these inputs, and the standard."""
        # Copies: a kernel that writes into its input must not move the points at which it is judged.
        given, weight = x.copy(), None if gradient is None else gradient.copy()
        got = np.asarray(kind_of_result(self.subject, given, weight)[self.output])
        changed = gradient is not None and weight is not None and weight.tobytes() != gradient.tobytes()
        if changed or given.tobytes() != x.tobytes():
            raise CallFailed(Finding("input-changed", "", "", "", 0.0, f"fn changes its input of {x.size:,} elements"))
        return got, self.standard(x, gradient)

    def standard(self, x: Array, gradient: Array | None, addend: Array | None = None) -> Standard:
        """What is expected at these inputs, and how exactly."""
        reference = self.expected.at(x, gradient, addend)
        known = self.expected.known(x)
        known[reference.undecided] = False
        if gradient is not None:
            known &= np.isfinite(gradient)
        with np.errstate(invalid="ignore"):
            far = np.abs(x.astype(np.float64)) > (np.inf if self.within is None else self.within)
        return standard(
            reference,
            self.bound,
            known=known,
            trusted=~far,
            at_breakpoint=self.expected.at_breakpoint(x, addend),
            least=None if gradient is None else least_product(gradient),
            other=None if self.other is None else self.other.at(x, gradient, addend).value,
            reported=self.reported,
        )


@dataclass(frozen=True)
class Judgement:
    """What a kernel returned in one call, what it is held to there, and what `pointwise` says of it."""

    x: Array
    gradient: Array | None
    got: Array
    held_to: Standard
    broken: Mapping[str, Bools]
    error: Floats
    ratio: Floats

    @property
    def value(self) -> Array:
        """The correctly rounded values."""
        return self.held_to.reference.value


def judgement(over: Sweep, x: Array, gradient: Array | None) -> Judgement:
    """Call the kernel once with all these inputs and judge one of its results at each of them."""
    got, held_to = over.run(x, gradient)
    return Judgement(x, gradient, got, held_to, *pointwise(x, got, held_to))


def tally(over: Sweep, seen: Judgement) -> Tally:
    """What was found; kernels are called again with simpler inputs, where these show the same."""
    x, gradient, error = seen.x, seen.gradient, seen.error
    found = [
        _classified(_shrunk(kind, np.flatnonzero(mask), over, seen), diagnosed(kind, x, seen.got, seen.value, mask))
        for kind, mask in seen.broken.items()
        if np.any(mask)
    ]
    worst = int(np.argmax(error)) if error.size else -1
    off = worst >= 0 and error[worst] > 0
    return Tally(
        findings=tuple(finding for finding in found if finding.kind not in over.reported),
        max_ulp=float(error[worst]) if off else 0.0,
        worst_input=hex_of(x[worst]) if off else None,
        worst_gradient=hex_of(gradient[worst]) if off and gradient is not None else None,
        max_ratio=float(np.max(seen.ratio, initial=0.0)),
        tested=int(x.size),
        unfaithful=int(np.count_nonzero(error >= 1)),
        undecided=int(seen.held_to.reference.undecided.size),
        reported=tuple(finding for finding in found if finding.kind in over.reported),
    )


def _classified(finding: Finding, diagnosis: Diagnosis) -> Finding:
    """The finding with its class, and with what is returned where."""
    told = f"; {diagnosis.detail}, {diagnosis.where}" if diagnosis.detail and finding.count > 1 else ""
    return replace(finding, message=finding.message + told, defect=diagnosis.defect, where=diagnosis.where)


def _shrunk(kind: str, failing: Array, over: Sweep, seen: Judgement) -> Finding:
    """The finding at the simplest input that shows it, which need not be among those swept."""
    x, gradient, form = seen.x, seen.gradient, format_of(seen.x.dtype)
    at = int(failing[np.argmin(simplicity(x[failing]))])
    candidates, gradients = x[at : at + 1], None if gradient is None else gradient[at : at + 1]
    if np.isfinite(x[at]) and kind != "kink":
        fewer = simpler(float(x[at]), form)
        if gradients is not None:
            one = np.ones(fewer.size, dtype=form.dtype)
            fewer, gradients = (
                np.concatenate([fewer, fewer]),
                np.concatenate([gradients, one, np.repeat(gradients, fewer.size)]),
            )
        candidates = np.concatenate([candidates, fewer])
    alone = judgement(over, candidates, gradients)
    still = np.flatnonzero(alone.broken[kind])
    if not still.size:
        # Alone it is right: the error depends on the company the input keeps. Show it where it was seen.
        return _finding(kind, seen, at, failing.size)
    order = simplicity(candidates[still])
    if gradients is not None:
        order = order * 2**20 + simplicity(gradients[still])
    return _finding(kind, alone, int(still[np.argmin(order)]), failing.size)


def _finding(kind: str, seen: Judgement, at: int, count: int) -> Finding:
    x, gradient = seen.x, seen.gradient
    here, result, wanted = hex_of(x[at]), hex_of(seen.got[at]), hex_of(seen.value[at])
    ulps, beyond = float(seen.error[at]), float(seen.ratio[at])
    allowed = f", allowed {ulps / beyond:.4g}" if beyond > 0 and math.isfinite(ulps) else ""
    size = f" ({ulps:.4g} ulp{allowed})" if ulps > 0 else ""
    incoming = f", gradient = {hex_of(gradient[at])}" if gradient is not None else ""
    with np.errstate(invalid="ignore"):
        decimal = float(x[at])
    return Finding(
        kind=kind,
        input=here,
        gradient=None if gradient is None else hex_of(gradient[at]),
        got=result,
        expected=wanted,
        ulps=ulps,
        message=f"{MEANINGS[kind]} at x = {here} ({decimal:.9g}){incoming}: got {result}, expected {wanted}{size}",
        count=count,
    )


def note_on_zero(subject: Subject, quantity: Quantity, form: Format) -> str:
    """What the kernel makes of the two zeros; recorded, not judged."""
    zeros = np.array([0.0, -0.0], dtype=form.dtype)
    gradient = np.ones(2, dtype=form.dtype) if quantity.takes_gradient else None
    results = subject(zeros, gradient)
    shown = ["{}/{}".format(*(float(value) for value in np.asarray(result))) for result in results]
    return f"at +0/-0 the kernel returns {', '.join(shown)}"
