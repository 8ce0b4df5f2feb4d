"""Videos: complete and in time, with A's voice on the left; or no file at all."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from pyannote.core import Timeline

from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.errors import DualTalkError, InputError
from dualtalk.head import load_head
from dualtalk.render import encode, render_conversation
from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME

FRAMES = 30
SIZE = (128, 64)


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def conversation():
    """A hums at 440 Hz and B is silent; neither moves."""
    seconds = np.arange(FRAMES * SAMPLES_PER_FRAME) / AUDIO_RATE_HZ
    hum = (0.4 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    still = HeadMotion.from_parts(
        expression=np.zeros((FRAMES, 50), np.float32),
        jaw_rotvec_rad=np.zeros((FRAMES, 3), np.float32),
        head_rotvec_rad=np.zeros((FRAMES, 3), np.float32),
        space="open",
    )
    return Conversation(Participant(hum, Timeline(), still), Participant(0 * hum, Timeline(), still))


def _sound(path):
    """(sample, channel) of a video's sound track at 16 kHz."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path)]
    command += ["-f", "f32le", "-ar", str(AUDIO_RATE_HZ), "-ac", "2", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32).reshape(
        -1, 2
    )


def test_video_has_every_frame_and_a_on_the_left(conversation, head, tmp_path):
    path = tmp_path / "talk.mp4"
    calls = []
    render_conversation(conversation, head, path, size=SIZE, progress=lambda *done: calls.append(done))
    assert calls[-1] == (FRAMES, FRAMES)
    assert [file.name for file in tmp_path.iterdir()] == ["talk.mp4"]

    frames, duration_s = imageio_ffmpeg.count_frames_and_secs(path)
    assert frames == FRAMES
    assert duration_s == pytest.approx(FRAMES / 25, abs=0.1)
    reader = imageio_ffmpeg.read_frames(path)
    facts = next(reader)
    reader.close()
    assert facts["size"] == SIZE
    assert facts["codec"] == "h264"
    assert facts["pix_fmt"].startswith("yuv420p")
    assert facts["fps"] == 25

    left, right = np.sqrt((_sound(path) ** 2).mean(axis=0))
    assert left == pytest.approx(0.4 / np.sqrt(2), rel=0.1)
    assert right < 0.01


def test_draft_has_every_second_frame_and_the_whole_sound(conversation, head, tmp_path):
    path = tmp_path / "draft.mp4"
    calls = []
    render_conversation(conversation, head, path, size=SIZE, draft=True, progress=lambda *done: calls.append(done))
    assert calls[-1] == (FRAMES // 2, FRAMES // 2)
    frames, duration_s = imageio_ffmpeg.count_frames_and_secs(path)
    assert frames == FRAMES // 2
    assert duration_s == pytest.approx(FRAMES / 25, abs=0.1)
    assert len(_sound(path)) >= FRAMES * SAMPLES_PER_FRAME


def test_video_of_one_frame(conversation, head, tmp_path):
    people = (
        Participant(person.audio[:SAMPLES_PER_FRAME], Timeline(), person.motion[:1])
        for person in conversation.participants
    )
    render_conversation(Conversation(*people), head, tmp_path / "one.mp4", size=SIZE)
    assert imageio_ffmpeg.count_frames_and_secs(tmp_path / "one.mp4")[0] == 1


def test_interrupt_leaves_no_file(conversation, head, tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen

    def recorded(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    def interrupt(done, frames):
        if done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(encode.subprocess, "Popen", recorded)
    with pytest.raises(KeyboardInterrupt):
        render_conversation(conversation, head, tmp_path / "talk.mp4", size=SIZE, progress=interrupt)
    assert not list(tmp_path.iterdir())
    assert started[0].poll() is not None


def test_ffmpeg_failure_is_one_line(conversation, head, tmp_path, monkeypatch):
    monkeypatch.setattr(
        encode, "_command", lambda *_: [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-zzz"]
    )
    with pytest.raises(DualTalkError, match=r"ffmpeg could not write .*talk.mp4: \S") as caught:
        render_conversation(conversation, head, tmp_path / "talk.mp4", size=SIZE)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_invalid_path_is_rejected_before_rendering(conversation, head, tmp_path):
    with pytest.raises(InputError, match=r"wanted a name that ends in .mp4"):
        render_conversation(conversation, head, tmp_path / "talk.gif", size=SIZE)
    with pytest.raises(InputError, match="its folder does not exist"):
        render_conversation(conversation, head, tmp_path / "nowhere" / "talk.mp4", size=SIZE)
