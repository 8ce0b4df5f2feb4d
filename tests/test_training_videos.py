"""Laws of videos of a training: they show the averaged model, and change nothing of what is learnt."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import load_model
from dualtalk.simulation.closed_loop import close_the_loop
from dualtalk.training.callbacks import SampleVideos
from dualtalk.training.fit import train

CONFIGS = Path(__file__).parents[1] / "configs" / "train"


@pytest.fixture
def films(monkeypatch) -> list:
    """In place of drawing: what would be drawn, and random numbers used up, as a careless renderer might."""
    filmed = []

    def film(conversation, head, path) -> None:
        torch.rand(3)
        filmed.append((path, conversation, head))

    monkeypatch.setattr("dualtalk.training.callbacks.render_conversation", film)
    monkeypatch.setattr("dualtalk.training.callbacks.open_renderer", lambda scene: BytesIO())
    return filmed


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_a_run_with_videos_learns_what_one_without_learns(make_store, tiny_duet, tmp_path, films):
    store = make_store({"train": [40, 40], "validation": [20]})
    options = [*tiny_duet, "--data.datasets", str(store.root), "--trainer.max_steps", "4"]
    plain = load_model(train([*options, "--output-dir", str(tmp_path / "plain")]))
    assert not films
    filmed = load_model(train([*options, "--output-dir", str(tmp_path / "filmed")], [SampleVideos(2)]))
    weights = filmed.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in plain.model.state_dict().items())
    checkpoints = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["current_model_state"]
        for name in ("plain", "filmed")
    ]
    assert all(torch.equal(weight, checkpoints[1][name]) for name, weight in checkpoints[0].items())

    videos = tmp_path / "filmed" / "videos"
    assert [path for path, *_ in films] == [videos / "step00000002.mp4", videos / "step00000004.mp4"]
    talk = store.conversation("validation000")
    _, shown, head = films[-1]
    assert head.space == "open"
    for ours, all_of_it in zip(shown.participants, talk.participants, strict=True):
        assert np.array_equal(ours.audio, all_of_it.audio[: 10 * 640])
        assert np.array_equal(ours.speaking(10), all_of_it.speaking(20)[:10])
    again = close_the_loop(shown.with_motion(None, None), filmed)
    for ours, theirs in zip(shown.participants, again.participants, strict=True):
        # To rounding: the mean, on which samples lean, comes out a last bit apart in and after training.
        assert np.allclose(ours.motion.coefficients, theirs.motion.coefficients, rtol=0, atol=1e-6)


def test_a_model_that_cannot_be_streamed_is_not_filmed(make_store, tmp_path, films):
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
def test_a_film_that_fails_does_not_stop_the_run(make_store, tiny_duet, tmp_path, films, monkeypatch):
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
