"""README and docs are run: commands print what the pages say, and Python blocks do what they say.

In a `console` block each `$ relusym ...` and `$ pytest ...` line is run and its output compared; `$ echo $?` asks for
its exit code. `...` stands for anything. Numbers that `relusym verify` and pytest measure are not compared: they depend
on the processor. A `python` block is executed, the blocks of a page one after another; a block that begins with
`# path/name.py` (or `.toml`, `.yml`) is first written to that file, for the commands below it. Blocks that import an
optional package are a test of their own, skipped where it is not installed.

The commands of the README are processes of their own, as are pytest and what loads a module of the page; those of other
pages are called here, where everything is imported already.
"""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relusym.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(console|python|pycon|toml|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
OPTIONAL = re.compile(r"^(?:import|from) (torch|dask|distributed)\b", re.MULTILINE)
MODULES = {"relusym": "relusym.cli", "pytest": "pytest"}
NUMBER = re.compile(r"-?0x[0-9a-f.]+p[+-]\d+|-?\d[\d.,]*(e[+-]\d+)?")


def blocks(page: Path, *, optional: bool = False) -> list[tuple[str, str]]:
    """(kind, text) of the examples of a page: those that import an optional package, or all the others."""
    found: list[tuple[str, str]] = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(kind, text) for kind, text in found if bool(kind == "python" and OPTIONAL.search(text)) == optional]


def named(pages: list[Path]) -> list[object]:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


@pytest.mark.parametrize("page", named([page for page in PAGES if blocks(page)]))
def test_examples_do_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # verbs that are called here take no processes beside this one, where there is one core
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    names: dict[str, object] = {"__name__": "example"}
    for kind, text in blocks(page):
        if kind == "console":
            run_console(text, apart=page.parent == ROOT)
        elif kind == "pycon":
            run_session(text, names, page)
        elif kind in ("toml", "yaml"):
            assert written(text), f"{page.name}: a {kind} block begins with the name of its file: # name.{kind}"
        else:
            run_python(text, names)


@pytest.mark.parametrize("page", named([page for page in PAGES if blocks(page, optional=True)]))
def test_examples_of_optional_packages_do_what_the_page_says(page: Path) -> None:
    names: dict[str, object] = {"__name__": "example"}
    for _, text in blocks(page, optional=True):
        for package in OPTIONAL.findall(text):
            pytest.importorskip(package, reason=f"the package {package} of the page's extra is not installed")
        run_python(text, names)


@pytest.mark.parametrize("page", named([*PAGES, ROOT / "tests" / "README.md", ROOT / "CHANGELOG.md"]))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in LINK.findall(text):
        assert "://" in link or (page.parent / link).exists(), f"{page.name} links to {link}, which does not exist"


def written(text: str) -> bool:
    """Write a block to the file that its first line names, if it does."""
    file = re.fullmatch(r"# ([\w./-]+\.(?:py|toml|yml))", text.splitlines()[0])
    if file:
        path = Path(file[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return bool(file)


def run_python(text: str, names: dict[str, object]) -> None:
    written(text)
    exec(compile(text, "<example>", "exec"), names)


def run_session(text: str, names: dict[str, object], page: Path) -> None:
    example = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=said.append, clear_globs=False)
    assert not said, "".join(said)
    names.update(example.globs)


def test_the_workflow_of_the_how_to_runs_what_the_page_runs() -> None:
    page = (ROOT / "docs" / "how-to" / "verify-kernels-in-ci.md").read_text(encoding="utf-8")
    commands = re.findall(r"^ +- run: ((?:pytest|relusym) .*)$", page, re.MULTILINE)
    assert len(commands) == 3
    assert set(commands) <= set(re.findall(r"^\$ (.*)$", page, re.MULTILINE))


def run_console(text: str, *, apart: bool) -> None:
    code = 0
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        if command == "echo $?":
            assert code == int(expected), f"exit code {code}, the page says {expected}"
            continue
        words = shlex.split(command)
        assert words[0] in MODULES, f"only {' and '.join(MODULES)} are run here, not {words[0]}"
        loads = re.search(r"--callable (?!numpy\b)\w+:", command)
        called = words[0] == "relusym" and not (apart or loads)
        code, printed = (run_here if called else run_process)(words)
        assert "Traceback" not in printed, printed
        measured = words[0] == "pytest" or words[1] == "verify"
        assert matches(expected, printed, measured=measured), f"$ {command}\n{printed}\nthe page says:\n{expected}"


def run_process(words: list[str]) -> tuple[int, str]:
    """Exit code and output of a command."""
    done = subprocess.run(
        [sys.executable, "-m", MODULES[words[0]], *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
    )
    return done.returncode, done.stdout + done.stderr


def run_here(words: list[str]) -> tuple[int, str]:
    """The same of a verb of relusym, called in this process."""
    done = CliRunner().invoke(app, words[1:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout + done.stderr


def matches(expected: str, printed: str, *, measured: bool) -> bool:
    """Whether the text is as expected, spaces at the ends of lines and `...` aside."""
    expected, printed = (
        "\n".join(
            re.sub(r"\s+", " ", NUMBER.sub("#", line)).strip() if measured else line.rstrip()
            for line in text.strip().splitlines()
        )
        for text in (expected, printed)
    )
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None
