"""Baselines: what a model of conversation has to beat, behind the same interface.

| | input | purpose |
|---|---|---|
| `StaticPose` | none | score of a face that does not move |
| `MeanPose` | none | the best constant under squared error |
| `Mirror` | the partner's motion | how much of listening is imitation |
| `NearestNeighbour` | audio of both | score of real motion from another moment |
| `SingleStream`, audio of self | own audio and motion | a speaker model without the partner, as FaceFormer |
| `SingleStream`, audio of partner | the partner's audio, motion of both | a listener model without own audio |

A smoothed mean scores best under squared error, and real motion from another moment scores best under distribution
metrics, so compare a model's scores with both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import (
    HOPS_PER_FRAME,
    AudioEncoder,
    CausalLogMel,
    State,
    encode_with_lookahead,
    start_with_lookahead,
)
from dualtalk.models.blocks import CausalTransformer, KVCache, Normalizer
from dualtalk.models.interface import ConversationModel, Frame, motion_before, require_fit
from dualtalk.timebase import SAMPLES_PER_FRAME


class StaticPose(ConversationModel):
    """Both people keep the pose before the first frame."""

    model_type = "static_pose"

    def __init__(self, motion_dim: int) -> None:
        super().__init__()
        self.motion_dim = motion_dim

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        return motion_before(motion, initial_pose)[:, :, :1].expand_as(motion)

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> None:
        """The state is the pose, which the first frame gives."""

    def decode_step(
        self, state: Float[Tensor, "batch 2 coef"] | None, frame: Frame
    ) -> tuple[Float[Tensor, "batch 2 coef"], Float[Tensor, "batch 2 coef"]]:
        pose = frame.previous if state is None else state
        return pose, pose


class MeanPose(ConversationModel):
    """Both people take the mean pose of the training motion; zeros until `fit`."""

    model_type = "mean_pose"
    pose: Tensor

    def __init__(self, motion_dim: int) -> None:
        super().__init__()
        self.motion_dim = motion_dim
        self.register_buffer("pose", torch.zeros(motion_dim))

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        """Take the mean over all valid frames and people."""
        self.pose.copy_(motion[valid].mean(dim=0))

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        return self.pose.expand_as(motion)

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> None:
        """There is no state."""

    def decode_step(self, state: None, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], None]:
        return self.pose.expand_as(frame.previous), None


class Mirror(ConversationModel):
    """Each person repeats the partner's motion after a delay.

    Parameters
    ----------
    motion_dim : int
    delay_frames : int
        At least 1. The default is within the 0.5 to 1 s in which faces respond to faces (Dimberg, Thunberg &
        Elmehed 2000, "Unconscious facial reactions to emotional facial expressions").

    Raises
    ------
    InputError
        A delay of less than a frame.
    """

    model_type = "mirror"

    def __init__(self, motion_dim: int, delay_frames: int = 19) -> None:
        super().__init__()
        if delay_frames < 1:
            raise InputError(f"a delay of {delay_frames} frames; wanted 1 or more, since motion before t is known")
        self.motion_dim, self.delay_frames = motion_dim, delay_frames

    def to_config(self) -> dict[str, Any]:
        return {"motion_dim": self.motion_dim, "delay_frames": self.delay_frames}

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        before = motion_before(motion, initial_pose)
        delay = before[:, :, :1].expand(-1, -1, self.delay_frames - 1, -1)
        return torch.cat([delay, before], dim=2)[:, :, : motion.shape[2]].flip(1)

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> None:
        """The state is the motion of the delay, which begins with the first frame."""

    def decode_step(
        self, state: Float[Tensor, "batch 2 frame coef"] | None, frame: Frame
    ) -> tuple[Float[Tensor, "batch 2 coef"], Float[Tensor, "batch 2 frame coef"]]:
        latest = frame.previous[:, :, None]
        if state is None:
            recent = latest.expand(-1, -1, self.delay_frames, -1)
        else:
            recent = torch.cat([state, latest], dim=2)
        return recent[:, :, 0].flip(1), recent[:, :, 1:]


class NearestNeighbour(ConversationModel):
    """Real motion from the moment of the training data whose audio is most similar.

    Every `hold_frames` frames, the last second of audio of each person and the partner is compared with an index
    of training conversations, and the motion that followed the nearest moment is played. Cuts are hard.

    Parameters
    ----------
    motion_dim : int
    window_frames : int
        Length of the audio that is compared; a multiple of `SPANS`.
    hold_frames : int
        Length of the motion that is played.
    stride_frames : int
        Distance between the moments of the index.

    Raises
    ------
    InputError
        A window that is not a multiple of `SPANS`.
    """

    model_type = "nearest_neighbour"

    MELS = 20
    # Number of equal spans over which the audio features are averaged for the comparison.
    SPANS = 5

    keys: Tensor
    motions: Tensor
    start_frames: Tensor

    def __init__(
        self, motion_dim: int, window_frames: int = 25, hold_frames: int = 25, stride_frames: int = 5
    ) -> None:
        super().__init__()
        if window_frames % self.SPANS:
            raise InputError(f"a window of {window_frames} frames; wanted a multiple of {self.SPANS}")
        self.motion_dim, self.window_frames = motion_dim, window_frames
        self.hold_frames, self.stride_frames = hold_frames, stride_frames
        self.log_mel = CausalLogMel(self.MELS)
        self.register_buffer("keys", torch.zeros(0, 2 * self.SPANS * self.MELS))
        self.register_buffer("motions", torch.zeros(0, motion_dim))
        self.register_buffer("start_frames", torch.zeros(0, dtype=torch.int64))

    def to_config(self) -> dict[str, Any]:
        names = ("motion_dim", "window_frames", "hold_frames", "stride_frames")
        return {name: getattr(self, name) for name in names}

    def build_index(
        self,
        conversations: Iterable[tuple[Float[Tensor, "_ 2 _"], Float[Tensor, "_ 2 _ _"]]],
    ) -> None:
        """Replace the index by one of training conversations.

        Each is audio (batch, 2, sample) and motion (batch, 2, frame, coef), as `forward` takes them. Conversations
        shorter than `hold_frames` are left out. Memory is 4 bytes for each coefficient of each frame and 0.8 kB
        for each moment: about 0.7 GB for ten hours.
        """
        keys, motions, starts, frames_before = [self.keys[:0]], [self.motions[:0]], [self.start_frames[:0]], 0
        for audio, motion in conversations:
            require_fit(self, audio, motion)
            batch, _, frames, _ = motion.shape
            if frames < self.hold_frames:
                continue
            moments = torch.arange(0, frames - self.hold_frames + 1, self.stride_frames, device=motion.device)
            people = torch.arange(2 * batch, device=motion.device)[:, None] * frames
            moment_keys = self._keys(self._windows(audio, self.stride_frames))[:, :, : len(moments)]
            keys.append(moment_keys.flatten(0, 2))
            motions.append(motion.flatten(0, 2))
            starts.append((frames_before + people + moments).flatten())
            frames_before += 2 * batch * frames
        self.keys, self.motions, self.start_frames = torch.cat(keys), torch.cat(motions), torch.cat(starts)

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        starts = self._nearest(self._keys(self._windows(audio, self.hold_frames)))
        frames = starts[..., None] + torch.arange(self.hold_frames, device=starts.device)
        return self.motions[frames.flatten(2)][:, :, : motion.shape[2]]

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        batch = len(ahead)
        silence = self._silence().expand(batch, 2, self.window_frames, -1)
        return self.log_mel.start(2 * batch), silence, self.start_frames.new_zeros(batch, 2), 0

    def decode_step(self, state: State, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], State]:
        log_mel, window, starts, played = state
        features, log_mel = self.log_mel.encode_chunk(log_mel, frame.audio.flatten(0, 1))
        window = torch.cat([window[:, :, 1:], _bands(features).unflatten(0, (-1, 2))], dim=2)
        if played == 0:
            starts = self._nearest(self._keys(window[:, :, None]))[:, :, 0]
        return self.motions[starts + played], (log_mel, window, starts, (played + 1) % self.hold_frames)

    def _windows(
        self, audio: Float[Tensor, "batch 2 sample"], hop: int
    ) -> Float[Tensor, "batch 2 moment frame mel"]:
        """Audio features up to every `hop`th frame; before the recording there is silence."""
        bands = _bands(self.log_mel(audio.flatten(0, 1))).unflatten(0, (-1, 2))
        silence = self._silence().expand(len(audio), 2, self.window_frames - 1, -1)
        return torch.cat([silence, bands], dim=2).unfold(2, self.window_frames, hop).mT

    def _silence(self) -> Float[Tensor, "mel"]:
        return _bands(self.log_mel(self.log_mel.window.new_zeros(1, SAMPLES_PER_FRAME)))[0, 0]

    def _keys(self, windows: Float[Tensor, "batch 2 moment frame mel"]) -> Float[Tensor, "batch 2 moment key"]:
        own = windows.unflatten(3, (self.SPANS, -1)).mean(dim=4).flatten(3)
        return torch.cat([own, own.flip(1)], dim=-1)

    def _nearest(self, keys: Float[Tensor, "batch 2 moment key"]) -> Int[Tensor, "batch 2 moment"]:
        if not len(self.start_frames):
            raise InputError("NearestNeighbour has an empty index; was `build_index` called with training data?")
        # The faster formula loses digits, so that equal audio is not at distance zero.
        distances = torch.cdist(keys.flatten(0, 2), self.keys, compute_mode="donot_use_mm_for_euclid_dist")
        return self.start_frames[distances.argmin(dim=1)].unflatten(0, keys.shape[:3])

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        # The index has as many rows as when it was saved.
        for name in ("keys", "motions", "start_frames"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=self.start_frames.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _bands(features: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch mel"]:
    """Log-mel features averaged over the hops of a frame."""
    return features.unflatten(-1, (HOPS_PER_FRAME, -1)).mean(dim=-2)


@dataclass(frozen=True)
class SingleStreamConfig:
    """Sizes of a model of one audio stream."""

    audio_source: Literal["self", "partner"]
    """Whose audio a person's motion follows: one's own for a speaker model, the partner's for a listener model."""

    motion_dim: int = 56
    """Width of a motion vector."""

    d_model: int = 256
    """Width of the transformer."""

    layers: int = 4
    """Blocks of the transformer."""

    heads: int = 4
    """Attention heads of a block; the width is an even multiple of their number."""

    attention_window: int = 100
    """Frames that a block covers, its own included, 25 a second."""

    ffn_dim: int = 640
    """Width of the feed-forward layers."""

    dropout: float = 0.1
    """Probability with which activations are dropped in training."""

    lookahead_frames: int = 0
    """Frames of audio beyond the decoded frame, 40 ms each; unused with an encoder that is not causal."""

    autoregressive: bool = True
    """Whether a person's own past motion is an input: smoother, but a model may learn to copy it."""


