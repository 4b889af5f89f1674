"""Functions of several inputs or values on the command line."""

from pathlib import Path

from typer.testing import CliRunner

from relusym.cli import app

run = CliRunner().invoke


def test_derive_takes_a_maxout_of_any_number_of_inputs() -> None:
    done = run(app, ["derive", "maxout4", "--subgradient", "first"])
    assert done.exit_code == 0
    assert "z1 > max(z2, z3, z4)" in done.stdout
    assert "(first)" in done.stdout


def test_derive_folds_the_parameters_of_a_gate() -> None:
    done = run(app, ["derive", "swiglu", "--set", "beta=2", "--format", "latex"])
    assert done.exit_code == 0
    assert r"f(a, b) &= \frac{a b}{1 + e^{- 2 b}}" in done.stdout
    assert "swish(b) at beta = 2" in done.stdout


def test_layer_takes_units_of_several_inputs() -> None:
    done = run(app, ["layer", "maxout3"])
    assert done.exit_code == 0
    assert "dE/dW^(q)_ij = g_i·x_j·f_q(z_i)" in done.stdout


def test_recheck_says_that_there_is_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "maxout.json"
    assert run(app, ["derive", "maxout2", "--format", "json", "-o", str(file)]).exit_code == 0
    done = run(app, ["recheck", str(file)])
    assert done.exit_code == 2
    assert "function of several inputs or values, for which no certificates are written" in done.stderr
