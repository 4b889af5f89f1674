"""`check()`: the front door of the judge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym import activations, conventions
from relusym.activation import Activation, Number, parameter_values
from relusym.calculus.outputs import slope_by_output
from relusym.calculus.subdifferentials import NAMED_POLICIES, Policy
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Array, Format, format_of, neighbours
from relusym.judge.adapters import adapted
from relusym.judge.adapters.adapter import Adapter
from relusym.judge.addends import parted
from relusym.judge.expectations import Expectation, Quantity, expectations, quantities_of
from relusym.judge.kinks import values_at_kinks, with_interval
from relusym.judge.laws import CallFailed, Subject, pointwise, refuse_flushing
from relusym.judge.layouts import Compared, Ways, Wrong, compare_layouts
from relusym.judge.metrics import Bound
from relusym.judge.properties import not_monotone, not_reflected, outside_range
from relusym.judge.reports import Finding, KinkValue, Report, hex_of, installed_versions
from relusym.judge.reproducing import call_line
from relusym.judge.strategies import gradients_for
from relusym.judge.sweeps import Judgement, Sweep, Tally, inputs_of, judgement, note_on_zero, tally
from relusym.pieces import split

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

SAMPLE = 480
"""Inputs on which layouts are compared; a multiple of 12, so that blocks of two and three dimensions use them all."""

POINTS = {16: 65_536, 32: 210_000, 64: 80_000}
"""Inputs that are tried when nothing else is asked for, by the bits of the format."""


def check(
    fn: Callable[..., Any] | str | Path,
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
    in_place: Callable[..., Any] | None = None,
    strict: bool | None = None,
    points: int | None = None,
    examples: int = 120,
    seed: int = 0,
) -> Report:
    """Judge a kernel: `fn` computes a quantity of `activation` elementwise on arrays of `dtype`.

    `computes` says what fn returns: forward, derivative, second-derivative, backward (called as fn(grad, x)),
    forward-derivative (a pair), parameter-gradient:NAME (fn(grad, x)), bias-forward (fn(x, bias)),
    residual-forward (fn(x, residual)), bias-backward (fn(grad, x, bias), the pair dx, db), residual-backward
    (fn(grad, x, residual)), backward-from-output (fn(grad, y)). Those with an addend are held to the value at
    x plus the addend, rounded once to the format `work` (that of the inputs by default); backward-from-output
    to grad times f' as a function of f, at the y it is given. fn never receives parameters: bind
    them with functools.partial, and give their exact values here as `parameters`. `subgradient` is the policy
    at kinks, the name of a convention ("torch", "jax-0.10") included; with "any" every value of the Clarke interval is
    right.

    Functions of a framework are called with its arrays. `through` names it: torch, jax, onnxruntime (where fn may be a
    model file or an operator such as "Gelu(approximate='tanh')"), tensorflow, cupy, dlpack. fn is then the forward
    function, and other quantities are taken by the framework's own autograd; for parameter-gradient:NAME it is called
    as fn(x, NAME=array). Without `through` the framework is that whose own function fn is, else NumPy, and fn computes
    the quantity itself.

    float16 and bfloat16 are judged at all 65,536 inputs; float32 and float64 at about `points`, 210,000 and 80,000 by
    default and 11,000 at least: around kinks, roots,
    overflow and underflow edges, `extra_points` (where the kernel changes its method), at `examples` drawn lattices,
    and spread over the format; the same ones for the same `seed`. `in_place` is a variant that writes its result into
    its last input; one is looked for where none is given (an argument `out` or `inplace`).

    An error may be `max_ulp` ulps, or what `bound` says, or by default what a backward-stable kernel of the
    format reaches: 4 + 4 kappa forward, 8 + 8 kappa for derivatives, half an ulp more for backward. Of
    finite inputs larger than `within` only a finite result is asked, for functions which nobody computes
    there (sin of a huge argument). With `strict` the same element gives the same bits in every layout, subnormal
    numbers count like all others, and a derivative of NaN is NaN; with strict=False all this is reported as the
    kernel's policy. By default functions on NumPy arrays are judged strictly but for the bits: SIMD code of NumPy
    itself rounds otherwise in another layout. Those of a framework are not judged strictly.

    Returns a `Report`; an exception of fn is a finding of it. Raises `InvalidRequest` for unknown words,
    `InvalidActivation` and `InvalidSubgradient` for a definition, parameter or policy that makes no sense, and
    `Missing` where the framework is not installed.
    """
    form = format_of(dtype)
    judged = activations.named(activation) if isinstance(activation, str) else activation
    _refuse_nonsense(dtype, judged, parameters, subgradient, max_ulp, bound, within, seed)
    refuse_flushing()
    quantities = quantities_of(computes, judged)
    title = f"{judged.name} {computes} {form.name}"
    passed = _passed(judged, computes, parameters, form) if through else {}
    kernel = adapted(fn, through=through, computes=computes, parameters=passed, in_place=in_place)
    given: Mapping[str, Number] = {**(parameters or {}), **passed}
    subgradient = conventions.resolved(judged, subgradient, parameter_values(judged, given))
    if computes == "backward-from-output":
        judged = slope_by_output(judged, parameter_values(judged, given), subgradient)
        given, subgradient = {}, "least-norm"
    strictly = kernel.adapter.name == "numpy" if strict is None else strict
    subject = Subject(kernel.fn, quantities[0].takes_gradient, len(quantities), quantities[0].addend)
    sweeps = []
    for output, quantity in enumerate(quantities):
        expected, other = expectations(
            judged,
            quantity,
            parameters=given,
            subgradient=subgradient,
            strict=strictly,
            work=format_of(work).name if work else "",
        )
        allowed = bound or (_default(quantity) if max_ulp is None else Bound(max_ulp))
        reported = frozenset[str]() if strictly else quantity.policies_in(form)
        sweeps.append(Sweep(subject, output, expected, allowed, within, other, reported))
    several = subject.outputs > 1 or bool(subject.addend)
    if several and in_place is not None:
        raise InvalidRequest(f"in_place is for kernels of one result and no addend, not for {computes!r}")
    ways = Ways(kernel.adapter.layouts, kernel.adapter.lengths, None if several else kernel.in_place, strict is True)
    plan = _Plan(form, _around(extra_points, form), POINTS[form.bits] if points is None else points, examples, seed)
    with np.errstate(all="ignore"):
        outcome = _judged(sweeps, ways, plan)
    call = _Call(kernel.adapter, computes if through and computes != "forward" else "", passed)
    return _report(title, sweeps, outcome, form, call)


def _refuse_nonsense(
    dtype: object,
    activation: object,
    parameters: object,
    subgradient: Policy,
    max_ulp: float | None,
    bound: object,
    within: float | None,
    seed: int,
) -> None:
    """`InvalidRequest` for arguments of the wrong kind, by name."""
    if dtype is None:
        raise InvalidRequest(f"check: dtype is None; give one of {', '.join(FORMATS)}")
    if not isinstance(activation, Activation):
        raise InvalidRequest(f"check: activation is {type(activation).__name__}; give a name or a relusym.Activation")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InvalidRequest(f"check: parameters is {type(parameters).__name__}; give a mapping from names to values")
    if max_ulp is not None and bound is not None:
        raise InvalidRequest("check: give max_ulp or bound, not both")
    if bound is not None and not isinstance(bound, Bound):
        raise InvalidRequest(f"check: bound is {type(bound).__name__}; give a Bound, or max_ulp={bound}")
    if max_ulp is not None and not 0 <= max_ulp < math.inf:
        raise InvalidRequest(f"check: max_ulp = {max_ulp} is no bound; give a finite number that is not negative")
    if within is not None and not within >= 0:
        raise InvalidRequest(f"check: within = {within}; give the largest input at which accuracy is asked for")
    if not isinstance(seed, int) or seed < 0:
        raise InvalidRequest(f"check: seed = {seed!r}; give an integer that is not negative")
    if isinstance(subgradient, str):
        named = (*NAMED_POLICIES, "any", *conventions.names())
        if conventions.full_name(subgradient) not in named:
            raise InvalidRequest(
                f"check: subgradient {subgradient!r} is unknown; known: {', '.join(named)}, or a number"
            )


def assert_agrees(fn: Callable[..., Any] | str | Path, activation: Activation | str, **words: Any) -> Report:
    """`check` with the same words; raises `AssertionError` with the report's text unless the kernel passes."""
    report = check(fn, activation, **words)
    if not report.passed:
        raise AssertionError(str(report))
    return report


