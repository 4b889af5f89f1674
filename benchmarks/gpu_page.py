"""The page docs/reference/benchmarks-gpu.md and its plots, from the records benchmarks/results/gpu-*.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gpu_cases
from gpu_cases import COMPUTES, OURS, PEERS

HEAD = """\
# Speed of the CUDA kernels

Written by `python benchmarks/gpu.py` from the records `benchmarks/results/gpu-*.json`.
"""

NOT_MEASURED = """\
**Not measured: no GPU was within reach.** There is no record, and so no number on this page. What can be known of the
kernels without a GPU, from their machine code, is on the page of the [gates](gpu-gates.md).
"""

HOW = """\
## How to measure

    pip install -e '.[cuda13,plot]'
    python benchmarks/gpu.py

It needs an NVIDIA GPU and CuPy; PyTorch takes part where it is installed and finds the GPU. Without them it ends with
exit code 3 and says what is missing. It writes a record and this page; `--quick` takes one size and two dtypes, and
writes a record only where `--json FILE` says so; `--page` writes the page again.

Each kernel is timed in turn with the device's own copy of n elements, and with its peers: seven samples of each, a
sample being about a millisecond's worth of calls, at most 20. The GPU waits until all calls of a sample are queued, and
events at both ends of the queue give its own time; what the host needs for a call is not in it. Arrays are used in turn
until three times the L2 cache has gone by. Numbers are medians.

*Of a copy* is the kernel's bandwidth, bytes read and written in a second, by that of the copy: forward moves as much as
the copy, backward half as much again (identity as much). Goals are judged at the largest n.

The peers: CuPy's ElementwiseKernel of the formula as people write it, constants folded and common parts computed once,
in float for all but float64 (CuPy compiles it with `-ftz=true`); PyTorch's own function, and its backward pass alone,
which for some functions starts from the stored output; the same through `torch.compile`, at the largest n, float32
and bfloat16. PyTorch makes a new tensor for each result, which at small n may still lie in the cache.
"""

GOALS = f"""\
## Goals

| kernels | dtype, accuracy | goal: bandwidth of a copy |
|---|---|---|
| {", ".join(gpu_cases.SHORT)} | all four, `fast` | 97 % |
| {", ".join(gpu_cases.LONG)} | float32, `fast` | 95 % |
| the same | float16, bfloat16 | 90 % |
| the same | float32, `precise` | 80 % |

All of them forward and backward.
"""


def records(results: Path) -> list[dict[str, Any]]:
    """The records in a folder, by name of file; raises ValueError for one of another schema."""
    found = []
    for path in sorted(results.glob("gpu-*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("schema") != 1:
            raise ValueError(f"{path.name} has schema {record.get('schema')!r}; this page is made from schema 1")
        found.append(record)
    return found


def write(root: Path) -> None:
    """Write the page and a plot for each record."""
    reference = root / "docs" / "reference"
    found = records(root / "benchmarks" / "results")
    for record in found:
        plot(record, reference / picture(record))
    (reference / "benchmarks-gpu.md").write_text(page(found), encoding="utf-8")


def picture(record: Mapping[str, Any]) -> str:
    """The name of the plot's file."""
    return f"benchmarks-gpu-{gpu_cases.slug(record['device']['name'])}.svg"


def page(found: Sequence[Mapping[str, Any]]) -> str:
    """The whole page."""
    parts = [HEAD]
    parts += [section(record) for record in found] if found else [NOT_MEASURED]
    return "\n".join([*parts, GOALS, HOW])


def section(record: Mapping[str, Any]) -> str:
    """What was measured on one device."""
    device, rows = record["device"], record["rows"]
    counts = gpu_cases.tally(rows)
    lines = [
        f"## {device['name']}",
        "",
        f"{record['date']}; compute capability {device['compute_capability']}, driver {device['driver']}; "
        + ", ".join(f"{name} {version}" for name, version in record["versions"].items())
        + ".",
        "",
    ]
    if not record["complete"]:
        lines += ["**The run was stopped before its end**; what is not here was not measured.", ""]
    if record["quick"]:
        lines += ["A quick run, at one size.", ""]
    judged = counts["met"] + counts["missed"]
    lines += [f"**{counts['met']} of {judged} goals are met**, {counts['missed']} are missed.", ""]
    lines += [f"![Bandwidth of each kernel by that of a copy]({picture(record)})", ""]
    lines += [
        "### Kernel by kernel, at the largest n",
        "",
        "| activation | computes | dtype | accuracy | n | TB/s | of a copy | goal | | "
        + " | ".join(f"{title}: of a copy" for title in PEERS.values())
        + " |",
        "|---" * (9 + len(PEERS)) + "|",
        *(_cells(row) for row in rows),
        "",
        "### By size",
        "",
        "Of a copy of as many elements, `fast`.",
        "",
        "| activation | computes | dtype | " + " | ".join(map(_power, record["sizes"])) + " |",
        "|---" * (3 + len(record["sizes"])) + "|",
        *(_sizes(row, record["sizes"]) for row in rows if row["accuracy"] == "fast"),
        "",
    ]
    if record["overhead"]:
        lines += [*_overhead(record["overhead"]), ""]
    if reasons := _reasons(rows):
        lines += ["### Not run", "", *reasons, ""]
    return "\n".join(lines)


