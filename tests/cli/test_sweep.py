"""`relusym verify --exhaustive`: the table, the record, the comparison with one, and what is refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relusym.cli import app

run = CliRunner().invoke
SWEEP = ["verify", "relu", "--exhaustive", "--stride", "256", "--accuracy", "fast", "--jobs", "1"]
ONE = [*SWEEP, "--computes", "forward"]


def test_a_record_is_written_and_comes_out_again(tmp_path: Path) -> None:
    path = tmp_path / "relu.json"
    done = run(app, [*SWEEP, "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert [line.split()[:5] for line in done.stdout.splitlines()[1:]] == [
        ["relu", "numpy", "float32", "fast", computes] for computes in ("forward", "derivative")
    ]
    document = json.loads(path.read_text())
    assert document["schema"] == 1
    assert [record["computes"] for record in document["records"]] == ["forward", "derivative"]
    assert all(record["passed"] and record["versions"]["numpy"] for record in document["records"])
    assert [file.name for file in tmp_path.iterdir()] == ["relu.json"]

    again = run(app, [*ONE, "--against", str(path)])
    assert again.exit_code == 0, again.output
    assert f"relu forward numpy float32 fast: as recorded in {path}" in again.stdout

    for key, value, code in (("kernel_sha256", "0", 1), ("digest", "0", 1), ("stride", 1, 2), ("kernel", "x", 2)):
        changed = {**document, "records": [{**document["records"][0], key: value}]}
        path.write_text(json.dumps(changed))
        refused = run(app, [*ONE, "--against", str(path)])
        assert refused.exit_code == code, refused.output
        assert key in refused.output or key == "kernel"


def test_a_broken_kernel_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from relusym_codegen.targets import numpy as target

    monkeypatch.setitem(target.ROWS, "max", "np.fmax({0}, {1}, out={out})")
    monkeypatch.setitem(target.ROWS, "exp", "np.exp2({0}, out={out})")
    done = run(app, ["verify", "sigmoid", *ONE[2:]])
    assert done.exit_code == 1, done.output
    assert "failed" in done.stdout
    assert "sigmoid forward: accuracy: too inaccurate at x = " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--exhaustive", "--dtype", "float64"], "float64"),
        (["--exhaustive", "--dtype", "float32", "--dtype", "float16"], "16-bit"),
        (["--exhaustive", "--computes", "backward"], "backward"),
        (["--exhaustive", "--stride", "300"], "stride"),
        (["--exhaustive", "--callable", "math:sin"], "relusym.judge.exhaust"),
        (["--exhaustive", "--against", "/nowhere.json"], "no records"),
        (["--stride", "2"], "--exhaustive"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_cannot_be_swept_is_refused(arguments: list[str], said: str) -> None:
    done = run(app, ["verify", "relu", *arguments])
    assert done.exit_code == 2, done.output
    assert said in done.stderr
