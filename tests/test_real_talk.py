"""The rule-based animator on real speech: pyannote.audio's sample as a mix, and with one file for each person.

The ranges come from `dualtalk.metrics.conversation_summary`. Those of head and jaw are the statistics of two
tracked talkers, widened by a factor of 1.5, and they were the target to which the animator's constants were tuned.
So the range test shows that later changes keep the animator's behaviour; it is no evidence of realistic motion.
"""

import numpy as np
import pytest
import soundfile
from pyannote.core import Segment, Timeline

from dualtalk.animator import Transcript, animate
from dualtalk.core import Conversation, Participant
from dualtalk.head import load_head
from dualtalk.metrics import kinematics
from dualtalk.metrics.conversation_summary import motion_summary
from dualtalk.simulation import simulate


@pytest.fixture(scope="module", params=["one mixed file", "one file each"])
def conversation(request) -> Conversation:
    if request.param == "one mixed file":
        paths = [request.getfixturevalue("two_person_wave")]
    else:
        paths = request.getfixturevalue("one_wave_each")
    return simulate(paths, model="rules", seed=0)


@pytest.fixture(scope="module")
def summary(conversation) -> dict[str, dict]:
    return motion_summary(conversation, load_head("open"))


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
def test_statistic_stays_in_its_range(summary, name):
    low, high = summary[name]["range"]
    values = np.array([summary[name]["a"], summary[name]["b"]])
    assert np.isfinite(values).all()
    assert ((values >= low) & (values <= high)).all(), f"{name}: {values} outside [{low:.3g}, {high:.3g}]"


@pytest.fixture(scope="module")
def alternation(two_person_wave) -> Conversation:
    """Sixteen turns of real speech in alternation, with gaps of 3 to 5 s, in which the listener may respond."""
    speech, rate_hz = soundfile.read(two_person_wave, dtype="float32")
    utterances = [speech[round(start * rate_hz) : round(end * rate_hz)] for start, end in ((11, 14.4), (22, 28))]
    rng = np.random.default_rng(0)
    tracks, segments = np.zeros((2, 180 * rate_hz), np.float32), ([], [])
    start_s = 2.0
    for turn in range(16):
        person, audio = turn % 2, utterances[turn % 2]
        first = round(start_s * rate_hz)
        tracks[person, first : first + len(audio)] = audio
        segments[person].append(Segment(start_s, start_s + len(audio) / rate_hz))
        start_s = segments[person][-1].end + rng.uniform(3, 5)
    a, b = (Participant(track, Timeline(own)) for track, own in zip(tracks, segments, strict=True))
    return Conversation(a, b)


def test_listeners_respond_to_the_ends_of_their_partners_phrases(alternation):
    """After phrase ends both listeners are more active than at other times (permutation test, p < 0.05)."""
    names = load_head("open").blendshape_names
    animated = animate(alternation, 0, (Transcript(()), Transcript(()))).conversation
    listeners = [
        kinematics.ListenerActivity(
            kinematics.activity(own.motion, names), own.speaking(animated.frames), partner.speech
        )
        for own, partner in ((animated.a, animated.b), (animated.b, animated.a))
    ]
    ratio, p = kinematics.response_ratio(*listeners)
    assert ratio > 1.05
    assert p < 0.05


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(conversation):
    again, other = (animate(conversation, seed).conversation for seed in (0, 1))
    for person, same, different in zip(
        conversation.participants, again.participants, other.participants, strict=True
    ):
        assert same.motion.coefficients.tobytes() == person.motion.coefficients.tobytes()
        assert not np.allclose(different.motion.head_rotvec_rad, person.motion.head_rotvec_rad, atol=1e-3)


def test_swapping_the_people_swaps_the_motion(conversation):
    swapped = animate(conversation.swap_roles(), seed=0).conversation
    assert np.array_equal(swapped.a.motion.coefficients, conversation.b.motion.coefficients)
    assert np.array_equal(swapped.b.motion.coefficients, conversation.a.motion.coefficients)
