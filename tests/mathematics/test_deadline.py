"""The time limit on questions to SymPy."""

import contextlib
import subprocess
import sys
import threading
import time

import pytest

from relusym.deadline import within
from relusym.errors import Undecided


def forever():
    while True:
        time.sleep(0.01)


def test_an_answer_in_time_is_returned():
    assert within(5, lambda: 42) == 42


@pytest.mark.skipif(sys.platform != "linux", reason="the processor time of a thread is asked for on Linux only")
def test_time_in_which_the_machine_does_something_else_does_not_count():
    assert within(0.1, lambda: time.sleep(0.4) or 42) == 42


def test_a_question_without_end_is_undecided():
    start = time.perf_counter()
    with pytest.raises(Undecided, match=r"0\.1 s"):
        within(0.1, forever)
    assert time.perf_counter() - start < 3


def test_the_limit_holds_in_any_thread():
    outcome = []

    def ask():
        try:
            within(0.1, forever)
        except Undecided:
            outcome.append("undecided")

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(5)
    assert outcome == ["undecided"]


def test_nothing_is_left_over_after_an_answer_at_the_last_moment():
    for _ in range(20):
        with contextlib.suppress(Undecided):
            within(0.002, lambda: time.sleep(0.002))
        time.sleep(0.003)


def test_refusals_of_sympy_are_undecided_and_errors_pass():
    def refuse():
        raise NotImplementedError("no method")

    with pytest.raises(Undecided, match="no method"):
        within(1, refuse)
    with pytest.raises(ZeroDivisionError):
        within(1, lambda: 1 / 0)


def test_a_program_that_is_profiled_goes_on_after_an_interrupt():
    """CPython 3.11 would look for a withdrawn interrupt for ever."""
    program = """
import cProfile
from relusym.deadline import within
from relusym.errors import Undecided

def ask():
    for _ in range(3):
        assert within(5, lambda: 42) == 42
        try:
            within(0.05, lambda: [0 for _ in iter(int, 1)])
        except Undecided:
            pass

cProfile.run("ask()")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_interrupts_never_reach_what_comes_after():
    for _ in range(500):
        with contextlib.suppress(Undecided):
            within(0.0005, lambda: sum(range(20000)))
        sum(range(2000))
