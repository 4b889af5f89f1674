"""`check` for functions of several inputs or values: all arrays of a call at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.activation import Activation, Number, parameter_values
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.floats import Array, Format, format_of
from relusym.judge.adapters import adapted
from relusym.judge.adapters.adapter import Adapter
from relusym.judge.diagnosis import diagnosed
from relusym.judge.laws import (
    CallFailed,
    Standard,
    Subject,
    canonical_bits,
    kind_of_result,
    pointwise,
    simplicity,
    standard,
)
from relusym.judge.layouts import Layout, Ways, layouts_of
from relusym.judge.metrics import Bound
from relusym.judge.reports import Finding, Report, hex_of, installed_versions
from relusym.judge.reproducing import array_text
from relusym.judge.several import Case, Expected, case
from relusym.judge.sweeps import MEANINGS
from relusym.structures import Maximum, structure_of

POINTS = 20_000
"""Rows that are tried when nothing else is asked for."""

SAMPLE = 480
"""Rows on which layouts are compared; a multiple of 12, as blocks of two and three dimensions take them."""

DEFAULT_BOUNDS: Mapping[str, Bound] = {
    # as for functions of one input, and half an ulp more for each product
    "forward": Bound(4.5, 4),
    "backward": Bound(9, 8),
}

EXACT = Bound(1.0)
"""Of a maximum: what is chosen is not rounded, and an equal share of a gradient at most twice."""

_AGAIN = "; reproduce: "


@dataclass(frozen=True)
class Call:
    """A kernel, by the framework it is called through, and the arrays it takes in order."""

    fn: Callable[..., Any]
    names: tuple[str, ...]
    results: tuple[str, ...]

    def __call__(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """Its results; `CallFailed` where it raises, changes an input or returns something else."""
        before = [array.tobytes() for array in arrays]
        # the last array says of what shape and dtype results are
        subject = Subject(lambda last: self.fn(*arrays[:-1], last), False, len(self.results))
        results = tuple(np.asarray(result) for result in kind_of_result(subject, arrays[-1], None))
        for name, array, contents in zip(self.names, arrays, before, strict=True):
            if array.tobytes() != contents:
                raise CallFailed(Finding("input-changed", "", "", "", 0.0, f"fn changes {name}"))
        return results


def check_jointly(
    fn: Any,
    activation: Activation,
    *,
    form: Format,
    computes: str,
    parameters: Mapping[str, Number] | None,
    subgradient: Policy,
    through: str | None,
    bound: Bound | None,
    strict: bool | None,
    extra_points: Sequence[float],
    points: int | None,
    seed: int,
) -> Report:
    """The report on a kernel of a function of several inputs or values; see `check` for the words.

    Some 20,000 rows are tried by default, the same ones for the same seed: every input in turn at its landmarks and
    across its format, the others beside it at ordinary numbers, at numbers of any size and at edges; a third of the
    rows of a maximum are ties. Raises what `check` raises.
    """
    values = parameter_values(activation, parameters)
    chosen = tuple(subgradient.items()) if isinstance(subgradient, Mapping) else subgradient
    count = POINTS if points is None else points
    rows = case(activation, computes, tuple(values.items()), chosen, form, count, seed, tuple(extra_points))
    if through is not None and computes != "forward":
        raise InvalidRequest(
            f"{computes} of a function of several inputs is not taken by autograd; give a function that computes it: "
            f"fn({', '.join(name for name, _ in rows.arrays)})"
        )
    kernel = adapted(fn, through=through)
    call = Call(kernel.fn, tuple(name for name, _ in rows.arrays), tuple(of.result for of in rows.expected))
    strictly = kernel.adapter.name == "numpy" if strict is None else strict
    exact = isinstance(structure_of(activation), Maximum)
    allowed = bound or (EXACT if exact else DEFAULT_BOUNDS["forward" if computes == "forward" else "backward"])
    found: list[Finding] = []
    worst, ratio, unfaithful = (0.0, ""), 0.0, 0
    layouts = "not compared"
    with np.errstate(all="ignore"):
        try:
            ways = Ways(kernel.adapter.layouts, kernel.adapter.lengths, strict=strict is True)
            found += _in_layouts(call, rows, ways, allowed, seed)
            layouts = "the result depends on the layout" if found else "the same bits in every layout and length"
            results = call([array.copy() for _, array in rows.arrays])
            for got, of, within in _held(results, rows, allowed):
                findings, error, used = _judged(got, of, rows, within, strictly=strictly, adapter=kernel.adapter)
                found += findings
                at = int(np.argmax(error))
                if error[at] > worst[0]:
                    worst = (float(error[at]), hex_of(of.varied[at]))
                ratio, unfaithful = max(ratio, float(np.max(used))), unfaithful + int(np.count_nonzero(error >= 1))
        except CallFailed as failure:
            found.append(failure.finding)
    shown = found[0].message if found else "no finding"
    return Report(
        passed=not found,
        subject=f"{activation.name} {computes} {form.name}",
        findings=tuple(found),
        max_ulp=worst[0],
        worst_input=worst[1] or None,
        max_ratio=ratio,
        bound=str(allowed),
        tested=rows.arrays[0][1].size,
        exhaustive=False,
        unfaithful=unfaithful,
        undecided=sum(of.reference.undecided.size for of in rows.expected),
        reproduce=shown.rpartition(_AGAIN)[2],
        versions=dict(installed_versions(*kernel.adapter.packages)),
        framework=kernel.adapter.name,
        policies={"layouts": layouts},
    )


def _held(results: tuple[Array, ...], rows: Case, bound: Bound) -> Iterator[tuple[Array, Expected, Bound]]:
    """Each result, what it is held to, and how closely; then their sum where that is held to something."""
    yield from ((got, of, bound) for got, of in zip(results, rows.expected, strict=True))
    if rows.total is not None:
        total = np.sum([result.astype(np.float64) for result in results], axis=0).astype(results[0].dtype)
        yield total, rows.total, Bound(bound.constant * len(results), bound.per_condition)


def _judged(
    got: Array, of: Expected, rows: Case, bound: Bound, *, strictly: bool, adapter: Adapter
) -> tuple[list[Finding], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Findings in one result, errors in ulps, and parts of what is allowed."""
    reported = frozenset[str]() if strictly else frozenset(["subnormal", "nan-swallowed"])
    broken, error, ratio = pointwise(of.varied, got, _standard(of, bound, reported))
    findings = []
    for kind, mask in broken.items():
        failing = np.flatnonzero(mask)
        if failing.size and kind not in reported:
            at = failing[np.argmin(sum(simplicity(array[failing]) for _, array in rows.arrays))]
            told = diagnosed(kind, of.varied, got, of.reference.value, mask)
            found = _finding(kind, int(at), got, of, rows, float(error[at]), failing.size, adapter)
            findings.append(replace(found, defect=told.defect, where=told.where))
    return findings, error, ratio


