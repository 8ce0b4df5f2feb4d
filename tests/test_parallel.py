"""Laws of the worker pool: the same results for any number of processes, and one thread in each."""

import importlib
import os
import sys
from types import ModuleType

import pytest

from dualtalk.errors import SetupError
from dualtalk.parallel import WorkerPool

JOBS = """
import os
import signal

import torch


def square(number):
    return number * number


def threads(_):
    return torch.get_num_threads()


def kill_self(_):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch) -> ModuleType:
    """A module that worker processes can import: they are spawned with this process's path, without pytest."""
    (tmp_path / "worker_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "worker_jobs", raising=False)
    return importlib.import_module("worker_jobs")


@pytest.mark.parametrize("processes", [0, 2])
def test_results_are_in_the_order_of_the_jobs(jobs, processes):
    with WorkerPool(processes) as pool:
        assert list(pool.map(jobs.square, range(20))) == [number * number for number in range(20)]
        assert sorted(pool.map_unordered(jobs.square, range(20))) == [number * number for number in range(20)]
        assert list(pool.map(jobs.threads, range(2))) == [1, 1]


def test_the_environment_is_restored(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with WorkerPool(0):
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("method", ["map", "map_unordered"])
def test_a_killed_worker_is_a_setup_error(jobs, method):
    with WorkerPool(1) as pool, pytest.raises(SetupError, match="worker process was killed"):
        list(getattr(pool, method)(jobs.kill_self, range(2)))
