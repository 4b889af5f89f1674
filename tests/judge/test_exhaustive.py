"""Sweeps over all float32 inputs: broken kernels are found wherever they break, and a record can be trusted."""

import json
import multiprocessing
import os
import random
import re
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relusym import InvalidRequest
from relusym.activations import named
from relusym.errors import Missing
from relusym.floats import to_bits
from relusym.judge import Bound, SweepRecord, Trial, exhaust
from relusym.judge.exhaustive import BINADES, BLOCKS, _Judge, _Tally, differences, judge_binade, not_comparable
from relusym.judge.metrics import error_in_ulps
from relusym.rounding import reference
from relusym.segments import BLOCK, inputs_of

Array = Any
SPARSE = 256
"""One block in each binade of each sign: half a second."""

HALF = 0x3F000000


def relu(x: Array) -> Array:
    return np.maximum(x, np.float32(0))


def relu_derivative(x: Array) -> Array:
    return np.where(np.isnan(x), x, (x > 0).astype(np.float32))


def tanh(x: Array) -> Array:
    return np.tanh(x.astype(np.float64)).astype(np.float32)


def silu(x: Array) -> Array:
    wide = x.astype(np.float64)
    decay = np.exp(-np.abs(wide))
    return np.where(wide == -np.inf, 0.0, wide * np.where(wide >= 0, 1, decay) / (1 + decay)).astype(np.float32)


def tanh_in_single(x: Array) -> Array:
    return np.tanh(x)


@dataclass(frozen=True)
class At:
    """A kernel with another result at one pattern."""

    kernel: Callable[[Array], Array]
    pattern: int
    times: float = 2.0

    def __call__(self) -> Callable[[Array], Array]:
        def broken(x: Array) -> Array:
            result = self.kernel(x)
            here = to_bits(x) == self.pattern
            result[here] = (result[here] + np.float32(2.0**-140)) * np.float32(self.times)
            return result

        return broken


@dataclass(frozen=True)
class Of:
    """The kernel as it is."""

    kernel: Callable[[Array], Array]

    def __call__(self) -> Callable[[Array], Array]:
        return self.kernel


@dataclass(frozen=True)
class Interrupted:
    """Ctrl-C at the first negative number, as long as the file is there."""

    flag: Path

    def __call__(self) -> Callable[[Array], Array]:
        def kernel(x: Array) -> Array:
            if np.signbit(x[0]) and self.flag.exists():
                raise KeyboardInterrupt
            return tanh(x)

        return kernel


@dataclass(frozen=True)
class Dying:
    """Its process is gone at the first negative number, as long as the file is there."""

    flag: Path

    def __call__(self) -> Callable[[Array], Array]:
        def kernel(x: Array) -> Array:
            if np.signbit(x[0]) and self.flag.exists():
                os._exit(1)
            return tanh(x)

        return kernel


class AtOnce(Executor):
    """Runs what is submitted before it answers."""

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **words: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*arguments, **words))
        except Exception as error:
            future.set_exception(error)
        return future


def trial(name: str, make: Callable[[], Any], computes: str = "forward", limit: float = 0.51) -> Trial:
    return Trial(named(name), computes, make, Bound(limit), stride=SPARSE)


def untimed(record: SweepRecord) -> dict[str, Any]:
    timings = {"seconds", "processor_seconds", "kernel_seconds"}
    return {key: value for key, value in record.to_json().items() if key not in timings}


def visited(subject: Trial, binade: int) -> int:
    """The first pattern of a block that the stride takes in this binade."""
    return next(iter(_Judge(subject).blocks(binade))) * BLOCK


