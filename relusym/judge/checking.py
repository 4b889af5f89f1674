"""`check()`: the front door of the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from relusym import activations
from relusym.activation import Activation, Number, parameter_values
from relusym.calculus.outputs import slope_by_output
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.floats import Array, Format, format_of, neighbours
from relusym.judge.addends import parted
from relusym.judge.expectations import Expectation, Quantity, expectation, quantities_of
from relusym.judge.laws import CallFailed, Subject, layout_findings
from relusym.judge.metrics import Bound
from relusym.judge.reports import Finding, Report, call_line, hex_of, installed_versions
from relusym.judge.strategies import gradients_for
from relusym.judge.sweeps import Sweep, Tally, inputs_of, note_on_zero, sweep

DEFAULT_BOUNDS: Mapping[str, Bound] = {
    # What a kernel that computes in its own format reaches: some four roundings and one library function of
    # an ulp or two, each of which moves the result as much as the condition number says a moved input would.
    "forward": Bound(4, 4),
    # The formula of a derivative has about twice as many operations.
    "derivative": Bound(8, 8),
    "second-derivative": Bound(8, 8),
    # One more rounding, half an ulp of the product.
    "backward": Bound(8.5, 8),
    "parameter-gradient": Bound(8.5, 8),
}

SAMPLE = 240
"""Inputs of the layout laws; a multiple of 12, so that blocks of two and three dimensions use all of them."""


def check(
    fn: Callable[..., Any],
    activation: Activation | str,
    *,
    dtype: object,
    computes: str = "forward",
    parameters: Mapping[str, Number] | None = None,
    subgradient: Policy = "least-norm",
    through: str | None = None,
    extra_points: Iterable[float] = (),
    max_ulp: float | None = None,
    bound: Bound | None = None,
    within: float | None = None,
    work: object = None,
    examples: int = 120,
    seed: int = 0,
) -> Report:
    """Judge a kernel: `fn` computes a quantity of `activation` elementwise on NumPy arrays of `dtype`.

    `computes` says what fn returns: forward, derivative, second-derivative, backward (called as fn(grad, x)),
    forward-derivative (a pair), parameter-gradient:NAME (fn(grad, x)), bias-forward (fn(x, bias)),
    residual-forward (fn(x, residual)), bias-backward (fn(grad, x, bias), the pair dx, db), residual-backward
    (fn(grad, x, residual)), backward-from-output (fn(grad, y)). Those with an addend are held to the value at
    x plus the addend, rounded once to the format `work` (that of the inputs by default); backward-from-output
    to grad times f' as a function of f, at the y it is given. fn never receives parameters: bind
    them with functools.partial, and give their exact values here as `parameters`. `subgradient` is the policy
    at kinks.

    float16 and bfloat16 are judged at all 65,536 inputs; float32 and float64 around kinks, roots, overflow
    and underflow edges, `extra_points` (where the kernel changes its method) and at `examples` drawn
    lattices, the same ones for the same `seed`.

    An error may be `max_ulp` ulps, or what `bound` says, or by default what a backward-stable kernel of the
    format reaches: 4 + 4 kappa forward, 8 + 8 kappa for derivatives, half an ulp more for backward. Of
    finite inputs larger than `within` only a finite result is asked, for functions which nobody computes
    there (sin of a huge argument).

    Returns a `Report`; an exception of fn is a finding of it. Raises `InvalidRequest` for unknown words, and
    `InvalidActivation` and `InvalidSubgradient` for a definition, parameter or policy that makes no sense.
    """
    if through is not None:
        raise InvalidRequest(
            f"through={through!r}: derivatives by a framework's own autograd cannot be taken yet; "
            "pass the framework's backward as fn, with computes='backward'"
        )
    if max_ulp is not None and bound is not None:
        raise InvalidRequest("check: give max_ulp or bound, not both")
    form = format_of(dtype)
    judged = activations.named(activation) if isinstance(activation, str) else activation
    quantities = quantities_of(computes, judged)
    title = f"{judged.name} {computes} {form.name}"
    if computes == "backward-from-output":
        judged = slope_by_output(judged, parameter_values(judged, parameters), subgradient)
        parameters, subgradient = None, "least-norm"
    sums_in = "" if work is None else format_of(work).name
    expected = [
        expectation(judged, quantity, parameters=parameters, subgradient=subgradient, work=sums_in)
        for quantity in quantities
    ]
    bounds = [bound or (Bound(max_ulp) if max_ulp is not None else _default(quantity)) for quantity in quantities]
    subject = Subject(fn, quantities[0].takes_gradient, len(quantities), quantities[0].addend)
    extra = _around(extra_points, form)
    notes: tuple[str, ...] = ()
    with np.errstate(all="ignore"):
        try:
            findings = layout_findings(subject, *_sample(expected[0], form, extra, seed))
            total = Tally(findings=tuple(findings))
            if all(finding.kind in ("layout", "input-changed") for finding in findings):
                notes = (note_on_zero(subject, quantities[0], form),)
                if subject.addend:
                    notes += (f"x above is the sum of x and the {subject.addend} that was aimed at",)
                for output, (one, allowed) in enumerate(zip(expected, bounds, strict=True)):
                    over = Sweep(subject, output, one, allowed, within)
                    for x, gradient in inputs_of(one, form, extra=extra, examples=examples, seed=seed):
                        total = total.plus(sweep(over, x, gradient))
        except CallFailed as failure:
            total = Tally(findings=(failure.finding,))
    return _report(title, total, bounds, form, quantities, notes)


def _report(
    title: str,
    total: Tally,
    bounds: list[Bound],
    form: Format,
    quantities: tuple[Quantity, ...],
    notes: tuple[str, ...],
) -> Report:
    shown: Finding | None = next((finding for finding in total.findings if finding.input), None)
    x = shown.input if shown else total.worst_input or "0x0.0p+0"
    gradient = (shown.gradient if shown else total.worst_gradient) or hex_of(1.0)
    aim = f"  # expected {shown.expected}, got {shown.got}" if shown else ""
    return Report(
        passed=not total.findings,
        subject=title,
        findings=_merged(total.findings),
        max_ulp=total.max_ulp,
        worst_input=total.worst_input,
        max_ratio=total.max_ratio,
        bound=", ".join(dict.fromkeys(str(bound) for bound in bounds)),
        tested=total.tested,
        exhaustive=form.bits == 16 and total.tested > 0,
        unfaithful=total.unfaithful,
        undecided=total.undecided,
        reproduce=shown.message
        if shown and shown.kind == "layout"
        else call_line(form, *_called_with(quantities[0], form, x, gradient)) + aim,
        notes=notes,
        versions=installed_versions(),
    )


def _called_with(quantity: Quantity, form: Format, x: str, gradient: str) -> tuple[str, str | None, str | None]:
    """X, gradient and addend of the call, as hex floats."""
    given = gradient if quantity.takes_gradient else None
    if not quantity.addend:
        return x, given, None
    first, addend = parted(np.array([float.fromhex(x)], dtype=form.dtype))
    return hex_of(first[0]), given, hex_of(addend[0])


def _merged(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Each finding once: sweeps with two gradients may show the same one."""
    seen: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.kind, finding.input, finding.expected), finding)
    return tuple(seen.values())


def _default(quantity: Quantity) -> Bound:
    return DEFAULT_BOUNDS[quantity.name.partition(":")[0]]


def _around(points: Iterable[float], form: Format) -> Array:
    with np.errstate(over="ignore"):
        given = np.array([float(point) for point in points], dtype=np.float64).astype(form.dtype)
    return neighbours(given[np.isfinite(given)], 2) if given.size else given


def _sample(expected: Expectation, form: Format, extra: Array, seed: int) -> tuple[Array, Array | None]:
    """Inputs on which layouts are compared: ordinary magnitudes, breakpoints, and special values."""
    random = np.random.default_rng(seed)
    wide = np.concatenate([random.uniform(-30, 30, SAMPLE // 2), random.standard_normal(SAMPLE // 2)])
    with np.errstate(all="ignore"):
        x = wide.astype(form.dtype)
        near = np.concatenate([expected.breakpoints(form)[:32], extra[:16]])
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, form.smallest_subnormal], dtype=form.dtype)
        pool = np.concatenate([near, special])
    x[random.choice(SAMPLE, pool.size, replace=False)] = pool
    return x, gradients_for(x, seed=seed) if expected.quantity.takes_gradient else None
