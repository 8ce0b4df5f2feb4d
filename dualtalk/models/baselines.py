"""What a model of conversation has to beat, behind the same interface.

| | sees | is to show |
|---|---|---|
| `HoldStill` | nothing | what a measure gives to a face that does not move |
| `MeanPose` | nothing | how far a constant gets: it is the best one under squared error |
| `Mirror` | the partner's motion | how much of listening is imitation |
| `NearestNeighbour` | both voices | how real motion scores that was made for another moment |
| `OneVoice`, own | own voice and motion | how far one gets without the partner: a speaker, as FaceFormer is |
| `OneVoice`, partner | the partner's voice, both motions | how far without one's own voice: a listener |

A smoothed mean wins on squared error and real motion of another moment wins on distributions: read a model's
scores beside both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import HOPS_PER_FRAME, CausalLogMel, FrontEnd, heard_ahead, start_hearing
from dualtalk.models.blocks import Cache, CausalTransformer, Standardised
from dualtalk.models.interface import (
    SAMPLES_PER_FRAME,
    ConversationModel,
    Frame,
    State,
    motion_before,
    require_fit,
)


class HoldStill(ConversationModel):
    """Both people keep the pose they had before the first frame."""

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self.coefficients = coefficients

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        return motion_before(motion, first)[:, :, :1].expand_as(motion)

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> None:
        """The pose is known from the first frame on."""

    def move(
        self, state: Float[Tensor, "batch 2 coef"] | None, frame: Frame
    ) -> tuple[Float[Tensor, "batch 2 coef"], Float[Tensor, "batch 2 coef"]]:
        pose = frame.before if state is None else state
        return pose, pose


class MeanPose(ConversationModel):
    """Both people take the mean pose of the training motion; zeros until `fit`."""

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self.coefficients = coefficients
        self.register_buffer("pose", torch.zeros(coefficients))

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        """Take the mean over all valid frames and people."""
        self.pose.copy_(motion[valid].mean(dim=0))

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        return self.pose.expand_as(motion)

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> None:
        """There is nothing to remember."""

    def move(self, state: None, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], None]:
        return self.pose.expand_as(frame.before), None


class Mirror(ConversationModel):
    """Each person does what the other did a moment ago.

    Parameters
    ----------
    coefficients : int
    delay_frames : int
        How long ago; at least 1. The default is within the half to whole second in which faces answer faces
        (Dimberg, Thunberg & Elmehed 2000, "Unconscious facial reactions to emotional facial expressions").
    """

    def __init__(self, coefficients: int, delay_frames: int = 19) -> None:
        super().__init__()
        if delay_frames < 1:
            raise InputError(
                f"a delay of {delay_frames} frames; wanted 1 or more, for motion is seen when it is over"
            )
        self.coefficients, self.delay_frames = coefficients, delay_frames

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        before = motion_before(motion, first)
        waiting = before[:, :, :1].expand(-1, -1, self.delay_frames - 1, -1)
        return torch.cat([waiting, before], dim=2)[:, :, : motion.shape[2]].flip(1)

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> None:
        """There is nothing to mirror before the first frame."""

    def move(
        self, state: Float[Tensor, "batch 2 frame coef"] | None, frame: Frame
    ) -> tuple[Float[Tensor, "batch 2 coef"], Float[Tensor, "batch 2 frame coef"]]:
        latest = frame.before[:, :, None]
        seen = latest.expand(-1, -1, self.delay_frames, -1) if state is None else torch.cat([state, latest], dim=2)
        return seen[:, :, 0].flip(1), seen[:, :, 1:]


class NearestNeighbour(ConversationModel):
    """Real motion, played from where a remembered conversation sounded most like this one.

    Every `hold_frames` each person's last second is looked up, own voice and partner's, and the motion that went
    on from there is played until the next look. Cuts are hard.

    Parameters
    ----------
    coefficients : int
    window_frames : int
        How much of the past is compared; a multiple of `SPANS`.
    hold_frames : int
        How long a found motion is played.
    stride_frames : int
        Distance between the moments that are remembered.
    """

    MELS = 20
    # The past is compared as this many means over equal spans of it.
    SPANS = 5

    def __init__(
        self, coefficients: int, window_frames: int = 25, hold_frames: int = 25, stride_frames: int = 5
    ) -> None:
        super().__init__()
        if window_frames % self.SPANS:
            raise InputError(f"a window of {window_frames} frames; wanted a multiple of {self.SPANS}")
        self.coefficients, self.window_frames = coefficients, window_frames
        self.hold_frames, self.stride_frames = hold_frames, stride_frames
        self.front_end = CausalLogMel(self.MELS)
        self.register_buffer("keys", torch.zeros(0, 2 * self.SPANS * self.MELS))
        self.register_buffer("motions", torch.zeros(0, coefficients))
        self.register_buffer("begins", torch.zeros(0, dtype=torch.int64))

    def remember(
        self,
        conversations: Iterable[tuple[Float[Tensor, "_ 2 _"], Float[Tensor, "_ 2 _ _"]]],
    ) -> None:
        """Take training conversations to choose from, in place of what there was.

        Each is audio (batch, 2, sample) and motion (batch, 2, frame, coef), as `forward` takes them; one shorter
        than `hold_frames` is passed over. Memory is 4 bytes for each coefficient of each frame and 0.8 kB for each
        moment: about 0.7 GB for ten hours.
        """
        keys, motions, begins, frames_before = [self.keys[:0]], [self.motions[:0]], [self.begins[:0]], 0
        for audio, motion in conversations:
            require_fit(self, audio, motion)
            batch, _, frames, _ = motion.shape
            if frames < self.hold_frames:
                continue
            moments = torch.arange(0, frames - self.hold_frames + 1, self.stride_frames, device=motion.device)
            people = torch.arange(2 * batch, device=motion.device)[:, None] * frames
            looked_up = self._keys(self._windows(audio, self.stride_frames))[:, :, : len(moments)]
            keys.append(looked_up.flatten(0, 2))
            motions.append(motion.flatten(0, 2))
            begins.append((frames_before + people + moments).flatten())
            frames_before += 2 * batch * frames
        self.keys, self.motions, self.begins = torch.cat(keys), torch.cat(motions), torch.cat(begins)

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        begins = self._nearest(self._keys(self._windows(audio, self.hold_frames)))
        played = begins[..., None] + torch.arange(self.hold_frames, device=begins.device)
        return self.motions[played.flatten(2)][:, :, : motion.shape[2]]

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        batch = len(ahead)
        silence = self._silence().expand(batch, 2, self.window_frames, -1)
        return self.front_end.start(2 * batch), silence, self.begins.new_zeros(batch, 2), 0

    def move(self, state: State, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], State]:
        hearing, past, begins, played = state
        features, hearing = self.front_end.extend(hearing, frame.heard.flatten(0, 1))
        past = torch.cat([past[:, :, 1:], _bands(features).unflatten(0, (-1, 2))], dim=2)
        if played == 0:
            begins = self._nearest(self._keys(past[:, :, None]))[:, :, 0]
        return self.motions[begins + played], (hearing, past, begins, (played + 1) % self.hold_frames)

    def _windows(
        self, audio: Float[Tensor, "batch 2 sample"], hop: int
    ) -> Float[Tensor, "batch 2 moment frame mel"]:
        """What was heard up to every `hop`th frame, silence before the first."""
        heard = _bands(self.front_end(audio.flatten(0, 1))).unflatten(0, (-1, 2))
        silence = self._silence().expand(len(audio), 2, self.window_frames - 1, -1)
        return torch.cat([silence, heard], dim=2).unfold(2, self.window_frames, hop).mT

    def _silence(self) -> Float[Tensor, "mel"]:
        return _bands(self.front_end(self.front_end.window.new_zeros(1, SAMPLES_PER_FRAME)))[0, 0]

    def _keys(self, windows: Float[Tensor, "batch 2 moment frame mel"]) -> Float[Tensor, "batch 2 moment key"]:
        own = windows.unflatten(3, (self.SPANS, -1)).mean(dim=4).flatten(3)
        return torch.cat([own, own.flip(1)], dim=-1)

    def _nearest(self, keys: Float[Tensor, "batch 2 moment key"]) -> Int[Tensor, "batch 2 moment"]:
        if not len(self.begins):
            raise InputError(
                "NearestNeighbour has nothing to choose from; was `remember` called with training data?"
            )
        # The quicker way of squaring loses digits, and then equal sounds are not at distance zero.
        distances = torch.cdist(keys.flatten(0, 2), self.keys, compute_mode="donot_use_mm_for_euclid_dist")
        return self.begins[distances.argmin(dim=1)].unflatten(0, keys.shape[:3])

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest) -> None:
        # What is remembered has as many rows as it had when it was saved.
        for name in ("keys", "motions", "begins"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name], device=self.begins.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _bands(features: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch mel"]:
    """Log-mel features, their mean over the hops of a frame."""
    return features.unflatten(-1, (HOPS_PER_FRAME, -1)).mean(dim=-2)


@dataclass(frozen=True)
class OneVoiceConfig:
    """Sizes of a model that hears one voice."""

    hears: Literal["own", "partner"]
    """Whose voice a person's motion follows: a speaker's own, or the partner's."""

    coefficients: int = 56
    """Width of a motion vector."""

    width: int = 256
    """Width of the transformer."""

    layers: int = 4
    """Blocks of the transformer."""

    heads: int = 4
    """Attention heads of a block; the width is an even multiple of it."""

    window_frames: int = 100
    """How many frames a block sees, its own among them, 25 a second."""

    hidden: int = 640
    """Width of the feed-forward layers."""

    dropout: float = 0.1
    """Share of activations dropped in training."""

    look_ahead_frames: int = 0
    """Frames of audio heard past the frame that is moved, 40 ms each; none with a front end that is not causal."""

    sees_own_past: bool = True
    """Whether a person's own past motion is an input: smoother, but a copy of it may be learnt for hearing."""


