"""Duet beyond the tests of every model: samples, several look-aheads, lip geometry, and calibration."""

from functools import partial

import pytest
import torch
from torch import Tensor

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.flow import Flow
from dualtalk.models.interface import ConversationModel, Frame, roll_out, slice_time
from dualtalk.models.training_interface import Geometry
from dualtalk.timebase import SAMPLES_PER_FRAME

MOTION_DIM, FRAMES = 6, 40
SMALL = {"d_model": 16, "layers": 2, "heads": 2, "attention_window": 6, "ffn_dim": 24, "flow_hidden_size": 16}


@pytest.fixture
def duet() -> Duet:
    torch.manual_seed(0)
    model = Duet(DuetConfig(MOTION_DIM, **SMALL), CausalLogMel(n_mels=10)).eval()
    # An untrained flow is zero.
    torch.nn.init.normal_(model.flow.out.weight, std=0.3)
    model.fit(normal(2, 2, FRAMES, MOTION_DIM, seed=3) * 3 + 1, torch.ones(2, 2, FRAMES, dtype=torch.bool))
    return model


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def talk(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Audio, motion and noise."""
    audio = 0.1 * normal(batch, 2, FRAMES * SAMPLES_PER_FRAME)
    return audio, normal(batch, 2, FRAMES, MOTION_DIM), normal(batch, 2, FRAMES, MOTION_DIM, seed=7)


def unlimited(model: Duet) -> Duet:
    """Without the range of the training motion."""
    model.motion_min.fill_(-torch.inf)
    model.motion_max.fill_(torch.inf)
    return model


def set_geometry(model: Duet, *, lips: dict[int, float] | None = None, head: tuple[int, ...] = ()) -> None:
    """Coefficients that open the lips, by mm for a standard deviation, and those of the head rotation."""
    basis, mask = torch.zeros(MOTION_DIM), torch.zeros(MOTION_DIM)
    for coefficient, mm in (lips or {}).items():
        basis[coefficient] = mm / model.motion_normalizer.std[coefficient]
    mask[list(head)] = 1.0
    model.set_geometry(Geometry(basis, 2.0, mask))


def test_a_streamed_sample_equals_the_whole(duet):
    audio, motion, noise = talk()
    with torch.no_grad():
        streamed = roll_out(duet, audio, forced=(motion[:, 0], motion[:, 1]), noise=noise, postprocess=False)
        torch.testing.assert_close(streamed, duet(audio, motion, noise=noise), atol=1e-5, rtol=0)


@pytest.mark.parametrize("forced_people", [(), (0,), (1,), (0, 1)])
def test_fixed_point_decoding_equals_frame_by_frame(duet, forced_people):
    """In a closed loop and with forced motion; the state after it is the same, too."""
    audio, motion, noise = talk()
    forced = tuple(motion[:, person] if person in forced_people else None for person in range(2))
    with torch.no_grad():
        state = duet.start(audio[..., : 3 * SAMPLES_PER_FRAME])
        features, state = duet.encode_audio(state, audio[..., 3 * SAMPLES_PER_FRAME :])
        results = []
        for decode_chunk in (duet.decode_chunk, partial(ConversationModel.decode_chunk, duet)):
            chunk, after = decode_chunk(
                state, features[:, :, :30], motion[:, :, 0], slice_time(forced, slice(0, 30))
            )
            later, _ = duet.decode_step(after, Frame(features[:, :, 30], chunk[:, :, -1], noise[:, :, 30]))
            results.append(torch.cat([chunk, later[:, :, None]], dim=2))
    torch.testing.assert_close(*results, atol=1e-4, rtol=0)


def test_swapping_people_and_their_noise_swaps_the_sample(duet):
    audio, _, noise = talk()
    with torch.no_grad():
        swapped = roll_out(duet, audio.flip(1), noise=noise.flip(1))
        torch.testing.assert_close(swapped.flip(1), roll_out(duet, audio, noise=noise), atol=1e-5, rtol=0)


def test_noise_determines_the_sample_and_does_not_change_the_mean(duet):
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


@pytest.mark.parametrize("lookahead", [0, 1, 5])
def test_one_network_serves_several_lookaheads(duet, lookahead):
    duet.lookahead_frames = lookahead
    audio, motion, _ = talk(batch=1)
    audio.requires_grad_()
    duet(audio, motion)[0, 0, 5].sum().backward()
    used = audio.grad[0].nonzero()
    assert used[:, 0].unique().tolist() == [0, 1]
    end = (6 + lookahead) * SAMPLES_PER_FRAME
    assert end - 2 <= used[:, 1].max() < end
    with torch.no_grad():
        streamed = roll_out(duet, audio, forced=(motion[:, 0], motion[:, 1]))
        torch.testing.assert_close(streamed, duet(audio, motion), atol=1e-5, rtol=0)


def test_the_lookahead_of_a_call_defaults_to_the_models(duet):
    audio, _, _ = talk(batch=1)
    with torch.no_grad():
        by_argument = duet.encode(audio, lookahead_frames=1)
        assert duet.lookahead_frames == 3
        duet.lookahead_frames = 1
        assert torch.equal(by_argument, duet.encode(audio))


def test_a_frame_depends_on_earlier_motion_and_not_on_later(duet):
    """Measured by gradients: a sample depends on both people's motion, the mean on the partner's."""
    for sampled, people in ((True, (0, 1)), (False, (0,))):
        audio, motion, noise = talk(batch=1)
        motion.requires_grad_()
        duet(audio, motion, noise=noise if sampled else None)[0, 1, 5].sum().backward()
        used = motion.grad[0].abs().sum(dim=-1).nonzero().tolist()
        assert used == [[person, frame] for person in people for frame in range(5)]


def test_samples_approach_the_mean_as_it_explains_more_variance(duet):
    """Only that coefficient changes, and some variance remains."""
    audio, motion, noise = talk(batch=1)
    unlimited(duet)
    with torch.no_grad():
        mean = duet(audio, motion)
        distances = []
        for explained in (0.0, 0.2, 1.0):
            duet.explained_variance[1] = explained
            sample = duet(audio, motion, noise=noise)
            distances.append((sample - mean).abs().mean(dim=(0, 1, 2)))
    assert distances[0][1] > 1.5 * distances[1][1] > 1.5 * distances[2][1] > 0
    others = [coefficient for coefficient in range(MOTION_DIM) if coefficient != 1]
    assert torch.allclose(distances[0][others], distances[2][others], rtol=0.05)


def test_samples_stay_within_the_range_of_the_training_motion(duet):
    audio, _, noise = talk()
    with torch.no_grad():
        sample = roll_out(duet, audio, noise=9 * noise, postprocess=False)
    assert (sample >= duet.motion_min).all()
    assert (sample <= duet.motion_max).all()
    assert (sample == duet.motion_max).any()


def test_a_lookahead_beyond_the_greatest_is_refused(duet):
    duet.lookahead_frames = 6
    with pytest.raises(InputError, match="6 frames; this network was trained for 0 to 5"):
        duet(*talk()[:2])
    with pytest.raises(InputError, match="a look-ahead of 9 frames"):
        Duet(DuetConfig(lookahead_frames=9))


def test_memory_of_a_step_is_constant(duet):
    audio, motion, _ = talk(batch=1)
    state = duet.start(audio[..., : 3 * SAMPLES_PER_FRAME])
    sizes = []
    with torch.no_grad():
        for t in range(FRAMES - 3):
            chunk = audio[..., (t + 3) * SAMPLES_PER_FRAME : (t + 4) * SAMPLES_PER_FRAME]
            _, state = duet.step(state, Frame(chunk, motion[:, :, t]))
            caches = (*state.encoder_caches, state.decoder_caches)
            sizes.append(sum(one.keys.numel() for pair in caches for one in pair))
    assert sizes[10:] == [sizes[10]] * len(sizes[10:])


def test_flow_matching_learns_a_conditional_distribution():
    """The condition selects one of two target points, and samples end near it."""
    torch.manual_seed(0)
    flow = Flow(2, 1, 32, 2)
    optimizer = torch.optim.Adam(flow.parameters(), 3e-3)
    for _ in range(400):
        condition = torch.randint(2, (128, 1)).float()
        target = torch.cat([4 * condition - 2, -condition], dim=1) + 0.05 * torch.randn(128, 2)
        error = flow.velocity_residual(condition, target, torch.randn(128, 2), torch.rand(128, 1))
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    condition = torch.tensor([[0.0], [1.0]]).repeat(50, 1)
    with torch.no_grad():
        sampled = flow.sample(condition, torch.randn(100, 2), flow.step_embeddings(6))
    target = torch.cat([4 * condition - 2, -condition], dim=1)
    assert (sampled - target).abs().mean() < 0.3


def test_without_calibration_samples_are_unchanged(duet):
    motion = 5 * normal(2, 2, FRAMES, MOTION_DIM).clamp(-0.2, 0.2)
    assert torch.allclose(duet.postprocess(motion), motion.clamp(duet.motion_min, duet.motion_max), atol=1e-6)


def test_calibrated_samples_have_the_distribution_of_the_data(duet):
    """The rank order of samples is preserved."""
    duet.motion_min.fill_(0.0)
    duet.motion_max.fill_(9.0)
    data = normal(4000, MOTION_DIM, seed=5).clamp(min=0) ** 2
    duet.motion_normalizer.fit(data)
    sampled = 0.3 + 0.4 * normal(3000, MOTION_DIM, seed=6).exp()
    duet.calibrate_quantiles(sampled, data)
    mapped = duet.postprocess(sampled.view(2, 2, 750, MOTION_DIM)).view(3000, MOTION_DIM)
    levels = torch.tensor([0.1, 0.5, 0.7, 0.9, 0.97])
    assert torch.allclose(mapped.quantile(levels, dim=0), data.quantile(levels, dim=0), atol=0.06)
    for coefficient in range(MOTION_DIM):
        in_order = mapped[sampled[:, coefficient].argsort(), coefficient]
        assert (in_order.diff() >= -1e-5).all()


def test_calibration_stretches_differences_by_a_bounded_factor(duet):
    """This holds even if the samples hardly vary and the data do."""
    unlimited(duet)
    data, sampled = normal(4000, MOTION_DIM, seed=5), 1e-3 * normal(3000, MOTION_DIM, seed=6)
    duet.motion_normalizer.fit(data)
    duet.calibrate_quantiles(sampled, data)
    mapped = duet.postprocess(sampled.view(2, 2, 750, MOTION_DIM)).view(3000, MOTION_DIM)
    assert (mapped.std(dim=0) < 20 * sampled.std(dim=0)).all()


def test_calibration_maps_the_aperture_of_open_lips(duet):
    """Closed lips and other coefficients stay as they are."""
    unlimited(duet)
    duet.motion_normalizer.fit(normal(4000, MOTION_DIM))
    set_geometry(duet, lips={0: 3.0, 1: 2.0})
    duet.explained_variance.fill_(1.0)
    data, sampled = normal(4000, MOTION_DIM, seed=5), 0.5 * normal(3000, MOTION_DIM, seed=6)
    duet.calibrate_quantiles(sampled, data)
    mapped = duet.postprocess(sampled.view(2, 2, 750, MOTION_DIM)).view(3000, MOTION_DIM)
    before, after, target = (motion @ duet.lip_aperture_basis_mm for motion in (sampled, mapped, data))
    closed = before <= duet.lip_closed_offset_mm
    assert torch.allclose(after[closed], before[closed], atol=1e-3)
    assert torch.allclose(mapped[:, 2:], sampled[:, 2:], atol=1e-3)
    levels = torch.tensor([0.1, 0.5, 0.9])
    opened = target[target > duet.lip_closed_offset_mm]
    assert torch.allclose(after[~closed].quantile(levels), opened.quantile(levels), atol=0.15)


def test_calibration_leaves_predictable_coefficients_lips_and_head(duet):
    duet.calibrate_quantiles(normal(500, MOTION_DIM), 3 * normal(500, MOTION_DIM, seed=5))
    set_geometry(duet, lips={2: 1.0}, head=(3,))
    duet.explained_variance[:2] = 1.0
    motion = normal(1, 2, 9, MOTION_DIM).clamp(duet.motion_min, duet.motion_max)
    mapped = duet.postprocess(motion)
    assert torch.allclose(mapped[..., :4], motion[..., :4], atol=1e-5)
    assert duet.moves_lips.tolist() == [False, False, True] + [False] * (MOTION_DIM - 3)
    assert not torch.allclose(mapped[..., 4:], motion[..., 4:], atol=0.1)


def test_head_rotation_is_sampled_at_a_lower_temperature(duet):
    """With the same noise, samples of the head lie nearer to each other; those of other coefficients do not."""
    audio, motion, noise = talk()
    unlimited(duet)

    def spread() -> Tensor:
        return (duet(audio, motion, noise=noise) - duet(audio, motion, noise=-noise)).abs().mean(dim=(0, 1, 2))

    with torch.no_grad():
        free = spread()
        set_geometry(duet, head=(0, 1, 2, 3, 4, 5))
        cooled = spread()
    assert (cooled < 0.95 * free).all()
    assert (cooled > 0.5 * free).all()


def test_the_autoregression_continues_from_uncalibrated_samples(duet):
    audio, _, noise = talk()
    with torch.no_grad():
        before = roll_out(duet, audio, noise=noise, postprocess=False)
        mean = roll_out(duet, audio)
        duet.calibrate_quantiles(before.flatten(0, 2), 0.5 * before.flatten(0, 2))
        assert torch.equal(before, roll_out(duet, audio, noise=noise, postprocess=False))
        assert torch.equal(mean, roll_out(duet, audio))
        calibrated = roll_out(duet, audio, noise=noise)
        assert torch.equal(calibrated, duet.postprocess(before))
        assert calibrated.std() < 0.7 * before.std()


def test_calibration_preserves_coupled_coefficients(duet):
    """Two eyelids are an example. Other coefficients are unchanged."""
    data = normal(800, MOTION_DIM, seed=5)
    data[:, 1] = data[:, 0]
    duet.motion_normalizer.fit(data)
    unlimited(duet)
    sampled = normal(800, MOTION_DIM, seed=6)
    duet.calibrate_quantiles(sampled, data)
    duet.explained_variance.fill_(1.0)
    mapped = duet.postprocess(sampled.view(1, 2, 400, MOTION_DIM)).view(800, MOTION_DIM)
    assert torch.allclose(mapped[:, 0], mapped[:, 1], atol=1e-4)
    assert torch.allclose(mapped[:, 0], sampled[:, :2].mean(dim=1), atol=1e-4)
    assert torch.allclose(mapped[:, 2:], sampled[:, 2:], atol=1e-4)
