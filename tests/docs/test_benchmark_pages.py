"""The page of the GPU's benchmarks: what it says without a record, and what it makes of one that is invented here."""

import json
from pathlib import Path
from typing import Any

import gpu_cases
import gpu_page
import pytest
from gpu_cases import COPY, OURS, Case

from relusym.activations import NAMES

ROOT = Path(__file__).parents[2]
N = 2**26


def row(case: Case, part: float | None, *, torch: float | None = None, n: int = N) -> dict[str, Any]:
    """A row in which ours (and PyTorch) reach this part of a copy's bandwidth: no measurement, arithmetic."""
    times = {}
    if part is not None:
        for name, reached in ((COPY, case.arrays / 2), (OURS, part), ("torch", torch)):
            if reached is not None:
                times[name] = gpu_cases.summary([100.0 * case.arrays / 2 / reached] * 3)
    return {
        "activation": case.activation,
        "computes": case.computes,
        "dtype": case.dtype,
        "accuracy": case.accuracy,
        "times": {str(n): times} if times else {},
        "not_run": {},
    }


def record(rows: list[dict[str, Any]], **others: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "date": "1970-01-01",
        "device": {"name": "Invented GPU 1", "compute_capability": "00", "driver": "0.0"},
        "versions": {"CuPy": "0"},
        "quick": False,
        "complete": True,
        "sizes": [N],
        "rows": rows,
        "overhead": None,
        **others,
    }


def test_the_page_is_what_the_records_give() -> None:
    found = gpu_page.records(ROOT / "benchmarks" / "results")
    written = (ROOT / "docs" / "reference" / "benchmarks-gpu.md").read_text(encoding="utf-8")
    assert written == gpu_page.page(found), "write it anew: python benchmarks/gpu.py --page"
    for measured in found:
        assert (ROOT / "docs" / "reference" / gpu_page.picture(measured)).exists()


def test_without_a_record_the_page_says_so_and_how_to_get_one() -> None:
    text = gpu_page.page([])
    assert "**Not measured: no GPU was within reach.**" in text
    assert "python benchmarks/gpu.py" in text
    assert "TB/s" not in text
    assert "Invented" not in text


@pytest.mark.parametrize(
    ("case", "goal"),
    [
        (Case("relu", "backward", "float64", "fast"), 0.97),
        (Case("relu", "forward", "float32", "precise"), None),
        (Case("gelu", "forward", "float32", "fast"), 0.95),
        (Case("mish", "backward", "bfloat16", "fast"), 0.90),
        (Case("tanh", "backward", "float32", "precise"), 0.80),
        (Case("tanh", "forward", "float64", "fast"), None),
        (Case("snake", "forward", "float32", "fast"), None),
    ],
)
def test_goals_are_judged_at_the_largest_size(case: Case, goal: float | None) -> None:
    assert case.goal == goal
    assert gpu_cases.verdict(row(case, None)) == "not measured"
    if goal is None:
        assert gpu_cases.verdict(row(case, 0.1)) == "no goal"
        return
    assert gpu_cases.verdict(row(case, goal + 0.01)) == "met"
    assert gpu_cases.verdict(row(case, goal - 0.01)) == "missed"
    both = row(case, 0.1, n=2**20)
    both["times"] |= row(case, 0.99, n=2**28)["times"]
    assert gpu_cases.largest(both) == 2**28
    assert gpu_cases.verdict(both) == "met"


def test_every_kernel_of_the_catalogue_is_measured() -> None:
    wanted = gpu_cases.cases()
    assert len(wanted) == len(set(wanted)) == len(NAMES) * 2 * 5
    assert {case.activation for case in wanted} == set(NAMES) >= {*gpu_cases.SHORT, *gpu_cases.LONG}
    assert [case.dtype for case in wanted[:1]] == ["float32"]


