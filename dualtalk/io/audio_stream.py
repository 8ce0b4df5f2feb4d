"""Decoding of any recording as a stream: sound files, and the sound track of video files, block by block.

soundfile decodes the formats that it reads, ffmpeg all others. MP3 goes to ffmpeg too: libsndfile takes the length
of an MP3 from its header, and without a Xing header it stops early. ffmpeg compensates the delay of encoders that
files of a format state; the delay of the others is compensated here.

A recording that is cut off or damaged is decoded as far as possible, and `AudioStream.damage` says so.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
from jaxtyping import Float32

from dualtalk.errors import InputError
from dualtalk.io.ffmpeg import ffmpeg_path
from dualtalk.timebase import AUDIO_RATE_HZ

Block = Float32[np.ndarray, "sample channel"]
BLOCK_S = 1.0
UNKNOWN_RIFF_BYTES = 0xFFFFFF00
OGG_PAGE, OGG_END_OF_STREAM, OGG_LONGEST_PAGE_BYTES = b"OggS", 4, 65_307
# Formats that ffmpeg may read: containers and sound files, but no playlists, which name other files.
DEMUXERS = (
    *(
        "aac",
        "ac3",
        "aiff",
        "amr",
        "amrnb",
        "amrwb",
        "ape",
        "asf",
        "au",
        "avi",
        "caf",
        "dts",
        "dtshd",
        "dv",
        "eac3",
    ),
    *(
        "flac",
        "flv",
        "g722",
        "g729",
        "gsm",
        "matroska,webm",
        "mov,mp4,m4a,3gp,3g2,mj2",
        "mp3",
        "mpc",
        "mpc8",
        "mpeg",
    ),
    *("mpegts", "mxf", "nut", "ogg", "oma", "rm", "sln", "tak", "truehd", "tta", "voc", "w64", "wav", "wtv", "wv"),
    "xwma",
)
# Delay in samples of the usual encoders of streams that do not state it: FFmpeg's AAC encoder; and LAME with the
# decoder's own delay (lame.sourceforge.io/tech-FAQ.txt: 576 + 529).
UNSTATED_DELAY_SAMPLES = {"aac": 1024, "mp3": 1105}
STATES_NO_DELAY = ("aac", "mpegts", "avi", "mp3", "flv")
AU_HEADER_BYTES, AU_MAGIC = 24, b".snd"
ERROR_MARKS = re.compile(
    r"partial file|ended prematurely|packet corrupt|corrupt input|duration do not match|error submitting packet"
    r"|decoding error|packet size|error during demuxing|truncat",
    re.IGNORECASE,
)
# A stated length that decoding misses by more than this: the file was cut off.
LONGEST_SHORTFALL_S = 0.5


@dataclass
class AudioStream:
    """A recording that is being decoded.

    Attributes
    ----------
    path : Path
    rate_hz : int
        Of the file.
    channels : int
    blocks : iterator of (sample, channel) float32
        At the file's rate. Decoding errors after the first block end it.
    damage : str
        After the last block: why the recording is shorter than it should be; empty if it is whole.
    sound_tracks : int
        Sound tracks of the file; the first is decoded.
    """

    path: Path
    rate_hz: int
    channels: int
    blocks: Iterator[Block]
    damage: str = ""
    sound_tracks: int = 1

    def resampled(self) -> Iterator[Block]:
        """The blocks at 16 kHz."""
        if self.rate_hz == AUDIO_RATE_HZ:
            yield from self.blocks
            return
        import soxr

        stream = soxr.ResampleStream(self.rate_hz, AUDIO_RATE_HZ, self.channels, dtype="float32")
        for block in self.blocks:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)


@contextmanager
def open_audio(path: str | os.PathLike) -> Iterator[AudioStream]:
    """Open a sound file, or the first sound track of a video file.

    Raises
    ------
    InputError
        No such file, a folder, an empty file, or no sound that can be decoded.
    SetupError
        Only ffmpeg could read the file, and there is none.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; wanted an audio file")
    if not path.is_file():
        raise InputError(f"no audio file at {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); was its download or recording cut off?")
    if (file := _sound_file(path)) is None:
        with _ffmpeg_stream(path) as stream:
            yield stream
    else:
        with file:
            yield _soundfile_stream(path, file)


def _sound_file(path: Path) -> soundfile.SoundFile | None:
    """The file as soundfile opens it; None if ffmpeg is to decode it."""
    with path.open("rb") as file:
        head = file.read(3)
    if head == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return None
    try:
        # As bytes, so that a name that is no text can be opened.
        return soundfile.SoundFile(os.fsencode(path))
    except soundfile.LibsndfileError:
        return None


def _soundfile_stream(path: Path, file: soundfile.SoundFile) -> AudioStream:
    def blocks() -> Iterator[Block]:
        length = max(round(BLOCK_S * file.samplerate), 1)
        done = 0
        try:
            while len(block := file.read(length, dtype="float32", always_2d=True)):
                done += len(block)
                yield block
        except soundfile.LibsndfileError as error:
            if not done:
                raise InputError(f"{path} is not audio that can be read ({error.error_string})") from error
        if done < file.frames or _is_truncated_wav(path):
            stream.damage = f"{path.name} is shorter than its header says; was it cut off while it was copied?"
        elif file.format == "OGG" and not _ends_ogg_stream(path):
            stream.damage = f"{path.name} ends without the mark of its last page; was it cut off?"

    stream = AudioStream(path, file.samplerate, file.channels, blocks())
    return stream


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


