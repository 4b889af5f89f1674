"""Every float32 input: a kernel run over all 2**32 bit patterns, or one block in so many, and a record of it.

The reference comes in bulk from `segments`: a polynomial with a certified radius for each run of inputs. Where the
radius does not say how the exact value rounds, the point goes to balls (`Expectation.at`), and what stays open is
counted, never passed. A run whose errors are all inside the constant part of the bound breaks no law; the others,
and the surroundings of breakpoints, are held to the same laws as in `check`.

One binade of one sign (2**23 patterns) is one piece of work: a tenth of a second or more, and a few kilobytes to
send. What comes out depends on nothing but the trial and the binade, so pieces run anywhere, in any order - in
processes of their own, or where an executor takes them - and again where a worker was lost. What is done is kept in a
partial record: the same call continues it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, astuple, dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache, reduce
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from relusym.activation import Activation, Number, exact, parameter_values
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Array, from_bits, to_bits, ulp
from relusym.judge.expectations import expectations, quantities_of
from relusym.judge.laws import CallFailed, Subject, canonical_bits, kind_of_result, pointwise, simplicity, standard
from relusym.judge.metrics import Bound
from relusym.judge.reports import Finding, hex_of, installed_versions
from relusym.judge.sweeps import MEANINGS, Sweep, judgement, tally
from relusym.rounding import Reference
from relusym.segments import (
    BLOCK,
    SHARP,
    Cover,
    Segment,
    evaluate,
    finely,
    float_of,
    inputs_of,
    segments_of,
    slopes,
    tail,
)
from relusym.workers import in_processes

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

FORM = FORMATS["float32"]
QUANTITIES = ("forward", "derivative", "second-derivative")
"""What can be judged at all inputs: functions of one input and nothing else."""

BINADES = 512
BLOCKS = 2**23 // BLOCK
"""Blocks in a binade."""

MOST_BALLS = 512
"""Points of one block that are taken to balls; beyond, what is open stays open."""

SAMPLE = 8
"""Points of a block without any segment that are taken to balls."""

WORST = 5
"""How many worst inputs are kept, each of another binade."""

ORDINARY = (0, *(sign | power << 23 for sign in (0, 1 << 31) for power in range(127 - 8, 127 + 9)))
"""Zero, which tells whether subnormal inputs are taken for it, and powers of two, which tell a tail from everything."""

TOGETHER = 256
"""So many inputs at least are called with where a finding is looked at again."""

SAVE_EVERY = 1.0
"""Seconds between two savings of the partial record."""


@dataclass(frozen=True)
class Trial:
    """What is to be judged, picklable: `make()` gives the kernel, a callable on float32 arrays, in each process.

    `parameters` are exact values by name, `kernel` says what it is and `kernel_sha256` is of its text, if it has
    one. Finite inputs larger than `within` are judged for finiteness alone. `stride` n takes one block of 32,768
    patterns in n, at least one in each binade of each sign, and those that hold a breakpoint. Without `strict` a
    kernel may flush subnormal results to zero, and derivatives may swallow NaN: the record counts such inputs as
    policies, and their errors among the wrong roundings only. `packages` are what else takes part in the kernel, a
    framework say. `subgradient` is a policy at kinks, or "any": every value between the one-sided limits is right.
    """

    activation: Activation
    computes: str
    make: Callable[[], Callable[..., Any]]
    bound: Bound
    parameters: tuple[tuple[str, Number], ...] = ()
    subgradient: Any = "least-norm"
    within: float | None = None
    kernel: str = ""
    kernel_sha256: str | None = None
    stride: int = 1
    strict: bool = True
    packages: tuple[str, ...] = ()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a record of this trial is of, for JSON."""
        values = parameter_values(self.activation, dict(self.parameters))
        return {
            "activation": self.activation.name,
            "formula": str(self.activation.expr),
            "parameters": {str(symbol): str(exact(value)) for symbol, value in values.items()},
            "computes": self.computes,
            "dtype": FORM.name,
            "subgradient": str(self.subgradient),
            "kernel": self.kernel,
            "kernel_sha256": self.kernel_sha256,
            "bound": str(self.bound),
            "within": None if self.within is None else hex_of(self.within),
            "stride": self.stride,
            **({} if self.strict else {"strict": False}),
            "versions": installed_versions(*self.packages),
        }

    @property
    def policies(self) -> frozenset[str]:
        """The laws whose breaches are reported and not judged."""
        (quantity,) = quantities_of(self.computes, self.activation)
        return frozenset() if self.strict else quantity.policies_in(FORM)


