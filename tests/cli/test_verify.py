"""`relusym verify` and the files it reads and writes: verdicts, what could not run, and what is never lost."""

import json
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from relusym_codegen import acceptance
from typer.testing import CliRunner

from relusym.cli import app
from relusym.errors import Undecided

run = CliRunner().invoke
SCHEMA = json.loads(files("relusym.judge").joinpath("report.schema.json").read_text(encoding="utf-8"))
QUICK = ["--dtype", "float16", "--computes", "forward", "--jobs", "1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "x*a"],
        ["verify", "relu", "--set", "alpha=1"],
        ["verify", "relu", "--computes", "parameter-gradient", "--jobs", "1"],
        ["verify", "relu", "--json", "/nowhere/report.json"],
        ["generate", "relu", "-o", "."],
        ["derive", "relu", "--subgradient", "steepest"],
    ],
    ids=" ".join,
)
def test_bad_input_is_refused_before_any_work(arguments: list[str]) -> None:
    done = run(app, arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("relusym: ")


def test_several_formulas_keep_apart_and_are_shown() -> None:
    done = run(app, ["verify", "x*exp(-x**2)", "x/sqrt(1+x**2)", *QUICK])
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()[1:3]] == ["f1", "f2"]
    assert "f1: x*exp(-x**2)" in done.stdout


def test_cuda_rows_say_what_was_not_run() -> None:
    done = run(app, ["verify", "relu", "--target", "all", *QUICK])
    assert done.exit_code == 0, done.output
    if any(map(shutil.which, ("c++", "g++", "clang++"))):
        assert "passed at all inputs [1]" in done.stdout
        assert "[1] run on the CPU, where its arithmetic is the same; the GPU was not run" in done.stdout
    else:
        assert "not run [1]" in done.stdout


