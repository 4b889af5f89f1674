"""Results as SARIF 2.1.0, which code scanning of GitHub and other dashboards read: one alert for each finding.

Results (see `results`) go in; each class of defects is a rule. GitHub refuses a whole file in which one alert has no
file, so what is wrong with a function without a source of the user's is put into the file that stands for the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from relusym.judge.diagnosis import CLASSES
from relusym.judge.reports import installed_versions

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

BROKEN_PROMISES: Mapping[str, str] = {
    "dtype": "the result is of another dtype than the input",
    "shape": "the result has another shape than the input, or there are more or fewer results",
    "input-changed": "the call writes into its input",
    "result-changed": "a later call changes the result of an earlier one",
    "exception": "the call raises an exception",
}
"""Kinds of findings that `diagnosis` takes together as the class interface."""

GONE = "known-defect-gone"
"""The rule of entries of a file of known defects that meet nothing."""

RULES: Mapping[str, str] = {
    **{name: told for name, told in CLASSES.items() if name != "interface"},
    **BROKEN_PROMISES,
    GONE: "a defect that is listed as known is not found any more",
}
"""All rules, with what each of them means."""

REMEDIES: Mapping[str, str] = {
    "lost-tail": "Write the tail in a form that keeps it: erfc(-u) for 1 + erf(u), exp(x) where 1 + exp(x) is 1.",
    "cut-off": "Move the threshold to where the simpler formula is right to half an ulp of this dtype, or drop it.",
    "constant": "See that the kernel reads its input, and writes all of its output.",
    "cancellation": "Use a function that does not subtract: expm1, log1p, erfc, or a polynomial around the root.",
    "inaccurate": "Compute in a wider format and round once, or look at the input of the message step by step.",
    "wrong-sign": "Look for a subtraction of numbers that are nearly equal, or a polynomial used outside its interval.",
    "wrong-limit": "Choose the limit by a comparison before infinity meets 0 or infinity.",
    "nan": "Look for inf - inf, inf * 0 or inf / inf; clamp what goes into exp, and select afterwards.",
    "nan-swallowed": "Write comparisons and max so that NaN is handed on.",
    "overflow": "Scale before multiplying, or use exponentials of numbers that are not positive.",
    "flush": "Switch flushing to zero off, or judge leniently where the processor cannot do otherwise.",
    "kink": "Choose the derivative that is wanted there, or name the convention of this kernel by subgradient.",
    "wrong-sum": "See that every row is added once, those of the last tile too.",
    "range": "Clamp the result to the range of the function.",
    "layout": "Use the same code for whole vectors, for tails and for strided arrays.",
    "dtype": "Round the result to the dtype of the input.",
    "shape": "Return one array of the input's shape for each quantity.",
    "input-changed": "Write into memory of the kernel's own.",
    "result-changed": "Return memory that no later call uses.",
    "exception": "See the message; a function on the arrays of a framework needs through.",
    GONE: "Remove the entry: left in place it would hide the next defect of its kind.",
}
"""What to do about each of them."""


def log(
    results: Sequence[Mapping[str, Any]],
    *,
    category: str,
    stands_for_run: str,
    gone: Sequence[str] = (),
    file_in_repository: Callable[[str], str] = str,
) -> dict[str, Any]:
    """The content of a SARIF file; known defects are notes, and suppressed.

    `category` tells runs of one commit apart. Alerts lie at the `file` and `line` of their result, else at the first
    line of `stands_for_run`, and so do the messages `gone` about known defects that meet nothing. Files are given as
    `file_in_repository` says. A fingerprint is made of what was judged and of the rule, not of the numbers.
    """
    alerts = [alert for result in results for alert in _alerts(result)]
    alerts += [_alert(GONE, text, {"target": text, "activation": "", "computes": "", "dtype": ""}) for text in gone]
    met: dict[str, int] = {}
    for alert in alerts:
        identity = alert["partialFingerprints"]["relusym/v1"]
        met[identity] = met.get(identity, 0) + 1
        alert["partialFingerprints"]["primaryLocationLineHash"] = f"{identity}:{met[identity]}"
        place = alert["locations"][0].setdefault("physicalLocation", _place(stands_for_run, 1))
        place["artifactLocation"]["uri"] = _uri(file_in_repository(place["artifactLocation"]["uri"]))
    versions = installed_versions()
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": "relusym", "semanticVersion": versions["relusym"], "rules": _rules()},
                },
                "automationDetails": {"id": f"{category}/"},
                "columnKind": "unicodeCodePoints",
                "results": alerts,
                "properties": {"versions": dict(versions)},
            }
        ],
    }


def _rules() -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "name": "".join(map(str.capitalize, name.split("-"))),
            "shortDescription": {"text": _sentence(told)},
            "fullDescription": {"text": _sentence(told)},
            "help": {"text": f"{_sentence(told)} {REMEDIES[name]}"},
            "defaultConfiguration": {"level": "error"},
            "properties": {"tags": ["numerics"], "precision": "very-high", "problem.severity": "error"},
        }
        for name, told in RULES.items()
    ]


def _alerts(result: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """One for each finding; one for a result that fails because a known defect is gone."""
    known = {(entry["kind"], entry["input"]): entry for entry in result.get("known", ())}
    findings = result.get("findings", ())
    covered = [known.get((finding["kind"], finding["input"])) for finding in findings]
    for finding, entry in zip(findings, covered, strict=True):
        rule = finding["kind"] if finding["defect"] == "interface" else finding["defect"]
        told = f"{_subject(result)}: {finding['message']}"
        if "reproduce" in result:
            told += f"\nreproduce: {result['reproduce']}"
        alert = _alert(rule, told, result)
        keys = ("input", "gradient", "got", "expected", "ulps", "count", "where")
        alert["properties"] = {key: finding[key] for key in keys if finding.get(key) not in (None, "")}
        if entry is not None:
            reason = f" ({entry['reason']})" if entry["reason"] else ""
            alert["level"] = "note"
            alert["suppressions"] = [{"kind": "external", "justification": f"{entry['link']}{reason}"}]
        yield alert
    if result["status"] == "failed" and None not in covered:
        yield _alert(GONE, f"{_subject(result)}: {result['reason']}", result)


def _alert(rule: str, told: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Without the number that tells alerts of one rule apart; where a result has no file, without a physical place."""
    function = result.get("function") or result["target"]
    judged = (function, result["activation"], result["computes"], result["dtype"])
    location: dict[str, Any] = {}
    if "file" in result:
        location["physicalLocation"] = _place(result["file"], result["line"])
    named = zip(("function", "quantity", "type"), (function, result["computes"], result["dtype"]), strict=True)
    location["logicalLocations"] = [{"kind": kind, "fullyQualifiedName": name} for kind, name in named if name]
    return {
        "ruleId": rule,
        "ruleIndex": list(RULES).index(rule),
        "level": "error",
        "message": {"text": told},
        "locations": [location],
        "partialFingerprints": {"relusym/v1": sha256("\0".join((*judged, rule)).encode()).hexdigest()[:32]},
    }


def _subject(result: Mapping[str, Any]) -> str:
    function = result.get("function") or result["target"]
    return f"{function} as {result['activation']} {result['computes']} {result['dtype']}"


def _place(file: str, line: int) -> dict[str, Any]:
    region = {"startLine": line, "startColumn": 1, "endLine": line, "endColumn": 2}
    return {"artifactLocation": {"uri": file}, "region": region}


def _uri(file: str) -> str:
    """A file as a URI: relative to the root of the repository, absolute ones with their scheme."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
