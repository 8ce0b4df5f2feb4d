"""Roles, pooling, and injected defects at role transitions, which the metrics must rank by size.

The rule-based animator generates the motion from synthetic voice features. Motion of another seed is the
reference.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyannote.core import Segment, Timeline
from scipy.stats import bootstrap

from dualtalk.animator import listening, rules
from dualtalk.animator.voice_features import VoiceFeatures, phrases_of
from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import speaking_frames
from dualtalk.errors import InputError
from dualtalk.evaluation.features import MeshRegions, MotionFeatures
from dualtalk.evaluation.turn_metrics import turn_metrics
from dualtalk.head import load_head
from dualtalk.metrics import kinematics, turn_timing, turn_transitions
from dualtalk.metrics.bootstrap import WeightedMean, pooled_estimate
from dualtalk.metrics.events import find_swings
from dualtalk.metrics.turn_transitions import ROLES, Roles, windows
from dualtalk.timebase import MOTION_FPS

FRAMES = 1500
DIALOGUES = 3
SPANS = st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.05, 8.0)), max_size=8)


def timeline(spans) -> Timeline:
    return Timeline([Segment(start, start + length) for start, length in spans])


def talk(rng: np.random.Generator) -> tuple[Timeline, Timeline]:
    """Turns of one to three phrases, with gaps, overlaps and occasional backchannels."""
    spans, time_s, who = ([], []), 1.0, 0
    while time_s < FRAMES / MOTION_FPS - 12:
        for _ in range(rng.integers(1, 4)):
            length_s = rng.uniform(1.0, 3.0)
            spans[who].append((time_s, length_s))
            time_s += length_s + rng.uniform(0.3, 0.6)
        if rng.random() < 0.5:
            spans[1 - who].append((time_s - 2.0, 0.4))
        time_s += rng.uniform(-0.7, 0.4)
        who = 1 - who
    return timeline(spans[0]), timeline(spans[1])


def voice(speech: Timeline, rng: np.random.Generator) -> VoiceFeatures:
    speaks = speaking_frames(speech, FRAMES)
    phonemes = [
        Phoneme(rng.choice(["m", "t"]) if index % 2 == 0 else "ɑ", start_s, start_s + 0.1, 1.0)
        for span in speech.support(0.1)
        for index, start_s in enumerate(np.arange(span.start, span.end - 0.1, 0.1).tolist())
    ]
    return VoiceFeatures(
        loudness_db=np.where(speaks, rng.normal(0, 3, FRAMES), -40.0),
        pitch_semitones=np.where(speaks, 0.0, np.nan),
        speaking=speaks,
        phrases=phrases_of(speech, FRAMES),
        phonemes=tuple(phonemes),
    )


def acted(voices: list[VoiceFeatures], seed: int) -> tuple[MotionFeatures, MotionFeatures]:
    mesh, people = MeshRegions.of(load_head("open")), []
    for own, partner in ((0, 1), (1, 0)):
        rng = np.random.default_rng([seed, own])
        motion = rules.generate_motion(voices[own], listening.backchannels(voices[own], voices[partner], rng), rng)
        people.append(MotionFeatures(motion, mesh))
    return people[0], people[1]


@pytest.fixture(scope="module")
def dialogues():
    """(roles, reference of both, clean prediction of both) of each dialogue."""
    made = []
    for number in range(DIALOGUES):
        rng = np.random.default_rng(number)
        speech = talk(rng)
        voices = [voice(one, rng) for one in speech]
        made.append((Roles(*speech, FRAMES), acted(voices, number), acted(voices, 100 + number)))
    return made


def figures_of(dialogues, damage=lambda roles, made, number, person: made) -> dict[str, float]:
    """Pooled metrics after `damage` is applied to the prediction."""
    sums = []
    for number, (sides, own, made) in enumerate(dialogues):
        people = [
            turn_metrics(side, own[person], damage(side, made, number, person)[person])
            for person, side in enumerate((sides, sides.swapped))
        ]
        sums.append({name: people[0][name] + people[1][name] for name in people[0]})
    return {name: pooled_estimate([one[name] for one in sums]).value for name in sums[0]}


def changed(made, person: int, **changes):
    """Both people's features, with some features of one person replaced."""
    people = list(made)
    people[person] = MotionFeatures(made[person].motion, made[person].mesh)
    vars(people[person]).update({**vars(made[person]), **changes})
    return people


def with_head(made, person: int, head: np.ndarray):
    return changed(made, person, parts={**made[person].parts, "head": head.astype(np.float32)})


