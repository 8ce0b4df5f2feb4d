"""What must be seen of the network that comes with the package, on real recordings: lips that fit the sound, and
heads that live, for as long as people talk."""

import numpy as np
import pytest
import torch

from dualtalk.audio.phonemes import recognise_phonemes
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.core import Conversation, Participant
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.metrics.conversation_summary import motion_summary
from dualtalk.metrics.lips import gap_at
from dualtalk.models.checkpoint import BUNDLED, load_model
from dualtalk.simulation import simulate

LARGEST_MB = 30


@pytest.fixture(scope="module", params=["one mixed file", "one file each"])
def heard(request) -> Conversation:
    if request.param == "one mixed file":
        paths = [request.getfixturevalue("two_person_wave")]
    else:
        paths = request.getfixturevalue("one_wave_each")
    return conversation_from_recording(paths)[0]


def test_it_says_what_it_is():
    assert BUNDLED.stat().st_size < LARGEST_MB * 1e6
    trained = load_model()
    assert (trained.space, trained.layout) == ("open", "full62")
    assert trained.metadata["steps"] > 0
    assert len(trained.metadata["data"][0]["sha256"]) == 64
    assert all(weight.dtype == torch.float32 for weight in trained.model.parameters())


def test_mouths_close_in_silence(heard):
    figures = motion_summary(simulate(heard), load_head("open"))["silence closure rate"]
    assert min(figures["a"], figures["b"]) >= 0.9


def test_lips_close_at_most_p_b_m(two_person_wave):
    """It closed at 5 to 7 of 8 of A and at 7 of 8 of B in this recording; in another at fewer: `docs/duet.md`."""
    talk = conversation_from_recording([two_person_wave])[0]
    figures = motion_summary(simulate(talk), load_head("open"))["bilabial closure rate"]
    assert min(figures["a"], figures["b"]) >= 0.6


def lip_gaps_m(moved: Conversation, sounds: str) -> np.ndarray:
    """At the centre of each of some phonemes, of both people."""
    return np.concatenate(
        [
            gap_at(
                load_head("open").lip_gap(person.motion),
                recognise_phonemes(person.audio, person.speech),
                frozenset(sounds),
            )
            for person in moved.participants
        ]
    )


@pytest.mark.parametrize("mode", ["mean", "sample"])
def test_lips_close_at_three_in_four_of_p_and_b(heard, mode):
    assert (lip_gaps_m(simulate(heard, mode=mode), "pb") <= LIPS_CLOSED_M).mean() >= 0.75


def test_lips_close_at_three_in_four_of_p_b_m(heard):
    """Of one file each they do not: of loud, fast talk every second m is missed. Less than half is a fault."""
    closed = (lip_gaps_m(simulate(heard), "pbm") <= LIPS_CLOSED_M).mean()
    assert closed >= 0.5
    if closed < 0.75:
        pytest.xfail(f"lips close at {closed:.2f} of p, b, m; wanted 0.75")


def test_seeds_give_other_performances_of_the_same_speech(heard):
    one, again, other = (simulate(heard, seed=seed) for seed in (0, 0, 1))
    for mine, same, theirs in zip(one.participants, again.participants, other.participants, strict=True):
        assert mine.motion.coefficients.tobytes() == same.motion.coefficients.tobytes()
        assert np.abs(mine.motion.head_rotvec_rad - theirs.motion.head_rotvec_rad).mean() > 0.01


def test_people_neither_freeze_nor_stray_in_two_minutes(heard):
    """The same half minute four times over: the last moves as the first."""
    spans = (np.tile(person.audio, 4) for person in heard.participants)
    four = Conversation(
        *(Participant(audio, person.speech) for audio, person in zip(spans, heard.participants, strict=True))
    )
    for person in simulate(four).participants:
        first, *_, last = np.split(person.motion.coefficients, 4)
        moving = first.std(axis=0) > 0.01
        assert moving.sum() > 20
        ratio = last[:, moving].std(axis=0) / first[:, moving].std(axis=0)
        assert 0.7 < np.median(ratio) < 1.4
