"""The published JSON Schema: real reports keep it, it says everything that they hold, and the page explains it."""

from __future__ import annotations

import copy
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from relusym.judge import check
from relusym.judge.known import KnownDefect, settle
from relusym.judge.results import document, not_run, result_of

SCHEMA = json.loads(files("relusym.judge").joinpath("report.schema.json").read_text(encoding="utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "report.md"
REQUEST = {"activation": "hardtanh", "target": "mine:fn", "dtype": "float16", "computes": "derivative"}


def step(x: Any) -> Any:
    return np.where(np.isnan(x), x, np.abs(x) <= 1).astype(x.dtype)


def reports() -> dict[str, dict[str, Any]]:
    judged = {
        "right at a kink": (step, "derivative"),
        "wrong": (lambda x: step(x) * 1.25, "derivative"),
        "infinitely wrong": (lambda x: np.where(x == 2, np.nan, np.clip(x, -1, 1)).astype(x.dtype), "forward"),
        "of another dtype": (lambda x: step(x).astype(np.float64), "derivative"),
        "raising": (lambda x: 1 // 0, "forward"),
        "with a gradient": (lambda grad, x: grad * step(x), "backward"),
    }
    return {
        name: check(fn, "hardtanh", dtype="float16", computes=computes, subgradient="right").to_json()
        for name, (fn, computes) in judged.items()
    }


REPORTS = reports()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", REPORTS)
def test_reports_keep_the_schema(name: str) -> None:
    jsonschema.validate(json.loads(json.dumps(REPORTS[name], allow_nan=False)), SCHEMA)


@pytest.mark.parametrize(
    ("part", "of"),
    [("report", list), ("finding", "findings"), ("kink", "kinks")],
    ids=str,
)
def test_the_schema_describes_every_key_and_no_other(part: str, of: Any) -> None:
    found = list(REPORTS.values()) if of is list else [each for report in REPORTS.values() for each in report[of]]
    assert found
    for each in found:
        assert set(each) == set(SCHEMA["$defs"][part]["properties"]) == set(SCHEMA["$defs"][part]["required"])


def test_files_of_results_keep_the_schema() -> None:
    report = check(lambda x: step(x) * 1.25, "hardtanh", dtype="float16", computes="derivative")
    failed = result_of(report, **REQUEST)
    entry = {"activation": "hardtanh", "dtype": "float16", "computes": "derivative", "callable": "mine:fn"}
    defects = [KnownDefect(**entry, kind=finding.kind, link="https://example.org/1") for finding in report.findings]
    known = settle(failed, defects).applied_to(failed)
    assert known["status"] == "known"
    place = {"test": "test_a.py::test", "file": "test_a.py", "line": 3}
    results = [failed, known, {**place, **known}, not_run("no compiler", **REQUEST)]
    jsonschema.validate(json.loads(json.dumps(document(results), allow_nan=False)), SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("passed",), "yes"),
        (("max_ulp",), -1),
        (("worst_input",), "1.5"),
        (("findings", 0, "count"), 1.5),
        (("findings", 0), {}),
        (("kinks",), None),
    ],
    ids=str,
)
def test_a_report_that_is_none_is_refused(path: tuple[Any, ...], value: Any) -> None:
    report = copy.deepcopy(REPORTS["wrong"])
    place = report
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, SCHEMA)


def test_the_page_explains_every_key() -> None:
    explained = set(re.findall(r"`([\w-]+)`", PAGE.read_text(encoding="utf-8")))
    for part in ("report", "finding", "kink", "result", "results"):
        assert set(SCHEMA["$defs"][part]["properties"]) <= explained
