"""Spans of a clip as arrays, from its files on disk or in memory."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BufferedIOBase

import numpy as np
from jaxtyping import Bool, Float32
from pyannote.core import Segment

from dualtalk.core import EXPRESSION_COEFFICIENTS, IDENTITY_COEFFICIENTS, MotionLayout, speaking_frames
from dualtalk.core.validation import require_audio, require_coefficients, require_finite
from dualtalk.errors import InputError
from dualtalk.io.audio_file import read_wave_span
from dualtalk.store.npz_reader import NpzRows
from dualtalk.timebase import SAMPLES_PER_FRAME

File = str | os.PathLike | BufferedIOBase


@dataclass(frozen=True, eq=False)
class ClipSpan:
    """A span of a clip as arrays; both people share the same frames.

    Attributes
    ----------
    audio : (2, sample) float32
        16 kHz in [-1, 1]; 640 samples a frame.
    motion : (2, frame, coef) float32
        In the requested layout; zeros where a person has no motion.
    valid : (2, frame) bool
        Frames whose motion was observed.
    speech : (2, frame) bool
        Frames in which the person speaks.
    identity : (2, 300) float32
    """

    audio: Float32[np.ndarray, "2 sample"]
    motion: Float32[np.ndarray, "2 frame coef"]
    valid: Bool[np.ndarray, "2 frame"]
    speech: Bool[np.ndarray, "2 frame"]
    identity: Float32[np.ndarray, "2 300"]


def speech_mask(
    segments: tuple[Sequence[Segment], Sequence[Segment]], frames: int
) -> Bool[np.ndarray, "2 clip_frame"]:
    """Frames of a clip in which each person speaks."""
    return np.stack([speaking_frames(own, frames) for own in segments])


def read_span(
    wave: Callable[[int], File],
    motion: Callable[[int], File | None],
    speech: Bool[np.ndarray, "2 clip_frame"],
    first: int,
    frames: int,
    layout: MotionLayout,
) -> ClipSpan:
    """Frames `first` to `first + frames` of a clip.

    Parameters
    ----------
    wave, motion : callable
        Give the files of person 0 and 1; None where a person has no motion.
    speech : (2, clip_frame) bool
        Of the whole clip; see `speech_mask`.
    first, frames : int
    layout : MotionLayout

    Raises
    ------
    InputError
        The files do not hold that span, or a motion lacks a part of `layout`.
    """
    audio = np.empty((2, frames * SAMPLES_PER_FRAME), np.float32)
    for person in (0, 1):
        if read_wave_span(wave(person), first * SAMPLES_PER_FRAME, audio[person]) < audio.shape[1]:
            raise InputError(f"{wave(person)} ends before frame {first + frames}; is the store complete?")
        require_audio(str(wave(person)), audio[person])
    parts = [_motion(motion(person), first, frames, layout) for person in (0, 1)]
    motions, valid, identities = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    return ClipSpan(audio, motions, valid, speech[:, first : first + frames], identities)


def _motion(
    file: File | None, first: int, frames: int, layout: MotionLayout
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, the mask of valid frames, and identity."""
    motion = np.zeros((frames, layout.width), np.float32)
    identity = np.zeros(IDENTITY_COEFFICIENTS, np.float32)
    if file is None:
        return motion, np.zeros(frames, bool), identity
    with NpzRows(file) as arrays:
        pose = _rows(arrays, "pose", first, frames, 6)
        parts = {"expression": _rows(arrays, "exp", first, frames, EXPRESSION_COEFFICIENTS)}
        parts |= {"head": pose[:, :3], "jaw": pose[:, 3:6]}
        if "eyes" in arrays:
            parts["eyes"] = _rows(arrays, "eyes", first, frames, 6)
        for part, width in layout.widths.items():
            if part not in parts:
                raise InputError(f"{file} has no {part}; ask for layout dualtalk56")
            motion[:, layout.slice_of(part)] = parts[part][:, :width]
        valid = _rows(arrays, "valid", first, frames, None) if "valid" in arrays else np.ones(frames, bool)
        if "shape" in arrays:
            shape = np.atleast_2d(_numbers(arrays, "shape", arrays.rows("shape"))).mean(axis=0)[
                :IDENTITY_COEFFICIENTS
            ]
            identity[: len(shape)] = shape
    require_coefficients(f"{file}: expression", motion[:, layout.slice_of("expression")])
    require_finite(f"{file}: rotation", motion)
    require_coefficients(f"{file}: shape", identity)
    return motion, valid.astype(bool), identity


def _rows(arrays: NpzRows, key: str, first: int, frames: int, width: int | None) -> np.ndarray:
    """Exactly `frames` rows of a stored array, each of at least `width` numbers, or of one if `width` is None."""
    rows = _numbers(arrays, key, arrays.rows(key, first, frames))
    if len(rows) < frames:
        raise InputError(f"{arrays.path} ends before frame {first + frames}; is the store complete?")
    if rows.ndim != (1 if width is None else 2) or (width is not None and rows.shape[1] < width):
        wanted = f"(T, {width})" if width else "(T,)"
        raise InputError(f"{arrays.path}: {key} has rows of shape {rows.shape[1:]}; wanted {wanted}")
    return rows


def _numbers(arrays: NpzRows, key: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiub" or values.ndim > 2 or not values.size:
        raise InputError(f"{arrays.path}: {key} is {values.dtype} of shape {values.shape}; wanted numbers")
    return values
