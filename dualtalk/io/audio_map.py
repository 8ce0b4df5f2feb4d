"""Audio of any length in temporary files that are mapped into memory, and passes over it block by block.

An hour of one voice is 230 MB. Its pages are read from the file when they are used, and `audio_blocks` gives them
back after each block, so that a pass over hours of audio takes the memory of one block. The file has no name and
disappears with the array. Code that uses such an array as a whole works too, and takes the memory.
"""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import numpy as np
from jaxtyping import Float32

from dualtalk.errors import InputError
from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME

# A multiple of the samples of a frame: about half a minute.
BLOCK_SAMPLES = 750 * SAMPLES_PER_FRAME


def map_audio(
    blocks: Iterable[Float32[np.ndarray, "sample channel"]], channels: int
) -> list[Float32[np.ndarray, "sample"]]:
    """Store consecutive blocks, and return one array for each channel.

    Raises
    ------
    InputError
        The folder for temporary files is full.
    """
    try:
        with ExitStack() as opened:
            files = [opened.enter_context(tempfile.TemporaryFile()) for _ in range(channels)]
            samples = 0
            for block in blocks:
                samples += len(block)
                for file, channel in zip(files, block.T, strict=True):
                    file.write(np.ascontiguousarray(channel, np.float32).data)
            for file in files:
                file.flush()
            return [_mapped(file, samples) for file in files]
    except OSError as error:
        raise InputError(
            f"cannot store the decoded audio in {tempfile.gettempdir()}: {error.strerror}; set TMPDIR to a folder "
            f"with more room: an hour takes {3600 * AUDIO_RATE_HZ * 4 // 1_000_000} MB for each channel"
        ) from error


def _mapped(file, samples: int) -> Float32[np.ndarray, "sample"]:
    if not samples:
        return np.zeros(0, np.float32)
    return np.memmap(file, np.float32, "r+", shape=(samples,))


def audio_blocks(
    *tracks: Float32[np.ndarray, "sample"], samples: int = BLOCK_SAMPLES
) -> Iterator[tuple[int, tuple[Float32[np.ndarray, "some"], ...]]]:
    """Pass over tracks of one length: the index of the first sample of each block, and the block of each track.

    A block is valid until the next one.
    """
    for first in range(0, len(tracks[0]), samples):
        yield first, tuple(track[first : first + samples] for track in tracks)
        for track in tracks:
            release(track)


def release(track: np.ndarray) -> None:
    """Give the memory of a mapped track back; its samples stay in the file. Other arrays are left alone."""
    mapped = getattr(track, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
