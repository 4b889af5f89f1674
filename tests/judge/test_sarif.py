"""SARIF from invented results: what the standard and GitHub ask for, and fingerprints that stay."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import numpy as np
import pytest

from relusym.judge.diagnosis import CLASSES, diagnosed
from relusym.judge.known import KnownDefect, settle
from relusym.judge.reports import KINDS
from relusym.judge.results import not_run
from relusym.judge.sarif import GONE, REMEDIES, RULES, log

REQUEST = {"activation": "gelu", "target": "mine:gelu", "dtype": "float16", "computes": "forward"}
LINK = "https://example.org/issues/1"

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object of these keys and no others: the standard allows no keys of one's own outside `properties`."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def listed(item: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": least}


# What SARIF 2.1.0 defines of the objects that are written here; required is what it requires, and GitHub's
# documentation of code scanning besides.
LINE = {"type": "integer", "minimum": 1}
PHYSICAL = closed(
    {
        "artifactLocation": closed({"uri": {"type": "string", "format": "uri-reference", "minLength": 1}}),
        "region": closed({"startLine": LINE, "startColumn": LINE, "endLine": LINE, "endColumn": LINE}),
    }
)
LOGICAL = closed({}, name={"type": "string"}, fullyQualifiedName={"type": "string"}, kind={"type": "string"})
ALERT = closed(
    {
        "ruleId": {"type": "string"},
        "message": TEXT,
        "locations": listed(closed({"physicalLocation": PHYSICAL, "logicalLocations": listed(LOGICAL)}), 1),
        "partialFingerprints": {
            "type": "object",
            "required": ["primaryLocationLineHash"],
            "additionalProperties": {"type": "string"},
        },
    },
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    suppressions=listed(closed({"kind": {"enum": ["inSource", "external"]}}, justification={"type": "string"})),
    properties={"type": "object"},
)
RULE = closed(
    {"id": {"type": "string"}, "shortDescription": TEXT, "fullDescription": TEXT, "help": TEXT},
    name={"type": "string", "maxLength": 255},
    defaultConfiguration=closed({}, level=LEVEL),
    properties={"type": "object"},
)
DRIVER = closed({"name": {"type": "string"}, "rules": listed(RULE, 1)}, semanticVersion={"type": "string"})
RUN = closed(
    {"tool": closed({"driver": DRIVER}), "results": listed(ALERT)},
    automationDetails=closed({"id": {"type": "string", "pattern": "/$"}}),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    properties={"type": "object"},
)
SARIF = closed({"$schema": {"type": "string"}, "version": {"const": "2.1.0"}, "runs": listed(RUN, 1)})


def finding(kind: str, at: str = "0x1p+0", defect: str = "inaccurate", got: str = "0x1p+1") -> dict[str, Any]:
    return {
        "kind": kind,
        "defect": defect,
        "input": at,
        "gradient": None,
        "got": got,
        "expected": "0x1p+0",
        "ulps": 9.5,
        "count": 3,
        "message": f"{kind} at x = {at}: got {got}",
        "where": "",
    }


def result(*findings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    status = "failed" if findings else "passed"
    return {**REQUEST, "status": status, "reason": "", "known": [], "findings": list(findings), **changes}


def alerts(*results: dict[str, Any], **words: Any) -> list[dict[str, Any]]:
    content = log(results, **{"category": "relusym/test", "stands_for_run": "out.sarif", **words})
    text = json.dumps(content, allow_nan=False)
    jsonschema.Draft202012Validator(SARIF).validate(json.loads(text))
    (run,) = content["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    found: list[dict[str, Any]] = run["results"]
    assert all(rules[alert["ruleIndex"]] == alert["ruleId"] for alert in found)
    return found


def hashes(found: list[dict[str, Any]]) -> list[str]:
    return [alert["partialFingerprints"]["primaryLocationLineHash"] for alert in found]


def test_each_finding_is_an_alert_under_the_rule_of_its_class() -> None:
    found = alerts(result(finding("accuracy", defect="lost-tail"), finding("dtype", "", "interface")), result())
    assert [alert["ruleId"] for alert in found] == ["lost-tail", "dtype"]
    assert found[0]["message"]["text"].startswith("mine:gelu as gelu forward float16: accuracy at x = 0x1p+0")
    names = [place["fullyQualifiedName"] for place in found[0]["locations"][0]["logicalLocations"]]
    assert names == ["mine:gelu", "forward", "float16"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_every_class_of_findings_is_a_rule(kind: str) -> None:
    seen = np.zeros(1, dtype=bool)
    value = np.zeros(1, dtype=np.float32)
    classes = (
        CLASSES.keys() - {"interface"} if kind == "accuracy" else {diagnosed(kind, value, value, value, seen).defect}
    )
    for defect in classes:
        (alert,) = alerts(result(finding(kind, defect=defect)))
        assert RULES[alert["ruleId"]]
        assert REMEDIES[alert["ruleId"]]


def test_a_place_is_that_of_the_function_or_the_file_that_stands_for_the_run() -> None:
    placed, other = result(finding("nan"), file="my kernels/gelu.py", line=7), result(finding("nan"))
    mine, framework = (alert["locations"][0]["physicalLocation"] for alert in alerts(placed, other))
    assert (mine["artifactLocation"]["uri"], mine["region"]["startLine"]) == ("my%20kernels/gelu.py", 7)
    assert (framework["artifactLocation"]["uri"], framework["region"]["startLine"]) == ("out.sarif", 1)


def test_files_are_given_from_the_root_of_the_repository() -> None:
    (alert,) = alerts(result(finding("nan"), file="gelu.py", line=7), file_in_repository=lambda file: f"src/{file}")
    assert alert["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "src/gelu.py"


def test_fingerprints_know_the_kernel_and_the_rule_and_not_the_numbers() -> None:
    first, again = (hashes(alerts(result(finding("nan", at=at), file="a.py", line=3))) for at in ("0x1p+0", "0x1p+3"))
    assert first == again
    others = [
        result(finding("nan"), **change)
        for change in ({"dtype": "float32"}, {"computes": "derivative"}, {"target": "b:c"}, {"function": "b.c(d=1)"})
    ]
    found = hashes(alerts(result(finding("nan")), *others, result(finding("nan", defect="overflow"))))
    assert len(set(found)) == len(others) + 2


def test_two_findings_of_one_rule_are_two_alerts() -> None:
    first, second = hashes(alerts(result(finding("nan"), finding("nan", at="0x1p+9"))))
    assert (first[-2:], second[-2:]) == (":1", ":2")
    assert first[:-1] == second[:-1]


def known(kind: str) -> KnownDefect:
    entry = {key: value for key, value in REQUEST.items() if key != "target"}
    return KnownDefect(**entry, callable=REQUEST["target"], kind=kind, link=LINK)


def test_known_defects_are_notes_with_their_link() -> None:
    judged = result(finding("nan"), finding("sign"))
    one, other = alerts(settle(judged, [known("nan")]).applied_to(judged))
    assert (one["level"], other["level"]) == ("note", "error")
    assert one["suppressions"] == [{"kind": "external", "justification": LINK}]
    assert "suppressions" not in other


def test_a_known_defect_that_is_gone_is_an_alert_and_so_is_one_that_meets_nothing() -> None:
    judged = result()
    (stale,) = alerts(settle(judged, [known("nan")]).applied_to(judged))
    (unmet,) = alerts(judged, gone=["no kernel that was judged ..."], stands_for_run="known.toml")
    assert stale["ruleId"] == unmet["ruleId"] == GONE
    assert "fixed upstream?" in stale["message"]["text"]
    assert unmet["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "known.toml"


def test_what_passed_or_was_not_run_is_no_alert() -> None:
    assert alerts(result(), not_run("not installed", **REQUEST)) == []


@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        ("runs", 0, "tool", "driver", "rules"),
        ("runs", 0, "results", 0, "locations", 0, "physicalLocation"),
    ],
    ids=str,
)
def test_a_log_without_what_is_required_is_refused(path: tuple[Any, ...]) -> None:
    content = copy.deepcopy(log([result(finding("nan"))], category="relusym/test", stands_for_run="out.sarif"))
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SARIF).validate(content)
