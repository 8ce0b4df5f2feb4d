"""Building blocks of motion curves: coloured noise, minimum-jerk steps, bumps, nods, low-pass filters.

A curve has one value for each motion frame, 25 a second.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from dualtalk.timebase import MOTION_FPS

Curve = Float[np.ndarray, "frame"]


def frames_of(seconds: float) -> int:
    """Number of frames nearest to a duration, at least one."""
    return max(1, round(seconds * MOTION_FPS))


def smoothed(curve: Curve, seconds: float) -> Curve:
    """Gaussian low-pass filter; `seconds` is the standard deviation of its kernel."""
    return gaussian_filter1d(curve, seconds * MOTION_FPS, mode="nearest")


def coloured_noise(
    frames: int, rng: np.random.Generator, *, lowest_hz: float, highest_hz: float, power_slope: float = 1.0
) -> Curve:
    """Band-limited noise of unit variance whose power is proportional to f ** -`power_slope`.

    A slope of 1 is the 1/f noise of human postural sway (Collins & De Luca 1993 find long-range correlations at
    these time scales).
    """
    length = max(frames, frames_of(2 / lowest_hz))
    frequency_hz = np.fft.rfftfreq(length, 1 / MOTION_FPS)
    inside = (frequency_hz >= lowest_hz) & (frequency_hz <= highest_hz)
    amplitude = np.zeros_like(frequency_hz)
    amplitude[inside] = frequency_hz[inside] ** (-power_slope / 2)
    spectrum = amplitude * (rng.standard_normal(len(amplitude)) + 1j * rng.standard_normal(len(amplitude)))
    noise = np.fft.irfft(spectrum, length)
    return (noise / noise.std())[:frames]


def minimum_jerk(progress: np.ndarray) -> np.ndarray:
    """Minimum-jerk rise from 0 to 1 as `progress` goes from 0 to 1 (Flash & Hogan 1985, equation 3)."""
    x = np.clip(progress, 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def minimum_jerk_steps(
    frames: int, at: np.ndarray, values: Float[np.ndarray, "step axis"], rise_frames: np.ndarray
) -> Float[np.ndarray, "frame axis"]:
    """A multi-axis curve that starts at zero and moves to `values[i]` at frame `at[i]`.

    Parameters
    ----------
    frames : int
        Length of the result.
    at : (step,) int
        Start of each step, ascending and below `frames`; may be negative.
    values : (step, axis) float
        Target of each step.
    rise_frames : (step,) float
        Duration of each step. A step that starts before the previous one has ended starts from the value that
        was reached.
    """
    before = max(0, -int(at.min()))
    track = np.zeros((before + frames, values.shape[1]))
    current = np.zeros(values.shape[1])
    starts = at + before
    for start, end, value, rise in zip(starts, [*starts[1:], len(track)], values, rise_frames, strict=True):
        progress = minimum_jerk((np.arange(start, end + 1) - start) / rise)[:, None]
        segment = current + progress * (value - current)
        track[start:end] = segment[:-1]
        current = segment[-1]
    return track[before:]


def add_bump(curve: np.ndarray, start: int, *, rise: int, hold: int, fall: int, height: float) -> None:
    """Add to `curve`, in place, a minimum-jerk rise of `rise` frames from `start`, a hold, and a fall."""
    length = rise + hold + fall
    x = np.arange(length)
    shape = height * np.minimum(minimum_jerk((x + 1) / rise), minimum_jerk((length - x) / fall))
    first, last = max(start, 0), min(start + length, len(curve))
    if first < last:
        curve[first:last] += shape[first - start : last - start]


def add_nod(curve: np.ndarray, start: int, *, cycles: float, rate_hz: float, height: float) -> None:
    """Add to `curve`, in place, a head nod of `cycles` dips with decreasing amplitude.

    Positive is down. `rate_hz` is the frequency of the dips; ordinary head movements during speech have 1.8 to
    3.7 Hz (Hadar, Steiner, Grant & Rose 1983).
    """
    length = max(2, round(cycles / rate_hz * MOTION_FPS))
    phase = np.arange(length) / length
    swing = 0.5 * (1 - np.cos(2 * np.pi * cycles * phase))
    shape = height * swing * (1 - 0.6 * phase)
    first, last = max(start, 0), min(start + length, len(curve))
    if first < last:
        curve[first:last] += shape[first - start : last - start]
