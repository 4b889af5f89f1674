"""A Dask cluster as an executor: verify --dask ADDRESS."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

from relusym.errors import InvalidRequest, Missing

SECONDS = 5
"""How long a scheduler and its first worker are waited for."""


@contextmanager
def dask_executor(address: str, packages: Sequence[str] = ()) -> Iterator[Executor]:
    """The workers of the scheduler at `address`, such as tcp://10.0.0.1:8786; work goes with them and comes back.

    A piece of work whose worker is lost is done by another one, some times over. Raises `Missing` where there is no
    scheduler or no worker, where the workers have other versions of the packages that take part in a verdict
    (`packages` among them), and where work is given up; `InvalidRequest` for what is no address.
    """
    from relusym.judge.reports import installed_versions

    if not re.fullmatch(r"[a-z]+://[^\s/]+:\d+", address):  # Client would take its time to say so
        raise InvalidRequest(
            f"--dask {address!r} is no address of a scheduler; give the one it prints, tcp://HOST:PORT"
        )
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise Missing(f"--dask needs a package ({error}); install it with: pip install 'relusym[dask]'") from None
    # Of what goes wrong our message tells, not their tracebacks.
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        said = str(error).partition("\n")[0]
        raise Missing(
            f"--dask {address}: no scheduler answers there ({said}); start one with `dask scheduler` and give its "
            "address, tcp://HOST:PORT"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError:
            raise Missing(f"--dask {address}: it has no workers; start some with: dask worker {address}") from None
        here = installed_versions(*packages)
        for worker, there in client.run(_versions, tuple(packages), on_error="return").items():
            if isinstance(there, OSError):
                continue  # lost while it was asked; the others do its work
            if isinstance(there, BaseException):
                raise Missing(
                    f"--dask {address}: the worker {worker} cannot run relusym ({type(there).__name__}: {there}); "
                    "install the same version of it there"
                )
            others = [name for name in here if here[name] != there.get(name) and name != "platform"]
            if others:
                told = ", ".join(f"{name} {there.get(name)} there, {here[name]} here" for name in others)
                raise Missing(f"--dask {address}: the worker {worker} has other versions ({told}); install the same")
        try:
            # Never taken from a result that the cluster remembers: what is asked for is run.
            yield client.get_executor(pure=False)
        except KilledWorker as error:
            raise Missing(
                f"--dask {address}: workers were lost again and again ({error}), perhaps for want of memory"
            ) from None


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    from relusym.judge.reports import installed_versions

    return installed_versions(*packages)
