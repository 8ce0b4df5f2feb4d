"""Blocks that causal models share: attention to the last frames alone, and what stands around it.

Every block has two ways in that give the same: `forward` for a whole sequence and `step` for its next frame. A
cache holds at most a window of keys and values, so a step costs the same after hours as after seconds. Caches are
replaced rather than written to: a state can be stepped from twice, and gradients pass through steps.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention, silu

from dualtalk.errors import InputError

# Su et al. 2021, "RoFormer", section 3.2.2.
ROTARY_BASE = 10_000.0


def rotary(x: Float[Tensor, "*batch frame coef"], start: int) -> Float[Tensor, "*batch frame coef"]:
    """Turn pairs of coefficients by angles that grow with position, so that products know distances alone.

    Su et al. 2021, "RoFormer: Enhanced transformer with rotary position embedding", equation 34; pairs are the
    first and second half of the coefficients. `start` is the position of the first frame. Angles are worked out
    in double precision: hours in, single precision would be wrong by hundredths of a radian.
    """
    half = x.shape[-1] // 2
    rates = ROTARY_BASE ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(start, start + x.shape[-2], dtype=torch.float64)[:, None] * rates
    cos, sin = (turn.to(x) for turn in (angles.cos(), angles.sin()))
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


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
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "batch frame coef"], context: Float[Tensor, "batch frame coef"] | None = None
    ) -> Float[Tensor, "batch frame coef"]:
        """Frames of `x` look at frames of `context`, frame for frame beside it; None for `x` itself.

        In blocks of a window's length, each against itself and the one before: memory grows with the frames, not
        with their square.
        """
        context = x if context is None else context
        frames = x.shape[1]
        block = min(self.window, frames)
        blocks = -(-frames // block)
        fill = blocks * block - frames
        queries = self._in_blocks(rotary(self._heads(self.query(x)), 0), (0, fill), block, block)
        keys = self._in_blocks(rotary(self._heads(self.key(context)), 0), (block, fill), 2 * block, block)
        values = self._in_blocks(self._heads(self.value(context)), (block, fill), 2 * block, block)
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
        empty = self.key.weight.new_zeros(batch, self.heads, 0, self.key.out_features // self.heads)
        return Cache(empty, empty, 0)

    def step(
        self, cache: Cache, x: Float[Tensor, "batch coef"], context: Float[Tensor, "batch coef"] | None = None
    ) -> tuple[Float[Tensor, "batch coef"], Cache]:
        """The next frame of `forward`, and the cache after it."""
        context = x if context is None else context
        query, key = (
            rotary(self._heads(part[:, None]), cache.position) for part in (self.query(x), self.key(context))
        )
        keys = torch.cat([cache.keys, key], dim=2)
        values = torch.cat([cache.values, self._heads(self.value(context)[:, None])], dim=2)
        answer = scaled_dot_product_attention(query, keys, values, None, self.dropout if self.training else 0.0)
        oldest = max(keys.shape[2] - (self.window - 1), 0)
        kept = Cache(keys[:, :, oldest:], values[:, :, oldest:], cache.position + 1)
        return self.out(answer.transpose(1, 2).flatten(1)), kept

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


class FeedForward(nn.Module):
    """Two gated layers, frame by frame: Shazeer 2020, "GLU variants improve transformer", SwiGLU (equation 6)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return self.down(silu(self.gate(x)) * self.up(x))


class CausalBlock(nn.Module):
    """Attention to the last frames and a feed-forward, each behind an RMS norm and added to what came in."""

    def __init__(self, width: int, heads: int, window: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = SlidingAttention(width, heads, window, dropout)
        self.feed_forward = FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch frame coef"]) -> Float[Tensor, "batch frame coef"]:
        return self._after(x, self.attention(self.attention_norm(x)))

    def start(self, batch: int) -> Cache:
        return self.attention.start(batch)

    def step(self, cache: Cache, x: Float[Tensor, "batch coef"]) -> tuple[Float[Tensor, "batch coef"], Cache]:
        answer, cache = self.attention.step(cache, self.attention_norm(x))
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
        self.norm = nn.RMSNorm(width)

    def forward(self, x: Float[Tensor, "batch frame coef"]) -> Float[Tensor, "batch frame coef"]:
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def start(self, batch: int) -> tuple[Cache, ...]:
        return tuple(block.start(batch) for block in self.blocks)

    def step(
        self, caches: tuple[Cache, ...], x: Float[Tensor, "batch coef"]
    ) -> tuple[Float[Tensor, "batch coef"], tuple[Cache, ...]]:
        after = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block.step(cache, x)
            after.append(cache)
        return self.norm(x), tuple(after)


class Standardised(nn.Module):
    """Motion coefficients on one scale: less their mean, over their standard deviation.

    Expression coefficients and radians differ by orders of magnitude. Until `fit`, it changes nothing.
    """

    # A coefficient that never moves in the data is left on the scale of the smallest that counts.
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

    def forward(self, motion: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return (motion - self.mean) / self.deviation

    def inverse(self, scaled: Float[Tensor, "*batch coef"]) -> Float[Tensor, "*batch coef"]:
        return scaled * self.deviation + self.mean
