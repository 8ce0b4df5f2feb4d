"""Laws of the worker pool: the same results for any number of processes, and one thread in each."""

import importlib
import os
import sys
from types import ModuleType

import pytest

from dualtalk.choices import RayCluster
from dualtalk.errors import InputError, SetupError
from dualtalk.parallel import WorkerPool, worker_pool

JOBS = """
import os
import signal

import torch

from dualtalk.errors import InputError


def square(number):
    return number * number


def threads(_):
    return torch.get_num_threads()


def kill_self(_):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_self_once(path):
    if not path.exists():
        path.touch()
        kill_self(path)
    return "done"


def refuse(_):
    raise InputError("no such clip")
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


@pytest.fixture(scope="module")
def ray():
    """A cluster of this machine with two workers, which all tests of this module share."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_gives_the_results_of_one_process(ray, jobs):
    # The nodes of a real cluster have the package installed; this module they get by value.
    ray.cloudpickle.register_pickle_by_value(jobs)
    with worker_pool(RayCluster()) as pool:
        assert list(pool.map(jobs.square, range(20))) == [number * number for number in range(20)]
        assert sorted(pool.map_unordered(jobs.square, range(20))) == [number * number for number in range(20)]
        assert list(pool.map(jobs.threads, range(2))) == [1, 1]
        with pytest.raises(InputError, match="no such clip"):
            list(pool.map(jobs.refuse, range(1)))


@pytest.mark.filterwarnings("ignore")
def test_a_unit_whose_ray_worker_is_lost_is_done_again(ray, jobs, tmp_path):
    ray.cloudpickle.register_pickle_by_value(jobs)
    with worker_pool(RayCluster()) as pool:
        assert list(pool.map(jobs.kill_self_once, [tmp_path / "killed"])) == ["done"]


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SetupError, match=r"--engine ray needs the package ray: pip install 'dualtalk\[ray\]'"):
        worker_pool(RayCluster()).__enter__()