class SingleStream(ConversationModel):
    """A causal transformer for each person that encodes one of the two audio streams.

    With `audio_source="self"`, a speaker model in the manner of FaceFormer (Fan et al. 2022, "FaceFormer:
    speech-driven 3D facial animation with transformers"): own audio and own past motion, nothing of the partner.
    With `audio_source="partner"`, a listener model in the manner of Learning to Listen (Ng et al. 2022): the
    partner's audio and past motion and one's own past motion, without own audio. Both people share the weights.

    Parameters
    ----------
    config : SingleStreamConfig
    audio_encoder : AudioEncoder or None
        None for `CausalLogMel()`. With an encoder that is not causal, the model needs the whole recording.

    Attributes
    ----------
    motion_normalizer : Normalizer
        Scale of the input and output motion; `fit` sets it before training.
    """

    model_type = "single_stream"
    config_class = SingleStreamConfig

    def __init__(self, config: SingleStreamConfig, audio_encoder: AudioEncoder | None = None) -> None:
        super().__init__()
        self.config = config
        self.motion_dim = config.motion_dim
        self.audio_encoder = audio_encoder or CausalLogMel()
        self.lookahead_frames = config.lookahead_frames if self.audio_encoder.causal else None
        self.motion_normalizer = Normalizer(config.motion_dim)
        self.audio_proj = nn.Linear(self.audio_encoder.width, config.d_model)
        histories = (config.audio_source == "partner") + config.autoregressive
        self.history_proj = (
            nn.Linear(histories * config.motion_dim, config.d_model, bias=False) if histories else None
        )
        self.transformer = CausalTransformer(
            config.d_model, config.layers, config.heads, config.attention_window, config.ffn_dim, config.dropout
        )
        self.motion_head = nn.Linear(config.d_model, config.motion_dim)

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        self.motion_normalizer.fit(motion[valid])

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        tokens = self._tokens(self._features(audio), motion_before(motion, initial_pose))
        return self._motion(self.transformer(tokens.flatten(0, 1)))

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        if self.lookahead_frames is None:
            return super().start(ahead)
        encoder = start_with_lookahead(self.audio_encoder, ahead.flatten(0, 1))
        return encoder, self.transformer.init_cache(2 * len(ahead))

    def encode_audio(
        self, state: tuple[State, tuple[KVCache, ...]], audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame feature"], tuple[State, tuple[KVCache, ...]]]:
        encoder, caches = state
        features, encoder = self.audio_encoder.encode_chunk(encoder, audio.flatten(0, 1))
        return features.unflatten(0, (-1, 2)), (encoder, caches)

    def encode_recording(
        self, audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame feature"], tuple[State, tuple[KVCache, ...]]]:
        return self._features(audio), (None, self.transformer.init_cache(2 * len(audio)))

    def decode_step(
        self, state: tuple[State, tuple[KVCache, ...]], frame: Frame
    ) -> tuple[Float[Tensor, "batch 2 coef"], tuple[State, tuple[KVCache, ...]]]:
        encoder, caches = state
        tokens = self._tokens(frame.audio, frame.previous).flatten(0, 1)
        x, caches = self.transformer.decode(caches, tokens[:, None])
        return self._motion(x[:, 0]), (encoder, caches)

    def _features(self, audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 frame feature"]:
        features = encode_with_lookahead(self.audio_encoder, audio.flatten(0, 1), self.lookahead_frames or 0)
        return features.unflatten(0, (-1, 2))

    def _tokens(
        self, features: Float[Tensor, "batch 2 *frame feature"], previous: Float[Tensor, "batch 2 *frame coef"]
    ) -> Float[Tensor, "batch 2 *frame token"]:
        of_partner = self.config.audio_source == "partner"
        tokens = self.audio_proj(features.flip(1) if of_partner else features)
        if self.history_proj is None:
            return tokens
        normalized = self.motion_normalizer(previous)
        histories = [normalized] * self.config.autoregressive + [normalized.flip(1)] * of_partner
        return tokens + self.history_proj(torch.cat(histories, dim=-1))

    def _motion(self, x: Float[Tensor, "people *frame token"]) -> Float[Tensor, "batch 2 *frame coef"]:
        return self.motion_normalizer.inverse(self.motion_head(x)).unflatten(0, (-1, 2))
