"""What GitHub Actions is told: an annotation for each kernel that failed, and a table for the summary of the step.

Results (see `results`) go in, text comes out; `tell` is the one place that writes, and does nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from relusym.errors import InvalidRequest

LONGEST_CELL = 250
MOST_ROWS = 500
"""A summary may have 1 MiB; that many rows of cells this long stay below it."""

ORDER = ("failed", "not run", "known", "passed")
MARKS = {"failed": "❌ failed", "not run": "⚠️ not run", "known": "☑️ known", "passed": "✅ passed"}


def tell(
    results: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
    write_line: Callable[[str], object],
    *,
    root: Path | None = None,
) -> None:
    """Write annotations through `write_line` and append the summary to the step's file; only inside GitHub Actions.

    Files of results are relative to `root`. Raises `InvalidRequest` where the summary cannot be written.
    """
    if not environment.get("GITHUB_ACTIONS") or not results:
        return
    workspace = environment.get("GITHUB_WORKSPACE")
    for line in commands(results, lambda file: in_repository(file, root, workspace)):
        write_line(line)
    path = environment.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with Path(path).open("a", encoding="utf-8") as stream:
                stream.write(step_summary(results))
        except OSError as error:
            raise InvalidRequest(f"GITHUB_STEP_SUMMARY: {path} cannot be written: {error.strerror}") from None


def commands(results: Iterable[Mapping[str, Any]], file_in_repository: Callable[[str], str] = str) -> list[str]:
    """One workflow command for each result that failed or could not be judged."""
    lines = []
    for result in results:
        if result["status"] not in ("failed", "not run"):
            continue
        properties = {}
        if "file" in result:
            properties = {"file": file_in_repository(result["file"]), "line": str(result["line"])}
        properties["title"] = f"{_request(result)} {result['dtype']}: {result['status']}"
        told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
        # A target reached through "all" that cannot run here is no failure; a test that could not judge is one.
        level = "warning" if result["status"] == "not run" and "test" not in result else "error"
        message = "\n".join(_told(result))
        lines.append(f"::{level} {told}::{_message(message)}")
    return lines


def step_summary(results: Sequence[Mapping[str, Any]]) -> str:
    """A table in Markdown: what failed first, what passed folded away."""
    ordered = sorted(results, key=lambda result: ORDER.index(result["status"]))
    counts = [(word, sum(result["status"] == word for result in results)) for word in ORDER]
    said = ", ".join(f"{count:,} {word}" for word, count in counts if count)
    lines = [f"### relusym: {said}", ""]
    shown, left_out = ordered[:MOST_ROWS], len(ordered) - MOST_ROWS
    remarkable = [result for result in shown if result["status"] != "passed"]
    passed = [result for result in shown if result["status"] == "passed"]
    if remarkable:
        lines += [*_table(remarkable), ""]
    if passed:
        lines += ["<details><summary>passed</summary>", "", *_table(passed), "", "</details>", ""]
    if left_out > 0:
        lines += [f"{left_out:,} more are not shown.", ""]
    return "\n".join(lines) + "\n"


def _table(results: Iterable[Mapping[str, Any]]) -> list[str]:
    head = ("kernel", "as", "dtype", "status", "largest error (ulp)", "at", "")
    rows = [
        (
            _code(result.get("test") or result["target"]),
            _cell(_request(result)),
            _cell(result["dtype"]),
            MARKS[result["status"]],
            _cell("" if result["max_ulp"] is None else f"{float(result['max_ulp']):.4g}"),
            _code(result["worst_input"] or ""),
            _cell(result["reason"]),
        )
        for result in results
    ]
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def _request(result: Mapping[str, Any]) -> str:
    accuracy = f" {result['accuracy']}" if result["accuracy"] else ""
    return f"{result['activation']} {result['computes']}{accuracy}"


def _told(result: Mapping[str, Any]) -> list[str]:
    """The reason, every other finding, and how to see it again."""
    messages = [result["reason"], *(finding["message"] for finding in result.get("findings", ()))]
    if result.get("findings") and "reproduce" in result:
        messages.append(f"reproduce: {result['reproduce']}")
    messages.append(f"kernel: {result['target']}")
    return list(dict.fromkeys(messages))


def in_repository(file: str, root: Path | None, workspace: str | None) -> str:
    """The file as GitHub knows it: relative to the checkout, which need not be where the tests are."""
    here = (root or Path()) / file
    if workspace and here.is_relative_to(workspace):
        return here.relative_to(workspace).as_posix()
    return file


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Text inside a table: nothing in it ends the cell or is taken for HTML or markup."""
    short = text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"
    short = " ".join(short.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        short = short.replace(sign, f"\\{sign}")
    return short


def _code(text: str) -> str:
    """Text inside a table, in the letters of code."""
    short = " ".join(text[:LONGEST_CELL].split())
    return f"`{short.replace('`', chr(39)).replace('|', chr(92) + '|')}`" if short else ""