def test_a_perfect_prediction_has_the_known_scores(dialogues):
    found = figures_of([(sides, own, own) for sides, own, _ in dialogues])
    for name, value in found.items():
        if name.endswith(("speed ratio", "jerk ratio")):
            assert value == 1, name
        elif name.endswith("FD"):
            assert value == pytest.approx(0, abs=1e-10), name
        elif name.endswith("error"):
            assert value == pytest.approx(0, abs=1e-12), name
        elif f"{name} of the ground truth" in found:
            assert value == found[f"{name} of the ground truth"], name


def test_clean_motion_is_near_perfect(dialogues):
    found = figures_of(dialogues)
    assert found["mouth open lag error"] < 0.03
    assert found["mouth close lag error"] < 0.03
    assert found["mouth speed in silence"] < 0.0005
    assert found["nod–pause phase locking (PPC)"] > 0.3
    assert found["listening: head speed ratio"] == pytest.approx(1, abs=0.15)
    assert found["turn onset: head peak jerk ratio"] == pytest.approx(1, abs=0.3)


def test_a_jump_at_the_turn_onset_is_ranked_by_size(dialogues):
    def with_jumps(size_rad):
        def damage(side, made, number, person):
            head = made[person].parts["head"].astype(np.float64)
            for frame in side.frames_of("turn onset"):
                head[frame:, 1] += size_rad * np.exp(-np.arange(len(head) - frame) / 25)
            return with_head(made, person, head)

        return figures_of(dialogues, damage)

    found = [with_jumps(size_rad) for size_rad in (0.0, 0.03, 0.1, 0.3)]
    for name in (
        "turn onset: head peak jerk ratio",
        "turn onset: head jerk ratio",
        "turn onset: head error",
        "head error transition/steady-state ratio",
    ):
        assert (np.diff([one[name] for one in found]) > 0).all(), name
    assert found[1]["turn onset: head peak jerk ratio"] > 2
    assert found[3]["turn onset: expression jerk ratio"] == found[0]["turn onset: expression jerk ratio"]


def test_mouth_lags_measure_a_delay(dialogues):
    def late(frames):
        def damage(side, made, number, person):
            return changed(made, person, lip_gap_m=np.roll(made[person].lip_gap_m, frames))

        return figures_of(dialogues, damage)

    found = [late(frames) for frames in (0, 2, 5, 8)]
    for name in ("mouth open lag error", "mouth close lag error"):
        assert (np.diff([one[name] for one in found]) > 0).all(), name
    assert found[3]["mouth speed in silence"] > found[0]["mouth speed in silence"]
    for name in ("mouth open lag", "mouth close lag"):
        assert found[2][name] - found[0][name] == pytest.approx(0.2, abs=0.02)
    early = late(-5)
    assert early["mouth open lag"] - found[0]["mouth open lag"] == pytest.approx(-0.2, abs=0.02)
    assert early["mouth open lag error"] == pytest.approx(0.2, abs=0.03)


def test_a_frozen_listener_is_ranked_by_its_degree(dialogues):
    def frozen(share):
        def damage(side, made, number, person):
            head = made[person].parts["head"]
            moving = np.where(side.own_speaks, 1.0, 1.0 - share)[:, None]
            return with_head(made, person, np.cumsum(moving * np.diff(head, axis=0, prepend=head[:1]), axis=0))

        return figures_of(dialogues, damage)

    found = [frozen(share) for share in (0.0, 0.4, 0.5, 1.0)]
    assert (np.diff([one["listening: head speed ratio"] for one in found]) < 0).all()
    assert (np.diff([one["nod rate"] for one in found]) < 0).all()
    assert found[3]["listening: head speed ratio"] < 0.03
    assert found[3]["speaking: head speed ratio"] == pytest.approx(
        found[0]["speaking: head speed ratio"], rel=0.01
    )
    assert found[2]["turn offset: head speed ratio"] < found[0]["turn offset: head speed ratio"]


def test_swapped_people_are_ranked_by_their_number(dialogues):
    def swapped(count):
        def damage(side, made, number, person):
            return made[::-1] if number < count else made

        return figures_of(dialogues, damage)

    found = [swapped(count) for count in range(DIALOGUES + 1)]
    for name in ("mouth speed in silence", "mouth open lag error", "speaking: jaw error"):
        assert (np.diff([one[name] for one in found]) > 0).all(), name


