"""Faults injected into every verb: nothing is lost, nothing stray stays, and the same command then succeeds.

Each verb runs as a process of its own. Most of these tests take minutes and run with `make attack`.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dualtalk.core import FULL62, HeadMotion
from dualtalk.io.lock import write_lock

RATE_HZ = 16_000
# Until a verb has begun to write: it imports its packages first.
STARTED_S = 300.0


@dataclass(frozen=True)
class Verb:
    """A command line in a folder that holds its inputs, the output that it writes, and whether it resumes."""

    arguments: tuple[str, ...]
    out: str
    resumes: bool = False


VERBS = {
    "simulate": Verb(("simulate", "a.wav", "b.wav", "--model", "rules", "--no-video", "--out", "out"), "out"),
    "render": Verb(("render", "a.npz", "b.npz", "--audio", "a.wav", "b.wav", "--out", "film.mp4"), "film.mp4"),
    "export": Verb(("export", "talk", "--format", "ply", "--out", "out"), "out"),
    "view": Verb(("view", "talk", "--out", "page.html"), "page.html"),
    "predict": Verb(("predict", "store", "--model", "rules", "--out", "out"), "out"),
    "evaluate": Verb(("evaluate", "ours", "--reference", "store", "--no-stills", "--out", "out"), "out"),
    "shard": Verb(("shard", "store", "--out", "out"), "out"),
    "prepare": Verb(("prepare", "calls", "--corpus", "recordings", "--workers", "1", "--out", "out"), "out", True),
}
pytestmark = pytest.mark.attack


@pytest.fixture
def inputs(tmp_path, make_store) -> Path:
    """A folder with inputs of every verb: two voices and motions, a simulated talk, a store and predictions."""
    rng = np.random.default_rng(0)
    frames = 50
    (tmp_path / "calls").mkdir()
    (tmp_path / "talk").mkdir()
    (tmp_path / "ours").mkdir()
    for label in "ab":
        samples = 0.1 * rng.standard_normal(frames * 640).astype(np.float32)
        for folder in (tmp_path, tmp_path / "talk"):
            soundfile.write(folder / f"{label}.wav", samples, RATE_HZ, subtype="FLOAT")
            HeadMotion(np.zeros((frames, 62), np.float32), "open", FULL62).save(folder / f"{label}.npz")
        for number in range(4):
            soundfile.write(tmp_path / "calls" / f"call{number}_{label}.wav", samples, RATE_HZ)
    make_store({"train": [frames], "test": [frames, frames]})
    for clip in ("test000", "test001"):
        for person in (1, 2):
            motion = HeadMotion(rng.uniform(-0.2, 0.2, (frames, 62)).astype(np.float32), "open", FULL62)
            motion.save(tmp_path / "ours" / f"{clip}_speaker{person}.npz")
    return tmp_path


def start(folder: Path, verb: Verb, *more: str, prepared: Callable[[], None] | None = None) -> subprocess.Popen:
    command = [sys.executable, "-m", "dualtalk.cli", *verb.arguments, *more]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepared
    )


def finish(process: subprocess.Popen) -> tuple[int, str]:
    _, errors = process.communicate()
    return process.returncode, errors


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wait_for_writing(folder: Path, before: set[str], process: subprocess.Popen) -> None:
    """Wait until the verb has made a file or folder, or has ended."""
    end_s = time.monotonic() + STARTED_S
    while process.poll() is None and time.monotonic() < end_s:
        if {path.name for path in folder.iterdir()} - before:
            return
        time.sleep(0.01)


def assert_only_whole_results(folder: Path, before: dict[str, bytes], verb: Verb, *, strays: bool) -> None:
    """Every input is as it was; without `strays`, nothing but results is left."""
    after = tree(folder)
    assert {name: after.get(name) for name in before} == before
    if not strays and not verb.resumes:
        new = {name.split("/")[0] for name in set(after) - set(before)}
        assert new <= {verb.out}


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL],
)
def test_a_signal_leaves_nothing_stray_and_the_command_then_succeeds(inputs, name, number):
    verb, before = VERBS[name], tree(inputs)
    process = start(inputs, verb)
    wait_for_writing(inputs, {path.name for path in inputs.iterdir()}, process)
    process.send_signal(number)
    status, errors = finish(process)
    assert status in (0, -signal.SIGKILL if number == signal.SIGKILL else 128 + number), errors
    assert "Traceback" not in errors
    assert_only_whole_results(inputs, before, verb, strays=number == signal.SIGKILL)
    status, errors = finish(start(inputs, verb, *(["--overwrite"] if (inputs / verb.out).exists() else [])))
    assert status == 0, errors
    assert_only_whole_results(inputs, before, verb, strays=False)


def limited_file_size() -> None:
    """Files of this process hold 4 KB at most, as on a disk that becomes full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@pytest.mark.parametrize("name", VERBS)
def test_a_full_disk_is_one_line_and_leaves_nothing(inputs, name):
    verb, before = VERBS[name], tree(inputs)
    status, errors = finish(start(inputs, verb, prepared=limited_file_size))
    assert status == 2, errors
    assert errors.count("\n") == 1
    assert_only_whole_results(inputs, before, verb, strays=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", VERBS)
def test_a_read_only_folder_is_one_line(inputs, name):
    inputs.chmod(0o555)
    try:
        status, errors = finish(start(inputs, VERBS[name]))
    finally:
        inputs.chmod(0o755)
    assert status == 2, errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("name", VERBS)
def test_a_second_run_is_refused_and_changes_nothing(inputs, name):
    verb, before = VERBS[name], tree(inputs)
    lock_file = None
    if verb.resumes:
        (inputs / verb.out).mkdir()
        lock_file = inputs / verb.out / ".building.lock"
    with write_lock(inputs / verb.out, lock_file):
        status, errors = finish(start(inputs, verb))
    assert status == 2, errors
    assert "another run is writing" in errors
    assert tree(inputs) == before


@pytest.mark.parametrize("name", VERBS)
def test_results_are_never_written_over_inputs(inputs, name):
    verb, before = VERBS[name], tree(inputs)
    victims = {"render": "a.npz", "view": "talk/a.npz"}
    source = victims.get(name, "talk" if name in ("simulate", "export") else verb.arguments[1])
    command = Verb((*verb.arguments[: verb.arguments.index("--out")], "--out", source), source)
    status, errors = finish(start(inputs, command, "--overwrite"))
    assert status == 2, errors
    assert "Traceback" not in errors
    assert tree(inputs) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_standard_output_is_one_line(inputs):
    command = [sys.executable, "-m", "dualtalk.cli", *VERBS["shard"].arguments]
    with open("/dev/full", "w") as full:
        finished = subprocess.run(command, cwd=inputs, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr
