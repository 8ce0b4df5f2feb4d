"""The Python blocks of the README and of the docs run, and print what their comments say."""

import re
import shutil
from pathlib import Path

import pytest
import soundfile

from dualtalk.models.checkpoint import BUNDLED

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
# A print statement, and the comment below it that shows the output.
EXPECTED = re.compile(r"^print\(.*\n# (.*)$", re.MULTILINE)
# The first lines of blocks that do not run on their own, and the reason.
SKIPPED = ("class ", "@")  # pages on extensions show parts of a package


def blocks():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for number, match in enumerate(BLOCK.finditer(path.read_text()), start=1):
            if "dualtalk" in match[1] and not any(f"\n{word}" in f"\n{match[1]}" for word in SKIPPED):
                yield pytest.param(match[1], id=f"{path.stem}-{number}")


@pytest.fixture
def files(tmp_path, monkeypatch, make_store, two_person_wave):
    """A working folder with the files that the blocks name."""

    def prepare(source: str) -> None:
        monkeypatch.chdir(tmp_path)
        samples, rate_hz = soundfile.read(two_person_wave)
        # Blocks that show figures need the whole recording.
        end = len(samples) if EXPECTED.search(source) else 3 * rate_hz
        soundfile.write("call.wav", samples[:end], rate_hz)
        (tmp_path / "runs" / "duet").mkdir(parents=True)
        shutil.copy(BUNDLED, tmp_path / "runs" / "duet" / "model.safetensors")
        if "stores/synthetic" in source:
            store = make_store({"train": [3300]})
            (tmp_path / "stores").mkdir(exist_ok=True)
            shutil.copytree(store.root, tmp_path / "stores" / "synthetic")

    return prepare


@pytest.mark.parametrize("source", list(blocks()))
def test_block_runs_and_prints_what_it_shows(source, files, capsys):
    files(source)
    exec(compile(source, "block", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    expected = EXPECTED.findall(source)
    assert printed[: len(expected)] == expected
