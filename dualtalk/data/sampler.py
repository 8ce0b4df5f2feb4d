"""The order of training windows: a function of the seed, the epoch and the rank alone.

No global random state is read. A run that resumes from a checkpoint therefore reads the same windows in the same
order, with the same role swaps, as a run that was never interrupted.
"""

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
from torch.utils.data import Dataset, DistributedSampler

from dualtalk.data.distributed import rank, world_size


class WindowSampler(DistributedSampler[tuple[int, bool]]):
    """Keys `(index, swapped)` of the windows of this process.

    Each process reads an equal share of the windows. Lightning sets the epoch; without Lightning each complete
    pass starts the next epoch.

    Parameters
    ----------
    windows : Dataset
        With a length.
    shuffle : bool
        Shuffle in every epoch.
    role_swap : bool
        Exchange the two people in half of the windows, chosen in every epoch.
    seed : int
    """

    def __init__(self, windows: Dataset, *, shuffle: bool, role_swap: bool, seed: int) -> None:
        super().__init__(windows, world_size(), rank(), shuffle, seed % 2**32)
        assert isinstance(windows, Sized)
        self._count = len(windows)
        self._role_swap = role_swap

    def __iter__(self) -> Iterator[tuple[int, bool]]:
        return _WindowSamplerIterator(self)

    def keys(self) -> list[tuple[int, bool]]:
        """All keys of the current epoch, in order."""
        swapped = np.zeros(self._count, bool)
        if self._role_swap:
            swapped = np.random.default_rng([self.seed, self.epoch]).random(self._count) < 0.5
        # The base class yields plain indices.
        return [(index, bool(swapped[index])) for index in super().__iter__()]  # type: ignore[misc]


class _WindowSamplerIterator(Iterator[tuple[int, bool]]):
    """One epoch. `state_dict` and `load_state_dict` are called by torchdata's StatefulDataLoader."""

    def __init__(self, sampler: WindowSampler) -> None:
        self._sampler = sampler
        self._start(sampler.epoch, 0)

    def _start(self, epoch: int, yielded: int) -> None:
        self._sampler.set_epoch(epoch)
        self._epoch, self._yielded, self._keys = epoch, yielded, self._sampler.keys()

    def __next__(self) -> tuple[int, bool]:
        if self._yielded == len(self._keys):
            self._sampler.set_epoch(self._epoch + 1)
            raise StopIteration
        self._yielded += 1
        return self._keys[self._yielded - 1]

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "yielded": self._yielded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._start(state["epoch"], state["yielded"])
