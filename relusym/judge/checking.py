"""`check()`: the front door of the judge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym import activations, conventions
from relusym.activation import Activation, Number, parameter_values
from relusym.calculus.outputs import slope_by_output
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.floats import Array, Format, format_of, neighbours, round_to
from relusym.judge.adapters import adapted
from relusym.judge.adapters.adapter import Adapter
from relusym.judge.addends import parted
from relusym.judge.expectations import Expectation, Quantity, expectations, quantities_of
from relusym.judge.gradients import SUBJECT as NOT_FINITE
from relusym.judge.gradients import not_finite
from relusym.judge.joint import check_jointly
from relusym.judge.kinks import values_at_kinks, with_interval
from relusym.judge.laws import CallFailed, Subject, pointwise, refuse_flushing
from relusym.judge.layouts import Compared, Ways, Wrong, compare_layouts
from relusym.judge.metrics import Bound
from relusym.judge.parameters import beside_elements, passed_names, sums_of_gradients
from relusym.judge.properties import not_monotone, not_reflected, outside_range
from relusym.judge.reports import Finding, KinkValue, Remark, Report, hex_of, installed_versions
from relusym.judge.reproducing import call_line
from relusym.judge.requests import numbers_in, refuse_nonsense
from relusym.judge.rows import in_rows
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
    arguments: Sequence[str] | None = None,
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
    (fn(grad, x, residual)), backward-from-output (fn(grad, y)), backward-parameters (fn(grad, x, *parameters), the
    tuple of dx and a gradient for each of the `arguments`, by default those that are learnable). Those with an addend
    are held to the value at x plus the addend, rounded once to the format `work` (that of the inputs by default);
    backward-from-output to grad times f' as a function of f, at the y it is given; backward-parameters to the gradients
    of elements where each has parameters of its own, and to exact sums of them. But there, fn never receives
    parameters: bind them with functools.partial, and give their exact values here as `parameters`. `subgradient` is the
    policy at kinks, the name of a convention ("torch", "jax-0.10") included; with "any" every value of the Clarke
    interval is right.

    A function of several inputs or values is called with all its arrays, fn(a, b) or fn(grad, a, b), and returns a
    tuple where there are several results; pairs of inputs are too many, so some 20,000 rows are drawn in any format.
    With "any" a maximum may do at ties what it likes, as long as the shares lie between 0 and the gradient and add up.

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
    judged = activations.named(activation) if isinstance(activation, str) else activation
    refuse_nonsense(
        judged,
        dtype=dtype,
        computes=computes,
        parameters=parameters,
        subgradient=subgradient,
        max_ulp=max_ulp,
        bound=bound,
        within=within,
        in_place=in_place,
        strict=strict,
        points=points,
        examples=examples,
        seed=seed,
    )
    form = format_of(dtype)
    refuse_flushing()
    if not judged.is_scalar:
        for word, value in (("in_place", in_place), ("within", within), ("arguments", arguments)):
            if value is not None:
                raise InvalidRequest(f"check: {word} is for functions of one input; {judged.name} has {judged.shape}")
        return check_jointly(
            fn,
            judged,
            form=form,
            computes=computes,
            parameters=parameters,
            subgradient=subgradient,
            through=through,
            bound=bound if max_ulp is None else Bound(max_ulp),
            strict=strict,
            extra_points=_around(numbers_in(extra_points), form).astype(np.float64).tolist(),
            points=None if points is None else int(points),
            seed=int(seed),
        )
    names = passed_names(judged, computes, arguments)
    quantities = quantities_of(computes, judged, names)
    title = f"{judged.name} {computes} {form.name}"
    held = format_of(work) if work else form
    passed = _passed(judged, computes, parameters, form) if through else _rounded(judged, names, parameters, held)
    kernel = adapted(fn, through=through, computes=computes, parameters=passed, in_place=in_place)
    given: Mapping[str, Number] = {**(parameters or {}), **passed}
    subgradient = conventions.resolved(judged, subgradient, parameter_values(judged, given))
    if computes == "backward-from-output":
        judged = slope_by_output(judged, parameter_values(judged, given), subgradient)
        given, subgradient = {}, "least-norm"
    strictly = kernel.adapter.name == "numpy" if strict is None else strict
    called = beside_elements(kernel.fn, passed, held) if names else kernel.fn
    subject = Subject(called, quantities[0].takes_gradient, len(quantities), quantities[0].addend)
    sweeps = []
    for output, quantity in enumerate(quantities):
        expected, other = expectations(
            judged,
            quantity,
            parameters=given,
            subgradient=subgradient,
            strict=strictly,
            work=held.name if work else "",
        )
        allowed = bound or (_default(quantity) if max_ulp is None else Bound(max_ulp))
        reported = frozenset[str]() if strictly else quantity.policies_in(form)
        sweeps.append(Sweep(subject, output, expected, allowed, within, other, reported))
    several = subject.outputs > 1 or bool(subject.addend)
    if several and in_place is not None:
        raise InvalidRequest(f"in_place is for kernels of one result and no addend, not for {computes!r}")
    ways = Ways(kernel.adapter.layouts, kernel.adapter.lengths, None if several else kernel.in_place, strict is True)
    count = POINTS[form.bits] if points is None else points
    plan = _Plan(form, _around(numbers_in(extra_points), form), int(count), int(examples), int(seed))
    with np.errstate(all="ignore"):
        outcome = _judged(sweeps, ways, plan)
        if names:
            outcome = _with_sums(outcome, sums_of_gradients(kernel.fn, passed, form, held, seed=seed))
    call = _Call(kernel.adapter, computes if through and computes != "forward" else "", passed)
    return _report(title, sweeps, outcome, form, call)


def _rounded(
    activation: Activation, names: Sequence[str], parameters: Mapping[str, Number] | None, form: Format
) -> dict[str, float]:
    """The values of the parameters that a kernel is called with, which have to be floats of the format."""
    values = {str(symbol): value for symbol, value in parameter_values(activation, parameters).items()}
    return {name: float(round_to(np.array([float(values[name])]), form)[0]) for name in names}


def _with_sums(outcome: _Outcome, found: Iterable[Finding]) -> _Outcome:
    """With what is wrong in sums, or the call that failed."""
    total = outcome.total
    try:
        findings = tuple(found)
    except CallFailed as failure:
        findings = (_of_a_class(failure.finding),)
    return replace(outcome, total=total.plus(Tally(findings=findings)))


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
    policies: Mapping[str, Remark] = field(default_factory=dict)
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
    sample = _sample(first, plan)
    compared = compare_layouts(subject, *sample, ways, _wrong(sweeps))
    total = Tally(findings=tuple(map(_of_a_class, compared.findings)))
    if any(finding.kind not in ("layout", "input-changed", "result-changed") for finding in compared.findings):
        return _Outcome(total)
    policies = {"layouts": _in_layouts(compared, ways)}
    kinks: tuple[KinkValue, ...] = ()
    try:
        zeros = note_on_zero(subject, first.quantity, plan.form)
        for over in sweeps:
            here = values_at_kinks(over, plan.form)
            for x, gradient in inputs_of(
                over.expected,
                plan.form,
                extra=plan.extra,
                points=plan.points,
                examples=plan.examples,
                seed=plan.seed,
            ):
                seen = judgement(over, x, gradient)
                one = tally(over, seen)
                found = (_of_result(with_interval(finding, here), over) for finding in one.findings)
                total = total.plus(replace(one, findings=tuple(found)))
                findings, told = _by_facts(over.expected, seen)
                total, policies = total.plus(Tally(findings=findings)), {**told, **policies}
            kinks += here
        if subject.takes_gradient:
            findings, policies[NOT_FINITE] = not_finite(sweeps[0], sample[0])
            total = total.plus(Tally(findings=findings))
        if subject.addend == "bias":
            total = total.plus(Tally(findings=tuple(_with_rows(sweeps[0], total.findings, plan))))
    except CallFailed as failure:
        return _Outcome(Tally(findings=(*total.findings, _of_a_class(failure.finding))), policies)
    return _Outcome(total, {**policies, **_policies(total.reported, sweeps)}, kinks, zeros)


def _of_result(finding: Finding, over: Sweep) -> Finding:
    """The finding, and where a kernel has several results, in which of them."""
    if over.subject.outputs == 1:
        return finding
    told = f"result {over.output + 1} of {over.subject.outputs}: {finding.message}"
    return replace(finding, output=over.output, message=told)


def _with_rows(over: Sweep, found: Sequence[Finding], plan: _Plan) -> Iterator[Finding]:
    """What several rows show: wrong sums, and single elements where one row has not shown them to be wrong."""
    for finding in in_rows(over, plan.form, seed=plan.seed):
        if finding.kind != "layout" or not found:
            yield finding


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


def _in_layouts(compared: Compared, ways: Ways) -> Remark:
    if compared.findings:
        return Remark("the result depends on the layout")
    if compared.differing:
        return Remark(f"other bits than in x, none of them wrong, in {', '.join(compared.differing)}")
    tried = "every layout and length" if ways.layouts else "arrays of every length and shape that were tried"
    return Remark(f"the same bits in {tried}" + (", and in place" if ways.in_place else ""), ordinary=True)


def _policies(reported: Sequence[Finding], sweeps: Sequence[Sweep]) -> dict[str, Remark]:
    """What a kernel makes of subnormal numbers and NaN where that is no finding."""
    found = {}
    for kind, subject in (("subnormal", "subnormal numbers"), ("nan-swallowed", "NaN")):
        if not any(kind in over.reported for over in sweeps):
            continue
        seen = [finding for finding in reported if finding.kind == kind]
        kept = {"subnormal": "computed like all others", "nan-swallowed": "NaN in, NaN out"}[kind]
        told = Remark(f"{seen[0].message} ({seen[0].count:,} inputs)") if seen else Remark(kept, ordinary=True)
        found[subject] = told
    return found


def _by_facts(expected: Expectation, seen: Judgement) -> tuple[tuple[Finding, ...], dict[str, Remark]]:
    """What the proved facts of the function say of the results: findings, and what is reported."""
    quantity = expected.quantity
    if seen.gradient is not None or quantity.order > 1 or quantity.addend:
        return (), {}
    function = split(expected.activation, dict(expected.values))
    x, got = seen.x, seen.got
    told = {}
    if quantity.order == 0:
        if falling := not_monotone(function, x, got):
            told["monotonicity"] = Remark(falling)
        if missed := "; ".join(not_reflected(function, x, got)):
            # a few ulps of f(x) - f(-x) are no news of a kernel that is right to an ulp
            told["symmetry"] = Remark(missed, ordinary=True)
    right = seen.held_to.trusted & ~np.logical_or.reduce(list(seen.broken.values()))
    return tuple(outside_range(function, quantity.order, x[right], got[right], seen.value[right])), told


def _report(title: str, sweeps: Sequence[Sweep], outcome: _Outcome, form: Format, call: _Call) -> Report:
    total, quantity = outcome.total, sweeps[0].expected.quantity
    findings = tuple(_with_hint(finding, call) for finding in _merged(total.findings))
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
        beside=() if call.derived else [hex_of(value) for value in call.passed.values()],
    )
    notes = [outcome.zeros] if outcome.zeros else []
    if quantity.addend:
        notes.append(f"x above is the sum of x and the {quantity.addend} that was aimed at")
    notes += [f"{subject}: {told.text}" for subject, told in outcome.policies.items() if not told.ordinary]
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
        policies={subject: told.text for subject, told in outcome.policies.items()},
        kinks=outcome.kinks,
    )


def _to_show(finding: Finding) -> tuple[bool, bool]:
    """Sort key: what one call shows comes first, and of that what a number shows."""
    return finding.kind == "layout", not math.isfinite(float.fromhex(finding.input))


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
    """Each finding of each result once: sweeps with two gradients may show the same one."""
    seen: dict[tuple[int, str, str, str], Finding] = {}
    for finding in findings:
        seen.setdefault((finding.output, finding.kind, finding.input, finding.expected), finding)
    return tuple(seen.values())


def _default(quantity: Quantity) -> Bound:
    return DEFAULT_BOUNDS[quantity.name.partition(":")[0]]


def _around(points: Sequence[float], form: Format) -> Array:
    with np.errstate(over="ignore"):
        given = np.array(points, dtype=np.float64).astype(form.dtype)
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