def _ends_ogg_stream(path: Path) -> bool:
    """Whether the last page of an Ogg file ends its stream (RFC 3533, section 6)."""
    with path.open("rb") as file:
        file.seek(-min(OGG_LONGEST_PAGE_BYTES, path.stat().st_size), os.SEEK_END)
        tail = file.read()
    last = tail.rfind(OGG_PAGE)
    return last >= 0 and len(tail) > last + 5 and bool(tail[last + 5] & OGG_END_OF_STREAM)


@dataclass
class _Messages:
    """What ffmpeg wrote to standard error."""

    file: IO[str]
    text: str = field(default="", init=False)

    def read(self) -> str:
        self.file.seek(0)
        self.text = self.file.read()
        return self.text

    def find(self, pattern: str) -> str:
        found = re.search(pattern, self.text)
        return found[1] if found else ""


@contextmanager
def _ffmpeg_stream(path: Path) -> Iterator[AudioStream]:
    """Decode with ffmpeg, which writes an AU file of 32-bit floats to a pipe."""
    command: list[str | bytes] = [
        *(ffmpeg_path(), "-hide_banner", "-nostdin", "-nostats", "-protocol_whitelist", "file,pipe"),
        *("-format_whitelist", ",".join(DEMUXERS), "-i", b"file:" + os.fsencode(path)),
        # Gaps in a recording are filled, so that the times after them stay right.
        *(
            "-map",
            "0:a:0",
            "-vn",
            "-af",
            "aresample=async=1:first_pts=0",
            "-c:a",
            "pcm_f32be",
            "-f",
            "au",
            "pipe:1",
        ),
    ]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        # A new session: Ctrl-C then reaches this process only, which ends ffmpeg.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        pipe, messages = process.stdout, _Messages(log)
        assert pipe is not None  # because of stdout=PIPE
        try:
            yield _au_stream(path, pipe, process, messages)
        finally:
            process.kill()
            pipe.close()
            process.wait()


def _au_stream(path: Path, pipe: IO[bytes], process: subprocess.Popen, messages: _Messages) -> AudioStream:
    header = pipe.read(AU_HEADER_BYTES)
    if len(header) < AU_HEADER_BYTES or header[:4] != AU_MAGIC:
        process.wait()
        raise _unreadable(path, messages.read())
    offset, _, _, rate_hz, channels = (int.from_bytes(header[at : at + 4], "big") for at in range(4, 24, 4))
    pipe.read(offset - AU_HEADER_BYTES)
    messages.read()
    delay = _unstated_delay(messages)

    def blocks() -> Iterator[Block]:
        length = max(round(BLOCK_S * rate_hz), 1) * channels * 4
        to_skip, done = delay, 0
        while content := pipe.read(length):
            # A process that was killed may end within a sample.
            whole = len(content) // (4 * channels) * channels
            block = np.frombuffer(content, ">f4", whole).reshape(-1, channels)
            done += len(block)
            skipped = min(to_skip, len(block))
            to_skip -= skipped
            if skipped < len(block):
                yield block[skipped:].astype(np.float32)
        status = process.wait()
        if status and not done:
            raise _unreadable(path, messages.read())
        messages.read()
        stream.damage = _damage(path, messages, done / rate_hz, failed=bool(status))

    tracks = len(re.findall(r"Stream #0:.*: Audio:", messages.text.split("Stream mapping:")[0]))
    stream = AudioStream(path, rate_hz, channels, blocks(), sound_tracks=max(tracks, 1))
    return stream


def _unstated_delay(messages: _Messages) -> int:
    """Samples of encoder delay that neither the file states nor ffmpeg has removed."""
    form = messages.find(r"Input #0, (\S+), from")
    codec = messages.find(r"Stream #0:.*: Audio: (\w+)")
    # ffmpeg removes the delay that a Xing header states, and starts at it.
    stated = form == "mp3" and float(messages.find(r"start: ([\d.]+)") or 0) > 0
    return UNSTATED_DELAY_SAMPLES.get(codec, 0) if form in STATES_NO_DELAY and not stated else 0


def _damage(path: Path, messages: _Messages, decoded_s: float, *, failed: bool) -> str:
    if failed or ERROR_MARKS.search(messages.text):
        return f"{path.name} is cut off or damaged; {decoded_s:.1f} s could be decoded"
    hours, minutes, seconds = (messages.find(r"Duration: ([\d:.]+)") or "0:0:0").split(":")
    stated_s = 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    # The length of a video file may be that of its pictures, and some lengths are estimates.
    exact = "Estimating duration" not in messages.text and ": Video:" not in messages.text
    if exact and stated_s - decoded_s > LONGEST_SHORTFALL_S:
        return f"{path.name} holds {decoded_s:.1f} s of the {stated_s:.1f} s that it states; was it cut off?"
    return ""


def _unreadable(path: Path, messages: str) -> InputError:
    if "moov atom not found" in messages:
        return InputError(f"{path} has no index (moov); was its recording or download cut off?")
    if "matches no streams" in messages or "does not contain any stream" in messages:
        return InputError(f"{path} has no sound track")
    if "Decoder not found" in messages or "no decoder found" in messages.lower():
        return InputError(f"{path} has sound in a format that ffmpeg cannot decode")
    return InputError(
        f"{path} is not audio that can be read, by soundfile or by ffmpeg; is it a sound or video file?"
    )
