"""Callbacks of a run: sample videos show the averaged model and change nothing; the progress line counts steps."""

from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import load_model
from dualtalk.simulation.closed_loop import predict_closed_loop
from dualtalk.training.callbacks import SampleVideos, TrainingProgress
from dualtalk.training.fit import train

CONFIGS = Path(__file__).parents[1] / "configs" / "train"


@pytest.fixture
def rendered(monkeypatch) -> list:
    """Arguments of every call of the renderer, which is replaced by one that consumes random numbers."""
    calls = []

    def render(conversation, head, path) -> None:
        torch.rand(3)
        calls.append((path, conversation, head))

    monkeypatch.setattr("dualtalk.training.callbacks.render_conversation", render)
    monkeypatch.setattr("dualtalk.training.callbacks.open_renderer", lambda scene: BytesIO())
    return calls


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_sample_videos_do_not_change_what_a_run_learns(make_store, tiny_duet, tmp_path, rendered):
    store = make_store({"train": [40, 40], "validation": [20]})
    options = [*tiny_duet, "--data.datasets", str(store.root), "--trainer.max_steps", "4"]
    plain = load_model(train([*options, "--output-dir", str(tmp_path / "plain")]))
    assert not rendered
    with_videos = load_model(train([*options, "--output-dir", str(tmp_path / "with_videos")], [SampleVideos(2)]))
    weights = with_videos.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in plain.model.state_dict().items())
    checkpoints = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["current_model_state"]
        for name in ("plain", "with_videos")
    ]
    assert all(torch.equal(weight, checkpoints[1][name]) for name, weight in checkpoints[0].items())

    videos = tmp_path / "with_videos" / "videos"
    assert [path for path, *_ in rendered] == [videos / "step00000002.mp4", videos / "step00000004.mp4"]
    talk = store.conversation("validation000")
    _, sample, head = rendered[-1]
    assert head.space == "open"
    for ours, whole in zip(sample.participants, talk.participants, strict=True):
        assert np.array_equal(ours.audio, whole.audio[: 10 * 640])
        assert np.array_equal(ours.speaking(10), whole.speaking(20)[:10])
    again = predict_closed_loop(sample.with_motion(None, None), with_videos)
    for ours, theirs in zip(sample.participants, again.participants, strict=True):
        # Equal up to rounding: the moving average differs in the last bit during and after training.
        assert np.allclose(ours.motion.coefficients, theirs.motion.coefficients, rtol=0, atol=1e-6)


def test_a_model_that_cannot_stream_has_no_sample_videos(make_store, tmp_path, rendered):
    store = make_store({"train": [10], "validation": [10]})
    options = [
        "--config",
        CONFIGS / "peng2025.yaml",
        "--data.datasets",
        store.root,
        "--output-dir",
        tmp_path / "run",
    ]
    small = ["--model.model.init_args.config.hidden_dim", 8, "--data.num_workers", 0, "--data.window_frames", 10]
    result = CliRunner().invoke(app, ["train", *map(str, [*options, *small, "--sample-video-every-n-steps", 1])])
    assert result.exit_code == 2
    assert "Peng2025 needs the whole recording before its first frame" in result.stderr
    assert "--sample-video-every-n-steps" in result.stderr


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_a_video_that_fails_does_not_stop_the_run(make_store, tiny_duet, tmp_path, rendered, monkeypatch):
    def refuse(*_) -> None:
        raise InputError("head rotation has a norm of 3.5 rad; were degrees passed?")

    monkeypatch.setattr("dualtalk.training.callbacks.render_conversation", refuse)
    store = make_store({"train": [10], "validation": [10]})
    options = [
        "--data.datasets",
        str(store.root),
        "--output-dir",
        str(tmp_path / "run"),
        "--trainer.max_steps",
        "2",
    ]
    result = CliRunner().invoke(app, ["train", *tiny_duet, *options, "--sample-video-every-n-steps", "1"])
    assert result.exit_code == 0
    assert "dualtalk: no video of step 2: head rotation has a norm of 3.5 rad" in result.stderr
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_the_progress_line_counts_steps(make_store, tiny_duet, tmp_path):
    store = make_store({"train": [10], "validation": [10]})
    options = [
        "--data.datasets",
        str(store.root),
        "--output-dir",
        str(tmp_path / "run"),
        "--trainer.max_steps",
        "2",
    ]
    text = StringIO()
    train([*tiny_duet, *options], [TrainingProgress(Console(file=text, force_terminal=True, width=100))])
    assert "2/2" in text.getvalue()
    assert "loss" in text.getvalue()
    assert "steps/s" in text.getvalue()
    assert "Epoch" not in text.getvalue()
