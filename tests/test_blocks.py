"""Causal modules: no dependence on the future or beyond the window; cached decoding equals the whole sequence."""

import pytest
import torch
from torch import Tensor

from dualtalk.errors import InputError
from dualtalk.models.blocks import (
    CausalTransformer,
    FeedForward,
    Normalizer,
    SlidingAttention,
    apply_rotary,
    rotary_angles,
)

WIDTH, HEADS, WINDOW = 16, 2, 5


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)


def attention(window: int = WINDOW) -> SlidingAttention:
    return SlidingAttention(WIDTH, HEADS, window).eval()


def transformer(layers: int = 2, window: int = WINDOW) -> CausalTransformer:
    return CausalTransformer(WIDTH, layers, HEADS, window, hidden=32).eval()


def decoded(block, *sequences: Tensor, at_once: int = 1) -> Tensor:
    cache, answers = block.init_cache(len(sequences[0])), []
    for frames in zip(*(sequence.split(at_once, dim=1) for sequence in sequences), strict=True):
        answer, cache = block.decode(cache, *frames)
        answers.append(answer)
    return torch.cat(answers, dim=1)


def receptive_field(block, frame: int, frames: int) -> list[int]:
    """Frames of the input that a frame of the output depends on, by gradient."""
    x = torch.randn(1, frames, WIDTH, requires_grad=True)
    block(x)[0, frame].sum().backward()
    return x.grad[0].abs().sum(dim=-1).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("frames", [1, 4, 5, 6, 15, 23])
@pytest.mark.parametrize("at_once", [1, 3, 7])
def test_decoding_equals_the_whole_sequence(frames, at_once):
    x, context = torch.randn(2, 3, frames, WIDTH)
    with torch.no_grad():
        for block in (attention(), transformer()):
            torch.testing.assert_close(decoded(block, x, at_once=at_once), block(x), atol=1e-5, rtol=0)
        block = attention()
        together = decoded(block, x, context, at_once=at_once)
        torch.testing.assert_close(together, block(x, context), atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [1, 2, 5, 100])
def test_a_frame_attends_to_its_window_only(window):
    for frame in (0, 6, 12, 16):
        assert receptive_field(attention(window), frame, 17) == list(range(max(0, frame - window + 1), frame + 1))


def test_layers_extend_the_receptive_field_into_the_past_only():
    assert receptive_field(transformer(layers=3), 14, 20) == list(range(14 - 3 * (WINDOW - 1), 15))


def test_later_input_does_not_change_earlier_output():
    x = torch.randn(2, 21, WIDTH)
    changed = x.clone()
    changed[:, 13:] = torch.randn(2, 8, WIDTH)
    with torch.no_grad():
        block = transformer()
        before, after = block(x), block(changed)
    torch.testing.assert_close(before[:, :13], after[:, :13], atol=1e-6, rtol=0)
    assert (before[:, 13] - after[:, 13]).abs().max() > 1e-3


def test_attention_equals_dense_masked_attention():
    block, x = attention(), torch.randn(2, 18, WIDTH)
    queries, keys, values = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in block.qkv(x).chunk(3, -1))
    rotated = [apply_rotary(part, rotary_angles(x, WIDTH // HEADS // 2, 0, 18)) for part in (queries, keys)]
    scores = rotated[0] @ rotated[1].mT / (WIDTH / HEADS) ** 0.5
    distance = torch.arange(18)[:, None] - torch.arange(18)
    weights = scores.masked_fill((distance < 0) | (distance >= WINDOW), -torch.inf).softmax(dim=-1)
    mixed = weights @ values
    torch.testing.assert_close(block(x), block.out(mixed.transpose(1, 2).flatten(2)), atol=1e-5, rtol=0)


def test_rotary_embedding_equals_complex_rotation():
    x = torch.randn(7, 8)
    rates = 10_000.0 ** (-torch.arange(4) / 4)
    rotated = torch.complex(x[:, :4], x[:, 4:]) * torch.exp(1j * torch.arange(3, 10)[:, None] * rates)
    torch.testing.assert_close(
        apply_rotary(x, rotary_angles(x, 4, 3, 7)),
        torch.cat([rotated.real, rotated.imag], dim=1),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("hours", [1, 100])
def test_rotary_products_depend_only_on_distance_after_hours(hours):
    query, key = torch.randn(2, 6, WIDTH)
    late = hours * 3600 * 25
    placed = (rotary_angles(query, WIDTH // 2, place, 6) for place in (0, late))
    at_start, later = (apply_rotary(query, angles) @ apply_rotary(key, angles).mT for angles in placed)
    torch.testing.assert_close(at_start, later, atol=1e-5, rtol=0)


def test_a_cache_does_not_grow():
    block = transformer()
    caches, x = block.init_cache(1), torch.randn(1, 1, WIDTH)
    with torch.no_grad():
        for _ in range(50):
            _, caches = block.decode(caches, x)
    assert all(
        cache.keys.shape == cache.values.shape == (1, HEADS, WINDOW - 1, WIDTH // HEADS) for cache in caches
    )
    assert caches[0].keys.untyped_storage().nbytes() < 4 * 2 * WINDOW * WIDTH


def test_decoding_can_continue_from_one_cache_twice():
    block = transformer()
    with torch.no_grad():
        caches = block.init_cache(1)
        for x in torch.randn(9, 1, 1, WIDTH):
            _, caches = block.decode(caches, x)
        x = torch.randn(1, 1, WIDTH)
        once, _ = block.decode(caches, x)
        block.decode(caches, torch.randn(1, 1, WIDTH))
        again, _ = block.decode(caches, x)
    assert torch.equal(once, again)


def test_gradients_pass_through_the_cache():
    x = torch.randn(1, 3 * WINDOW, WIDTH, requires_grad=True)
    block = transformer()
    (by_steps,) = torch.autograd.grad(decoded(block, x)[0, -1].sum(), x)
    (at_once,) = torch.autograd.grad(block(x)[0, -1].sum(), x)
    torch.testing.assert_close(by_steps, at_once, atol=1e-5, rtol=0)


def test_invalid_sizes_are_refused():
    with pytest.raises(InputError, match="even multiple"):
        SlidingAttention(18, 4, 5)
    with pytest.raises(InputError, match="window 0"):
        SlidingAttention(16, 4, 0)


def test_feed_forward_is_independent_for_each_frame():
    block, x = FeedForward(WIDTH, 32), torch.randn(2, 5, WIDTH)
    torch.testing.assert_close(block(x)[:, 3], block(x[:, 3]))


def test_denormalization_inverts_normalization():
    motion = torch.randn(3, 2, 40, 6) * torch.tensor([10, 1, 0.1, 0.01, 0.5, 0]) + torch.arange(6)
    normalizer = Normalizer(6)
    assert torch.equal(normalizer(motion), motion)
    normalizer.fit(motion)
    normalized = normalizer(motion).reshape(-1, 6)
    torch.testing.assert_close(normalized.mean(dim=0), torch.zeros(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(normalized[:, :5].std(dim=0, correction=0), torch.ones(5), atol=1e-3, rtol=0)
    torch.testing.assert_close(normalizer.inverse(normalizer(motion)), motion)
