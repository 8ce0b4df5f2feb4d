"""Duet: one causal, autoregressive network for both people of a conversation.

**Encoding** uses the audio of both people. Each person has a stream of tokens, one a frame. In every block a
stream attends to its own past and, through a second attention with weights of its own, to the partner's stream;
both cover the frame itself and a window before it. (One attention for both streams harms lip sync: Chu et al.
2026, "UniLS".)

**Decoding** is autoregressive over frames and therefore kept small. One attention to the partner's audio features
and motion history gives the mean motion. A second attention, to one's own history, gives the condition of a flow,
which samples the deviation from extrapolated motion (a first-order autoregression of the velocity).

The mean does not depend on one's own history, so in a closed loop it neither drifts nor copies its input. A sample
does depend on it, for continuity. Both people share all weights. Streaming keeps a fixed window of keys and
values.
"""

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import (
    AudioEncoder,
    CausalLogMel,
    State,
    encode_with_lookahead,
    start_with_lookahead,
)
from dualtalk.models.blocks import Affine
from dualtalk.models.duet_modules import AttentionCaches, Conditioning, DuetBlock, DuetConfig, MotionDecoder
from dualtalk.models.duet_statistics import DuetStatistics, MotionHistory, open_lips
from dualtalk.models.flow import Flow
from dualtalk.models.interface import (
    Frame,
    OnePersonsMotion,
    apply_forcing,
    motion_before,
    require_fit,
    roll_out,
    slice_time,
)
from dualtalk.models.training_interface import Criterion, TrainingBatch

# Samples shrink toward the mean by this factor in coefficients that move the lips, and in coefficients whose R²
# (the share of variance that the mean explains) is above the end of the range. Below the start of the range they
# shrink by the minimum, which keeps heads from drifting. Lips thus follow the voice while heads and eyelids move
# freely.
MEAN_SHRINKAGE, SHRINKAGE_R2_RANGE, MIN_SHRINKAGE = 0.9, (0.1, 0.3), 0.005
# The sampling temperature is reduced by this where samples shrink toward the mean, and for head rotation, because
# the most likely samples of a flow are its best (Kingma & Dhariwal 2018, "Glow"). At full temperature, sway hides
# nods. Blinks, which the mean does not explain, need full temperature.
TEMPERATURE_REDUCTION = 0.2
# Number of frames for which the mean is decoded at once, and the tolerance: rounds end when no coefficient changes
# by more. On a GPU the comparison waits for the device, so it is made only every few rounds.
FIXED_POINT_FRAMES, FIXED_POINT_TOLERANCE, GPU_ROUNDS_PER_CHECK = 50, 2e-5, 8
# Closed-loop samples begin with a neutral face, so calibration skips this many frames.
CALIBRATION_SKIP_FRAMES = 50
# In training, the target of a sample that deviates from the ground truth returns to it by at least this share per
# frame, and by at most this many standard deviations of the velocity.
MIN_RECOVERY, MAX_RECOVERY_STD = 0.05, 2.0
# Weight of one step in the running mean of the explained variance.
EXPLAINED_VARIANCE_RATE = 0.02


class InferenceConstants(NamedTuple):
    """Tensors that stay constant through a conversation, computed once."""

    normalize_motion: Affine
    normalize_velocity: Affine
    denormalize_motion: Affine
    denormalize_residual: Affine
    time_embeddings: Float[Tensor, "step embedding"]
    shrinkage: Float[Tensor, "coef"]
    temperature: Float[Tensor, "coef"]
    lip_direction: Float[Tensor, "coef"]


class DuetState(NamedTuple):
    """Streaming state; `previous` is None before the first decoded frame."""

    constants: InferenceConstants
    audio_encoder: State
    encoder_caches: tuple[AttentionCaches, ...]
    decoder_caches: AttentionCaches
    previous: Float[Tensor, "batch 2 coef"] | None