def test_a_backward_pass_counts_three_arrays_where_it_reads_x() -> None:
    forward, backward = (Case("relu", computes, "float16", "fast") for computes in ("forward", "backward"))
    assert gpu_cases.bandwidth(forward, 10**6, 1.0) == pytest.approx(4.0)
    assert gpu_cases.bandwidth(backward, 10**6, 1.0) == pytest.approx(6.0)
    timed = row(backward, 0.5)
    timed["times"][str(N)] = {COPY: {"median": 2.0}, OURS: {"median": 3.0}}
    assert gpu_cases.fraction(timed, N) == pytest.approx(1.0)
    assert Case("identity", "backward", "float16", "fast").arrays == 2


@pytest.mark.parametrize("dtype", gpu_cases.DTYPES)
@pytest.mark.parametrize("n", gpu_cases.SIZES)
def test_arrays_come_round_again_after_more_than_the_cache_holds(dtype: str, n: int) -> None:
    cache = 50 * 2**20
    between = (gpu_cases.sets_of(dtype, n, cache) - 1) * gpu_cases.bytes_of(dtype, n, 2)
    assert between >= 3 * cache
    assert gpu_cases.sets_of(dtype, 2**28, cache) == 2
    assert 1 <= gpu_cases.calls_of(dtype, n) <= 20


def test_a_summary_is_the_median_between_the_extremes() -> None:
    assert gpu_cases.summary([3.0, 1.0, 2.00004]) == {"median": 2.0, "least": 1.0, "most": 3.0}


def test_the_page_of_a_record_shows_verdicts_peers_and_what_was_not_run() -> None:
    short = Case("relu", "forward", "float32", "fast")
    long = Case("gelu", "backward", "bfloat16", "fast")
    missed = row(long, 0.5, torch=0.75)
    missed["not_run"]["cupy"] = "NVRTCError: no such type"
    absent = row(Case("mish", "forward", "float64", "fast"), None)
    absent["not_run"][str(N)] = "takes 5 bytes of memory, 4 are free"
    overhead = {"n": 8, "of": "silu", "times": {OURS: gpu_cases.summary([1.0])}, "not_run": {"torch": "Error: it"}}
    text = gpu_page.page([record([row(short, 0.98), missed, absent], overhead=overhead)])
    assert "**1 of 2 goals are met**, 1 are missed" in text
    # 2^26 elements of 2 bytes, three arrays, in 100 us times 3/2 for the bytes and by 0.5
    assert "| gelu | backward | bfloat16 | fast | 2^26 | 1.34 | 50.0% | 90% | missed |  | 75.0% |  |" in text
    assert "| relu | forward | float32 | fast | 2^26 | 5.26 | 98.0% | 97% | met |  |  |  |" in text
    assert "| mish | forward | float64 | fast |  |  |  |  | not measured |" in text
    assert "- CuPy ElementwiseKernel: NVRTCError: no such type (1 times, the first gelu backward" in text
    assert "- n = 2^26: takes 5 bytes of memory" in text
    assert "| PyTorch | not run: Error: it |" in text
    assert "Not measured" not in text
    assert "stopped" not in text
    assert "stopped before its end" in gpu_page.page([record([], complete=False)])
    assert gpu_page.line(missed) == (
        "gelu backward bfloat16 fast: 50.0% of a copy at n = 2^26 (goal 90%: missed), torch 75.0%"
    )
    table = [line for line in text.splitlines() if line.startswith("|")]
    headed = [table[index - 1].count("|") == line.count("|") for index, line in enumerate(table) if "---" in line]
    assert headed
    assert all(headed)


def test_a_plot_is_the_same_for_the_same_record(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    rows = [row(case, 0.9, torch=0.8) for case in gpu_cases.cases(["relu", "gelu"])]
    for name in ("one", "two"):
        gpu_page.plot(record(rows), tmp_path / name)
    drawn = (tmp_path / "one").read_text(encoding="utf-8")
    assert drawn == (tmp_path / "two").read_text(encoding="utf-8")
    assert all(word in drawn for word in ("gelu", "torch bfloat16", "Invented GPU 1", "backward"))


def test_a_record_of_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gpu-x.json").write_text(json.dumps({"schema": 2}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"gpu-x\.json has schema 2"):
        gpu_page.records(tmp_path)
