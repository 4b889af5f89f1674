"""The pytest plugin: pytest runs a folder of marked tests, alone and with workers, and is read as a user would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from relusym.judge import check

KERNELS = """
import numpy as np


def relu(x):
    return np.maximum(x, 0)


def cut(x):
    return np.clip(x, 0, 6)
"""

TESTS = """
import unittest

import kernels
import numpy as np
import pytest
import relusym


@pytest.mark.relusym("relu", dtype=["float16", np.float32], callable=kernels.relu)
def test_named(): ...


@pytest.mark.relusym("relu6", dtype="float16", callable="kernels:cut")
@pytest.mark.relusym("relu", dtype="float16", callable="kernels:cut")
def test_two_marks(): ...


@pytest.fixture
def ceiling():
    return 6


@pytest.mark.relusym(relusym.relu6, dtype="bfloat16")
def test_returned(ceiling):
    return lambda x: np.clip(x, 0, ceiling).astype(x.dtype)


@pytest.mark.relusym("relu", dtype="float16", computes="derivative", subgradient="right",
                     callable=lambda x: np.where(np.isnan(x), x, x >= 0).astype(x.dtype))
class TestOfAClass:
    def test_report(self, relusym_report, relusym_edges):
        assert relusym_report.passed
        assert relusym_edges.dtype == np.float16
        assert np.float16(2**-24) in relusym_edges

    def test_body_is_run(self):
        assert False, "the body"


@pytest.mark.relusym("hardtanh", dtype="float32", callable=lambda x: np.clip(x, -1, 1))
def test_edges_are_next_to_kinks(relusym_edges):
    one = np.float32(1)
    assert np.nextafter(one, np.float32(0)) in relusym_edges
    assert np.nextafter(-one, np.float32(-2)) in relusym_edges


@pytest.mark.parametrize("relusym_edges", ["bfloat16"], indirect=True)
def test_edges_of_one_dtype(relusym_edges):
    assert relusym_edges.dtype.name == "bfloat16"


def test_edges(relusym_edges):
    assert np.isnan(relusym_edges).any()
    assert np.signbit(relusym_edges[relusym_edges == 0]).any()


@pytest.mark.relusym("relu", dtype="float16", callable="kernels:cut")
def test_expected_to_fail():
    assert False, "never run"


@pytest.mark.relusym("relu", dtype="float16", callable="kernels:relu")
def test_fixed_upstream(): ...


@pytest.mark.relusym("relu", dtype="float64", callable=kernels.relu)
def test_in_float64(): ...


@pytest.mark.relusym("relu")
def test_returns_nothing(): ...


@pytest.mark.relusym("relu", callable="kernels:none")
def test_of_no_function(): ...


@pytest.mark.relusym("reulu", callable="kernels:relu")
def test_of_no_activation(): ...


@pytest.mark.relusym("relu", callable="kernels:relu", max_ulps=1)
def test_with_a_wrong_keyword(): ...


@pytest.mark.parametrize("a", [pytest.param(1, marks=pytest.mark.relusym("relu", callable="kernels:cut"))])
def test_marked_too_late(a): ...


class TestOfUnittest(unittest.TestCase):
    @pytest.mark.relusym("relu", callable="kernels:cut")
    def test_cut(self): ...
"""

PROFILE = """
from hypothesis import settings

settings.register_profile("thorough", max_examples=200)
"""

KNOWN = """
[[defect]]
test = "test_kernels.py::test_expected_to_fail"
activation = "relu"
dtype = "float16"
kind = "KIND"
link = "https://example.org/cut"
reason = "stops at 6"

[[defect]]
test = "test_kernels.py::test_fixed_upstream"
activation = "relu"
dtype = "float16"
kind = "accuracy"
link = "https://example.org/fixed"

