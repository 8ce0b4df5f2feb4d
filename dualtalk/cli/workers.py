"""The options `--workers`, `--engine` and `--ray-address` as one value: where units of work run."""

from dualtalk.choices import EngineName, RayCluster, Workers
from dualtalk.errors import InputError


def chosen_workers(workers: int | None, engine: EngineName, ray_address: str | None) -> Workers | None:
    """A number of processes, None for one on each core, or a Ray cluster.

    Raises
    ------
    InputError
        A number of processes was given for a cluster.
    """
    if engine == "local":
        return workers
    if workers is not None:
        raise InputError("--workers counts processes of this machine; with --engine ray, the cluster decides")
    return RayCluster(ray_address)
