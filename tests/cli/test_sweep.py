"""`relusym verify --exhaustive`: the table, the record, the comparison with one, and what is refused."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from relusym.cli import app

SCHEMA = json.loads(files("relusym.judge").joinpath("report.schema.json").read_text(encoding="utf-8"))
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
    jsonschema.validate(document, SCHEMA)
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
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = run(app, ["verify", "sigmoid", *ONE[2:]])
    assert done.exit_code == 1, done.output
    assert "::error title=sigmoid forward float32%3A failed::too inaccurate at x = " in done.stdout
    assert "failed" in done.stdout
    assert "sigmoid forward: accuracy: too inaccurate at x = " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--exhaustive", "--dtype", "float64"], "float64"),
        (["--exhaustive", "--dtype", "float32", "--dtype", "float16"], "16-bit"),
        (["--exhaustive", "--computes", "backward"], "backward"),
        (["--exhaustive", "--stride", "300"], "stride"),
        (["--exhaustive", "--callable", "math:sin", "--computes", "backward"], "functions of x alone"),
        (
            ["--exhaustive", "--callable", "math:sin", "--computes", "forward", "--computes", "derivative"],
            "exactly one",
        ),
        (["--exhaustive", "--known", "known.toml", "--callable", "math:sin"], "--against"),
        (["--exhaustive", "--dask", "tcp://127.0.0.1:9", "--jobs", "2"], "--jobs"),
        (["--exhaustive", "--dask", "the-cluster"], "tcp://HOST:PORT"),
        (["--dask", "tcp://127.0.0.1:9"], "--exhaustive"),
        (["--through", "torch"], "--callable"),
        (["--exhaustive", "--against", "/nowhere.json"], "no records"),
        (["--stride", "2"], "--exhaustive"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_cannot_be_swept_is_refused(arguments: list[str], said: str) -> None:
    done = run(app, ["verify", "relu", *arguments])
    assert done.exit_code == 2, done.output
    assert said in done.stderr


KERNELS = """
import numpy as np

def relu(x):
    return np.maximum(x, x.dtype.type(0))

def slipping(x):
    return np.where(x == np.float32(1.12109375), np.float32(1), relu(x))

def prelu(x, alpha):
    return np.where(x > 0, x, np.float32(alpha) * x)
"""


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS)
    return path


def of(name: str, *more: str) -> list[str]:
    """The arguments that sweep one of the kernels of the file."""
    activation = "prelu" if name == "prelu" else "relu"
    return ["verify", activation, "--callable", f"kernels.py:{name}", "--exhaustive", "--stride", "256", *more]


def test_somebodys_function_is_swept_in_processes(kernels: Path) -> None:
    done = run(app, of("relu", "--jobs", "2", "--json", "relu.json"))
    assert done.exit_code == 0, done.output
    (record,) = json.loads(Path("relu.json").read_text())["records"]
    assert record["kernel"] == "kernels.py:relu"
    assert record["bound"] == "4 + 4 kappa"
    again = run(app, of("relu", "--jobs", "1", "--against", "relu.json"))
    assert again.exit_code == 0, again.output
    kernels.write_text(KERNELS + "\n# another text\n")
    other = run(app, of("relu", "--jobs", "1", "--against", "relu.json"))
    assert other.exit_code == 1
    assert "kernel_sha256" in other.stderr


def test_one_wrong_value_of_somebodys_function_is_found(kernels: Path) -> None:
    done = run(app, of("slipping", "--jobs", "1"))
    assert done.exit_code == 1, done.output
    assert "accuracy: too inaccurate at x = 0x1.1fp+0" in done.stdout


def test_parameters_that_somebodys_function_takes_are_passed(kernels: Path) -> None:
    done = run(app, of("prelu", "--jobs", "1", "--set", "alpha=0.125", "--json", "prelu.json"))
    assert done.exit_code == 0, done.output
    (record,) = json.loads(Path("prelu.json").read_text())["records"]
    assert record["kernel"] == "kernels.py:prelu, alpha=0.125"


def test_sixteen_bits_are_judged_at_all_inputs_as_ever(kernels: Path) -> None:
    done = run(app, ["verify", "relu", "--callable", "kernels.py:relu", "--exhaustive", "--dtype", "float16"])
    assert "65,536 inputs, exhaustive" in done.stdout


WRAPPED = """
import functools

import numpy as np


class Compiled:
    def __init__(self, fn):
        functools.update_wrapper(self, fn)

    def __call__(self, x):
        return self.__wrapped__(x)


@Compiled
def relu(x):
    return np.maximum(x, 0)


prepared = functools.partial(relu)
"""


@pytest.mark.parametrize("name", ["relu", "prepared"])
def test_the_text_of_a_compiled_function_is_that_of_the_function_inside(kernels: Path, name: str) -> None:
    kernels.write_text(WRAPPED)
    done = run(app, of(name, "--jobs", "1", "--json", "wrapped.json"))
    assert done.exit_code == 0, done.output
    (record,) = json.loads(Path("wrapped.json").read_text())["records"]
    assert record["kernel_sha256"] == hashlib.sha256(WRAPPED.encode()).hexdigest()