@dataclass(frozen=True)
class Counts:
    """How many inputs.

    `tested` inputs, of which `wrong` are certainly not correctly rounded and `over_one` off by more than an ulp.
    For `undecided` ones it is open to which side the exact value rounds; their error is known all the same.
    `unjudged` ones have no certified value, or lie beyond `within`: of them only a finite result is asked.
    `balls` went to ball arithmetic one by one.
    """

    tested: int = 0
    wrong: int = 0
    over_one: int = 0
    undecided: int = 0
    unjudged: int = 0
    balls: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Outcome:
    """The verdict on one binade of one sign; `broken` has (law, how often, and the simplest, first, last pattern)."""

    binade: int
    counts: Counts
    max_ulp: float
    upper: float
    worst: int | None
    broken: tuple[tuple[str, int, tuple[int, int, int]], ...]
    digest: str
    seconds: float
    kernel_seconds: float


@dataclass(frozen=True)
class SweepRecord:
    """What an exhaustive run found out.

    `max_ulp` is the largest error, at `worst_inputs[0]`, and no error among the judged inputs is larger than
    `max_ulp_upper`. `policies` says, by law, what a kernel does that its trial reports and does not judge. `digest`
    is a SHA-256 over those of the 512 binades in pattern order, each over the results of its inputs in pattern
    order, little-endian, NaNs made one. `seconds` are those of the run that finished the record, `kernel_seconds`
    those of the kernel in all processes together.
    """

    identity: Mapping[str, Any]
    counts: Counts
    max_ulp: float
    max_ulp_upper: float
    worst_inputs: tuple[tuple[str, float], ...]
    findings: tuple[Finding, ...]
    policies: Mapping[str, str]
    digest: str
    digests: tuple[str, ...]
    seconds: float
    processor_seconds: float
    kernel_seconds: float

    @property
    def passed(self) -> bool:
        """Whether no law is broken at any input."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON: numbers that matter are hex floats."""
        return {
            "schema": 1,
            **self.identity,
            "passed": self.passed,
            **asdict(self.counts),
            "max_ulp": hex_of(self.max_ulp),
            "max_ulp_upper": hex_of(self.max_ulp_upper),
            "worst_inputs": [{"input": x, "ulps": hex_of(error)} for x, error in self.worst_inputs],
            "findings": [{**asdict(finding), "ulps": hex_of(finding.ulps)} for finding in self.findings],
            **({"policies": dict(self.policies)} if self.policies else {}),
            "digest": self.digest,
            "digests": list(self.digests),
            "seconds": round(self.seconds, 1),
            "processor_seconds": round(self.processor_seconds, 1),
            "kernel_seconds": round(self.kernel_seconds, 1),
        }


def exhaust(
    trial: Trial, *, jobs: int | None = None, partial: Path | None = None, executor: Executor | None = None
) -> SweepRecord:
    """Judge the kernel at every input (of the stride) and return the record.

    The work is done in `jobs` processes, one a core by default, or by `executor`, any of `concurrent.futures` or with
    its interface (`Client.get_executor()` of a Dask cluster): the record is the same but for the seconds. Threads gain
    nothing, for ball arithmetic has settings of the whole process. `partial` names a file in which finished binades
    are kept, so that the same call continues after an interruption; it stays until the caller has the record in
    safety, and removes it.

    Raises `InvalidRequest` where the file belongs to something else, for quantities other than forward, derivative
    and second-derivative, and where the kernel raises or does not return a float32 array of its input's shape;
    `Missing` where workers are lost. What was done before is in the file.
    """
    if trial.computes not in QUANTITIES:
        raise InvalidRequest(
            f"{trial.activation.name}: {trial.computes!r} cannot be swept over all float32 inputs; "
            f"known there: {', '.join(QUANTITIES)}"
        )
    if not 1 <= trial.stride <= BLOCKS:
        raise InvalidRequest(f"a stride of {trial.stride} is not possible; give 1 to {BLOCKS}")
    begun = time.perf_counter()
    done = _read_partial(partial, trial) if partial else {}
    saved = time.perf_counter()

    def keep(outcome: Outcome) -> None:
        nonlocal saved
        done[outcome.binade] = outcome
        if partial and time.perf_counter() - saved > SAVE_EVERY:
            _write_partial(partial, trial, done)
            saved = time.perf_counter()

    try:
        in_processes(
            [(trial, binade) for binade in range(BINADES) if binade not in done],
            judge_binade,
            doing=f"{trial.activation.name} {trial.computes} {trial.kernel}".strip(),
            name=lambda work: f"{trial.activation.name} {trial.computes}, {_binade_text(work[1])}",
            jobs=jobs,
            seen=keep,
            executor=executor,
        )
    finally:
        if partial:
            _write_partial(partial, trial, done)
    return _record(trial, [done[binade] for binade in range(BINADES)], time.perf_counter() - begun)


