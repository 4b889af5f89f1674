"""derive --all, compare, plot, prove and recheck, as a user calls them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relusym.cli import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    "first",
    [pytest.param(4, id="the first four"), pytest.param(None, id="all", marks=pytest.mark.slow)],
)
def test_derive_all_gives_a_list_in_the_order_of_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int | None
) -> None:
    from relusym import activations

    entries = activations.catalogue()[:first]
    monkeypatch.setattr(activations, "catalogue", lambda: entries)
    path = tmp_path / "all.json"
    assert run("derive", "--all", "--format", "json", "-o", str(path)).exit_code == 0
    documents = json.loads(path.read_text())
    assert [document["name"] for document in documents] == [entry.name for entry in entries]
    assert {fact["verdict"] for document in documents for fact in document["facts"].values()} == {"PROVED"}
    again = run("derive", "--all", "--format", "json", "-o", str(path))
    assert again.exit_code == 2
    assert "--force" in again.stderr


@pytest.mark.parametrize(
    "arguments", [("derive",), ("derive", "relu", "--all"), ("derive", "--all", "--set", "alpha=1")]
)
def test_derive_wants_one_subject_or_all(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_sigma_is_the_spread_of_the_inputs() -> None:
    facts = json.loads(run("derive", "relu", "--format", "json", "--sigma", "3").stdout)["facts"]
    assert facts["gaussian_second_moment"]["value"]["exact"] == "9/2"
    for wrong in ("-1", "0", "wide"):
        assert run("derive", "relu", "--sigma", wrong).exit_code == 2


def test_certificates_go_from_derive_to_recheck(tmp_path: Path) -> None:
    path = tmp_path / "hardswish.json"
    assert run("derive", "hardswish", "--format", "json", "-o", str(path)).exit_code == 0
    done = run("recheck", str(path))
    assert done.exit_code == 0
    assert done.stdout.strip().endswith("0 wrong, 27 not re-checked")
    path.write_text(path.read_text().replace('"exact": "-3/8"', '"exact": "-1/8"'))
    done = run("recheck", str(path))
    assert done.exit_code == 1
    assert "wrong" in done.stdout


def test_recheck_refuses_another_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    assert run("recheck", str(path)).exit_code == 2
    assert run("recheck", str(tmp_path / "absent.json")).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("hardswish", "lipschitz <= 1.5"), 0, "proved"),
        (("hardswish", "lipschitz <= 1.49"), 1, "witness: x = "),
        (("selu", "convex"), 1, "witness: f("),
        (("sigmoid", "range == [0, 1]"), 1, "witness: 0 belongs"),
        (("leaky_relu", "f(x) = max(negative_slope*x, x)", "--set", "negative_slope=2"), 1, "witness: x = "),
        (("x + sin(exp(x))", "f' >= 0"), 4, "unknown"),
        (("relu", "is nice"), 2, ""),
    ],
)
def test_claims_are_settled_with_an_exit_code(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = run("prove", *arguments)
    assert done.exit_code == code
    assert words in done.stdout


def test_compare_takes_names_and_formulas() -> None:
    done = run("compare", "relu", "x*exp(-x**2)")
    assert done.exit_code == 0
    assert "convex" in done.stdout
    assert run("compare", "reluu").exit_code == 2


def test_plot_writes_a_picture_and_overwrites_none(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    path = tmp_path / "relu.svg"
    assert run("plot", "relu", "-o", str(path)).exit_code == 0
    assert path.read_text().startswith("<?xml")
    assert run("plot", "relu", "-o", str(path)).exit_code == 2
    assert run("plot", "relu", "-o", str(tmp_path / "relu.png"), "--interval=2,1").exit_code == 2


def test_linear_bounds_on_an_interval() -> None:
    done = run("relax", "relu", "--interval=-1,2")
    assert done.exit_code == 0
    assert "f(x) <= 2*x/3 + 2/3" in done.stdout
    assert run("relax", "relu", "--interval=2,1").exit_code == 2
