"""Finding a compiler, and keeping what it made: whole, private, and the same for processes that build at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from relusym_codegen import compilers

from relusym.errors import Missing

pytestmark = pytest.mark.skipif(compilers.available() is None, reason="no C compiler")

TEXT = "int answer(void) { return 42; }\n"
FLAGS = ("-O1",)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kept"
    monkeypatch.setenv("RELUSYM_CACHE", str(folder))
    return folder


def answer(text: str = TEXT) -> int:
    return int(compilers.library(text, flags=FLAGS, tuned=False).answer())


def entry(folder: Path) -> Path:
    (found,) = folder.glob("*.so")
    return found


def test_what_was_compiled_is_loaded_again_without_a_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer() == 42
    assert sorted(path.suffix for path in cache.iterdir()) == [".sha256", ".so"]
    monkeypatch.setattr(compilers, "_compiled", None)
    assert answer() == 42


def test_text_and_flags_are_part_of_the_key(cache: Path) -> None:
    assert answer() == 42
    assert answer("int answer(void) { return 43; }\n") == 43
    compilers.library(TEXT, flags=("-O2",), tuned=False)
    assert len(list(cache.glob("*.so"))) == 3


def test_the_directory_is_the_users_alone(cache: Path) -> None:
    answer()
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["empty", "half", "other", "no seal", "sealed rubbish"])
def test_a_damaged_entry_is_built_again(cache: Path, damage: str) -> None:
    answer()
    path = entry(cache)
    seal = path.with_suffix(".sha256")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "other": b"x" * 99}.get(damage, data))
    if damage == "no seal":
        seal.unlink()
    elif damage == "sealed rubbish":
        path.write_bytes(b"rubbish")
        seal.write_text(compilers._digest(b"rubbish"))
    assert answer() == 42
    assert path.read_bytes() == data
    assert seal.read_text() == compilers._digest(data)


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_directory_where_others_write_is_not_used(cache: Path, mode: int) -> None:
    cache.mkdir()
    cache.chmod(mode)
    with pytest.warns(UserWarning, match="others may write"):
        assert answer() == 42
    assert not list(cache.iterdir())
    assert "others may write" in compilers.cache_state()


def test_a_link_or_a_file_is_no_directory(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    cache.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="no directory"):
        assert answer() == 42
    cache.unlink()
    cache.write_text("")
    with pytest.warns(UserWarning, match="cannot be made"):
        assert answer() == 42


def test_a_directory_of_somebody_else_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(mode=0o700)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.warns(UserWarning, match="another user"):
        assert answer() == 42


def test_the_cache_can_be_off_or_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RELUSYM_CACHE", raising=False)
    assert compilers.cache_directory() == tmp_path / "relusym"
    monkeypatch.setenv("RELUSYM_CACHE", "off")
    assert compilers.cache_directory() is None
    assert answer() == 42
    assert not list(tmp_path.iterdir())


def test_processes_that_build_the_same_at_once_do_not_disturb_each_other(cache: Path) -> None:
    load = f"compilers.library({TEXT!r}, flags={FLAGS!r}, tuned=False)"
    code = f"from relusym_codegen import compilers; print({load}.answer())"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=_environment())
        for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0].strip() for process in running] == ["42"] * 3
    assert sorted(path.suffix for path in cache.iterdir()) == [".sha256", ".so"]
    assert entry(cache).with_suffix(".sha256").read_text() == compilers._digest(entry(cache).read_bytes())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_without_a_compiler_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    assert compilers.available() is None
    with pytest.raises(Missing, match=r"no C compiler was found \(cc, gcc, clang\); install one"):
        compilers.find()
    with pytest.raises(Missing, match=r"no C\+\+ compiler"):
        compilers.find("c++")


def test_the_variable_names_the_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = compilers.find().path
    monkeypatch.setenv("CC", f"{usual} -O0")
    assert compilers.find().command == (usual, "-O0")
    monkeypatch.setenv("CC", "no-such-compiler")
    assert compilers.available() is None
    with pytest.raises(Missing, match="no-such-compiler"):
        compilers.find()
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(Missing, match="out of order"):
        compilers.find()


def test_text_that_is_no_c_is_a_bug_of_ours(cache: Path) -> None:
    with pytest.raises(RuntimeError, match="this is a bug of relusym"):
        compilers.library("int answer(", flags=FLAGS, tuned=False)
    assert not list(cache.iterdir())


def test_a_forked_process_computes_on_one_thread(cache: Path) -> None:
    if not compilers.openmp(compilers.find()):
        pytest.skip("the compiler has no OpenMP here")
    code = """
import os
import numpy as np
from relusym_codegen import generate
fn = generate("relu", "c", "float32", accuracy="fast").load()
x = np.arange(-300_000, 300_000, dtype=np.float32)
fn(x)
child = os.fork()
if child == 0:
    os._exit(0 if fn(x)[-1] == 299_999 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={**_environment(), "OMP_NUM_THREADS": "2"})
