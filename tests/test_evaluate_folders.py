"""Finding and matching predictions and ground truth, baselines, and the metrics of one clip."""

import numpy as np
import pytest
from pyannote.core import Segment, Timeline

from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.errors import InputError
from dualtalk.evaluation.baselines import baseline_motions, fit_length, surrogate_partners
from dualtalk.evaluation.clip_metrics import ReferenceTrack
from dualtalk.evaluation.features import MotionFeatures
from dualtalk.evaluation.loading import (
    ReferencePerson,
    cut_person,
    find_reference,
    find_system,
    match_predictions,
    merged_warnings,
    read_clip,
    read_prediction,
)
from dualtalk.evaluation.registry import METRIC_NAMES, METRICS
from dualtalk.io.clip_files import ClipFiles


def motion(frames: int, seed: int = 0, space: str = "flame") -> HeadMotion:
    rng = np.random.default_rng(seed)
    return HeadMotion(rng.uniform(-0.3, 0.3, (frames, 56)).astype(np.float32), space, DUALTALK56)


@pytest.fixture
def reference(tmp_path):
    folder = tmp_path / "reference"
    folder.mkdir()
    for number, clip in enumerate(("tea_sub_video_1_000", "tea_sub_video_2_000", "walk")):
        for speaker in (1, 2):
            motion(30, 2 * number + speaker).save(folder / f"{clip}_speaker{speaker}.npz")
    return folder


def predicted(folder, *names, frames=30):
    folder.mkdir(exist_ok=True)
    for name in names:
        np.save(folder / f"{name}.npy", motion(frames).coefficients)
    return find_system(folder, folder.name, "partner-given", "test")


def test_the_published_layout_is_found_with_its_dialogues(reference):
    clips = find_reference(reference, "test")
    assert [one.clip for one in clips] == ["tea_sub_video_1_000", "tea_sub_video_2_000", "walk"]
    assert [one.dialogue for one in clips] == ["tea", "tea", "walk"]
    assert all(one.motions[0] and one.motions[1] and not one.waves[0] for one in clips)


def test_a_folder_named_as_the_split_is_searched(reference):
    inner = reference / "test"
    inner.mkdir()
    motion(30).save(inner / "only_speaker1.npz")
    assert [one.clip for one in find_reference(reference, "test")] == ["only"]
    assert len(find_reference(reference, "ood")) == 3


def test_a_store_is_found_by_its_manifest(make_store):
    store = make_store({"test": [30, 40], "train": [30]})
    clips = find_reference(store.root, "test")
    assert [one.clip for one in clips] == ["test000", "test001"]
    people = read_clip(clips[0])
    assert people[0].motion.layout is DUALTALK56
    assert people[0].speech.duration() > 0
    with pytest.raises(InputError, match="no clip in split 'ood'; it has test, train"):
        find_reference(store.root, "ood")


def test_without_rttm_speech_is_detected_by_voice_activity(one_wave_each):
    clip = find_reference(one_wave_each[0].parent, "test")[0]
    people = read_clip(clip)
    assert clip.turns is None
    assert people[0].motion is not None
    assert people[1].motion is None
    assert all(person.speech.duration() > 1 for person in people)


