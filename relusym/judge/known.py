"""Known defects: what is wrong upstream, with a link to where it is told, so that the rest can be held to account.

A file of them is TOML, one table each:

    [[defect]]
    callable = "torch.nn.functional:gelu"    # or test = "tests/test_kernels.py::test_gelu"
    activation = "gelu"
    dtype = "float32"                        # or a list
    computes = "forward"                     # the default
    kind = "limit"                           # the kind of the finding
    link = "https://github.com/pytorch/pytorch/issues/185770"
    defect = "nan"                           # optional: the class of the finding, where the kind is too wide
    reason = "NaN at both infinities"        # optional

A defect that is not found any more fails the check that it is about: an entry which nobody removes would hide the
next defect of its kind.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from relusym.errors import InvalidRequest
from relusym.floats import FORMATS
from relusym.judge.reports import KINDS

REQUIRED = ("activation", "dtype", "kind", "link")
OPTIONAL = ("callable", "test", "computes", "defect", "reason")


@dataclass(frozen=True)
class KnownDefect:
    """One kind of finding in one kernel that is told upstream, at `link`.

    The kernel is named by `callable`, as it was given to the command line or the mark, or by the id of a
    `test`, with or without the part in brackets.
    """

    activation: str
    dtype: str
    computes: str
    kind: str
    link: str
    callable: str | None = None
    test: str | None = None
    defect: str | None = None
    reason: str = ""

    def is_about(self, result: Mapping[str, Any]) -> bool:
        """Whether this result is of the kernel in question."""
        if any(result[key] != here for key, here in (("activation", self.activation), ("dtype", self.dtype))):
            return False
        if result["computes"] != self.computes:
            return False
        if self.callable is not None:
            return bool(result["target"] == self.callable)
        test = result.get("test", "")
        return self.test in (test, test.partition("[")[0])

    def covers(self, finding: Mapping[str, Any]) -> bool:
        """Whether this finding, of the kernel in question, is the defect."""
        return finding["kind"] == self.kind and self.defect in (None, finding.get("defect"))

    def __str__(self) -> str:
        return f"{self.kind} of {self.callable or self.test} as {self.activation} {self.computes} {self.dtype}"


@dataclass(frozen=True)
class Settled:
    """A result with known defects taken into account: its `status` is "passed", "failed" or "known".

    `covered` pairs findings with the entry they belong to, `stale` are entries whose defect is gone.
    """

    status: str
    covered: tuple[tuple[Mapping[str, Any], KnownDefect], ...] = ()
    uncovered: tuple[Mapping[str, Any], ...] = ()
    stale: tuple[KnownDefect, ...] = ()

    def lines(self) -> list[str]:
        """What known defects have to do with the verdict, for people: those that are gone come first."""
        gone = [
            f"{entry} is a known defect that is not found any more: fixed upstream? remove the entry, see {entry.link}"
            for entry in self.stale
        ]
        return gone + [
            f"known: {finding['message']}; {entry.link}" + (f" ({entry.reason})" if entry.reason else "")
            for finding, entry in self.covered
        ]

    def applied_to(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The result with this status, its reason, and the known defects that were met."""
        reasons = [*(finding["message"] for finding in self.uncovered), *self.lines(), result["reason"]]
        known = [
            {"kind": entry.kind, "link": entry.link, "reason": entry.reason, "input": finding["input"]}
            for finding, entry in self.covered
        ]
        return {**result, "status": self.status, "reason": reasons[0], "known": known}


def settle(result: Mapping[str, Any], defects: Sequence[KnownDefect]) -> Settled:
    """What is left of a result when known defects are taken out of it.

    All findings covered: "known". A finding that no entry covers, or an entry about this kernel that covers no
    finding: "failed". A kernel that could not be judged says nothing of its entries.
    """
    if result["status"] == "not run":
        return Settled("not run")
    about = [entry for entry in defects if entry.is_about(result)]
    covered, uncovered = [], []
    for finding in result["findings"]:
        entry = next((entry for entry in about if entry.covers(finding)), None)
        if entry is None:
            uncovered.append(finding)
        else:
            covered.append((finding, entry))
    stale = tuple(entry for entry in about if not any(entry.covers(finding) for finding in result["findings"]))
    status = "failed" if uncovered or stale else "known" if covered else "passed"
    return Settled(status, tuple(covered), tuple(uncovered), stale)


def unmet(
    defects: Iterable[KnownDefect], results: Sequence[Mapping[str, Any]], asked: Callable[[KnownDefect], bool]
) -> list[str]:
    """What to say of entries that were asked about and are about none of the results; entries of tests are pytest's."""
    return [
        f"no kernel that was judged is that of this known defect: {entry}; mend or remove the entry, see {entry.link}"
        for entry in defects
        if entry.callable is not None and asked(entry) and not any(map(entry.is_about, results))
    ]


def read_known(path: Path) -> tuple[KnownDefect, ...]:
    """The known defects in a file, one for each dtype of an entry.

    Raises `InvalidRequest`, naming the file and the entry, for what is no TOML, for words nobody knows, and for
    an entry without a link.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"known defects: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InvalidRequest(f"known defects: {path} is no TOML: {error}") from None
    tables = content.get("defect", [])
    if (
        set(content) - {"defect"}
        or not isinstance(tables, list)
        or not all(isinstance(table, dict) for table in tables)
    ):
        raise InvalidRequest(f"known defects: {path} may hold tables [[defect]] and nothing else")
    return tuple(
        entry for number, table in enumerate(tables, 1) for entry in _entries(table, f"{path}, defect {number}")
    )


def _entries(table: Mapping[str, Any], where: str) -> list[KnownDefect]:
    for key in table:
        if key not in (*REQUIRED, *OPTIONAL):
            raise InvalidRequest(f"{where}: {key!r} is unknown; known: {', '.join((*REQUIRED, *OPTIONAL))}")
    for key in REQUIRED:
        if key not in table:
            raise InvalidRequest(f"{where}: {key!r} is missing")
    if ("callable" in table) == ("test" in table):
        raise InvalidRequest(f"{where}: name the kernel by either callable or test")
    dtypes = table["dtype"] if isinstance(table["dtype"], list) else [table["dtype"]]
    texts = [value for key, value in table.items() if key != "dtype"]
    if not dtypes or not all(isinstance(value, str) for value in (*texts, *dtypes)):
        raise InvalidRequest(f"{where}: all values are text; dtype may be a list of texts")
    link = urlsplit(table["link"])
    if link.scheme != "https" or not link.netloc:
        raise InvalidRequest(f"{where}: link {table['link']!r} is no https address of where the defect is told")
    for value, words in ((table["kind"], KINDS), *((dtype, tuple(FORMATS)) for dtype in dtypes)):
        if value not in words:
            raise InvalidRequest(f"{where}: {value!r} is unknown; known: {', '.join(words)}")
    entry = KnownDefect(**{"computes": "forward", **table, "dtype": dtypes[0]})
    return [replace(entry, dtype=dtype) for dtype in dtypes]
