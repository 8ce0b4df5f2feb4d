"""The common timebase: 25 motion frames a second and 16 kHz audio, so exactly 640 samples a frame.

This module imports nothing, so that every layer can use it; the models too, which know tensors only.
"""

MOTION_FPS = 25
AUDIO_RATE_HZ = 16_000
DAY_S = 24 * 3600
SAMPLES_PER_FRAME = AUDIO_RATE_HZ // MOTION_FPS
# No recording of a conversation is longer; a larger number in a file is an error of that file.
LONGEST_CLIP_FRAMES = DAY_S * MOTION_FPS
assert SAMPLES_PER_FRAME * MOTION_FPS == AUDIO_RATE_HZ


def frames_for_samples(samples: int) -> int:
    """Number of motion frames that cover `samples` audio samples; the last frame may extend past the end."""
    return -(-samples // SAMPLES_PER_FRAME)


def frame_at(time_s: float) -> int:
    """Index of the motion frame whose span [t / 25, (t + 1) / 25) contains `time_s`."""
    return int(time_s * MOTION_FPS + 1e-6)


def sample_at(time_s: float) -> int:
    """Index of the audio sample nearest to `time_s`."""
    return round(time_s * AUDIO_RATE_HZ)
