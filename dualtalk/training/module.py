"""The LightningModule: training and validation of a model of conversation.

A model that is trained with teacher forcing alone drifts when it runs on its own output (exposure bias). Two
measures counter that. Scheduled sampling: in a share of the conversations of each batch, the motion history is the
model's own prediction. History noise: in the other conversations, the ground-truth history is perturbed by noise
of random strength, and the target of a stochastic model returns from the perturbed motion to the ground truth.

Several processes that train together get the same gradient as one process with all their batches: every valid
frame has the same weight, whichever process holds it. Each process draws its own noise; the look-ahead is the same
in all.

All random numbers of a step are functions of the seed, the step and the process, so a resumed run continues
exactly.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch.utilities.seed import isolate_rng
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.nn.functional import interpolate

from dualtalk.core import LAYOUTS
from dualtalk.data.distributed import all_reduce_sum, broadcast_buffers
from dualtalk.data.windows import Window
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.models.checkpoint import PretrainedModel, load_model, save_model
from dualtalk.models.interface import ConversationModel
from dualtalk.models.training_interface import TrainingBatch
from dualtalk.training.augmentation import AudioAugmentation
from dualtalk.training.losses import LossWeights, MotionLoss, lip_basis

# Windows from which the statistics of the motion are estimated before the first step.
STATISTICS_WINDOWS = 256
# History noise is linear between random values this many frames apart: a fifth of a second, or a second.
NOISE_SPANS_FRAMES = (5, 25)
# Smallest standard deviation of the noise, relative to that of the coefficient; half of the people have this.
MIN_HISTORY_NOISE = 0.02


class ConversationTraining(lightning.LightningModule):
    """Trains a `ConversationModel`.

    Parameters
    ----------
    model : ConversationModel
    layout : str
        Layout of the motion, as wide as the model's.
    head : str
        The head whose lips the losses measure: "open", or the path of a FLAME file.
    learning_rate, weight_decay, warmup_steps
        Of AdamW, with a linear warm-up and a cosine decay to zero.
    scheduled_sampling_prob : float
        Share of conversations whose motion history is the model's own prediction.
    history_noise_std : float
        Greatest standard deviation of the noise on ground-truth history, relative to that of the coefficients.
    velocity_weight, lip_vertex_weight, lip_closure_weight, flow_weight, flow_lip_vertex_weight : float
        See `LossWeights`.
    audio_augmentation : bool
        Whether the audio of each person is augmented; see `dualtalk.training.augmentation`.
    vtlp_range : (float, float) or None
        Range of vocal tract length perturbation; see `CausalLogMel`.
    init_checkpoint : str or None
        Fine-tuning: a model of the same type and sizes, or "default" for the bundled one, whose weights and
        normalization training starts from.
    interpolation_alpha : float
        After training, weights are interpolated between the initial (0) and the trained ones (1): Wortsman et al.
        2022, "Robust fine-tuning of zero-shot models". Less than 1 reduces forgetting.

    Raises
    ------
    InputError
        A layout that the model does not have, an initial checkpoint of another model, or an interpolation without
        one.
    """

    def __init__(
        self,
        model: ConversationModel,
        layout: str = "full62",
        head: str = "open",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_steps: int = 200,
        scheduled_sampling_prob: float = 0.3,
        history_noise_std: float = 2.0,
        velocity_weight: float = 1.0,
        lip_vertex_weight: float = 0.1,
        lip_closure_weight: float = 1.0,
        flow_weight: float = 1.0,
        flow_lip_vertex_weight: float = 1.0,
        audio_augmentation: bool = True,
        vtlp_range: tuple[float, float] | None = (0.8, 1.25),
        init_checkpoint: str | None = None,
        interpolation_alpha: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= interpolation_alpha <= 1:
            raise InputError(f"interpolation_alpha is {interpolation_alpha}; wanted a number from 0 to 1")
        if interpolation_alpha < 1 and init_checkpoint is None:
            raise InputError(
                f"interpolation_alpha is {interpolation_alpha}, which needs a checkpoint to interpolate "
                "with; give init_checkpoint"
            )
        width = LAYOUTS[layout].width
        if width != model.motion_dim:
            raise InputError(
                f"motion_dim of the model is {model.motion_dim}; layout {layout} has {width} coefficients"
            )
        self.model, self.layout, self.head = model, layout, head
        self.learning_rate, self.weight_decay, self.warmup_steps = learning_rate, weight_decay, warmup_steps
        self.scheduled_sampling_prob, self.history_noise_std = scheduled_sampling_prob, history_noise_std
        self.augment = AudioAugmentation() if audio_augmentation else None
        model.set_vtlp_range(vtlp_range)
        loaded = load_head(head)
        self.space = loaded.space
        weights = LossWeights(
            velocity_weight, lip_vertex_weight, lip_closure_weight, flow_weight, flow_lip_vertex_weight
        )
        self.loss = MotionLoss(lip_basis(loaded, LAYOUTS[layout]), LAYOUTS[layout], weights)
        # Checkpoints keep it, so that a resumed run continues with the same random numbers.
        self.seed = torch.initial_seed()
        self.init_checkpoint, self.interpolation_alpha = init_checkpoint, interpolation_alpha
        self.init_checkpoint_info = (
            None if init_checkpoint is None else self._load_init_checkpoint(init_checkpoint)
        )

    def fit(self, windows: Iterable[Window]) -> None:
        """Estimate the statistics of the training motion, and give the model the geometry of the head.

        Raises
        ------
        InputError
            No frame is valid.
        """
        windows = list(windows)
        motion = torch.cat([window.motion.reshape(-1, *window.motion.shape[-3:]) for window in windows])
        valid = torch.cat([window.valid.reshape(-1, *window.valid.shape[-2:]) for window in windows])
        if not valid.any():
            raise InputError("no frame of the training data is valid; does the store hold motion?")
        motion, valid = motion.to(self.device), valid.to(self.device)
        self.loss.normalizer.fit(motion[valid])
        if self.init_checkpoint_info is None:
            self.model.fit(motion, valid)
        else:
            self.model.expand_range(motion[valid])
        self.model.set_geometry(self.loss.geometry())

    def _load_init_checkpoint(self, path: str) -> dict:
        """Load the weights of a trained model into this one; returns its training info."""
        trained = load_model(path)
        if (trained.space, trained.layout) != (self.space, self.layout):
            raise InputError(
                f"{path} has motion of space {trained.space!r} and layout {trained.layout}; this training has "
                f"{self.space!r} and {self.layout}"
            )
        try:
            if type(trained.model) is not type(self.model):
                raise TypeError
            self.model.load_state_dict(trained.model.state_dict())
        except (RuntimeError, TypeError) as error:
            raise InputError(
                f"{path} is another model than the config's: give its model type and sizes there"
            ) from error
        return trained.metadata

    def on_fit_start(self) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # set by LightningCLI's trainer
        if data.space not in ("", self.space):
            raise InputError(f"training motion is in space {data.space!r}, the head of the loss in {self.space!r}")
        if self.trainer.ckpt_path is None:
            self.fit(sample_windows(data.windows("train"), STATISTICS_WINDOWS))
            # Processes that read shards have estimated their statistics from different windows.
            broadcast_buffers(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["training_seed"] = self.seed

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seed = checkpoint.get("training_seed", self.seed)

    def training_step(self, batch: Window, index: int) -> Tensor:
        # Augmentation, vocal tract perturbation and dropout draw from the global generators.
        with seeded(random_seed(self.seed, self.global_rank, self.global_step), self.device):
            if self.augment:
                batch = batch._replace(audio=self.augment(batch.audio))
            generator = self._generator(self.seed, self.global_rank, self.global_step, 1)
            free_running = (
                torch.rand(len(batch.motion), device=self.device, generator=generator)
                < self.scheduled_sampling_prob
            )
            losses = self.losses(batch, free_running, generator, self.history_noise_std, self._draw_lookahead())
        loss = torch.stack(list(losses.values())).sum()
        if all_reduce_sum((~torch.isfinite(loss)).int()):
            clips = ", ".join(dict.fromkeys(batch.clip))
            became = f"the loss became {float(loss.detach())} at batch {index} ({clips})"
            if torch.isfinite(loss):
                became = f"the loss of another process is not finite at batch {index}"
            raise InputError(f"{became}; the last checkpoint was kept")
        self.log_dict({f"train/{name}": term.detach() for name, term in losses.items()})
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: Window, index: int) -> None:
        count = len(batch.motion)
        for mode, free in (("free_running", True), ("teacher_forced", False)):
            chosen = torch.full((count,), free, device=self.device)
            losses = self.losses(batch, chosen, self._generator(index), history_noise_std=0.0)
            named = {f"val/{mode}/{name}": loss for name, loss in losses.items()}
            self.log_dict(named, batch_size=count, sync_dist=True)
            if free:
                self.log("val/mse", losses["mse"], batch_size=count, prog_bar=True, sync_dist=True)

    def losses(
        self,
        batch: Window,
        free_running: Tensor,
        generator: torch.Generator,
        history_noise_std: float,
        lookahead_frames: int | None = None,
    ) -> dict[str, Float[Tensor, ""]]:
        """Weighted losses of a batch, by name.

        Parameters
        ----------
        batch : Window
        free_running : (batch,) bool
            Conversations whose motion history is the model's own prediction.
        generator : torch.Generator
            On the device of the batch.
        history_noise_std : float
            As in the constructor, for the others.
        lookahead_frames : int or None
            None for the model's own.
        """
        history = self.perturb_history(batch.motion, history_noise_std, generator)
        neutral = self.loss.normalizer.mean
        inputs = TrainingBatch(
            batch.audio, batch.motion, batch.valid, history, free_running, neutral, generator, lookahead_frames
        )
        return self.model.training_losses(inputs, self.loss)

    def perturb_history(
        self, motion: Float[Tensor, "batch 2 frame coef"], noise_std: float, generator: torch.Generator
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """`motion` with smooth noise on a random subset of coefficients.

        Half of the people have noise of `MIN_HISTORY_NOISE`. The others have a standard deviation between that and
        `noise_std`, drawn on a log scale, relative to the standard deviations of the training motion.
        """
        if not noise_std:
            return motion
        people, frames, width = motion.shape[:2], motion.shape[2], motion.shape[3]

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*people, *shape, device=motion.device, generator=generator)

        far = noise_std * (MIN_HISTORY_NOISE / noise_std) ** uniform(1, 1)
        level = torch.where(uniform(1, 1) < 0.5, MIN_HISTORY_NOISE, far)
        chosen = uniform(1, width) < uniform(1, 1)
        # Drawn on the CPU where the batch is: an index read from a GPU would wait for it.
        span = NOISE_SPANS_FRAMES[generator.initial_seed() % len(NOISE_SPANS_FRAMES)]
        knots = motion.new_empty(*people, 2 + frames // span, width).normal_(generator=generator)
        noise = interpolate(knots.flatten(0, 1).mT, frames, mode="linear", align_corners=True).mT.view_as(motion)
        return motion + self.loss.std * level * chosen * noise

    def _draw_lookahead(self) -> int | None:
        """The look-ahead of this step, the same in all processes; None for a model with one look-ahead."""
        greatest = self.model.max_lookahead_frames
        if greatest is None:
            return None
        return int(np.random.default_rng([self.seed, self.global_step]).integers(greatest + 1))

    def _generator(self, *keys: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(random_seed(*keys))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = torch.optim.AdamW(
            [weight for weight in self.model.parameters() if weight.requires_grad],
            self.learning_rate,
            weight_decay=self.weight_decay,
        )
        steps = int(self.trainer.estimated_stepping_batches)
        warm = min(self.warmup_steps, max(steps // 10, 1))
        schedule = torch.optim.lr_scheduler.SequentialLR(
            optimizer,
            [
                torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=warm),
                torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps - warm, 1)),
            ],
            milestones=[warm],
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.no_grad()
    def interpolate_with_init(self) -> None:
        """Interpolate weights: `interpolation_alpha` 0 gives those of `init_checkpoint`, 1 the trained ones."""
        if self.interpolation_alpha == 1 or self.init_checkpoint is None:
            return
        initial = load_model(self.init_checkpoint).model
        for trained, before in zip(self.model.trained_tensors(), initial.trained_tensors(), strict=True):
            trained.lerp_(before.to(trained), 1 - self.interpolation_alpha)

    def snapshot(self) -> PretrainedModel:
        """A copy of the model, as `save` and `load_model` would give it, on the CPU."""
        return PretrainedModel(deepcopy(self.model).cpu().eval(), self.space, self.layout, {})

    def save(self, path: Path, training_info: dict) -> None:
        """Write the model as one file; see `dualtalk.models.checkpoint`."""
        save_model(path, self.model, space=self.space, layout=self.layout, training_info=training_info)


def random_seed(*keys: int) -> int:
    """A seed from several numbers; different numbers give independent streams."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint32)[0])


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators of torch and Python inside the block, and restore their states after it."""
    with isolate_rng(include_cuda=device.type == "cuda"):
        torch.manual_seed(seed)
        random.seed(seed)
        yield


def sample_windows(windows: torch.utils.data.Dataset, count: int) -> list[Window]:
    """Windows evenly spread over a data set, or the first ones of a stream."""
    if isinstance(windows, torch.utils.data.IterableDataset):
        return [window for _, window in zip(range(count), windows, strict=False)]
    size = len(windows)  # type: ignore[arg-type]  # torch's Dataset declares no __len__
    places = torch.linspace(0, size - 1, min(count, size)).long().unique()
    return [windows[int(place)] for place in places]