def _standard(of: Expected, bound: Bound, reported: frozenset[str]) -> Standard:
    return standard(
        of.reference,
        bound,
        known=of.known,
        trusted=np.ones(of.known.shape, dtype=bool),
        at_breakpoint=of.ties,
        least=of.least,
        other=of.other,
        reported=reported,
    )


def _finding(
    kind: str, at: int, got: Array, of: Expected, rows: Case, ulps: float, count: int, adapter: Adapter
) -> Finding:
    result, wanted = hex_of(got[at]), hex_of(of.reference.value[at])
    inputs = ", ".join(f"{name} = {hex_of(array[at])} ({float(array[at]):.6g})" for name, array in rows.arrays)
    size = f" ({ulps:.4g} ulp)" if ulps > 0 else ""
    given = (array_text(adapter, format_of(got.dtype), hex_of(array[at])) for _, array in rows.arrays)
    return Finding(
        kind=kind,
        input=hex_of(of.varied[at]),
        got=result,
        expected=wanted,
        ulps=ulps,
        message=f"{MEANINGS[kind]}, {of.result} at {inputs}: got {result}, expected {wanted}{size}"
        f"{_AGAIN}fn({', '.join(given)})",
        count=count,
    )


def _in_layouts(call: Call, rows: Case, ways: Ways, bound: Bound, seed: int) -> Iterator[Finding]:
    """The first way of laying arrays out in which elements give other results than side by side.

    Unless they are compared bit by bit, results of which both are right, or both wrong, may differ.
    """
    chosen = np.random.default_rng(seed).permutation(rows.arrays[0][1].size)[:SAMPLE]
    chosen = chosen[: chosen.size // 12 * 12]
    arrays = [array[chosen] for _, array in rows.arrays]
    plain = call([array.copy() for array in arrays])
    for layout in layouts_of(chosen.size, ways):
        at = np.ravel(layout.index)
        for name, laid in _laid(layout, call.names, arrays):
            for result, whole, of in zip(call(laid), plain, rows.expected, strict=True):
                here, there = np.ravel(result), whole[at]
                other = canonical_bits(here) != canonical_bits(there)
                if not ways.strict:
                    other &= _wrong(here, of.at(chosen[at]), bound) & ~_wrong(there, of.at(chosen[at]), bound)
                if np.any(other):
                    yield _difference(name, call.names, [array[at] for array in arrays], of.result, here, there, other)
                    return


def _laid(layout: Layout, names: Sequence[str], arrays: Sequence[Array]) -> Iterator[tuple[str, list[Array]]]:
    """All arrays in one way, said in words; where a gradient lies otherwise than the rest, each array in turn does."""
    if layout.lay_gradient is None or len(arrays) == 1:
        yield f"each array is {layout.name}", [layout.lay(array) for array in arrays]
        return
    for odd, name in enumerate(names):
        laid = [(layout.lay_gradient if place == odd else layout.lay)(array) for place, array in enumerate(arrays)]
        yield f"each other array is {layout.name.replace('a gradient', name).replace('gradient', name)}", laid


def _wrong(got: Array, of: Expected, bound: Bound) -> npt.NDArray[np.bool_]:
    broken, _, _ = pointwise(of.varied, got, _standard(of, bound, frozenset()))
    found: npt.NDArray[np.bool_] = np.logical_or.reduce(list(broken.values()))
    return found


def _difference(
    layout: str,
    names: Sequence[str],
    arrays: Sequence[Array],
    result: str,
    here: Array,
    there: Array,
    other: npt.NDArray[np.bool_],
) -> Finding:
    row = int(np.flatnonzero(other)[0])
    inputs = ", ".join(f"{name} = {hex_of(array[row])}" for name, array in zip(names, arrays, strict=True))
    got, wanted = hex_of(here[row]), hex_of(there[row])
    return Finding(
        kind="layout",
        input=hex_of(arrays[-1][row]),
        got=got,
        expected=wanted,
        ulps=0.0,
        message=f"{result} at {inputs} is {got} where {layout}, but {wanted} where each is x",
        count=int(np.count_nonzero(other)),
        defect="layout",
    )
