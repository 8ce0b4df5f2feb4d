"""Duet: one causal network for the pair, and the model of this project.

Each person has a stream of tokens, one a frame: what that person's voice is, and what that person's motion was a
frame before. The two streams share all weights. In every layer a stream looks at its own past and, by another
attention with weights of its own, at the partner's; both see the frame itself and a window before it. (With
one attention for both voices lips suffer: Chu et al. 2026, "UniLS".) From the last layer come the mean of both
motions, and the condition of a small flow that samples them.

Streaming keeps a window of keys and values, so a conversation of hours costs what one of seconds does.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from dualtalk.errors import InputError
from dualtalk.models.blocks import Cache, FeedForward, SlidingAttention, Standardised
from dualtalk.models.front_ends import CausalLogMel, FrontEnd, heard_ahead, start_hearing
from dualtalk.models.interface import ConversationModel, Frame, State, motion_before, require_fit

# Frequencies by which a flow is told how far it is; from half a turn to 32 turns over the whole way.
TIME_RATES = 7


@dataclass(frozen=True)
class DuetConfig:
    """Sizes of the pair's network."""

    coefficients: int = 62
    """Width of a motion vector."""

    width: int = 256
    """Width of both streams."""

    layers: int = 4
    """Blocks, each with attention to oneself, attention to the partner, and a feed-forward."""

    heads: int = 4
    """Attention heads; the width is an even multiple of it."""

    window_frames: int = 250
    """How many frames a block sees, its own among them, 25 a second."""

    hidden: int = 640
    """Width of the feed-forward layers."""

    dropout: float = 0.1
    """Share of activations dropped in training."""

    look_ahead_frames: int = 3
    """Frames of audio heard past the frame that is moved, 40 ms each, unless set otherwise."""

    largest_look_ahead_frames: int = 5
    """One network serves every look-ahead from 0 to this; it is told which."""

    flow_width: int = 384
    """Width of the flow that samples."""

    flow_layers: int = 3
    """Residual layers of the flow."""

    flow_steps: int = 6
    """Steps from noise to a sample."""


class Duet(ConversationModel):
    """Both people's motion in one causal pass.

    Parameters
    ----------
    config : DuetConfig
    front_end : FrontEnd or None
        What hears; None for `CausalLogMel()`. With one that is not causal, the model cannot be streamed.

    Attributes
    ----------
    look_ahead_frames : int or None
        May be set to anything from 0 to `config.largest_look_ahead_frames`.
    scale : Standardised
        Scale of each coefficient, in and out; to be fitted to training motion before training.
    """

    def __init__(self, config: DuetConfig, front_end: FrontEnd | None = None) -> None:
        super().__init__()
        if not 0 <= config.look_ahead_frames <= config.largest_look_ahead_frames:
            raise InputError(f"a look-ahead of {config.look_ahead_frames} frames; wanted none to the largest")
        self.config = config
        self.coefficients = config.coefficients
        self.front_end = front_end or CausalLogMel()
        self.look_ahead_frames = config.look_ahead_frames if self.front_end.causal else None
        self.scale = Standardised(config.coefficients)
        self.audio_in = nn.Linear(self.front_end.width, config.width)
        self.motion_in = nn.Linear(config.coefficients, config.width, bias=False)
        self.look_ahead_in = nn.Embedding(config.largest_look_ahead_frames + 1, config.width)
        self.blocks = nn.ModuleList(
            DuetBlock(config.width, config.heads, config.window_frames, config.hidden, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.RMSNorm(config.width)
        self.mean_out = nn.Linear(config.width, config.coefficients)
        self.flow = Flow(config.coefficients, config.width, config.flow_width, config.flow_layers)

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        return self.moved(self.understood(audio, motion, first), noise)

    def understood(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame width"]:
        """What the last layer makes of each frame: all that `moved` and the flow go by."""
        require_fit(self, audio, motion)
        heard = heard_ahead(self.front_end, audio.flatten(0, 1), self.look_ahead_frames or 0)
        x = self._tokens(heard.unflatten(0, (-1, 2)), motion_before(motion, first)).flatten(0, 1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x).unflatten(0, (-1, 2))

    def moved(
        self,
        understood: Float[Tensor, "batch 2 *frame width"],
        noise: Float[Tensor, "batch 2 *frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 *frame coef"]:
        """The mean motion, or, from noise, a sample of it."""
        if noise is None:
            return self.scale.inverse(self.mean_out(understood))
        return self.scale.inverse(self.flow.sample(understood, noise, self.config.flow_steps))

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        if self.look_ahead_frames is None:
            return super().start(ahead)
        return start_hearing(self.front_end, ahead.flatten(0, 1)), tuple(
            block.start(2 * len(ahead)) for block in self.blocks
        )

    def step(
        self, state: tuple[State, tuple["Caches", ...]], frame: Frame
    ) -> tuple[Float[Tensor, "batch 2 coef"], tuple[State, tuple["Caches", ...]]]:
        hearing, before = state
        heard, hearing = self.front_end.step(hearing, frame.audio.flatten(0, 1))
        x = self._tokens(heard.unflatten(0, (-1, 2)), frame.before).flatten(0, 1)
        after = []
        for block, caches in zip(self.blocks, before, strict=True):
            x, caches = block.step(caches, x)
            after.append(caches)
        return self.moved(self.norm(x).unflatten(0, (-1, 2)), frame.noise), (hearing, tuple(after))

    def _tokens(
        self, heard: Float[Tensor, "batch 2 *frame feature"], before: Float[Tensor, "batch 2 *frame coef"]
    ) -> Float[Tensor, "batch 2 *frame width"]:
        token = self.audio_in(heard) + self.motion_in(self.scale(before))
        if self.look_ahead_frames is None:
            return token
        return token + self.look_ahead_in.weight[self._checked_look_ahead()]

    def _checked_look_ahead(self) -> int:
        if not 0 <= self.look_ahead_frames <= self.config.largest_look_ahead_frames:
            raise InputError(
                f"a look-ahead of {self.look_ahead_frames} frames; this network was made for 0 to "
                f"{self.config.largest_look_ahead_frames}"
            )
        return self.look_ahead_frames


@dataclass(frozen=True)
class Caches:
    """What one block remembers: keys and values of one's own past, and of the partner's."""

    own: Cache
    partner: Cache


class DuetBlock(nn.Module):
    """Attention to oneself, attention to the partner and a feed-forward, each behind an RMS norm and added.

    People are a batch of (2 n): person 0 and person 1 of each conversation beside each other.
    """

    def __init__(self, width: int, heads: int, window: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.own_norm, self.partner_norm, self.feed_forward_norm = (nn.RMSNorm(width) for _ in range(3))
        self.own = SlidingAttention(width, heads, window, dropout)
        self.partner = SlidingAttention(width, heads, window, dropout)
        self.feed_forward = FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "people frame width"]) -> Float[Tensor, "people frame width"]:
        x = x + self.dropout(self.own(self.own_norm(x)))
        normed = self.partner_norm(x)
        x = x + self.dropout(self.partner(normed, exchanged(normed)))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))

    def start(self, people: int) -> Caches:
        return Caches(self.own.start(people), self.partner.start(people))

    def step(
        self, caches: Caches, x: Float[Tensor, "people width"]
    ) -> tuple[Float[Tensor, "people width"], Caches]:
        answer, own = self.own.step(caches.own, self.own_norm(x))
        x = x + self.dropout(answer)
        normed = self.partner_norm(x)
        answer, partner = self.partner.step(caches.partner, normed, exchanged(normed))
        x = x + self.dropout(answer)
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x))), Caches(own, partner)