class OneVoice(ConversationModel):
    """A causal transformer for each person alone, that hears one of the two voices.

    With `hears="own"` a speaker in the manner of FaceFormer (Fan et al. 2022, "FaceFormer: speech-driven 3D facial
    animation with transformers"): own audio at the frame and own past motion, and nothing of the partner. With
    `hears="partner"` a listener in the manner of Learning to Listen (Ng et al. 2022): the partner's audio and past
    motion beside one's own past motion, and nothing of one's own voice. Both people share the weights.

    Parameters
    ----------
    config : OneVoiceConfig
    front_end : FrontEnd or None
        What hears; None for `CausalLogMel()`. With one that is not causal, the model cannot be streamed.

    Attributes
    ----------
    scale : Standardised
        Scale of each coefficient, in and out; `fit` sets it before training.
    """

    def __init__(self, config: OneVoiceConfig, front_end: FrontEnd | None = None) -> None:
        super().__init__()
        self.config = config
        self.coefficients = config.coefficients
        self.front_end = front_end or CausalLogMel()
        self.look_ahead_frames = config.look_ahead_frames if self.front_end.causal else None
        self.scale = Standardised(config.coefficients)
        self.audio_in = nn.Linear(self.front_end.width, config.width)
        seen = (config.hears == "partner") + config.sees_own_past
        self.motion_in = nn.Linear(seen * config.coefficients, config.width, bias=False) if seen else None
        self.transformer = CausalTransformer(
            config.width, config.layers, config.heads, config.window_frames, config.hidden, config.dropout
        )
        self.motion_out = nn.Linear(config.width, config.coefficients)

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        self.scale.fit(motion[valid])

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        require_fit(self, audio, motion)
        heard = heard_ahead(self.front_end, audio.flatten(0, 1), self.look_ahead_frames or 0)
        tokens = self._tokens(heard.unflatten(0, (-1, 2)), motion_before(motion, first))
        return self._moved(self.transformer(tokens.flatten(0, 1)))

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        if self.look_ahead_frames is None:
            return super().start(ahead)
        return start_hearing(self.front_end, ahead.flatten(0, 1)), self.transformer.start(2 * len(ahead))

    def hear(
        self, state: tuple[State, tuple[Cache, ...]], audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame feature"], tuple[State, tuple[Cache, ...]]]:
        hearing, caches = state
        heard, hearing = self.front_end.extend(hearing, audio.flatten(0, 1))
        return heard.unflatten(0, (-1, 2)), (hearing, caches)

    def move(
        self, state: tuple[State, tuple[Cache, ...]], frame: Frame
    ) -> tuple[Float[Tensor, "batch 2 coef"], tuple[State, tuple[Cache, ...]]]:
        hearing, caches = state
        tokens = self._tokens(frame.heard, frame.before).flatten(0, 1)
        answer, caches = self.transformer.extend(caches, tokens[:, None])
        return self._moved(answer[:, 0]), (hearing, caches)

    def _tokens(
        self, heard: Float[Tensor, "batch 2 *frame feature"], before: Float[Tensor, "batch 2 *frame coef"]
    ) -> Float[Tensor, "batch 2 *frame token"]:
        of_partner = self.config.hears == "partner"
        tokens = self.audio_in(heard.flip(1) if of_partner else heard)
        if self.motion_in is None:
            return tokens
        scaled = self.scale(before)
        seen = [scaled] * self.config.sees_own_past + [scaled.flip(1)] * of_partner
        return tokens + self.motion_in(torch.cat(seen, dim=-1))

    def _moved(self, x: Float[Tensor, "people *frame token"]) -> Float[Tensor, "batch 2 *frame coef"]:
        return self.scale.inverse(self.motion_out(x)).unflatten(0, (-1, 2))
