"""The offset between a face recording and its audio, by lip motion and by timecode."""

import numpy as np
import pytest

from dualtalk.audio.av_sync import drift_by_mouth, offset_by_mouth, offset_by_timecode
from dualtalk.errors import InputError

RATE_HZ = 16_000


def syllables(seconds: float, seed: int = 0) -> np.ndarray:
    """Envelope of a voice at 16 kHz: bursts at the syllable rate, with pauses."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    envelope = np.zeros_like(t)
    at = 0.3
    while at < seconds - 0.3:
        envelope += rng.uniform(0.4, 1) * np.exp(-(((t - at) / 0.06) ** 2))
        at += rng.uniform(0.16, 0.3) + (rng.uniform() < 0.15) * rng.uniform(0.3, 1.0)
    return envelope


@pytest.mark.parametrize("late_s", [-2.0, -0.12, 0.0, 0.05, 1.5])
def test_the_offset_is_estimated_to_a_fraction_of_a_frame(late_s):
    envelope = syllables(20)
    rng = np.random.default_rng(1)
    audio = (0.1 * envelope * rng.standard_normal(len(envelope)) + 0.001).astype(np.float32)
    frames_s = (np.arange(20 * 25) + 0.5) / 25 - late_s
    mouth = 0.01 * np.interp(frames_s, np.arange(len(envelope)) / RATE_HZ, envelope)
    offset_s, correlation = offset_by_mouth(mouth + rng.normal(0, 0.0005, len(mouth)), audio)
    assert offset_s == pytest.approx(late_s, abs=0.02)
    assert correlation > 0.5


@pytest.mark.parametrize("drift_s", [0.3, -0.2, 0.0])
def test_a_lag_that_grows_is_measured(drift_s):
    """A minute in which the face starts 0.1 s late and ends later by `drift_s`."""
    seconds = 60.0
    envelope, rng = syllables(seconds), np.random.default_rng(1)
    audio = (0.1 * envelope * rng.standard_normal(len(envelope)) + 0.001).astype(np.float32)
    face_s = (np.arange(round(25 * seconds)) + 0.5) / 25
    sound_s = (face_s - 0.1) / (1 + drift_s / seconds)
    mouth = 0.01 * np.interp(sound_s, np.arange(len(envelope)) / RATE_HZ, envelope)
    mouth += rng.normal(0, 0.0005, len(mouth))
    found = drift_by_mouth(mouth, audio, offset_by_mouth(mouth, audio).offset_s)
    assert found.rate * seconds == pytest.approx(drift_s, abs=0.03)
    assert found.offset_s == pytest.approx(0.1, abs=0.03)
    assert drift_by_mouth(mouth[:500], audio[: 20 * RATE_HZ], 0.1) is None


def test_audio_of_another_recording_has_a_low_correlation():
    audio = (0.1 * syllables(20) * np.random.default_rng(0).standard_normal(20 * RATE_HZ)).astype(np.float32)
    other = syllables(20, seed=5)[:: RATE_HZ // 25]
    assert offset_by_mouth(other, audio).correlation < 0.35


def test_still_lips_silence_and_short_recordings_are_refused():
    voice = np.random.default_rng(0).standard_normal(5 * RATE_HZ).astype(np.float32)
    with pytest.raises(InputError, match="mouth never moves"):
        offset_by_mouth(np.zeros(125), voice)
    with pytest.raises(InputError, match="silent"):
        offset_by_mouth(np.random.default_rng(0).uniform(0, 0.01, 125), np.zeros(5 * RATE_HZ, np.float32))
    with pytest.raises(InputError, match=r"2\.0 s of face"):
        offset_by_mouth(np.zeros(50), voice)


def test_timecodes_align_across_midnight():
    assert offset_by_timecode(10.0, 12.5) == pytest.approx(2.5)
    assert offset_by_timecode(24 * 3600 - 1.0, 1.0) == pytest.approx(2.0)
    assert offset_by_timecode(1.0, 24 * 3600 - 1.0) == pytest.approx(-2.0)
