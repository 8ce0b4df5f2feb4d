"""Modules of duet: its config, a block of the dyadic audio encoder, and the motion decoder.

People are a batch of (2 n): person 0 and person 1 of each conversation are adjacent.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dualtalk.models.blocks import FeedForward, KVCache, RMSNorm, RotaryAngles, SlidingAttention


@dataclass(frozen=True)
class DuetConfig:
    """Sizes of the network."""

    motion_dim: int = 62
    """Width of a motion vector."""

    d_model: int = 192
    """Width of both streams."""

    layers: int = 4
    """Blocks of the dyadic encoder, each with self-attention, attention to the partner, and a feed-forward."""

    heads: int = 4
    """Attention heads; the width is an even multiple of their number."""

    attention_window: int = 100
    """Frames that an attention covers, its own included, 25 a second; the windows of blocks add up."""

    ffn_dim: int = 512
    """Width of the feed-forward layers."""

    dropout: float = 0.0
    """Probability with which activations are dropped in training."""

    lookahead_frames: int = 3
    """Frames of audio beyond the decoded frame, 40 ms each, at inference."""

    max_lookahead_frames: int = 5
    """Greatest look-ahead; one network serves every look-ahead from 0 to this, by an embedding of it."""

    flow_hidden_size: int = 192
    """Width of the flow that samples."""

    flow_depth: int = 2
    """Residual layers of the flow."""

    num_sampling_steps: int = 3
    """Steps from noise to a sample: evaluations of the flow (NFE)."""


class Conditioning(NamedTuple):
    """Features of each frame: input of the regression head, and condition of the flow."""

    mean: Float[Tensor, "batch 2 *frame width"]
    sample: Float[Tensor, "batch 2 *frame width"]


class AttentionCaches(NamedTuple):
    """KV caches of self-attention and of attention to the partner."""

    own: KVCache
    partner: KVCache


class DuetBlock(nn.Module):
    """Pre-norm residual block: self-attention, attention to the partner, feed-forward."""

    def __init__(self, config: DuetConfig) -> None:
        super().__init__()
        self.self_norm, self.partner_norm, self.ffn_norm = (RMSNorm(config.d_model) for _ in range(3))
        self.self_attention, self.partner_attention = _attention(config), _attention(config)
        self.ffn = FeedForward(config.d_model, config.ffn_dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "people frame width"]) -> Float[Tensor, "people frame width"]:
        x = x + self.dropout(self.self_attention(self.self_norm(x)))
        normed = self.partner_norm(x)
        x = x + self.dropout(self.partner_attention(normed, swap_partners(normed)))
        return x + self.dropout(self.ffn(self.ffn_norm(x)))

    def init_cache(self, people: int) -> AttentionCaches:
        return AttentionCaches(self.self_attention.init_cache(people), self.partner_attention.init_cache(people))

    def decode(
        self, caches: AttentionCaches, x: Float[Tensor, "people frame width"], angles: RotaryAngles
    ) -> tuple[Float[Tensor, "people frame width"], AttentionCaches]:
        attended, own = self.self_attention.decode(caches.own, self.self_norm(x), angles=angles)
        x = x + self.dropout(attended)
        normed = self.partner_norm(x)
        attended, partner = self.partner_attention.decode(caches.partner, normed, swap_partners(normed), angles)
        x = x + self.dropout(attended)
        return x + self.dropout(self.ffn(self.ffn_norm(x))), AttentionCaches(own, partner)


class MotionDecoder(nn.Module):
    """From audio features and motion history to the features of the mean, and from these to those of a sample.

    The mean attends to the partner's features and history. A sample attends to one's own history, too. The history
    is the motion before each frame and its velocity, both normalized, (people, frame, coef).
    """

    def __init__(self, config: DuetConfig) -> None:
        super().__init__()
        self.history_proj = nn.Linear(config.motion_dim, config.d_model, bias=False)
        self.own_history_proj = nn.Linear(2 * config.motion_dim, config.d_model, bias=False)
        self.history_norm, self.partner_norm, self.mean_ffn_norm, self.mean_norm = (
            RMSNorm(config.d_model) for _ in range(4)
        )
        self.self_norm, self.sample_ffn_norm, self.sample_norm = (RMSNorm(config.d_model) for _ in range(3))
        self.self_attention, self.partner_attention = _attention(config), _attention(config)
        self.mean_ffn, self.sample_ffn = (FeedForward(config.d_model, config.ffn_dim) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        features: Float[Tensor, "people frame width"],
        previous: Float[Tensor, "people frame coef"],
        velocity: Float[Tensor, "people frame coef"],
    ) -> Conditioning:
        context = self._context(features, previous)
        attended = self.partner_attention(self.partner_norm(features), swap_partners(context))
        x = self._mean_features(features, attended)
        y = self._sample_features(x, previous, velocity, self.self_attention(self.self_norm(x), context))
        return Conditioning(self.mean_norm(x), self.sample_norm(y))

    def init_cache(self, people: int) -> AttentionCaches:
        return AttentionCaches(self.self_attention.init_cache(people), self.partner_attention.init_cache(people))

    def decode(
        self,
        caches: AttentionCaches,
        features: Float[Tensor, "people frame width"],
        previous: Float[Tensor, "people frame coef"],
        velocity: Float[Tensor, "people frame coef"],
        *,
        with_sample: bool,
    ) -> tuple[Conditioning, AttentionCaches]:
        """The next frames of `forward`. Without `with_sample`, the condition of the flow is that of the mean."""
        angles = self.self_attention.angles_after(caches.own, features.shape[1])
        x, context, partner = self.decode_mean(caches.partner, features, previous, angles)
        mean = self.mean_norm(x)
        if not with_sample:
            own = self.self_attention.append_kv(caches.own, context, angles)
            return Conditioning(mean, mean), AttentionCaches(own, partner)
        attended, own = self.self_attention.decode(caches.own, self.self_norm(x), context, angles)
        sample = self.sample_norm(self._sample_features(x, previous, velocity, attended))
        return Conditioning(mean, sample), AttentionCaches(own, partner)

    def decode_mean(
        self,
        cache: KVCache,
        features: Float[Tensor, "people frame width"],
        previous: Float[Tensor, "people frame coef"],
        angles: RotaryAngles,
    ) -> tuple[Float[Tensor, "people frame width"], Float[Tensor, "people frame width"], KVCache]:
        """Features of the mean before `mean_norm`, context of self-attention, and the partner cache after."""
        context = self._context(features, previous)
        normed = self.partner_norm(features)
        attended, partner = self.partner_attention.decode(cache, normed, swap_partners(context), angles)
        return self._mean_features(features, attended), context, partner

    def _context(
        self, features: Float[Tensor, "people frame width"], previous: Float[Tensor, "people frame coef"]
    ) -> Float[Tensor, "people frame width"]:
        return self.history_norm(features + self.history_proj(previous))

    def _mean_features(
        self, features: Float[Tensor, "people frame width"], attended: Float[Tensor, "people frame width"]
    ) -> Float[Tensor, "people frame width"]:
        x = features + self.dropout(attended)
        return x + self.dropout(self.mean_ffn(self.mean_ffn_norm(x)))

    def _sample_features(
        self,
        x: Float[Tensor, "people frame width"],
        previous: Float[Tensor, "people frame coef"],
        velocity: Float[Tensor, "people frame coef"],
        attended: Float[Tensor, "people frame width"],
    ) -> Float[Tensor, "people frame width"]:
        y = x + self.dropout(attended) + self.own_history_proj(torch.cat([previous, velocity], dim=-1))
        return y + self.dropout(self.sample_ffn(self.sample_ffn_norm(y)))


def _attention(config: DuetConfig) -> SlidingAttention:
    return SlidingAttention(config.d_model, config.heads, config.attention_window)


def swap_partners(people: Float[Tensor, "people *rest"]) -> Float[Tensor, "people *rest"]:
    """The partner of each of the people."""
    return people.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
