"""The LightningDataModule: windows of one or several stores, or of shards, in batches."""

import warnings
from pathlib import Path

import lightning
import torch
from torch.utils.data import ConcatDataset, Dataset

from dualtalk.data.distributed import process_count
from dualtalk.data.shards import INDEX, ShardedWindows
from dualtalk.data.windows import StoreWindows, one_space
from dualtalk.errors import InputError, missing_extra
from dualtalk.store import open_store

try:
    from torchdata.stateful_dataloader import StatefulDataLoader
    from torchdata.stateful_dataloader.sampler import StatefulDistributedSampler
except ModuleNotFoundError as error:
    raise missing_extra("training data", "train", error) from error


class ConversationData(lightning.LightningDataModule):
    """Windows of conversations in batches; a batch is a `Window` of stacked tensors.

    Parameters
    ----------
    datasets : path, or several
        Stores, or one folder or URL of shards.
    window_frames : int
        Length of a window; 200 are 8 s.
    stride_frames : int, optional
        Step between training windows; `window_frames` if not given. Validation and test windows do not overlap.
    layout : str
        "full62", or "dualtalk56" for motion without eyes.
    batch_size, num_workers : int
        Of each process, where several train together; each of them reads a share of the windows.
    role_swap : bool
        Exchange the two people in every other training window.

    Loaders are stateful: a checkpoint in the middle of an epoch keeps the place. Seed with
    `lightning.seed_everything(seed, workers=True)`.
    """

    def __init__(
        self,
        datasets: str | Path | list[str | Path],
        window_frames: int = 200,
        stride_frames: int | None = None,
        layout: str = "full62",
        batch_size: int = 16,
        num_workers: int = 0,
        role_swap: bool = True,
    ) -> None:
        super().__init__()
        self.datasets = [str(one) for one in (datasets if isinstance(datasets, list) else [datasets])]
        self.window_frames, self.stride_frames, self.layout = window_frames, stride_frames, layout
        self.batch_size, self.num_workers, self.role_swap = batch_size, num_workers, role_swap
        self._seed = torch.initial_seed()

    @property
    def space(self) -> str:
        """Space of the training motion."""
        return self.windows("train").space

    def windows(self, split: str) -> Dataset:
        """All windows of one split."""
        training = split == "train"
        options = {
            "window_frames": self.window_frames,
            "stride_frames": self.stride_frames if training else None,
            "layout": self.layout,
            "role_swap": self.role_swap and training,
        }
        if any(map(_is_sharded, self.datasets)):
            if len(self.datasets) > 1:
                raise InputError(f"shards and {len(self.datasets) - 1} more datasets came; wanted shards alone")
            return ShardedWindows(self.datasets[0], split, shuffle=training, **options)
        parts = [StoreWindows(open_store(dataset), split, **options) for dataset in self.datasets]
        if len(parts) == 1:
            return parts[0]
        together = ConcatDataset(parts)
        together.space = one_space([part.space for part in parts], " and ".join(self.datasets))
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
                num_workers=self.num_workers,
                # What is copied to a GPU goes there while the step before is worked out.
                pin_memory=torch.cuda.is_available(),
            )


def _is_sharded(dataset: str) -> bool:
    return "://" in dataset or (Path(dataset) / INDEX).is_file()
