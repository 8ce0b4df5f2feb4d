"""Bad input of `dualtalk train`: one line, exit status 2, and the last checkpoint is kept."""

import pytest
import torch
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.data.windows import Window
from dualtalk.models.checkpoint import load_model
from dualtalk.training.module import ConversationTraining


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments), "--trainer.max_steps", "6"])


def refused(result, *, about: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("dualtalk: ")
    assert result.stderr.count("\n") == 1
    assert about in result.stderr


def changed(monkeypatch, at_step: int, change) -> None:
    """Change the batch of one step."""
    real = ConversationTraining.training_step

    def step(training: ConversationTraining, batch: Window, index: int):
        return real(training, change(batch) if training.global_step == at_step else batch, index)

    monkeypatch.setattr(ConversationTraining, "training_step", step)


def test_a_misspelt_config_key_is_refused(tiny_duet, tmp_path):
    config = tmp_path / "duet.yaml"
    with open(tiny_duet[1]) as shipped:
        config.write_text(shipped.read().replace("learning_rate:", "lerning_rate:"))
    refused(run("--config", config, "--output-dir", tmp_path / "run"), about="lerning_rate")
    refused(run("--config", tmp_path / "dute.yaml"), about="dute.yaml")
    assert not (tmp_path / "run").exists()


def test_missing_data_is_refused(tiny_duet, tmp_path):
    refused(
        run(*tiny_duet, "--data.datasets", tmp_path / "none", "--output-dir", tmp_path / "run"),
        about=f"no store at {tmp_path / 'none'}",
    )
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_without_clips_is_refused(make_store, tiny_duet, tmp_path, split):
    store = make_store({one: [20] for one in ("train", "validation", "test") if one != split})
    refused(
        run(*tiny_duet, "--data.datasets", store.root, "--output-dir", tmp_path / "run"),
        about=f"no clip in split '{split}'; it has test",
    )
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(make_store, tiny_duet, tmp_path, monkeypatch):
    options = [*tiny_duet, "--data.datasets", make_store({"train": [40], "validation": [20]}).root]
    options += ["--output-dir", tmp_path / "run"]
    with monkeypatch.context() as broken:
        changed(broken, 3, lambda batch: batch._replace(audio=batch.audio * float("nan")))
        refused(run(*options), about="the loss became nan at batch 1 (train000); the last checkpoint was kept")
    assert not (tmp_path / "run" / "model.safetensors").exists()
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 2
    assert all(torch.isfinite(weight).all() for weight in last["state_dict"].values())
    refused(
        run(*options, "--model.model.init_args.config.d_model", 32), about="last.ckpt is of a model of other sizes"
    )
    assert run(*options).exit_code == 0


def test_a_batch_without_a_valid_frame_does_not_stop_the_run(make_store, tiny_duet, tmp_path, monkeypatch):
    changed(monkeypatch, 3, lambda batch: batch._replace(valid=torch.zeros_like(batch.valid)))
    store = make_store({"train": [40], "validation": [20]})
    result = run(*tiny_duet, "--data.datasets", store.root, "--output-dir", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = load_model(tmp_path / "run" / "model.safetensors")
    assert found.metadata["steps"] == 6
    assert all(torch.isfinite(weight).all() for weight in found.model.state_dict().values())
