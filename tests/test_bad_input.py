"""Whatever is handed in: one line that says what came and what was wanted, exit status 2, nothing left behind."""

import os
import pickle

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.errors import SetupError

RATE_HZ = 16_000


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def noise(seconds: float, channels: int = 1) -> np.ndarray:
    shape = (int(seconds * RATE_HZ), channels)
    return (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


def wave(folder, samples, name="talk.wav"):
    path = folder / name
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    return path


def refused(result, *, about: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("dualtalk: ")
    assert result.stderr.count("\n") == 1
    assert about in result.stderr


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    return folder


@pytest.fixture
def outputs(tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == [], "something was left behind"


def missing(folder):
    return folder / "absent.wav"


def a_folder(folder):
    return folder


def empty(folder):
    path = folder / "empty.wav"
    path.touch()
    return path


def text(folder):
    path = folder / "text.wav"
    path.write_text("plain text " * 100)
    return path


def truncated(folder):
    path = wave(folder, noise(2))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def no_samples(folder):
    return wave(folder, noise(0))


def not_a_number(folder):
    samples = noise(1)
    samples[500] = np.nan
    return wave(folder, samples)


def three_channels(folder):
    return wave(folder, noise(1, channels=3))


def ten_milliseconds(folder):
    return wave(folder, noise(0.01))


@pytest.mark.parametrize(
    ("make", "about"),
    [
        (missing, "no audio file"),
        (a_folder, "is a folder"),
        (empty, "0 bytes"),
        (text, "not audio"),
        (truncated, "cut off"),
        (no_samples, "no samples"),
        (not_a_number, "NaN"),
        (three_channels, "3 channels"),
        (ten_milliseconds, "10 ms"),
    ],
)
def test_audio_that_cannot_be_used(make, about, inputs, outputs):
    refused(run("simulate", make(inputs), "--out", outputs / "out"), about=about)


def test_a_head_that_is_not_flame(inputs, outputs):
    head = inputs / "flame.pkl"
    head.write_bytes(pickle.dumps({"weights": np.ones(3)}))
    refused(run("simulate", wave(inputs, noise(1)), "--out", outputs / "out", "--head", head), about="flame.pkl")


class Payload:
    def __reduce__(self):
        return os.mkdir, (os.environ["DUALTALK_TEST_TRAP"],)


def test_a_head_that_would_run_code(inputs, outputs, monkeypatch):
    trap = inputs / "trap"
    monkeypatch.setenv("DUALTALK_TEST_TRAP", str(trap))
    head = inputs / "flame.pkl"
    head.write_bytes(pickle.dumps({"weights": Payload()}))
    refused(run("simulate", wave(inputs, noise(1)), "--out", outputs / "out", "--head", head), about="mkdir")
    assert not trap.exists()


def test_results_are_not_replaced_unasked(inputs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("former")
    refused(run("simulate", missing(inputs), "--out", out), about="--overwrite")
    assert (out / "run.json").read_text() == "former"


@pytest.mark.parametrize("place", ["no/such/parent", "a_file/out", "a_file"])
def test_an_output_that_cannot_be_written(place, inputs):
    (inputs / "a_file").touch()
    refused(run("simulate", missing(inputs), "--out", inputs / place), about=str(inputs))
    assert [path.name for path in inputs.iterdir()] == ["a_file"]


def test_no_gl_library_names_the_package(inputs, outputs, monkeypatch):
    def absent(*_, **__):
        raise SetupError("OpenGL does not work here; apt-get install libegl1")

    monkeypatch.setattr("dualtalk.render.renderer._moderngl", absent)
    monkeypatch.setattr("dualtalk.render.renderer._pyrender", absent)
    refused(run("simulate", wave(inputs, noise(1)), "--out", outputs / "out"), about="apt-get install libegl1")


@pytest.mark.parametrize(
    "stage",
    [
        "audio.recording.conversation_from_recording",
        "simulation.simulator.simulate",
        "render.render_conversation",
        "webpages.conversation_report.write_report",
    ],
)
def test_ctrl_c_leaves_nothing(stage, inputs, outputs, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"dualtalk.{stage}", interrupted)
    result = run("simulate", wave(inputs, noise(1)), "--out", outputs / "out")
    assert result.exit_code == 130
    assert result.stderr.count("\n") == 1


def test_silence_is_a_conversation_in_which_both_listen(inputs, tmp_path):
    result = run("simulate", wave(inputs, np.zeros((3 * RATE_HZ, 1))), "--out", tmp_path / "out", "--no-video")
    assert result.exit_code == 0, result.stderr
    assert "note: " in result.stdout


def test_files_of_two_lengths_are_padded_and_that_is_said(inputs, tmp_path):
    waves = [wave(inputs, noise(2), "a.wav"), wave(inputs, noise(3), "b.wav")]
    result = run("simulate", *waves, "--out", tmp_path / "out", "--no-video")
    assert result.exit_code == 0, result.stderr
    assert "note: " in result.stdout
    lengths = {soundfile.info(tmp_path / "out" / name).frames for name in ("a.wav", "b.wav")}
    assert lengths == {3 * RATE_HZ}
