"""Work spread over processes, with the same results for any number of them.

Every process, this one included, computes in one thread, because linear algebra libraries round differently with
the number of their threads. A worker process ends when its parent ends, even if the parent was killed.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for_process
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from dualtalk.errors import SetupError

# Jobs submitted per worker: enough to keep it busy, few enough to keep memory flat.
QUEUED_PER_WORKER = 4
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Job = TypeVar("Job")
Result = TypeVar("Result")


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerPool:
    """A pool of single-threaded worker processes; a context manager.

    Parameters
    ----------
    processes : int
        Number of worker processes; 0 runs the jobs in this process.

    Functions and jobs must be picklable unless `processes` is 0.

    Raises
    ------
    SetupError
        A worker was killed while jobs were running.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._environment: dict[str, str | None] = {}

    def __enter__(self) -> "WorkerPool":
        # Worker processes inherit these variables, which only count before numpy is imported.
        self._environment = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        if self._processes:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, context, initializer=_start_worker)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def map(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order of `jobs`; only a few jobs are queued at a time."""
        if self._pool is None:
            yield from _run_here(function, jobs)
            return
        pending: deque[Future[Result]] = deque()
        with _worker_loss_reported():
            for job in jobs:
                pending.append(self._pool.submit(function, job))
                if len(pending) >= self._processes * QUEUED_PER_WORKER:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def map_unordered(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Results as soon as they are ready; only a few jobs are queued at a time."""
        if self._pool is None:
            yield from _run_here(function, jobs)
            return
        pending: set[Future[Result]] = set()
        with _worker_loss_reported():
            for job in jobs:
                pending.add(self._pool.submit(function, job))
                if len(pending) >= self._processes * QUEUED_PER_WORKER:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)


@contextmanager
def _worker_loss_reported() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise SetupError(
            "a worker process was killed, perhaps for lack of memory; run the same command with fewer --workers"
        ) from error


def _run_here(function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            for job in jobs:
                yield function(job)
    finally:
        torch.set_num_threads(threads)


def _start_worker() -> None:
    """Compute in one thread, and exit when the parent process ends."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait_for_process([parent.sentinel]), os._exit(1)), daemon=True).start()
