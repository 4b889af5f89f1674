"""What an audit found: one row for each function, dtype and quantity, and all of them with the versions, as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from relusym.errors import InvalidRequest

SCHEMA = 1

SEVERITY = (
    "nan",
    "wrong-sign",
    "overflow",
    "wrong-limit",
    "interface",
    "lost-tail",
    "constant",
    "cut-off",
    "wrong-sum",
    "cancellation",
    "range",
    "layout",
    "inaccurate",
    "kink",
    "nan-swallowed",
    "flush",
)
"""Classes of defects, the worst first."""


@dataclass(frozen=True)
class Defect:
    """One finding of the judge; see `relusym.judge.reports.Finding`. `reproducer` is three lines of Python, or none."""

    kind: str
    defect: str
    where: str
    input: str
    got: str
    expected: str
    ulps: float
    count: int
    message: str
    reproducer: tuple[str, ...] = ()

    @property
    def severity(self) -> int:
        """Smaller is worse."""
        return SEVERITY.index(self.defect) if self.defect in SEVERITY else len(SEVERITY)


@dataclass(frozen=True)
class Kink:
    """What a derivative is at a kink, in hex floats; the Clarke interval is [lower, upper], None where f jumps."""

    at: str
    got: str
    lower: str | None
    upper: str | None
    inside: bool | None

    @property
    def least_norm(self) -> bool | None:
        """Whether no value of the interval is nearer to 0."""
        if self.lower is None or self.upper is None:
            return None
        return float.fromhex(self.got) == min(max(0.0, float.fromhex(self.lower)), float.fromhex(self.upper))


@dataclass(frozen=True)
class Row:
    """One function in one dtype, and one quantity of it.

    `status` is "passed", "failed", or "not supported" with the framework's `reason`. `max_ulp` is the largest error,
    inf where NaN or a false infinity is returned, and `worst_finite` the largest finite one that was met at an input
    that is a number; `scaled` is the largest finite one of errors divided by 1 + kappa, which takes off what
    conditioning explains: it can be compared with the first number of the `bound`. `target` is how the function is
    found, `definition` what it is held to. `curve` is the text of a `Curve`.
    """

    function: str
    target: str
    activation: str
    definition: str
    parameters: Mapping[str, str]
    dtype: str
    computes: str
    status: str
    reason: str = ""
    max_ulp: float = 0.0
    worst_input: str | None = None
    worst_finite: float = 0.0
    worst_finite_input: str | None = None
    scaled: float = 0.0
    bound: str = ""
    tested: int = 0
    exhaustive: bool = False
    undecided: int = 0
    findings: tuple[Defect, ...] = ()
    kinks: tuple[Kink, ...] = ()
    policies: Mapping[str, str] = field(default_factory=dict)
    curve: str = ""
    seconds: float = 0.0

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes of defects, the worst first."""
        return tuple(dict.fromkeys(found.defect for found in sorted(self.findings, key=lambda found: found.severity)))

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON; numbers that may be infinite are text."""
        found = asdict(self)
        for key in ("max_ulp", "worst_finite", "scaled"):
            found[key] = _number(found[key])
        for finding in found["findings"]:
            finding["ulps"] = _number(finding["ulps"])
        return found


@dataclass(frozen=True)
class Audit:
    """All rows of one framework; `notes` say by function where its definition is not the usual one."""

    framework: str
    versions: Mapping[str, str]
    rows: tuple[Row, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    quick: bool = False

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows with defects."""
        return tuple(row for row in self.rows if row.status == "failed")

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions, each once, in the order of the rows."""
        return tuple(dict.fromkeys(row.function for row in self.rows))

    def of(self, function: str) -> tuple[Row, ...]:
        """The rows of one function."""
        return tuple(row for row in self.rows if row.function == function)

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON."""
        return {
            "schema": SCHEMA,
            "framework": self.framework,
            "versions": dict(self.versions),
            "quick": self.quick,
            "notes": dict(self.notes),
            "rows": [row.to_json() for row in self.rows],
        }


def audit_from_json(content: Mapping[str, Any]) -> Audit:
    """The audit that `Audit.to_json` wrote; `InvalidRequest` for another schema."""
    if content.get("schema") != SCHEMA or "framework" not in content:
        raise InvalidRequest(f"this is no audit of schema {SCHEMA}; write it anew with relusym audit --json")
    return Audit(
        framework=content["framework"],
        versions=content["versions"],
        rows=tuple(map(_row, content["rows"])),
        notes=content["notes"],
        quick=content["quick"],
    )


def _row(content: Mapping[str, Any]) -> Row:
    defects = (Defect(**_floats(one, "ulps") | {"reproducer": tuple(one["reproducer"])}) for one in content["findings"])
    kinks = (Kink(**one) for one in content["kinks"])
    return Row(
        **_floats(content, "max_ulp", "worst_finite", "scaled") | {"findings": tuple(defects), "kinks": tuple(kinks)}
    )


def _floats(content: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {**content, **{key: float(content[key]) for key in keys}}


def by_severity(rows: Iterable[Row]) -> list[str]:
    """The functions of these rows, those with the worst defects in the most rows first."""
    weights: dict[str, tuple[int, int, float]] = {}
    for row in rows:
        worst = min((found.severity for found in row.findings), default=len(SEVERITY))
        least, count, ulps = weights.get(row.function, (len(SEVERITY), 0, 0.0))
        weights[row.function] = (min(least, worst), count - (row.status == "failed"), min(ulps, -row.scaled))
    return sorted(weights, key=lambda function: weights[function])


def _number(value: float) -> float | str:
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)