@pytest.mark.parametrize(("target", "code"), [("cuda", 3), ("all", 0)])
def test_without_a_compiler_cuda_is_not_run(target: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = run(app, ["verify", "relu", "--target", target, *QUICK])
    assert done.exit_code == code
    assert "no C++ compiler was found" in done.output
    if target == "all":
        assert "no C compiler was found" in done.output
        assert "0 failed, 2 not run" in done.stdout


def test_a_failure_names_a_line_that_makes_the_kernel_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from relusym_codegen.targets import numpy as target

    monkeypatch.setitem(target.ROWS, "exp", "np.exp2({0}, out={out})")
    done = run(app, ["verify", "swish", *QUICK])
    assert done.exit_code == 1
    made = next(line for line in done.stdout.splitlines() if line.startswith("  where fn = "))
    assert "relusym_codegen.generate('swish', 'numpy', 'float16', 'forward', 'precise').load()" in made
    assert made.endswith("beta=1.0)")


def test_parameters_are_passed_to_a_function_that_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "prelu_f32.py"
    run(app, ["generate", "prelu", "-o", str(path)])
    done = run(app, ["verify", "prelu", "--callable", f"{path}:forward", "--set", "alpha=0.1"])
    assert done.exit_code == 0, done.output
    assert "parameters passed: alpha=0.10000000149011612" in done.stdout


@pytest.mark.parametrize("home", ["kernel", "callable"])
def test_every_record_keeps_the_schema(home: str, tmp_path: Path) -> None:
    path, report = tmp_path / "kernel.py", tmp_path / "report.json"
    run(app, ["generate", "relu", "-o", str(path)])
    command = QUICK if home == "kernel" else ["--callable", f"{path}:forward"]
    run(app, ["verify", "relu", *command, "--json", str(report)])
    document = json.loads(report.read_text())
    jsonschema.validate(document, SCHEMA)
    assert "results" in document
    assert "numpy" in document["versions"]
    assert [record["status"] for record in document["results"]] == ["passed"]


def test_a_report_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("precious")
    command = ["verify", "relu", *QUICK, "--json", str(path)]
    assert run(app, command).exit_code == 2
    assert path.read_text() == "precious"
    assert run(app, [*command, "--force"]).exit_code == 0
    assert json.loads(path.read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("import no_such_package_anywhere", 3, "no_such_package_anywhere"),
        ("def forward(", 2, "SyntaxError"),
        ("other = 1", 2, "has no 'forward'"),
        ("forward = 1", 2, "not callable"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_message(tmp_path: Path, text: str, code: int, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    done = run(app, ["verify", "relu", "--callable", f"{path}:forward"])
    assert done.exit_code == code, done.output
    assert said in done.stderr


def test_an_unsafe_formula_warns_on_stderr_alone() -> None:
    done = run(app, ["generate", "exp(x**2)*cos(exp(x)) - exp(x**2)", "--target", "numpy"])
    assert done.exit_code == 0, done.output
    assert "def forward(x, out=None):" in done.stdout
    assert done.stderr.startswith("warning: ")
    assert "warning:" not in done.stdout


def test_an_interrupt_ends_all_workers_with_exit_code_130() -> None:
    command = [sys.executable, "-m", "relusym.cli", "verify", "gelu", "silu", "--jobs", "2"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in the background lets them ignore the signal
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors


def test_help_of_every_command_gives_an_example() -> None:
    for command in ("list", "derive", "generate", "verify", "doctor"):
        assert f"Example: relusym {command}" in run(app, [command, "--help"]).stdout


@pytest.mark.parametrize(
    ("present", "absent", "code", "said"),
    [
        (("cupy-cuda12x", "cupy-cuda13x"), (), 3, "overwrite each other"),
        ((), ("python-flint",), 3, "pip install python-flint"),
        (("cupy-cuda12x",), (), 0, "numpy kernels: run here"),
    ],
)
def test_doctor_names_what_is_wrong(
    present: tuple[str, ...], absent: tuple[str, ...], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name in absent or ("cupy" in name and name not in present):
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    done = run(app, ["doctor"])
    assert done.exit_code == code, done.output
    assert said in done.output


def test_an_undecided_batch_is_named_and_exits_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    def undecided(batch: acceptance.Batch) -> tuple[acceptance.Result, ...]:
        raise Undecided("a limit was not found in time")

    monkeypatch.setattr(acceptance, "run", undecided)
    done = run(app, ["verify", "relu", *QUICK])
    assert done.exit_code == 4
    assert done.stderr == "relusym: relu for numpy: a limit was not found in time\n"


def test_how_strictly_a_callable_is_judged_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "flushing.py").write_text(
        "import numpy as np\n\n\ndef kernel(x):\n    y = np.tanh(x)\n"
        "    return np.where(np.abs(y) < np.finfo(y.dtype).smallest_normal, y * 0, y)\n"
    )
    asked = ["verify", "tanh", "--callable", f"{tmp_path / 'flushing.py'}:kernel", "--dtype", "float32"]
    runner = CliRunner()
    assert runner.invoke(app, asked).exit_code == 1
    assert runner.invoke(app, [*asked, "--lenient"]).exit_code == 0
    assert runner.invoke(app, [*asked, "--lenient", "--max-ulp", "0.4"]).exit_code == 1
    refused = runner.invoke(app, ["verify", "tanh", "--strict"])
    assert refused.exit_code == 2
    assert "go with --callable" in refused.output


def test_a_file_of_a_user_may_hold_dataclasses_and_have_siblings(tmp_path: Path) -> None:
    (tmp_path / "sibling_of_mine.py").write_text("import numpy as np\n\nbase = np.tanh\n")
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom sibling_of_mine import base\n\n\n"
        "@dataclass\nclass Kernel:\n    scale: float\n\n\ndef kernel(x):\n    return base(x)\n"
    )
    asked = ["verify", "tanh", "--dtype", "float16", "--callable"]
    assert CliRunner().invoke(app, [*asked, f"{tmp_path / 'mine.py'}:kernel"]).exit_code == 0
    (tmp_path / "raises.py").write_text("raise RuntimeError('not today')\n")
    refused = CliRunner().invoke(app, [*asked, f"{tmp_path / 'raises.py'}:kernel"])
    assert refused.exit_code == 2
    assert "RuntimeError: not today" in refused.output