def differences(record: SweepRecord | Mapping[str, Any], other: SweepRecord | Mapping[str, Any]) -> list[str]:
    """In what two records of the same trial disagree, in words; empty where counts, errors and results agree."""
    one, two = (given.to_json() if isinstance(given, SweepRecord) else given for given in (record, other))
    found = [
        f"{key}: {one.get(key)} here, {two.get(key)} there"
        for key in (
            *_SAME,
            "kernel_sha256",
            "tested",
            "wrong",
            "over_one",
            "undecided",
            "unjudged",
            "max_ulp",
            "policies",
            "digest",
        )
        if one.get(key) != two.get(key)
    ]
    places = [
        _binade_text(binade)
        for binade, (here, there) in enumerate(zip(one["digests"], two["digests"], strict=False))
        if here != there
    ]
    if places:
        shown = "; ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
        found.append(f"other results at {shown}")
    return found


_SAME = (
    "activation",
    "formula",
    "parameters",
    "computes",
    "dtype",
    "subgradient",
    "kernel",
    "bound",
    "within",
    "stride",
    "strict",
)
"""Keys of two records that must agree before their results can be compared."""


def not_comparable(trial: Trial, record: Mapping[str, Any]) -> list[str]:
    """What tells this trial from the one of the record; the versions may differ, the kernel's text may not."""
    return [
        f"{key}: {trial.identity.get(key)} here, {record.get(key)} there"
        for key in (*_SAME, "kernel_sha256")
        if trial.identity.get(key) != record.get(key)
    ]


# --- the partial record ---


def _read_partial(path: Path, trial: Trial) -> dict[int, Outcome]:
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        identity, outcomes = document["identity"], [_outcome(entry) for entry in document["outcomes"]]
    except (ValueError, KeyError, TypeError):
        raise InvalidRequest(f"{path} is not the partial record of a sweep by this version; move it away") from None
    mine = json.loads(json.dumps(trial.identity))
    other = [key for key in {**mine, **identity} if mine.get(key) != identity.get(key)]
    if other:
        shown = ", ".join(f"{key} {identity.get(key)!r} there, {mine.get(key)!r} here" for key in other[:2])
        raise InvalidRequest(f"{path} was begun for something else ({shown}); remove it to begin anew")
    return {outcome.binade: outcome for outcome in outcomes}


def _outcome(entry: dict[str, Any]) -> Outcome:
    read = {
        "counts": Counts(**entry["counts"]),
        "max_ulp": float.fromhex(entry["max_ulp"]),
        "upper": float.fromhex(entry["upper"]),
        "broken": tuple((kind, count, tuple(places)) for kind, count, places in entry["broken"]),
    }
    return Outcome(**{**entry, **read})


def _write_partial(path: Path, trial: Trial, done: Mapping[int, Outcome]) -> None:
    """Whole or not at all: a reader finds the old file or the new one."""
    outcomes = [
        {**asdict(outcome), "max_ulp": hex_of(outcome.max_ulp), "upper": hex_of(outcome.upper)}
        for _, outcome in sorted(done.items())
    ]
    beside = path.with_name(path.name + f".{os.getpid()}.new")
    beside.write_text(json.dumps({"schema": 1, "identity": trial.identity, "outcomes": outcomes}), encoding="utf-8")
    beside.replace(path)


# --- the record ---


def _record(trial: Trial, outcomes: Sequence[Outcome], seconds: float) -> SweepRecord:
    worst = sorted((o for o in outcomes if o.worst is not None), key=lambda o: (-o.max_ulp, o.binade))[:WORST]
    broken: dict[str, list[tuple[int, tuple[int, int, int]]]] = {}
    for outcome in outcomes:
        for kind, count, places in outcome.broken:
            broken.setdefault(kind, []).append((count, places))
    digests = tuple(outcome.digest for outcome in outcomes)
    shown = {kind: _finding(trial, kind, broken[kind]) for kind in MEANINGS if kind in broken}
    return SweepRecord(
        identity=trial.identity,
        counts=reduce(Counts.plus, (outcome.counts for outcome in outcomes)),
        max_ulp=worst[0].max_ulp if worst else 0.0,
        max_ulp_upper=max(o.upper for o in outcomes),
        worst_inputs=tuple((_hex_input(o.worst), o.max_ulp) for o in worst if o.worst is not None),
        findings=tuple(finding for kind, finding in shown.items() if kind not in trial.policies),
        policies={kind: str(finding) for kind, finding in shown.items() if kind in trial.policies},
        digest=hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest(),
        digests=digests,
        seconds=seconds,
        processor_seconds=sum(o.seconds for o in outcomes),
        kernel_seconds=sum(o.kernel_seconds for o in outcomes),
    )


def _finding(trial: Trial, kind: str, seen: Sequence[tuple[int, tuple[int, int, int]]]) -> Finding:
    """The simplest input of all binades, or a simpler one still where that shows the same, and what is wrong there."""
    count = sum(times for times, _ in seen)
    patterns = np.unique(np.array([*ORDINARY, *(at for _, places in seen for at in places)], dtype=np.uint32))
    # Many at once, as in the sweep: vectorised code may be wrong where what it does with a few inputs is not.
    x = np.resize(from_bits(patterns, FORM), max(patterns.size, TOGETHER))
    with _ONE_AT_A_TIME, np.errstate(all="ignore"):
        judge = _judge(trial)
        over = Sweep(
            judge.subject, 0, judge.expected, trial.bound, trial.within, other=judge.other, reported=trial.policies
        )
        found = tally(over, judgement(over, x, None))
    for finding in (*found.findings, *found.reported):
        if finding.kind == kind:
            return replace(finding, count=count)
    here = hex_of(x[np.argmin(simplicity(x))])
    message = f"{MEANINGS[kind]} at x = {here}, but not when called with a few inputs alone"
    return Finding(kind=kind, input=here, got="", expected="", ulps=0.0, message=message, count=count)


