"""What must be seen of the animator on two real recordings: lips that fit the sound, heads that live.

Ranges are `dualtalk.metrics.conversation_summary`'; each test takes the worst of all people and recordings.
"""

import numpy as np
import pytest

from dualtalk.animator import animate
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.core import Conversation
from dualtalk.head import load_head
from dualtalk.metrics import kinematics
from dualtalk.metrics.conversation_summary import motion_summary
from dualtalk.simulation import simulate


@pytest.fixture(scope="module", params=["one mixed file", "one file each"])
def talk(request) -> Conversation:
    if request.param == "one mixed file":
        paths = [request.getfixturevalue("two_person_wave")]
    else:
        paths = request.getfixturevalue("one_wave_each")
    return simulate(paths, model="rules", seed=0)


@pytest.fixture(scope="module")
def figures(talk) -> dict[str, dict]:
    return motion_summary(talk, load_head("open"))


@pytest.mark.parametrize(
    "name",
    [
        "bilabial closure rate",
        "silence closure rate",
        "vowel opening rate",
        "correlation of loudness and lip aperture",
        "blinks",
        "head spread, pitch",
        "head spread, yaw",
        "head spread, roll",
        "head speed, mean",
        "head bandwidth (90 % of power)",
        "jaw spread, opening",
        "jaw bandwidth (90 % of power)",
    ],
)
def test_figure_is_in_its_range(figures, name):
    low, high = figures[name]["range"]
    values = np.array([figures[name]["a"], figures[name]["b"]])
    assert np.isfinite(values).all()
    assert ((values >= low) & (values <= high)).all(), f"{name}: {values} outside [{low:.3g}, {high:.3g}]"


def test_listeners_answer_the_ends_of_their_partners_phrases(two_person_wave, one_wave_each):
    """More than chance (p < 0.05): both people of both recordings, activity averaged over seven seeds."""
    names = load_head("open").blendshape_names
    listeners = []
    for paths in ([two_person_wave], one_wave_each):
        conversation = conversation_from_recording(paths)[0]
        seeds = [animate(conversation, seed).conversation.participants for seed in range(7)]
        for own, partner in ((0, 1), (1, 0)):
            activity = np.mean([kinematics.activity(people[own].motion, names) for people in seeds], axis=0)
            speaking = conversation.participants[own].speaking(conversation.frames)
            listeners.append(
                kinematics.ListenerActivity(activity, speaking, conversation.participants[partner].speech)
            )
    ratio, chance = kinematics.response_ratio(*listeners)
    assert ratio > 1.05
    assert chance < 0.05


def test_same_seed_same_bytes_and_another_seed_others(talk):
    again, other = animate(talk, seed=0).conversation, animate(talk, seed=1).conversation
    for person, same, different in zip(talk.participants, again.participants, other.participants, strict=True):
        assert same.motion.coefficients.tobytes() == person.motion.coefficients.tobytes()
        assert not np.allclose(different.motion.head_rotvec_rad, person.motion.head_rotvec_rad, atol=1e-3)


def test_swapping_the_people_swaps_the_motion(talk):
    swapped = animate(talk.swap_roles(), seed=0).conversation
    assert np.array_equal(swapped.a.motion.coefficients, talk.b.motion.coefficients)
    assert np.array_equal(swapped.b.motion.coefficients, talk.a.motion.coefficients)
