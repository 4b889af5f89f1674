"""Facts: what is claimed of an activation, whether it is proved, and how it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from sympy import Expr


class Verdict(Enum):
    """What is known of a claim; UNKNOWN is never read as yes or no."""

    PROVED = "PROVED"
    REFUTED = "REFUTED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Absent:
    """No such value, for this reason: no limit exists, the notion does not apply, or none was found."""

    reason: str


@dataclass(frozen=True)
class Enclosed:
    """A real number without a closed form here: its definition in words, and a ball of any radius around it.

    `enclose(bits)` gives an Arb ball with a relative radius below 2**-bits.
    """

    definition: str
    enclose: Callable[[int], Any] = field(compare=False, repr=False)


Real: TypeAlias = "Expr | Enclosed"
"""An exact SymPy number, ±oo included, or an enclosure; never a float."""


@dataclass(frozen=True)
class Interval:
    """From `inf` to `sup`, each inside or not; a point where the two are the same."""

    inf: Real
    sup: Real
    inf_attained: bool
    sup_attained: bool


@dataclass(frozen=True)
class RealSet:
    """Disjoint intervals from left to right; with a `period`, those of one period, repeated for ever."""

    components: tuple[Interval, ...] = ()
    period: Expr | None = None


Value: TypeAlias = "Real | RealSet | str | bool | int | Absent | tuple[Value, ...] | Mapping[str, Value] | None"
"""Exact numbers or expressions in the parameters, enclosures, sets, words; never a float."""


@dataclass(frozen=True)
class Certificate:
    """What a second program needs to check a fact again: plain data, as in JSON."""

    kind: str
    evidence: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Fact:
    """A claim with its verdict; `conditions` on the parameters, as text, under which it holds."""

    claim: str
    verdict: Verdict
    value: Value
    method: str
    certificate: Certificate | None = None
    conditions: tuple[str, ...] = ()
