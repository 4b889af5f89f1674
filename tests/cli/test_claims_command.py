"""`relusym claims` and `relusym layer` as a user meets them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relusym.cli import app

run = CliRunner().invoke


def test_a_claim_is_printed_with_verdict_reason_and_source() -> None:
    done = run(app, ["claims", "relu-range"])
    assert done.exit_code == 0
    assert done.stdout.startswith("relu-range: proved\n")
    assert "proved: relu: range == [0, oo)" in done.stdout
    assert "said by: Nair & Hinton 2010" in done.stdout


def test_a_refuted_claim_is_a_result_and_no_error() -> None:
    done = run(app, ["claims", "zero-at-zero", "--format", "json"])
    assert done.exit_code == 0
    (claim,) = json.loads(done.stdout)["claims"]
    assert claim["verdict"] == "refuted"


def test_claims_are_written_into_a_file_with_pictures_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib")
    page = tmp_path / "page.md"
    arguments = ["claims", "gradient-through-depth", "--quick", "--format", "markdown", "-o", str(page)]
    done = run(app, [*arguments, "--plots", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "](claims-depth.svg)" in page.read_text(encoding="utf-8")
    assert (tmp_path / "claims-depth.svg").exists()
    assert run(app, arguments).exit_code == 2, "a file is not overwritten unasked"
    assert "claims-depth.svg exists" in run(app, ["claims", "relu-range", "--plots", str(tmp_path)]).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["claims", "capsule"], "no claim speaks of 'capsule'"),
        (["claims", "relu-range", "--plots", "nowhere"], "no directory"),
        (["layer", "reluu"], "relu"),
        (["layer", "relu", "--subgradient", "2"], "outside the Clarke interval"),
        (["layer", "elu", "--set", "alpha=-1"], "outside its domain"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(arguments: list[str], says: str) -> None:
    done = run(app, arguments)
    assert done.exit_code == 2
    assert says in done.stderr


@pytest.mark.parametrize("form", ["text", "latex", "markdown"])
def test_layer_prints_every_format(form: str) -> None:
    done = run(app, ["layer", "elu", "--set", "alpha=2", "--subgradient", "midpoint", "--format", form])
    assert done.exit_code == 0
    assert "midpoint" in done.stdout