@pytest.mark.parametrize("what", ["reference", "predictions"])
def test_missing_folders_and_empty_folders_are_refused(tmp_path, what):
    empty = tmp_path / "empty"
    empty.mkdir()

    def find(path):
        return (
            find_reference(path, "test") if what == "reference" else find_system(path, "x", "closed-loop", "test")
        )

    with pytest.raises(InputError, match="nothing; wanted"):
        find(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no"):
        find(empty)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file; wanted"):
        find(tmp_path / "file")


def test_unmatched_names_are_listed(reference, tmp_path):
    system = predicted(tmp_path / "ours", "walk_speaker1", "stroll_speaker1")
    pairs, notes = match_predictions(find_reference(reference, "test"), [system])
    assert [(files.clip, people) for files, people in pairs] == [("walk", (0,))]
    assert notes[0] == "ours: left out 1 predictions without a ground truth: stroll_speaker1"
    assert notes[1].startswith("ours: no prediction of 5 people: tea_sub_video_1_000_speaker1, ")


def test_systems_are_compared_on_the_people_whom_all_predict(reference, tmp_path):
    one = predicted(tmp_path / "one", "walk_speaker1", "walk_speaker2")
    two = predicted(tmp_path / "two", "walk_speaker2")
    pairs, notes = match_predictions(find_reference(reference, "test"), [one, two])
    assert [people for _, people in pairs] == [(1,)]
    assert notes[-1] == "measured the 1 people whom all 2 systems predict"


def test_equal_warnings_of_several_systems_are_merged():
    found = [("one", "late"), ("two", "late"), ("three", "late"), ("two", "loud")]
    assert merged_warnings(found, 3) == ["all 3 systems: late", "two: loud"]
    assert merged_warnings(found, 4) == ["one, two, three: late", "two: loud"]
    assert merged_warnings([("one", "late")], 1) == ["one: late"]


def test_no_match_is_an_error(reference, tmp_path):
    system = predicted(tmp_path / "ours", "stroll_speaker1")
    with pytest.raises(
        InputError, match="ours has stroll_speaker1, and the ground truth tea_sub_video_1_000_speaker1"
    ):
        match_predictions(find_reference(reference, "test"), [system])


def test_two_files_for_one_person_are_refused(tmp_path):
    predicted(tmp_path / "ours", "walk_speaker1")
    motion(30).save(tmp_path / "ours" / "walk_speaker1.npz")
    with pytest.raises(InputError, match=r"both walk_speaker1\.npy and walk_speaker1\.npz"):
        find_system(tmp_path / "ours", "ours", "partner-given", "test")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((30, 58), np.float32), "wanted (frame, 56) of float; is it expression 50, jaw 3, head 3?"),
        (np.zeros((1, 30, 56), np.float32), "was a batch axis left on?"),
        (np.zeros((30, 56), int), "of int64; wanted (frame, 56) of float"),
        (np.full((30, 56), np.nan, np.float32), "NaN or infinite value, first in frame 0"),
        (np.full((30, 56), 50, np.float32), "an expression coefficient reaches 50"),
    ],
)
def test_invalid_motion_files_are_refused_by_path(tmp_path, array, message):
    path = tmp_path / "walk_speaker1.npy"
    np.save(path, array)
    with pytest.raises(InputError) as error:
        read_prediction(path, "flame")
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "walk_speaker1.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable npy"):
        read_prediction(path, "flame")


def test_expression_spaces_must_agree(tmp_path):
    path = tmp_path / "walk_speaker1.npz"
    motion(30, space="open").save(path)
    with pytest.raises(InputError, match="in space 'open', the ground truth in 'flame'"):
        read_prediction(path, "flame")
    assert read_prediction(path, "open").frames == 30


def test_times_of_an_excerpt_start_at_its_first_frame():
    person = ReferencePerson(motion(50), np.zeros(50 * 640, np.float32), Timeline([Segment(0.5, 1.5)]), None)
    part = cut_person(person, 25, 50)
    assert part.motion.frames == 25
    assert len(part.audio) == 25 * 640
    assert [tuple(span) for span in part.speech] == [(0.0, 0.5)]


def test_surrogate_partners_are_of_other_dialogues_and_seeded(reference):
    clips = [ClipFiles(f"clip{n}", f"talk{n // 2}", (None, None), (None, None)) for n in range(10)]
    drawn = surrogate_partners(clips, seed=3)
    assert drawn == surrogate_partners(clips, seed=3)
    for clip, others in zip(clips, drawn, strict=True):
        assert len({clip.clip, *(one.clip for one in others)}) == 3
        assert clip.dialogue not in {one.dialogue for one in others}
    assert surrogate_partners(clips[:2]) == [(), ()]


def test_short_motion_is_extended_without_jumps():
    ramp = np.arange(4.0)[:, None] * np.ones(56)
    assert fit_length(ramp, 9)[:, 0].tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert fit_length(ramp[:1], 3)[:, 0].tolist() == [0, 0, 0]


