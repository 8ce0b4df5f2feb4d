"""Both voices as one small stereo sound that every browser plays: AAC, A left and B right, as in the video."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from dualtalk.errors import DualTalkError
from dualtalk.io.ffmpeg import ffmpeg_path
from dualtalk.render.encode import AUDIO_OUT_HZ, write_stereo

BIT_RATE_BPS = 96_000
MEDIA_TYPE = "audio/mp4"


def encode_stereo_aac(voices: tuple[Float32[np.ndarray, "sample"], Float32[np.ndarray, "sample"]]) -> bytes:
    """Encode two 16 kHz voices as an m4a file.

    Joint stereo is off, so that neither channel leaks into the other when one is muted. The file contains no time
    stamp and no encoder version: the same voices give the same bytes.

    Raises
    ------
    SetupError
        There is no ffmpeg.
    DualTalkError
        ffmpeg failed; the message has its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        stereo, out = Path(folder) / "voices.wav", Path(folder) / "voices.m4a"
        write_stereo(stereo, voices)
        command = [
            *(ffmpeg_path(), "-y", "-loglevel", "error", "-i", str(stereo), "-map_metadata", "-1"),
            *("-c:a", "aac", "-b:a", str(BIT_RATE_BPS), "-ar", str(AUDIO_OUT_HZ)),
            *("-aac_ms", "0", "-aac_is", "0", "-fflags", "+bitexact", "-flags:a", "+bitexact"),
            *("-movflags", "+faststart", str(out)),
        ]
        process = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if process.returncode:
            lines = process.stderr.strip().splitlines() or [f"exit status {process.returncode}"]
            raise DualTalkError(f"ffmpeg could not encode the sound: {lines[-1]}")
        return out.read_bytes()
