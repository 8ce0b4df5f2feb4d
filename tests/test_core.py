"""The shared types: round trips through files, layouts, and refused values."""

from dataclasses import replace

import numpy as np
import pytest
from pyannote.core import Segment, Timeline

from dualtalk.core import DUALTALK56, FULL62, Conversation, HeadMotion, Participant
from dualtalk.errors import InputError
from dualtalk.metrics.conversation_summary import spread_sample
from dualtalk.timebase import SAMPLES_PER_FRAME


def motion(frames: int = 20, layout=FULL62, space="open", seed: int = 0) -> HeadMotion:
    rng = np.random.default_rng(seed)
    coefficients = rng.uniform(-0.5, 0.5, (frames, layout.width)).astype(np.float32)
    identity = rng.standard_normal(300).astype(np.float32)
    return HeadMotion(coefficients, space, layout, identity)


def participant(frames: int = 20, seed: int = 0, **changes) -> Participant:
    audio = np.random.default_rng(seed).uniform(-1, 1, frames * SAMPLES_PER_FRAME).astype(np.float32)
    return Participant(audio, Timeline([Segment(0.12, 0.5)]), **changes)


@pytest.mark.parametrize("layout", [DUALTALK56, FULL62])
@pytest.mark.parametrize("space", ["open", "flame"])
def test_motion_round_trip(tmp_path, layout, space):
    before = motion(layout=layout, space=space)
    before.save(tmp_path / "a.npz")
    after = HeadMotion.load(tmp_path / "a.npz")
    assert np.array_equal(after.coefficients, before.coefficients)
    assert np.array_equal(after.identity, before.identity)
    assert (after.space, after.layout) == (before.space, before.layout)


def test_equal_motions_are_saved_as_equal_bytes(tmp_path):
    for name in ("one", "two"):
        motion().save(tmp_path / f"{name}.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_saved_pose_is_head_then_jaw_as_in_published_files(tmp_path):
    before = motion()
    before.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(arrays["pose"][:, :3], before.head_rotvec_rad)
        assert np.array_equal(arrays["pose"][:, 3:], before.jaw_rotvec_rad)


def test_a_published_file_is_in_flame_space_with_the_mean_shape(tmp_path):
    shape = np.stack([np.zeros(100), np.ones(100)]).astype(np.float32)
    pose = np.arange(12, dtype=np.float32).reshape(2, 6) / 10
    np.savez(tmp_path / "x.npz", exp=np.ones((2, 80), np.float32), pose=pose, shape=shape)
    loaded = HeadMotion.load(tmp_path / "x.npz")
    assert (loaded.space, loaded.layout, loaded.frames) == ("flame", DUALTALK56, 2)
    assert np.array_equal(loaded.jaw_rotvec_rad, pose[:, 3:])
    assert np.all(loaded.identity[:100] == 0.5)
    assert not loaded.identity[100:].any()


def test_layout_slices_cover_the_vector_without_overlap():
    for layout in (DUALTALK56, FULL62):
        columns = [c for part in layout.widths for c in range(layout.width)[layout.slice_of(part)]]
        assert columns == list(range(layout.width))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda x: x[:, :-1], "wanted"),
        (lambda x: np.where(np.arange(62) == 3, np.nan, x).astype(np.float32), "NaN"),
        (lambda x: np.where(np.arange(62) == 53, 57.3, x).astype(np.float32), "were degrees passed"),
    ],
)
def test_impossible_motion_is_refused(damage, message):
    with pytest.raises(InputError, match=message):
        HeadMotion(damage(motion().coefficients), "open")


@pytest.mark.parametrize(
    "arrays",
    [
        {"exp": np.zeros((5, 50))},
        {"exp": np.zeros((5, 40)), "pose": np.zeros((5, 6))},
        {"exp": np.zeros((5, 50)), "pose": np.zeros((4, 6))},
        {"exp": np.zeros((5, 50)), "pose": np.zeros((5, 6)), "fps": np.float32(30)},
        {"exp": np.array([{}], dtype=object), "pose": np.zeros((1, 6))},
    ],
)
def test_files_that_are_not_motion_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=r"x\.npz"):
        HeadMotion.load(tmp_path / "x.npz")


def test_conversation_round_trip(tmp_path):
    before = Conversation(participant(seed=1, motion=motion()), participant(seed=2), name="talk")
    before.save(tmp_path / "talk")
    after = Conversation.load(tmp_path / "talk")
    assert after.name == "talk"
    assert np.array_equal(after.b.audio, before.b.audio)
    assert np.array_equal(after.a.motion.coefficients, before.a.motion.coefficients)
    assert after.b.motion is None
    assert after.a.speech == before.a.speech


def test_different_lengths_are_refused():
    with pytest.raises(InputError, match="same length"):
        Conversation(participant(20), participant(21))
    with pytest.raises(InputError, match="frames"):
        Conversation(participant(20, motion=motion(19)), participant(20))


def test_swapping_roles_twice_is_the_identity():
    talk = Conversation(participant(seed=1), participant(seed=2))
    assert talk.swap_roles().a is talk.b
    assert talk.swap_roles().swap_roles().a is talk.a


def test_an_excerpt_keeps_what_lies_in_it_at_times_from_its_start():
    people = [replace(participant(seed=seed), motion=motion(seed=seed)) for seed in (0, 1)]
    part = Conversation(*people).excerpt(0.2, 0.6)
    assert part.frames == 10
    assert np.array_equal(part.a.audio, people[0].audio[5 * SAMPLES_PER_FRAME : 15 * SAMPLES_PER_FRAME])
    assert np.array_equal(part.b.motion.coefficients, people[1].motion.coefficients[5:15])
    assert part.a.speech_segments == [[0.0, 0.3]]
    assert Conversation(*people).excerpt(0.5).frames == 8
    with pytest.raises(InputError, match=r"lasts 0\.8 s"):
        Conversation(*people).excerpt(5.0)


def test_the_speech_that_is_measured_is_spread_over_the_conversation():
    speech = Timeline([Segment(second, second + 0.5) for second in range(100)])
    chosen = spread_sample(speech, 10.0)
    assert sum(span.duration for span in chosen) == pytest.approx(10.0)
    assert chosen[0].start < 10
    assert chosen[-1].start > 90
    assert spread_sample(speech, 1000.0) == speech
