"""The command line as a user meets it: what it prints, where, and the exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relusym.activations import NAMES, SEVERAL
from relusym.cli import app

run = CliRunner().invoke


def test_list_names_the_whole_catalogue() -> None:
    done = run(app, ["list"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*NAMES, *SEVERAL]


@pytest.mark.parametrize("output", ["text", "latex", "markdown", "json"])
def test_derive_prints_every_format(output: str) -> None:
    done = run(app, ["derive", "elu", "--set", "alpha=2", "--format", output])
    assert done.exit_code == 0
    assert "elu" in done.stdout or output == "latex"
    if output == "json":
        assert json.loads(done.stdout)["schema"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["derive", "__import__('os').system('true')"],
        ["derive", "x**10**10**10"],
        ["derive", "reluu"],
        ["generate", "x*a"],
        ["derive", "elu", "--set", "alpha"],
        ["derive", "elu", "--set", "alpha=-1"],
        ["derive", "elu", "--set", "beta=1"],
        ["derive", "relu", "--subgradient", "2"],
        ["derive", "relu", "--subgradient", "first"],
        ["derive", "maxout1"],
        ["derive", "maxout2", "--subgradient", "left"],
        ["compare", "relu", "maxout2"],
        ["prove", "maxout2", "convex"],
        ["relax", "reglu", "--interval=-1,1"],
        ["plot", "crelu"],
        ["layer", "crelu"],
        ["generate", "relu", "--dtype", "int8"],
        ["generate", "relu", "--target", "fortran"],
        ["generate", "relu", "--computes", "integral"],
        ["verify", "relu", "--target", "fortran"],
        ["verify", "relu", "--exhaustive", "--dtype", "float64"],
        ["verify", "relu", "elu", "--callable", "math:tanh"],
        ["verify", "relu", "--callable", "nowhere"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_message_and_exit_code_2(arguments: list[str]) -> None:
    done = run(app, arguments)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert done.stderr.startswith("relusym: ")


def test_generate_prints_the_source_alone() -> None:
    from relusym_codegen import generate

    done = run(app, ["generate", "silu", "--dtype", "float16"])
    assert done.stdout == str(generate("silu", dtype="float16"))


def test_a_file_is_written_checked_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "gelu_f32.py"
    command = ["generate", "gelu"]
    assert run(app, [*command, "-o", str(path)]).exit_code == 0
    assert run(app, [*command, "--check", str(path)]).exit_code == 0
    refused = run(app, [*command, "-o", str(path)])
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    path.write_text(path.read_text().replace("np.exp(", "np.exp2("))
    differs = run(app, [*command, "--check", str(path)])
    assert differs.exit_code == 1
    assert "exp2" in differs.stdout
    assert run(app, [*command, "-o", str(path), "--force"]).exit_code == 0
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_cuda_text_goes_into_a_cu_file(tmp_path: Path) -> None:
    path = tmp_path / "relu.cu"
    assert run(app, ["generate", "relu", "--target", "cupy", "-o", str(path)]).exit_code == 0
    assert path.read_text().lstrip().startswith("//")
    assert "__global__" in path.read_text()
    assert "relu_forward_float32_precise(" in path.read_text()


def test_a_committed_file_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "gelu_f32.py"
    run(app, ["generate", "gelu", "-o", str(path)])
    passed = run(app, ["verify", "gelu", "--callable", f"{path}:forward"])
    assert passed.exit_code == 0, passed.output
    path.write_text(path.read_text().replace("np.subtract(1.0,", "np.subtract(0.5,"))
    failed = run(app, ["verify", "gelu", "--callable", f"{path}:forward"])
    assert failed.exit_code == 1
    assert "FAILED: gelu forward float32" in failed.stdout
    assert "reproduce:" in failed.stdout


def test_verify_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = run(app, ["verify", "relu", "--dtype", "float16", "--json", str(path), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert "passed, 0 failed, 0 not run" in done.stdout
    document = json.loads(path.read_text())
    assert document["schema"] == 1
    assert {result["activation"] for result in document["results"]} == {"relu"}
    assert all(result["status"] == "passed" for result in document["results"])


def test_a_wrong_kernel_makes_verify_fail_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from relusym_codegen.targets import numpy as target

    monkeypatch.setitem(target.ROWS, "exp", "np.exp2({0}, out={out})")
    done = run(app, ["verify", "sigmoid", "--dtype", "float16", "--computes", "forward", "--jobs", "1"])
    assert done.exit_code == 1
    assert "FAILED: sigmoid forward float16" in done.stdout


def test_doctor_says_what_runs() -> None:
    done = run(app, ["doctor"])
    assert done.exit_code == 0
    assert "numpy kernels: run here" in done.stdout
    assert "cuda kernels on a GPU:" in done.stdout
