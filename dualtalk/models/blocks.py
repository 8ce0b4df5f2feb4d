"""Blocks that causal models share: attention to the last frames alone, and what stands around it.

Every block has two ways in that give the same: `forward` for a whole sequence and `extend` for its next frames,
one or more. A cache holds at most a window of keys and values, so a frame costs the same after hours as after
seconds. Caches are replaced rather than written to: one can be extended twice, and gradients pass through.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import linear, pad, scaled_dot_product_attention, silu

from dualtalk.errors import InputError

# Su et al. 2021, "RoFormer", section 3.2.2.
ROTARY_BASE = 10_000.0
# A vector shorter than this stays as good as zero.
SMALLEST_LENGTH = 1e-6


@dataclass(frozen=True)
class Turns:
    """Cosine and sine of each frame's turns; see `turns`."""

    cos: Float[Tensor, "frame half"]
    sin: Float[Tensor, "frame half"]


def turns(like: Float[Tensor, "*any"], half: int, start: int, frames: int) -> Turns:
    """By how much each of `half` pairs of coefficients is turned at each position, from `start` on.

    Su et al. 2021, "RoFormer: Enhanced transformer with rotary position embedding", equation 34. Angles are worked
    out in double precision: hours in, single precision would be wrong by hundredths of a radian.
    """
    angles = torch.arange(start, start + frames, dtype=torch.float64)[:, None] * _rates(half)
    return Turns(angles.cos().to(like), angles.sin().to(like))


@functools.cache
def _rates(half: int) -> Float[Tensor, "half"]:
    """Radians a frame, of each pair; made once, for a frame has little time."""
    with torch.inference_mode(False):
        return ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64) / half)


def rotary(x: Float[Tensor, "*batch frame coef"], by: Turns) -> Float[Tensor, "*batch frame coef"]:
    """Turn pairs of coefficients by angles that grow with position, so that products know distances alone.

    Pairs are the first and second half of the coefficients.
    """
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * by.cos - right * by.sin, left * by.sin + right * by.cos], dim=-1)


@dataclass(frozen=True)
class Cache:
    """Keys and values of the last frames that the next one may attend to.

    Attributes
    ----------
    keys, values : (batch, head, frame, coef)
        At most `window - 1` frames; keys are turned to their positions already.
    position : int
        How many frames there have been: the position of the next.
    """

    keys: Float[Tensor, "batch head frame coef"]
    values: Float[Tensor, "batch head frame coef"]
    position: int