@dataclass(frozen=True)
class _Plan:
    """Where a kernel is tried."""

    form: Format
    extra: Array
    points: int
    examples: int
    seed: int


@dataclass(frozen=True)
class _Call:
    """How a kernel was called: by which framework, which quantity its autograd took, and by which values."""

    adapter: Adapter
    derived: str
    passed: Mapping[str, float]


@dataclass(frozen=True)
class _Outcome:
    """What came out: the tally, what is reported and not judged, and values at kinks."""

    total: Tally
    policies: Mapping[str, str] = field(default_factory=dict)
    kinks: tuple[KinkValue, ...] = ()
    zeros: str = ""


def _passed(
    activation: Activation, computes: str, parameters: Mapping[str, Number] | None, form: Format
) -> dict[str, float]:
    """The value of the parameter by which a gradient is taken: it is given to fn, so it has to be a float."""
    name = computes.partition(":")[2]
    values = {str(symbol): value for symbol, value in parameter_values(activation, parameters).items()}
    return {name: float(np.float64(values[name]).astype(form.dtype))} if name else {}


def _judged(sweeps: Sequence[Sweep], ways: Ways, plan: _Plan) -> _Outcome:
    """Layouts first, then the values."""
    subject, first = sweeps[0].subject, sweeps[0].expected
    compared = compare_layouts(subject, *_sample(first, plan), ways, _wrong(sweeps))
    total = Tally(findings=tuple(map(_of_a_class, compared.findings)))
    if any(finding.kind not in ("layout", "input-changed", "result-changed") for finding in compared.findings):
        return _Outcome(total)
    policies = {"layouts": _in_layouts(compared, ways)}
    kinks: tuple[KinkValue, ...] = ()
    try:
        zeros = note_on_zero(subject, first.quantity, plan.form)
        for over in sweeps:
            for x, gradient in inputs_of(
                over.expected,
                plan.form,
                extra=plan.extra,
                points=plan.points,
                examples=plan.examples,
                seed=plan.seed,
            ):
                seen = judgement(over, x, gradient)
                total = total.plus(tally(over, seen))
                findings, told = _by_facts(over.expected, seen)
                total, policies = total.plus(Tally(findings=findings)), {**told, **policies}
            kinks += values_at_kinks(over, plan.form)
    except CallFailed as failure:
        return _Outcome(Tally(findings=(*total.findings, _of_a_class(failure.finding))), policies)
    return _Outcome(total, {**policies, **_policies(total.reported, sweeps)}, kinks, zeros)


