"""`train`: from a config to a model in one file. Every field of a config is a typed parameter of a class.

The folder of a run (`--output-dir`) holds checkpoints, from which an interrupted run resumes; `logs/` with the
config as it was run, `metrics.csv` and TensorBoard files; and in the end `model.safetensors`.
"""

import argparse
import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from dualtalk import __version__
from dualtalk.data.module import ConversationData
from dualtalk.data.shards import INDEX
from dualtalk.errors import InputError
from dualtalk.store.schema import MANIFEST
from dualtalk.training.calibration import CONVERSATIONS, FRAMES, calibrate_model
from dualtalk.training.callbacks import AveragedWeights, TrainingProgress
from dualtalk.training.module import ConversationTraining, sample_windows

logger = logging.getLogger(__name__)

MODEL, LAST = "model.safetensors", "last.ckpt"
EMA_DECAY = 0.995


class TrainCLI(LightningCLI):
    """LightningCLI with the options `--output-dir` and `--checkpoint-every-n-steps`, and one seed for
    everything."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--output-dir", type=str, required=True, help="Folder of the run.")
        parser.add_argument("--checkpoint-every-n-steps", type=int, default=500, help="Steps between checkpoints.")
        parser.link_arguments("data.layout", "model.layout")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)


def train(arguments: list[str], callbacks: Sequence[Callback] = ()) -> Path:
    """Train a model.

    An interrupted run resumes from its last checkpoint when `train` is called again with the same folder.

    Parameters
    ----------
    arguments : list of str
        As on the command line: `--config FILE`, then overrides.
    callbacks : sequence of Callback
        In addition to those of every run.

    Returns
    -------
    Path
        The file of the model.

    Raises
    ------
    InputError
        A config with an unknown field, missing data, a checkpoint of another model, or a loss that is not finite.
    """
    cli = build_cli(arguments)
    out = Path(cli.config["output_dir"])
    trainer = _trainer(cli, out, callbacks)
    last = out / "checkpoints" / LAST
    with _matmul_precision("high"):
        try:
            trainer.fit(cli.model, cli.datamodule, ckpt_path=last if last.is_file() else None, weights_only=True)
        except RuntimeError as error:
            if "loading state_dict" not in str(error):
                raise
            raise InputError(
                f"{last} is of a model of other sizes; give another --output-dir, or remove it"
            ) from error
        cli.model.interpolate_with_init()
        if cli.model.model.needs_calibration:
            calibrate(cli, trainer.strategy.root_device)
    if trainer.is_global_zero:
        cli.model.save(out / MODEL, _training_info(cli, trainer))
    return out / MODEL


def build_cli(arguments: list[str]) -> TrainCLI:
    """Parse `arguments` and create the model and the data, without training.

    Raises
    ------
    InputError
        A field that no class has, or a value of another type.
    """
    try:
        with warnings.catch_warnings():
            # This warning is for scripts whose own command line is ignored; `arguments` is ours.
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


def calibrate(cli: TrainCLI, device: torch.device) -> None:
    """Calibrate the trained model's samples against training motion, on the device it was trained on."""
    longer = ConversationData(cli.datamodule.datasets, window_frames=FRAMES, layout=cli.datamodule.layout)
    windows = sample_windows(longer.windows("train"), CONVERSATIONS)
    model = cli.model.model.eval().to(device)
    calibrate_model(model, windows, cli.config["seed_everything"], device)
    model.cpu()


def _trainer(cli: TrainCLI, out: Path, callbacks: Sequence[Callback]) -> Trainer:
    """The trainer of the config, with the callbacks and loggers of every run."""
    options = cli.config["trainer"]
    # Lightning's own bar counts epochs, which a run of max_steps does not have.
    bars = [one for one in callbacks if isinstance(one, ProgressBar)]
    if not bars and options["enable_progress_bar"] is not False and sys.stderr.isatty():
        bars = [TrainingProgress()]
        callbacks = [*callbacks, *bars]
    return cli.instantiate_trainer(
        default_root_dir=out,
        logger=[CSVLogger(out, "", "logs"), TensorBoardLogger(out, "", "logs")],
        enable_progress_bar=bool(bars),
        enable_model_summary=bool(options["enable_model_summary"]),
        callbacks=[
            AveragedWeights(decay=EMA_DECAY),
            LearningRateMonitor("step"),
            *callbacks,
            ModelCheckpoint(
                out / "checkpoints", save_last=True, every_n_train_steps=cli.config["checkpoint_every_n_steps"]
            ),
        ],
    )


@contextmanager
def _matmul_precision(precision: str) -> Iterator[None]:
    """Allow products of reduced precision (TF32 on GPUs) inside the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _training_info(cli: TrainCLI, trainer: Trainer) -> dict:
    """The `training_info` of the model file."""
    info = {
        "version": __version__,
        "steps": trainer.global_step,
        "data": [_data_card(dataset) for dataset in dict.fromkeys(cli.datamodule.datasets)],
        "seed": cli.config["seed_everything"],
    }
    if cli.model.init_checkpoint_info is not None:
        info["init_checkpoint_info"] = cli.model.init_checkpoint_info
    return info


def _data_card(dataset: str) -> dict:
    """Name of a dataset, and the checksum of its manifest or index."""
    for name in (MANIFEST, INDEX):
        path = Path(dataset) / name
        if path.is_file():
            return {"name": Path(dataset).name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return {"name": json.dumps(dataset)}
