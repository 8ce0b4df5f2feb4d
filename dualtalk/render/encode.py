"""Encoding of frames and two voices to mp4 with the ffmpeg binary of imageio-ffmpeg."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32, UInt8

from dualtalk.errors import DualTalkError, InputError
from dualtalk.io.atomic import written_whole
from dualtalk.io.audio_map import audio_blocks
from dualtalk.io.ffmpeg import ffmpeg_path
from dualtalk.timebase import AUDIO_RATE_HZ, MOTION_FPS

Image = UInt8[np.ndarray, "height width 3"]
VIDEO_QUALITY_CRF = 20
AUDIO_OUT_HZ = 48_000
# A draft has every second frame.
DRAFT_STEP = 2


@contextmanager
def open_video(
    path: str | os.PathLike,
    size: tuple[int, int],
    voices: tuple[Float32[np.ndarray, "sample"], Float32[np.ndarray, "sample"]],
    *,
    draft: bool = False,
) -> Iterator[Callable[[Image], None]]:
    """Yield a function that writes one frame; when the context ends, the video is at `path`.

    A draft has every second frame, and is encoded for speed.

    Any exception inside the context, Ctrl-C included, terminates ffmpeg and leaves no file.

    Raises
    ------
    InputError
        `path` does not end in .mp4, or its folder cannot be written to.
    DualTalkError
        ffmpeg failed; the message contains its last line.
    """
    if Path(path).suffix.lower() != ".mp4":
        raise InputError(f"cannot write a video as {Path(path).name}; wanted a name that ends in .mp4")
    if not Path(path).parent.is_dir():
        raise InputError(f"cannot write {path}: its folder does not exist")
    with written_whole(path) as partial, tempfile.TemporaryDirectory() as folder:
        stereo = Path(folder) / "voices.wav"
        write_stereo(stereo, voices)
        with open(Path(folder) / "messages", "w+", encoding="utf-8") as messages:
            # A new session: Ctrl-C then reaches this process only, which terminates ffmpeg.
            process = subprocess.Popen(
                _command(size, stereo, partial, draft),
                stdin=subprocess.PIPE,
                stderr=messages,
                start_new_session=True,
            )
            pipe = process.stdin
            assert pipe is not None  # because of stdin=PIPE

            def write(image: Image) -> None:
                pipe.write(image.data)

            try:
                yield write
                pipe.close()
                status = process.wait()
            except BrokenPipeError:
                status = process.wait()
            finally:
                _terminate(process)
            if status:
                messages.seek(0)
                lines = messages.read().strip().splitlines() or [f"exit status {status}"]
                raise DualTalkError(f"ffmpeg could not write {path}: {lines[-1]}")


def _terminate(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


def _command(size: tuple[int, int], stereo: Path, out: Path, draft: bool) -> list[str]:
    width, height = size
    rate = f"{MOTION_FPS}/{DRAFT_STEP if draft else 1}"
    preset = "ultrafast" if draft else "veryfast"
    return [
        *(ffmpeg_path(), "-y", "-loglevel", "error"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate),
        *("-i", "pipe:0"),
        *("-i", str(stereo), "-map", "0:v", "-map", "1:a"),
        *("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p"),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"),
        *("-c:v", "libx264", "-preset", preset, "-crf", str(VIDEO_QUALITY_CRF)),
        *("-c:a", "aac", "-b:a", "128k", "-ar", str(AUDIO_OUT_HZ), "-movflags", "+faststart", str(out)),
    ]


def write_stereo(path: Path, voices: tuple[Float32[np.ndarray, "sample"], Float32[np.ndarray, "sample"]]) -> None:
    """Write two 16 kHz voices as the channels of a 16-bit wav, block by block."""
    with soundfile.SoundFile(path, "w", AUDIO_RATE_HZ, len(voices), "PCM_16") as file:
        for _, blocks in audio_blocks(*voices):
            file.write(np.stack(blocks, axis=1))