[[defect]]
callable = "kernels:gone"
activation = "relu"
dtype = "float16"
kind = "accuracy"
link = "https://example.org/elsewhere"
"""


@dataclass(frozen=True)
class Run:
    """One run of pytest: its text, the report file, and the outcome of each test."""

    code: int
    text: str
    document: Mapping[str, Any]
    outcomes: Mapping[str, str]
    folder: Path

    def results(self) -> dict[str, dict[str, Any]]:
        return {result["test"].rpartition("::")[2]: result for result in self.document["results"]}


def run_pytest(folder: Path, *arguments: str, **environment: str) -> Run:
    report, junit = folder / "report.json", folder / "junit.xml"
    files = ["--relusym-report", str(report), "--junitxml", str(junit)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *files, *arguments],
        cwd=folder,
        env={**{key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout + done.stderr
    assert "unrecognized arguments" not in text, "the plugin is not installed: pip install -e . again"
    document = json.loads(report.read_text()) if report.exists() else {}
    found = re.findall(r"^(PASSED|FAILED|ERROR|XFAIL) \S*?::(\S+)", text, re.MULTILINE)
    outcomes = {test.rpartition("::")[2]: outcome for outcome, test in found}
    return Run(done.returncode, text, document, outcomes, folder)


def folder_with(folder: Path, **files: str) -> Path:
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def kinds() -> list[str]:
    """What the judge finds in the kernel that is cut off: the file of known defects has to name all of it."""
    return sorted({finding.kind for finding in check(lambda x: np.clip(x, 0, 6), "relu", dtype="float16").findings})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, kinds: list[str]) -> Run:
    """All the tests above in one process, inside GitHub Actions."""
    folder = folder_with(tmp_path_factory.mktemp("alone"), kernels=KERNELS, test_kernels=TESTS)
    first, *others = KNOWN.split("\n\n")
    entries = [first.replace("KIND", kind) for kind in kinds]
    (folder / "known.toml").write_text("\n\n".join([*entries, *others]))
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    return run_pytest(folder, "-p", "no:xdist", "--relusym-known", "known.toml", **github)


def test_one_test_for_each_mark_and_dtype_and_broken_kernels_fail(run: Run) -> None:
    assert run.code == 1
    assert run.outcomes["test_named[relu-float16]"] == "PASSED"
    assert run.outcomes["test_named[relu-float32]"] == "PASSED"
    assert run.outcomes["test_two_marks[relu6-float16]"] == "PASSED"
    assert run.outcomes["test_two_marks[relu-float16]"] == "FAILED"
    assert run.outcomes["test_returned[relu6-bfloat16]"] == "PASSED"


def test_the_body_is_run_once_the_kernel_has_passed_and_has_the_report(run: Run) -> None:
    assert run.outcomes["test_report[relu-derivative-float16]"] == "PASSED"
    assert run.outcomes["test_body_is_run[relu-derivative-float16]"] == "FAILED"
    assert run.outcomes["test_edges_are_next_to_kinks[hardtanh-float32]"] == "PASSED"
    assert {f"test_edges[{dtype}]" for dtype in ("float16", "bfloat16", "float32", "float64")} <= set(run.outcomes)
    assert run.outcomes["test_edges_of_one_dtype[bfloat16]"] == "PASSED"


def test_a_failure_shows_the_report_and_nothing_of_ours(run: Run) -> None:
    section = run.text.partition("test_two_marks[relu-float16] ")[2].partition("\n___")[0]
    assert "FAILED: relu forward float16 (65,536 inputs, exhaustive)" in section
    assert re.search(r"got 0x1\.8p\+2, expected 0x\S+p\+\d+", section)
    assert "reproduce: " in section
    assert "where fn is kernels:cut" in section
    assert "pytest_plugin.py" not in section
    assert "Traceback" not in section


@pytest.mark.parametrize(
    ("test", "outcome", "words"),
    [
        (
            "test_returns_nothing[relu-float32]",
            "FAILED",
            "returned no function to judge; return the kernel, or name it",
        ),
        ("test_of_no_function[relu-float32]", "FAILED", "callable='kernels:none' is no package.module:function"),
        ("test_of_no_activation[reulu-float32]", "FAILED", "reulu"),
        ("test_with_a_wrong_keyword[relu-float32]", "FAILED", "has no keyword 'max_ulps'; known: callable, dtype"),
        ("test_marked_too_late[1]", "ERROR", "put it on a test function or its class"),
        ("test_cut", "ERROR", "not on a unittest.TestCase"),
    ],
)
def test_a_mark_that_judges_nothing_is_never_a_pass(run: Run, test: str, outcome: str, words: str) -> None:
    assert run.outcomes[test] == outcome
    section = re.split(r"\n_{3,}", run.text.partition(f"{test} ___")[2])[0]
    assert words in section
    assert "During handling" not in section


def test_a_known_defect_is_expected_and_one_that_is_gone_fails(run: Run) -> None:
    assert run.outcomes["test_expected_to_fail[relu-float16]"] == "XFAIL"
    assert run.outcomes["test_fixed_upstream[relu-float16]"] == "FAILED"
    assert "fixed upstream? remove the entry, see https://example.org/fixed" in run.text
    assert "no test judged this known defect: accuracy of kernels:gone" in run.text
    results = run.results()
    assert results["test_expected_to_fail[relu-float16]"]["status"] == "known"
    assert results["test_expected_to_fail[relu-float16]"]["known"][0]["link"] == "https://example.org/cut"


def test_the_report_has_what_was_judged_and_what_could_not_be(run: Run) -> None:
    statuses = {test: result["status"] for test, result in run.results().items()}
    assert statuses == {
        "test_named[relu-float16]": "passed",
        "test_named[relu-float32]": "passed",
        "test_two_marks[relu6-float16]": "passed",
        "test_two_marks[relu-float16]": "failed",
        "test_returned[relu6-bfloat16]": "passed",
        "test_report[relu-derivative-float16]": "passed",
        "test_body_is_run[relu-derivative-float16]": "passed",
        "test_edges_are_next_to_kinks[hardtanh-float32]": "passed",
        "test_expected_to_fail[relu-float16]": "known",
        "test_fixed_upstream[relu-float16]": "failed",
        "test_in_float64[relu-float64]": "passed",
        "test_of_no_function[relu-float32]": "not run",
        "test_of_no_activation[reulu-float32]": "not run",
    }
    failed = run.results()["test_two_marks[relu-float16]"]
    assert (failed["target"], failed["file"]) == ("kernels:cut", "test_kernels.py")
    assert TESTS.splitlines()[failed["line"] - 1].startswith(("@pytest.mark", "def test_two_marks"))


@pytest.fixture(scope="module")
def shared(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same tests in two workers, with a profile, a seed and dtypes of the user's own."""
    folder = folder_with(tmp_path_factory.mktemp("shared"), kernels=KERNELS, test_kernels=TESTS, conftest=PROFILE)
    (folder / "known.toml").write_text((run.folder / "known.toml").read_text())
    own = ["--hypothesis-profile", "thorough", "--hypothesis-seed", "7", "--relusym-dtypes", "float16,float32"]
    return run_pytest(folder, "-n", "2", "--relusym-known", "known.toml", *own)


