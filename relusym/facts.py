"""Facts: what is claimed of an activation, whether it is proved, and how it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

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


Value: TypeAlias = "Expr | str | bool | int | Absent | tuple[Value, ...] | Mapping[str, Value] | None"
"""Exact: SymPy numbers (±oo included) or expressions in the parameters; never a float."""


@dataclass(frozen=True)
class Certificate:
    """What a second program needs to check a fact again; `evidence` is plain text by name."""

    kind: str
    evidence: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Fact:
    """A claim with its verdict; `conditions` on the parameters, as text, under which it holds."""

    claim: str
    verdict: Verdict
    value: Value
    method: str
    certificate: Certificate | None = None
    conditions: tuple[str, ...] = ()
