"""Sweeps on a Dask cluster of two worker processes: the record is that of one process, whatever becomes of a worker."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from relusym_codegen.sweeping import trials
from typer.testing import CliRunner

from relusym.activations import named
from relusym.cli import app
from relusym.judge import SweepRecord, Trial, exhaust
from relusym.judge.exhaustive import BINADES

TIMINGS = {"seconds", "processor_seconds", "kernel_seconds"}
run = CliRunner().invoke


class Watched(Executor):
    """The executor inside, and something done once so many results are there."""

    def __init__(self, inside: Executor, after: int, then: Callable[[], object]) -> None:
        self.inside, self.left, self.then = inside, after, then

    def submit(self, fn: Any, /, *arguments: Any, **words: Any) -> Future[Any]:
        future = self.inside.submit(fn, *arguments, **words)
        future.add_done_callback(self._finished)
        return future

    def _finished(self, future: Future[Any]) -> None:
        self.left -= not future.cancelled()
        if self.left == 0:
            self.then()


def untimed(record: SweepRecord) -> dict[str, Any]:
    return {key: value for key, value in record.to_json().items() if key not in TIMINGS}


@pytest.fixture(scope="module")
def subject() -> Trial:
    (trial,) = trials([named("silu")], target="numpy", computes=["forward"], accuracies=["fast"], stride=128)
    return trial


@pytest.fixture(scope="module")
def alone(subject: Trial) -> SweepRecord:
    """The record of one process."""
    return exhaust(subject, jobs=1)


def test_a_worker_killed_in_the_middle_of_a_sweep_changes_nothing(
    client: Any, subject: Trial, alone: SweepRecord, tmp_path: Path
) -> None:
    before = set(client.run(os.getpid).values())
    victim = min(before)
    busy = []

    def kill() -> None:
        busy.append(victim)
        os.kill(victim, signal.SIGKILL)

    partial = tmp_path / "partial"
    record = exhaust(subject, partial=partial, executor=Watched(client.get_executor(pure=False), 60, kill))
    assert busy == [victim]
    assert victim not in client.run(os.getpid).values()
    assert record.digest == alone.digest
    assert untimed(record) == untimed(alone)


def test_an_interrupted_sweep_on_a_cluster_continues_in_processes(
    client: Any, subject: Trial, alone: SweepRecord, tmp_path: Path
) -> None:
    partial = tmp_path / "partial"
    interrupted = Watched(client.get_executor(pure=False), 100, lambda: os.kill(os.getpid(), signal.SIGINT))
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            exhaust(subject, partial=partial, executor=interrupted)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert 90 <= len(json.loads(partial.read_text())["outcomes"]) < BINADES
    record = exhaust(subject, partial=partial, jobs=1)
    assert untimed(record) == untimed(alone)


def test_the_command_line_sweeps_on_a_cluster(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kernels.py").write_text("import numpy as np\n\ndef relu(x):\n    return np.maximum(x, np.float32(0))\n")
    address = client.scheduler.address
    done = run(
        app,
        ["verify", "relu", "--callable", "kernels.py:relu", "--exhaustive", "--stride", "256", "--dask", address],
    )
    assert done.exit_code == 0, done.output
    assert "passed" in done.stdout


def test_a_scheduler_that_is_not_there_is_one_message_and_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    from relusym.cli import clusters

    monkeypatch.setattr(clusters, "SECONDS", 1)
    done = run(app, ["verify", "relu", "--exhaustive", "--stride", "256", "--dask", "tcp://127.0.0.1:9"])
    assert done.exit_code == 3, done.output
    assert "no scheduler answers" in done.stderr
