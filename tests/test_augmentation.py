"""Laws of audio augmentation: what each transform changes, and what it must not change."""

import pytest
import torch

from dualtalk.timebase import AUDIO_RATE_HZ
from dualtalk.training import augmentation
from dualtalk.training.augmentation import AudioAugmentation, Compressor, NoiseFloor, Reverberation, SoftClipper

SAMPLES = AUDIO_RATE_HZ


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def bursts(*levels: float) -> torch.Tensor:
    """Two conversations of two voices: noise of one level after the other, a quarter of a second each."""
    loudness = torch.tensor(levels).repeat_interleave(SAMPLES // 4)
    return loudness * torch.randn(2, 2, len(loudness))


def level_db(audio: torch.Tensor) -> torch.Tensor:
    return 10 * audio.square().mean(dim=-1).log10()


def changed(transform: torch.nn.Module, audio: torch.Tensor) -> torch.Tensor:
    return transform(audio, sample_rate=AUDIO_RATE_HZ).samples


def test_reverberation_follows_its_sound_and_decays():
    audio = torch.zeros(2, 2, SAMPLES)
    audio[..., 4000] = 1.0
    reverberant = changed(Reverberation(p=1.0), audio)
    assert (reverberant[..., :4000].abs() < 1e-5).all()
    assert torch.allclose(reverberant[..., 4000], torch.ones(2, 2), atol=1e-4)
    early, late = (level_db(reverberant[..., first : first + 800]) for first in (4001, 12_001))
    assert (early > late + 20).all()
    assert (level_db(reverberant[..., 4001:]) < level_db(audio) + 1).all()


def test_compression_reduces_level_differences_and_keeps_the_rms():
    audio = bursts(0.2, 0.02, 0.2, 0.02)
    compressed = changed(Compressor(p=1.0), audio)
    torch.testing.assert_close(level_db(compressed), level_db(audio))
    middle = slice(SAMPLES // 8, SAMPLES // 8 + 800)
    loud, soft = (level_db(compressed.unflatten(-1, (4, -1))[:, :, one, middle]) for one in (0, 1))
    assert ((loud - soft) < 20).all()
    assert ((loud - soft) > 7).all()


def test_clipping_reduces_peaks_and_keeps_the_rms():
    audio = bursts(0.1, 0.1)
    clipped = changed(SoftClipper(p=1.0), audio)
    torch.testing.assert_close(level_db(clipped), level_db(audio))
    assert (clipped.abs().amax(dim=-1) <= audio.abs().amax(dim=-1) + 1e-6).all()
    assert ((clipped - audio).abs().amax(dim=-1) > 1e-3).any()


@pytest.mark.parametrize("transform", [Reverberation, NoiseFloor, Compressor, SoftClipper])
def test_a_transform_that_is_not_applied_changes_nothing(transform):
    audio = bursts(0.1, 0.01)
    assert torch.equal(changed(transform(p=0.0), audio), audio)


def test_audio_is_not_shifted_in_time():
    audio = bursts(0.0, 0.1, 0.0, 0.1)
    spectra = torch.fft.rfft(AudioAugmentation()(audio)) * torch.fft.rfft(audio).conj()
    lags = torch.fft.irfft(spectra / spectra.abs().clamp(min=1e-9)).argmax(dim=-1)
    assert (torch.minimum(lags, audio.shape[-1] - lags) <= 8).all()


def test_each_voice_draws_its_own_parameters_from_the_seed():
    augment, audio = AudioAugmentation(), bursts(0.1, 0.1)[:1, :1].expand(2, 2, -1)
    torch.manual_seed(1)
    augmented = augment(audio)
    torch.manual_seed(1)
    assert torch.equal(augmented, augment(audio))
    differences = (augmented.flatten(0, 1)[:, None] - augmented.flatten(0, 1)).abs().mean(dim=-1)
    assert (differences + torch.eye(4) > 1e-3).all()


def test_silence_becomes_noise_within_its_range():
    low_db, high_db = augmentation.NOISE_DB
    noise = changed(NoiseFloor(p=1.0), torch.zeros(2, 2, SAMPLES))
    assert ((level_db(noise) > low_db - 1) & (level_db(noise) < high_db + 1)).all()
    augmented = AudioAugmentation()(torch.zeros(2, 2, SAMPLES))
    assert augmented.isfinite().all()


def test_validation_audio_is_not_augmented():
    audio = bursts(0.1, 0.1)
    assert torch.equal(AudioAugmentation().eval()(audio), audio)
