"""Voices recorded otherwise: what changes, and what must not."""

import pytest
import torch

from dualtalk.training import augmentation as microphones
from dualtalk.training.augmentation import AUDIO_RATE_HZ, cut_off, evened, in_a_room, otherwise_recorded

SAMPLES = AUDIO_RATE_HZ


@pytest.fixture(autouse=True)
def drawn_alike(monkeypatch):
    """All voices are in a room, evened out and cut off."""
    torch.manual_seed(0)
    for share in ("ROOM_SHARE", "EVENED_SHARE", "CUT_OFF_SHARE"):
        monkeypatch.setattr(microphones, share, 1.0)


def bursts(*levels: float) -> torch.Tensor:
    """Two voices, twice: noise of one level after the other, a quarter of a second each."""
    loudness = torch.tensor(levels).repeat_interleave(SAMPLES // 4)
    return loudness * torch.randn(2, 2, len(loudness))


def level_db(audio: torch.Tensor) -> torch.Tensor:
    return 10 * audio.square().mean(dim=-1).log10()


def test_an_echo_comes_after_its_sound_and_dies_away():
    audio = torch.zeros(2, 2, SAMPLES)
    audio[..., 4000] = 1.0
    heard = in_a_room(audio)
    assert (heard[..., :4000].abs() < 1e-5).all()
    assert torch.allclose(heard[..., 4000], torch.ones(2, 2), atol=1e-4)
    early, late = (level_db(heard[..., first : first + 800]) for first in (4001, 12_001))
    assert (early > late + 20).all()
    assert (level_db(heard[..., 4001:]) < level_db(audio) + 1).all()


def test_levels_are_evened_out_and_no_voice_is_louder_for_it():
    audio = bursts(0.2, 0.02, 0.2, 0.02)
    heard = evened(audio)
    torch.testing.assert_close(level_db(heard), level_db(audio))
    middle = slice(SAMPLES // 8, SAMPLES // 8 + 800)
    loud, soft = (level_db(heard.unflatten(-1, (4, -1))[:, :, one, middle]) for one in (0, 1))
    assert ((loud - soft) < 20).all()
    assert ((loud - soft) > 20 * (1 - microphones.EVENED[1]) - 1).all()


def test_what_is_cut_off_stands_less_out_and_is_as_loud():
    audio = bursts(0.1, 0.1)
    heard = cut_off(audio)
    torch.testing.assert_close(level_db(heard), level_db(audio))
    assert (heard.abs().amax(dim=-1) <= audio.abs().amax(dim=-1) + 1e-6).all()
    assert ((heard - audio).abs().amax(dim=-1) > 1e-3).any()


def test_what_is_left_out_leaves_a_voice_as_it_was(monkeypatch):
    for share in ("ROOM_SHARE", "EVENED_SHARE", "CUT_OFF_SHARE"):
        monkeypatch.setattr(microphones, share, 0.0)
    audio = bursts(0.1, 0.01)
    for change in (in_a_room, evened, cut_off):
        torch.testing.assert_close(change(audio), audio)


def test_a_voice_stays_where_it_was_in_time():
    audio = bursts(0.0, 0.1, 0.0, 0.1)
    heard = otherwise_recorded(audio)
    spectra = torch.fft.rfft(heard) * torch.fft.rfft(audio).conj()
    lags = torch.fft.irfft(spectra / spectra.abs().clamp(min=1e-9)).argmax(dim=-1)
    assert (torch.minimum(lags, 2 * SAMPLES - lags) <= 8).all()


def test_each_voice_has_a_microphone_of_its_own_drawn_by_the_seed():
    audio = bursts(0.1, 0.1)[:1, :1].expand(2, 2, -1)
    torch.manual_seed(1)
    heard = otherwise_recorded(audio)
    torch.manual_seed(1)
    assert torch.equal(heard, otherwise_recorded(audio))
    apart = (heard.flatten(0, 1)[:, None] - heard.flatten(0, 1)).abs().mean(dim=-1)
    assert (apart + torch.eye(4) > 1e-3).all()


def test_silence_is_as_soft_as_noise_gets():
    heard = otherwise_recorded(torch.zeros(2, 2, SAMPLES))
    assert heard.isfinite().all()
    assert (level_db(heard) < microphones.NOISE_DB[1] + 5).all()
