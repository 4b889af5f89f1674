"""What a claim is, and what comes of putting it to the test; plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Ruling(Enum):
    """What became of a claim."""

    PROVED = "proved"
    CONDITIONAL = "true with a condition"
    REFUTED = "refuted"
    MEASURED = "measured"
    QUOTED = "not derivable (quoted)"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Evidence:
    """One thing that is known of a function, and how: the method, the witness, or what came out.

    The verdict is `proved`, `refuted` or `unknown` of a theorem, `computed` of a result of kernels, and `measured` of
    what was found elsewhere.
    """

    subject: str
    claim: str
    verdict: str
    known: str


@dataclass(frozen=True)
class Measurement:
    """One quantity, a sample for each seed (for each repetition where time is measured)."""

    quantity: str
    samples: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The arithmetic mean of the samples."""
        return sum(self.samples) / len(self.samples)


@dataclass(frozen=True)
class Band:
    """A line through the middle of the samples, between the least and the greatest of them."""

    label: str
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    """Bands over common places, for a picture."""

    name: str
    title: str
    across: str
    upwards: str
    places: tuple[float, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Effort:
    """How much is measured: the seeds, and the share of the training steps that is taken."""

    seeds: tuple[int, ...]
    share: float = 1.0

    def steps(self, full: int) -> int:
        """The steps to take where `full` are taken with all effort."""
        return max(1, round(full * self.share))


FULL = Effort(tuple(range(8)))
QUICK = Effort(tuple(range(3)), share=0.25)


@dataclass(frozen=True)
class Settled:
    """A ruling, and what it stands on.

    `says` is what is known, in a few sentences. `supported` tells of a measured claim whether the measurements agree
    with it. `on_this_machine` is set where the numbers are times, which another machine would not repeat.
    """

    ruling: Ruling
    says: str
    evidence: tuple[Evidence, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    supported: bool | None = None
    on_this_machine: bool = False
    curves: Curves | None = None


@dataclass(frozen=True)
class Claim:
    """A statement of textbooks, in our words; who makes it; and how it is settled."""

    name: str
    statement: str
    citation: str
    settle: Callable[[Effort], Settled] = field(repr=False)
