"""`train`: from a config to a model in one file. Every field of a config is a parameter of a class, with its type.

A run's folder (`--trainer.default_root_dir`, or `runs/NAME` of the config) holds `config.yaml`, as it was run,
`metrics.csv` and TensorBoard logs, checkpoints from which it goes on, and in the end `model.safetensors`.
"""

import argparse
import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning import Callback
from lightning.pytorch.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from dualtalk import __version__
from dualtalk.data.module import ConversationData
from dualtalk.data.shards import INDEX
from dualtalk.errors import InputError
from dualtalk.models.duet import Duet
from dualtalk.store.schema import MANIFEST
from dualtalk.training.calibration import CONVERSATIONS, FRAMES, match_samples
from dualtalk.training.module import ConversationTraining, as_configured, some_windows

MODEL, LAST = "model.safetensors", "last.ckpt"
EMA_DECAY = 0.995


class TrainCLI(LightningCLI):
    """Adds `--output-dir` and `--checkpoint-every-n-steps` to LightningCLI's options."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--output-dir", type=str, required=True, help="Folder of the run.")
        parser.add_argument("--checkpoint-every-n-steps", type=int, default=500, help="Steps between checkpoints.")
        parser.link_arguments("data.layout", "model.layout")


def train(arguments: list[str], callbacks: Sequence[Callback] = ()) -> Path:
    """Train as `arguments` say, as on the command line: `--config FILE`, then overrides; the model's file.

    A run that was stopped goes on from its last checkpoint when it is started again with the same folder.
    `callbacks` look on beside those of every run.

    Raises
    ------
    InputError
        A config with a field that no class has, missing data, a checkpoint of another model, or a loss that is not
        finite.
    """
    cli = parsed(arguments)
    out = Path(cli.config["output_dir"])
    last = out / "checkpoints" / LAST
    trainer = cli.instantiate_trainer(
        default_root_dir=out,
        logger=[CSVLogger(out, "", "logs"), TensorBoardLogger(out, "", "logs")],
        callbacks=[
            EMAWeightAveraging(decay=EMA_DECAY),
            LearningRateMonitor("step"),
            *callbacks,
            ModelCheckpoint(
                out / "checkpoints", save_last=True, every_n_train_steps=cli.config["checkpoint_every_n_steps"]
            ),
        ],
    )
    try:
        trainer.fit(cli.model, cli.datamodule, ckpt_path=last if last.is_file() else None, weights_only=True)
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        raise InputError(
            f"{last} is of a model of other sizes; give another --output-dir, or remove it"
        ) from error
    cli.model.go_back()
    if isinstance(cli.model.model, Duet) and cli.model.model.look_ahead_frames is not None:
        match(cli, trainer.strategy.root_device)
    about = {
        "version": __version__,
        "steps": trainer.global_step,
        "data": [_data_card(source) for source in dict.fromkeys(cli.datamodule.datasets)],
        "seed": cli.config["seed_everything"],
    }
    if cli.model.init_checkpoint_info is not None:
        about["init_checkpoint_info"] = cli.model.init_checkpoint_info
    if trainer.is_global_zero:
        cli.model.save(out / MODEL, about)
    return out / MODEL


def match(cli: TrainCLI, device: torch.device) -> None:
    """Match the trained model's samples to the training motion, on the device it was trained on."""
    longer = ConversationData(cli.datamodule.datasets, window_frames=FRAMES, layout=cli.datamodule.layout)
    windows = some_windows(longer.windows("train"), CONVERSATIONS)
    model = cli.model.model.eval().to(device)
    as_configured(model)
    match_samples(model, windows, cli.config["seed_everything"])
    model.cpu()


def parsed(arguments: list[str]) -> TrainCLI:
    """The command line's objects, made but not run.

    Raises
    ------
    InputError
        Something that no class takes, or a value of another type.
    """
    torch.set_float32_matmul_precision("high")
    try:
        with warnings.catch_warnings():
            # Its warning is for scripts that give arguments twice; these come from our own command line.
            warnings.filterwarnings("ignore", message="LightningCLI's args parameter", category=UserWarning)
            return TrainCLI(
                ConversationTraining,
                ConversationData,
                run=False,
                save_config_kwargs={"overwrite": True},
                seed_everything_default=0,
                parser_kwargs={"exit_on_error": False},
                args=arguments,
            )
    except (argparse.ArgumentError, ValueError, TypeError) as error:
        raise InputError(f"the config cannot be used: {' '.join(str(error).split())}") from error


def _data_card(source: str) -> dict:
    """What a source of data was: its name, and a checksum of its manifest or index."""
    for name in (MANIFEST, INDEX):
        path = Path(source) / name
        if path.is_file():
            return {"name": Path(source).name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return {"name": json.dumps(source)}