def test_workers_report_the_same(run: Run, shared: Run) -> None:
    exhaustive = {test: result for test, result in run.results().items() if result["dtype"] == "float16"}
    assert {result["status"] for result in exhaustive.values()} == {"passed", "failed", "known"}
    assert {test: result for test, result in shared.results().items() if test in exhaustive} == exhaustive
    assert {test: shared.outcomes[test] for test in exhaustive} == {test: run.outcomes[test] for test in exhaustive}
    assert "::error" not in shared.text


def test_junit_has_the_numbers(run: Run) -> None:
    tree = ElementTree.parse(run.folder / "junit.xml")
    (case,) = tree.findall(".//testcase[@name='test_two_marks[relu-float16]']")
    told = {each.get("name"): each.get("value") for each in case.iter("property")}
    failed = run.results()["test_two_marks[relu-float16]"]
    assert told == {
        f"relusym_{key}": str(failed[key]) for key in ("activation", "dtype", "computes", "max_ulp", "worst_input")
    }


def test_github_is_told_the_file_and_the_line(run: Run) -> None:
    failed = run.results()["test_two_marks[relu-float16]"]
    lines = [line for line in run.text.splitlines() if line.startswith("::error ")]
    assert any(
        line.startswith(f"::error file=test_kernels.py,line={failed['line']},title=relu forward") for line in lines
    )
    assert len(lines) == sum(r["status"] in ("failed", "not run") for r in run.document["results"])
    assert (run.folder / "summary.md").read_text().startswith("### relusym: 2 failed, 2 not run, 1 known, 8 passed\n")


def test_profile_seed_and_dtypes_of_the_user_are_respected(shared: Run) -> None:
    deselected = {"test_returned[relu6-bfloat16]", "test_in_float64[relu-float64]"}
    assert not deselected & set(shared.outcomes)
    assert {f"test_returns_nothing[relu-{dtype}]" for dtype in ("float16", "float32")} <= set(shared.outcomes)
    tested = {
        examples: check(lambda x: np.maximum(x, 0), "relu", dtype="float32", examples=examples, seed=7).tested
        for examples in (120, 240)
    }
    assert tested[120] != tested[240]
    assert shared.results()["test_named[relu-float32]"]["tested"] == tested[240]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--relusym-dtypes", "float16,float8"], "dtype 'float8' is unknown"),
        (["--relusym-known", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["--relusym-report", "precious.txt"], "precious.txt exists"),
    ],
)
def test_a_wrong_option_is_refused_before_any_test(
    pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    from relusym import pytest_plugin

    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious.txt").write_text("precious")
    option, value = arguments
    monkeypatch.delattr(pytestconfig, "workerinput", raising=False)  # workers write no report
    monkeypatch.setattr(pytestconfig.option, option.strip("-").replace("-", "_"), value)
    with pytest.raises(pytest.UsageError, match=re.escape(words)):
        pytest_plugin.pytest_configure(pytestconfig)
    assert (tmp_path / "precious.txt").read_text() == "precious"


XFAIL = """
import pytest


@pytest.mark.xfail(reason="mended next week")
@pytest.mark.relusym("relu", dtype="float16", callable="kernels:cut")
def test_marked(): ...


@pytest.mark.xfail(strict=True)
@pytest.mark.relusym("relu", dtype="float16", callable="kernels:relu")
def test_right_after_all(): ...
"""


def test_a_failure_that_the_test_itself_expects_is_known_and_no_annotation(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, kernels=KERNELS, test_xfail=XFAIL)
    run = run_pytest(folder, "-p", "no:xdist", GITHUB_ACTIONS="true")
    found = run.results()
    marked, right = found["test_marked[relu-float16]"], found["test_right_after_all[relu-float16]"]
    assert (marked["status"], marked["known"], right["status"]) == ("known", [], "passed")
    assert marked["reason"].startswith("expected to fail: mended next week; wrong value at infinity")
    assert "::error" not in run.text
    assert run.code == 1, "pytest itself fails what was expected to fail and passes"