def exchanged(people: Float[Tensor, "people *rest"]) -> Float[Tensor, "people *rest"]:
    """The partner of each of the people."""
    return people.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


class Flow(nn.Module):
    """A velocity that carries noise to motion, frame by frame: Lipman et al. 2023, "Flow matching for generative
    modeling", with straight paths (Liu et al. 2023, "Flow straight and fast").

    A frame's noise is its own; what makes a sample smooth is that each frame is told of the motion before it.
    """

    def __init__(self, coefficients: int, condition: int, width: int, layers: int) -> None:
        super().__init__()
        self.motion_in = nn.Linear(coefficients, width)
        self.condition_in = nn.Linear(condition, width)
        self.time_in = nn.Linear(2 * TIME_RATES, width)
        self.layers = nn.ModuleList(FlowLayer(width) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        self.out = nn.Linear(width, coefficients)
        # The first velocity is zero, so that training starts from the noise itself.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self,
        condition: Float[Tensor, "*batch width"],
        motion: Float[Tensor, "*batch coef"],
        time: Float[Tensor, "*batch 1"],
    ) -> Float[Tensor, "*batch coef"]:
        """The velocity at a place between noise (time 0) and scaled motion (time 1)."""
        rates = torch.pi * 2.0 ** torch.arange(TIME_RATES, device=time.device)
        turns = torch.cat([(time * rates).cos(), (time * rates).sin()], dim=-1)
        told = self.condition_in(condition) + self.time_in(turns)
        x = self.motion_in(motion)
        for layer in self.layers:
            x = layer(x, told)
        return self.out(self.norm(x))

    def error(
        self,
        condition: Float[Tensor, "*batch width"],
        target: Float[Tensor, "*batch coef"],
        noise: Float[Tensor, "*batch coef"],
        time: Float[Tensor, "*batch 1"],
    ) -> Float[Tensor, "*batch coef"]:
        """Squared error of the velocity on the straight way from `noise` to `target` (scaled motion) at `time`."""
        place = (1 - time) * noise + time * target
        return (self(condition, place, time) - (target - noise)).square()

    def sample(
        self, condition: Float[Tensor, "*batch width"], noise: Float[Tensor, "*batch coef"], steps: int
    ) -> Float[Tensor, "*batch coef"]:
        """Scaled motion from noise, in `steps` of Euler's method."""
        x = noise
        for step in range(steps):
            time = torch.full_like(x[..., :1], step / steps)
            x = x + self(condition, x, time) / steps
        return x


class FlowLayer(nn.Module):
    """Two layers with a residual; the condition comes in before the gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.told = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "*batch width"], told: Float[Tensor, "*batch width"]
    ) -> Float[Tensor, "*batch width"]:
        gate, value = (self.up(self.norm(x)) + self.told(told)).chunk(2, dim=-1)
        return x + self.down(silu(gate) * value)
