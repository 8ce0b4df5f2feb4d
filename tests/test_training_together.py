"""Multi-process training equals training in one process; one process writes files; no process waits forever."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dualtalk.data import write_shards
from dualtalk.models.checkpoint import load_model
from dualtalk.training.fit import train

TOGETHER = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
# Each process draws its own random numbers, so gradients can only be compared without randomness.
NOT_RANDOM = [
    *("--model.scheduled_sampling_prob", "0", "--model.history_noise_std", "0", "--model.flow_weight", "0"),
    *("--model.audio_augmentation", "false", "--model.vtlp_range", "null", "--data.role_swap", "false"),
    *("--model.model.init_args.config.lookahead_frames", "0"),
    *("--model.model.init_args.config.max_lookahead_frames", "0"),
]


def trained_together(options: list[str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "dualtalk.cli", "train", *options, *TOGETHER]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def weights(run: Path) -> dict[str, Tensor]:
    """Weights after the last step, without averaging."""
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["current_model_state"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_two_processes_equal_one_process_with_both_batches(make_store, tiny_duet, tmp_path):
    """Every valid frame has the same weight, although the processes have different numbers of them."""
    store = make_store({"train": [10, 6, 10, 3], "validation": [20]})
    options = [*tiny_duet, "--data.datasets", str(store.root), "--trainer.max_steps", "6", *NOT_RANDOM]
    ended = trained_together([*options, "--output-dir", str(tmp_path / "two"), "--data.batch_size", "2"])
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{tmp_path / 'two' / 'model.safetensors'}\n"
    train([*options, "--output-dir", str(tmp_path / "one"), "--data.batch_size", "4"])
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        assert torch.allclose(one[name], two[name], atol=2e-5), (name, (one[name] - two[name]).abs().max())
    averaged = load_model(tmp_path / "two" / "model.safetensors").model.state_dict()
    assert max((averaged[name] - two[f"model.{name}"]).abs().max() for name in averaged) > 1e-3


def test_processes_with_different_random_numbers_do_not_deadlock(make_store, tiny_duet, tmp_path):
    """A process whose conversations are all free-running has no loss of the flow."""
    write_shards(make_store({"train": [20] * 4, "validation": [20] * 2}), tmp_path / "shards", clips_per_shard=1)
    options = [*tiny_duet, "--data.datasets", str(tmp_path / "shards"), "--data.batch_size", "1"]
    ended = trained_together([*options, "--output-dir", str(tmp_path / "run"), "--trainer.max_steps", "6"])
    assert ended.returncode == 0, ended.stderr
    assert load_model(tmp_path / "run" / "model.safetensors").metadata["steps"] == 6
