"""Phoneme recognition: plain IPA, in order, within speech, and accurate times of bilabials."""

import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Segment, Timeline

from dualtalk.audio import phonemes
from dualtalk.audio.phonemes import CLOSURE_S, INVENTORY, plain_ipa, recognise_phonemes
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.errors import SetupError
from dualtalk.io.audio_file import read_wave
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

BILABIALS = frozenset("pbm")
SENTENCE = "My mother bought a new lamp for the bedroom, but somebody broke it before supper."


@pytest.fixture(scope="module")
def talk(two_person_wave):
    return read_wave(two_person_wave)[0][: sample_at(14.0)]


@pytest.fixture(scope="module")
def found(talk):
    return recognise_phonemes(talk, detect_speech(talk))


def test_phonemes_are_plain_in_order_and_in_speech(talk, found):
    speech = detect_speech(talk)
    early = Timeline([Segment(span.start - CLOSURE_S, span.end) for span in speech]).support()
    assert len(found) > 50
    for phoneme in found:
        assert phoneme.ipa in INVENTORY
        assert 0 < phoneme.confidence <= 1
        assert any(span.start - 1e-9 <= phoneme.start_s < phoneme.end_s <= span.end + 1e-9 for span in early)
    assert all(one.end_s <= two.start_s + 1e-9 for one, two in pairwise(found))


def test_recognition_hardly_depends_on_the_level(talk, found):
    softer = recognise_phonemes(0.3 * talk, detect_speech(talk))
    assert abs(len(softer) - len(found)) < 0.15 * len(found)


def test_a_long_segment_split_into_pieces_has_about_the_same_phonemes(talk, found, monkeypatch):
    monkeypatch.setattr(phonemes, "LONGEST_SEGMENT_S", 4.0)
    pieces = recognise_phonemes(talk, detect_speech(talk))
    assert abs(len(pieces) - len(found)) < 0.15 * len(found)
    assert all(one.end_s <= two.start_s + 1e-9 for one, two in pairwise(pieces))


@pytest.mark.parametrize("samples", [0, 1, 640, 16_000])
def test_silence_has_no_phonemes_beyond_its_end(samples):
    silence = np.zeros(samples, np.float32)
    assert recognise_phonemes(silence, Timeline()) == ()
    everywhere = recognise_phonemes(silence, Timeline([Segment(0, 2)]))
    assert all(phoneme.end_s <= samples / AUDIO_RATE_HZ for phoneme in everywhere)


@pytest.mark.parametrize(
    ("token", "plain"),
    [
        ("t͡ʃ", ("tʃ",)),
        ("d͡ʒ", ("dʒ",)),
        ("aɪ", ("aɪ",)),
        ("g", ("ɡ",)),
        ("kʰ", ("k",)),
        ("p͈", ("p",)),
        ("ja", ("j", "a")),
        ("eə", ("e", "ə")),
        ("ɔ̃", ("ɔ",)),
        ("ː", ()),
        ("˥", ()),
        ("一", ()),
        ("²", ()),
    ],
)
def test_tokens_become_plain_ipa(token, plain):
    assert plain_ipa(token) == plain


@given(st.text(max_size=4))
def test_any_token_becomes_symbols_of_the_inventory(token):
    assert INVENTORY.issuperset(plain_ipa(token))


def test_a_missing_native_library_is_a_setup_error(monkeypatch):
    import hama

    def fail():
        raise RuntimeError("libhama not available")

    monkeypatch.setattr(hama, "ASRModel", fail)
    phonemes.load_recogniser.cache_clear()
    with pytest.raises(SetupError, match="libhama"):
        recognise_phonemes(np.ones(16_000, np.float32), Timeline([Segment(0, 1)]))
    monkeypatch.undo()
    phonemes.load_recogniser.cache_clear()


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite, whose timing is known, is not installed")
@pytest.mark.parametrize("voice", ["slt", "rms"])
def test_bilabials_are_recognised_at_the_right_time(voice, tmp_path):
    wave = tmp_path / "speech.wav"
    command = ["flite", "-voice", voice, "-psdur", "-t", SENTENCE, "-o", str(wave)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    ends = [(name, float(end)) for name, end in (item.rsplit(":", 1) for item in listed)]
    closures_s = np.array([(start + end) / 2 for (_, start), (name, end) in pairwise(ends) if name in BILABIALS])
    audio = read_wave(wave)[0]
    found = [phoneme for phoneme in recognise_phonemes(audio, detect_speech(audio)) if phoneme.ipa in BILABIALS]
    middles_s = np.array([(phoneme.start_s + phoneme.end_s) / 2 for phoneme in found])
    nearest_s = np.abs(closures_s[:, None] - middles_s[None]).min(axis=1)
    assert (nearest_s < 0.07).mean() >= 0.8
    assert np.median(nearest_s) < 0.03
