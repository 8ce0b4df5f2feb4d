"""Recordings of every supported kind as conversations, with notes for the user, and refused files."""

import numpy as np
import pytest
import soundfile
from pyannote.core import Annotation, Segment, Timeline

from dualtalk.audio.crosstalk import without_crosstalk
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.audio.speaker_masking import separate
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave
from dualtalk.timebase import AUDIO_RATE_HZ


def voice(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * AUDIO_RATE_HZ))).astype(np.float32)


def written(folder, name: str, samples: np.ndarray, rate: int = AUDIO_RATE_HZ):
    path = folder / name
    soundfile.write(path, samples, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


def halves(audio: np.ndarray) -> Annotation:
    """A diarizer that labels the first half "a" and the second half "b"."""
    half_s = len(audio) / AUDIO_RATE_HZ / 2
    annotation = Annotation()
    annotation[Segment(0, half_s)] = "a"
    annotation[Segment(half_s, 2 * half_s)] = "b"
    return annotation


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_any_rate_becomes_whole_frames_at_16_khz(tmp_path, rate):
    path = written(tmp_path, "talk.wav", voice(1.51)[: round(1.51 * rate)], rate)
    read = read_wave(path)
    assert read.shape[0] == 1
    assert read.shape[1] == pytest.approx(min(1.51 * AUDIO_RATE_HZ, 24160 * AUDIO_RATE_HZ / rate), abs=2)


def test_flac_is_read(tmp_path):
    assert read_wave(written(tmp_path, "talk.flac", voice())).shape == (1, 2 * AUDIO_RATE_HZ)


def test_a_mono_file_is_separated_into_two_tracks(tmp_path):
    conversation, notes = conversation_from_recording([written(tmp_path, "talk.wav", voice())], halves)
    assert notes == ()
    assert conversation.frames == 50
    assert not conversation.a.audio[17_700:].any()
    assert not conversation.b.audio[:14_200].any()
    middle = slice(4000, 12000)
    assert np.array_equal(conversation.a.audio[middle], voice()[middle])


def test_a_stereo_file_has_one_person_per_channel(tmp_path):
    path = written(tmp_path, "call.wav", np.stack([voice(seed=1), voice(seed=2)], axis=1))
    conversation, _ = conversation_from_recording([path], halves)
    assert np.array_equal(conversation.a.audio, voice(seed=1))
    assert np.array_equal(conversation.b.audio, voice(seed=2))


def test_a_stereo_file_with_equal_channels_is_diarized_with_a_note(tmp_path):
    path = written(tmp_path, "talk.wav", np.stack([voice(), voice()], axis=1))
    conversation, notes = conversation_from_recording([path], halves)
    assert "same audio" in notes[0]
    assert conversation.a.speech == Timeline([Segment(0, 1)])


def test_two_files_of_different_length_are_padded_with_a_note(tmp_path):
    paths = [written(tmp_path, "a.wav", voice(2.0)), written(tmp_path, "b.wav", voice(1.5))]
    conversation, notes = conversation_from_recording(paths)
    assert "b.wav is 0.50 s shorter" in notes[0]
    assert conversation.frames == 50
    assert not conversation.b.audio[24_000:].any()


def test_one_speaker_or_none_gives_a_note(tmp_path):
    path = written(tmp_path, "talk.wav", voice())
    alone = Annotation()
    alone[Segment(0, 1)] = "a"
    assert "only one person" in conversation_from_recording([path], lambda audio: alone)[1][0]
    assert "no speech" in conversation_from_recording([path], lambda audio: Annotation())[1][0]


def test_silence_gives_two_listeners(tmp_path):
    path = written(tmp_path, "silence.wav", np.zeros(AUDIO_RATE_HZ, np.float32))
    conversation, notes = conversation_from_recording([path])
    assert notes == ("no speech was found; both people listen",)
    assert not conversation.a.speech


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (voice(0.01), "10 ms long"),
        (np.stack([voice()] * 3, axis=1), "3 channels"),
        (np.zeros(0, np.float32), "no samples"),
        (np.where(np.arange(32000) == 7, np.nan, voice()).astype(np.float32), "NaN"),
    ],
)
def test_unusable_samples_are_refused(tmp_path, samples, message):
    path = written(tmp_path, "x.wav", samples)
    with pytest.raises(InputError, match=message):
        conversation_from_recording([path], halves)


def test_files_that_are_not_audio_are_refused(tmp_path):
    (tmp_path / "text.wav").write_text("not audio at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    whole = written(tmp_path, "whole.wav", voice()).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    for name, message in (
        ("text.wav", "not audio"),
        ("empty.wav", "0 bytes"),
        ("cut.wav", "shorter than its header"),
        ("missing.wav", "no audio file"),
        (".", "folder"),
    ):
        with pytest.raises(InputError, match=message):
            conversation_from_recording([tmp_path / name], halves)
    with pytest.raises(InputError, match="one file per person"):
        conversation_from_recording([tmp_path / "whole.wav"] * 3, halves)


def test_both_tracks_keep_overlap_and_cuts_are_faded():
    mixed = np.ones(AUDIO_RATE_HZ, np.float32)
    annotation = Annotation()
    annotation[Segment(0.2, 0.6)] = "a"
    annotation[Segment(0.5, 0.9)] = "b"
    a, b = separate(mixed, annotation)
    both = slice(8200, 9400)
    assert (a[both] == 1).all()
    assert (b[both] == 1).all()
    assert not a[9700:].any()
    assert np.abs(np.diff(a)).max() < 0.01


def test_crosstalk_is_not_counted_as_speech():
    own, other = voice(2.0, 1), voice(2.0, 2)
    own[16_000:] = 0.05 * other[16_000:]
    other[:16_000] *= 0.05
    kept = without_crosstalk(Timeline([Segment(0.0, 2.0)]), own, other)
    assert kept.extent().end == pytest.approx(1.0, abs=0.15)
