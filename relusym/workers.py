"""Independent pieces of work in processes of their own, or wherever an executor runs them, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

from relusym.errors import Missing, Undecided

Work = TypeVar("Work")
Result = TypeVar("Result")


def in_processes(
    work: Sequence[Work],
    run: Callable[[Work], Result],
    *,
    doing: str,
    name: Callable[[Work], str],
    jobs: int | None = None,
    seen: Callable[[Result], object] | None = None,
    executor: Executor | None = None,
) -> list[Result]:
    """`run` of every piece of work, in order; `run` and the work must be picklable.

    One process a core by default, none beside this one for a single piece or `jobs=1`; with an `executor` (a cluster,
    say) the pieces go there instead, and it stays open. `seen` is called here with each result as it comes, in any
    order, and with all that are there before an error is raised. An error says in which piece of work it happened;
    after Ctrl-C no process is left running, and an executor is given back what it has not begun. Raises `Missing`
    where workers are lost.
    """
    import multiprocessing
    import os
    from concurrent.futures import ProcessPoolExecutor

    from rich.console import Console
    from rich.progress import Progress

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min(jobs or cores or 1, len(work))
    console = Console(stderr=True)
    done: dict[int, Result] = {}

    def keep(index: int, result: Result) -> None:
        done[index] = result
        if seen is not None:
            seen(result)
        progress.advance(task)

    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(doing, total=len(work))
        if executor is not None:
            _through(executor, work, run, name, keep)
        elif workers <= 1:
            for index, piece in enumerate(work):
                keep(index, _finished(lambda piece=piece: run(piece), name(piece)))  # type: ignore[misc]
        else:
            # a fork would copy threads and compiled state; a new process starts clean
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_alone) as pool:
                try:
                    _through(pool, work, run, name, keep)
                except BaseException:
                    for process in multiprocessing.active_children():
                        process.terminate()
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
    return [done[index] for index in range(len(work))]


def _through(
    executor: Executor,
    work: Sequence[Work],
    run: Callable[[Work], Result],
    name: Callable[[Work], str],
    keep: Callable[[int, Result], None],
) -> None:
    """Submit all pieces, and keep each result as it comes."""
    from concurrent.futures import BrokenExecutor, CancelledError, as_completed

    waiting: dict[Future[Result], int] = {}

    def take(future: Future[Result]) -> None:
        index = waiting.pop(future)
        keep(index, _finished(future.result, name(work[index])))

    try:
        for index, piece in enumerate(work):
            future = executor.submit(run, piece)
            waiting[future] = index
            if future.done():  # an executor that runs at once: what is there is kept
                take(future)
        for future in as_completed(list(waiting)):
            take(future)
    except BaseException as error:
        for future, index in waiting.items():
            if not future.cancel() and future.done() and future.exception() is None:
                keep(index, future.result())
        if isinstance(error, BrokenExecutor):
            raise Missing("a worker process was killed, perhaps for want of memory; try --jobs 1") from None
        if isinstance(error, CancelledError):
            raise Missing("the executor gave work up: it was closed, or its workers or scheduler are gone") from None
        raise


def _finished(run: Callable[[], Result], where: str) -> Result:
    """The result; an error says where it comes from."""
    try:
        return run()
    except Undecided as error:
        raise Undecided(f"{where}: {error}") from None
    except Exception as error:
        error.add_note(f"while {where}")
        raise


def _leave_interrupts_alone() -> None:
    """In a worker: the parent hears of Ctrl-C, and ends the workers."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