def _hex_input(pattern: int) -> str:
    return hex_of(float_of(pattern))


def _binade_text(binade: int) -> str:
    """The inputs of one binade, in words."""
    sign, exponent = ("-" if binade >> 8 else ""), binade & 255
    if exponent == 255:
        return f"{sign}inf and NaN"
    if exponent == 0:
        return f"{sign}0 and subnormals"
    return f"x from {sign}0x1p{exponent - 127:+d}"


# --- one binade ---


_ONE_AT_A_TIME = Lock()
"""The precision of ball arithmetic is a setting of the process, and a judge has arrays to work in: no two threads."""


def judge_binade(work: tuple[Trial, int]) -> Outcome:
    """The verdict on one binade of one sign, the same whatever was judged before."""
    trial, binade = work
    with _ONE_AT_A_TIME, np.errstate(all="ignore"):
        judge = _judge(trial)
        judge.cover.begin()
        tally = _Tally()
        begun = time.process_time()
        for number in judge.blocks(binade):
            try:
                judge.block(number, tally)
            except CallFailed as failure:
                raise InvalidRequest(
                    f"{trial.activation.name} {trial.computes}: the kernel cannot be swept: {failure.finding.message}"
                ) from None
        return tally.outcome(binade, time.process_time() - begun)


@lru_cache(maxsize=1)
def _judge(trial: Trial) -> _Judge:
    return _Judge(trial)


@dataclass
class _Tally:
    """What was counted so far."""

    counts: Counter[str] = field(default_factory=Counter)
    max_ulp: float = 0.0
    upper: float = 0.0
    worst: int | None = None
    broken: dict[str, tuple[int, tuple[int, int, int]]] = field(default_factory=dict)
    digest: Any = field(default_factory=hashlib.sha256)
    kernel_seconds: float = 0.0

    def error(self, ulps: float, upper: float, pattern: int) -> None:
        """An error of so many ulps, and certainly no more than `upper`, at this pattern."""
        self.upper = max(self.upper, upper)
        if ulps > self.max_ulp:
            self.max_ulp, self.worst = ulps, pattern

    def breaks(self, kind: str, patterns: Array) -> None:
        """A law is broken at these patterns of one binade."""
        first, last = int(patterns.min()), int(patterns.max())
        few = patterns
        if 0 < first >> 23 & 255 < 255:  # of normal numbers the simplest has the most zeros at its end
            few = patterns[[np.argmax(patterns & (~patterns + np.uint32(1)))]]
        count, (simplest, least, greatest) = self.broken.get(kind, (0, (int(few[0]), first, last)))
        few = np.append(np.array([simplest], dtype=np.uint32), few)
        simplest = int(few[np.argmin(simplicity(from_bits(few, FORM)))])
        self.broken[kind] = (count + patterns.size, (simplest, min(least, first), max(greatest, last)))

    def outcome(self, binade: int, seconds: float) -> Outcome:
        """All of it, as the verdict on a binade."""
        return Outcome(
            binade=binade,
            counts=Counts(**self.counts),
            max_ulp=self.max_ulp,
            upper=self.upper,
            worst=self.worst,
            broken=tuple((kind, count, places) for kind, (count, places) in sorted(self.broken.items())),
            digest=self.digest.hexdigest(),
            seconds=seconds,
            kernel_seconds=self.kernel_seconds,
        )


