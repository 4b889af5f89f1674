"""What GitHub Actions is told, from invented results; nothing outside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relusym.errors import InvalidRequest
from relusym.judge.github import MOST_ROWS, commands, step_summary, tell
from relusym.judge.results import not_run

REQUEST = {"activation": "gelu", "target": "mine:gelu", "dtype": "float16", "computes": "forward"}
FINDINGS = [{"message": "too inaccurate at x = 1, 50% off"}, {"message": "wrong sign at x = 2"}]


def result(status: str = "failed", **changes: Any) -> dict[str, Any]:
    reason = "" if status == "passed" else FINDINGS[0]["message"]
    findings = [] if status == "passed" else FINDINGS
    told = {"reason": reason, "findings": findings, "reproduce": "fn(1)", "max_ulp": 9.5, "worst_input": "0x1p+0"}
    return {**not_run("", **REQUEST), **told, "status": status, **changes}


def test_a_failure_is_one_line_with_everything_escaped() -> None:
    (line,) = commands([result(file="tests/a,b:c.py", line=7)])
    assert line == (
        "::error file=tests/a%2Cb%3Ac.py,line=7,title=gelu forward float16%3A failed::"
        "too inaccurate at x = 1, 50%25 off%0Awrong sign at x = 2%0Areproduce: fn(1)%0Akernel: mine:gelu"
    )


def test_line_ends_cannot_begin_another_command() -> None:
    (line,) = commands([result(reason="a\r\n::error::b", findings=[])])
    assert len(line.splitlines()) == 1
    assert "a%0D%0A::error::b" in line


@pytest.mark.parametrize("status", ["passed", "known"])
def test_what_is_as_expected_has_no_annotation(status: str) -> None:
    assert commands([result(status)]) == []


def test_what_was_not_run_is_an_error_of_a_test_and_a_warning_elsewhere() -> None:
    outcome = not_run("no C compiler", **REQUEST)
    assert commands([outcome])[0].startswith("::warning title=")
    assert commands([{**outcome, "test": "t.py::test", "file": "t.py", "line": 1}])[0].startswith("::error file=t.py")


def test_the_summary_shows_failures_first_and_folds_away_what_passed() -> None:
    results = [result("passed", target="good:fn"), result(target="bad:fn"), result("known", target="old:fn")]
    text = step_summary(results)
    assert text.startswith("### relusym: 1 failed, 1 known, 1 passed\n")
    places = [text.index(word) for word in ("`bad:fn`", "`old:fn`", "<details>", "`good:fn`", "</details>")]
    assert places == sorted(places)


def test_no_text_of_a_kernel_breaks_the_table() -> None:
    text = step_summary([result(target="a|b`c", reason="x | <script> `y`\n| z [link](https://example.org)")])
    row = next(line for line in text.splitlines() if "a\\|b" in line)
    assert row.replace("\\|", "").count("|") == 8
    assert "<script>" not in text
    assert "[link](" not in text


def test_a_long_summary_says_how_much_it_leaves_out_and_stays_below_a_mebibyte() -> None:
    text = step_summary([result(reason="&" * 10_000)] * (MOST_ROWS + 5))
    assert "5 more are not shown." in text
    assert len(text.encode()) < 2**20


def test_outside_github_nothing_is_written(tmp_path: Path) -> None:
    lines: list[str] = []
    tell([result()], {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}, lines.append)
    assert lines == []
    assert not list(tmp_path.iterdir())


def test_inside_github_the_summary_is_added_to_what_is_there(tmp_path: Path) -> None:
    lines: list[str] = []
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(tmp_path)}
    tell([result(file="test_a.py", line=3)], environment, lines.append, root=tmp_path / "python")
    assert summary.read_text().startswith("before\n### relusym: 1 failed\n")
    assert [line.partition(",")[0] for line in lines] == ["::error file=python/test_a.py"]


def test_a_summary_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="GITHUB_STEP_SUMMARY"):
        tell([result()], {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)}, lambda line: None)
