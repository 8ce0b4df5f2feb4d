"""What duet adds to the laws of every model: samples, several look-aheads, and a partner that matters."""

from functools import partial

import pytest
import torch
from torch import Tensor

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.duet import COOLING, LEANING, LEAST_LEANING, STEEPEST, Duet, DuetConfig
from dualtalk.models.flow import Flow
from dualtalk.models.interface import SAMPLES_PER_FRAME, ConversationModel, Frame, cut, roll_out

COEFFICIENTS, FRAMES = 6, 40
SMALL = {"width": 16, "layers": 2, "heads": 2, "window_frames": 6, "hidden": 24, "flow_width": 16}


@pytest.fixture
def duet() -> Duet:
    torch.manual_seed(0)
    model = Duet(DuetConfig(COEFFICIENTS, **SMALL), CausalLogMel(mels=10)).eval()
    # As after training: the flow does something.
    torch.nn.init.normal_(model.flow.out.weight, std=0.3)
    model.fit(numbers(2, 2, FRAMES, COEFFICIENTS, seed=3) * 3 + 1, torch.ones(2, 2, FRAMES, dtype=torch.bool))
    return model


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def talk(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Audio, motion and noise."""
    audio = 0.1 * numbers(batch, 2, FRAMES * SAMPLES_PER_FRAME)
    return audio, numbers(batch, 2, FRAMES, COEFFICIENTS), numbers(batch, 2, FRAMES, COEFFICIENTS, seed=7)


def test_a_streamed_sample_equals_the_whole(duet):
    audio, motion, noise = talk()
    with torch.no_grad():
        streamed = roll_out(duet, audio, given=(motion[:, 0], motion[:, 1]), noise=noise)
        torch.testing.assert_close(streamed, duet(audio, motion, noise=noise), atol=1e-5, rtol=0)


@pytest.mark.parametrize("given", [(), (0,), (1,), (0, 1)])
def test_the_mean_of_many_frames_at_once_is_that_frame_by_frame(duet, given):
    """In a closed loop, and beside known motion; and what comes after goes on from the same state."""
    audio, motion, noise = talk()
    known = tuple(motion[:, person] if person in given else None for person in range(2))
    with torch.no_grad():
        state = duet.start(audio[..., : 3 * SAMPLES_PER_FRAME])
        heard, state = duet.hear(state, audio[..., 3 * SAMPLES_PER_FRAME :])
        first = heard[:, :, :30]
        ways = []
        for move_on in (duet.move_on, partial(ConversationModel.move_on, duet)):
            moved, after = move_on(state, first, motion[:, :, 0], cut(known, slice(0, 30)))
            later, _ = duet.move(after, Frame(heard[:, :, 30], moved[:, :, -1], noise[:, :, 30]))
            ways.append(torch.cat([moved, later[:, :, None]], dim=2))
    torch.testing.assert_close(*ways, atol=1e-4, rtol=0)


def test_swapping_people_and_their_noise_swaps_the_sample(duet):
    audio, _, noise = talk()
    with torch.no_grad():
        swapped = roll_out(duet, audio.flip(1), noise=noise.flip(1))
        torch.testing.assert_close(swapped.flip(1), roll_out(duet, audio, noise=noise), atol=1e-5, rtol=0)


def test_noise_decides_the_sample_and_leaves_the_mean_alone(duet):
    audio, _, noise = talk()
    with torch.no_grad():
        samples = [roll_out(duet, audio, noise=one) for one in (noise, noise.clone(), noise.flip(0))]
        assert torch.equal(samples[0], samples[1])
        assert (samples[0] - samples[2]).abs().mean() > 0.05
        assert torch.equal(roll_out(duet, audio), roll_out(duet, audio))


def test_no_sample_depends_on_later_noise(duet):
    audio, motion, noise = talk()
    other = torch.cat([noise[:, :, :20], noise[:, :, 20:] + 1], dim=2)
    with torch.no_grad():
        one, two = duet(audio, motion, noise=noise), duet(audio, motion, noise=other)
    assert torch.equal(one[:, :, :20], two[:, :, :20])
    assert not torch.equal(one[:, :, 20], two[:, :, 20])


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_one_network_serves_several_look_aheads(duet, ahead):
    duet.look_ahead_frames = ahead
    audio, motion, _ = talk(batch=1)
    audio.requires_grad_()
    duet(audio, motion)[0, 0, 5].sum().backward()
    heard = audio.grad[0].nonzero()
    assert heard[:, 0].unique().tolist() == [0, 1]
    end = (6 + ahead) * SAMPLES_PER_FRAME
    assert end - 2 <= heard[:, 1].max() < end
    with torch.no_grad():
        streamed = roll_out(duet, audio, given=(motion[:, 0], motion[:, 1]))
        torch.testing.assert_close(streamed, duet(audio, motion), atol=1e-5, rtol=0)


def test_by_gradient_a_frame_sees_motion_before_it_and_none_after(duet):
    """A sample that of both people, the mean that of the partner."""
    for sampled, people in ((True, (0, 1)), (False, (0,))):
        audio, motion, noise = talk(batch=1)
        motion.requires_grad_()
        duet(audio, motion, noise=noise if sampled else None)[0, 1, 5].sum().backward()
        seen = motion.grad[0].abs().sum(dim=-1).nonzero().tolist()
        assert seen == [[person, frame] for person in people for frame in range(5)]


def test_a_sample_leans_on_the_mean_where_voices_tell_all(duet):
    audio, motion, noise = talk(batch=1)
    # All are sampled from as little noise as what leans is.
    duet.turns_head.fill_(1.0)
    with torch.no_grad():
        free, mean = duet(audio, motion, noise=noise), duet(audio, motion)
        duet.told[1] = 1.0
        leaning = duet(audio, motion, noise=noise)
    assert torch.equal(leaning[..., 0], free[..., 0])
    # `free` leans a little already.
    wanted = torch.lerp(free[..., 1], mean[..., 1], (LEANING - LEAST_LEANING) / (1 - LEAST_LEANING))
    inside = (free[..., 1] > duet.lowest[1]) & (free[..., 1] < duet.highest[1])
    torch.testing.assert_close(leaning[..., 1][inside], wanted.clamp(duet.lowest[1], duet.highest[1])[inside])


def test_a_look_ahead_it_was_not_made_for_is_refused(duet):
    duet.look_ahead_frames = 6
    with pytest.raises(InputError, match="6 frames; this network was made for 0 to 5"):
        duet(*talk()[:2])
    with pytest.raises(InputError, match="a look-ahead of 9 frames"):
        Duet(DuetConfig(look_ahead_frames=9))


def test_memory_and_time_of_a_step_do_not_grow(duet):
    audio, motion, _ = talk(batch=1)
    state = duet.start(audio[..., : 3 * SAMPLES_PER_FRAME])
    sizes = []
    with torch.no_grad():
        for t in range(FRAMES - 3):
            sound = audio[..., (t + 3) * SAMPLES_PER_FRAME : (t + 4) * SAMPLES_PER_FRAME]
            _, state = duet.step(state, Frame(sound, motion[:, :, t]))
            sizes.append(sum(one.keys.numel() for caches in (*state.hearing, state.moving) for one in caches))
    assert sizes[10:] == [sizes[10]] * len(sizes[10:])


def test_a_flow_learns_where_to_carry_noise():
    """Targets are one of two points, by the condition; samples end there."""
    torch.manual_seed(0)
    flow = Flow(2, 1, 32, 2)
    optimiser = torch.optim.Adam(flow.parameters(), 3e-3)
    for _ in range(400):
        condition = torch.randint(2, (128, 1)).float()
        target = torch.cat([4 * condition - 2, -condition], dim=1) + 0.05 * torch.randn(128, 2)
        error = flow.error(condition, target, torch.randn(128, 2), torch.rand(128, 1)).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    condition = torch.tensor([[0.0], [1.0]]).repeat(50, 1)
    with torch.no_grad():
        sampled = flow.sample(condition, torch.randn(100, 2), flow.steps(6))
    wanted = torch.cat([4 * condition - 2, -condition], dim=1)
    assert (sampled - wanted).abs().mean() < 0.3


def test_samples_are_shown_as_they_are_until_they_are_matched(duet):
    moved = 5 * numbers(2, 2, FRAMES, COEFFICIENTS).clamp(-0.2, 0.2)
    assert torch.allclose(duet.shown(moved), moved.clamp(duet.lowest, duet.highest), atol=1e-6)


def test_matched_samples_are_distributed_as_the_training_motion(duet):
    """Order is kept; sizes become the truth's: lids that hung come up, smiles that were small grow."""
    duet.lowest.fill_(0.0)
    duet.highest.fill_(9.0)
    true = numbers(4000, COEFFICIENTS, seed=5).clamp(min=0) ** 2
    duet.scale.fit(true)
    sampled = 0.3 + 0.4 * numbers(3000, COEFFICIENTS, seed=6).exp()
    duet.match(sampled, true)
    shown = duet.shown(sampled.view(2, 2, 750, COEFFICIENTS)).view(3000, COEFFICIENTS)
    levels = torch.tensor([0.1, 0.5, 0.7, 0.9, 0.97])
    assert torch.allclose(shown.quantile(levels, dim=0), true.quantile(levels, dim=0), atol=0.06)
    for coefficient in range(COEFFICIENTS):
        ordered = shown[sampled[:, coefficient].argsort(), coefficient]
        assert (ordered.diff() >= -1e-5).all()
    steps, steepest = (part.sort(dim=0).values.diff(dim=0) for part in (shown, STEEPEST * sampled))
    assert (steps <= steepest + 1e-4).all()


def test_open_lips_are_shown_as_far_apart_as_in_the_training_motion(duet):
    """Closed ones stay as they are, and whatever else moves, too."""
    duet.lowest.fill_(-99.0)
    duet.highest.fill_(99.0)
    duet.scale.fit(numbers(4000, COEFFICIENTS))
    duet.opening[:2] = torch.tensor([3.0, 2.0])
    duet.closed_mm.fill_(2.0)
    duet.told.fill_(1.0)
    true, sampled = numbers(4000, COEFFICIENTS, seed=5), 0.5 * numbers(3000, COEFFICIENTS, seed=6)
    duet.match(true=true, sampled=sampled)
    shown = duet.shown(sampled.view(2, 2, 750, COEFFICIENTS)).view(3000, COEFFICIENTS)
    before, after, wanted = (motion @ duet.opening for motion in (sampled, shown, true))
    closed = before <= duet.closed_mm
    assert torch.allclose(after[closed], before[closed], atol=1e-3)
    assert torch.allclose(shown[:, 2:], sampled[:, 2:], atol=1e-3)
    levels = torch.tensor([0.1, 0.5, 0.9])
    assert torch.allclose(
        after[~closed].quantile(levels), wanted[wanted > duet.closed_mm].quantile(levels), atol=0.15
    )


def test_what_voices_tell_lips_and_heads_are_shown_as_they_were_sampled(duet):
    duet.match(numbers(500, COEFFICIENTS), 3 * numbers(500, COEFFICIENTS, seed=5))
    # A deviation of the third opens the lips by a millimetre.
    duet.told[:2], duet.opening[2], duet.turns_head[3] = 1.0, 1 / duet.scale.deviation[2], 1.0
    moved = numbers(1, 2, 9, COEFFICIENTS).clamp(duet.lowest, duet.highest)
    shown = duet.shown(moved)
    assert torch.allclose(shown[..., :4], moved[..., :4], atol=1e-5)
    assert duet.opens_lips.tolist() == [False, False, True] + [False] * (COEFFICIENTS - 3)
    assert not torch.allclose(shown[..., 4:], moved[..., 4:], atol=0.1)


def test_heads_and_what_voices_tell_are_sampled_from_less_noise(duet):
    audio, _, noise = talk()
    with torch.no_grad():
        less = roll_out(duet, audio, noise=(1 - COOLING) * noise)
        assert not torch.allclose(roll_out(duet, audio, noise=noise), less, atol=0.01)
        duet.turns_head.fill_(1.0)
        assert torch.allclose(roll_out(duet, audio, noise=noise), less, atol=1e-5)
        assert duet.fixed().temperature.unique().tolist() == pytest.approx([1 - COOLING])
        duet.turns_head.zero_()
        duet.told[0] = 1.0
        assert duet.fixed().temperature.tolist() == pytest.approx([1 - COOLING] + [1.0] * (COEFFICIENTS - 1))


def test_only_what_is_shown_is_matched(duet):
    """Samples go on from samples, not from what is shown of them."""
    audio, _, noise = talk()
    with torch.no_grad():
        before = roll_out(duet, audio, noise=noise, as_shown=False)
        mean = roll_out(duet, audio)
        duet.match(before.flatten(0, 2), 0.5 * before.flatten(0, 2))
        assert torch.equal(before, roll_out(duet, audio, noise=noise, as_shown=False))
        assert torch.equal(mean, roll_out(duet, audio))
        shown = roll_out(duet, audio, noise=noise)
        assert torch.equal(shown, duet.shown(before))
        assert shown.std() < 0.7 * before.std()


def test_what_only_ever_moved_together_is_shown_together(duet):
    """Two lids that close as one in the training motion do so in samples; what else moves stays as it was."""
    true = numbers(800, COEFFICIENTS, seed=5)
    true[:, 1] = true[:, 0]
    duet.scale.fit(true)
    duet.lowest.fill_(-9.0)
    duet.highest.fill_(9.0)
    sampled = numbers(800, COEFFICIENTS, seed=6)
    duet.match(sampled, true)
    duet.told.fill_(1.0)
    shown = duet.shown(sampled.view(1, 2, 400, COEFFICIENTS)).view(800, COEFFICIENTS)
    assert torch.allclose(shown[:, 0], shown[:, 1], atol=1e-4)
    assert torch.allclose(shown[:, 0], sampled[:, :2].mean(dim=1), atol=1e-4)
    assert torch.allclose(shown[:, 2:], sampled[:, 2:], atol=1e-4)
    assert round(float(duet.together.trace())) == COEFFICIENTS - 1
