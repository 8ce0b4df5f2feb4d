"""The processes that train one model together (distributed data parallel). A single process is rank 0 of 1.

Collective operations (`all_reduce_sum`, `broadcast_buffers`) must be called by all processes equally often and in
the same order; otherwise they wait for each other forever.
"""

from torch import Tensor, distributed, nn


def rank() -> int:
    """Rank of this process, from 0. Rank 0 logs and writes files."""
    return distributed.get_rank() if _is_initialized() else 0


def world_size() -> int:
    """Number of processes."""
    return distributed.get_world_size() if _is_initialized() else 1


def all_reduce_sum(value: Tensor) -> Tensor:
    """`value` summed over all processes. No gradient flows through the sum."""
    if world_size() == 1:
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total


def broadcast_buffers(module: nn.Module) -> None:
    """Copy the buffers of rank 0 to all processes."""
    if world_size() > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, 0)


def _is_initialized() -> bool:
    return distributed.is_available() and distributed.is_initialized()
