"""`import relusym` is light, and every public name is what it says."""

import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import relusym
from relusym.activations import NAMES


def test_import_brings_neither_sympy_nor_numpy():
    code = "import relusym, sys; print([m for m in ('sympy', 'numpy', 'cupy') if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(relusym.__file__).parents[1],
    )
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("name", relusym.__all__)
def test_every_public_name_is_served(name):
    assert getattr(relusym, name) is not None
    assert name in dir(relusym)


def test_every_activation_is_a_public_name():
    assert set(NAMES) <= set(relusym.__all__)


def test_no_public_name_is_a_submodule():
    modules = {module.name for module in pkgutil.iter_modules(relusym.__path__)}
    assert modules & set(relusym.__all__) == set()


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = relusym.nonsense


def test_version_is_that_of_the_project_file():
    project = Path(relusym.__file__).parents[1] / "pyproject.toml"
    if not project.exists():
        pytest.skip("no pyproject.toml beside an installed package")
    assert relusym.__version__ == tomllib.loads(project.read_text())["project"]["version"]
