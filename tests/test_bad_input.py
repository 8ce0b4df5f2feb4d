"""Invalid input of `simulate`: one line that says what came and what was wanted, exit status 2, no files left."""

import os
import pickle

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from dualtalk.cli import app

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


def assert_refused(result, *, about: str) -> None:
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
    assert list(folder.iterdir()) == [], "files were left behind"


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
        (no_samples, "no samples"),
        (not_a_number, "NaN"),
        (three_channels, "3 channels"),
        (ten_milliseconds, "10 ms"),
    ],
)
def test_unusable_audio_is_refused(make, about, inputs, outputs):
    assert_refused(run("simulate", make(inputs), "--out", outputs / "out"), about=about)


def test_a_head_file_that_is_not_flame_is_refused(inputs, outputs):
    head = inputs / "flame.pkl"
    head.write_bytes(pickle.dumps({"weights": np.ones(3)}))
    assert_refused(
        run("simulate", wave(inputs, noise(1)), "--out", outputs / "out", "--head", head), about="flame.pkl"
    )


class Payload:
    def __reduce__(self):
        return os.mkdir, (os.environ["DUALTALK_TEST_TRAP"],)


def test_a_head_file_that_would_run_code_is_refused(inputs, outputs, monkeypatch):
    trap = inputs / "trap"
    monkeypatch.setenv("DUALTALK_TEST_TRAP", str(trap))
    head = inputs / "flame.pkl"
    head.write_bytes(pickle.dumps({"weights": Payload()}))
    assert_refused(
        run("simulate", wave(inputs, noise(1)), "--out", outputs / "out", "--head", head), about="mkdir"
    )
    assert not trap.exists()


def test_results_are_replaced_only_with_overwrite(inputs, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("former")
    assert_refused(run("simulate", missing(inputs), "--out", out), about="--overwrite")
    assert (out / "run.json").read_text() == "former"


@pytest.mark.parametrize("place", ["no/such/parent", "a_file/out", "a_file"])
def test_an_unwritable_output_folder_is_refused(place, inputs):
    (inputs / "a_file").touch()
    assert_refused(run("simulate", missing(inputs), "--out", inputs / place), about=str(inputs))
    assert [path.name for path in inputs.iterdir()] == ["a_file"]


def test_without_a_gl_library_the_error_names_the_packages(inputs, outputs, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("libEGL.so.1 not found")

    monkeypatch.setattr("moderngl.create_context", fail)
    arguments = ("simulate", wave(inputs, noise(1)), "--renderer", "moderngl", "--out", outputs / "out")
    assert_refused(run(*arguments), about="apt-get install libegl1")


@pytest.mark.parametrize(
    "stage",
    [
        "audio.recording.conversation_from_recording",
        "simulation.simulator.predict_motion",
        "render.video.draw_video",
        "webpages.conversation_report.write_report",
    ],
)
def test_ctrl_c_leaves_no_files(stage, inputs, outputs, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"dualtalk.{stage}", interrupted)
    result = run("simulate", wave(inputs, noise(1)), "--out", outputs / "out")
    assert result.exit_code == 130
    assert result.stderr.count("\n") == 1


def test_silent_audio_is_simulated_with_a_note(inputs, tmp_path):
    result = run("simulate", wave(inputs, np.zeros((3 * RATE_HZ, 1))), "--out", tmp_path / "out", "--no-video")
    assert result.exit_code == 0, result.stderr
    assert "note: " in result.stdout


def test_two_files_of_different_length_are_padded_with_a_note(inputs, tmp_path):
    waves = [wave(inputs, noise(2), "a.wav"), wave(inputs, noise(3), "b.wav")]
    result = run("simulate", *waves, "--out", tmp_path / "out", "--no-video")
    assert result.exit_code == 0, result.stderr
    assert "note: " in result.stdout
    lengths = {soundfile.info(tmp_path / "out" / name).frames for name in ("a.wav", "b.wav")}
    assert lengths == {3 * RATE_HZ}
