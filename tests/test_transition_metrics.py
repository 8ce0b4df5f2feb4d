"""Laws of roles and tallies; and planted damage at role changes, which the figures must rank above clean motion.

Clean motion is the animator's, of made-up voices; another of its seeds stands for the reference.
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
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.metrics import kinematics as life
from dualtalk.metrics import roles
from dualtalk.metrics import turn_transitions as transitions
from dualtalk.metrics.bootstrap import Tally, over_dialogues
from dualtalk.metrics.events import find_swings
from dualtalk.metrics.roles import Roles
from dualtalk.metrics.transition_summary import (
    Performance,
    dialogue_figures,
    pooled_figures,
    transition_figures,
)
from dualtalk.timebase import MOTION_FPS

FRAMES = 1500
DIALOGUES = 3
SPANS = st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.05, 8.0)), max_size=8)


def timeline(spans) -> Timeline:
    return Timeline([Segment(start, start + length) for start, length in spans])


def talk(rng: np.random.Generator) -> tuple[Timeline, Timeline]:
    """Turns of one to three phrases, with gaps, overlaps and now and then a backchannel."""
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
    speaks = roles.speaking_frames(speech, FRAMES)
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


def acted(voices: list[VoiceFeatures], seed: int) -> tuple[Performance, Performance]:
    head, people = load_head("open"), []
    for own, partner in ((0, 1), (1, 0)):
        rng = np.random.default_rng([seed, own])
        motion = rules.generate_motion(voices[own], listening.backchannels(voices[own], voices[partner], rng), rng)
        people.append(Performance.of(motion, head))
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
    """Pooled figures once `damage` has been done to the prediction."""
    tallies = []
    for number, (sides, own, made) in enumerate(dialogues):
        people = [
            transition_figures(side, own[person], damage(side, made, number, person)[person])
            for person, side in enumerate((sides, sides.swapped))
        ]
        tallies.append(dialogue_figures(*people))
    return {name: estimate.value for name, estimate in pooled_figures(tallies).items()}


def changed(made, person: int, **changes):
    people = list(made)
    people[person] = replace(made[person], **changes)
    return people


def with_head(made, person: int, head: np.ndarray):
    return changed(made, person, parts={**made[person].parts, "head": head.astype(np.float32)})


def test_a_perfect_prediction_has_the_known_scores(dialogues):
    found = figures_of([(sides, own, own) for sides, own, _ in dialogues])
    for name, value in found.items():
        if "ratio" in name:
            assert value == 1, name
        elif name.endswith("FD"):
            assert value == pytest.approx(0, abs=1e-10), name
        elif name.endswith("error"):
            assert value == pytest.approx(0, abs=1e-12), name
        elif f"{name} of the reference" in found:
            assert value == found[f"{name} of the reference"], name


def test_clean_motion_is_near_perfect(dialogues):
    found = figures_of(dialogues)
    assert found["mouth open lag error"] < 0.03
    assert found["mouth close lag error"] < 0.03
    assert found["mouth speed in silence"] < 0.5
    assert found["nods locked to the partner's pauses"] > 0.3
    assert found["listening: head speed ratio"] == pytest.approx(1, abs=0.15)
    assert found["listen to speak: head sharpest jerk ratio"] == pytest.approx(1, abs=0.3)


def test_a_pop_at_the_switch_is_ranked_by_size(dialogues):
    def popped(size_rad):
        def damage(side, made, number, person):
            head = made[person].parts["head"].astype(np.float64)
            for frame in side.frames_of("listen to speak"):
                head[frame:, 1] += size_rad * np.exp(-np.arange(len(head) - frame) / 25)
            return with_head(made, person, head)

        return figures_of(dialogues, damage)

    found = [popped(size_rad) for size_rad in (0.0, 0.03, 0.1, 0.3)]
    for name in (
        "listen to speak: head sharpest jerk ratio",
        "listen to speak: head jerk ratio",
        "listen to speak: head error",
        "head error, transition to steady",
    ):
        assert (np.diff([one[name] for one in found]) > 0).all(), name
    assert found[1]["listen to speak: head sharpest jerk ratio"] > 2
    assert found[3]["listen to speak: expression jerk ratio"] == found[0]["listen to speak: expression jerk ratio"]


def test_a_late_mouth_is_late_by_as_much(dialogues):
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


def test_a_frozen_listener_is_found(dialogues):
    def frozen(share):
        def damage(side, made, number, person):
            head = made[person].parts["head"]
            moving = np.where(side.own_speaks, 1.0, 1.0 - share)[:, None]
            return with_head(made, person, np.cumsum(moving * np.diff(head, axis=0, prepend=head[:1]), axis=0))

        return figures_of(dialogues, damage)

    found = [frozen(share) for share in (0.0, 0.4, 0.8, 1.0)]
    assert (np.diff([one["listening: head speed ratio"] for one in found]) < 0).all()
    assert (np.diff([one["nods a minute"] for one in found]) < 0).all()
    assert found[3]["listening: head speed ratio"] < 0.03
    assert found[3]["speaking: head speed ratio"] == pytest.approx(
        found[0]["speaking: head speed ratio"], rel=0.01
    )
    assert found[2]["speak to listen: head speed ratio"] < found[0]["speak to listen: head speed ratio"]


def test_swapped_people_are_ranked_by_how_many(dialogues):
    def swapped(count):
        def damage(side, made, number, person):
            return made[::-1] if number < count else made

        return figures_of(dialogues, damage)

    found = [swapped(count) for count in range(DIALOGUES + 1)]
    for name in ("mouth speed in silence", "mouth open lag error", "speaking: jaw error"):
        assert (np.diff([one[name] for one in found]) > 0).all(), name


def test_a_listener_to_another_dialogue_answers_no_pauses(dialogues):
    def elsewhere(side, made, number, person):
        return dialogues[(number + 1) % DIALOGUES][2]

    clean, strange = figures_of(dialogues), figures_of(dialogues, elsewhere)
    name = "nods locked to the partner's pauses"
    assert strange[name] < 0.5 * clean[name]
    assert strange["phase of nods, error"] > clean["phase of nods, error"]


def test_nothing_to_measure_is_nan(dialogues):
    _, own, made = dialogues[0]
    nobody = Roles(Timeline(), Timeline(), FRAMES)
    found = transition_figures(nobody, own[0], made[0])
    assert np.isnan(found["mouth open lag error"].value)
    assert np.isnan(found["speaking: head error"].value)
    assert np.isnan(found["overlap: jaw sharpest jerk ratio"].value)
    assert found["nobody speaks: head error"].value > 0
    alone = Roles(timeline([(0.0, 60.0)]), Timeline(), FRAMES)
    assert np.isnan(transition_figures(alone, own[0], made[0])["mouth close lag"].value)
    with pytest.raises(InputError, match="cut to the shorter"):
        transition_figures(replace(nobody, frames=FRAMES - 1), own[0], made[0])


def test_still_lips_never_open_and_are_never_late_to_close(dialogues):
    sides, _, _ = dialogues[0]
    still = np.full(FRAMES, 0.004)
    opened, closed = (f(still, sides) for f in (transitions.mouth_open_lags_s, transitions.mouth_close_lags_s))
    assert set(opened[np.isfinite(opened)]) == {transitions.LATEST_S}
    assert set(closed[np.isfinite(closed)]) == {transitions.EARLIEST_S}


def test_lags_are_blind_to_rest_and_size_of_the_mouth(dialogues):
    sides, own, _ = dialogues[0]
    gap = own[0].lip_gap_m.astype(np.float64)
    for lags_of in (transitions.mouth_open_lags_s, transitions.mouth_close_lags_s):
        assert lags_of(0.7 * gap + 0.003, sides) == pytest.approx(lags_of(gap, sides), nan_ok=True)


def test_a_mouth_that_moves_in_silence_is_measured():
    silent = np.arange(100) >= 50
    opening = np.where(silent, 0.001 * (np.arange(100) % 2), 0.02 * np.arange(100) / 100)
    assert transitions.silent_mouth_speed(opening, silent).value == pytest.approx(25)
    assert transitions.silent_mouth_speed(np.where(silent, 0.0, opening), silent).value == 0
    assert np.isnan(transitions.silent_mouth_speed(opening, np.zeros(100, bool)).value)


def test_a_still_reference_says_nothing_of_speed():
    still, moving = np.zeros((60, 3)), np.random.default_rng(0).standard_normal((60, 3))
    everywhere = np.ones(60, bool)
    for ratio in (transitions.speed_ratio, transitions.jerk_ratio):
        assert ratio(still, moving, everywhere) == Tally()
        assert ratio(moving, still, everywhere).value == 0
        assert ratio(moving, 3 * moving, everywhere).value == pytest.approx(3)
    assert transitions.transition_to_steady(np.arange(60) / 60, np.arange(60) >= 30).value > 2
    assert transitions.transition_to_steady(np.zeros(60), np.arange(60) >= 30) == Tally()


def test_phase_locking_is_the_mean_cosine_of_pairs_and_nothing_by_chance():
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 9)
    pairs = np.mean([np.cos(a - b) for a, b in combinations(angles, 2)])
    assert transitions.phase_locking(np.exp(1j * angles)).value == pytest.approx(pairs)
    assert transitions.phase_locking(np.full(5, 1j)).value == pytest.approx(1)
    chance = [transitions.phase_locking(np.exp(2j * np.pi * rng.random(4))).value for _ in range(3000)]
    assert np.mean(chance) == pytest.approx(0, abs=0.03)
    assert np.isnan(transitions.phase_locking(np.ones(1, complex)).value)


def test_phases_are_places_between_pauses():
    sides = Roles(Timeline(), timeline([(0.0, 2.0), (3.0, 3.0), (7.0, 3.0)]), 500)
    nods = np.array([20, 50, 100, 149, 200, 260])
    assert np.angle(transitions.pause_phases(nods, sides)) == pytest.approx(
        [0.01 * np.pi, -0.99 * np.pi, -0.01 * np.pi, 2 * np.pi * 2.02 / 4 - 2 * np.pi], abs=1e-9
    )
    assert transitions.nod_rate(nods, sides).value == pytest.approx(18)


def test_blinks_over_all_frames_are_those_of_life():
    lids = (np.random.default_rng(0).random(500) < 0.05).astype(float)
    everywhere = np.ones(500, bool)
    assert transitions.blink_rate(lids, everywhere).value == pytest.approx(life.blinks_a_minute(lids))
    first, second = (np.arange(500) < 250, np.arange(500) >= 250)
    halves = transitions.blink_rate(lids, first) + transitions.blink_rate(lids, second)
    assert halves.value == pytest.approx(life.blinks_a_minute(lids))


def test_nods_that_the_animator_meant_are_found():
    meant, found, matched = 0, 0, 0
    for number in range(8):
        rng = np.random.default_rng(number)
        voices = [voice(one, rng) for one in talk(rng)]
        answers = listening.backchannels(*voices, rng)
        head = rules.generate_motion(voices[0], answers, rng).head_rotvec_rad
        starts = np.array([event.frame for event in answers if event.kind == "nod" and event.strength > 0.6])
        nods = [swing for swing in find_swings(head) if swing.kind == "nod"]
        meant, found = meant + len(starts), found + len(nods)
        matched += sum(any(nod.first - 12 <= start < nod.end for nod in nods) for start in starts)
    assert meant > 20
    assert matched / meant > 0.8
    assert found < 3 * meant


@given(SPANS, SPANS)
def test_roles_share_out_all_frames_and_swap(a, b):
    sides = Roles(timeline(a), timeline(b), FRAMES)
    masks = [sides.mask(role) for role in roles.ROLES]
    assert (np.sum(masks, axis=0) == 1).all()
    assert (sides.mask("speaking") == sides.swapped.mask("listening")).all()
    assert not (sides.own_silence & sides.own_speaks).any()


def test_transitions_of_a_known_talk():
    a = timeline([(1.0, 4.0), (9.0, 2.0)])
    b = timeline([(3.0, 0.4), (5.2, 4.0)])
    sides = Roles(a, b, 300)
    assert [(one.kind, round(one.time_s, 3)) for one in sides.transitions] == [
        ("speak to listen", 5.0),
        ("listen to speak", 9.0),
        ("overlap", 9.0),
    ]
    assert [(one.kind, round(one.time_s, 3)) for one in sides.swapped.transitions] == [
        ("backchannel", 3.0),
        ("listen to speak", 5.2),
        ("overlap", 9.0),
        ("speak to listen", 9.2),
    ]
    assert sides.frames_of("listen to speak").tolist() == [225]
    assert Roles(a, b, 230).frames_of("listen to speak").tolist() == []
    assert roles.windows(np.array([225])).tolist() == [list(range(213, 238))]


def test_tallies_add_and_refuse_nan():
    assert (Tally(1.0, 2.0) + Tally(3.0, 2.0)).value == 1
    assert Tally.mean_of([1.0, np.nan, 3.0]).value == 2
    assert np.isnan(Tally().value)
    with pytest.raises(InputError, match="finite"):
        Tally(np.nan, 1.0)


def test_intervals_are_those_of_scipys_bootstrap():
    rng = np.random.default_rng(0)
    weight = rng.uniform(1, 5, 60)
    total = weight * rng.normal(2, 1, 60)
    found = over_dialogues([Tally(*pair) for pair in zip(total.tolist(), weight.tolist(), strict=True)])
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
    assert np.isnan(over_dialogues([]).value)
    one = over_dialogues([Tally(2.0, 1.0), Tally()])
    assert (one.value, one.dialogues) == (2, 1)
    assert np.isnan(one.low)
    same = over_dialogues([Tally(2.0, 1.0)] * 5)
    assert (same.low, same.high) == (2, 2)
