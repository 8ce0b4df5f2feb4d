"""The bundled pretrained model on a real recording: lips fit the speech, and motion does not fade over time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dualtalk.audio.phonemes import recognise_phonemes
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.core import Conversation
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.metrics.lips import gap_at, silent_closure
from dualtalk.models.checkpoint import BUNDLED, load_model
from dualtalk.simulation import simulate
from dualtalk.timebase import SAMPLES_PER_FRAME

MAX_MB = 30
BILABIALS, VOWELS = frozenset("pbm"), frozenset("aɑæʌ")


@pytest.fixture(scope="module")
def talk(two_person_wave) -> Conversation:
    return conversation_from_recording([two_person_wave])[0]


@pytest.fixture(scope="module", params=["mean", "sample"])
def simulated(request, talk) -> Conversation:
    return simulate(talk, mode=request.param)


def beginning(talk: Conversation, frames: int) -> Conversation:
    people = (
        replace(one, audio=one.audio[: frames * SAMPLES_PER_FRAME], motion=None) for one in talk.participants
    )
    return Conversation(*people, name=talk.name)


def test_the_file_is_small_and_has_metadata():
    assert BUNDLED.stat().st_size < MAX_MB * 1e6
    pretrained = load_model()
    assert (pretrained.space, pretrained.layout) == ("open", "full62")
    assert pretrained.metadata["steps"] > 0
    assert len(pretrained.metadata["data"][0]["sha256"]) == 64
    assert all(weight.dtype == torch.float32 for weight in pretrained.model.parameters())


def test_mouths_are_closed_in_silence(simulated):
    for person in simulated.participants:
        assert silent_closure(load_head("open").lip_gap(person.motion), person.speech) >= 0.9


def test_lips_close_at_bilabials_and_not_at_open_vowels(simulated):
    """Over both people: most p, b and m are closed, and their aperture is a fraction of that of vowels."""
    apertures_m = {}
    for name, symbols in (("bilabial", BILABIALS), ("vowel", VOWELS)):
        apertures_m[name] = np.concatenate(
            [
                gap_at(
                    load_head("open").lip_gap(person.motion),
                    recognise_phonemes(person.audio, person.speech),
                    symbols,
                )
                for person in simulated.participants
            ]
        )
    assert len(apertures_m["bilabial"]) >= 12
    assert len(apertures_m["vowel"]) >= 12
    closed = {name: (aperture <= LIPS_CLOSED_M).mean() for name, aperture in apertures_m.items()}
    assert closed["bilabial"] > 0.5
    assert closed["bilabial"] > 2 * closed["vowel"]
    assert np.median(apertures_m["bilabial"]) < 0.5 * np.median(apertures_m["vowel"])


def test_a_seed_gives_the_same_bytes_and_another_seed_other_head_motion(talk):
    short = beginning(talk, 200)
    one, again, other = (simulate(short, seed=seed) for seed in (0, 0, 1))
    for first, same, different in zip(one.participants, again.participants, other.participants, strict=True):
        assert first.motion.coefficients.tobytes() == same.motion.coefficients.tobytes()
        assert np.abs(first.motion.head_rotvec_rad - different.motion.head_rotvec_rad).mean() > 0.01


def test_motion_has_the_same_amplitude_after_two_minutes(talk):
    """The recording is repeated four times; the last repetition has about the motion amplitude of the first."""
    people = (replace(one, audio=np.tile(one.audio, 4)) for one in talk.participants)
    for person in simulate(Conversation(*people)).participants:
        first, *_, last = np.array_split(person.motion.coefficients, 4)
        moving = first.std(axis=0) > 0.01
        assert moving.sum() > 20
        ratio = last[:, moving].std(axis=0) / first[:, moving].std(axis=0)
        assert 0.7 < np.median(ratio) < 1.4
