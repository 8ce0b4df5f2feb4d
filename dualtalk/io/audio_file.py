"""Audio files: reads any format that soundfile or ffmpeg decodes, resampled to 16 kHz; writes 16 kHz float32
wav."""

import os
import struct
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole
from dualtalk.io.audio_map import audio_blocks, map_audio
from dualtalk.io.audio_stream import AudioStream, open_audio
from dualtalk.timebase import AUDIO_RATE_HZ

# The format chunk of 32-bit float, mono, 16 kHz (RFC 2361: WAVE_FORMAT_IEEE_FLOAT), with an empty extension.
_FLOAT_FORMAT = b"fmt " + struct.pack("<IHHIIHHH", 18, 3, 1, AUDIO_RATE_HZ, 4 * AUDIO_RATE_HZ, 4, 32, 0)
LONGEST_RIFF_BYTES = 2**32 - 1


def check_audio_file(path: str | os.PathLike) -> None:
    """Raise `InputError` unless `path` is a file that is not empty and has the header of a sound or video file."""
    with open_audio(path):
        pass


def read_wave(path: str | os.PathLike) -> Float32[np.ndarray, "channel sample"]:
    """Read an audio file, or the first sound track of a video file, and resample it to 16 kHz.

    Returns
    -------
    (channel, sample) float32

    Raises
    ------
    InputError
        No such file, not audio, truncated, no samples, or samples that are not finite.
    """
    with open_audio(path) as stream:
        blocks = [require_finite(stream, block) for block in stream.resampled()]
        if stream.damage:
            raise InputError(f"{Path(path).parent / stream.damage}")
    samples = np.concatenate(blocks) if blocks else np.zeros((0, stream.channels), np.float32)
    if not len(samples):
        raise InputError(f"{path} has a header but no samples; was its recording cut off?")
    return np.ascontiguousarray(samples.T, np.float32)


def map_wave(path: str | os.PathLike) -> Float32[np.ndarray, "sample"]:
    """The first channel of a long file, mapped into memory (see `dualtalk.io.audio_map`); errors as
    `read_wave`."""
    with open_audio(path) as stream:
        (audio,) = map_audio((require_finite(stream, block[:, :1]) for block in stream.resampled()), 1)
        if stream.damage:
            raise InputError(f"{Path(path).parent / stream.damage}")
    return audio


def require_finite(
    stream: AudioStream, block: Float32[np.ndarray, "sample channel"]
) -> Float32[np.ndarray, "sample channel"]:
    """Return `block`; raise `InputError` if it holds a sample that is NaN or infinite."""
    if not np.isfinite(block).all():
        raise InputError(f"{stream.path} holds samples that are NaN or infinite; export it again as 16-bit wav")
    return block


def write_wave(path: str | os.PathLike, audio: Float32[np.ndarray, "sample"]) -> None:
    """Write 16 kHz mono 32-bit float wav, the published corpora's format. Equal samples give equal bytes.

    libsndfile would store the time of writing in every float wav.
    """
    data_bytes = 4 * len(audio)
    if data_bytes + len(_FLOAT_FORMAT) + 20 > LONGEST_RIFF_BYTES:
        raise InputError(
            f"{path} would last {len(audio) / AUDIO_RATE_HZ / 3600:.1f} h; a wav holds at most 18.6 h"
        )
    fact = b"fact" + struct.pack("<II", 4, len(audio))
    chunks = b"WAVE" + _FLOAT_FORMAT + fact + b"data" + struct.pack("<I", data_bytes)
    with written_whole(path) as partial, open(partial, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(chunks) + data_bytes) + chunks)
        for _, (block,) in audio_blocks(audio):
            file.write(np.ascontiguousarray(block, "<f4").data)


def read_wave_span(
    path: str | os.PathLike | BufferedIOBase, first: int, out: Float32[np.ndarray, "sample"]
) -> int:
    """Fill `out` with samples from index `first` of a file that `write_wave` wrote, without reading the rest.

    Returns
    -------
    int
        Number of samples read, fewer than `len(out)` at the end of the file.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if file.channels != 1 or file.samplerate != AUDIO_RATE_HZ:
                raise InputError(
                    f"{path} has {file.channels} channels at {file.samplerate} Hz; wanted mono at 16 kHz"
                )
            file.seek(min(first, file.frames))
            return len(file.read(dtype="float32", out=out))
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{path} is not audio that can be read ({error})") from error
