"""Results: what the files of `relusym verify --json` and `pytest --relusym-report` hold, one for each kernel judged.

A result is a report in JSON with the request in front of it: what was judged, as what, and with which outcome.
`report.schema.json` in this folder describes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from relusym.judge.reports import Report, installed_versions


def result_of(report: Report, *, activation: str, target: str, dtype: str, computes: str) -> dict[str, Any]:
    """The result that says what this report says; `target` names the function that was judged."""
    return {
        **_request(activation, target, dtype, computes),
        "status": "passed" if report.passed else "failed",
        "reason": "" if report.passed else report.findings[0].message,
        "known": [],
        **report.to_json(),
    }


def not_run(reason: str, *, activation: str, target: str, dtype: str, computes: str) -> dict[str, Any]:
    """The result of a kernel that could not be judged: never a pass."""
    return {
        **_request(activation, target, dtype, computes),
        "status": "not run",
        "reason": reason,
        "max_ulp": None,
        "max_ratio": None,
        "bound": "",
        "worst_input": None,
        "tested": 0,
        "exhaustive": False,
        "undecided": 0,
    }


def of_sweep(record: Mapping[str, Any]) -> dict[str, Any]:
    """The result that says what the record of a sweep says (`SweepRecord.to_json`): all float32 inputs, or a share."""
    findings = record["findings"]
    return {
        **_request(record["activation"], record["kernel"], "float32", record["computes"]),
        "status": "passed" if record["passed"] else "failed",
        "reason": findings[0]["message"] if findings else "",
        "max_ulp": float.fromhex(record["max_ulp"]),
        "max_ratio": None,
        "bound": str(record["bound"]),
        "worst_input": record["worst_inputs"][0]["input"] if record["worst_inputs"] else None,
        "tested": record["tested"],
        "exhaustive": record["stride"] == 1,
        "undecided": record["undecided"],
        "findings": findings,
    }


def document(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What is written into a file."""
    return {
        "schema": 1,
        "versions": dict(installed_versions()),
        "results": [dict(result) for result in results],
    }


def _request(activation: str, target: str, dtype: str, computes: str) -> dict[str, Any]:
    return {
        "activation": activation,
        "target": target,
        "dtype": dtype,
        "work_format": None,
        "computes": computes,
        "accuracy": None,
    }