def test_every_binade_of_each_sign_is_visited_and_zero_and_infinity_with_them() -> None:
    judge = _Judge(trial("relu", Of(relu)))
    blocks = [list(judge.blocks(binade)) for binade in range(BINADES)]
    assert all(blocks)
    assert all(number // BLOCKS == binade for binade, numbers in enumerate(blocks) for number in numbers)
    for pattern in (0x00000000, 0x80000000, 0x7F800000, 0xFF800000):
        assert pattern // BLOCK in blocks[pattern >> 23]


@pytest.mark.parametrize(("name", "kernel"), [("relu", relu), ("tanh", tanh)])
def test_a_right_kernel_passes(name: str, kernel: Callable[[Array], Array]) -> None:
    record = exhaust(trial(name, Of(kernel)), jobs=1)
    assert record.passed
    assert record.counts.tested >= BINADES * BLOCK
    assert record.counts.undecided == record.counts.unjudged == record.counts.over_one == 0
    assert record.max_ulp <= record.max_ulp_upper <= 0.5 + 2.0**-20
    assert json.loads(json.dumps(record.to_json()))["schema"] == 1


@pytest.mark.parametrize(("name", "kernel", "place"), [("relu", relu, 7), ("tanh", tanh, 7), ("tanh", tanh, 200)])
@pytest.mark.parametrize("binade", [70, 124, 130, 380])
def test_one_wrong_result_is_found(name: str, kernel: Callable[[Array], Array], place: int, binade: int) -> None:
    if name == "relu" and binade == 380:
        return
    pattern = visited(trial(name, Of(kernel)), binade) + place
    outcome = judge_binade((trial(name, At(kernel, pattern)), binade))
    assert outcome.broken == (("accuracy", 1, (pattern, pattern, pattern)),)
    assert outcome.counts.wrong == outcome.counts.over_one == 1
    assert outcome.worst == pattern


def flushed(x: Array) -> Array:
    result = tanh(x)
    return np.where(np.abs(result) < 2.0**-126, np.float32(0), result)


def swallowed(x: Array) -> Array:
    return np.fmax(x, np.float32(0))


def unsettled(x: Array) -> Array:
    return np.where(np.isinf(x), x, tanh(x))


def at_kink(x: Array) -> Array:
    return np.where(x == 0, np.float32(1), relu_derivative(x))


def nan_far_out(x: Array) -> Array:
    return np.where((np.abs(x) > 1e30) & np.isfinite(x), np.float32(np.nan), tanh(x))


def overflowing(x: Array) -> Array:
    return np.where(x > 1e37, np.float32(np.inf), relu(x))


def other_sign(x: Array) -> Array:
    return np.where((x < -1e-4) & (x > -1e-3), -tanh(x), tanh(x))


@pytest.mark.parametrize(
    ("kernel", "name", "computes", "kind"),
    [
        (flushed, "tanh", "forward", "subnormal"),
        (swallowed, "relu", "forward", "nan-swallowed"),
        (unsettled, "tanh", "forward", "limit"),
        (at_kink, "relu", "derivative", "kink"),
        (nan_far_out, "tanh", "forward", "nan"),
        (overflowing, "relu", "forward", "overflow"),
        (other_sign, "tanh", "forward", "sign"),
    ],
)
def test_each_way_of_being_wrong_has_its_name(kernel: Any, name: str, computes: str, kind: str) -> None:
    record = exhaust(trial(name, Of(kernel), computes), jobs=1)
    assert [finding.kind for finding in record.findings] == [kind]
    assert not record.passed


@pytest.mark.parametrize(
    ("name", "kernel", "binade"),
    [("tanh", tanh_in_single, 126), ("tanh", tanh_in_single, 125), ("silu", silu, 0), ("silu", silu, 256 + 133)],
)
def test_counts_agree_with_the_reference_point_by_point(name: str, kernel: Any, binade: int) -> None:
    subject = trial(name, Of(kernel), limit=8)
    outcome = judge_binade((subject, binade))
    right = wrong = 0
    for number in _Judge(subject).blocks(binade):
        x = inputs_of(number * BLOCK, BLOCK)
        expected = reference(named(name), x)
        assert not expected.undecided.size
        wrong += int(np.count_nonzero(kernel(x) != expected.value))
        right += int(np.count_nonzero(kernel(x) == expected.value))
    assert (outcome.counts.tested, outcome.counts.wrong) == (right + wrong, wrong)
    if (name, binade) == ("silu", 0):
        assert wrong > 1000, "x/2 rounds to even where x/2 + x**2/4 does not"


def tanhshrink(x: Array) -> Array:
    wide = x.astype(np.float64)
    return (wide - np.tanh(wide)).astype(np.float32)


def unchanged(x: Array) -> Array:
    return x.copy()


@pytest.mark.parametrize("binade", [127 + 24, 256 + 127 + 24])
def test_ties_that_no_precision_tells_are_told_by_the_side_of_the_line(binade: int) -> None:
    # x - tanh(x) is half way between two floats and a rest of exp(-2^25)
    even, away = (judge_binade((trial("tanhshrink", Of(kernel)), binade)) for kernel in (tanhshrink, unchanged))
    assert even.counts.tested == away.counts.tested
    assert even.counts.undecided == even.counts.balls == away.counts.undecided == away.counts.balls == 0
    assert (even.counts.wrong, away.counts.wrong) == (even.counts.tested // 2, 0)
    assert not even.broken
    assert not away.broken


def test_the_first_of_such_ties_stands_where_spacings_change() -> None:
    judge, found = _Judge(trial("tanhshrink", Of(tanhshrink))), _Tally()
    judge.block((151 << 23) // BLOCK, found)
    assert found.counts["undecided"] == found.counts["balls"] == 0
    assert found.counts["wrong"] == BLOCK // 2


def snake_derivative(x: Array) -> Array:
    return (1 + np.sin(2 * x.astype(np.float64))).astype(np.float32)


@pytest.mark.parametrize("binade", [127 + 5, 256 + 127 + 14])
def test_functions_that_touch_zero_again_and_again_cost_few_balls(binade: int) -> None:
    subject = trial("snake", Of(snake_derivative), "derivative", limit=8)
    outcome = judge_binade((subject, binade))
    assert outcome.counts.tested == BLOCK
    assert outcome.counts.unjudged == outcome.counts.undecided == 0
    assert outcome.counts.balls < 32
    (number,) = _Judge(subject).blocks(binade)
    x = inputs_of(number * BLOCK, BLOCK)
    expected = reference(named("snake"), x, order=1)
    assert outcome.counts.wrong == np.count_nonzero(snake_derivative(x) != expected.value)
    errors = error_in_ulps(snake_derivative(x), expected.value, expected.offset)
    assert outcome.max_ulp == pytest.approx(np.max(errors), abs=2.0**-11)
    assert outcome.counts.over_one == np.count_nonzero(errors > 1)


def test_an_interrupted_sweep_continues_to_the_same_record(tmp_path: Path) -> None:
    flag, partial = tmp_path / "flag", tmp_path / "record.partial"
    subject = trial("tanh", Interrupted(flag))
    whole = untimed(exhaust(subject, jobs=1))
    flag.touch()
    with pytest.raises(KeyboardInterrupt):
        exhaust(subject, jobs=1, partial=partial)
    assert len(json.loads(partial.read_text())["outcomes"]) == BINADES // 2
    flag.unlink()
    assert untimed(exhaust(subject, jobs=1, partial=partial)) == whole
    with pytest.raises(InvalidRequest, match="begun for something else"):
        exhaust(replace(subject, kernel_sha256="another"), jobs=1, partial=partial)


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """The record of tanh in float32's own accuracy, which is wrong at many inputs, by one process."""
    return untimed(exhaust(trial("tanh", Of(tanh_in_single)), jobs=1))


@pytest.mark.parametrize(
    "executor",
    [
        AtOnce,
        lambda: ThreadPoolExecutor(3),
        lambda: ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")),
    ],
    ids=["at-once", "threads", "processes"],
)
def test_every_executor_gives_the_same_record(executor: Callable[[], Executor], alone: dict[str, Any]) -> None:
    assert alone["wrong"] > 100_000
    with executor() as pool:
        assert untimed(exhaust(trial("tanh", Of(tanh_in_single)), executor=pool)) == alone


def test_an_interruption_through_an_executor_keeps_what_is_done(tmp_path: Path) -> None:
    flag, partial = tmp_path / "flag", tmp_path / "record.partial"
    subject = trial("tanh", Interrupted(flag))
    flag.touch()
    with pytest.raises(KeyboardInterrupt):
        exhaust(subject, partial=partial, executor=AtOnce())
    assert len(json.loads(partial.read_text())["outcomes"]) == BINADES // 2
    flag.unlink()
    continued = exhaust(subject, partial=partial, executor=AtOnce())
    assert untimed(continued) == untimed(exhaust(subject, jobs=1))


def test_a_process_that_is_lost_is_one_message_and_what_was_done_is_kept(tmp_path: Path) -> None:
    flag, partial = tmp_path / "flag", tmp_path / "record.partial"
    subject = trial("tanh", Dying(flag))
    flag.touch()
    with pytest.raises(Missing, match="worker process was killed"):
        exhaust(subject, jobs=2, partial=partial)
    assert len(json.loads(partial.read_text())["outcomes"]) > BINADES // 4
    flag.unlink()
    assert untimed(exhaust(subject, jobs=1, partial=partial)) == untimed(exhaust(subject, jobs=1))


def test_a_file_that_is_no_partial_record_is_left_alone(tmp_path: Path) -> None:
    partial = tmp_path / "precious"
    another = {"identity": trial("relu", Of(relu)).identity, "outcomes": [{"binade": 0, "tested": 32768}]}
    for text in ("precious", json.dumps(another)):
        partial.write_text(text)
        with pytest.raises(InvalidRequest, match="not the partial record"):
            exhaust(trial("relu", Of(relu)), jobs=1, partial=partial)
        assert partial.read_text() == text


def test_the_digest_does_not_depend_on_jobs_or_order() -> None:
    from relusym_codegen.sweeping import trials

    (subject,) = trials([named("relu")], computes=["forward"], accuracies=["fast"], stride=SPARSE)
    record = exhaust(subject, jobs=2)
    assert record.digests == exhaust(subject, jobs=1).digests
    order = random.Random(0).sample(range(BINADES), 40)
    assert all(judge_binade((subject, binade)).digest == record.digests[binade] for binade in order)


def test_records_are_compared() -> None:
    one = exhaust(trial("relu", Of(relu)), jobs=1)
    assert differences(one, exhaust(trial("relu", Of(relu)), jobs=1)) == []
    pattern = visited(trial("relu", Of(relu)), HALF >> 23) + 5
    other = exhaust(trial("relu", At(relu, pattern)), jobs=1)
    found = differences(one, other)
    assert "other results at x from 0x1p-1" in found
    assert any(line.startswith("max_ulp: ") for line in found)
    changed = replace(trial("relu", Of(relu)), kernel_sha256="another")
    assert [line.partition(":")[0] for line in not_comparable(changed, one.to_json())] == ["kernel_sha256"]


@pytest.mark.parametrize("computes", ["backward", "forward-derivative"])
def test_what_takes_or_gives_more_than_one_array_is_refused(computes: str) -> None:
    with pytest.raises(InvalidRequest, match="forward, derivative, second-derivative"):
        exhaust(trial("relu", Of(relu), computes))


def test_a_kernel_that_returns_another_dtype_is_one_message() -> None:
    with pytest.raises(InvalidRequest, match="float32 in, float64 out"):
        exhaust(trial("relu", Of(np.float64)), jobs=1)


def test_beyond_its_promise_a_kernel_must_only_be_finite() -> None:
    def sine(x: Array) -> Array:
        wide = x.astype(np.float64)
        return np.where(np.abs(x) < 2.0**20, wide + np.sin(wide) ** 2, wide).astype(np.float32)

    subject = replace(trial("snake", Of(sine)), within=2.0**20)
    for binade in (127 + 5, 127 + 20, 127 + 100):
        outcome = judge_binade((subject, binade))
        assert not outcome.broken
        assert bool(outcome.counts.unjudged) == (binade >= 127 + 20)


def cut_off(x: Array) -> Array:
    return np.where(x < -20, np.float32(0), silu(x))


def test_a_finding_says_of_which_class_it_is_and_over_which_inputs_it_extends() -> None:
    (finding,) = exhaust(trial("silu", Of(cut_off), limit=1), jobs=1).findings
    assert finding.kind == "accuracy"
    assert finding.defect == "lost-tail"
    low, high = re.fullmatch(r"x from (\S+) to (\S+)", finding.where).groups()  # type: ignore[union-attr]
    assert -92 < float(low) < -85
    assert -32 < float(high) < -20
    assert finding.count > 2 * BLOCK


def fast_and_wrong(x: Array) -> Array:
    wide = x.astype(np.float64)
    return (wide / (1 + np.exp(-wide)) * (1 + 2.0**-20)).astype(np.float32)


def of_other_sign(x: Array) -> Array:
    return np.where(to_bits(x) % 7 == 0, -silu(x), silu(x))


def with_nan_and_inf(x: Array) -> Array:
    return np.where(to_bits(x) % 5 == 0, np.float32(np.nan), np.where(x > 50, np.float32(np.inf), silu(x)))


@pytest.mark.parametrize("kernel", [fast_and_wrong, of_other_sign, with_nan_and_inf])
@pytest.mark.parametrize("bound", [Bound(4), Bound(4, 4)], ids=str)
def test_what_is_wrong_on_whole_runs_is_told_by_polynomials_as_by_the_laws(
    kernel: Any, bound: Bound, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = replace(trial("silu", Of(kernel)), bound=bound)
    binades = (0, 90, 127 + 3, 127 + 6, 127 + 100, 256 + 120, 256 + 127 + 6)
    quick = [judge_binade((subject, binade)) for binade in binades]
    monkeypatch.setattr(_Judge, "_quickly", lambda *_: False)
    slow = [judge_binade((subject, binade)) for binade in binades]
    assert sum(outcome.counts.over_one for outcome in quick) > len(binades) * BLOCK // 10
    for one, other in zip(quick, slow, strict=True):
        assert one.broken == other.broken
        assert replace(one.counts, balls=0) == replace(other.counts, balls=0)
        assert one.max_ulp == pytest.approx(other.max_ulp, rel=1e-6)


def test_a_lenient_trial_reports_flushed_subnormals_and_does_not_judge_them() -> None:
    strictly = exhaust(trial("tanh", Of(flushed)), jobs=1)
    leniently = exhaust(replace(trial("tanh", Of(flushed)), strict=False), jobs=1)
    assert not strictly.passed
    assert leniently.passed
    assert list(leniently.policies) == ["subnormal"]
    assert leniently.max_ulp <= 0.51 < strictly.max_ulp
    assert leniently.digest == strictly.digest
    assert "strict: False here, None there" in differences(leniently, strictly)
    assert leniently.to_json()["policies"] == dict(leniently.policies)


def leaky_slope_without_subnormals(x: Array) -> Array:
    slope = np.where(x >= 2.0**-126, np.float32(1), np.float32(0.01))
    return np.where(np.isnan(x), x, slope).astype(np.float32)


def test_a_subnormal_input_taken_for_zero_is_a_policy_too() -> None:
    subject = trial("leaky_relu", Of(leaky_slope_without_subnormals), "derivative")
    assert [finding.kind for finding in exhaust(subject, jobs=1).findings] == ["subnormal"]
    assert exhaust(replace(subject, strict=False), jobs=1).passed


@pytest.mark.parametrize(("at_zero", "passes"), [(0.0, True), (0.25, True), (1.0, True), (1.5, False)])
def test_any_value_of_the_clarke_interval_is_right_where_any_is_asked_for(at_zero: float, passes: bool) -> None:
    def slope(x: Array) -> Array:
        return np.where(x == 0, np.float32(at_zero), relu_derivative(x))

    subject = replace(trial("relu", Of(slope), "derivative"), subgradient="any")
    outcome = judge_binade((subject, 0))
    assert [kind for kind, _, _ in outcome.broken] == ([] if passes else ["kink"])


def test_records_name_the_packages_that_take_part() -> None:
    assert replace(trial("relu", Of(relu)), packages=("pytest",)).identity["versions"]["pytest"] == pytest.__version__


def test_counts_of_an_outcome_survive_the_partial_record(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    record = exhaust(trial("relu", Of(swallowed)), jobs=1, partial=partial)
    assert asdict(exhaust(trial("relu", Of(swallowed)), jobs=1, partial=partial).counts) == asdict(record.counts)