def _wrong(sweeps: Sequence[Sweep]) -> Wrong:
    """Which results break a law at their inputs, for results that were got in another layout."""

    def wrong(output: int, got: Array, x: Array, gradient: Array | None) -> npt.NDArray[np.bool_]:
        over = sweeps[output]
        broken, _, _ = pointwise(x, got, over.standard(x, gradient))
        laws = [mask for kind, mask in broken.items() if kind not in over.reported]
        found: npt.NDArray[np.bool_] = np.logical_or.reduce(laws)
        return found

    return wrong


def _of_a_class(finding: Finding) -> Finding:
    return replace(finding, defect="layout") if finding.kind == "layout" else finding


def _in_layouts(compared: Compared, ways: Ways) -> str:
    if compared.findings:
        return "the result depends on the layout"
    if compared.differing:
        return f"other bits than in x, none of them wrong, in {', '.join(compared.differing)}"
    tried = "every layout and length" if ways.layouts else "arrays of every length and shape that were tried"
    return f"the same bits in {tried}" + (", and in place" if ways.in_place else "")


def _policies(reported: Sequence[Finding], sweeps: Sequence[Sweep]) -> dict[str, str]:
    """What a kernel makes of subnormal numbers and NaN where that is no finding."""
    found = {}
    for kind, subject in (("subnormal", "subnormal numbers"), ("nan-swallowed", "NaN")):
        if not any(kind in over.reported for over in sweeps):
            continue
        seen = [finding for finding in reported if finding.kind == kind]
        kept = {"subnormal": "computed like all others", "nan-swallowed": "NaN in, NaN out"}[kind]
        found[subject] = f"{seen[0].message} ({seen[0].count:,} inputs)" if seen else kept
    return found


