"""What is measured on a GPU, the part of a copy's bandwidth that each kernel is to reach, and whether it does.

Nothing here needs a GPU: a record is the dict that `gpu.py` writes as JSON.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relusym.activations import NAMES
from relusym.floats import FORMATS

SIZES = tuple(2**power for power in (20, 22, 24, 26, 28))
QUICK_SIZES = (2**26,)
DTYPES = ("float32", "bfloat16", "float16", "float64")
"""In the order of measurement: where time runs out, the last are lacking."""
QUICK_DTYPES = DTYPES[:2]
COMPUTES = ("forward", "backward")
OURS, COPY = "relusym", "copy"
PEERS = {"cupy": "CuPy ElementwiseKernel", "torch": "PyTorch", "torch.compile": "torch.compile"}

# fmt: off
SHORT = (
    "identity", "relu", "leaky_relu", "prelu", "relu6", "relu_squared", "hardtanh", "hardsigmoid", "hardswish",
    "softshrink", "hardshrink", "threshold",
)
LONG = ("elu", "selu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh")
# fmt: on
"""Activations with a goal: those of a few operations, and those with an exponential or an error function."""


@dataclass(frozen=True)
class Case:
    """One kernel that is measured."""

    activation: str
    computes: str
    dtype: str
    accuracy: str

    @property
    def arrays(self) -> int:
        """How many arrays a call reads and writes; 2 for a copy, and for identity's backward pass, which needs no x."""
        return 3 if self.computes == "backward" and self.activation != "identity" else 2

    @property
    def goal(self) -> float | None:
        """The part of a copy's bandwidth to reach; None where nothing was promised."""
        if self.activation in SHORT:
            return None if self.accuracy == "precise" else 0.97
        if self.activation not in LONG or self.dtype == "float64":
            return None
        if self.accuracy == "precise":
            return 0.80
        return 0.95 if self.dtype == "float32" else 0.90

    def __str__(self) -> str:
        return f"{self.activation} {self.computes} {self.dtype} {self.accuracy}"


def cases(names: Iterable[str] = NAMES, dtypes: Sequence[str] = DTYPES) -> list[Case]:
    """Every kernel to measure, dtype by dtype: `fast`, and `precise` in float32, where it is another kernel."""
    return [
        Case(name, computes, dtype, accuracy)
        for dtype in dtypes
        for name in names
        for computes in COMPUTES
        for accuracy in (("fast", "precise") if dtype == "float32" else ("fast",))
    ]


def bytes_of(dtype: str, n: int, arrays: int) -> int:
    """What `arrays` arrays of n elements take."""
    return FORMATS[dtype].bits // 8 * n * arrays


def sets_of(dtype: str, n: int, cache: int) -> int:
    """How many sets of arrays are used in turn: three caches' worth is read and written before a set returns."""
    return -(-3 * cache // bytes_of(dtype, n, 2)) + 1


def calls_of(dtype: str, n: int) -> int:
    """How many calls are timed together: about a millisecond's worth, as many as 20."""
    return min(max(1, 2 * 10**9 // bytes_of(dtype, n, 2)), 20)


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median, least and most, to four digits."""
    found = {"median": statistics.median(times), "least": min(times), "most": max(times)}
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def case_of(row: Mapping[str, Any]) -> Case:
    """The kernel that a row of a record is about."""
    return Case(row["activation"], row["computes"], row["dtype"], row["accuracy"])


def bandwidth(case: Case, n: int, microseconds: float) -> float:
    """Bytes read and written each second, in TB/s."""
    return bytes_of(case.dtype, n, case.arrays) / microseconds / 1e6


def fraction(row: Mapping[str, Any], n: int, contender: str = OURS) -> float | None:
    """The contender's bandwidth by that of the copy of n elements it was timed beside; None: not measured."""
    times = row["times"].get(str(n), {})
    if contender not in times or COPY not in times:
        return None
    moved: float = case_of(row).arrays / 2
    return moved * float(times[COPY]["median"]) / float(times[contender]["median"])


def largest(row: Mapping[str, Any], contender: str = OURS) -> int | None:
    """The largest n at which the contender was measured beside a copy; goals are judged there."""
    sizes = [int(n) for n in row["times"] if fraction(row, int(n), contender) is not None]
    return max(sizes, default=None)


def verdict(row: Mapping[str, Any]) -> str:
    """One of "met" and "missed" where there is a goal, else "no goal"; "not measured" where there are no numbers."""
    goal, n = case_of(row).goal, largest(row)
    if n is None:
        return "not measured"
    if goal is None:
        return "no goal"
    reached = fraction(row, n)
    assert reached is not None
    return "met" if reached >= goal else "missed"


def tally(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many rows have each verdict, in this order."""
    found = dict.fromkeys(("met", "missed", "no goal", "not measured"), 0)
    for row in rows:
        found[verdict(row)] += 1
    return found


def slug(device: str) -> str:
    """A device's name as a part of a file's name: "NVIDIA H200" is nvidia-h200."""
    return "-".join("".join(c if c.isalnum() else " " for c in device.lower()).split())