class _Judge:
    """One trial in one process: its kernel, what is expected, and arrays to work in."""

    def __init__(self, trial: Trial) -> None:
        (quantity,) = quantities_of(trial.computes, trial.activation)
        self.trial = trial
        self.subject = Subject(trial.make(), takes_gradient=False, outputs=1)
        parameters = dict(trial.parameters)
        self.expected, self.other = expectations(
            trial.activation, quantity, parameters=parameters, subgradient=trial.subgradient, strict=trial.strict
        )
        self.cover: Cover = segments_of(trial.activation, quantity.order, parameters)
        near = self.expected.breakpoints(FORM)
        self.broken_up = {int(bits) // BLOCK for bits in to_bits(np.concatenate([near, -near[near == 0]]))}
        self._values, self._errors = np.empty(BLOCK), np.empty(BLOCK)
        self._mask = np.empty(BLOCK, dtype=bool)
        self._left = 0

    def blocks(self, binade: int) -> Iterator[int]:
        """The blocks of a binade that the stride takes, and those with breakpoints, in order."""
        stride = self.trial.stride
        # Another place in each binade; the first in those that begin with 0 and with infinity.
        first = 97 * binade % stride if binade & 255 not in (0, 255) else 0
        for place in range(BLOCKS):
            number = binade * BLOCKS + place
            if place % stride == first or number in self.broken_up:
                yield number

    def block(self, number: int, tally: _Tally) -> None:
        """Call the kernel with one block and judge its results."""
        start = number * BLOCK
        begun = time.process_time()
        got = np.ascontiguousarray(kind_of_result(self.subject, inputs_of(start, BLOCK), None)[0])
        tally.kernel_seconds += time.process_time() - begun
        some_nan = bool(np.isnan(got).any())
        tally.digest.update((canonical_bits(got) if some_nan else to_bits(got)).astype("<u4", copy=False))
        tally.counts["tested"] += BLOCK
        self._left = MOST_BALLS
        within = self.trial.within
        if start >> 23 & 255 == 255:
            if start & 0x7FFFFF == 0 or not np.isnan(got).all():
                self._not_finite(start, got, tally)
        elif within is not None and abs(float_of(start)) >= within:
            tally.counts["unjudged"] += BLOCK
            self._unknown(start, got, np.zeros(BLOCK, dtype=bool), tally)
        else:
            self._finite(number, got, tally)

    def _finite(self, number: int, got: Array, tally: _Tally) -> None:
        start = number * BLOCK
        block = self.cover.block(number)
        for group in _grouped(block.segments):
            first = group[0].start - start
            part = got[first : first + len(group) * group[0].size]
            if number in self.broken_up or not self._quickly(group, part, tally):
                self._held_to_laws(group, part, tally, kinks=number in self.broken_up)
        for place, size in block.open:
            part = got[place - start : place - start + size]
            asked = np.zeros(size, dtype=bool)
            asked[:: max(size // SAMPLE, 1) if block.hopeless else 1] = True
            tally.counts["unjudged"] += size - self._unknown(place, part, asked, tally)

    # --- the quick way ---

    def _quickly(self, group: Sequence[Segment], got: Array, tally: _Tally) -> bool:
        """Judge a run by its polynomials alone; False, with nothing counted, where the laws have to be asked.

        All errors are inside the constant part of the bound, or what else there is has but one name: the exact
        values are far from 0 and no subnormal numbers.
        """
        first = group[0]
        constant = _constant(first) if len(group) == 1 else None
        if constant is not None and np.all(got == constant):
            self._correct(first, constant, tally)
            return True
        spacings = np.array([_spacing(s) for s in group])
        if not np.all([s.radius for s in group] <= SHARP * spacings):  # neither where there is no single spacing
            return False
        rows = got.reshape(len(group), first.size)
        values = evaluate(group, self._values)
        errors = self._errors[: got.size].reshape(rows.shape)
        np.abs(np.subtract(rows, values, out=errors), out=errors)
        unit = float(spacings[0])
        if np.any(spacings != unit):
            errors *= (1 / spacings)[:, None]
            unit = 1.0
        radius = unit * float(np.max([s.radius for s in group] / spacings))
        top = float(errors.max())
        upper = (top + radius) / unit * (1 + 2.0**-40)
        limit = self.trial.bound.constant
        # From an error of an ulp on, a small result might have the wrong sign.
        if not upper < 1 and any(
            _smallest(s) <= (limit + 1) * spacing for s, spacing in zip(group, spacings, strict=True)
        ):
            return False
        flat, half = errors.reshape(-1), unit / 2
        if not upper <= limit:
            last = first.start + got.size - 1
            plain = first.start >> 23 & 255 and all(_smallest(s) > FORM.smallest_normal for s in group)
            if not plain or (self.trial.within is not None and abs(float_of(last)) > self.trial.within):
                return False
            self._broken_laws(group, got, values.reshape(-1), flat, unit / spacings, unit, tally)
            top = float(flat.max())
            upper = (top + radius) / unit * (1 + 2.0**-40)
        mask = self._mask[: got.size]
        if constant is not None:
            tally.counts["wrong"] += int(np.count_nonzero(np.not_equal(got, constant, out=mask)))
        elif top >= half - radius:
            tally.counts["wrong"] += int(np.count_nonzero(np.greater(flat, half + radius, out=mask)))
            close = np.flatnonzero(np.greater_equal(flat, half - radius, out=mask))
            close = close[flat[close] <= half + radius]
            if close.size:
                self._rounding(group, got, values.reshape(-1), close, tally)
        if top > unit:
            tally.counts["over_one"] += int(np.count_nonzero(np.greater(flat, unit, out=mask)))
        tally.error(top / unit, upper, first.start + (int(flat.argmax()) if top / unit > tally.max_ulp else 0))
        return True

    def _broken_laws(
        self,
        group: Sequence[Segment],
        got: Array,
        values: Floats,
        errors: Floats,
        scales: Floats,
        unit: float,
        tally: _Tally,
    ) -> None:
        """The laws of `pointwise` where values are ordinary numbers; errors of infinite results and NaN are set."""
        bound, size = self.trial.bound, group[0].size
        far = np.flatnonzero(~(errors <= bound.constant * unit))
        results, exact = got[far].astype(np.float64), values[far]
        infinite = np.isinf(results)
        if infinite.any():
            top = np.copysign(2.0 ** (FORM.max_exponent + 1), results[infinite])
            errors[far[infinite]] = np.abs(top - exact[infinite]) * scales[far[infinite] // size]
        missing = np.isnan(results)
        errors[far[missing]] = math.inf
        condition = np.zeros(far.size)
        if bound.per_condition:
            x = inputs_of(group[0].start, got.size)[far]
            condition = np.abs(x * slopes(group).reshape(-1)[far] / exact)
        wrong = errors[far] > bound.allowed(condition) * unit
        excused = np.abs(exact) * scales[far // size] <= bound.per_condition * condition * unit
        left = np.ones(far.size, dtype=bool)
        for kind, mask in (
            ("nan", missing),
            ("overflow", infinite & wrong),
            ("sign", (results * exact < 0) & ~excused),
            ("accuracy", wrong),
        ):
            here = mask & left
            left &= ~mask
            if here.any():
                tally.breaks(kind, (far[here] + group[0].start).astype(np.uint32))

    def _correct(self, segment: Segment, constant: np.float32, tally: _Tally) -> None:
        """All exact values round to one float, and the kernel gives it everywhere."""
        spacing, number = _spacing(segment), float(constant)
        upper = max(abs(number - segment.low), abs(number - segment.high)) / spacing
        middle = segment.size // 2
        value = float(evaluate([segment], self._values)[0][middle])
        tally.error(abs(number - value) / spacing, upper, segment.start + middle)

    def _rounding(self, group: Sequence[Segment], got: Array, values: Floats, close: Positions, tally: _Tally) -> None:
        """Of the points close to a tie: which are correctly rounded."""
        size = group[0].size
        for row in np.unique(close // size):
            here = close[close // size == row]
            segment = group[row]
            x = inputs_of(segment.start, size)[here - row * size]
            rounded = self._settled(segment, x, values[here], segment.radius)
            open_ = np.flatnonzero(np.isnan(rounded))[: self._left]
            if open_.size:
                rounded[open_] = self._balls(x[open_], tally).value
            tally.counts["undecided"] += int(np.count_nonzero(np.isnan(rounded)))
            tally.counts["wrong"] += int(np.count_nonzero((rounded != got[here]) & ~np.isnan(rounded)))

    def _settled(self, segment: Segment, x: Array, values: Floats, radius: Floats | float) -> Floats:
        """The correctly rounded value where the polynomial alone tells it, next to a tie; else NaN."""
        if segment.radius == 0:
            return values.astype(np.float32).astype(np.float64)
        below = (values - radius).astype(np.float32).astype(np.float64)
        above = (values + radius).astype(np.float32).astype(np.float64)
        rounded: Floats = np.where(below == above, below, np.nan)
        tie = (below + above) / 2
        if segment.tail_radius is not None and segment.spacing is not None:
            wide = x.astype(np.float64)
            # The first difference is exact: both numbers are close to each other.
            beside, small = segment.coefficients[1] * wide - tie, tail(segment, wide)
            past = beside + small
            sure = np.abs(past) > segment.tail_radius + (np.abs(beside) + np.abs(small)) * 2.0**-50
            return np.where(np.isnan(rounded) & sure, np.where(past > 0, above, below), rounded)
        if not np.isnan(rounded).any():
            return rounded
        quantum = None if segment.spacing is None else self.cover.quantum(segment)
        if quantum is not None and quantum > 4 * Fraction(float(np.max(radius))):
            # Nearer to the tie than two values can be to each other: the tie itself.
            even = np.where(to_bits(below.astype(np.float32)) & 1 == 0, below, above)
            return np.where(np.isnan(rounded), even, rounded)
        side = self._side(segment, x, tie)
        return np.where(np.isnan(rounded) & (side != 0), np.where(side > 0, above, below), rounded)

    def _side(self, segment: Segment, x: Array, tie: Floats) -> Floats:
        """On which side of these numbers the values at x are: 1 above, -1 below, 0 where nothing proves it."""
        known = self.cover.beside(segment)
        if known is None:
            return np.zeros(tie.shape)
        slope, offset = float(known.slope), float(known.offset)
        if slope != known.slope or offset != known.offset or slope != np.float32(slope):
            return np.zeros(tie.shape)
        moved = tie - offset
        part = moved - tie
        exact = (tie - (moved - part)) + (-offset - part) == 0
        # The product has at most 48 bits, and a difference of two floats has the right sign.
        beyond = slope * x.astype(np.float64) - moved
        far = np.abs(beyond) * (1 - 2.0**-50) > known.largest
        return np.where(exact, np.where(beyond == 0, known.sign, np.where(far, np.sign(beyond), 0)), 0)

    def _balls(self, x: Array, tally: _Tally) -> Reference:
        """The reference at single points; NaN where it is undecided."""
        self._left = max(self._left - x.size, 0)
        tally.counts["balls"] += x.size
        return self.expected.at(x)

    # --- the laws ---

    def _held_to_laws(self, group: Sequence[Segment], got: Array, tally: _Tally, *, kinks: bool) -> None:
        """Every law of `check` at every input of these segments, among which there may be kinks."""
        values = evaluate(group).reshape(-1)
        radius = np.repeat([s.radius for s in group], group[0].size)
        _refine(group, values, radius)
        left = np.arange(got.size)
        if not kinks:
            left = np.flatnonzero(~self._ordinary(group[0].start, got, values, radius, tally))
            if not left.size:
                return
        x, got, values, radius = inputs_of(group[0].start, got.size)[left], got[left], values[left], radius[left]
        value = np.where(np.abs(values) < 2.0**129, values, np.copysign(np.inf, values)).astype(np.float32)
        spacing = ulp(value)
        sharp = radius <= SHARP * spacing
        rounds = ((values - radius).astype(np.float32) == (values + radius).astype(np.float32)) & sharp
        slope = np.zeros(left.size)
        rows, firsts = np.unique(left // group[0].size, return_index=True)
        by_x = slopes([group[row] for row in rows])
        for number, (row, first, beyond) in enumerate(zip(rows, firsts, [*firsts[1:], left.size], strict=True)):
            run = slice(first, beyond)
            slope[run] = by_x[number, left[run] % group[0].size]
            close = first + np.flatnonzero(~rounds[run] & sharp[run])
            if close.size:
                settled = self._settled(group[row], x[close], values[close], radius[close])
                known = ~np.isnan(settled)
                value[close[known]] = settled[known]
                rounds[close[known]] = True
        offset = np.where(np.isfinite(value), (values - value) / spacing, 0.0)
        condition = np.abs(x * slope) / np.maximum(np.abs(values), FORM.smallest_normal)
        at_breakpoint = self.expected.at_breakpoint(x)
        judged = sharp.copy()
        ask = np.flatnonzero(at_breakpoint | ~rounds)
        ask = ask[np.argsort(~at_breakpoint[ask], kind="stable")][: max(self._left, int(at_breakpoint.sum()))]
        if ask.size:
            found = self._balls(x[ask], tally)
            sure = np.ones(ask.size, dtype=bool)
            sure[found.undecided] = False
            at = ask[sure]
            value[at], offset[at], condition[at] = found.value[sure], found.offset[sure], found.condition[sure]
            rounds[at] = judged[at] = True
            radius[at] = 0.0
        tally.counts["undecided"] += int(np.count_nonzero(~rounds & judged))
        tally.counts["unjudged"] += int(np.count_nonzero(~judged))
        reference = Reference(value, offset, np.where(np.isnan(condition), 0.0, condition), np.flatnonzero(~judged))
        self._count(group[0].start + left, x, got, reference, judged, rounds, radius / spacing, tally)

    def _ordinary(self, start: int, got: Array, values: Floats, radius: Floats, tally: _Tally) -> Bools:
        """Where no law is broken and the rounding is certain, each value with its own ulp; those inputs are counted.

        The exact values there are no subnormal numbers, and the errors inside the constant part of the bound.
        """
        limit = min(self.trial.bound.constant, 2.0**20)
        rounded = values.astype(np.float32)
        certain = (values - radius).astype(np.float32) == (values + radius).astype(np.float32)
        size = np.abs(rounded)
        spacing = _ulp_of_normal(rounded)
        errors, blur = np.abs(got - values) / spacing, radius / spacing
        within: Bools = certain & (size > 2.0**-100) & (size < 2.0**127) & (blur <= SHARP) & (errors + blur <= limit)
        errors[~within] = 0.0
        tally.counts["wrong"] += int(np.count_nonzero(within & (got != rounded)))
        tally.counts["over_one"] += int(np.count_nonzero(errors > 1))
        worst = int(np.argmax(errors))
        upper = float(np.max(np.where(within, errors + blur, 0.0))) * (1 + 2.0**-40)
        tally.error(float(errors[worst]), upper, start + worst)
        return within

    def _unknown(self, start: int, got: Array, asked: Bools, tally: _Tally) -> int:
        """Points without a polynomial: those asked for, and results that are not finite, by balls; how many."""
        x = inputs_of(start, got.size)
        where = np.concatenate([np.flatnonzero(asked), np.flatnonzero(~asked & ~np.isfinite(got))])[: self._left]
        if not where.size:
            return 0
        reference = self._balls(x[where], tally)
        judged = np.ones(where.size, dtype=bool)
        judged[reference.undecided] = False
        patterns = start + where
        counted = self._count(patterns, x[where], got[where], reference, judged, judged, np.zeros(where.size), tally)
        return counted if asked.any() else 0

    def _not_finite(self, start: int, got: Array, tally: _Tally) -> None:
        x = inputs_of(start, BLOCK)
        reference = self.expected.at(x)
        known = self.expected.known(x)
        self._count(start, x, got, reference, known, known, np.zeros(BLOCK), tally)

    def _count(
        self,
        start: int | Positions,
        x: Array,
        got: Array,
        reference: Reference,
        judged: Bools,
        rounds: Bools,
        radius: Floats,
        tally: _Tally,
    ) -> int:
        """Hold results to the laws; how many points were judged."""
        patterns = np.arange(x.size) + start if isinstance(start, int) else start
        within = math.inf if self.trial.within is None else self.trial.within
        held_to = standard(
            reference,
            self.trial.bound,
            known=judged & self.expected.known(x),
            trusted=~(np.abs(x.astype(np.float64)) > within),
            at_breakpoint=self.expected.at_breakpoint(x),
            least=None,
            other=None if self.other is None else self._other(x, reference.value),
            reported=self.trial.policies,
        )
        broken, error, _ = pointwise(x, got, held_to)
        if patterns[0] >> 23 & 255 == 0:
            # Zero, which tells whether subnormal inputs are taken for it, is in one block alone.
            for kind in ("sign", "accuracy"):
                read_as_zero = broken[kind] & (got == self._at_zero)
                broken["subnormal"], broken[kind] = broken["subnormal"] | read_as_zero, broken[kind] & ~read_as_zero
                error = np.where(read_as_zero & ("subnormal" in self.trial.policies), 0.0, error)
        for kind, mask in broken.items():
            if mask.any():
                tally.breaks(kind, patterns[mask].astype(np.uint32))
        both_nan = np.isnan(got) & np.isnan(reference.value)
        tally.counts["wrong"] += int(np.count_nonzero(rounds & held_to.trusted & (got != reference.value) & ~both_nan))
        tally.counts["over_one"] += int(np.count_nonzero(error > 1))
        worst = int(np.argmax(error))
        upper = float(np.max(np.where(error > 0, error + radius, 0.0))) * (1 + 2.0**-40)
        tally.error(float(error[worst]), upper, int(patterns[worst]))
        return int(np.count_nonzero(judged))

    @cached_property
    def _at_zero(self) -> np.float32:
        """What the kernel makes of zero."""
        found: np.float32 = kind_of_result(self.subject, np.zeros(BLOCK, dtype=np.float32), None)[0][0]
        return found

    def _other(self, x: Array, value: Array) -> Array:
        """The other end of what is right: another number than the value at breakpoints only."""
        assert self.other is not None
        at = self.expected.at_breakpoint(x)
        found = value.copy()
        if at.any():
            found[at] = self.other.at(x[at]).value
        return found


def _refine(group: Sequence[Segment], values: Floats, radius: Floats) -> None:
    """Replace values that float64 does not tell to `SHARP` ulps, and their radii, by those of two floats."""
    size = group[0].size
    rows = [row for row, segment in enumerate(group) if segment.fine is not None]
    if not rows:
        return
    can = np.repeat([segment.fine is not None for segment in group], size)
    blurred = np.flatnonzero(can & ~(radius <= SHARP * ulp(values.astype(np.float32))))
    if blurred.size:
        fine = [group[row] for row in rows]
        at = np.searchsorted(rows, blurred // size) * size + blurred % size
        values[blurred], radius[blurred] = finely(fine, at)


def _ulp_of_normal(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The ulp of float32 numbers above 2^-100."""
    exponents = values.view(np.uint32) & np.uint32(0x7F800000)
    spacing: npt.NDArray[np.float32] = (exponents - np.uint32(23 << 23)).view(np.float32)
    return spacing


def _constant(segment: Segment) -> np.float32 | None:
    """The float to which all exact values of a run round, if it is one."""
    low, high = np.float32(segment.low), np.float32(segment.high)
    return low if low == high and np.isfinite(low) else None


def _spacing(segment: Segment) -> float:
    """The ulp of all the rounded values of a run, NaN where they have several."""
    if segment.spacing is not None:
        return segment.spacing
    constant = _constant(segment)
    return math.nan if constant is None else float(ulp(np.array([constant]))[0])


def _smallest(segment: Segment) -> float:
    """A lower bound of the absolute values."""
    return 0.0 if segment.low <= 0 <= segment.high else min(abs(segment.low), abs(segment.high))


def _grouped(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Neighbours of one size together, to be evaluated at once."""
    group: list[Segment] = []
    for segment in segments:
        if group:
            last = group[-1]
            joins = last.size == segment.size and last.start + last.size == segment.start
            if not joins or segment.about_zero or math.isinf(segment.radius):
                yield group
                group = []
        group.append(segment)
    if group:
        yield group
