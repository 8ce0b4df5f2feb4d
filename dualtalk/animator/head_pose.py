"""Head rotation: sway, posture shifts, speech beats, nods, and the head's share of gaze shifts.

Rotations are small, so their axis-angle components are added. Positive pitch is down, positive yaw to the person's
left, positive roll towards the person's left shoulder.
"""

import numpy as np
from jaxtyping import Float
from scipy.signal import find_peaks

from dualtalk.animator.curves import Curve, add_nod, coloured_noise, frames_of, minimum_jerk_steps, smoothed
from dualtalk.animator.listening import GestureEvent
from dualtalk.animator.voice_features import VoiceFeatures

# Standard deviation of the slow sway and of the postures, per axis (pitch, yaw, roll). Tuned so that the total
# matches two tracked speakers: 0.025 to 0.12 rad per axis, mean speed 0.17 to 0.46 rad/s, 90 % of the power below
# 0.6 to 1.0 Hz. The highest frequency of the sway and the size of the beats were chosen in experiments/real_lips:
# with larger ones, the sway looks like trembling and beats look like nods.
SWAY_SD_RAD = np.array([0.026, 0.034, 0.024])
SWAY_HZ = (0.12, 1.5)
SWAY_POWER_SLOPE = 1.1
POSTURE_SD_RAD = np.array([0.03, 0.045, 0.028])
POSTURE_EVERY_S = 5.0
POSTURE_RISE_S = (0.7, 1.4)
# Speakers move their heads more than listeners (Hadar et al. 1983: speakers' heads move almost all the time).
# Sway of a listener relative to a speaker:
LISTENER_SWAY = 0.5
# Stressed syllables coincide with beats of the head (Hadar et al. 1983; Munhall et al. 2004 find that head motion
# follows pitch and loudness). Ordinary beats have 1.8 to 3.7 Hz.
BEAT_SPACING_S = 0.55
BEAT_CHANCE = 0.6
BEAT_RAD = (0.015, 0.045)
BEAT_HZ = (1.8, 3.0)
# The head rises with pitch (Munhall et al. 2004 find a correlation; the gain is ours).
LIFT_RAD_PER_SEMITONE = 0.004
NOD_RAD = 0.13
NOD_HZ = (1.8, 2.8)
NOD_CYCLES = (1, 2, 3)
NOD_CYCLE_CHANCES = (0.25, 0.45, 0.3)
# The head rises slightly with the inhalation before a phrase.
BREATH_LIFT_RAD = 0.02


def head_rotations(
    voice: VoiceFeatures,
    events: list[GestureEvent],
    gaze_shift: Float[np.ndarray, "frame 2"],
    breath: Curve,
    rng: np.random.Generator,
) -> Float[np.ndarray, "frame 3"]:
    """Axis-angle of the head in radians. `gaze_shift` is the head's share of the gaze, (pitch, yaw)."""
    head = sway(voice, rng) + posture_shifts(voice, rng)
    head[:, 0] += beats(voice, rng) + nods(voice.frames, events, rng) - BREATH_LIFT_RAD * breath
    head[:, :2] += gaze_shift
    return head


def sway(voice: VoiceFeatures, rng: np.random.Generator) -> Float[np.ndarray, "frame 3"]:
    """1/f sway on each axis, with a larger amplitude while speaking."""
    noise = np.stack(
        [
            coloured_noise(
                voice.frames,
                rng,
                lowest_hz=SWAY_HZ[0],
                highest_hz=SWAY_HZ[1],
                power_slope=SWAY_POWER_SLOPE,
            )
            for _ in range(3)
        ],
        axis=1,
    )
    amplitude = LISTENER_SWAY + (1 - LISTENER_SWAY) * smoothed(voice.speaking.astype(float), 0.4)
    return noise * SWAY_SD_RAD * amplitude[:, None]


def posture_shifts(voice: VoiceFeatures, rng: np.random.Generator) -> Float[np.ndarray, "frame 3"]:
    """Slow posture shifts at phrase starts and at random times: an AR(1) sequence with coefficient 0.5."""
    intervals_s = rng.exponential(POSTURE_EVERY_S, size=max(4, int(2 * voice.frames / frames_of(POSTURE_EVERY_S))))
    at = np.cumsum(np.maximum(intervals_s, 1.5) * frames_of(1.0)).astype(int)
    starts = voice.phrases[:, 0] - frames_of(0.3)
    at = np.unique(np.concatenate([[-frames_of(2.0)], at, starts[rng.random(len(starts)) < 0.5]])).astype(int)
    at = at[at < voice.frames]
    values = np.zeros((len(at), 3))
    for step in range(len(at)):
        values[step] = 0.5 * values[step - 1] + np.sqrt(0.75) * POSTURE_SD_RAD * rng.standard_normal(3)
    rise = rng.uniform(*POSTURE_RISE_S, size=len(at)) * frames_of(1.0)
    return minimum_jerk_steps(voice.frames, at, values, rise)


def beats(voice: VoiceFeatures, rng: np.random.Generator) -> Curve:
    """Small dips of the head at loud syllables, and a rise with high pitch."""
    curve = np.zeros(voice.frames)
    prominence = smoothed(np.where(voice.speaking, voice.loudness_db, -20.0), 0.06)
    peaks, _ = find_peaks(prominence, height=0.0, distance=frames_of(BEAT_SPACING_S))
    for peak in peaks:
        height, rate_hz = rng.uniform(*BEAT_RAD), rng.uniform(*BEAT_HZ)
        if rng.random() < BEAT_CHANCE:
            # The lowest point of the dip, after half a cycle, coincides with the loudness peak.
            add_nod(curve, int(peak) - frames_of(0.5 / rate_hz), cycles=1.0, rate_hz=rate_hz, height=height)
    pitch = np.nan_to_num(np.clip(voice.pitch_semitones, -6, 6))
    return curve - LIFT_RAD_PER_SEMITONE * smoothed(pitch, 0.15)


def nods(frames: int, events: list[GestureEvent], rng: np.random.Generator) -> Curve:
    """Head pitch of the nods among `events`, one to three dips each."""
    curve = np.zeros(frames)
    for event in events:
        if event.kind == "nod":
            cycles = float(rng.choice(NOD_CYCLES, p=NOD_CYCLE_CHANCES))
            rate_hz = rng.uniform(*NOD_HZ)
            add_nod(curve, event.frame, cycles=cycles, rate_hz=rate_hz, height=NOD_RAD * event.strength)
    return curve