def line(row: Mapping[str, Any]) -> str:
    """A row for a terminal."""
    n = gpu_cases.largest(row)
    case = gpu_cases.case_of(row)
    if n is None:
        return f"{case}: not measured"
    peers = (f", {name} {_percent(row, n, name)}" for name in PEERS if gpu_cases.fraction(row, n, name) is not None)
    goal = "" if case.goal is None else f" (goal {case.goal:.0%}: {gpu_cases.verdict(row)})"
    return f"{case}: {_percent(row, n, OURS)} of a copy at n = {_power(n)}{goal}{''.join(peers)}"


def _percent(row: Mapping[str, Any], n: int, contender: str) -> str:
    reached = gpu_cases.fraction(row, n, contender)
    return "" if reached is None else f"{reached:.1%}"


def _power(n: int) -> str:
    return f"2^{n.bit_length() - 1}"


def _cells(row: Mapping[str, Any]) -> str:
    case, n = gpu_cases.case_of(row), gpu_cases.largest(row)
    cells = [case.activation, case.computes, case.dtype, case.accuracy]
    if n is None:
        cells += ["", "", "", "" if case.goal is None else f"{case.goal:.0%}", "not measured", *("" for _ in PEERS)]
    else:
        speed = gpu_cases.bandwidth(case, n, row["times"][str(n)][OURS]["median"])
        cells += [_power(n), f"{speed:.2f}", _percent(row, n, OURS)]
        cells += ["", ""] if case.goal is None else [f"{case.goal:.0%}", gpu_cases.verdict(row)]
        cells += [_percent(row, n, name) for name in PEERS]
    return f"| {' | '.join(cells)} |"


def _sizes(row: Mapping[str, Any], sizes: Sequence[int]) -> str:
    case = gpu_cases.case_of(row)
    cells = [case.activation, case.computes, case.dtype, *(_percent(row, n, OURS) for n in sizes)]
    return f"| {' | '.join(cells)} |"


def _overhead(found: Mapping[str, Any]) -> list[str]:
    return [
        "### What a launch costs",
        "",
        f"{found['of']}, n = {found['n']}: microseconds from one call to the next.",
        "",
        "| call | median | least | most |",
        "|---|---|---|---|",
        *(
            f"| {PEERS.get(name, name)} | {times['median']:.2f} | {times['least']:.2f} | {times['most']:.2f} |"
            for name, times in found["times"].items()
        ),
        *(f"| {PEERS.get(name, name)} | not run: {reason} | | |" for name, reason in found["not_run"].items()),
    ]


def _reasons(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each reason once, with the kernels that it is about; a contender's name, or a size that took too much memory."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for name, reason in row["not_run"].items():
            what = f"n = {_power(int(name))}" if name.isdigit() else PEERS.get(name, name)
            found.setdefault(f"{what}: {reason}", []).append(str(gpu_cases.case_of(row)))
    return [f"- {reason} ({len(cases)} times, the first {cases[0]})" for reason, cases in found.items()]


_MARKERS = {"float32": "o", "bfloat16": "s", "float16": "^", "float64": "D"}


def plot(record: Mapping[str, Any], path: Path) -> None:
    """Each kernel's part of a copy's bandwidth, PyTorch's hollow; an SVG, the same for the same record."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = [row for row in record["rows"] if row["accuracy"] == "fast" and gpu_cases.largest(row) is not None]
    names = list(dict.fromkeys(row["activation"] for row in rows))
    with mpl.rc_context({"svg.hashsalt": "relusym", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 1.5 + 0.22 * len(names)), layout="constrained")
        panels = figure.subplots(1, len(COMPUTES), sharey=True)
        for computes, axes in zip(COMPUTES, panels, strict=True):
            for dtype, marker in _MARKERS.items():
                group = [row for row in rows if (row["computes"], row["dtype"]) == (computes, dtype)]
                for contender, style in ((OURS, {}), ("torch", {"markerfacecolor": "none"})):
                    points = []
                    for row in group:
                        n = gpu_cases.largest(row)
                        assert n is not None
                        if (reached := gpu_cases.fraction(row, n, contender)) is not None:
                            points.append((reached, names.index(row["activation"])))
                    if points:
                        label = f"{contender} {dtype}"
                        axes.plot(*zip(*points, strict=True), marker, markersize=4, label=label, **style)
            axes.axvline(1, color="grey", linewidth=0.8)
            axes.set(title=computes, xlabel="bandwidth, of a copy's", xlim=(0, None), yticks=range(len(names)))
            axes.grid(axis="x", alpha=0.3)
        panels[0].set_yticklabels(names)
        panels[0].invert_yaxis()
        if rows:
            panels[-1].legend(fontsize="x-small")
        figure.suptitle(f"{record['device']['name']}: largest n, fast")
        figure.savefig(path, format="svg", metadata={"Date": None})
