"""Wave files, voice activity, loudness, pitch and separated tracks."""

import numpy as np
import pytest
import soundfile
from pyannote.core import Annotation, Segment

from dualtalk.audio.prosody import QUIETEST_DB, loudness_db, pitch_hz
from dualtalk.audio.speaker_masking import separate
from dualtalk.audio.voice_activity import detect_speech, spans_with_hysteresis, speech_probability
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave, write_wave
from dualtalk.io.rttm import read_rttm
from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples, sample_at


def tone(hertz: float, seconds: float = 1.0, harmonics: int = 8) -> np.ndarray:
    time_s = np.arange(round(seconds * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    return sum(0.1 / k * np.sin(2 * np.pi * hertz * k * time_s) for k in range(1, harmonics)).astype(np.float32)


@pytest.fixture(scope="module")
def talk(two_person_wave):
    return read_wave(two_person_wave)[0]


def test_a_wave_file_survives_a_round_trip(tmp_path):
    audio = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    write_wave(tmp_path / "a.wav", audio)
    assert np.array_equal(read_wave(tmp_path / "a.wav"), audio[None])


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 48_000])
def test_any_rate_is_resampled_to_16_khz(tmp_path, rate_hz):
    time_s = np.arange(2 * rate_hz) / rate_hz
    stereo = 0.5 * np.stack([np.sin(2 * np.pi * 440 * time_s), np.cos(2 * np.pi * 440 * time_s)], axis=1)
    soundfile.write(tmp_path / "a.flac", stereo, rate_hz, subtype="PCM_16")
    read = read_wave(tmp_path / "a.flac")
    assert read.shape == (2, 2 * AUDIO_RATE_HZ)
    assert read.dtype == np.float32
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * AUDIO_RATE_HZ) / AUDIO_RATE_HZ)
    middle = slice(AUDIO_RATE_HZ // 2, -AUDIO_RATE_HZ // 2)
    assert np.abs(read[0, middle] - wanted[middle]).max() < 2e-3


def test_a_truncated_wave_file_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    write_wave(path, tone(200))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cut off"):
        read_wave(path)


def test_detected_speech_agrees_with_the_annotation(talk, two_person_wave):
    truth = read_rttm(two_person_wave.with_suffix(".rttm")).get_timeline().support()
    found = detect_speech(talk)
    wrong_s = truth.extrude(found).duration() + found.extrude(truth).duration()
    assert wrong_s < 0.02 * truth.duration()


def test_speech_ends_within_the_recording(talk):
    cut = talk[: sample_at(10.05)]
    assert detect_speech(cut)[-1].end <= len(cut) / AUDIO_RATE_HZ


def test_speech_probability_does_not_depend_on_later_audio(talk):
    """The network is causal: the beginning of a recording has the same output alone."""
    chunks = 200
    part = speech_probability(talk[: chunks * 512])
    assert np.abs(part - speech_probability(talk)[:chunks]).max() < 1e-4


@pytest.mark.parametrize("samples", [0, 1, 511, 512, 640, 16_001])
def test_no_speech_in_silence_of_any_length(samples):
    assert not detect_speech(np.zeros(samples, np.float32))
    assert len(speech_probability(np.zeros(samples, np.float32))) == -(-samples // 512)


def test_hysteresis_uses_separate_onset_and_offset_thresholds():
    values = np.array([0.4, 0.6, 0.4, 0.4, 0.2, 0.4, 0.7, 0.9])
    assert spans_with_hysteresis(values, onset=0.5, offset=0.3) == [(1, 4), (6, 8)]
    assert spans_with_hysteresis(np.zeros(0), onset=0.5, offset=0.3) == []


@pytest.mark.parametrize("samples", [0, 1, 640, 641, 16_000])
def test_prosody_has_one_value_per_frame(samples):
    audio = tone(150)[:samples]
    frames = frames_for_samples(samples)
    assert loudness_db(audio).shape == pitch_hz(audio).shape == (frames,)


def test_loudness_is_root_mean_square_in_decibels():
    assert np.allclose(loudness_db(np.full(6400, 0.1, np.float32)), -20, atol=1e-3)
    assert (loudness_db(np.zeros(6400, np.float32)) == QUIETEST_DB).all()
    quiet, loud = (loudness_db(gain * tone(200)) for gain in (0.1, 1.0))
    assert np.allclose(loud - quiet, 20, atol=1e-3)


@pytest.mark.parametrize("hertz", [65, 98, 151, 220, 317, 390])
def test_pitch_of_a_tone_within_half_a_percent(hertz):
    pitch = pitch_hz(tone(hertz))[2:-2]
    assert np.abs(pitch / hertz - 1).max() < 0.005


def test_a_missing_fundamental_is_found():
    audio = tone(120, harmonics=8) - tone(120, harmonics=2)
    assert np.allclose(pitch_hz(audio)[2:-2], 120, rtol=0.01)


def test_noise_and_silence_have_no_pitch():
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    assert np.isnan(pitch_hz(noise)).mean() > 0.98
    assert np.isnan(pitch_hz(np.zeros(32_000, np.float32))).all()


def test_pitch_does_not_depend_on_level_or_block():
    audio = tone(180, seconds=100.0)
    assert np.allclose(pitch_hz(audio)[2:-2], 180, rtol=0.005)
    assert np.allclose(pitch_hz(0.01 * audio), pitch_hz(audio), equal_nan=True, rtol=1e-3)


def test_tracks_contain_own_speech_only():
    who = Annotation()
    who[Segment(0.5, 2.0)], who[Segment(1.5, 3.0)] = "a", "b"
    mixed = np.ones(4 * AUDIO_RATE_HZ, np.float32)
    a, b = separate(mixed, who)
    assert a[sample_at(1.0)] == 1
    assert b[sample_at(1.0)] == 0
    assert a[sample_at(2.5)] == 0
    assert b[sample_at(2.5)] == 1
    both = slice(sample_at(1.55), sample_at(1.95))
    assert (a[both] == 1).all()
    assert (b[both] == 1).all()
    assert np.abs(np.diff(a)).max() <= 1.01 / sample_at(0.01)
    assert max(a[-SAMPLES_PER_FRAME:].max(), b[-SAMPLES_PER_FRAME:].max()) == 0


def test_swapping_labels_swaps_tracks():
    who = Annotation()
    who[Segment(0.2, 0.6)], who[Segment(0.5, 0.9)] = "a", "b"
    swapped = who.rename_labels({"a": "b", "b": "a"})
    mixed = np.random.default_rng(0).standard_normal(AUDIO_RATE_HZ).astype(np.float32)
    for one, two in zip(separate(mixed, who), separate(mixed, swapped)[::-1], strict=True):
        assert np.array_equal(one, two)


def test_without_speech_both_tracks_are_silent():
    for track in separate(np.ones(1000, np.float32), Annotation()):
        assert track.shape == (1000,)
        assert not track.any()
