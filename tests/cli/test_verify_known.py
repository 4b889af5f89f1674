"""`relusym verify --callable` in a CI: known defects, annotations, and the step's summary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relusym.cli import app

run = CliRunner().invoke
QUICK = ["--dtype", "float16"]
ENTRY = """
[[defect]]
callable = "{path}:forward"
activation = "relu"
dtype = "float16"
kind = "{kind}"
link = "https://example.org/1"
"""


def kernel(tmp_path: Path, *, broken: bool) -> Path:
    path = tmp_path / "kernel.py"
    path.write_text(f"import numpy as np\n\n\ndef forward(x):\n    return np.clip(x, 0, {6 if broken else 'np.inf'})\n")
    return path


def known(tmp_path: Path, kernel: Path, *kinds: str) -> Path:
    path = tmp_path / "known.toml"
    path.write_text("".join(ENTRY.format(path=kernel, kind=kind) for kind in kinds))
    return path


def found(tmp_path: Path, path: Path) -> list[str]:
    report = tmp_path / "first.json"
    run(app, ["verify", "relu", "--callable", f"{path}:forward", *QUICK, "--json", str(report)])
    (result,) = json.loads(report.read_text())["results"]
    return [finding["kind"] for finding in result["findings"]]


def test_known_defects_end_with_0_and_are_told_as_known(tmp_path: Path) -> None:
    path = kernel(tmp_path, broken=True)
    entries = known(tmp_path, path, *found(tmp_path, path))
    report = tmp_path / "report.json"
    command = [
        "verify",
        "relu",
        "--callable",
        f"{path}:forward",
        *QUICK,
        "--known",
        str(entries),
        "--json",
        str(report),
    ]
    done = run(app, command)
    assert done.exit_code == 0, done.output
    assert "; https://example.org/1" in done.stdout
    assert f"known: nothing was found but what {entries} lists" in done.stdout
    (result,) = json.loads(report.read_text())["results"]
    assert (result["status"], result["passed"]) == ("known", False)


def test_a_defect_that_is_fixed_ends_with_1_and_its_link(tmp_path: Path) -> None:
    path = kernel(tmp_path, broken=False)
    entries = known(tmp_path, path, "accuracy")
    done = run(app, ["verify", "relu", "--callable", f"{path}:forward", *QUICK, "--known", str(entries)])
    assert done.exit_code == 1
    assert "fixed upstream? remove the entry, see https://example.org/1" in done.stdout


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ({}, 0),
        ({'activation = "relu"': 'activation = "relu6"'}, 1),
        ({'dtype = "float16"': 'dtype = "float32"'}, 0),
        ({'callable = "': 'callable = "other/'}, 0),
    ],
)
def test_an_entry_that_this_run_should_have_met_and_did_not_ends_with_1_and_its_link(
    tmp_path: Path, written: dict[str, str], code: int
) -> None:
    path = kernel(tmp_path, broken=False)
    entries = known(tmp_path, path, *(["accuracy"] if written else []))
    for old, new in written.items():
        entries.write_text(entries.read_text().replace(old, new))
    report = tmp_path / "report.json"
    command = ["verify", "relu", "--callable", f"{path}:forward", *QUICK, "--known", str(entries)]
    done = run(app, [*command, "--json", str(report)])
    assert done.exit_code == code, done.output
    (result,) = json.loads(report.read_text())["results"]
    assert result["status"] == ("failed" if code else "passed")
    if code:
        assert result["reason"] in done.stdout
        assert result["reason"].startswith("no kernel that was judged is that of this known defect: accuracy of ")
        assert result["reason"].endswith("see https://example.org/1")


def test_sarif_has_the_place_of_the_function_and_the_state_of_known_defects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = kernel(tmp_path, broken=True)
    command = ["verify", "relu", "--callable", "kernel.py:forward", *QUICK, "--sarif", "a.sarif", "--force"]
    assert run(app, command).exit_code == 1
    first = json.loads((tmp_path / "a.sarif").read_text())["runs"][0]
    assert first["automationDetails"]["id"] == "relusym/verify/kernel.py:forward/relu/forward/float16/"
    assert {alert["level"] for alert in first["results"]} == {"error"}
    places = [alert["locations"][0]["physicalLocation"] for alert in first["results"]]
    assert {(at["artifactLocation"]["uri"], at["region"]["startLine"]) for at in places} == {("kernel.py", 4)}
    entries = known(tmp_path, Path("kernel.py"), *found(tmp_path, path))
    assert run(app, [*command, "--known", str(entries)]).exit_code == 0
    second = json.loads((tmp_path / "a.sarif").read_text())["runs"][0]
    assert {alert["level"] for alert in second["results"]} == {"note"}
    assert [alert["partialFingerprints"] for alert in first["results"]] == [
        alert["partialFingerprints"] for alert in second["results"]
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--known", "nowhere.toml", "--callable", "numpy:abs"], "nowhere.toml cannot be read"),
        (["--known", "nowhere.toml"], "--known goes with --callable"),
        (["--sarif", "a.sarif"], "--sarif goes with --callable"),
        (["--sarif", "a", "--json", "a", "--callable", "numpy:abs"], "files of their own"),
    ],
)
def test_wrong_use_of_known_is_refused(arguments: list[str], words: str) -> None:
    done = run(app, ["verify", "relu", *arguments, *QUICK])
    assert done.exit_code == 2
    assert words in done.stderr


def test_github_is_told_in_github_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    path = kernel(tmp_path, broken=True)
    command = ["verify", "relu", "--callable", f"{path}:forward", *QUICK]
    assert "::error" not in run(app, command).output
    assert not summary.exists()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = run(app, command).stdout.splitlines()
    assert sum(line.startswith("::error title=relu forward float16%3A failed::") for line in lines) == 1
    monkeypatch.chdir(tmp_path)
    lines = run(app, command).stdout.splitlines()
    assert sum(line.startswith("::error file=kernel.py,line=4,title=relu forward float16%3A") for line in lines) == 1
    run(app, ["verify", "relu", *QUICK, "--computes", "forward", "--accuracy", "fast", "--jobs", "1"])
    assert summary.read_text().count("### relusym: 1 failed") == 2
    assert summary.read_text().count("### relusym: 1 passed") == 1
