"""Incoming gradients that are NaN or infinite: what a kernel makes of them.

Where f'(x) is an ordinary number, IEEE 754 says what the product is, and functions that are judged strictly are held to
it. Where f'(x) is 0 a kernel that multiplies gives NaN and one that selects gives 0; that is a policy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from relusym.floats import Array, format_of
from relusym.judge.reports import Finding, Remark, hex_of
from relusym.judge.sweeps import MEANINGS, Sweep

Floats = npt.NDArray[np.float64]

SUBJECT = "gradients that are no finite numbers"

STEEP, FLAT = 24, 8
"""How many inputs are tried at which f' is an ordinary number, and at which it is 0."""

ORDINARY = 2.0**-8
"""From this size to its reciprocal, f' is far from 0 and from everything that overflows."""


def not_finite(over: Sweep, x: Array) -> tuple[tuple[Finding, ...], Remark]:
    """Findings, none unless the kernel is judged strictly, and what comes out; `x` are inputs to choose from."""
    x = x[np.isfinite(x)]
    reference = over.expected.at(x)
    slope = reference.value.astype(np.float64)
    usable = ~over.expected.at_breakpoint(x) & (np.abs(x.astype(np.float64)) <= 1 / ORDINARY)
    usable[reference.undecided] = False
    steep = np.flatnonzero(usable & (np.abs(slope) >= ORDINARY) & (np.abs(slope) <= 1 / ORDINARY))[:STEEP]
    flat = np.flatnonzero(usable & (slope == 0) & (reference.offset == 0))[:FLAT]
    inputs, form = x[np.concatenate([steep, flat])], format_of(x.dtype)
    findings, at_steep, at_flat = [], [], []
    for incoming in (math.nan, math.inf, -math.inf):
        gradient = np.full(inputs.size, incoming, dtype=form.dtype)
        got = np.asarray(over.subject(inputs.copy(), gradient)[over.output]).astype(np.float64)
        wanted = incoming * slope[steep]
        wrong = np.flatnonzero(~np.isclose(got[: steep.size], wanted, rtol=0, atol=0, equal_nan=True))
        if wrong.size:
            first = int(wrong[0])
            findings.append(_finding(inputs[first], incoming, got[first], wanted[first], int(wrong.size)))
        at_steep.append(got[: steep.size])
        at_flat.append(got[steep.size :])
    told = _words(at_steep) + (f"; where f' is 0, {_words(at_flat)}" if flat.size else "")
    strictly = "nan-swallowed" not in over.reported
    return tuple(findings) if strictly else (), Remark(told, ordinary=not findings)


def _words(results: Sequence[Floats]) -> str:
    """What NaN and the two infinities give."""
    return f"NaN gives {_values(results[0])}, infinity gives {_values(np.concatenate(results[1:]))}"


def _values(results: Floats) -> str:
    kinds = {"NaN": np.isnan(results), "infinity": np.isinf(results), "0": results == 0}
    kinds["other numbers"] = ~np.logical_or.reduce(list(kinds.values()))
    return " or ".join(word for word, here in kinds.items() if np.any(here)) or "what was not tried"


def _finding(x: object, incoming: float, got: float, wanted: float, count: int) -> Finding:
    at, gradient, here, there = (hex_of(value) for value in (x, incoming, got, wanted))
    kind = "nan-swallowed" if math.isnan(incoming) else "nan" if math.isnan(got) else "accuracy"
    defect = "inaccurate" if kind == "accuracy" else kind
    told = f"{MEANINGS[kind]} at x = {at}, gradient = {gradient}: got {here}, expected {there}"
    return Finding(kind, at, here, there, 0.0, told, gradient=gradient, count=count, defect=defect)