def test_a_listener_from_another_dialogue_has_no_phase_locking(dialogues):
    def of_another_dialogue(side, made, number, person):
        return dialogues[(number + 1) % DIALOGUES][2]

    clean, mismatched = figures_of(dialogues), figures_of(dialogues, of_another_dialogue)
    name = "nod–pause phase locking (PPC)"
    assert mismatched[name] < 0.5 * clean[name]
    assert mismatched["nod phase error"] > clean["nod phase error"]


def test_metrics_without_data_are_nan(dialogues):
    _, own, made = dialogues[0]
    nobody = Roles(Timeline(), Timeline(), FRAMES)
    found = turn_metrics(nobody, own[0], made[0])
    assert np.isnan(found["mouth open lag error"].value)
    assert np.isnan(found["speaking: head error"].value)
    assert np.isnan(found["overlap onset: jaw peak jerk ratio"].value)
    assert found["mutual silence: head error"].value > 0
    alone = Roles(timeline([(0.0, 60.0)]), Timeline(), FRAMES)
    assert np.isnan(turn_metrics(alone, own[0], made[0])["mouth close lag"].value)
    with pytest.raises(InputError, match="cut to the shorter"):
        turn_metrics(replace(nobody, frames=FRAMES - 1), own[0], made[0])


def test_still_lips_have_the_extreme_lags(dialogues):
    sides, _, _ = dialogues[0]
    still = np.full(FRAMES, 0.004)
    opened, closed = (f(still, sides) for f in (turn_timing.mouth_open_lags_s, turn_timing.mouth_close_lags_s))
    assert set(opened[np.isfinite(opened)]) == {turn_timing.MAX_LAG_S}
    assert set(closed[np.isfinite(closed)]) == {turn_timing.MIN_LAG_S}


def test_lags_ignore_offset_and_scale_of_the_aperture(dialogues):
    sides, own, _ = dialogues[0]
    gap = own[0].lip_gap_m.astype(np.float64)
    for lags_of in (turn_timing.mouth_open_lags_s, turn_timing.mouth_close_lags_s):
        assert lags_of(0.7 * gap + 0.003, sides) == pytest.approx(lags_of(gap, sides), nan_ok=True)


def test_silent_mouth_speed_counts_silent_frames_only():
    silent = np.arange(100) >= 50
    opening = np.where(silent, 0.001 * (np.arange(100) % 2), 0.02 * np.arange(100) / 100)
    assert turn_timing.silent_mouth_speed(opening, silent).value == pytest.approx(0.025)
    assert turn_timing.silent_mouth_speed(np.where(silent, 0.0, opening), silent).value == 0
    assert np.isnan(turn_timing.silent_mouth_speed(opening, np.zeros(100, bool)).value)


def test_ratios_to_a_still_reference_are_not_measured():
    still, moving = np.zeros((60, 3)), np.random.default_rng(0).standard_normal((60, 3))
    everywhere = np.ones(60, bool)
    for ratio in (turn_transitions.speed_ratio, turn_transitions.jerk_ratio):
        assert ratio(still, moving, everywhere) == WeightedMean()
        assert ratio(moving, still, everywhere).value == 0
        assert ratio(moving, 3 * moving, everywhere).value == pytest.approx(3)
    assert turn_transitions.transition_to_steady_ratio(np.arange(60) / 60, np.arange(60) >= 30).value > 2
    assert turn_transitions.transition_to_steady_ratio(np.zeros(60), np.arange(60) >= 30) == WeightedMean()


def test_phase_locking_is_the_mean_cosine_of_pairs_and_zero_by_chance():
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 9)
    pairs = np.mean([np.cos(a - b) for a, b in combinations(angles, 2)])
    assert turn_timing.phase_locking(np.exp(1j * angles)).value == pytest.approx(pairs)
    assert turn_timing.phase_locking(np.full(5, 1j)).value == pytest.approx(1)
    chance = [turn_timing.phase_locking(np.exp(2j * np.pi * rng.random(4))).value for _ in range(3000)]
    assert np.mean(chance) == pytest.approx(0, abs=0.03)
    assert np.isnan(turn_timing.phase_locking(np.ones(1, complex)).value)


def test_phases_are_positions_between_pauses():
    sides = Roles(Timeline(), timeline([(0.0, 2.0), (3.0, 3.0), (7.0, 3.0)]), 500)
    nods = np.array([20, 50, 100, 149, 200, 260])
    assert np.angle(turn_timing.pause_phases(nods, sides)) == pytest.approx(
        [0.01 * np.pi, -0.99 * np.pi, -0.01 * np.pi, 2 * np.pi * 2.02 / 4 - 2 * np.pi], abs=1e-9
    )
    assert turn_timing.nod_rate(nods, sides).value == pytest.approx(18 / 60)


