"""relusym conventions, and --subgradient with the name of a convention."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relusym.activations import named
from relusym.cli import app
from relusym.cli.application import policy_of
from relusym.cli.verifying import _generated_by

run = CliRunner().invoke


def test_conventions_prints_the_table_and_the_disagreements() -> None:
    done = run(app, ["conventions"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    rows = [line.split() for line in lines]
    assert ["function", "kink", "Clarke", "interval", "torch-2.13", "jax-0.10", "tensorflow-2.21", "least-norm"] in rows
    assert ["hardtanh", "lower", "[0,", "1]", "0", "1", "1", "0"] in rows
    (leaky,) = (line for line in lines if line.startswith("  leaky_relu at 0:"))
    assert "negative_slope in torch-2.13 and tensorflow-2.21; 1 in jax-0.10" in leaky
    assert "  hardtanh at upper: 0 in torch-2.13; 1 in jax-0.10 and tensorflow-2.21; least-norm is 0" in lines
    assert "  celu at 0: 2 in tensorflow-2.21; the derivative is 1" in lines


def test_conventions_as_json_says_what_is_inside() -> None:
    done = run(app, ["conventions", "prelu", "hardshrink", "--format", "json"])
    found = json.loads(done.stdout)
    assert found["schema"] == 1
    assert [(kink["activation"], kink["at"]) for kink in found["kinks"]] == [
        ("prelu", "0"),
        ("hardshrink", "-lambd"),
        ("hardshrink", "lambd"),
    ]
    prelu, hardshrink, _ = (kink["conventions"] for kink in found["kinks"])
    assert prelu["torch-2.13"] == {
        "function": "torch.nn.functional.prelu",
        "slope": "alpha",
        "inside": True,
        "value": None,
    }
    assert prelu["tensorflow-2.21"]["inside"] is False
    assert hardshrink["onnx-1.23"] == {"function": "Shrink(bias=0)", "slope": None, "inside": None, "value": "0"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["conventions", "gelu"],
        ["conventions", "torch-1.0"],
        ["derive", "relu", "--subgradient", "torch-1.0"],
        ["derive", "relu", "--subgradient", "any"],
        ["generate", "softshrink", "--subgradient", "jax", "--computes", "derivative"],
        ["verify", "softshrink", "--subgradient", "jax"],
        ["verify", "relu", "--subgradient", "any"],
        ["verify", "maxout2", "--subgradient", "torch"],
        ["verify", "maxout2", "--subgradient", "left"],
        ["verify", "relu", "--subgradient", "torch", "--dtype", "float32", "--exhaustive"],
    ],
    ids=" ".join,
)
def test_what_no_convention_says_is_one_message_and_exit_code_2(arguments: list[str]) -> None:
    done = run(app, arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("relusym: ")


def test_derive_says_whose_value_stands_at_a_kink() -> None:
    done = run(app, ["derive", "hardtanh", "--subgradient", "jax"])
    assert "kink at 1           slopes 1 and 0, Clarke interval [0, 1], f' = 1 by jax-0.10" in done.stdout


def test_generate_names_the_convention_with_its_version() -> None:
    done = run(
        app, ["generate", "leaky_relu", "--target", "numpy", "--computes", "derivative", "--subgradient", "torch"]
    )
    assert "derivative at kinks: torch-2.13." in done.stdout


def test_a_function_of_the_user_is_judged_by_a_convention(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n\ndef slope(x):\n    return np.where(np.isnan(x), x, (abs(x) <= 1).astype(x.dtype))\n",
        encoding="utf-8",
    )
    words = ["verify", "hardtanh", "--callable", f"{path}:slope", "--dtype", "float16", "--computes", "derivative"]
    assert run(app, [*words, "--subgradient", "jax"]).exit_code == 0
    assert run(app, [*words, "--subgradient", "torch"]).exit_code == 1
    assert run(app, words).exit_code == 1


@pytest.mark.parametrize(
    ("names", "computes", "policy"),
    [(["hardtanh"], "derivative", "jax"), (["reglu", "crelu"], "backward", "torch")],
)
def test_kernels_of_a_convention_are_verified(names: list[str], computes: str, policy: str) -> None:
    done = run(app, ["verify", *names, "--dtype", "float16", "--computes", computes, "--subgradient", policy])
    assert done.exit_code == 0, done.output
    assert f"{len(names)} passed" in done.stdout


@pytest.mark.parametrize(
    ("typed", "written"),
    [("least-norm", ""), ("jax", ", subgradient='jax'"), ("1/2", ", subgradient=fractions.Fraction('1/2')")],
)
def test_the_line_that_makes_a_kernel_again_has_the_policy(typed: str, written: str) -> None:
    from relusym_codegen.acceptance import batches
    from relusym_codegen.acceptance import run as judged

    (batch,) = batches([named("relu")], dtypes=("float16",), computes=("derivative",), subgradient=policy_of(typed))
    (result,) = judged(batch)
    line = _generated_by(result, named("relu"), {}, policy_of(typed))
    assert line == f"relusym_codegen.generate('relu', 'numpy', 'float16', 'derivative', 'precise'{written}).load()"
