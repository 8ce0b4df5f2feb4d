"""Laws of event detection in motion and of event matching."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualtalk.animator.curves import add_nod
from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.head.blendshapes import ARKIT_UNITS, motion_from_arkit
from dualtalk.metrics import events
from dualtalk.metrics.events import FaceEvent, match_onsets
from dualtalk.timebase import MOTION_FPS

NOD_FRAMES = (50, 150, 300)


def nodding(axis: int = 0, late: int = 0, height: float = 0.12) -> np.ndarray:
    head = np.zeros((400, 3))
    for frame in NOD_FRAMES:
        add_nod(head[:, axis], frame + late, cycles=2.0, rate_hz=2.2, height=height)
    return head + np.array([0.2, -0.3, 0.1])


def face(**levels: float) -> dict[str, np.ndarray]:
    """Blendshape curves: 0, except for the given levels from frame 20 to frame 60."""
    arkit = np.zeros((100, 52), np.float32)
    for unit, level in levels.items():
        arkit[20:60, ARKIT_UNITS.index(unit)] = level
    return events.unit_curves(motion_from_arkit(arkit))


@pytest.mark.parametrize(("axis", "kind"), [(0, "nod"), (1, "shake")])
def test_nods_and_shakes_are_found_at_their_frames(axis, kind):
    found = events.find_swings(nodding(axis))
    assert [event.kind for event in found] == [kind] * 3
    for event, frame in zip(found, NOD_FRAMES, strict=True):
        # A filter with a bandwidth of a few hertz locates an edge only to a fraction of a second.
        assert abs(event.first - frame) <= 8
        assert event.first < frame + 12 < event.end


def test_sway_and_still_motion_have_no_nods():
    seconds = np.arange(400) / MOTION_FPS
    sway = 0.1 * np.sin(2 * np.pi * 0.15 * seconds)[:, None] * np.ones(3)
    for head in (sway, np.zeros((400, 3)), nodding(2), nodding(height=0.01), np.zeros((5, 3))):
        assert events.find_swings(head) == ()


@pytest.mark.parametrize(
    ("kinds", "levels"),
    [
        (["smile"], {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5}),
        ([], {"mouthSmileLeft": 0.5}),
        (
            ["laugh", "smile"],
            dict.fromkeys(["mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight"], 0.7)
            | {"jawOpen": 0.4},
        ),
        (["frown"], {"browDownLeft": 0.6, "browDownRight": 0.6}),
        (["frown"], {"mouthFrownLeft": 0.6, "mouthFrownRight": 0.6}),
        (
            ["surprise"],
            dict.fromkeys(["browInnerUp", "browOuterUpLeft", "browOuterUpRight"], 0.8)
            | {"eyeWideLeft": 0.5, "eyeWideRight": 0.5},
        ),
        ([], {"browInnerUp": 0.8, "browOuterUpLeft": 0.8, "browOuterUpRight": 0.8}),
        ([], {"jawOpen": 1.0}),
    ],
)
def test_face_events_are_found_from_their_blendshapes(kinds, levels):
    found = events.find_events(np.zeros((100, 3)), face(**levels))
    assert [event.kind for event in found] == kinds
    assert {(event.first, event.end) for event in found} <= {(20, 60)}


def test_motion_without_arkit_blendshapes_is_refused():
    with pytest.raises(InputError, match="flame"):
        events.unit_curves(HeadMotion(np.zeros((5, 62), np.float32), "flame"))
    with pytest.raises(InputError, match="are the names ARKit's"):
        events.face_level("smile", {"mouthSmileLeft": np.zeros(5)})


def test_a_perfect_prediction_matches_all_events():
    found = events.find_events(nodding())
    match = events.match_events(found, found)
    assert (match.f1, match.mean_iou, match.timing_deviation_s) == (1, 1, 0)


def test_f1_is_nan_without_events_and_zero_without_matches():
    found = events.find_events(nodding())
    assert np.isnan(events.match_events([], []).f1)
    for match in (events.match_events(found, []), events.match_events([], found)):
        assert match.f1 == 0
        assert np.isnan(match.mean_iou)
        assert np.isnan(match.timing_deviation_s)


def test_iou_falls_with_delay_and_early_events_cost_twice_as_much():
    own = events.find_events(nodding())
    matches = [events.match_events(own, events.find_events(nodding(late=late))) for late in range(0, 16, 3)]
    ious = [match.mean_iou for match in matches if match.matched]
    assert (np.diff(ious) < 0).all()
    assert matches[-1].f1 == 0
    deviations = [match.timing_deviation_s for match in matches if match.matched]
    assert deviations == pytest.approx(0.12 * np.arange(len(deviations)), abs=0.021)
    early = events.match_events(own, events.find_events(nodding(late=-3)))
    assert early.timing_deviation_s == pytest.approx(2 * deviations[1], abs=0.05)


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=5)


@given(SPANS, SPANS)
def test_matching_maximizes_the_sum_of_iou(one, two):
    reference, prediction = ([FaceEvent("nod", a, a + n) for a, n in spans] for spans in (one, two))

    def iou(a: FaceEvent, b: FaceEvent) -> float:
        frames = set(range(a.first, a.end)), set(range(b.first, b.end))
        value = len(frames[0] & frames[1]) / len(frames[0] | frames[1])
        return value if value >= events.MATCH_IOU else 0.0

    match = events.match_events(reference, prediction)
    shorter, longer = sorted([reference, prediction], key=len)
    best = max(
        sum(iou(a, b) for a, b in zip(shorter, some, strict=True)) for some in permutations(longer, len(shorter))
    )
    assert match.iou_sum == pytest.approx(best)
    assert match.matched <= min(len(one), len(two))


def test_kinds_are_matched_separately_and_results_add():
    nods, shakes = events.find_events(nodding(0)), events.find_events(nodding(1))
    assert events.match_events(nods, shakes).matched == 0
    assert events.match_events(nods, nods).f1 == 1
    assert events.match_events(shakes, []).f1 == 0
    together = events.match_events(nods + shakes, nods)
    assert events.match_events(nods, nods) + events.match_events(shakes, []) == together


def test_onsets_match_one_to_one_within_the_tolerance():
    assert match_onsets([10, 50, 90], [10, 50, 90], 0.4) == (3, 3, 3)
    assert match_onsets([10], [19, 21], 0.4) == (1, 2, 1)
    assert match_onsets([10], [21], 0.4) == (1, 1, 0)
    # Onset 10 is within the tolerance of both; both pairs are found only if it is matched with 4.
    assert match_onsets([10, 18], [12, 4], 0.4) == (2, 2, 2)
    assert match_onsets([], [3], 0.4) == (0, 1, 0)
    assert match_onsets([], [], 0.4) == (0, 0, 0)
