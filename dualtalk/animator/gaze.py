"""Where the eyes look, and when they blink.

Directions are in the room, seen from the person: (pitch, yaw) in radians, positive pitch down, positive yaw to
the person's left; (0, 0) is the partner's face. The eyes turn against the head, so that gaze holds still while
the head moves (the vestibulo-ocular reflex).
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from dualtalk.animator.curves import Curve, frames_of, smoothed
from dualtalk.animator.voice import Voice
from dualtalk.timebase import MOTION_FPS

# Mean seconds of a look at the partner and of a look away. Their shares are the observed ones: 75 % at the
# partner while listening and 41 % while talking (Argyle & Ingham 1972); a mutual look lasts about 1.2 s.
AT_PARTNER_S = {"listening": 3.6, "speaking": 1.5}
AWAY_S = {"listening": 1.2, "speaking": 2.0}
SHORTEST_LOOK_S = 0.4
# Speakers look away as they begin a long turn and back as they end it (Kendon 1967).
AWAY_AT_TURN_START = 0.7
AWAY_BEFORE_START_S, AWAY_AFTER_START_S = 0.3, 1.1
BACK_BEFORE_END_S, BACK_AFTER_END_S = 0.5, 1.0
TURN_START_SILENCE_S = 0.5
# Looks away lie 8 to 18 degrees to the side, somewhat up or down.
AWAY_YAW_RAD = (np.radians(8), np.radians(18))
AWAY_PITCH_RAD = (np.radians(-7), np.radians(8))
# While looking at a face the eyes hop between its eyes and mouth: about 1.6 degrees apart at a metre.
FACE_POINTS_RAD = np.radians([[0.0, 1.6], [0.0, -1.6], [3.0, 0.0]])
FACE_HOP_S = (0.3, 1.2)
# A saccade lasts 25 ms + 2.4 ms a degree (Lee, Badler & Badler 2002, section 3), about 2 frames at most here.
SACCADE_S, SACCADE_S_PER_RAD = 0.025, 0.0024 * 180 / np.pi
# The head takes this share of a look away, and follows the eyes with this time constant (Freedman & Sparks
# 1997: small gaze shifts are mostly the eyes').
HEAD_SHARE = 0.3
# As far as eyes go in the head without strain: yaw to either side, pitch up and down (Stahl 1999: people turn
# the head rather than hold their eyes far to the side).
EYE_YAW_LIMIT_RAD, EYE_PITCH_LIMIT_RAD = np.radians(25), np.radians([-14, 20])

# Blinks: 26 a minute in conversation, 17 at rest (Bentivoglio et al. 1997); intervals are skewed, so lognormal.
BLINKS_A_MINUTE = {"speaking": 26.0, "listening": 18.0}
BLINK_INTERVAL_LOG_SD = 0.45
BLINK_WITH_SHIFT = 0.15
CLOSEST_BLINKS_S = 0.5
# Lid closure by frame: shut in 80 ms, open again in 160 ms (closing is about twice as fast as opening).
BLINK_SHAPE = np.array([0.45, 1.0, 0.8, 0.45, 0.15])


def gaze_directions(own: Voice, rng: np.random.Generator) -> Float[np.ndarray, "frame 2"]:
    """(pitch, yaw) of the gaze in the room, saccades included."""
    away = looking_away(own, rng)
    targets = np.zeros((own.frames, 2))
    side = 1.0
    frame = 0
    while frame < own.frames:
        last = _end_of_run(away, frame)
        if away[frame]:
            side = side if rng.random() < 0.7 else -side
            targets[frame:last] = rng.uniform(*AWAY_PITCH_RAD), side * rng.uniform(*AWAY_YAW_RAD)
        else:
            _hop_over_face(targets, frame, last, rng)
        frame = last
    return _with_saccades(targets)


def looking_away(own: Voice, rng: np.random.Generator) -> np.ndarray:
    """(frame,) bool: looks at and away from the partner in turn, then the habits of turn starts and ends."""
    away = np.zeros(own.frames, bool)
    frame, now_away = 0, False
    while frame < own.frames:
        role = "speaking" if own.speaking[frame] else "listening"
        mean_s = (AWAY_S if now_away else AT_PARTNER_S)[role]
        length = frames_of(SHORTEST_LOOK_S + rng.exponential(mean_s - SHORTEST_LOOK_S))
        away[frame : frame + length] = now_away
        frame, now_away = frame + length, not now_away
    for start, end in _turns(own):
        if rng.random() < AWAY_AT_TURN_START:
            away[max(start - frames_of(AWAY_BEFORE_START_S), 0) : start + frames_of(AWAY_AFTER_START_S)] = True
        away[max(end - frames_of(BACK_BEFORE_END_S), 0) : end + frames_of(BACK_AFTER_END_S)] = False
    return away


def _turns(own: Voice) -> list[tuple[int, int]]:
    """First and last frame of runs of phrases with less than half a second between them."""
    turns: list[tuple[int, int]] = []
    for first, last in own.phrases:
        if turns and first - turns[-1][1] < frames_of(TURN_START_SILENCE_S):
            turns[-1] = (turns[-1][0], int(last))
        else:
            turns.append((int(first), int(last)))
    return turns


def _end_of_run(mask: np.ndarray, frame: int) -> int:
    """Frame after the last of the run of equal values that `frame` is in."""
    changes = np.flatnonzero(mask[frame:] != mask[frame])
    return frame + int(changes[0]) if len(changes) else len(mask)


def _hop_over_face(targets: np.ndarray, first: int, last: int, rng: np.random.Generator) -> None:
    frame = first
    while frame < last:
        length = frames_of(rng.uniform(*FACE_HOP_S))
        targets[frame : min(frame + length, last)] = FACE_POINTS_RAD[rng.integers(len(FACE_POINTS_RAD))]
        frame += length


def _with_saccades(targets: Float[np.ndarray, "frame 2"]) -> Float[np.ndarray, "frame 2"]:
    """Turn jumps between targets into movements as long as a saccade of that size."""
    gaze = targets.copy()
    for frame in np.flatnonzero(np.any(np.diff(targets, axis=0), axis=1)) + 1:
        jump = targets[frame] - targets[frame - 1]
        lasts_s = SACCADE_S + SACCADE_S_PER_RAD * float(np.linalg.norm(jump))
        # The share of the movement done by this frame's middle; the next frame is past its end.
        done = min(1.0, 0.5 / MOTION_FPS / lasts_s)
        gaze[frame] = targets[frame - 1] + done * jump
    return gaze


def head_share(gaze: Float[np.ndarray, "frame 2"]) -> Float[np.ndarray, "frame 2"]:
    """(pitch, yaw) that the head contributes to looks away, slower than the eyes."""
    return HEAD_SHARE * np.stack([smoothed(gaze[:, axis], 0.3) for axis in range(2)], axis=1)


def eye_rotations(
    gaze: Float[np.ndarray, "frame 2"], head_rotvec_rad: Float[np.ndarray, "frame 3"]
) -> Float[np.ndarray, "frame 6"]:
    """Axis-angle of the left and the right eye, in the head's frame, that look along `gaze` in the room."""
    in_room = Rotation.from_euler("YX", gaze[:, ::-1])
    in_head = (Rotation.from_rotvec(head_rotvec_rad).inv() * in_room).as_euler("YXZ")
    yaw = np.clip(in_head[:, 0], -EYE_YAW_LIMIT_RAD, EYE_YAW_LIMIT_RAD)
    pitch = np.clip(in_head[:, 1], *EYE_PITCH_LIMIT_RAD)
    one_eye = Rotation.from_euler("YX", np.stack([yaw, pitch], axis=1)).as_rotvec()
    return np.concatenate([one_eye, one_eye], axis=1)


