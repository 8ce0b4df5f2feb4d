"""Decoding: any format that soundfile or ffmpeg reads gives the samples of the wav, at their times, in full
length."""

import struct
import subprocess

import numpy as np
import pytest
import soundfile
from scipy.signal import correlate

from dualtalk.audio.recording import conversation_from_recording
from dualtalk.errors import InputError
from dualtalk.io.audio_file import check_audio_file, read_wave
from dualtalk.io.audio_stream import open_audio
from dualtalk.io.ffmpeg import ffmpeg_path
from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME

SECONDS = 3.0
LOSSY_WAVES = ("telephone.wav", "depth8.wav", "dictation.wav")
# Name of the file and options of ffmpeg: what phones, browsers, recorders and editors write.
FORMATS = {
    "phone.m4a": ("-c:a", "aac"),
    "film.mp4": ("-f", "lavfi", "-i", "color=s=64x64:d=3", "-c:a", "aac", "-c:v", "libx264"),
    "screen.mkv": ("-c:a", "aac"),
    "browser.webm": ("-c:a", "libopus"),
    "messenger.opus": ("-c:a", "libopus"),
    "messenger.ogg": ("-c:a", "libvorbis"),
    "old.wma": ("-c:a", "wmav2"),
    "memo.amr": ("-c:a", "libopencore_amrnb", "-ar", "8000"),
    "phone.3gp": ("-c:a", "aac"),
    "radio.aac": ("-c:a", "aac"),
    "radio.mp3": ("-c:a", "libmp3lame", "-b:a", "64k"),
    "without_xing.mp3": ("-c:a", "libmp3lame", "-q:a", "4", "-write_xing", "0", "-id3v2_version", "0"),
    "old.avi": ("-c:a", "libmp3lame"),
    "lossless.m4a": ("-c:a", "alac"),
    "lossless.flac": ("-c:a", "flac"),
    "stream.ts": ("-c:a", "aac"),
    "depth24.wav": ("-c:a", "pcm_s24le"),
    "depth8.wav": ("-c:a", "pcm_u8"),
    "double.wav": ("-c:a", "pcm_f64le"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "studio.wav": ("-c:a", "pcm_s24le", "-ar", "96000"),
    "telephone.wav": ("-c:a", "pcm_mulaw", "-ar", "8000"),
    "dictation.wav": ("-c:a", "adpcm_ima_wav"),
    "big_endian.aiff": ("-c:a", "pcm_s16be"),
}


def noise_bursts() -> np.ndarray:
    """Bursts of noise below 3 kHz, which every codec keeps."""
    rng = np.random.default_rng(0)
    samples = round(SECONDS * AUDIO_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies_hz = np.fft.rfftfreq(samples, 1 / AUDIO_RATE_HZ)
    spectrum[(frequencies_hz < 300) | (frequencies_hz > 3000)] = 0
    noise = np.fft.irfft(spectrum, samples)
    gate = np.sin(2 * np.pi * 1.7 * np.arange(samples) / AUDIO_RATE_HZ) > 0
    return (0.2 * gate * noise / noise.std()).astype(np.float32)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "original.wav"
    soundfile.write(path, noise_bursts(), AUDIO_RATE_HZ, subtype="PCM_16")
    return path


def encoded(original, path, *options):
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-i", original, *options, path]
    subprocess.run(command, check=True)
    return path


def lag_s(found: np.ndarray, expected: np.ndarray) -> float:
    """By how much `found` is late."""
    longest = AUDIO_RATE_HZ // 4
    scores = correlate(np.pad(found, longest), expected, "valid")
    return (int(scores.argmax()) - longest) / AUDIO_RATE_HZ


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_length_and_the_times_of_the_wav(original, tmp_path, name):
    expected = read_wave(original)[0]
    (found,) = read_wave(encoded(original, tmp_path / name, *FORMATS[name]))
    # A last packet of a codec may reach past the end.
    assert len(found) / AUDIO_RATE_HZ == pytest.approx(SECONDS, abs=0.07)
    assert abs(lag_s(found, expected)) < 1 / 25
    overlap = min(len(found), len(expected))
    if name.endswith((".wav", ".flac", ".aiff", "lossless.m4a")) and name not in LOSSY_WAVES:
        assert np.corrcoef(found[:overlap], expected[:overlap])[0, 1] > 0.999


def test_chunks_before_the_samples_and_odd_sizes_are_skipped(original, tmp_path):
    content = original.read_bytes()
    at = content.index(b"data")
    junk = b"LIST" + struct.pack("<I", 7) + b"INFOabc" + b"\0" + b"junk" + struct.pack("<I", 4) + b"data"
    changed = content[:at] + junk + content[at:]
    path = tmp_path / "chunks.wav"
    path.write_bytes(changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:])
    assert np.array_equal(read_wave(path), read_wave(original))


def test_an_extensible_header_changes_nothing(original, tmp_path):
    path = tmp_path / "extensible.wav"
    soundfile.write(path, *soundfile.read(original), format="WAVEX", subtype="PCM_16")
    np.testing.assert_allclose(read_wave(path), read_wave(original), atol=1e-4)


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 48_000])
def test_any_rate_becomes_16_khz_with_the_same_times(original, tmp_path, rate_hz):
    (found,) = read_wave(encoded(original, tmp_path / "rate.wav", "-ar", str(rate_hz)))
    expected = read_wave(original)[0]
    assert len(found) == pytest.approx(len(expected), abs=3)
    assert abs(lag_s(found, expected)) <= 1 / AUDIO_RATE_HZ


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cut.mp4", ("-c:a", "aac", "-movflags", "+faststart")),
        ("cut.mkv", ("-c:a", "aac")),
        ("cut.opus", ("-c:a", "libopus")),
        ("cut.mp3", ("-c:a", "libmp3lame", "-b:a", "64k")),
        ("cut.flac", ("-c:a", "flac")),
        ("cut.wav", ("-c:a", "pcm_s16le")),
    ],
)
def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes_and_noted(original, tmp_path, name, options):
    # Long enough for several pages and packets.
    path = encoded(original, tmp_path / name, "-af", "aloop=4:size=48000", *options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 4 // 5])
    with pytest.raises(InputError, match=r"cut off|shorter than its header"):
        read_wave(path)
    conversation, notes = conversation_from_recording([path], lambda audio: _nobody())
    assert 8 < conversation.duration_s < 14
    assert "cut" in notes[0]


def _nobody():
    from pyannote.core import Annotation

    return Annotation()


def test_files_without_sound_and_without_an_index_are_refused_in_one_line(original, tmp_path):
    silent = tmp_path / "silent.mp4"
    command = [ffmpeg_path(), "-loglevel", "error", "-f", "lavfi", "-i", "color=s=64x64:d=1", silent]
    subprocess.run(command, check=True)
    with pytest.raises(InputError, match="no sound track"):
        check_audio_file(silent)
    whole = encoded(original, tmp_path / "whole.m4a", "-c:a", "aac")
    (tmp_path / "cut.m4a").write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(InputError, match="no index"):
        check_audio_file(tmp_path / "cut.m4a")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:3,\n{original}\n")
    with pytest.raises(InputError, match="not audio"):
        check_audio_file(playlist)


def test_the_first_of_several_sound_tracks_is_read_and_noted(original, tmp_path):
    path = tmp_path / "two.mkv"
    command = [
        ffmpeg_path(),
        "-loglevel",
        "error",
        "-i",
        original,
        "-map",
        "0:a",
        "-map",
        "0:a",
        "-c:a",
        "aac",
        path,
    ]
    subprocess.run(command, check=True)
    with open_audio(path) as stream:
        assert stream.sound_tracks == 2
    assert "2 sound tracks" in conversation_from_recording([path], lambda audio: _nobody())[1][0]


def test_decoding_is_a_stream(original, tmp_path):
    path = encoded(original, tmp_path / "long.m4a", "-c:a", "aac")
    with open_audio(path) as stream:
        first = next(stream.resampled())
    assert SAMPLES_PER_FRAME < len(first) <= AUDIO_RATE_HZ
