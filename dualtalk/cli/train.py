"""The verb `train`: a training run from a config."""

from pathlib import Path
from typing import Annotated

import typer

from dualtalk.errors import InputError


def train(
    config: Annotated[
        Path, typer.Option(show_default=False, metavar="FILE.yaml", help="Config of the model, data and trainer.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="--FIELD VALUE", show_default=False, help="Overrides of config fields, by dotted name."
        ),
    ] = None,
    sample_video_every_n_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default="none",
            metavar="STEPS",
            help="Render a validation conversation, animated by the model, every STEPS steps: OUTPUT_DIR/videos.",
        ),
    ] = None,
) -> None:
    """Train a model on stores or shards. Every field of the config can be overridden here.

    Example: [bold]dualtalk train --config configs/train/duet.yaml --trainer.max_steps 1000[/]

    Writes checkpoints, logs and finally model.safetensors, which simulate
    --model takes. The same command resumes a run that was interrupted. See
    docs/training.md.
    """
    if not config.is_file():
        raise InputError(f"no config at {config}; configs/train has one for each model")
    import logging

    from dualtalk.data.distributed import rank
    from dualtalk.training import fit
    from dualtalk.training.callbacks import SampleVideos

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    callbacks = [] if sample_video_every_n_steps is None else [SampleVideos(sample_video_every_n_steps)]
    model = fit.train(["--config", str(config), *(overrides or [])], callbacks)
    if rank() == 0:
        print(model)
