"""A time limit for questions to SymPy: some of them never come back."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from relusym.errors import Undecided

T = TypeVar("T")


_PATIENCE = 10.0
"""How many times the limit may pass on the wall: what sleeps, or starves, uses no processor."""


class _Expired(BaseException):
    """Raised inside the question; no Exception, since SymPy swallows some of those on its way."""


def within(seconds: float, question: Callable[[], T]) -> T:
    """The answer of `question()`, in any thread and on any platform.

    The seconds are those of the processor for this thread where the platform tells them: a busy machine gives the same
    answers as an idle one. Raises `Undecided` when the time is up, when SymPy says that it cannot answer
    (NotImplementedError), and when its recursion runs out. Only Python code can be interrupted: one long call into C
    runs to its end.
    """
    asker = ctypes.c_ulong(threading.get_ident())
    interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
    lock = threading.Lock()
    answered = threading.Event()
    sent: list[bool] = []
    used, begun = _stopwatch(), time.monotonic()

    def watch() -> None:
        wait = seconds
        while not answered.wait(wait):
            wait = seconds - used()
            if wait > 0 and time.monotonic() - begun < _PATIENCE * seconds:
                wait = max(wait, 0.01)
                continue
            # Asked again and again: an exception that hits a destructor is lost.
            with lock:
                if not answered.is_set():
                    sent.append(True)
                    interrupt(asker, ctypes.py_object(_Expired))
            wait = 0.25

    lock.acquire()  # held until the question can be interrupted: an early end must not strike the start itself
    threading.Thread(target=watch, daemon=True).start()
    try:
        try:
            lock.release()
            return question()
        finally:
            _stop(lock, answered, sent)
    except _Expired:
        raise Undecided(f"no answer within {seconds:g} s") from None
    except NotImplementedError as refusal:
        raise Undecided(f"SymPy cannot answer: {refusal}") from refusal
    except RecursionError:
        raise Undecided("the expression is nested too deeply") from None


def _stopwatch() -> Callable[[], float]:
    """Seconds from now on: of the processor, in this thread, or on the wall where the platform does not tell."""
    read: Callable[[], float] = time.monotonic
    if sys.platform == "linux":
        clock = time.pthread_getcpuclockid(threading.get_ident())
        read = partial(time.clock_gettime, clock)
    begun = read()
    return lambda: read() - begun


def _stop(lock: threading.Lock, answered: threading.Event, sent: list[bool]) -> None:
    """End the watch; an interrupt on its way is taken here, so that none is left for later.

    It must be raised, not withdrawn: CPython would keep looking for one that was withdrawn (3.11 for ever, in a
    program that is being profiled).
    """
    while True:
        try:
            with lock:
                answered.set()
            if sent:
                for _ in range(100):  # where a loop turns back, interrupts are raised
                    pass
            return
        except _Expired:
            continue
