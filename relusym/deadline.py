"""A time limit for questions to SymPy: some of them never come back."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

from relusym.errors import Undecided

T = TypeVar("T")


class _Expired(BaseException):
    """Raised inside the question; no Exception, since SymPy swallows some of those on its way."""


def within(seconds: float, question: Callable[[], T]) -> T:
    """The answer of `question()`, in any thread and on any platform.

    Raises `Undecided` when the time is up, when SymPy says that it cannot answer (NotImplementedError), and
    when its recursion runs out. Only Python code can be interrupted: one long call into C runs to its end.
    """
    asker = ctypes.c_ulong(threading.get_ident())
    interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
    lock = threading.Lock()
    answered = threading.Event()
    sent: list[bool] = []

    def watch() -> None:
        # Asked again and again: an exception that hits a destructor is lost.
        wait = seconds
        while not answered.wait(wait):
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
