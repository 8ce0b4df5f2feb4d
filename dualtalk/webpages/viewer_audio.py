"""Both voices as one small sound that every browser plays: AAC, A left and B right as in the film."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from dualtalk.errors import DualTalkError
from dualtalk.render.encode import AUDIO_OUT_HZ, ffmpeg_path
from dualtalk.timebase import AUDIO_RATE_HZ

BITS_A_SECOND = 96_000
MEDIA_TYPE = "audio/mp4"


def encoded_sound(voices: Float32[np.ndarray, "2 sample"]) -> bytes:
    """An m4a file. The two channels share nothing, so that one can be heard without a trace of the other, and
    nothing in it tells when or by which version it was made.

    Raises
    ------
    SetupError
        There is no ffmpeg.
    DualTalkError
        ffmpeg failed; the message has its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        stereo, out = Path(folder) / "voices.wav", Path(folder) / "voices.m4a"
        soundfile.write(stereo, voices.T, AUDIO_RATE_HZ, subtype="PCM_16")
        command = [
            *(ffmpeg_path(), "-y", "-loglevel", "error", "-i", str(stereo), "-map_metadata", "-1"),
            *("-c:a", "aac", "-b:a", str(BITS_A_SECOND), "-ar", str(AUDIO_OUT_HZ)),
            *("-aac_ms", "0", "-aac_is", "0", "-fflags", "+bitexact", "-flags:a", "+bitexact"),
            *("-movflags", "+faststart", str(out)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise DualTalkError(f"ffmpeg could not encode the sound: {lines[-1]}")
        return out.read_bytes()
