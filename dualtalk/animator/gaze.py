"""Gaze and blinks.

Gaze directions are relative to the room, from the person's viewpoint: (pitch, yaw) in radians, positive pitch
down, positive yaw to the person's left; (0, 0) is the partner's face. The eyes counter-rotate against the head,
so that the gaze stays fixed while the head moves (vestibulo-ocular reflex).
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from dualtalk.animator.curves import Curve, frames_of, smoothed
from dualtalk.animator.voice_features import VoiceFeatures
from dualtalk.timebase import MOTION_FPS

# Mean duration of a gaze at the partner and of a gaze away. The resulting shares are the observed ones: 75 % at
# the partner while listening and 41 % while talking (Argyle & Ingham 1972); a mutual gaze lasts about 1.2 s.
AT_PARTNER_S = {"listening": 3.6, "speaking": 1.5}
AWAY_S = {"listening": 1.2, "speaking": 2.0}
MIN_GAZE_S = 0.4
# Speakers avert their gaze at the start of a long turn and return it at the end (Kendon 1967).
AWAY_AT_TURN_START = 0.7
AWAY_BEFORE_START_S, AWAY_AFTER_START_S = 0.3, 1.1
BACK_BEFORE_END_S, BACK_AFTER_END_S = 0.5, 1.0
TURN_START_SILENCE_S = 0.5
# Averted gaze: 8 to 18 degrees to the side, a few degrees up or down.
AWAY_YAW_RAD = (np.radians(8), np.radians(18))
AWAY_PITCH_RAD = (np.radians(-7), np.radians(8))
# Fixation points on a face: its two eyes and its mouth, as seen from a distance of one metre.
FACE_POINTS_RAD = np.radians([[0.0, 1.6], [0.0, -1.6], [3.0, 0.0]])
FACE_FIXATION_S = (0.3, 1.2)
# A saccade lasts 25 ms + 2.4 ms per degree (Lee, Badler & Badler 2002, section 3): at most about 2 frames here.
SACCADE_S, SACCADE_S_PER_RAD = 0.025, 0.0024 * 180 / np.pi
# The head contributes this share of a gaze shift (Freedman & Sparks 1997: the eyes perform most of a small shift),
# low-pass filtered with this standard deviation.
HEAD_SHARE, HEAD_LAG_S = 0.3, 0.3
# Comfortable range of the eyes in the head: yaw to either side, pitch up and down (Stahl 1999: people turn the
# head rather than keep the eyes eccentric).
EYE_YAW_LIMIT_RAD, EYE_PITCH_LIMIT_RAD = np.radians(25), np.radians([-14, 20])

# Blink rate: 26 a minute in conversation, 17 at rest (Bentivoglio et al. 1997). The intervals are skewed, hence
# log-normal.
BLINKS_PER_MINUTE = {"speaking": 26.0, "listening": 18.0}
BLINK_INTERVAL_LOG_SD = 0.45
BLINK_WITH_GAZE_SHIFT = 0.15
MIN_BLINK_INTERVAL_S = 0.5
# Lid closure by frame: closed in 80 ms, open again in 160 ms (closing is about twice as fast as opening).
BLINK_SHAPE = np.array([0.45, 1.0, 0.8, 0.45, 0.15])


def gaze_directions(own: VoiceFeatures, rng: np.random.Generator) -> Float[np.ndarray, "frame 2"]:
    """(pitch, yaw) of the gaze relative to the room, including saccades."""
    away = gaze_aversion(own, rng)
    targets = np.zeros((own.frames, 2))
    side = 1.0  # of averted gaze: 1 left, -1 right
    frame = 0
    while frame < own.frames:
        last = _end_of_run(away, frame)
        if away[frame]:
            side = side if rng.random() < 0.7 else -side
            targets[frame:last] = rng.uniform(*AWAY_PITCH_RAD), side * rng.uniform(*AWAY_YAW_RAD)
        else:
            _fixate_face(targets, frame, last, rng)
        frame = last
    return _add_saccades(targets)


def gaze_aversion(own: VoiceFeatures, rng: np.random.Generator) -> np.ndarray:
    """(frame,) bool: whether the gaze is averted.

    Gaze at the partner and averted gaze alternate; turn starts and turn ends then override them.
    """
    away = np.zeros(own.frames, bool)
    frame, averted = 0, False
    while frame < own.frames:
        role = "speaking" if own.speaking[frame] else "listening"
        mean_s = (AWAY_S if averted else AT_PARTNER_S)[role]
        length = frames_of(MIN_GAZE_S + rng.exponential(mean_s - MIN_GAZE_S))
        away[frame : frame + length] = averted
        frame, averted = frame + length, not averted
    for start, end in _turns(own):
        if rng.random() < AWAY_AT_TURN_START:
            away[max(start - frames_of(AWAY_BEFORE_START_S), 0) : start + frames_of(AWAY_AFTER_START_S)] = True
        away[max(end - frames_of(BACK_BEFORE_END_S), 0) : end + frames_of(BACK_AFTER_END_S)] = False
    return away


def _turns(own: VoiceFeatures) -> list[tuple[int, int]]:
    """First frame and end of each turn: phrases separated by less than `TURN_START_SILENCE_S` are one turn."""
    turns: list[tuple[int, int]] = []
    for first, last in own.phrases:
        if turns and first - turns[-1][1] < frames_of(TURN_START_SILENCE_S):
            turns[-1] = (turns[-1][0], int(last))
        else:
            turns.append((int(first), int(last)))
    return turns


def _end_of_run(mask: np.ndarray, frame: int) -> int:
    """End (exclusive) of the run of equal values that contains `frame`."""
    changes = np.flatnonzero(mask[frame:] != mask[frame])
    return frame + int(changes[0]) if len(changes) else len(mask)


def _fixate_face(targets: np.ndarray, first: int, last: int, rng: np.random.Generator) -> None:
    frame = first
    while frame < last:
        length = frames_of(rng.uniform(*FACE_FIXATION_S))
        targets[frame : min(frame + length, last)] = FACE_POINTS_RAD[rng.integers(len(FACE_POINTS_RAD))]
        frame += length


def _add_saccades(targets: Float[np.ndarray, "frame 2"]) -> Float[np.ndarray, "frame 2"]:
    """Replace jumps between targets by movements that last as long as a saccade of that amplitude."""
    gaze = targets.copy()
    for frame in np.flatnonzero(np.any(np.diff(targets, axis=0), axis=1)) + 1:
        jump = targets[frame] - targets[frame - 1]
        duration_s = SACCADE_S + SACCADE_S_PER_RAD * float(np.linalg.norm(jump))
        # Progress at the middle of this frame; the movement ends before the next frame.
        progress = min(1.0, 0.5 / MOTION_FPS / duration_s)
        gaze[frame] = targets[frame - 1] + progress * jump
    return gaze


def head_share(gaze: Float[np.ndarray, "frame 2"]) -> Float[np.ndarray, "frame 2"]:
    """(pitch, yaw) that the head contributes to gaze shifts, more slowly than the eyes."""
    return HEAD_SHARE * np.stack([smoothed(gaze[:, axis], HEAD_LAG_S) for axis in range(2)], axis=1)


def eye_rotations(
    gaze: Float[np.ndarray, "frame 2"], head_rotvec_rad: Float[np.ndarray, "frame 3"]
) -> Float[np.ndarray, "frame 6"]:
    """Axis-angle of the left and the right eye, relative to the head, for a gaze relative to the room."""
    in_room = Rotation.from_euler("YX", gaze[:, ::-1])
    in_head = (Rotation.from_rotvec(head_rotvec_rad).inv() * in_room).as_euler("YXZ")
    yaw = np.clip(in_head[:, 0], -EYE_YAW_LIMIT_RAD, EYE_YAW_LIMIT_RAD)
    pitch = np.clip(in_head[:, 1], *EYE_PITCH_LIMIT_RAD)
    one_eye = Rotation.from_euler("YX", np.stack([yaw, pitch], axis=1)).as_rotvec()
    return np.concatenate([one_eye, one_eye], axis=1)


def blinks(own: VoiceFeatures, gaze: Float[np.ndarray, "frame 2"], rng: np.random.Generator) -> Curve:
    """Lid closure, 0 open to 1 closed."""
    closure = np.zeros(own.frames)
    shift = np.zeros(own.frames, bool)
    shift[1:] = np.linalg.norm(np.diff(gaze, axis=0), axis=1) > np.radians(5)
    next_due = _blink_interval(rng, "listening") * rng.random()
    previous = -frames_of(MIN_BLINK_INTERVAL_S)
    for frame in range(own.frames):
        with_shift = shift[frame] and rng.random() < BLINK_WITH_GAZE_SHIFT
        if frame - previous < frames_of(MIN_BLINK_INTERVAL_S) or not (frame >= next_due or with_shift):
            continue
        span = closure[frame : frame + len(BLINK_SHAPE)]
        span[:] = np.maximum(span, BLINK_SHAPE[: len(span)])
        previous = frame
        next_due = frame + _blink_interval(rng, "speaking" if own.speaking[frame] else "listening")
    return closure


def _blink_interval(rng: np.random.Generator, role: str) -> float:
    """Frames until the next blink: log-normal with the role's mean."""
    mean_frames = 60 / BLINKS_PER_MINUTE[role] * MOTION_FPS
    return mean_frames * rng.lognormal(-(BLINK_INTERVAL_LOG_SD**2) / 2, BLINK_INTERVAL_LOG_SD)
