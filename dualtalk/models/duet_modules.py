"""What duet is made of: its sizes, the block that hears, and the block that moves.

People are a batch of (2 n): person 0 and person 1 of each conversation beside each other.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dualtalk.models.blocks import Cache, FeedForward, RMSNorm, SlidingAttention, Turns


@dataclass(frozen=True)
class DuetConfig:
    """Sizes of the pair's network."""

    coefficients: int = 62
    """Width of a motion vector."""

    width: int = 192
    """Width of both streams."""

    layers: int = 4
    """Blocks that hear, each with attention to oneself, attention to the partner, and a feed-forward."""

    heads: int = 4
    """Attention heads; the width is an even multiple of it."""

    window_frames: int = 100
    """How many frames an attention sees, its own among them, 25 a second; blocks add up."""

    hidden: int = 512
    """Width of the feed-forward layers."""

    dropout: float = 0.0
    """Share of activations dropped in training."""

    look_ahead_frames: int = 3
    """Frames of audio heard past the frame that is moved, 40 ms each, unless set otherwise."""

    largest_look_ahead_frames: int = 5
    """One network serves every look-ahead from 0 to this; it is told which."""

    flow_width: int = 192
    """Width of the flow that samples."""

    flow_layers: int = 2
    """Residual layers of the flow."""

    flow_steps: int = 3
    """Steps from noise to a sample."""


class Understood(NamedTuple):
    """What is made of each frame: what the mean goes by, and what a sample goes by."""

    mean: Float[Tensor, "batch 2 *frame width"]
    sample: Float[Tensor, "batch 2 *frame width"]


class ThroughPartner(NamedTuple):
    """Frames after attention to the partner, what was seen in them, and the partner's keys and values since."""

    x: Float[Tensor, "people frame width"]
    seen: Float[Tensor, "people frame width"]
    partner: Cache


class Caches(NamedTuple):
    """Keys and values of one's own past, and of the partner's."""

    own: Cache
    partner: Cache


class DuetBlock(nn.Module):
    """Attention to oneself, attention to the partner and a feed-forward, each behind an RMS norm and added."""

    def __init__(self, config: DuetConfig) -> None:
        super().__init__()
        self.own_norm, self.partner_norm, self.feed_forward_norm = (RMSNorm(config.width) for _ in range(3))
        self.own, self.partner = _attention(config), _attention(config)
        self.feed_forward = FeedForward(config.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "people frame width"]) -> Float[Tensor, "people frame width"]:
        x = x + self.dropout(self.own(self.own_norm(x)))
        normed = self.partner_norm(x)
        x = x + self.dropout(self.partner(normed, exchanged(normed)))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))

    def start(self, people: int) -> Caches:
        return Caches(self.own.start(people), self.partner.start(people))

    def extend(
        self, caches: Caches, x: Float[Tensor, "people frame width"], by: Turns
    ) -> tuple[Float[Tensor, "people frame width"], Caches]:
        answer, own = self.own.extend(caches.own, self.own_norm(x), by=by)
        x = x + self.dropout(answer)
        normed = self.partner_norm(x)
        answer, partner = self.partner.extend(caches.partner, normed, exchanged(normed), by)
        x = x + self.dropout(answer)
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x))), Caches(own, partner)


class MovingBlock(nn.Module):
    """Attention to the partner, heard and seen, for the mean; then attention to oneself, for samples.

    What was seen is the motion before each frame and how it had changed, both standardised, (people, frame, coef).
    """

    def __init__(self, config: DuetConfig) -> None:
        super().__init__()
        self.motion_in = nn.Linear(config.coefficients, config.width, bias=False)
        self.own_motion_in = nn.Linear(2 * config.coefficients, config.width, bias=False)
        self.seen_norm, self.partner_norm, self.mean_norm, self.mean_out_norm = (
            RMSNorm(config.width) for _ in range(4)
        )
        self.own_norm, self.sample_norm, self.sample_out_norm = (RMSNorm(config.width) for _ in range(3))
        self.own, self.partner = _attention(config), _attention(config)
        self.mean, self.sample = (FeedForward(config.width, config.hidden) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        heard: Float[Tensor, "people frame width"],
        before: Float[Tensor, "people frame coef"],
        change: Float[Tensor, "people frame coef"],
    ) -> Understood:
        seen = self._seen(heard, before)
        x = self._after_partner(heard, self.partner(self.partner_norm(heard), exchanged(seen)))
        y = self._after_own(x, before, change, self.own(self.own_norm(x), seen))
        return Understood(self.mean_out_norm(x), self.sample_out_norm(y))

    def start(self, people: int) -> Caches:
        return Caches(self.own.start(people), self.partner.start(people))

    def extend(
        self,
        caches: Caches,
        heard: Float[Tensor, "people frame width"],
        before: Float[Tensor, "people frame coef"],
        change: Float[Tensor, "people frame coef"],
        *,
        sampled: bool,
    ) -> tuple[Understood, Caches]:
        """The next frames of `forward`; unless `sampled`, what a sample goes by is left out (it is the mean's)."""
        by = self.own.turns_after(caches.own, heard.shape[1])
        x, seen, partner = self.through_partner(caches.partner, heard, before, by)
        mean = self.mean_out_norm(x)
        if not sampled:
            return Understood(mean, mean), Caches(self.own.remember(caches.own, seen, by), partner)
        answer, own = self.own.extend(caches.own, self.own_norm(x), seen, by)
        sample = self.sample_out_norm(self._after_own(x, before, change, answer))
        return Understood(mean, sample), Caches(own, partner)

    def through_partner(
        self,
        cache: Cache,
        heard: Float[Tensor, "people frame width"],
        before: Float[Tensor, "people frame coef"],
        by: Turns,
    ) -> ThroughPartner:
        """The next frames as far as the mean goes, which is all but the norm before it."""
        seen = self._seen(heard, before)
        answer, partner = self.partner.extend(cache, self.partner_norm(heard), exchanged(seen), by)
        return ThroughPartner(self._after_partner(heard, answer), seen, partner)

    def _seen(
        self, heard: Float[Tensor, "people frame width"], before: Float[Tensor, "people frame coef"]
    ) -> Float[Tensor, "people frame width"]:
        return self.seen_norm(heard + self.motion_in(before))

    def _after_partner(
        self, heard: Float[Tensor, "people frame width"], answer: Float[Tensor, "people frame width"]
    ) -> Float[Tensor, "people frame width"]:
        x = heard + self.dropout(answer)
        return x + self.dropout(self.mean(self.mean_norm(x)))

    def _after_own(
        self,
        x: Float[Tensor, "people frame width"],
        before: Float[Tensor, "people frame coef"],
        change: Float[Tensor, "people frame coef"],
        answer: Float[Tensor, "people frame width"],
    ) -> Float[Tensor, "people frame width"]:
        y = x + self.dropout(answer) + self.own_motion_in(torch.cat([before, change], dim=-1))
        return y + self.dropout(self.sample(self.sample_norm(y)))


def _attention(config: DuetConfig) -> SlidingAttention:
    return SlidingAttention(config.width, config.heads, config.window_frames)


def exchanged(people: Float[Tensor, "people *rest"]) -> Float[Tensor, "people *rest"]:
    """The partner of each of the people."""
    return people.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