class SlidingAttention(nn.Module):
    """Attention of each frame to itself and the `window - 1` frames before it.

    Parameters
    ----------
    width : int
        Coefficients in and out.
    heads : int
        `width` must be an even multiple of it.
    window : int
        Frames that one frame sees, its own among them; at least 1.
    dropout : float
        On the weights of the attention, in training.

    Raises
    ------
    InputError
        Sizes that do not fit each other.
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
        """Frames of `x` look at frames of `context`, frame for frame beside it; None for `x` itself.

        In blocks of a window's length, each against itself and the one before: memory grows with the frames, not
        with their square.
        """
        frames = x.shape[1]
        block = min(self.window, frames)
        blocks = -(-frames // block)
        fill = blocks * block - frames
        queries, keys, values = self._projected(x, context, turns(x, self._half, 0, frames))
        queries = self._in_blocks(queries, (0, fill), block, block)
        keys, values = (self._in_blocks(part, (block, fill), 2 * block, block) for part in (keys, values))
        visible = self._visible(blocks, block, x.device).expand(len(x), -1, -1, -1, -1).flatten(0, 1)
        # Four axes, with blocks as part of the batch: torch's quick kernels take no more.
        answers = scaled_dot_product_attention(
            *(part.flatten(0, 1) for part in (queries, keys, values)),
            visible,
            self.dropout if self.training else 0.0,
        )
        in_order = answers.transpose(1, 2).reshape(len(x), blocks * block, -1)
        return self.out(in_order[:, :frames])

    def start(self, batch: int) -> Cache:
        """The cache before the first frame."""
        empty = self.out.weight.new_zeros(batch, self.heads, 0, 2 * self._half)
        return Cache(empty, empty, 0)

    def turns_after(self, cache: Cache, frames: int) -> Turns:
        """The turns of the next frames: the same for all blocks of one shape that go on beside each other."""
        return turns(cache.keys, self._half, cache.position, frames)

    def extend(
        self,
        cache: Cache,
        x: Float[Tensor, "batch frame coef"],
        context: Float[Tensor, "batch frame coef"] | None = None,
        by: Turns | None = None,
    ) -> tuple[Float[Tensor, "batch frame coef"], Cache]:
        """The next frames of `forward`, and the cache after them. `by` is `turns_after`, where it is known."""
        frames = x.shape[1]
        queries, new_keys, new_values = self._projected(x, context, by or self.turns_after(cache, frames))
        keys, values, kept = self._kept(cache, new_keys, new_values)
        answer = scaled_dot_product_attention(
            queries,
            keys,
            values,
            None if frames == 1 else self._visible_after(keys.shape[2] - frames, frames, x.device),
            self.dropout if self.training else 0.0,
        )
        return self.out(answer.transpose(1, 2).flatten(2)), kept

    def remember(self, cache: Cache, context: Float[Tensor, "batch frame coef"], by: Turns | None = None) -> Cache:
        """The cache after the next frames of `context`, where nobody asks what is seen from them."""
        frames = context.shape[1]
        new_keys, new_values = self._keys_and_values(context, by or self.turns_after(cache, frames))
        return self._kept(cache, new_keys, new_values)[2]

    @property
    def _half(self) -> int:
        return self.out.in_features // (2 * self.heads)

    def _projected(
        self, x: Float[Tensor, "batch frame coef"], context: Float[Tensor, "batch frame coef"] | None, by: Turns
    ) -> tuple[Float[Tensor, "batch head frame part"], ...]:
        """Queries and keys, turned to their positions, and values."""
        if context is None:
            queries, keys, values = map(self._heads, self.qkv(x).chunk(3, dim=-1))
            return rotary(queries, by), rotary(keys, by), values
        queries = self._heads(linear(x, self.qkv.weight[: x.shape[-1]]))
        return rotary(queries, by), *self._keys_and_values(context, by)

    def _keys_and_values(
        self, context: Float[Tensor, "batch frame coef"], by: Turns
    ) -> tuple[Float[Tensor, "batch head frame part"], Float[Tensor, "batch head frame part"]]:
        keys, values = map(self._heads, linear(context, self.qkv.weight[context.shape[-1] :]).chunk(2, dim=-1))
        return rotary(keys, by), values

    def _kept(
        self,
        cache: Cache,
        new_keys: Float[Tensor, "batch head frame part"],
        new_values: Float[Tensor, "batch head frame part"],
    ) -> tuple[Float[Tensor, "batch head frame2 part"], Float[Tensor, "batch head frame2 part"], Cache]:
        """All keys and values there are now, and the cache after them."""
        keys, values = torch.cat([cache.keys, new_keys], dim=2), torch.cat([cache.values, new_values], dim=2)
        oldest = max(keys.shape[2] - (self.window - 1), 0)
        kept = Cache(keys[:, :, oldest:], values[:, :, oldest:], cache.position + new_keys.shape[2])
        return keys, values, kept

    def _heads(self, x: Float[Tensor, "batch frame coef"]) -> Float[Tensor, "batch head frame part"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _in_blocks(
        self, x: Float[Tensor, "batch head frame coef"], padding: tuple[int, int], size: int, hop: int
    ) -> Float[Tensor, "batch block head size coef"]:
        return pad(x, (0, 0, *padding)).unfold(2, size, hop).permute(0, 2, 1, 4, 3)

    def _visible(self, blocks: int, block: int, device: torch.device) -> Bool[Tensor, "block 1 query key"]:
        """Which keys of a block and the one before it each query may see; before the first there is nothing."""
        query = torch.arange(block, 2 * block, device=device)[:, None]
        key = torch.arange(2 * block, device=device)
        near = (key <= query) & (key > query - self.window)
        exists = (torch.arange(blocks, device=device)[:, None, None] > 0) | (key >= block)
        return (near & exists)[:, None]

    def _visible_after(self, known: int, frames: int, device: torch.device) -> Bool[Tensor, "query key"]:
        """Which of `known` frames and of the new ones each new one may see."""
        query = torch.arange(known, known + frames, device=device)[:, None]
        key = torch.arange(known + frames, device=device)
        return (key <= query) & (key > query - self.window)


class RMSNorm(nn.Module):
    """Each vector over its root mean square, times a weight: Zhang & Sennrich 2019, "Root mean square layer
    normalization". As torch's, which takes three times as many calls; for one frame, calls are what takes time.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(SMALLEST_LENGTH)
        return x / length * (self.weight * len(self.weight) ** 0.5)