def test_blink_rate_over_all_frames_agrees_with_kinematics():
    lids = (np.random.default_rng(0).random(500) < 0.05).astype(float)
    everywhere = np.ones(500, bool)
    assert turn_timing.blink_rate(lids, everywhere).value == pytest.approx(kinematics.blinks_a_minute(lids) / 60)
    first, second = (np.arange(500) < 250, np.arange(500) >= 250)
    halves = turn_timing.blink_rate(lids, first) + turn_timing.blink_rate(lids, second)
    assert halves.value == pytest.approx(kinematics.blinks_a_minute(lids) / 60)


def test_nods_of_the_animator_are_detected():
    injected, found, matched = 0, 0, 0
    for number in range(8):
        rng = np.random.default_rng(number)
        voices = [voice(one, rng) for one in talk(rng)]
        events = listening.backchannels(*voices, rng)
        head = rules.generate_motion(voices[0], events, rng).head_rotvec_rad
        starts = np.array([event.frame for event in events if event.kind == "nod" and event.strength > 0.6])
        nods = [swing for swing in find_swings(head) if swing.kind == "nod"]
        injected, found = injected + len(starts), found + len(nods)
        matched += sum(any(nod.first - 12 <= start < nod.end for nod in nods) for start in starts)
    assert injected > 20
    assert matched / injected > 0.8
    assert found < 3 * injected


@given(SPANS, SPANS)
def test_every_frame_has_one_role_and_roles_swap(a, b):
    sides = Roles(timeline(a), timeline(b), FRAMES)
    masks = [sides.mask(role) for role in ROLES]
    assert (np.sum(masks, axis=0) == 1).all()
    assert (sides.mask("speaking") == sides.swapped.mask("listening")).all()
    assert not (sides.own_silence & sides.own_speaks).any()


def test_transitions_of_a_known_dialogue():
    a = timeline([(1.0, 4.0), (9.0, 2.0)])
    b = timeline([(3.0, 0.4), (5.2, 4.0)])
    sides = Roles(a, b, 300)
    assert [(one.kind, round(one.time_s, 3)) for one in sides.transitions] == [
        ("turn offset", 5.0),
        ("turn onset", 9.0),
        ("overlap onset", 9.0),
    ]
    assert [(one.kind, round(one.time_s, 3)) for one in sides.swapped.transitions] == [
        ("backchannel", 3.0),
        ("turn onset", 5.2),
        ("overlap onset", 9.0),
        ("turn offset", 9.2),
    ]
    assert sides.frames_of("turn onset").tolist() == [225]
    assert Roles(a, b, 230).frames_of("turn onset").tolist() == []
    assert windows(np.array([225])).tolist() == [list(range(213, 238))]


def test_weighted_means_add_and_refuse_nan():
    assert (WeightedMean(1.0, 2.0) + WeightedMean(3.0, 2.0)).value == 1
    assert WeightedMean.of([1.0, np.nan, 3.0]).value == 2
    assert np.isnan(WeightedMean().value)
    with pytest.raises(InputError, match="finite"):
        WeightedMean(np.nan, 1.0)


def test_intervals_agree_with_scipys_bootstrap():
    rng = np.random.default_rng(0)
    weight = rng.uniform(1, 5, 60)
    total = weight * rng.normal(2, 1, 60)
    found = pooled_estimate([WeightedMean(*pair) for pair in zip(total.tolist(), weight.tolist(), strict=True)])
    theirs = bootstrap(
        (total, weight),
        lambda t, w, axis: t.sum(axis) / w.sum(axis),
        paired=True,
        method="percentile",
        n_resamples=2000,
        rng=1,
    ).confidence_interval
    assert found.value == pytest.approx(total.sum() / weight.sum())
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=0.04)
    assert found.low < found.value < found.high


def test_few_dialogues_have_no_interval():
    assert np.isnan(pooled_estimate([]).value)
    one = pooled_estimate([WeightedMean(2.0, 1.0), WeightedMean()])
    assert (one.value, one.dialogues) == (2, 1)
    assert np.isnan(one.low)
    same = pooled_estimate([WeightedMean(2.0, 1.0)] * 5)
    assert (same.low, same.high) == (2, 2)
