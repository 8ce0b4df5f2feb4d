"""The metrics of the bundled model on a tiny store stay as they were measured.

`data/tiny_store.zip` holds two clips of 6 s: excerpts of the sample recording in pyannote.audio (MIT), each voice
muted outside its own speech, with motion of the rule-based animator as ground truth. After a change that is meant
to change the metrics, run this file as a script to update `data/golden_evaluation.json`.
"""

import json
import tempfile
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dualtalk.cli import app

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "golden_evaluation.json"
# Rounding differs between processors, and generated motion amplifies it.
RELATIVE_TOLERANCE = 0.02
# In display units, for values near 0.
ABSOLUTE_TOLERANCE = 0.005


def run(*arguments) -> None:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output


def measure(root: Path) -> dict[str, dict[str, dict]]:
    """system -> metric -> its entry in evaluation.json, for the bundled model and the ground truth."""
    with zipfile.ZipFile(DATA / "tiny_store.zip") as store:
        store.extractall(root)
    store = root / "tiny_store"
    run("predict", store, "--out", root / "given", "--samples", "2", "--protocol", "partner-given")
    run("predict", store, "--out", root / "loop", "--mode", "mean", "--protocol", "closed-loop")
    protocols = ("--protocol", "partner-given", "--protocol", "closed-loop")
    options = ("--reference", store, "--out", root / "out", "--workers", "0", "--no-stills")
    run("evaluate", root / "given", root / "loop", *protocols, *options)
    systems = json.loads((root / "out" / "evaluation.json").read_text())["systems"]
    return {row["name"]: row["metrics"] for row in systems if row["name"] in ("given", "loop", "ground truth")}


def values_of(metrics: dict[str, dict]) -> dict[str, float | None]:
    return {
        name: None if (value := one["value"]) is None else float(f"{value:.6g}") for name, one in metrics.items()
    }


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("system", ["given", "loop", "ground truth"])
def test_metrics_are_as_measured_before(measured, system):
    golden, metrics = json.loads(GOLDEN.read_text())[system], measured[system]
    assert list(metrics) == list(golden)
    different = {}
    for name, value in golden.items():
        found = metrics[name]["value"]
        if value is None or found is None:
            if value is not found:
                different[name] = (value, found)
            continue
        tolerance = ABSOLUTE_TOLERANCE / metrics[name]["display_scale"]
        if found != pytest.approx(value, rel=RELATIVE_TOLERANCE, abs=tolerance):
            different[name] = (value, found)
    assert not different


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        golden = {name: values_of(metrics) for name, metrics in measure(Path(folder)).items()}
    GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
