"""What a derivative returns at kinks, beside the Clarke interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sympy import Expr

from relusym.calculus.subdifferentials import kinks
from relusym.floats import Format, round_to
from relusym.judge.reports import Finding, KinkValue, hex_of
from relusym.judge.sweeps import Sweep
from relusym.pieces import split


def values_at_kinks(over: Sweep, form: Format) -> tuple[KinkValue, ...]:
    """What a derivative in x is at each kink of f that a float equals; with a gradient, for a gradient of 1."""
    quantity, expected = over.expected.quantity, over.expected
    if quantity.order != 1 or quantity.addend:
        return ()
    function = split(expected.activation, dict(expected.values))
    chosen = dict(zip(expected.pieces.breakpoints, expected.pieces.values, strict=True))
    found = []
    for kink in kinks(function, policy="left"):
        with np.errstate(all="ignore"):
            x = np.array([float(kink.at)]).astype(form.dtype)
        if not expected.at_breakpoint(x)[0]:
            continue
        gradient = np.ones(1, dtype=form.dtype) if quantity.takes_gradient else None
        got, _ = over.run(x, gradient)
        ends = None if kink.clarke is None else [float(_nearest(end, form)) for end in kink.clarke]
        value = float(got[0])
        found.append(
            KinkValue(
                at=str(kink.at),
                x=hex_of(x[0]),
                got=hex_of(value),
                chosen="any" if over.other is not None else hex_of(_nearest(chosen[kink.at], form)),
                lower=None if ends is None else hex_of(ends[0]),
                upper=None if ends is None else hex_of(ends[1]),
                inside=None if ends is None else ends[0] <= value <= ends[1],
            )
        )
    return tuple(found)


def _nearest(number: Expr, form: Format) -> float:
    """An exact number rounded to the format, NaN and infinities as they are."""
    with np.errstate(all="ignore"):
        return float(round_to(np.array([float(number)]), form)[0])


def with_interval(finding: Finding, seen: Sequence[KinkValue]) -> Finding:
    """A wrong value of f' at a kink, with the Clarke interval there."""
    if finding.kind != "kink" or finding.gradient not in (None, hex_of(1.0)):
        return finding
    for kink in seen:
        if kink.got != finding.got:
            continue
        if kink.lower is not None and kink.upper is not None and float.fromhex(kink.x) == float.fromhex(finding.input):
            side = "inside" if kink.inside else "outside"
            interval = f"[{float.fromhex(kink.lower):.9g}, {float.fromhex(kink.upper):.9g}]"
            return replace(finding, message=f"{finding.message}; {side} the Clarke interval {interval}")
    return finding
