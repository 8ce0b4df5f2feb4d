"""What processes that train one model together agree on. A process that is alone agrees with itself.

All must come here equally often and in the same order, or they wait for each other for ever.
"""

from torch import Tensor, distributed, nn

from dualtalk.data.distributed import process_count


def summed(number: Tensor) -> Tensor:
    """`number`, which has no gradient, summed over all processes."""
    if process_count() == 1:
        return number
    total = number.clone()
    distributed.all_reduce(total)
    return total


def share_buffers(module: nn.Module) -> None:
    """Give all processes the buffers of the first."""
    if process_count() > 1:
        for buffer in module.buffers():
            distributed.broadcast(buffer, 0)
