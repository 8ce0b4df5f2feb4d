"""Audio files: reads every format that soundfile supports, resampled to 16 kHz; writes 16 kHz float32 wav."""

import os
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32
from scipy.io import wavfile

from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole
from dualtalk.timebase import AUDIO_RATE_HZ

UNKNOWN_RIFF_BYTES = 0xFFFFFF00


def check_audio_file(path: str | os.PathLike) -> None:
    """Raise `InputError` unless `path` is a file that is not empty and has the header of an audio file."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; wanted an audio file")
    if not path.is_file():
        raise InputError(f"no audio file at {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); was its download or recording cut off?")
    try:
        soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path} is not audio that can be read ({error.error_string})") from error


def read_wave(path: str | os.PathLike) -> Float32[np.ndarray, "channel sample"]:
    """Read an audio file and resample it to 16 kHz.

    Returns
    -------
    (channel, sample) float32

    Raises
    ------
    InputError
        No such file, not audio, truncated, no samples, or samples that are not finite.
    """
    path = Path(path)
    check_audio_file(path)
    try:
        expected = soundfile.info(path).frames
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path} is not audio that can be read ({error.error_string})") from error
    if _is_truncated_wav(path) or len(samples) < expected:
        raise InputError(f"{path} is shorter than its header says; was it cut off while it was copied?")
    if not len(samples):
        raise InputError(f"{path} has a header but no samples; was its recording cut off?")
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are NaN or infinite; export it again as 16-bit wav")
    if rate_hz != AUDIO_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, AUDIO_RATE_HZ)
    return np.ascontiguousarray(samples.T, np.float32)


def _is_truncated_wav(path: Path) -> bool:
    """Whether the header of a wav states more bytes than the file has.

    Recorders that cannot seek leave 0 or the largest count, which means unknown.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if head[:4] != b"RIFF" or len(head) < 8:
        return False
    stated = int.from_bytes(head[4:], "little")
    return stated < UNKNOWN_RIFF_BYTES and stated + 8 > path.stat().st_size


def write_wave(path: str | os.PathLike, audio: Float32[np.ndarray, "sample"]) -> None:
    """Write 16 kHz mono 32-bit float wav, the published corpora's format. Equal samples give equal bytes.

    scipy writes the file, since libsndfile stores the time of writing in every float wav.
    """
    with written_whole(path) as partial:
        wavfile.write(partial, AUDIO_RATE_HZ, audio)


def read_wave_span(
    path: str | os.PathLike | BufferedIOBase, first: int, out: Float32[np.ndarray, "sample"]
) -> int:
    """Fill `out` with samples from index `first` of a file that `write_wave` wrote, without reading the rest.

    Returns
    -------
    int
        Number of samples read, fewer than `len(out)` at the end of the file.
    """
    with soundfile.SoundFile(path) as file:
        file.seek(min(first, file.frames))
        return len(file.read(dtype="float32", out=out))