def _by_facts(expected: Expectation, seen: Judgement) -> tuple[tuple[Finding, ...], dict[str, str]]:
    """What the proved facts of the function say of the results: findings, and what is reported."""
    quantity = expected.quantity
    if seen.gradient is not None or quantity.order > 1 or quantity.addend:
        return (), {}
    function = split(expected.activation, dict(expected.values))
    x, got = seen.x, seen.got
    told = {}
    if quantity.order == 0:
        falling, missed = not_monotone(function, x, got), "; ".join(not_reflected(function, x, got))
        told = {subject: text for subject, text in (("monotonicity", falling), ("symmetry", missed)) if text}
    right = seen.held_to.trusted & ~np.logical_or.reduce(list(seen.broken.values()))
    return tuple(outside_range(function, quantity.order, x[right], got[right], seen.value[right])), told


def _report(title: str, sweeps: Sequence[Sweep], outcome: _Outcome, form: Format, call: _Call) -> Report:
    total, quantity = outcome.total, sweeps[0].expected.quantity
    findings = tuple(_with_hint(with_interval(finding, outcome.kinks), call) for finding in _merged(total.findings))
    shown = min((finding for finding in findings if finding.input), key=_to_show, default=None)
    x = shown.input if shown else total.worst_input or "0x0.0p+0"
    gradient = (shown.gradient if shown else total.worst_gradient) or hex_of(1.0)
    aim = f"  # expected {shown.expected}, got {shown.got}" if shown else ""
    line = call_line(
        form,
        *_called_with(quantity, form, x, gradient),
        framework=call.adapter.name,
        derived=call.derived,
        parameter=hex_of(next(iter(call.passed.values()), 0.0)),
    )
    notes = [outcome.zeros] if outcome.zeros else []
    if quantity.addend:
        notes.append(f"x above is the sum of x and the {quantity.addend} that was aimed at")
    notes += [f"{subject}: {text}" for subject, text in outcome.policies.items() if _deserves_reading(subject, text)]
    return Report(
        passed=not findings,
        subject=title,
        findings=findings,
        max_ulp=total.max_ulp,
        worst_input=total.worst_input,
        max_ratio=total.max_ratio,
        bound=", ".join(dict.fromkeys(str(over.bound) for over in sweeps)),
        tested=total.tested,
        exhaustive=form.bits == 16 and total.tested > 0,
        unfaithful=total.unfaithful,
        undecided=total.undecided,
        reproduce=line + aim if (shown is not None and shown.kind != "layout") or not findings else findings[0].message,
        notes=tuple(notes),
        versions=dict(installed_versions(*call.adapter.packages)),
        framework=call.adapter.name,
        policies=dict(outcome.policies),
        kinks=outcome.kinks,
    )


def _to_show(finding: Finding) -> tuple[bool, bool]:
    """Sort key: what one call shows comes first, and of that what a number shows."""
    return finding.kind == "layout", not math.isfinite(float.fromhex(finding.input))


def _deserves_reading(subject: str, text: str) -> bool:
    """Not what every good kernel does."""
    return not text.startswith(("the same bits", "computed like", "NaN in, NaN out")) and subject not in ("symmetry",)


def _with_hint(finding: Finding, call: _Call) -> Finding:
    """An exception of a function that may want other arrays than those it got, with what to do."""
    suspicious = finding.kind == "exception" and finding.message.startswith(("TypeError", "AttributeError"))
    if not suspicious or call.adapter.name != "numpy":
        return finding
    hint = "it was called with NumPy arrays; if it takes those of a framework, say which by through='torch', 'jax', ..."
    return replace(finding, message=f"{finding.message}; {hint}")


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


def _sample(expected: Expectation, plan: _Plan) -> tuple[Array, Array | None]:
    """Inputs on which layouts are compared: ordinary magnitudes, breakpoints, and special values."""
    form, random = plan.form, np.random.default_rng(plan.seed)
    third = SAMPLE // 3
    wide = [random.uniform(-100, 100, third), random.uniform(-10, 10, third), random.standard_normal(third)]
    with np.errstate(all="ignore"):
        x = np.concatenate(wide).astype(form.dtype)
        near = np.concatenate([expected.breakpoints(form)[:32], plan.extra[:16]])
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, form.smallest_subnormal], dtype=form.dtype)
        pool = np.concatenate([near, special])
    x[random.choice(SAMPLE, pool.size, replace=False)] = pool
    return x, gradients_for(x, seed=plan.seed) if expected.quantity.takes_gradient else None
