"""Running an audit: every function in every dtype, forward and its derivatives by the framework's own autograd."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from relusym.audit.curves import EACH, curve
from relusym.audit.entries import FRAMEWORKS, Entry, Framework, callable_of
from relusym.audit.reproducers import reproducer
from relusym.audit.results import Audit, Defect, Kink, Row
from relusym.errors import InvalidRequest, Missing
from relusym.floats import format_of
from relusym.judge.adapters import adapted, adapter_named
from relusym.judge.adapters.adapter import needed
from relusym.judge.checking import DEFAULT_BOUNDS, check
from relusym.judge.reports import Report, installed_versions
from relusym.workers import in_processes

DTYPES = ("float16", "bfloat16", "float32", "float64")
COMPUTES = ("forward", "derivative", "second-derivative")

POINTS, QUICK_POINTS = 100_000, 12_000
"""Inputs of float32 and float64 for each row; 16-bit formats are always tried whole."""

_NOT_THERE = re.compile(
    r"not[ _]implemented|could not find an implementation|not supported|unsupported|does not support|doesn't support"
    r"|no kernel|expected type|type error|invalid[ _]graph|did not contain a loop|does not accept dtype"
    r"|not allowed|no corresponding numpy type|unexpected dtype|must be float|could not find device",
    re.IGNORECASE,
)
"""What frameworks say of a dtype for which they have no kernel."""


@dataclass(frozen=True)
class Unit:
    """One row to be: a piece of work that any process can do."""

    framework: Framework
    entry: Entry
    dtype: str
    computes: str
    quick: bool = False

    def __str__(self) -> str:
        return f"{self.entry.title} {self.computes} {self.dtype}"


def audit(
    framework: Framework,
    names: Sequence[str] = (),
    *,
    dtypes: Sequence[str] = (),
    computes: Sequence[str] = (),
    quick: bool = False,
    jobs: int | None = None,
) -> Audit:
    """Judge the functions with these names (all by default) in these dtypes, and these quantities of them.

    Only the forward function is judged where a framework has no autograd. With `quick` fewer inputs of float32 and
    float64 are tried. Raises `Missing` where the framework is not installed, `InvalidRequest` for a name, dtype or
    quantity that nobody knows.
    """
    for given, known in ((dtypes, DTYPES), (computes, COMPUTES)):
        for one in given:
            if one not in known:
                raise InvalidRequest(f"{one!r} is not audited; known: {', '.join(known)}")
    entries = framework.selected(names)
    adapter = adapter_named(framework.name)
    needed(framework.name, FRAMEWORKS.get(framework.name, ""))
    possible = COMPUTES if adapter.gradient is not None else COMPUTES[:1]
    quantities = [one for one in possible if one in (computes or possible)]
    if not quantities:
        raise InvalidRequest(f"{framework.name} has no autograd, so only its forward functions can be audited")
    units = [
        Unit(framework, entry, dtype, quantity, quick)
        for entry in entries
        for quantity in quantities
        for dtype in DTYPES
        if dtype in (dtypes or DTYPES)
    ]
    rows = in_processes(units, run, doing=f"audit of {framework.name}", name=str, jobs=jobs)
    return Audit(
        framework=framework.name,
        versions=installed_versions(*adapter.packages),
        rows=tuple(rows),
        notes={entry.title: entry.note for entry in entries if entry.note},
        quick=quick,
    )


def run(unit: Unit) -> Row:
    """Judge one function in one dtype; a dtype or function that the framework has not is a row that says so."""
    _alone(unit.framework.name)
    begin = time.perf_counter()
    entry, form = unit.entry, format_of(unit.dtype)
    activation = entry.definition()
    common: dict[str, Any] = {
        "function": entry.title,
        "target": entry.function,
        "activation": entry.activation or entry.formula,
        "definition": str(activation.expr),
        "parameters": dict(entry.parameters),
        "dtype": unit.dtype,
        "computes": unit.computes,
    }
    try:
        fn = callable_of(unit.framework.name, entry, unit.dtype)
    except Missing as missing:
        return Row(**common, status="not supported", reason=str(missing))
    report = check(
        fn,
        activation,
        dtype=unit.dtype,
        computes=unit.computes,
        parameters=entry.parameters,
        # Which value a framework takes at a kink is its choice, as long as it is one of the Clarke interval.
        subgradient="any",
        through=unit.framework.name,
        strict=False,
        points=QUICK_POINTS if unit.quick else POINTS,
        examples=20 if unit.quick else 120,
    )
    if lack := _lack(report):
        return Row(**common, status="not supported", reason=lack)
    kernel = adapted(fn, through=unit.framework.name, computes=unit.computes).fn
    drawn = curve(
        kernel, activation, form, unit.computes, dict(entry.parameters), each=EACH // 3 if unit.quick else EACH
    )
    finite = [(drawn.worst, drawn.worst_input)] if drawn else []
    scaled = drawn.scaled if drawn else 0.0
    if report.worst_input is not None and report.max_ulp < float("inf"):
        finite.append((report.max_ulp, report.worst_input))
    if report.max_ratio < float("inf"):
        scaled = max(scaled, report.max_ratio * DEFAULT_BOUNDS[unit.computes].constant)
    worst, worst_input = max(finite, default=(0.0, None), key=lambda pair: pair[0])
    return Row(
        **common,
        status="passed" if report.passed else "failed",
        max_ulp=report.max_ulp,
        worst_input=report.worst_input,
        worst_finite=worst,
        worst_finite_input=worst_input,
        scaled=scaled,
        bound=report.bound,
        tested=report.tested,
        exhaustive=report.exhaustive,
        undecided=report.undecided,
        findings=tuple(
            Defect(
                kind=finding.kind,
                defect=finding.defect,
                where=finding.where,
                input=finding.input,
                got=finding.got,
                expected=finding.expected,
                ulps=finding.ulps,
                count=finding.count,
                message=finding.message,
                reproducer=reproducer(unit.framework, entry, kernel, finding, form, unit.computes) or (),
            )
            for finding in report.findings
        ),
        kinks=tuple(Kink(kink.at, kink.got, kink.lower, kink.upper, kink.inside) for kink in report.kinks),
        policies=dict(report.policies),
        curve=drawn.text() if drawn else "",
        seconds=round(time.perf_counter() - begin, 2),
    )


def _lack(report: Report) -> str:
    """Why the framework has no such kernel, in its own words; empty where it has one."""
    for finding in report.findings:
        if finding.kind == "exception" and not finding.input and _NOT_THERE.search(finding.message):
            return finding.message.partition(" (x: ")[0].partition("\n")[0]
    return ""


@lru_cache(maxsize=8)
def _alone(framework: str) -> None:
    """One thread for the framework: other rows run beside it. Once in each process, for some refuse a second time."""
    adapter_named(framework).threads(1)
