"""Laws of lip closure and kinematics: ideal scores, and the effect of injected defects."""

import numpy as np
import pytest
from pyannote.core import Segment, Timeline

from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import HeadMotion
from dualtalk.metrics import kinematics, lips
from dualtalk.timebase import MOTION_FPS

PHONEMES = (
    Phoneme("m", 1.0, 1.08, 1.0),
    Phoneme("ɑ", 1.08, 1.2, 1.0),
    Phoneme("b", 1.2, 1.28, 1.0),
    Phoneme("u", 1.28, 1.4, 1.0),
)
NAMES = ("",) * 50
SPEECH = Timeline([Segment(1.0, 1.4)])


def perfect_gap() -> np.ndarray:
    gap = np.zeros(75, np.float32)
    gap[27:30] = 0.01
    gap[32:35] = 0.008
    return gap


def test_a_perfect_mouth_scores_one():
    gap = perfect_gap()
    assert lips.bilabial_closure(gap, PHONEMES) == 1
    assert lips.vowel_opening(gap, PHONEMES) == 1
    assert lips.silent_closure(gap, SPEECH) == 1


def test_late_lips_and_open_lips_lower_the_closure_rates():
    late = np.roll(perfect_gap(), 4)
    assert lips.bilabial_closure(late, PHONEMES) < 1
    assert lips.silent_closure(np.full(75, 0.003, np.float32), SPEECH) == 0


def test_metrics_without_data_are_nan():
    gap = perfect_gap()
    assert np.isnan(lips.bilabial_closure(gap, ()))
    assert np.isnan(lips.silent_closure(gap, Timeline([Segment(0, 3)])))
    assert np.isnan(lips.loudness_correlation(gap, gap, np.zeros(75, bool)))


def test_correlation_of_a_mouth_with_its_own_loudness_is_one():
    gap = perfect_gap()
    assert lips.loudness_correlation(gap, 3 * gap - 60, np.ones(75, bool)) == pytest.approx(1)


def test_bandwidth_of_a_sine_is_its_frequency():
    t = np.arange(500) / MOTION_FPS
    tone = np.stack([np.sin(2 * np.pi * 2.0 * t)] * 3, axis=1).astype(np.float32)
    assert kinematics.bandwidth_hz(tone) == pytest.approx(2.0, abs=0.06)
    assert kinematics.bandwidth_hz(np.ones((50, 3), np.float32)) == 0


def test_mean_speed_of_a_constant_rotation():
    turning = np.zeros((100, 3), np.float32)
    turning[:, 1] = 0.5 * np.arange(100) / MOTION_FPS
    assert kinematics.mean_speed_rad_s(turning) == pytest.approx(0.5, rel=1e-4)
    assert kinematics.mean_speed_rad_s(turning[:1]) == 0


def test_blinks_are_counted_once_each():
    lids = np.zeros(250, np.float32)
    lids[[0, 1, 60, 61, 62, 200]] = 1
    assert kinematics.blinks_a_minute(lids) == pytest.approx(18)


def listener(nod_frames: list[int], frames: int = 1500) -> HeadMotion:
    noise = 0.002 * np.random.default_rng(0).standard_normal((frames, 62))
    for frame in nod_frames:
        noise[frame : frame + 12, 53] += 0.05 * np.sin(np.linspace(0, 2 * np.pi, 12))
    return HeadMotion(noise.astype(np.float32), "open")


def test_a_responding_listener_is_above_chance_and_an_unresponsive_one_is_not():
    speech = Timeline([Segment(start, start + 4.0) for start in np.arange(0.0, 56.0, 7.0)])
    ends = [round(span.end * MOTION_FPS) for span in speech]
    silent = np.zeros(1500, bool)

    def response(motion: HeadMotion, partner: Timeline = speech) -> tuple[float, float]:
        return kinematics.response_ratio(
            kinematics.ListenerActivity(kinematics.activity(motion, NAMES), silent, partner)
        )

    ratio, p = response(listener([end + 8 for end in ends]))
    assert ratio > 1.2
    assert p < 0.05
    assert response(listener([end - 60 for end in ends]))[0] < 1
    assert np.isnan(response(listener([]), Timeline())[0])
