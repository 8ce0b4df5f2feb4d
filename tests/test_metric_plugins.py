"""A plug-in's metric is in every output of `dualtalk evaluate`; a broken plug-in does not stop the evaluation."""

import csv
import json
import logging

import numpy as np
import pytest
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.evaluation.registry import METRICS, available_metrics

PLUGIN = """
import numpy as np

from dualtalk.evaluation.features import MetricInputs
from dualtalk.evaluation.registry import Metric


def jaw_range_error(inputs: MetricInputs) -> float:
    ranges = [np.ptp(one.motion.jaw_rotvec_rad[:, 0]) for one in (inputs.prediction, inputs.ground_truth)]
    return abs(float(ranges[0] - ranges[1]))


def failing(inputs: MetricInputs) -> float:
    raise ValueError("no such file: weights.bin")


FIELDS = {"group": "My metrics", "formula": "", "unit": "rad", "direction": "lower", "ideal": 0.0, "source": ""}
SHOWN = {"display_scale": 1000.0, "display_unit": "mrad"}
JAW_RANGE = Metric(name="jaw range error", compute=jaw_range_error, **FIELDS, **SHOWN)
FAILING = Metric(name="failing", compute=failing, **FIELDS)
TAKEN = Metric(name="FD jaw", compute=failing, **FIELDS)
NO_METRIC = "jaw range error"
"""
ENTRY_POINTS = """[dualtalk.metrics]
broken = broken_metrics:JAW_RANGE
failing = my_metrics:FAILING
jaw_range = my_metrics:JAW_RANGE
no_metric = my_metrics:NO_METRIC
taken = my_metrics:TAKEN
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package with five entry points into a folder on the path: one works."""
    (tmp_path / "my_metrics.py").write_text(PLUGIN)
    (tmp_path / "broken_metrics.py").write_text("raise RuntimeError('no licence file')\n")
    information = tmp_path / "my_metrics-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-metrics\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))


def write_folders(root) -> None:
    rng = np.random.default_rng(0)
    for name in ("reference", "ours"):
        (root / name).mkdir()
    for speaker in (1, 2):
        own = rng.uniform(-0.3, 0.3, (60, 56)).astype(np.float32)
        HeadMotion(own, "flame", DUALTALK56).save(root / "reference" / f"talk_speaker{speaker}.npz")
        np.save(root / "ours" / f"talk_speaker{speaker}.npy", 0.5 * own)


def test_plugins_follow_the_packages_own_metrics_and_broken_ones_are_logged(installed, caplog):
    with caplog.at_level(logging.WARNING):
        metrics = available_metrics()
    assert metrics[: len(METRICS)] == METRICS
    assert [metric.name for metric in metrics[len(METRICS) :]] == ["failing", "jaw range error"]
    assert "no licence file" in caplog.text
    assert "'no_metric' is left out: it is not a Metric" in caplog.text
    assert "'taken' is left out: the name 'FD jaw' is taken" in caplog.text


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_plugin_is_in_every_output(installed, tmp_path, workers):
    write_folders(tmp_path)
    arguments = [
        tmp_path / "ours",
        "--reference",
        tmp_path / "reference",
        "--out",
        tmp_path / "out",
        "--no-stills",
    ]
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--workers", workers])
    assert result.exit_code == 0, result.output
    warning = "metric 'failing' failed in 1 clips and has no value there: ValueError: no such file: weights.bin"
    assert warning in result.stdout
    ranges = [
        np.ptp(HeadMotion.load(path).jaw_rotvec_rad[:, 0]) for path in (tmp_path / "reference").glob("*.npz")
    ]
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    found = content["systems"][0]["metrics"]["jaw range error"]
    assert found["value"] == pytest.approx(0.5 * np.mean(ranges), rel=1e-5)
    assert (found["unit"], found["display_scale"], found["display_unit"]) == ("rad", 1000, "mrad")
    assert content["systems"][1]["metrics"]["jaw range error"]["value"] == 0
    assert content["systems"][0]["metrics"]["failing"]["value"] is None
    assert content["systems"][0]["metrics"]["FD jaw"]["value"] > 0
    with (tmp_path / "out" / "figures.csv").open() as file:
        rows = {(row["system"], row["metric"]): row for row in csv.DictReader(file)}
    assert float(rows["ours", "jaw range error"]["value"]) == pytest.approx(found["value"])
    with (tmp_path / "out" / "clips.csv").open() as file:
        people = [row for row in csv.DictReader(file) if row["system"] == "ours"]
    assert sorted(float(row["jaw range error"]) for row in people) == pytest.approx(
        sorted(0.5 * r for r in ranges)
    )
    report = (tmp_path / "out" / "report.html").read_text()
    assert "jaw range error" in report
    assert "My metrics" in report
