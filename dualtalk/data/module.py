"""The LightningDataModule: windows of one or several stores, or of shards, in batches."""

import warnings
from pathlib import Path

import lightning
import torch
from torch.utils.data import ConcatDataset, Dataset
from torchdata.stateful_dataloader import StatefulDataLoader
from torchdata.stateful_dataloader.sampler import StatefulDistributedSampler

from dualtalk.data.distributed import process_count
from dualtalk.data.shards import INDEX, ShardedWindows
from dualtalk.data.windows import StoreWindows, one_space
from dualtalk.errors import InputError
from dualtalk.store import open_store


class ConversationData(lightning.LightningDataModule):
    """Windows of conversations in batches; a batch is a `Window` of stacked tensors.

    Parameters
    ----------
    source : path, or several
        Stores, or one folder or URL of shards.
    frames : int
        Length of a window; 200 are 8 s.
    hop : int, optional
        Step between training windows; `frames` if not given. Validation and test windows do not overlap.
    layout : str
        "full62", or "dualtalk56" for motion without eyes.
    batch_size, workers : int
        Of each process, where several train together; each of them reads a share of the windows.
    role_swap : bool
        Exchange the two people in every other training window.

    Loaders are stateful: a checkpoint in the middle of an epoch keeps the place. Seed with
    `lightning.seed_everything(seed, workers=True)`.
    """

    def __init__(
        self,
        source: str | Path | list[str | Path],
        frames: int = 200,
        hop: int | None = None,
        layout: str = "full62",
        batch_size: int = 16,
        workers: int = 0,
        role_swap: bool = True,
    ) -> None:
        super().__init__()
        self.sources = [str(one) for one in (source if isinstance(source, list) else [source])]
        self.frames, self.hop, self.layout = frames, hop, layout
        self.batch_size, self.workers, self.role_swap = batch_size, workers, role_swap
        self._seed = torch.initial_seed()

    @property
    def space(self) -> str:
        """Space of the training motion."""
        return self.windows("train").space

    def windows(self, split: str) -> Dataset:
        """All windows of one split."""
        training = split == "train"
        options = {
            "frames": self.frames,
            "hop": self.hop if training else None,
            "layout": self.layout,
            "role_swap": self.role_swap and training,
        }
        if any(map(_is_sharded, self.sources)):
            if len(self.sources) > 1:
                raise InputError(f"shards and {len(self.sources) - 1} more sources came; wanted shards alone")
            return ShardedWindows(self.sources[0], split, shuffle=training, **options)
        parts = [StoreWindows(open_store(source), split, **options) for source in self.sources]
        if len(parts) == 1:
            return parts[0]
        together = ConcatDataset(parts)
        together.space = one_space([part.space for part in parts], " and ".join(self.sources))
        return together

    def train_dataloader(self) -> StatefulDataLoader:
        return self._loader("train")

    def val_dataloader(self) -> StatefulDataLoader:
        return self._loader("validation")

    def test_dataloader(self) -> StatefulDataLoader:
        return self._loader("test")

    def _loader(self, split: str) -> StatefulDataLoader:
        windows, sampler = self.windows(split), None
        shuffle = split == "train"
        if isinstance(windows, ShardedWindows):
            # They shuffle, and divide themselves among processes.
            shuffle = None
        elif process_count() > 1:
            sampler = StatefulDistributedSampler(windows, shuffle=shuffle, seed=self._seed % 2**32)
            shuffle = None
        with warnings.catch_warnings():
            # torchdata 0.11 calls a function of torch that newer versions warn about; nothing depends on it.
            warnings.filterwarnings("ignore", message="'set_vital' is deprecated", category=UserWarning)
            return StatefulDataLoader(
                windows,
                self.batch_size,
                shuffle,
                sampler,
                num_workers=self.workers,
                # What is copied to a GPU goes there while the step before is worked out.
                pin_memory=torch.cuda.is_available(),
            )


def _is_sharded(source: str) -> bool:
    return "://" in source or (Path(source) / INDEX).is_file()
