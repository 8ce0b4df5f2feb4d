"""The one clock of the project: 25 motion frames a second, 16 kHz audio, 640 samples a frame, exactly."""

import numpy as np
from jaxtyping import Bool

MOTION_FPS = 25
AUDIO_RATE_HZ = 16_000
SAMPLES_PER_FRAME = AUDIO_RATE_HZ // MOTION_FPS
assert SAMPLES_PER_FRAME * MOTION_FPS == AUDIO_RATE_HZ


def frames_for_samples(samples: int) -> int:
    """Motion frames that cover `samples` audio samples: the last one may be partly beyond the end."""
    return -(-samples // SAMPLES_PER_FRAME)


def frame_at(time_s: float) -> int:
    """Index of the motion frame whose span [t / 25, (t + 1) / 25) holds `time_s`."""
    return int(time_s * MOTION_FPS + 1e-6)


def sample_at(time_s: float) -> int:
    """Index of the audio sample nearest to `time_s`."""
    return round(time_s * AUDIO_RATE_HZ)


def runs(mask: Bool[np.ndarray, "time"]) -> list[tuple[int, int]]:
    """First index, and index after the last, of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
