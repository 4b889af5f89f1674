"""The verdict on one kernel: what was found, the worst input, and a line to see it again."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

KINDS = (
    "accuracy",
    "kink",
    "sign",
    "nan",
    "overflow",
    "subnormal",
    "limit",
    "nan-swallowed",
    "range",
    "layout",
    "dtype",
    "shape",
    "input-changed",
    "result-changed",
    "exception",
)
"""Of findings."""


@dataclass(frozen=True)
class Finding:
    """One way in which a kernel is wrong, shown at the simplest input found.

    `input`, `gradient`, `got` and `expected` are hex floats (or 'nan', 'inf'); `count` says at how many
    inputs the same kind of error was seen. `kind` is one of `KINDS`, `defect` one of the classes of `diagnosis`,
    `where` says over which inputs it extends, both in words. `output` counts the results of a kernel that has several.
    """

    kind: str
    input: str
    got: str
    expected: str
    ulps: float
    message: str
    gradient: str | None = None
    count: int = 1
    defect: str = "interface"
    where: str = ""
    output: int = 0

    def __str__(self) -> str:
        many = f" ({self.count:,} inputs)" if self.count > 1 else ""
        return f"{self.kind}: {self.message}{many}"


@dataclass(frozen=True)
class Remark:
    """What a kernel makes of something that is reported and not judged; `ordinary` is what every good kernel does."""

    text: str
    ordinary: bool = False


@dataclass(frozen=True)
class KinkValue:
    """What a kernel of f' returns at a kink: `got`, beside the Clarke interval [lower, upper].

    Hex floats, but for `at`, which is exact; `x` is the float that equals it. `lower` and `upper` are None where
    there is no such interval (f jumps), and `inside` then too. `chosen` is the value asked for.
    """

    at: str
    x: str
    got: str
    chosen: str
    lower: str | None
    upper: str | None
    inside: bool | None


@dataclass(frozen=True)
class Report:
    """What `check` found out about one kernel.

    `max_ulp` is the largest error in ulps and `worst_input` where it occurs (a hex float), `max_ratio` the
    largest error divided by what was allowed there. `undecided` inputs have no certain reference and were not
    judged; `unfaithful` counts errors of an ulp or more. `framework` is the adapter through which it was called.
    `policies` say what is reported and not judged, by subject, `kinks` what a derivative is at each kink; `notes`
    are those of them that deserve to be read.
    """

    passed: bool
    subject: str
    findings: tuple[Finding, ...]
    max_ulp: float
    worst_input: str | None
    max_ratio: float
    bound: str
    tested: int
    exhaustive: bool
    unfaithful: int
    undecided: int
    reproduce: str
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    framework: str = "numpy"
    policies: Mapping[str, str] = field(default_factory=dict)
    kinks: tuple[KinkValue, ...] = ()

    def __str__(self) -> str:
        inputs = f"{self.tested:,} inputs" + (", exhaustive" if self.exhaustive else "")
        worst = f" at x = {_both(self.worst_input)}" if self.worst_input else ""
        lines = [
            f"{'passed' if self.passed else 'FAILED'}: {self.subject} ({inputs})",
            f"  largest error {_short(self.max_ulp)} ulp{worst}; allowed {self.bound}, "
            f"at worst {_short(self.max_ratio)} of it is used",
        ]
        lines += [f"  {finding}" for finding in self.findings]
        if self.undecided:
            lines.append(f"  {self.undecided:,} inputs undecided: the reference has no certain value there")
        lines += [f"  note: {note}" for note in self.notes]
        if not self.passed:
            lines.append(f"  reproduce: {self.reproduce}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON: numbers that may be infinite are text."""
        return {
            "schema": 1,
            "passed": self.passed,
            "subject": self.subject,
            "max_ulp": _number(self.max_ulp),
            "max_ratio": _number(self.max_ratio),
            "bound": self.bound,
            "worst_input": self.worst_input,
            "tested": self.tested,
            "exhaustive": self.exhaustive,
            "unfaithful": self.unfaithful,
            "undecided": self.undecided,
            "reproduce": self.reproduce,
            "framework": self.framework,
            "policies": dict(self.policies),
            "kinks": [asdict(kink) for kink in self.kinks],
            "notes": list(self.notes),
            "findings": [
                {
                    "kind": finding.kind,
                    "input": finding.input,
                    "gradient": finding.gradient,
                    "got": finding.got,
                    "expected": finding.expected,
                    "ulps": _number(finding.ulps),
                    "count": finding.count,
                    "message": finding.message,
                    "defect": finding.defect,
                    "where": finding.where,
                }
                for finding in self.findings
            ],
            "versions": dict(self.versions),
        }


def hex_of(value: Any) -> str:
    """A float of any format as a short hex float (0x1.8p+1); 'nan', 'inf' and '-inf' for the others."""
    with np.errstate(invalid="ignore"):
        mantissa, power, exponent = float(value).hex().partition("p")
    if not power:
        return mantissa
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}" if "." in mantissa else f"{mantissa}p{exponent}"


@lru_cache(maxsize=16)
def installed_versions(*others: str) -> dict[str, str]:
    """Versions of everything that takes part in a verdict, and of the other packages named."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("relusym", "numpy", "ml_dtypes", "sympy", "python-flint", "hypothesis", *others):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _short(number: float) -> str:
    return f"{number:.4g}"


def _both(text: str | None) -> str:
    return "" if text is None else f"{text} ({float.fromhex(text):.9g})"


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
