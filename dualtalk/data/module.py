"""The LightningDataModule: windows of one or several stores, or of shards, in batches."""

import warnings
from pathlib import Path

import lightning
import torch
from torch.utils.data import Sampler

from dualtalk.data.sampler import WindowSampler
from dualtalk.data.shards import INDEX, ShardedWindows
from dualtalk.data.windows import ConcatWindows, ConversationWindows, StoreWindows
from dualtalk.errors import InputError, missing_extra
from dualtalk.store import open_store

try:
    from torchdata.stateful_dataloader import StatefulDataLoader
except ModuleNotFoundError as error:
    raise missing_extra("training data", "train", error) from error


class ConversationData(lightning.LightningDataModule):
    """Windows of conversations in batches; a batch is a `Window` of stacked tensors.

    Parameters
    ----------
    datasets : path, or several
        Stores, or one folder or URL of shards.
    window_frames : int
        Length of a window; 200 frames are 8 s.
    stride_frames : int, optional
        Step between training windows; defaults to `window_frames`. Validation and test windows do not overlap.
    layout : str
        "full62", or "dualtalk56" for motion without eyes.
    batch_size, num_workers : int
        Of each process, where several train together; each process reads a share of the windows.
    role_swap : bool
        Exchange the two people in half of the training windows.
    seed : int
        Of the order of training windows and of the role swaps. `dualtalk train` sets it to `seed_everything`.

    Loaders are stateful: a checkpoint in the middle of an epoch records the position. The order within shards also
    depends on torch's global generator; seed it with `lightning.seed_everything(seed, workers=True)`.
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
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.datasets = [str(one) for one in (datasets if isinstance(datasets, list) else [datasets])]
        self.window_frames, self.stride_frames, self.layout = window_frames, stride_frames, layout
        self.batch_size, self.num_workers, self.role_swap = batch_size, num_workers, role_swap
        self.seed = seed

    @property
    def space(self) -> str:
        """Space of the training motion."""
        return self.windows("train").space

    def windows(self, split: str) -> ConversationWindows:
        """All windows of one split.

        Raises
        ------
        InputError
            A store or shards cannot be read, lack the split, or mix spaces.
        """
        training = split == "train"
        stride_frames = self.stride_frames if training else None
        if any(map(_is_sharded, self.datasets)):
            if len(self.datasets) > 1:
                raise InputError(f"shards and {len(self.datasets) - 1} more datasets came; wanted shards alone")
            return ShardedWindows(
                self.datasets[0],
                split,
                self.window_frames,
                stride_frames,
                self.layout,
                role_swap=self.role_swap and training,
                shuffle=training,
            )
        parts = [
            StoreWindows(open_store(dataset), split, self.window_frames, stride_frames, self.layout)
            for dataset in self.datasets
        ]
        return parts[0] if len(parts) == 1 else ConcatWindows(parts, " and ".join(self.datasets))

    def train_dataloader(self) -> StatefulDataLoader:
        """Shuffled batches of training windows."""
        return self._loader("train")

    def val_dataloader(self) -> StatefulDataLoader:
        """Batches of validation windows, in order."""
        return self._loader("validation")

    def test_dataloader(self) -> StatefulDataLoader:
        """Batches of test windows, in order."""
        return self._loader("test")

    def _loader(self, split: str) -> StatefulDataLoader:
        windows = self.windows(split)
        training = split == "train"
        sampler: Sampler[tuple[int, bool]] | None = None
        # Shards shuffle, and divide themselves among processes.
        if not isinstance(windows, ShardedWindows):
            role_swap = self.role_swap and training
            sampler = WindowSampler(windows, shuffle=training, role_swap=role_swap, seed=self.seed)
        with warnings.catch_warnings():
            # torchdata 0.11 calls a function of torch that newer versions deprecate; nothing depends on it.
            warnings.filterwarnings("ignore", message="'set_vital' is deprecated", category=UserWarning)
            return StatefulDataLoader(
                windows,
                self.batch_size,
                sampler=sampler,
                num_workers=self.num_workers,
                # Overlaps the copy of the next batch to a GPU with the current step.
                pin_memory=torch.cuda.is_available(),
            )


def _is_sharded(dataset: str) -> bool:
    return "://" in dataset or (Path(dataset) / INDEX).is_file()
