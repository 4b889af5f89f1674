"""Independent pieces of work in processes of their own, with a progress bar on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
) -> list[Result]:
    """`run` of every piece of work, in order; `run` and the work must be picklable.

    One process a core by default, none beside this one for a single piece or `jobs=1`. `seen` is called here
    with each result as it comes, in any order. An error says in which piece of work it happened; after Ctrl-C
    nothing is left running.
    """
    import multiprocessing
    import os
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

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
        if workers <= 1:
            for index, piece in enumerate(work):
                keep(index, _finished(lambda piece=piece: run(piece), name(piece)))  # type: ignore[misc]
        else:
            # a fork would copy threads and compiled state; a new process starts clean
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_alone) as pool:
                futures = {pool.submit(run, piece): index for index, piece in enumerate(work)}
                try:
                    for future in as_completed(futures):
                        index = futures[future]
                        keep(index, _finished(future.result, name(work[index])))
                except BaseException as error:
                    for process in multiprocessing.active_children():
                        process.terminate()
                    pool.shutdown(wait=False, cancel_futures=True)
                    if isinstance(error, BrokenProcessPool):
                        raise Missing("a worker process was killed, perhaps for want of memory; try --jobs 1") from None
                    raise
    return [done[index] for index in range(len(work))]


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
