"""Packages of an extra that is not installed: one line names the extra, and the rest of the package works."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys
for name in {packages!r}:
    sys.modules[name] = None
import importlib
from dualtalk.errors import SetupError
try:
    importlib.import_module({module!r})
except SetupError as error:
    print(error)
"""


def run_without(packages: list[str], module: str) -> str:
    program = WITHOUT.format(packages=packages, module=module)
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return finished.stdout.strip()


@pytest.mark.parametrize(
    ("packages", "module", "extra"),
    [
        (["torchdata"], "dualtalk.data.module", "train"),
        (["webdataset"], "dualtalk.data", "train"),
        (["pyroomacoustics"], "dualtalk.synthesis", "synthesis"),
    ],
)
def test_the_error_for_a_missing_package_names_its_extra(packages, module, extra):
    answer = run_without(packages, module)
    assert packages[0] in answer
    assert answer.endswith(f"pip install 'dualtalk[{extra}]'")
    assert "\n" not in answer


def test_forced_alignment_names_its_extra():
    program = """
import sys
sys.modules["pocketsphinx"] = None
from dualtalk.audio.forced_alignment import ForcedAligner
from dualtalk.errors import SetupError
try:
    ForcedAligner()
except SetupError as error:
    print(error)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    answer = finished.stdout.strip()
    assert answer == "forced alignment of words needs the package pocketsphinx: pip install 'dualtalk[alignment]'"


def test_the_library_imports_without_any_extra():
    extras = ["jsonargparse", "lmdb", "onnx", "onnxruntime", "piper", "pocketsphinx", "pxr", "pyroomacoustics"]
    extras += ["tensorboardX", "torch_audiomentations", "torchdata", "webdataset"]
    for module in ("dualtalk.simulation", "dualtalk.models.checkpoint", "dualtalk.render", "dualtalk.export"):
        assert run_without(extras, module) == ""
