"""Modules that causal models share: sliding-window attention, its KV cache, and normalization of motion.

Every attention block has two equivalent methods: `forward` for a whole sequence and `decode` for its next frames,
one or more, with a KV cache. A cache holds at most a window of keys and values, so a frame costs the same after
hours as after seconds. Caches are replaced, not written to: decoding can continue from one cache twice, and
gradients pass through.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad, scaled_dot_product_attention, silu

from dualtalk.errors import InputError

# Su et al. 2021, "RoFormer", section 3.2.2.
ROTARY_BASE = 10_000.0
# Lower bound of a vector's length in RMSNorm.
MIN_NORM = 1e-6


@dataclass(frozen=True)
class RotaryAngles:
    """Cosine and sine of each frame's rotary angles; see `rotary_angles`."""

    cos: Float[Tensor, "frame half"]
    sin: Float[Tensor, "frame half"]


def rotary_angles(like: Float[Tensor, "*any"], half: int, start: int, frames: int) -> RotaryAngles:
    """Rotary angles of `half` pairs of coefficients at positions from `start` on.

    Su et al. 2021, "RoFormer: Enhanced transformer with rotary position embedding", equation 34. Angles are
    computed in double precision: after hours, single precision is wrong by hundredths of a radian.
    """
    angles = torch.arange(start, start + frames, dtype=torch.float64)[:, None] * _rates(half)
    return RotaryAngles(angles.cos().to(like), angles.sin().to(like))


@functools.cache
def _rates(half: int) -> Float[Tensor, "half"]:
    """Radians a frame for each pair; cached, since single frames are bound by the number of calls."""
    with torch.inference_mode(False):
        return ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64) / half)


def apply_rotary(
    x: Float[Tensor, "*batch frame coef"], angles: RotaryAngles
) -> Float[Tensor, "*batch frame coef"]:
    """Rotate pairs of coefficients by angles that grow with position: dot products depend on distance alone.

    The pairs are the first and the second half of the coefficients.
    """
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * angles.cos - right * angles.sin, left * angles.sin + right * angles.cos], dim=-1)


@dataclass(frozen=True)
class KVCache:
    """Keys and values of the last frames that the next one may attend to.

    Attributes
    ----------
    keys, values : (batch, head, frame, coef)
        At most `window - 1` frames; rotary angles are already applied to keys.
    position : int
        Position of the next frame.
    """

    keys: Float[Tensor, "batch head frame coef"]
    values: Float[Tensor, "batch head frame coef"]
    position: int


