"""How much of one person's voice is in the other's channel."""

import numpy as np
from jaxtyping import Float32

from dualtalk.audio.clock import SAMPLES_PER_FRAME

# Less talk of one person alone than this says nothing.
LEAST_FRAMES = 10
SILENCE = 1e-10


def leakage_db(
    own: Float32[np.ndarray, "sample"],
    other: Float32[np.ndarray, "sample"],
    own_speaking: np.ndarray,
    other_speaking: np.ndarray,
) -> float:
    """Level of `own` while only the other person speaks, relative to the other's channel, in dB.

    Near 0 where both channels carry the same sound; it cannot fall below the channel's own noise. NaN where the
    other hardly ever speaks alone.

    Parameters
    ----------
    own_speaking, other_speaking : (frame,) bool
    """
    alone = other_speaking & ~own_speaking
    if alone.sum() < LEAST_FRAMES:
        return float("nan")
    powers = [_power(audio, len(alone))[alone].mean() + SILENCE for audio in (own, other)]
    return float(10 * np.log10(powers[0] / powers[1]))


def _power(audio: np.ndarray, frames: int) -> np.ndarray:
    return np.square(audio[: frames * SAMPLES_PER_FRAME].reshape(frames, -1), dtype=np.float64).mean(axis=1)
