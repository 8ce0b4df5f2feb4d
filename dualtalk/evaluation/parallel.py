"""Work spread over processes, with the same results in the same order for any number of them."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from dualtalk.errors import SetupError
from dualtalk.store.writer import AHEAD, THREAD_COUNTS, follow_parent

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers:
    """A context manager. `count` of 0 or 1 works in this process.

    Everything runs in one thread: libraries of linear algebra round differently with the number of theirs.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        self._before = {name: os.environ.get(name) for name in THREAD_COUNTS}
        self._torch_threads = torch.get_num_threads()
        os.environ.update(dict.fromkeys(THREAD_COUNTS, "1"))
        if self._count > 1:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._count, context, initializer=follow_parent)
        return self

    def __exit__(self, *_) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        for name, value in self._before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})

    def map(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order of the jobs, of which only a few are under way at a time."""
        if self._pool is None:
            yield from self._here(function, jobs)
            return
        pending: deque[Future] = deque()
        try:
            for job in jobs:
                pending.append(self._pool.submit(function, job))
                if len(pending) >= self._count * AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise SetupError("a worker was killed, perhaps for want of memory; try fewer --workers") from error

    def _here(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        torch.set_num_threads(1)
        try:
            with threadpool_limits(1):
                for job in jobs:
                    yield function(job)
        finally:
            torch.set_num_threads(self._torch_threads)
