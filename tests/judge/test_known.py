"""Known defects: what they cover is expected, what they do not cover fails, and so does one that is gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from relusym.errors import InvalidRequest
from relusym.judge.known import KnownDefect, read_known, settle

LINK = "https://github.com/pytorch/pytorch/issues/185770"
ENTRY = {"callable": "torch:gelu", "activation": "gelu", "dtype": "float32", "kind": "limit", "link": LINK}


def finding(kind: str, defect: str = "nan") -> dict[str, Any]:
    return {"kind": kind, "defect": defect, "input": "inf", "message": f"{kind} at inf"}


def result(*kinds: str, **changes: Any) -> dict[str, Any]:
    request = {"activation": "gelu", "target": "torch:gelu", "dtype": "float32", "computes": "forward"}
    reason = f"{kinds[0]} at inf" if kinds else ""
    status = "failed" if kinds else "passed"
    return {**request, "status": status, "reason": reason, "findings": [finding(kind) for kind in kinds], **changes}


def known(**changes: Any) -> KnownDefect:
    return KnownDefect(**{"computes": "forward", **ENTRY, **changes})


def written(tmp_path: Path, *tables: dict[str, Any]) -> Path:
    path = tmp_path / "known.toml"
    lines = [
        line for table in tables for line in ("[[defect]]", *(f"{key} = {value!r}" for key, value in table.items()))
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kinds", "entries", "status"),
    [
        ((), (), "passed"),
        (("limit",), (), "failed"),
        (("limit",), ("limit",), "known"),
        (("limit", "sign"), ("limit", "sign"), "known"),
        (("limit", "sign"), ("limit",), "failed"),
        ((), ("limit",), "failed"),
        (("sign",), ("limit", "sign"), "failed"),
    ],
)
def test_a_result_is_known_when_entries_cover_it_all_and_none_is_left_over(
    kinds: Sequence[str], entries: Sequence[str], status: str
) -> None:
    settled = settle(result(*kinds), [known(kind=kind) for kind in entries])
    assert settled.status == status
    assert settled.applied_to(result(*kinds))["status"] == status


def test_a_defect_that_is_gone_says_what_to_do_and_where_it_was_told() -> None:
    settled = settle(result(), [known()])
    (line,) = settled.lines()
    assert "not found any more: fixed upstream? remove the entry, see " + LINK in line
    assert "limit of torch:gelu as gelu forward float32" in line
    assert settled.applied_to(result())["reason"] == line


def test_a_new_finding_is_the_reason_even_beside_known_ones() -> None:
    settled = settle(result("limit", "sign"), [known()])
    told = settled.applied_to(result("limit", "sign"))
    assert told["reason"] == "sign at inf"
    assert [(entry["kind"], entry["link"]) for entry in told["known"]] == [("limit", LINK)]


@pytest.mark.parametrize(
    "changes",
    [{"activation": "silu"}, {"dtype": "float16"}, {"computes": "backward"}, {"callable": "jax:gelu"}],
)
def test_an_entry_about_another_kernel_neither_covers_nor_is_gone(changes: dict[str, str]) -> None:
    assert settle(result("limit"), [known(**changes)]).status == "failed"
    assert settle(result(), [known(**changes)]).status == "passed"


@pytest.mark.parametrize(
    ("test", "about"),
    [
        ("tests/test_a.py::test_gelu", True),
        ("tests/test_a.py::test_gelu[gelu-float32]", True),
        ("tests/test_a.py::test_gelu[gelu-float16]", False),
        ("test_gelu", False),
    ],
)
def test_a_test_is_named_by_its_id_with_or_without_brackets(test: str, about: bool) -> None:
    entry = known(callable=None, test=test)
    assert entry.is_about(result(test="tests/test_a.py::test_gelu[gelu-float32]")) == about
    assert not entry.is_about(result())


def test_a_class_of_defects_is_narrower_than_a_kind() -> None:
    assert settle(result("limit"), [known(defect="nan")]).status == "known"
    settled = settle(result("limit"), [known(defect="cut-off")])
    assert (settled.status, len(settled.uncovered), len(settled.stale)) == ("failed", 1, 1)


def test_a_kernel_that_could_not_be_judged_says_nothing_of_its_entries() -> None:
    assert settle(result(status="not run"), [known()]).status == "not run"


def test_a_file_is_read_with_one_entry_for_each_dtype(tmp_path: Path) -> None:
    path = written(tmp_path, {**ENTRY, "dtype": ["float16", "float32"], "reason": "NaN"}, {**ENTRY, "kind": "sign"})
    assert read_known(path) == (known(dtype="float16", reason="NaN"), known(reason="NaN"), known(kind="sign"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"link": "pytorch/pytorch#185770"}, "no https address"),
        ({"link": "http://example.org/1"}, "no https address"),
        ({"link": None}, "'link' is missing"),
        ({"kind": None}, "'kind' is missing"),
        ({"activaton": "gelu"}, "'activaton' is unknown; known: activation"),
        ({"test": "tests/test_a.py::test_gelu"}, "either callable or test"),
        ({"callable": None}, "either callable or test"),
        ({"dtype": []}, "dtype may be a list of texts"),
        ({"computes": 1}, "all values are text"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    table = {key: value for key, value in {**ENTRY, **changes}.items() if value is not None}
    with pytest.raises(InvalidRequest, match=r"known\.toml, defect 2: ") as refused:
        read_known(written(tmp_path, ENTRY, table))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"), [("[[defect]", "no TOML"), ("[defects]", "may hold tables"), ("defect = [1]", "may hold tables")]
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "known.toml"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=words):
        read_known(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nowhere\.toml cannot be read"):
        read_known(tmp_path / "nowhere.toml")
