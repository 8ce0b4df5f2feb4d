"""Loudness and pitch of a voice, one value per motion frame (25 a second).

Pitch is estimated by YIN (de Cheveigné & Kawahara 2002, "YIN, a fundamental frequency estimator for speech and
music"): the difference function (their equation 6), normalised by its cumulative mean (8), an absolute threshold
(step 4), and parabolic interpolation (step 5). Two FFTs give the difference function of all frames.
"""

import numpy as np
from jaxtyping import Float, Float32
from numpy.lib.stride_tricks import sliding_window_view

from dualtalk.io.audio_map import audio_blocks
from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples

QUIETEST_DB = -80.0
# Weights of neighbouring frames in the smoothed power; enough to remove the ripple of glottal pulses in low
# voices.
SMOOTHING = (0.25, 0.5, 0.25)

# Range of speaking voices, from low male voices to high children's voices.
LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
# A lower rate suffices for these pitches and speeds up the search.
DECIMATION = 2
PITCH_RATE_HZ = AUDIO_RATE_HZ // DECIMATION
LONGEST_LAG = int(np.ceil(PITCH_RATE_HZ / LOWEST_HZ)) + 1
SHORTEST_LAG = int(PITCH_RATE_HZ / HIGHEST_HZ)
# Twice the longest period; with the largest lag, 50 ms of audio per frame.
WINDOW_SAMPLES = 2 * LONGEST_LAG
# YIN's absolute threshold is 0.1 for clean speech; recordings are not, and librosa's and pYIN's is 0.1 to 0.2.
APERIODICITY_LIMIT = 0.2
FRAMES_AT_ONCE = 2048


def loudness_db(audio: Float32[np.ndarray, "sample"]) -> Float32[np.ndarray, "frame"]:
    """Root mean square over each frame's 640 samples, in dB of full scale, at least -80.

    The power is smoothed over three frames. A partial last frame is padded with silence.
    """
    if not len(audio):
        return np.zeros(0, np.float32)
    powers = []
    for _, (block,) in audio_blocks(audio):
        whole = _padded(block, frames_for_samples(len(block)) * SAMPLES_PER_FRAME).reshape(-1, SAMPLES_PER_FRAME)
        powers.append((whole.astype(np.float64) ** 2).mean(axis=1))
    mean_power = np.concatenate(powers)
    edged = np.pad(mean_power, 1, mode="edge")
    smooth = sum(weight * edged[shift : shift + len(mean_power)] for shift, weight in enumerate(SMOOTHING))
    return (10 * np.log10(np.maximum(smooth, 10 ** (QUIETEST_DB / 10)))).astype(np.float32)


def pitch_hz(audio: Float32[np.ndarray, "sample"]) -> Float32[np.ndarray, "frame"]:
    """Fundamental frequency at the middle of each frame, from 60 to 400 Hz; NaN where unvoiced or silent."""
    frames = frames_for_samples(len(audio))
    # Windows are centred on the frames. Averaging pairs of samples is sufficient as an anti-aliasing filter here.
    span = WINDOW_SAMPLES + LONGEST_LAG
    hop = SAMPLES_PER_FRAME // DECIMATION
    before = (span - hop) // 2
    halved = _padded(audio, -(-len(audio) // DECIMATION) * DECIMATION).reshape(-1, DECIMATION).mean(axis=1)
    padded = _padded(np.pad(halved, (before, 0)), max(frames - 1, 0) * hop + span)
    windows = sliding_window_view(padded, span)[::hop][:frames]
    blocks = [windows[start : start + FRAMES_AT_ONCE] for start in range(0, frames, FRAMES_AT_ONCE)]
    return np.concatenate([_yin(block) for block in blocks] or [np.zeros(0, np.float32)])


def _yin(windows: Float[np.ndarray, "frame sample"]) -> Float32[np.ndarray, "frame"]:
    difference, power = _difference(windows)
    lags = np.arange(1, LONGEST_LAG)
    normalised = np.ones_like(difference)
    running = np.cumsum(difference[:, 1:], axis=1)
    normalised[:, 1:] = difference[:, 1:] * lags / np.maximum(running, 1e-12)

    searched = normalised[:, SHORTEST_LAG:]
    dip = np.zeros(searched.shape, bool)
    dip[:, 1:-1] = (searched[:, 1:-1] <= searched[:, :-2]) & (searched[:, 1:-1] < searched[:, 2:])
    good = dip & (searched < APERIODICITY_LIMIT)
    lag = SHORTEST_LAG + good.argmax(axis=1)
    voiced = good.any(axis=1) & (10 * np.log10(power + 1e-12) > QUIETEST_DB)
    lag = np.clip(lag, 1, LONGEST_LAG - 2)

    rows = np.arange(len(windows))
    left, middle, right = (normalised[rows, lag + shift] for shift in (-1, 0, 1))
    curvature = left - 2 * middle + right
    shift = np.where(curvature > 0, (left - right) / np.where(curvature > 0, 2 * curvature, 1), 0)
    return np.where(voiced, PITCH_RATE_HZ / (lag + shift), np.nan).astype(np.float32)


def _difference(windows: Float[np.ndarray, "frame sample"]) -> tuple[np.ndarray, np.ndarray]:
    """(frame, lag) squared difference of each window with itself a lag later, and (frame,) mean power."""
    size = 1 << (windows.shape[1] - 1).bit_length()
    spectrum = np.fft.rfft(windows, size)
    still = np.fft.rfft(windows[:, :WINDOW_SAMPLES], size)
    correlation = np.fft.irfft(spectrum * still.conj(), size)[:, :LONGEST_LAG]
    energy = np.pad(np.cumsum(windows.astype(np.float64) ** 2, axis=1), ((0, 0), (1, 0)))
    moving = energy[:, WINDOW_SAMPLES : WINDOW_SAMPLES + LONGEST_LAG] - energy[:, :LONGEST_LAG]
    difference = moving[:, :1] + moving - 2 * correlation
    return np.maximum(difference, 0), moving[:, 0] / WINDOW_SAMPLES


def _padded(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples, (0, max(length - len(samples), 0)))
