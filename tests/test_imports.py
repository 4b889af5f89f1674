"""What an import costs, in a fresh process: time of the processor, for how long it waits is the machine's matter."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import relusym", "import relusym_codegen", "import relusym.cli"])
def test_an_import_brings_neither_sympy_nor_numpy(statement: str) -> None:
    assert not loaded_after(statement) & {"sympy", "numpy", "flint", "hypothesis", "cupy", "torch"}


def test_the_pytest_plugin_brings_nothing_heavy_and_loads_in_50_milliseconds() -> None:
    code = """
import sys, time
import pytest
before = set(sys.modules)
start = time.process_time()
import relusym.pytest_plugin
print(time.process_time() - start)
print(*set(sys.modules) - before)
"""

    def load() -> tuple[float, set[str]]:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, *loaded = done.stdout.split()
        return float(seconds), set(loaded)

    runs = [load() for _ in range(3)]
    assert min(seconds for seconds, _ in runs) < 0.05
    assert not runs[0][1] & {"sympy", "numpy", "flint", "hypothesis", "typer", "relusym.judge"}


def test_a_run_of_pytest_without_marks_brings_neither_sympy_nor_numpy(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\ndef test():\n    assert 'relusym.pytest_plugin' in sys.modules\n"
        "    assert not {'sympy', 'numpy', 'relusym.judge'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_generating_a_numpy_kernel_needs_no_gpu_package() -> None:
    loaded = loaded_after("import relusym_codegen; relusym_codegen.generate('relu').load()")
    assert not loaded & {"cupy", "torch", "relusym_codegen.targets.cuda"}


def test_help_brings_neither_sympy_nor_numpy() -> None:
    statement = "from typer.testing import CliRunner; from relusym.cli import app; CliRunner().invoke(app, ['--help'])"
    assert not loaded_after(statement) & {"sympy", "numpy", "flint", "hypothesis", "relusym_codegen.acceptance"}


def test_everything_but_cuda_works_without_gpu_packages_and_without_a_compiler() -> None:
    code = """
import sys
for name in ("cupy", "torch", "cuda", "scipy"):
    sys.modules[name] = None  # importing it raises ImportError
import numpy as np
import relusym, relusym_codegen
fn = relusym_codegen.generate("gelu").load()
assert relusym.check(fn, "gelu", dtype="float32", examples=5, points=11_000, max_ulp=1).passed
relusym.render(relusym.analyse(relusym.elu))
try:
    relusym_codegen.generate("gelu", target="cuda").load(on="cpu")
except relusym.Missing as lack:
    print(lack)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    assert "no C++ compiler was found" in done.stdout


def test_the_adapter_of_pytorch_says_what_to_install() -> None:
    code = """
import sys
sys.modules["torch"] = None
from relusym.errors import Missing
try:
    import relusym_codegen.torch
except Missing as lack:
    print(lack)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'relusym[torch]'" in done.stdout, done.stderr


def test_help_answers_at_once() -> None:
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "relusym.cli", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)

    assert min(seconds() for _ in range(5)) < 0.3
