"""Units of work spread over processes or over a Ray cluster, with the same results for any number of workers.

Every process, this one included, computes in one thread, because linear algebra libraries round differently with
the number of their threads. A worker process ends when its parent ends, even if the parent was killed.
"""

import logging
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait as wait_for_process
from types import ModuleType
from typing import Any, TypeVar

import torch
from threadpoolctl import threadpool_limits

from dualtalk.choices import RayCluster, Workers
from dualtalk.errors import SetupError, missing_extra

# Jobs submitted per worker: enough to keep it busy, few enough to keep memory flat.
QUEUED_PER_WORKER = 4
# How often a unit whose worker or node was lost is done again. A unit that kills every worker ends the run.
LOST_WORKER_RETRIES = 5
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Job = TypeVar("Job")
Result = TypeVar("Result")


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_pool(workers: Workers) -> "WorkerPool | RayPool":
    """A pool of this many processes (0 works in this one), or of a cluster's workers; a context manager."""
    return RayPool(workers) if isinstance(workers, RayCluster) else WorkerPool(workers)


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


class RayPool:
    """The workers of a Ray cluster, each single-threaded; a context manager.

    A unit whose worker or node is lost is done again. Functions, jobs and results must be picklable. Every node
    has the package installed, and reaches the paths that a job names: on a shared file system, or behind URLs.

    Raises
    ------
    SetupError
        Ray is not installed, there is no cluster at the address, or a unit has lost its worker too often.
    """

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster = cluster
        self._ray: Any = None
        self._connected_here = False

    def __enter__(self) -> "RayPool":
        self._ray = _import_ray()
        if not self._ray.is_initialized():
            try:
                self._ray.init(
                    address=self._cluster.address,
                    runtime_env={"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")},
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, ValueError, OSError) as error:
                reason = " ".join(str(error).split())
                raise SetupError(
                    f"no Ray cluster at {self._cluster.address or 'this machine'}: {reason}"
                ) from error
            self._connected_here = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._connected_here:
            self._ray.shutdown()

    def map(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order of `jobs`; only a few jobs are queued at a time."""
        submit = self._submitter(function)
        pending: deque[Any] = deque()
        for job in jobs:
            pending.append(submit(job))
            if len(pending) >= self._queue_length():
                yield self._result(pending.popleft())
        while pending:
            yield self._result(pending.popleft())

    def map_unordered(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Results as soon as they are ready; only a few jobs are queued at a time."""
        submit = self._submitter(function)
        pending: list[Any] = []
        for job in jobs:
            pending.append(submit(job))
            if len(pending) >= self._queue_length():
                done, pending = self._ray.wait(pending)
                yield from map(self._result, done)
        while pending:
            done, pending = self._ray.wait(pending)
            yield from map(self._result, done)

    def _submitter(self, function: Callable[[Job], Result]) -> Callable[[Job], Any]:
        """A function that submits one job. The cluster's workers read `function` from the object store."""
        remote = self._ray.remote(max_retries=LOST_WORKER_RETRIES)(_run_one)
        return partial(remote.remote, self._ray.put(function))

    def _queue_length(self) -> int:
        """Nodes may come and go."""
        return QUEUED_PER_WORKER * max(int(self._ray.cluster_resources().get("CPU", 1)), 1)

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise SetupError(
                f"the workers of a unit were lost {LOST_WORKER_RETRIES + 1} times, perhaps for lack of memory "
                f"({' '.join(str(error).split())[:200]})"
            ) from error


def _import_ray() -> ModuleType:
    # Ray reports usage to its makers unless this is set before it starts.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise missing_extra("--engine ray", "ray", error) from error
    return ray


def _run_one(function: Callable[[Job], Result], job: Job) -> Result:
    return next(_run_here(function, [job]))


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