def blinks(own: Voice, gaze: Float[np.ndarray, "frame 2"], rng: np.random.Generator) -> Curve:
    """Lid closure, 0 open to 1 shut."""
    closure = np.zeros(own.frames)
    shift = np.zeros(own.frames, bool)
    shift[1:] = np.linalg.norm(np.diff(gaze, axis=0), axis=1) > np.radians(5)
    next_due = _blink_interval(rng, "listening") * rng.random()
    last = -frames_of(CLOSEST_BLINKS_S)
    for frame in range(own.frames):
        with_shift = shift[frame] and rng.random() < BLINK_WITH_SHIFT
        if frame - last < frames_of(CLOSEST_BLINKS_S) or not (frame >= next_due or with_shift):
            continue
        span = closure[frame : frame + len(BLINK_SHAPE)]
        span[:] = np.maximum(span, BLINK_SHAPE[: len(span)])
        last = frame
        next_due = frame + _blink_interval(rng, "speaking" if own.speaking[frame] else "listening")
    return closure


def _blink_interval(rng: np.random.Generator, role: str) -> float:
    """Frames to the next blink; lognormal with the role's mean."""
    mean_frames = 60 / BLINKS_A_MINUTE[role] * MOTION_FPS
    return mean_frames * rng.lognormal(-(BLINK_INTERVAL_LOG_SD**2) / 2, BLINK_INTERVAL_LOG_SD)
