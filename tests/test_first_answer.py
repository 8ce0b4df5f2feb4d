"""A mistake in the arguments is answered before anything heavy is imported."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

HEAVY = ("torch", "pyannote", "lightning", "transformers", "moderngl", "pyrender", "pandas", "scipy", "trimesh")
MOST_MODULES = 800
# Runs commands in one process, and prints for each the exit status, the output and the heavy modules so far.
RUNNER = """
import json, sys
from typer.testing import CliRunner
from dualtalk.cli import app
for arguments in json.load(sys.stdin):
    result = CliRunner().invoke(app, arguments)
    heavy = [name for name in {heavy} if name in sys.modules]
    print(json.dumps([result.exit_code, result.stderr, heavy, len(sys.modules)]))
"""


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    sound = tmp_path / "talk.wav"
    soundfile.write(sound, np.zeros(16_000, np.float32), 16_000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "result").mkdir()
    for name in "ab":
        np.savez(tmp_path / "result" / f"{name}.npz", exp=np.zeros((2, 50)), pose=np.zeros((2, 6)))
    (tmp_path / "text.npz").write_text("no archive")
    return {path.name: str(path) for path in tmp_path.iterdir()} | {
        "none": str(tmp_path / "none"),
        "out": str(tmp_path / "out"),
    }


def test_mistakes_are_answered_in_one_line_before_anything_heavy_is_imported(files):
    sound, none, out, folder, result = (files[name] for name in ("talk.wav", "none", "out", "folder", "result"))
    motion = f"{result}/a.npz"
    simulate, render = ["simulate", sound, "--out", out], ["render", motion, motion, "--out", f"{out}.mp4"]
    mistakes = {
        "no audio file": ["simulate", none, "--out", out],
        "not audio": ["simulate", files["text.npz"], "--out", out],
        "no FLAME file": [*simulate, "--head", none],
        "no model called": [*simulate, "--model", none],
        "no diarizer at": [*simulate, "--diarizer", none],
        "channel numbers": [*simulate, "--channels", "left"],
        "is empty": [*simulate, "--from", "1:30", "--to", "20"],
        "wanted seconds": [*simulate, "--from", "half"],
        "its folder does not exist": ["simulate", sound, "--out", f"{none}/out"],
        "no motion file": ["render", motion, none, "--out", f"{out}.mp4"],
        "no zip archive": ["render", motion, files["text.npz"], "--out", f"{out}.mp4"],
        "no audio file at": [*render, "--audio", none, sound],
        "FLAME file at": [*render, "--head", none],
        "wanted a name that ends in .mp4": ["render", motion, motion, "--out", out],
        "holds no a.npz": ["view", folder],
        "FLAME file": ["view", result, "--head", none],
        "no folder at": ["export", none, "--format", "glb"],
        "glb": ["export", result, "--format", "nonsense"],
        "no folder": ["prepare", none, "--corpus", "recordings", "--out", out],
        "unknown corpus": ["prepare", folder, "--corpus", "nonsense", "--out", out],
        "no store at": ["synthesize", "--animate", none, "--out", out],
        "not a store": ["validate", folder],
        "no store": ["shard", none, "--out", out],
        "is not a store": ["predict", folder, "--model", "rules", "--out", out],
        "no config": ["train", "--config", none],
    }
    answers = subprocess.run(
        [sys.executable, "-c", RUNNER.format(heavy=HEAVY)],
        input=json.dumps(list(mistakes.values())),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for (message, arguments), answer in zip(mistakes.items(), answers, strict=True):
        status, stderr, heavy, modules = json.loads(answer)
        assert status == 2, (arguments, stderr)
        assert stderr.count("\n") == 1, (arguments, stderr)
        assert message in stderr, (arguments, stderr)
        assert not heavy, arguments
        assert modules < MOST_MODULES, arguments
