"""The LightningModule: how a model of conversation learns, and what is measured on the way.

A model that is always given the true past learns to go on from it, and drifts once it has to go on from its own.
So a share of the conversations of each batch is given, in place of the truth, what the model itself makes of the
audio. These train the mean, which at run time is fed its own output; the others train the flow too, whose samples
look like the truth. Their past is strayed from, now little, now far, and what they are to do is to come back: the
way of samples that go on from samples.

Several processes that train together learn what one would learn from all their batches at once: every valid frame
counts the same, whichever process has it. Each draws its own noise; the look-ahead is drawn for all.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from pathlib import Path

import lightning
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from dualtalk.core import LAYOUTS
from dualtalk.data.distributed import all_reduce_sum, broadcast_buffers
from dualtalk.data.windows import Window
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.blocks import Standardised
from dualtalk.models.checkpoint import PretrainedModel, load_model, save_model
from dualtalk.models.duet import Duet, Seen, seen_before
from dualtalk.models.interface import ConversationModel, motion_before
from dualtalk.training.augmentation import otherwise_recorded
from dualtalk.training.losses import MotionLoss, lip_basis_mm, masked_mean

# Windows from which the scale of the coefficients is taken before the first step.
SCALE_WINDOWS = 256
# A past that strays from the truth does so within a fifth of a second, or over a second; by so many deviations at
# least.
DRIFT_FRAMES = (5, 25)
LEAST_STRAYED = 0.02
# Share of the way back to the truth that a sample goes in one frame at least, and how fast at most, in deviations
# of changes.
LEAST_RETURN, FASTEST_RETURN = 0.05, 2.0
# How much one step counts in the running mean of how much the voices tell.
TOLD_RATE = 0.02


class ConversationTraining(lightning.LightningModule):
    """Trains a `ConversationModel`.

    Parameters
    ----------
    model : ConversationModel
    layout : str
        Of the motion; the model is as wide.
    head : str
        Whose lips the loss measures: "open", or the path of a FLAME file.
    learning_rate, weight_decay, warmup_steps
        Of AdamW, with a linear warm-up and a cosine to zero over the training.
    scheduled_sampling_prob : float
        Share of conversations that go on from the model's own motion.
    history_noise_std : float
        How far the true past is strayed from at most, in deviations of the coefficients.
    velocity_weight, lips_weight, lip_closure_weight, flow_weight, flow_lip_vertex_weight : float
    audio_augmentation : bool
        Whether each voice is heard by another microphone each time; see `dualtalk.training.augmentation`.
    vtlp_range : (float, float) or None
        Whether each voice has another vocal tract each time, and how far from its own; see `CausalLogMel`.
    init_checkpoint : str or None
        A trained model of the same kind and sizes, or "default" for the one that comes along: training starts from
        its weights, and keeps its scale of the coefficients.
    interpolation_alpha : float
        How much of the way from those weights to the trained ones the model is taken in the end, 0 to 1: Wortsman
        et al. 2022, "Robust fine-tuning of zero-shot models". Less than all of it forgets less.

    Raises
    ------
    InputError
        A layout that the model does not have, a model to start from that is another, or a part of a way from none.
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
        lips_weight: float = 0.1,
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
        if width != model.coefficients:
            raise InputError(f"a model of {model.coefficients} coefficients; layout {layout} has {width}")
        self.model, self.layout = model, layout
        self.learning_rate, self.weight_decay, self.warmup_steps = learning_rate, weight_decay, warmup_steps
        self.scheduled_sampling_prob, self.history_noise_std = scheduled_sampling_prob, history_noise_std
        self.flow_weight, self.flow_lip_vertex_weight = flow_weight, flow_lip_vertex_weight
        self.audio_augmentation = audio_augmentation
        for part in self.model.modules():
            if isinstance(part, CausalLogMel):
                part.tracts = vtlp_range
        self.head = head
        loaded = load_head(head)
        self.space = loaded.space
        self.scale = Standardised(width)
        self.loss = MotionLoss(
            lip_basis_mm(loaded, LAYOUTS[layout]), velocity_weight, lips_weight, lip_closure_weight
        )
        self._seed = torch.initial_seed()
        self.init_checkpoint, self.interpolation_alpha = init_checkpoint, interpolation_alpha
        self.init_checkpoint_info = (
            None if init_checkpoint is None else self._load_init_checkpoint(init_checkpoint)
        )

    def fit(self, windows: Iterable[Window]) -> None:
        """Take what must be known of the data before training: the scale of its coefficients."""
        windows = list(windows)
        motion = torch.cat([window.motion.reshape(-1, *window.motion.shape[-3:]) for window in windows])
        valid = torch.cat([window.valid.reshape(-1, *window.valid.shape[-2:]) for window in windows])
        if not valid.any():
            raise InputError("no frame of the training data is valid; does the store hold motion?")
        motion, valid = motion.to(self.device), valid.to(self.device)
        self.scale.fit(motion[valid])
        if self.init_checkpoint_info is None:
            self.model.fit(motion, valid)
        elif isinstance(self.model, Duet):
            self.model.admit(motion[valid])
        if isinstance(self.model, Duet):
            self.model.opening.copy_(self.loss.opening_mm())
            self.model.closed_mm.fill_(self.loss.closed_mm())
            self.model.turns_head[LAYOUTS[self.layout].slice_of("head")] = 1

    def _load_init_checkpoint(self, path: str) -> dict:
        """Take the weights of a trained model; what is kept about it."""
        trained = load_model(path)
        if (trained.space, trained.layout) != (self.space, self.layout):
            raise InputError(
                f"{path} moves in space {trained.space!r} and layout {trained.layout}; this training in "
                f"{self.space!r} and {self.layout}"
            )
        try:
            if type(trained.model) is not type(self.model):
                raise TypeError
            self.model.load_state_dict(trained.model.state_dict())
        except (RuntimeError, TypeError) as error:
            raise InputError(
                f"{path} is another model than the config's: give its kind and sizes there"
            ) from error
        return trained.metadata

    def on_fit_start(self) -> None:
        data = self.trainer.datamodule
        if data.space not in ("", self.space):
            raise InputError(f"training motion is in space {data.space!r}, the head of the loss in {self.space!r}")
        if self.trainer.ckpt_path is None:
            self.fit(some_windows(data.windows("train"), SCALE_WINDOWS))
            # Of shards each process has seen others.
            broadcast_buffers(self)

    def on_train_batch_start(self, batch: Window, index: int) -> None:
        # What a step draws depends on its number alone, so that a run that was stopped goes on exactly.
        if isinstance(self.model, Duet) and self.model.look_ahead_frames is not None:
            # One network for every look-ahead: each step draws its own.
            torch.manual_seed(hash((self._seed, self.global_step)) % 2**32)
            self.model.look_ahead_frames = int(torch.randint(self.model.config.largest_look_ahead_frames + 1, ()))
        torch.manual_seed(hash((self._seed, self.global_rank, self.global_step)) % 2**32)

    def training_step(self, batch: Window, index: int) -> Tensor:
        if self.audio_augmentation:
            batch = batch._replace(audio=otherwise_recorded(batch.audio))
        terms = self._terms(
            batch, torch.rand(len(batch.motion), device=self.device) < self.scheduled_sampling_prob
        )
        loss = torch.stack(list(terms.values())).sum()
        if all_reduce_sum((~torch.isfinite(loss)).int()):
            clips = ", ".join(dict.fromkeys(batch.clip))
            became = f"the loss became {float(loss.detach())} at batch {index} ({clips})"
            if torch.isfinite(loss):
                became = f"the loss of another process is not finite at batch {index}"
            raise InputError(f"{became}; the last checkpoint holds")
        # Processes wait for the gradient of every weight, so all take part in every step, if by nothing of them.
        loss = loss + 0 * sum(weight.sum() for weight in self.model.parameters() if weight.requires_grad)
        self.log_dict({f"train/{name}": term.detach() for name, term in terms.items()})
        self.log("train/loss", loss.detach(), prog_bar=True)
        return loss

    def validation_step(self, batch: Window, index: int) -> None:
        as_configured(self.model)
        own = torch.ones(len(batch.motion), dtype=torch.bool, device=self.device)
        count = len(batch.motion)
        for regime, chosen in (("own_past", own), ("true_past", ~own)):
            torch.manual_seed(index)
            terms = self._terms(batch, chosen, noise=0.0)
            named = {f"validation/{regime}/{name}": term for name, term in terms.items()}
            self.log_dict(named, batch_size=count, sync_dist=True)
            if regime == "own_past":
                error = terms["coefficients"]
                self.log("validation/error", error, batch_size=count, prog_bar=True, sync_dist=True)

    def _terms(
        self, batch: Window, own: Bool[Tensor, "batch"], noise: float | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """Weighted terms of the loss; `own` says which conversations go on from the model's own motion."""
        noise = self.history_noise_std if noise is None else noise
        if not isinstance(self.model, Duet):
            past = self._past(batch, own, noise, partial(self.model, batch.audio))
            return self._errors(self.model(batch.audio, past), batch)
        heard = self.model.heard(batch.audio)
        past = self._past(batch, own, noise, partial(self._mean, heard))
        seen = _seen(past)
        understood = self.model.understood(heard, seen)
        mean = self.model.moved(understood, seen)
        terms = self._errors(mean, batch)
        told = self._told_by_voices(mean, batch)
        # In training even where it is over no conversation, as processes that train together must all have it.
        if self.flow_weight and (self.training or not own.all()):
            returning = told.clamp(min=LEAST_RETURN)
            wanted = batch.motion + self._on_the_way_back(past - batch.motion, returning)
            target = self.model.departures(wanted - self.model.going_on(seen))[~own]
            error = self.model.flow.error(
                understood.sample[~own], target, torch.randn_like(target), torch.rand_like(target[..., :1])
            )
            # What went before the window is not known, so what changed to its first frame is not either.
            error, valid = error[:, :, 1:], batch.valid[~own][:, :, 1:]
            terms["flow"] = self.flow_weight * masked_mean(error.square() * self._shares(), valid)
            on_lips = self.loss.on_lips(error * self.model.departures.deviation, valid)
            terms["flow_lips"] = self.flow_lip_vertex_weight * on_lips
        return terms

    def _shares(self) -> Float[Tensor, "coef"]:
        """Weights, on average 1, by which each part of the motion counts the same, however many coefficients it
        has: 3 of 62 turn the head, and all nods are in them."""
        parts = LAYOUTS[self.layout]
        shares = torch.zeros_like(self.scale.deviation)
        for part in parts.widths:
            moves = self.scale.moves[parts.slice_of(part)]
            shares[parts.slice_of(part)] = moves / moves.sum().clamp(min=1)
        return shares * parts.width / len(parts.widths)

    def _on_the_way_back(
        self, strayed: Float[Tensor, "batch 2 frame coef"], share: Float[Tensor, "coef"]
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """How far from the truth a sample may be that was so far from it a frame before: a share of the way back,
        no faster than people move, for a jump would be seen."""
        before = motion_before(strayed, strayed[:, :, 0])
        fastest = FASTEST_RETURN * self.model.changes.deviation
        return before - (share * before).clamp(-fastest, fastest)

    @torch.no_grad()
    def _told_by_voices(self, mean: Float[Tensor, "batch 2 frame coef"], batch: Window) -> Float[Tensor, "coef"]:
        """How much of each coefficient is known from what is heard: lips nearly all, where a head is turned
        little. A sample that has strayed goes back as fast as that; the model keeps a running mean of it."""
        errors = ((mean - batch.motion).square() * batch.valid[..., None]).sum(dim=(0, 1, 2))
        counted = all_reduce_sum(batch.valid.sum())
        error = all_reduce_sum(errors) / counted.clamp(min=1)
        told = (1 - error / self.scale.deviation.square()).clamp(0, 1) * self.scale.moves
        if self.training and counted:
            self.model.told.lerp_(told, TOLD_RATE)
        return told

    def _errors(self, moved: Float[Tensor, "batch 2 frame coef"], batch: Window) -> dict[str, Float[Tensor, ""]]:
        return self.loss(moved, batch.motion, batch.valid, self.scale.deviation)

    def _mean(
        self, heard: Float[Tensor, "batch 2 frame width"], past: Float[Tensor, "batch 2 frame coef"]
    ) -> Float[Tensor, "batch 2 frame coef"]:
        seen = _seen(past)
        return self.model.moved(self.model.understood(heard, seen), seen)

    def _past(
        self, batch: Window, own: Bool[Tensor, "batch"], noise: float, model: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """The motion that each conversation goes on from: what `model` makes of neutral faces, or the truth."""
        past = self._blurred(batch.motion, noise)
        if not own.any():
            return past
        with torch.no_grad():
            answered = model(self.scale.mean.expand_as(past))
        return torch.where(own[:, None, None, None], answered, past)

    def _blurred(
        self, motion: Float[Tensor, "batch 2 frame coef"], noise: float
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """`motion` strayed from: for half of the people hardly, for the others by up to `noise` deviations, in
        some of their coefficients."""
        if not noise:
            return motion
        people, frames, width = motion.shape[:2], motion.shape[2], motion.shape[3]
        far = noise * (LEAST_STRAYED / noise) ** torch.rand(*people, 1, 1, device=motion.device)
        level = torch.where(torch.rand_like(far) < 0.5, LEAST_STRAYED, far)
        strays = torch.rand(*people, 1, width, device=motion.device) < torch.rand_like(far)
        span = DRIFT_FRAMES[int(torch.randint(len(DRIFT_FRAMES), ()))]
        knots = motion.new_empty(*people, 2 + frames // span, width).normal_()
        drift = interpolate(knots.flatten(0, 1).mT, frames, mode="linear", align_corners=True).mT.view_as(motion)
        return motion + self.scale.deviation * level * strays * drift

    def configure_optimizers(self) -> dict:
        optimiser = torch.optim.AdamW(
            [weight for weight in self.model.parameters() if weight.requires_grad],
            self.learning_rate,
            weight_decay=self.weight_decay,
        )
        steps = int(self.trainer.estimated_stepping_batches)
        warm = min(self.warmup_steps, max(steps // 10, 1))
        schedule = torch.optim.lr_scheduler.SequentialLR(
            optimiser,
            [
                torch.optim.lr_scheduler.LinearLR(optimiser, 0.05, total_iters=warm),
                torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps - warm, 1)),
            ],
            milestones=[warm],
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.no_grad()
    def go_back(self) -> None:
        """Interpolate weights: `interpolation_alpha` 0 gives those of `init_checkpoint`, 1 the trained ones."""
        if self.interpolation_alpha == 1:
            return
        before = load_model(self.init_checkpoint).model
        for now, then in zip(_learnt(self.model), _learnt(before), strict=True):
            now.lerp_(then.to(now), 1 - self.interpolation_alpha)

    def as_it_is(self) -> PretrainedModel:
        """A copy of the model, as `save` and `load_model` would give it, on the CPU."""
        model = deepcopy(self.model).cpu().eval()
        as_configured(model)
        return PretrainedModel(model, self.space, self.layout, {})

    def save(self, path: Path, about: dict) -> None:
        """Write the model as one file; see `dualtalk.models.checkpoint`."""
        save_model(path, self.model, space=self.space, layout=self.layout, about=about)


def _seen(past: Float[Tensor, "batch 2 frame coef"]) -> Seen:
    """What is seen of a window's motion; before it, nobody moved."""
    return seen_before(motion_before(past, past[:, :, 0]))


def _learnt(model: ConversationModel) -> list[Tensor]:
    """Weights, and how much voices tell, which training finds out."""
    weights = list(model.parameters())
    return [*weights, model.told] if isinstance(model, Duet) else weights


def as_configured(model: ConversationModel) -> None:
    """Give a model that hears ahead by another length each step its own length back."""
    if isinstance(model, Duet) and model.look_ahead_frames is not None:
        model.look_ahead_frames = model.config.look_ahead_frames


def some_windows(windows: torch.utils.data.Dataset, count: int) -> list[Window]:
    """Windows spread over all of them, or the first ones of a stream."""
    if isinstance(windows, torch.utils.data.IterableDataset):
        return [window for _, window in zip(range(count), windows, strict=False)]
    places = torch.linspace(0, len(windows) - 1, min(count, len(windows))).long().unique()
    return [windows[int(place)] for place in places]