def reference_track(frames=60, partner=True):
    own, other = MotionFeatures(motion(frames, 1), None), MotionFeatures(motion(frames, 2), None)
    foreign = motion(frames, 3).coefficients
    return ReferenceTrack(own, other if partner else None, foreign, foreign, None, None, None)


def test_baselines_agree_with_their_descriptions():
    one = reference_track()
    made = {
        name: (motions, partner_motion)
        for name, motions, partner_motion in baseline_motions(one, np.full(56, 0.5))
    }
    assert list(made) == ["ground truth", "mean pose", "clip mean", "random clip", "mirror", "shuffled partner"]
    assert (made["mean pose"][0] == 0.5).all()
    assert np.allclose(made["clip mean"][0], one.ground_truth.coefficients.mean(axis=0))
    assert made["mirror"][0] is one.partner.coefficients
    assert made["shuffled partner"][0] is one.ground_truth.coefficients
    assert made["shuffled partner"][1] is one.random_clip
    assert "mirror" not in {name for name, *_ in baseline_motions(reference_track(partner=False), np.zeros(56))}


def test_every_computed_metric_is_defined():
    measured = reference_track().metrics(reference_track().ground_truth)
    unlisted = {name for name in measured if name not in METRIC_NAMES}
    assert all(name.rpartition(" ")[0].endswith("of the ground truth") for name in unlisted)
    assert len(set(METRIC_NAMES)) == len(METRICS)


def test_the_ground_truth_has_the_ideal_value_of_every_metric():
    one = reference_track()
    for name, tally in one.metrics(one.ground_truth).items():
        perfect = METRICS[METRIC_NAMES.index(name)].ideal if name in METRIC_NAMES else None
        if perfect is not None and tally.weight:
            assert tally.value == pytest.approx(perfect, abs=1e-9), name


def test_without_a_partner_there_are_no_metrics_of_the_pair():
    alone = reference_track(partner=False)
    figures = alone.metrics(alone.features(motion(60, 5).coefficients))
    assert not figures["P-FD expression"].weight
    assert not figures["rPCC head"].weight
    assert figures["FD expression"].weight
    assert "FRSyn" not in figures


def sampled(folder, *samples, split=""):
    for number, names in enumerate(samples):
        inner = folder / f"sample{number}" / split
        inner.mkdir(parents=True)
        for name in names:
            np.save(inner / f"{name}.npy", motion(30, number).coefficients)
    return folder


@pytest.mark.parametrize("split", ["", "test"])
def test_samples_are_found_in_numbered_folders(tmp_path, split):
    names = ["walk_speaker1", "walk_speaker2"]
    folder = sampled(tmp_path / "ours", *[names] * 11, split=split)
    system = find_system(folder, "ours", "closed-loop", "test")
    assert system.samples == 11
    assert set(system.files) == {("walk", 0), ("walk", 1)}
    found = [path.relative_to(folder).parts[0] for path in system.files["walk", 1]]
    assert found == [f"sample{number}" for number in range(11)]


@pytest.mark.parametrize(
    ("samples", "loose", "message"),
    [
        ([["walk_speaker1"]], (), "one sample, sample0; wanted two or more"),
        ([["walk_speaker1"], ["walk_speaker2"]], (), "sample1 has no walk_speaker1, which sample0 has"),
        ([["walk_speaker1"], ["tea_speaker1", "walk_speaker1"]], (), "sample0 has no tea_speaker1, which sample1"),
        ([["walk_speaker1"], []], (), "sample1 holds no predictions"),
        ([["walk_speaker1"]] * 2, ("walk_speaker1",), "sample0 and, beside it, walk_speaker1.npy"),
    ],
)
def test_inconsistent_samples_are_refused(tmp_path, samples, loose, message):
    folder = sampled(tmp_path / "ours", *samples)
    for name in loose:
        np.save(folder / f"{name}.npy", motion(30).coefficients)
    with pytest.raises(InputError, match=message) as error:
        find_system(folder, "ours", "partner-given", "test")
    assert "\n" not in str(error.value)
