"""Recordings of every supported kind as conversations, with notes for the user, and refused files."""

import numpy as np
import pytest
import soundfile
from pyannote.core import Annotation, Segment, Timeline
from scipy.io import wavfile

from dualtalk.audio.crosstalk import without_crosstalk
from dualtalk.audio.diarization import THIRD_VOICE
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.audio.speaker_masking import separate
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.core import speaking_frames
from dualtalk.errors import InputError
from dualtalk.io.audio_file import map_wave, read_wave, write_wave
from dualtalk.io.audio_map import audio_blocks, map_audio
from dualtalk.io.rttm import read_rttm
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at


def voice(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * AUDIO_RATE_HZ))).astype(np.float32)


def written(folder, name: str, samples: np.ndarray, rate: int = AUDIO_RATE_HZ):
    path = folder / name
    soundfile.write(path, samples, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


@pytest.fixture(scope="module")
def spoken(two_person_wave) -> tuple[np.ndarray, np.ndarray]:
    """Two voices without overlap: 12 s in which each speaks half of the time, at the same level."""
    mixed, truth = read_wave(two_person_wave)[0], read_rttm(two_person_wave.with_suffix(".rttm"))
    length, tracks = sample_at(12.0), []
    for number, label in enumerate(truth.labels()):
        alone = [mixed[sample_at(span.start) : sample_at(span.end)] for span in truth.label_timeline(label)]
        voice = np.concatenate(alone)[: sample_at(6.0)]
        track = np.zeros(length, np.float32)
        track[number * sample_at(6.0) :][: len(voice)] = 0.1 * voice / voice.std()
        tracks.append(track)
    return tracks[0], tracks[1]


def halves(audio: np.ndarray) -> Annotation:
    """A diarizer that labels the first half "a" and the second half "b"."""
    half_s = len(audio) / AUDIO_RATE_HZ / 2
    annotation = Annotation()
    annotation[Segment(0, half_s)] = "a"
    annotation[Segment(half_s, 2 * half_s)] = "b"
    return annotation


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


def test_reversed_polarity_and_another_level_are_one_microphone(tmp_path):
    noise = 0.001 * voice(seed=3)
    path = written(tmp_path, "talk.wav", np.stack([voice(), -0.5 * voice() + noise], axis=1))
    conversation, notes = conversation_from_recording([path], halves)
    assert "same audio" in notes[0]
    assert np.array_equal(conversation.a.audio[:15_000], voice()[:15_000])


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_channel_is_named_and_the_living_one_diarized(tmp_path, dead):
    channels = [voice(), 1e-5 * voice(seed=2)]
    path = written(tmp_path, "talk.wav", np.stack(channels[:: -1 if dead == 0 else 1], axis=1))
    conversation, notes = conversation_from_recording([path], halves)
    assert f"the {('left', 'right')[dead]} channel is silent" in notes[0]
    assert (conversation.a.speech, conversation.b.speech) == (
        Timeline([Segment(0, 1)]),
        Timeline([Segment(1, 2)]),
    )


def test_the_only_voice_of_a_recording_with_a_dead_left_channel_stays_on_the_right(tmp_path):
    alone = Annotation()
    alone[Segment(0, 1)] = "a"
    path = written(tmp_path, "talk.wav", np.stack([0 * voice(), voice()], axis=1))
    conversation, notes = conversation_from_recording([path], lambda audio: alone)
    assert not conversation.a.speech
    assert conversation.b.speech
    assert "A listens" in notes[1]


@pytest.mark.parametrize("reversed_polarity", [False, True])
def test_one_persons_voice_in_each_channel_is_kept_and_the_leak_muted(tmp_path, spoken, reversed_polarity):
    """An interview: each microphone records the other person 3 ms later at -12 dB."""
    a, b = spoken
    late = 48
    leak_a, leak_b = (0.25 * np.concatenate([np.zeros(late, np.float32), one[:-late]]) for one in (a, b))
    left, right = a + leak_b, (b + leak_a) * (-1 if reversed_polarity else 1)
    path = written(tmp_path, "interview.wav", np.stack([left, right], axis=1))

    def refuse(audio):
        raise AssertionError("two channels need no diarization")

    conversation, notes = conversation_from_recording([path], refuse)
    assert any("leaks into it at -1" in note for note in notes)
    for person, own, other in ((conversation.a, a, b), (conversation.b, b, a)):
        masks = [speaking_frames(detect_speech(voice), conversation.frames) for voice in (own, other)]
        found = person.speaking(conversation.frames)
        assert found[masks[0]].mean() > 0.9
        assert found[masks[1] & ~masks[0]].mean() < 0.05
        leaked = np.repeat(masks[1] & ~masks[0] & ~found, 640)
        assert np.square(person.audio[leaked]).mean() < 0.05 * np.square(other[leaked] * 0.25).mean()


def test_microphones_that_both_record_both_people_are_one(tmp_path, spoken):
    a, b = spoken
    late = np.concatenate([np.zeros(16, np.float32), (a + 0.8 * b)[:-16]])
    path = written(tmp_path, "room.wav", np.stack([0.8 * a + b, late], axis=1))
    _, notes = conversation_from_recording([path], halves)
    assert "both channels carry both voices" in notes[0]


def test_channels_of_a_file_are_chosen(tmp_path):
    path = written(tmp_path, "six.wav", np.stack([voice(seed=number) for number in range(6)], axis=1))
    with pytest.raises(InputError, match=r"6 channels.*--channels 1,2"):
        conversation_from_recording([path], halves)
    conversation, _ = conversation_from_recording([path], channels=(5, 2))
    assert np.array_equal(conversation.a.audio, voice(seed=4))
    assert np.array_equal(conversation.b.audio, voice(seed=1))
    mixed, _ = conversation_from_recording([path], halves, channels=(3,))
    assert mixed.a.speech == Timeline([Segment(0, 1)])
    for channels, message in (((7, 1), "no channel 7"), ((1, 1), "two different"), ((0,), "no channel 0")):
        with pytest.raises(InputError, match=message):
            conversation_from_recording([path], halves, channels=channels)
    with pytest.raises(InputError, match="not of two"):
        conversation_from_recording([path, path], channels=(1,))


def test_a_part_of_a_recording_is_that_part(tmp_path):
    path = written(tmp_path, "talk.wav", voice(3.0))
    part, _ = conversation_from_recording([path], halves, start_s=0.5, end_s=2.0)
    assert part.frames == 38
    assert np.array_equal(part.a.audio[:8000], voice(3.0)[8000:16_000])
    with pytest.raises(InputError, match="no sound from 4 s"):
        conversation_from_recording([path], halves, start_s=4.0)


def test_a_third_voice_is_noted_with_times_and_share(tmp_path):
    def diarizer(audio):
        annotation = halves(audio)
        annotation[Segment(1.0, 1.5), "third"] = THIRD_VOICE
        return annotation

    conversation, notes = conversation_from_recording([written(tmp_path, "talk.wav", voice())], diarizer)
    assert "third voice is likely, with 25% of the speech (1 to 2 s)" in notes[0]
    assert conversation.b.speech == Timeline([Segment(1, 2)])


def test_telephone_rates_are_noted(tmp_path):
    path = written(tmp_path, "call.wav", voice(1.0), 8000)
    assert "8 kHz" in conversation_from_recording([path], halves)[1][0]


def test_long_audio_is_passed_over_in_blocks_without_a_change():
    blocks = [np.full((length, 2), length, np.float32) for length in (3, 0, 5)]
    one, two = map_audio(iter(blocks), 2)
    assert np.array_equal(one, two)
    assert one.tolist() == [3, 3, 3, 5, 5, 5, 5, 5]
    passed = [(first, block.tolist()) for first, (block,) in audio_blocks(one, samples=3)]
    assert passed == [(0, [3, 3, 3]), (3, [5, 5, 5]), (6, [5, 5])]
    assert one.tolist() == [3, 3, 3, 5, 5, 5, 5, 5]
    assert not len(map_audio(iter([]), 1)[0])


def test_a_wave_file_has_the_bytes_that_scipy_writes(tmp_path):
    write_wave(tmp_path / "ours.wav", voice(0.1))
    wavfile.write(tmp_path / "scipy.wav", AUDIO_RATE_HZ, voice(0.1))
    assert (tmp_path / "ours.wav").read_bytes() == (tmp_path / "scipy.wav").read_bytes()
    assert np.array_equal(map_wave(tmp_path / "ours.wav"), voice(0.1))


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
    written(tmp_path, "whole.wav", voice())
    for name, message in (
        ("text.wav", "not audio"),
        ("empty.wav", "0 bytes"),
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