class SlidingAttention(nn.Module):
    """Attention of each frame to itself and the `window - 1` frames before it.

    Parameters
    ----------
    width : int
        Coefficients of the input and the output.
    heads : int
        `width` must be an even multiple of it.
    window : int
        Frames that one frame attends to, its own included; at least 1.
    dropout : float
        Of the attention weights, in training.

    Raises
    ------
    InputError
        The sizes do not fit each other.
    """

    def __init__(self, width: int, heads: int, window: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % (2 * heads) or window < 1:
            raise InputError(
                f"width {width}, {heads} heads, window {window}; wanted a width that is an even multiple of the "
                "heads, and a window of 1 or more"
            )
        self.heads, self.window, self.dropout = heads, window, dropout
        # Queries, keys and values in one product.
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "batch frame coef"], context: Float[Tensor, "batch frame coef"] | None = None
    ) -> Float[Tensor, "batch frame coef"]:
        """Frames of `x` attend to frames of `context`, which is aligned with it; None for self-attention.

        Blocks of a window's length attend to themselves and to the block before, so memory grows with the number
        of frames and not with its square.
        """
        frames = x.shape[1]
        block = min(self.window, frames)
        blocks = -(-frames // block)
        fill = blocks * block - frames
        queries, keys, values = self._projected(x, context, rotary_angles(x, self._half, 0, frames))
        queries = self._in_blocks(queries, (0, fill), block, block)
        keys, values = (self._in_blocks(part, (block, fill), 2 * block, block) for part in (keys, values))
        visible = self._visible(blocks, block, x.device).expand(len(x), -1, -1, -1, -1).flatten(0, 1)
        # Four axes, with blocks as part of the batch: torch's fused kernels take no more.
        queries, keys, values = (part.flatten(0, 1) for part in (queries, keys, values))
        answers = scaled_dot_product_attention(
            queries, keys, values, visible, self.dropout if self.training else 0.0
        )
        in_order = answers.transpose(1, 2).reshape(len(x), blocks * block, -1)
        return self.out(in_order[:, :frames])

    def init_cache(self, batch: int) -> KVCache:
        """The cache before the first frame."""
        empty = self.out.weight.new_zeros(batch, self.heads, 0, 2 * self._half)
        return KVCache(empty, empty, 0)

    def angles_after(self, cache: KVCache, frames: int) -> RotaryAngles:
        """Rotary angles of the next frames, which blocks of one shape at one position can share."""
        return rotary_angles(cache.keys, self._half, cache.position, frames)

    def decode(
        self,
        cache: KVCache,
        x: Float[Tensor, "batch frame coef"],
        context: Float[Tensor, "batch frame coef"] | None = None,
        angles: RotaryAngles | None = None,
    ) -> tuple[Float[Tensor, "batch frame coef"], KVCache]:
        """The next frames of `forward`, and the cache after them; `angles` from `angles_after`, to share them."""
        frames = x.shape[1]
        queries, new_keys, new_values = self._projected(x, context, angles or self.angles_after(cache, frames))
        keys, values, cache = self._append(cache, new_keys, new_values)
        answer = scaled_dot_product_attention(
            queries,
            keys,
            values,
            None if frames == 1 else self._visible_after(keys.shape[2] - frames, frames, x.device),
            self.dropout if self.training else 0.0,
        )
        return self.out(answer.transpose(1, 2).flatten(2)), cache

    def append_kv(
        self, cache: KVCache, context: Float[Tensor, "batch frame coef"], angles: RotaryAngles | None = None
    ) -> KVCache:
        """The cache after the next frames of `context`, without their output."""
        frames = context.shape[1]
        new_keys, new_values = self._keys_and_values(context, angles or self.angles_after(cache, frames))
        return self._append(cache, new_keys, new_values)[2]

    @property
    def _half(self) -> int:
        return self.out.in_features // (2 * self.heads)

    def _projected(
        self,
        x: Float[Tensor, "batch frame coef"],
        context: Float[Tensor, "batch frame coef"] | None,
        angles: RotaryAngles,
    ) -> tuple[Float[Tensor, "batch head frame part"], ...]:
        """Queries and keys with rotary angles applied, and values."""
        if context is None:
            queries, keys, values = map(self._heads, self.qkv(x).chunk(3, dim=-1))
            return apply_rotary(queries, angles), apply_rotary(keys, angles), values
        queries = self._heads(linear(x, self.qkv.weight[: x.shape[-1]]))
        return apply_rotary(queries, angles), *self._keys_and_values(context, angles)

    def _keys_and_values(
        self, context: Float[Tensor, "batch frame coef"], angles: RotaryAngles
    ) -> tuple[Float[Tensor, "batch head frame part"], Float[Tensor, "batch head frame part"]]:
        keys, values = map(self._heads, linear(context, self.qkv.weight[context.shape[-1] :]).chunk(2, dim=-1))
        return apply_rotary(keys, angles), values

    def _append(
        self,
        cache: KVCache,
        new_keys: Float[Tensor, "batch head frame part"],
        new_values: Float[Tensor, "batch head frame part"],
    ) -> tuple[Float[Tensor, "batch head frame2 part"], Float[Tensor, "batch head frame2 part"], KVCache]:
        """Keys and values of the cache and the new frames, and the cache after them."""
        keys, values = torch.cat([cache.keys, new_keys], dim=2), torch.cat([cache.values, new_values], dim=2)
        oldest = max(keys.shape[2] - (self.window - 1), 0)
        kept = KVCache(keys[:, :, oldest:], values[:, :, oldest:], cache.position + new_keys.shape[2])
        return keys, values, kept

    def _heads(self, x: Float[Tensor, "batch frame coef"]) -> Float[Tensor, "batch head frame part"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _in_blocks(
        self, x: Float[Tensor, "batch head frame coef"], padding: tuple[int, int], size: int, hop: int
    ) -> Float[Tensor, "batch block head size coef"]:
        return pad(x, (0, 0, *padding)).unfold(2, size, hop).permute(0, 2, 1, 4, 3)

    def _visible(self, blocks: int, block: int, device: torch.device) -> Bool[Tensor, "block 1 query key"]:
        """Mask of the keys, of a block and the block before it, that each query attends to."""
        query = torch.arange(block, 2 * block, device=device)[:, None]
        key = torch.arange(2 * block, device=device)
        near = (key <= query) & (key > query - self.window)
        exists = (torch.arange(blocks, device=device)[:, None, None] > 0) | (key >= block)
        return (near & exists)[:, None]

    def _visible_after(self, cached: int, frames: int, device: torch.device) -> Bool[Tensor, "query key"]:
        """Mask of the `cached` and the new frames that each new frame attends to."""
        query = torch.arange(cached, cached + frames, device=device)[:, None]
        key = torch.arange(cached + frames, device=device)
        return (key <= query) & (key > query - self.window)


class RMSNorm(nn.Module):
    """Each vector divided by its root mean square, times a weight: Zhang & Sennrich 2019, "Root mean square layer
    normalization". Equal to `torch.nn.RMSNorm` up to rounding, and faster on a single frame: 20 and 30 µs for 2
    vectors of 192 on one thread of an EPYC, torch 2.13 (equal for 500 vectors).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(MIN_NORM)
        return x / length * (self.weight * len(self.weight) ** 0.5)


class FeedForward(nn.Module):
    """SwiGLU, applied to each frame: Shazeer 2020, "GLU variants improve transformer", equation 6."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        # Gate and value in one product.
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(silu(gate) * value)


class CausalBlock(nn.Module):
    """Pre-norm residual block: sliding-window attention, then a feed-forward."""

    def __init__(self, width: int, heads: int, window: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = RMSNorm(width), RMSNorm(width)
        self.attention = SlidingAttention(width, heads, window, dropout)
        self.feed_forward = FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch frame coef"]) -> Float[Tensor, "batch frame coef"]:
        return self._after(x, self.attention(self.attention_norm(x)))

    def init_cache(self, batch: int) -> KVCache:
        return self.attention.init_cache(batch)

    def decode(
        self, cache: KVCache, x: Float[Tensor, "batch frame coef"], angles: RotaryAngles
    ) -> tuple[Float[Tensor, "batch frame coef"], KVCache]:
        answer, cache = self.attention.decode(cache, self.attention_norm(x), angles=angles)
        return self._after(x, answer), cache

    def _after(
        self, x: Float[Tensor, "*batch coef"], attended: Float[Tensor, "*batch coef"]
    ) -> Float[Tensor, "*batch coef"]:
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class CausalTransformer(nn.Module):
    """Causal blocks and a final RMS norm.

    The receptive field of a frame is `layers * (window - 1)` frames before its own.
    """

    def __init__(
        self, width: int, layers: int, heads: int, window: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CausalBlock(width, heads, window, hidden, dropout) for _ in range(layers))
        self.norm = RMSNorm(width)

    def forward(self, x: Float[Tensor, "batch frame coef"]) -> Float[Tensor, "batch frame coef"]:
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    @property
    def _causal_blocks(self) -> Iterable[CausalBlock]:
        return cast(Iterable[CausalBlock], self.blocks)

    def init_cache(self, batch: int) -> tuple[KVCache, ...]:
        return tuple(block.init_cache(batch) for block in self._causal_blocks)

    def decode(
        self, caches: tuple[KVCache, ...], x: Float[Tensor, "batch frame coef"]
    ) -> tuple[Float[Tensor, "batch frame coef"], tuple[KVCache, ...]]:
        angles = next(iter(self._causal_blocks)).attention.angles_after(caches[0], x.shape[1])
        after = []
        for block, cache in zip(self._causal_blocks, caches, strict=True):
            x, cache = block.decode(cache, x, angles)
            after.append(cache)
        return self.norm(x), tuple(after)


class Normalizer(nn.Module):
    """Motion coefficients with zero mean and unit variance over the training motion.

    Expression coefficients and radians differ by orders of magnitude. A coefficient that is constant in the data
    is 0 when normalized and its mean when denormalized, so that errors in it cannot accumulate. Until `fit`, the
    normalization is the identity.
    """

    # A coefficient with a smaller standard deviation is constant: a thousandth of an expression unit, or of a
    # radian.
    MIN_STD = 1e-3
    mean: Tensor
    std: Tensor

    def __init__(self, motion_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(motion_dim))
        self.register_buffer("std", torch.ones(motion_dim))

    def fit(self, motion: Float[Tensor, "*batch coef"]) -> None:
        """Estimate mean and standard deviation over all frames and people of the training motion."""
        frames = motion.reshape(-1, motion.shape[-1])
        self.mean.copy_(frames.mean(dim=0))
        self.std.copy_(frames.std(dim=0, correction=0).clamp(min=self.MIN_STD))

    @property
    def active(self) -> Bool[Tensor, "coef"]:
        """Coefficients that vary in the training motion."""
        return self.std > self.MIN_STD

    def forward(self, motion: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return self.normalize_params()(motion)

    def inverse(self, normalized: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return self.denormalize_params()(normalized)

    def normalize_params(self) -> "Affine":
        """`forward` as an affine map, computed once for many frames."""
        slope = self.active / self.std
        return Affine(slope, -self.mean * slope)

    def denormalize_params(self) -> "Affine":
        """`inverse` as an affine map, computed once for many frames."""
        return Affine(self.active * self.std, self.mean)


class Affine(NamedTuple):
    """An affine map of each coefficient."""

    slope: Float[Tensor, "coef"]
    offset: Float[Tensor, "coef"]

    def __call__(self, x: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return torch.addcmul(self.offset, x, self.slope)
