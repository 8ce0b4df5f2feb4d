"""The verb `train`: a run from its config and, on request, sample videos of the model in training."""

import logging
from pathlib import Path

from dualtalk.data.distributed import rank
from dualtalk.training.callbacks import SampleVideos
from dualtalk.training.fit import train


def run(config: Path, overrides: list[str], *, sample_video_every_n_steps: int | None) -> list[str]:
    """Train; returns the lines to print, of which only rank 0 has any.

    Raises
    ------
    DualTalkError
        The config, the data or the machine cannot be used.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    callbacks = [] if sample_video_every_n_steps is None else [SampleVideos(sample_video_every_n_steps)]
    path = train(["--config", str(config), *overrides], callbacks)
    return [] if rank() else [str(path)]
