"""The ffmpeg binary."""

from dualtalk.errors import SetupError


def ffmpeg_path() -> str:
    """Path of the ffmpeg binary.

    Raises
    ------
    SetupError
        There is no ffmpeg.
    """
    # Deferred: it takes a tenth of a second, and most recordings are read without it.
    import imageio_ffmpeg

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise SetupError("no ffmpeg found; on Debian or Ubuntu: apt-get install ffmpeg") from error