class Duet(DuetStatistics):
    """Motion of both people in one causal pass.

    Parameters
    ----------
    config : DuetConfig
    audio_encoder : AudioEncoder or None
        None for `CausalLogMel()`. With an encoder that is not causal, the model needs the whole recording.

    Attributes
    ----------
    lookahead_frames : int or None
        May be set to any value from 0 to `config.max_lookahead_frames`.
    others
        See `DuetStatistics`.
    """

    model_type = "duet"
    config_class = DuetConfig

    def __init__(self, config: DuetConfig, audio_encoder: AudioEncoder | None = None) -> None:
        super().__init__()
        if not 0 <= config.lookahead_frames <= config.max_lookahead_frames:
            raise InputError(
                f"a look-ahead of {config.lookahead_frames} frames; wanted 0 to max_lookahead_frames, "
                f"{config.max_lookahead_frames}"
            )
        self.config = config
        self.motion_dim = config.motion_dim
        self.audio_encoder = audio_encoder or CausalLogMel()
        self.lookahead_frames = config.lookahead_frames if self.audio_encoder.causal else None
        self._register_statistics(config.motion_dim)
        self.audio_proj = nn.Linear(self.audio_encoder.width, config.d_model)
        self.lookahead_embedding = nn.Embedding(config.max_lookahead_frames + 1, config.d_model)
        # Only a causal encoder has a look-ahead to embed.
        self.lookahead_embedding.requires_grad_(self.audio_encoder.causal)
        self.dyadic_encoder = nn.ModuleList(DuetBlock(config) for _ in range(config.layers))
        self.motion_decoder = MotionDecoder(config)
        self.regression_head = nn.Linear(config.d_model, config.motion_dim)
        self.flow = Flow(config.motion_dim, config.d_model, config.flow_hidden_size, config.flow_depth)

    @property
    def max_lookahead_frames(self) -> int | None:
        return None if self.lookahead_frames is None else self.config.max_lookahead_frames

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        history = history_before(motion_before(motion, initial_pose))
        return self.predict(self.condition(self.encode(audio), history), history, noise)

    def encode(
        self, audio: Float[Tensor, "batch 2 sample"], lookahead_frames: int | None = None
    ) -> Float[Tensor, "batch 2 frame width"]:
        """Audio features of a whole recording, with the model's look-ahead or another one."""
        lookahead = self.lookahead_frames if lookahead_frames is None else lookahead_frames
        features = encode_with_lookahead(self.audio_encoder, audio.flatten(0, 1), lookahead or 0)
        x = self._tokens(features, lookahead)
        for block in self.dyadic_encoder:
            x = block(x)
        return x.unflatten(0, (-1, 2))

    def condition(self, features: Float[Tensor, "batch 2 frame width"], history: MotionHistory) -> Conditioning:
        """Combine audio features and motion history into the features of each frame that `predict` takes."""
        previous, velocity = _normalized(history, self.constants())
        return _in_pairs(self.motion_decoder(features.flatten(0, 1), previous, velocity))

    def predict(
        self,
        conditioning: Conditioning,
        history: MotionHistory,
        noise: Float[Tensor, "batch 2 *frame coef"] | None = None,
        constants: InferenceConstants | None = None,
    ) -> Float[Tensor, "batch 2 *frame coef"]:
        """The mean motion, or with noise a sample of it."""
        constants = constants or self.constants()
        mean = constants.denormalize_motion(self.regression_head(conditioning.mean))
        if noise is None:
            return mean
        residual = self.flow.sample(conditioning.sample, noise * constants.temperature, constants.time_embeddings)
        free = self.extrapolate(history) + constants.denormalize_residual(residual)
        motion = torch.lerp(free, mean, constants.shrinkage).clamp(self.motion_min, self.motion_max)
        return open_lips(motion, (mean - motion) @ self.lip_aperture_basis_mm, constants.lip_direction)

    def constants(self) -> InferenceConstants:
        """What stays constant through a conversation."""
        predictable = self.predictability(*SHRINKAGE_R2_RANGE)
        return InferenceConstants(
            normalize_motion=self.motion_normalizer.normalize_params(),
            normalize_velocity=self.velocity_normalizer.normalize_params(),
            denormalize_motion=self.motion_normalizer.denormalize_params(),
            denormalize_residual=self.residual_normalizer.denormalize_params(),
            time_embeddings=self.flow.step_embeddings(self.config.num_sampling_steps),
            shrinkage=(MEAN_SHRINKAGE * predictable).clamp(min=MIN_SHRINKAGE),
            temperature=1 - TEMPERATURE_REDUCTION * predictable.maximum(self.head_rotation_mask),
            lip_direction=self.lip_direction(),
        )

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> DuetState:
        if self.lookahead_frames is None:
            return super().start(ahead)
        return self._initial_state(2 * len(ahead), start_with_lookahead(self.audio_encoder, ahead.flatten(0, 1)))

    def _initial_state(self, people: int, audio_encoder: State) -> DuetState:
        caches = tuple(block.init_cache(people) for block in self._encoder_blocks)
        return DuetState(self.constants(), audio_encoder, caches, self.motion_decoder.init_cache(people), None)

    @property
    def _encoder_blocks(self) -> Iterable[DuetBlock]:
        return cast(Iterable[DuetBlock], self.dyadic_encoder)

    def encode_audio(
        self, state: DuetState, audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame width"], DuetState]:
        features, audio_encoder = self.audio_encoder.encode_chunk(state.audio_encoder, audio.flatten(0, 1))
        x, encoder_caches = self._tokens(features, self.lookahead_frames), []
        angles = self.motion_decoder.self_attention.angles_after(state.encoder_caches[0].own, x.shape[1])
        for block, caches in zip(self._encoder_blocks, state.encoder_caches, strict=True):
            x, caches = block.decode(caches, x, angles)
            encoder_caches.append(caches)
        state = state._replace(audio_encoder=audio_encoder, encoder_caches=tuple(encoder_caches))
        return x.unflatten(0, (-1, 2)), state

    def encode_recording(
        self, audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame width"], DuetState]:
        return self.encode(audio), self._initial_state(2 * len(audio), None)

    def decode_step(self, state: DuetState, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], DuetState]:
        earlier = frame.previous if state.previous is None else state.previous
        history = MotionHistory(frame.previous, frame.previous - earlier)
        previous, velocity = (part[:, None] for part in _normalized(history, state.constants))
        features = frame.audio.flatten(0, 1)[:, None]
        people, caches = self.motion_decoder.decode(
            state.decoder_caches, features, previous, velocity, with_sample=frame.noise is not None
        )
        conditioning = Conditioning(*(part[:, :, 0] for part in _in_pairs(people)))
        motion = self.predict(conditioning, history, frame.noise, state.constants)
        return motion, state._replace(decoder_caches=caches, previous=frame.previous)

    def decode_chunk(
        self,
        state: DuetState,
        features: Float[Tensor, "batch 2 frame width"],
        previous: Float[Tensor, "batch 2 coef"],
        forced: tuple[OnePersonsMotion, OnePersonsMotion] = (None, None),
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> tuple[Float[Tensor, "batch 2 frame coef"], DuetState]:
        """Samples frame by frame; the mean of many frames at once by fixed-point iteration (Jacobi decoding).

        The mean depends weakly on the motion before it. It is decoded from a guess of that motion, and again from
        the result, until the result does not change. Each round makes at least one more frame exact; about six
        rounds suffice for 50 frames. Song et al. 2021, "Accelerating feedforward computation via parallel
        nonlinear equation solving".
        """
        if noise is not None:
            return super().decode_chunk(state, features, previous, forced, noise)
        chunks, done = [], 0
        for part in features.split(FIXED_POINT_FRAMES, dim=2):
            forced_part = slice_time(forced, slice(done, done + part.shape[2]))
            motion, state = self._fixed_point_decode(state, part, previous, forced_part)
            chunks.append(motion)
            previous, done = apply_forcing(motion, forced_part)[:, :, -1], done + part.shape[2]
        return torch.cat(chunks, dim=2), state

    def _fixed_point_decode(
        self,
        state: DuetState,
        features: Float[Tensor, "batch 2 frame width"],
        previous: Float[Tensor, "batch 2 coef"],
        forced: tuple[OnePersonsMotion, OnePersonsMotion],
    ) -> tuple[Float[Tensor, "batch 2 frame coef"], DuetState]:
        frames, flat = features.shape[2], features.flatten(0, 1)
        own_cache, partner_cache = state.decoder_caches
        angles = self.motion_decoder.self_attention.angles_after(own_cache, frames)
        rounds_per_check = 1 if features.device.type == "cpu" else GPU_ROUNDS_PER_CHECK
        motion = previous[:, :, None].expand(-1, -1, frames, -1)
        # After one round per frame and one more to confirm, the result is exact for any tolerance.
        for rounds in range(1, frames + 2):
            past = motion_before(apply_forcing(motion, forced), previous)
            normalized = state.constants.normalize_motion(past).flatten(0, 1)
            x, context, partner = self.motion_decoder.decode_mean(partner_cache, flat, normalized, angles)
            mean = self.regression_head(self.motion_decoder.mean_norm(x)).unflatten(0, (-1, 2))
            last, motion = motion, state.constants.denormalize_motion(mean)
            if rounds % rounds_per_check == 0 and float((motion - last).abs().max()) <= FIXED_POINT_TOLERANCE:
                break
        caches = AttentionCaches(self.motion_decoder.self_attention.append_kv(own_cache, context, angles), partner)
        return motion, state._replace(decoder_caches=caches, previous=past[:, :, -1])

    @property
    def needs_calibration(self) -> bool:
        return True

    @torch.inference_mode()
    def calibrate(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        valid: Bool[Tensor, "batch 2 frame"],
        noise: Float[Tensor, "batch 2 frame coef"],
    ) -> None:
        """Measure the quantile maps of `postprocess` on closed-loop samples; without long windows do nothing."""
        valid = valid.clone()
        valid[:, :, :CALIBRATION_SKIP_FRAMES] = False
        if valid.any():
            sampled = roll_out(self, audio, noise=noise, postprocess=False)
            self.calibrate_quantiles(sampled[valid], motion[valid])

    def trained_tensors(self) -> list[Tensor]:
        return [*self.parameters(), self.explained_variance]

    def training_losses(self, batch: TrainingBatch, criterion: Criterion) -> dict[str, Float[Tensor, ""]]:
        """Losses of the mean on all conversations, and of the flow on those that are not free-running.

        The history of the others deviates from the ground truth, and the flow's target returns to it: the
        situation of samples that follow samples.
        """
        features = self.encode(batch.audio, batch.lookahead_frames)
        past = batch.scheduled_history(lambda motion: self._mean_after(features, motion)[0])
        mean, conditioning, history = self._mean_after(features, past)
        losses = criterion.motion_losses(mean, batch.motion, batch.valid)
        explained = self._update_explained_variance(mean, batch, criterion)
        # In training even for no conversation, and with a weight of zero: processes that train together must all
        # compute a gradient of every weight.
        if self.training or (criterion.flow_weight and not batch.free_running.all()):
            chosen = ~batch.free_running
            fastest = MAX_RECOVERY_STD * self.velocity_normalizer.std
            recovery = recovery_target(past - batch.motion, explained.clamp(min=MIN_RECOVERY), fastest)
            target = self.residual_normalizer(batch.motion + recovery - self.extrapolate(history))[chosen]
            noise = torch.randn(target.shape, device=target.device, generator=batch.generator)
            time = torch.rand((*target.shape[:-1], 1), device=target.device, generator=batch.generator)
            error = self.flow.velocity_residual(conditioning.sample[chosen], target, noise, time)
            # Motion before the window is unknown, and so is the velocity into its first frame.
            error, valid = error[:, :, 1:], batch.valid[chosen][:, :, 1:]
            flow = criterion.masked_mean(error.square() * criterion.coefficient_weights, valid)
            losses["flow"] = criterion.flow_weight * flow
            lips = criterion.lip_vertex_error(error * self.residual_normalizer.std, valid)
            # A flow weight of zero turns both losses off.
            losses["flow_lip_vertex"] = criterion.flow_lip_vertex_weight * bool(criterion.flow_weight) * lips
        return losses

    def _mean_after(
        self, features: Float[Tensor, "batch 2 frame width"], past: Float[Tensor, "batch 2 frame coef"]
    ) -> tuple[Float[Tensor, "batch 2 frame coef"], Conditioning, MotionHistory]:
        """The mean, teacher-forced with `past`; before the window, motion is constant."""
        history = history_before(motion_before(past, past[:, :, 0]))
        conditioning = self.condition(features, history)
        return self.predict(conditioning, history), conditioning, history

    @torch.no_grad()
    def _update_explained_variance(
        self, mean: Float[Tensor, "batch 2 frame coef"], batch: TrainingBatch, criterion: Criterion
    ) -> Float[Tensor, "coef"]:
        """R² of the mean for each coefficient, over all processes; training averages it over steps."""
        errors = ((mean - batch.motion).square() * batch.valid[..., None]).sum(dim=(0, 1, 2))
        count = criterion.sum_over_processes(batch.valid.sum())
        error = criterion.sum_over_processes(errors) / count.clamp(min=1)
        explained = (1 - error / criterion.std.square()).clamp(0, 1) * criterion.active
        if self.training and count:
            self.explained_variance.lerp_(explained, EXPLAINED_VARIANCE_RATE)
        return explained

    def _tokens(
        self, features: Float[Tensor, "people frame feature"], lookahead_frames: int | None
    ) -> Float[Tensor, "people frame width"]:
        tokens = self.audio_proj(features)
        if lookahead_frames is None:
            return tokens
        if not 0 <= lookahead_frames <= self.config.max_lookahead_frames:
            raise InputError(
                f"a look-ahead of {lookahead_frames} frames; this network was trained for 0 to "
                f"{self.config.max_lookahead_frames}"
            )
        return tokens + self.lookahead_embedding.weight[lookahead_frames]


def history_before(previous: Float[Tensor, "batch 2 frame coef"]) -> MotionHistory:
    """History of each frame from the result of `motion_before`; the first velocity is zero."""
    return MotionHistory(previous, nn.functional.pad(previous.diff(dim=2), (0, 0, 1, 0)))


def recovery_target(
    deviation: Float[Tensor, "batch 2 frame coef"], rate: Float[Tensor, "coef"], fastest: Float[Tensor, "coef"]
) -> Float[Tensor, "batch 2 frame coef"]:
    """Target deviation of a sample from the ground truth in each frame, given its deviation in all of them.

    It is the deviation of the previous frame, reduced by the share `rate` but by at most `fastest` per frame,
    because a return that is faster than natural motion would be visible.
    """
    before = motion_before(deviation, deviation[:, :, 0])
    return before - (rate * before).clamp(-fastest, fastest)


def _normalized(
    history: MotionHistory, constants: InferenceConstants
) -> tuple[Float[Tensor, "people *frame coef"], Float[Tensor, "people *frame coef"]]:
    previous = constants.normalize_motion(history.previous)
    return previous.flatten(0, 1), constants.normalize_velocity(history.velocity).flatten(0, 1)


def _in_pairs(people: Conditioning) -> Conditioning:
    return Conditioning(*(part.unflatten(0, (-1, 2)) for part in people))