class FeedForward(nn.Module):
    """Two gated layers, frame by frame: Shazeer 2020, "GLU variants improve transformer", SwiGLU (equation 6)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        # Gate and value in one product.
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(silu(gate) * value)


class CausalBlock(nn.Module):
    """Attention to the last frames and a feed-forward, each behind an RMS norm and added to what came in."""

    def __init__(self, width: int, heads: int, window: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = RMSNorm(width), RMSNorm(width)
        self.attention = SlidingAttention(width, heads, window, dropout)
        self.feed_forward = FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch frame coef"]) -> Float[Tensor, "batch frame coef"]:
        return self._after(x, self.attention(self.attention_norm(x)))

    def start(self, batch: int) -> Cache:
        return self.attention.start(batch)

    def extend(
        self, cache: Cache, x: Float[Tensor, "batch frame coef"], by: Turns
    ) -> tuple[Float[Tensor, "batch frame coef"], Cache]:
        answer, cache = self.attention.extend(cache, self.attention_norm(x), by=by)
        return self._after(x, answer), cache

    def _after(
        self, x: Float[Tensor, "*batch coef"], attended: Float[Tensor, "*batch coef"]
    ) -> Float[Tensor, "*batch coef"]:
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class CausalTransformer(nn.Module):
    """Causal blocks one after the other, and a last RMS norm.

    A frame of the output sees `layers * (window - 1)` frames before its own.
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

    def start(self, batch: int) -> tuple[Cache, ...]:
        return tuple(block.start(batch) for block in self.blocks)

    def extend(
        self, caches: tuple[Cache, ...], x: Float[Tensor, "batch frame coef"]
    ) -> tuple[Float[Tensor, "batch frame coef"], tuple[Cache, ...]]:
        by = self.blocks[0].attention.turns_after(caches[0], x.shape[1])
        after = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block.extend(cache, x, by)
            after.append(cache)
        return self.norm(x), tuple(after)


class Standardised(nn.Module):
    """Motion coefficients on one scale: less their mean, over their standard deviation.

    Expression coefficients and radians differ by orders of magnitude. A coefficient that never moves in the data
    is 0 on that scale, and its mean whatever comes back: errors in it would add up unseen. Until `fit`, nothing
    changes.
    """

    # What moves less than this never moves: a thousandth of an expression's unit, or of a radian.
    SMALLEST_DEVIATION = 1e-3

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(coefficients))
        self.register_buffer("deviation", torch.ones(coefficients))

    def fit(self, motion: Float[Tensor, "*batch coef"]) -> None:
        """Take mean and standard deviation of training motion, over all its frames and people."""
        frames = motion.reshape(-1, motion.shape[-1])
        self.mean.copy_(frames.mean(dim=0))
        self.deviation.copy_(frames.std(dim=0, correction=0).clamp(min=self.SMALLEST_DEVIATION))

    @property
    def moves(self) -> Bool[Tensor, "coef"]:
        """Which coefficients ever move."""
        return self.deviation > self.SMALLEST_DEVIATION

    def forward(self, motion: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return self.onto()(motion)

    def inverse(self, scaled: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return self.back()(scaled)

    def onto(self) -> "Line":
        """What `forward` does, for many frames."""
        slope = self.moves / self.deviation
        return Line(slope, -self.mean * slope)

    def back(self) -> "Line":
        """What `inverse` does, for many frames."""
        return Line(self.moves * self.deviation, self.mean)


class Line(NamedTuple):
    """A straight line for each coefficient."""

    slope: Float[Tensor, "coef"]
    offset: Float[Tensor, "coef"]

    def __call__(self, x: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return torch.addcmul(self.offset, x, self.slope)
