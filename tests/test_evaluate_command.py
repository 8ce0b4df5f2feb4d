"""The verb `evaluate`: ranking, output files, warnings, bad input, and repeatability."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from pyannote.core import Annotation, Segment
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.comparison import EvaluationOptions, evaluate_to_folder
from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.evaluation.baselines import BASELINES
from dualtalk.evaluation.metric_docs import markdown
from dualtalk.evaluation.registry import METRIC_NAMES, METRICS
from dualtalk.io.rttm import write_rttm
from dualtalk.metrics.bootstrap import WeightedMean, pooled_estimate, pooled_estimates

FRAMES = [90, 75]
CLIPS = ("test000", "test001")


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--workers", "0"])


def write_folders(root, space) -> None:
    """Noise as ground truth, with turns, and two systems: ground truth plus little noise, and plus much noise."""
    rng = np.random.default_rng(0)
    for name in ("reference", "near", "far"):
        (root / name).mkdir()
    for clip, frames in zip(CLIPS, FRAMES, strict=True):
        for speaker in (1, 2):
            own = rng.uniform(-0.3, 0.3, (frames, 56)).astype(np.float32)
            HeadMotion(own, space, DUALTALK56).save(root / "reference" / f"{clip}_speaker{speaker}.npz")
            for name, noise in (("near", 0.03), ("far", 0.3)):
                made = own + noise * rng.standard_normal(own.shape).astype(np.float32)
                np.save(root / name / f"{clip}_speaker{speaker}.npy", made)
        spoken = Annotation(uri=clip)
        spoken[Segment(0, 1.4), 0], spoken[Segment(1.5, frames / 25), 1] = "a", "b"
        write_rttm(root / "reference" / f"{clip}.rttm", spoken)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The folder of results, and the output on the terminal, with the open head."""
    root = tmp_path_factory.mktemp("open")
    write_folders(root, "open")
    out = root / "out"
    result = run(root / "near", root / "far", "--reference", root / "reference", "--out", out, "--no-stills")
    assert result.exit_code == 0, result.output
    return out, result.stdout


@pytest.fixture
def root(tmp_path):
    """Folders of motion in FLAME's space: without a head there is no mesh, so this is faster."""
    write_folders(tmp_path, "flame")
    return tmp_path


def with_one_clip(root) -> None:
    """Remove the second clip, to save time."""
    for path in root.glob(f"*/{CLIPS[1]}*"):
        path.unlink()


def evaluate(root, *options, systems=("near",)):
    folders = [root / name for name in systems]
    return run(*folders, "--reference", root / "reference", "--out", root / "out", "--no-stills", *options)


def rows_of(out) -> dict[tuple[str, str], dict]:
    with (out / "figures.csv").open() as file:
        return {(row["system"], row["metric"]): row for row in csv.DictReader(file)}


def test_systems_and_baselines_are_ranked(evaluated):
    out, printed = evaluated
    rows = rows_of(out)
    assert {system for system, _ in rows} == {"near", "far", *BASELINES}
    assert {measure for _, measure in rows} == set(METRIC_NAMES)
    assert all(name in printed for name in ("near", "far", *BASELINES))
    for name in ("FD expression", "P-FD head", "MSE jaw", "LVE", "MTM", "FRDist", "turn onset: head error"):
        near, far = (float(rows[system, name]["value"]) for system in ("near", "far"))
        assert 0 <= float(rows["ground truth", name]["value"]) < near < far, name
        assert (rows["near", name]["is_best"], rows["far", name]["is_best"]) == ("1", "0")
        assert not int(rows["ground truth", name]["is_best"])


def test_the_ground_truth_is_ideal_and_the_shuffled_partner_is_not(evaluated):
    rows = rows_of(evaluated[0])
    for measure in METRICS:
        value = rows["ground truth", measure.name]["value"]
        if measure.ideal is not None and value:
            assert float(value) == pytest.approx(measure.ideal, abs=1e-9), measure.name
    assert float(rows["shuffled partner", "FD expression"]["value"]) == 0
    assert float(rows["shuffled partner", "P-FD expression"]["value"]) > 0.01
    assert float(rows["shuffled partner", "rPCC expression"]["value"]) > 0


def test_same_input_same_bytes_for_any_number_of_workers(root):
    written = []
    for workers in ("0", "2"):
        assert evaluate(root, "--workers", workers, "--overwrite").exit_code == 0
        written.append({path.name: path.read_bytes() for path in (root / "out").iterdir()})
    assert set(written[0]) == {"clips.csv", "evaluation.json", "figures.csv", "report.html"}
    assert written[0] == written[1]


def test_the_report_is_complete_and_needs_no_network(evaluated):
    page = (evaluated[0] / "report.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", page)
    assert not re.search(r"@import|url\(\s*['\"]?http|fetch\(|XMLHttpRequest|WebSocket", page)
    assert "default-src 'none'" in page
    assert page.count("</script>") == 2
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    assert [row["name"] for row in data["rows"]] == ["near", "far", *BASELINES]
    assert data["rows"][0]["curves"]["turn onset"]["lip aperture"]["transitions"] > 0
    assert {one["clip"] for one in data["timelines"]} == {"test000", "test001"}
    assert data["strips"] == []


def test_json_records_the_run(evaluated):
    content = json.loads((evaluated[0] / "evaluation.json").read_text())
    assert [path.rpartition("/")[2] for path in content["run"]["predicted"]] == ["near", "far"]
    assert content["dialogues"] == 2
    worst = content["systems"][1]["worst_transitions"]
    assert worst[0]["distance"] >= worst[-1]["distance"] > 0


def test_python_and_the_verb_write_the_same_bytes(root):
    with_one_clip(root)
    assert evaluate(root).exit_code == 0
    options = EvaluationOptions(stills=False)
    evaluation = evaluate_to_folder([root / "near"], root / "reference", root / "python", options, workers=0)
    assert [row.name for row in evaluation.rows] == ["near", *BASELINES]
    folders = [{path.name: path.read_bytes() for path in (root / name).iterdir()} for name in ("out", "python")]
    assert folders[0] == folders[1]


def test_different_lengths_are_cut_with_a_warning(root):
    with_one_clip(root)
    path = root / "near" / "test000_speaker1.npy"
    np.save(path, np.load(path)[:-2])
    result = evaluate(root)
    assert result.exit_code == 0, result.output
    assert "near: 1 predictions differ in length from the ground truth, by -2 frames" in result.stdout
    assert float(rows_of(root / "out")["near", "FD expression"]["value"]) < 0.1


def test_untracked_frames_are_left_out(root):
    with_one_clip(root)
    path = root / "reference" / "test000_speaker1.npz"
    arrays = dict(np.load(path))
    arrays["valid"] = np.arange(FRAMES[0]) >= 30
    arrays["exp"][:30] = 0
    np.savez(path, **arrays)
    result = evaluate(root)
    assert "1 clips have frames in which somebody was not tracked" in result.stdout
    error = float(rows_of(root / "out")["near", "MSE expression"]["value"])
    assert error == pytest.approx(0.03**2, rel=0.05)


def test_single_frames_are_left_out_and_still_motion_is_measured(root):
    for speaker in (1, 2):
        path = root / "near" / f"test000_speaker{speaker}.npy"
        np.save(path, np.load(path)[:1])
        np.save(root / "near" / f"test001_speaker{speaker}.npy", np.zeros((FRAMES[1], 56), np.float32))
    result = evaluate(root)
    assert result.exit_code == 0, result.output
    assert "left out 1 clips with fewer than 2 frames: test000" in result.stdout
    assert "one dialogue" in result.stdout
    rows = rows_of(root / "out")
    assert float(rows["near", "FD expression"]["value"]) > 0
    assert rows["near", "rPCC expression"]["value"] == ""


def test_missing_partners_are_reported(root):
    (root / "near" / "test000_speaker2.npy").unlink()
    (root / "reference" / "test001_speaker2.npz").unlink()
    result = evaluate(root)
    assert result.exit_code == 0, result.output
    assert "near: no prediction of 1 people: test000_speaker2" in result.stdout
    assert "1 clips have no motion of the partner, so no metrics of the pair: test001" in result.stdout


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (lambda f: [p.unlink() for p in f.iterdir()], (), "holds no predictions"),
        (lambda f: np.save(f / "test000_speaker1.npy", np.zeros((90, 62), np.float32)), (), "wanted (frame, 56)"),
        (
            lambda f: np.save(f / "test001_speaker2.npy", np.full((75, 56), np.inf, np.float32)),
            (),
            "NaN or infinite value, first in frame 0",
        ),
        (
            lambda f: (f / "test000_speaker2.npy").unlink(),
            ("--protocol", "closed-loop"),
            "has no test000_speaker2",
        ),
        (lambda f: None, ("--system-name", "a", "--system-name", "b"), "2 names for 1 folders"),
        (lambda f: None, ("--system-name", "mirror"), "none of a baseline"),
        (lambda f: None, ("--protocol", "closed-loop") * 2, "2 protocols for 1 folders"),
    ],
)
def test_bad_input_is_one_line(root, spoil, options, message):
    spoil(root / "near")
    result = evaluate(root, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (root / "out").exists()


def test_protocols_are_ranked_separately(root):
    with_one_clip(root)
    protocols = ("--protocol", "partner-given", "--protocol", "closed-loop")
    result = evaluate(root, *protocols, systems=("near", "far"))
    assert result.exit_code == 0, result.output
    rows = rows_of(root / "out")
    assert {rows[name, "FD jaw"]["protocol"] for name in ("near", "far")} == {"partner-given", "closed-loop"}
    assert not any(int(row["is_best"]) for row in rows.values())


def test_motion_of_another_space_than_the_head_is_measured_without_a_mesh(root):
    with_one_clip(root)
    result = run(
        root / "reference", "--system-name", "itself", "--reference", root / "reference", "--out", root / "out"
    )
    assert result.exit_code == 0, result.output
    assert "no mesh metrics" in result.stdout
    assert "no stills" in result.stdout
    rows = rows_of(root / "out")
    assert rows["itself", "LVE"]["value"] == ""
    assert float(rows["itself", "FD head"]["value"]) == 0


def write_samples(root, name, *samples) -> None:
    """A system in `root`; a sample is a function from the ground truth (frame, 56) to the prediction."""
    for number, draw in enumerate(samples):
        folder = root / name / f"sample{number}"
        folder.mkdir(parents=True)
        for path in (root / "reference").glob("*.npz"):
            np.save(folder / f"{path.stem}.npy", draw(HeadMotion.load(path).coefficients))


def off_by(noise: float, seed: int = 0):
    return lambda own: own + noise * np.random.default_rng(seed).standard_normal(own.shape).astype(np.float32)


def test_sample_metrics_obey_their_laws(root):
    with_one_clip(root)
    write_samples(root, "right", off_by(0.1), off_by(0))
    write_samples(root, "equal", off_by(0.1), off_by(0.1))
    write_samples(root, "three", off_by(0.1), off_by(0.3, 1), off_by(0.2, 2))
    result = evaluate(root, systems=("right", "equal", "three", "near"))
    assert result.exit_code == 0, result.output
    assert "right has 2 samples, equal has 2 samples, three has 3 samples: N of best of N is 2" in result.stdout
    rows = rows_of(root / "out")
    value = {key: float(row["value"]) for key, row in rows.items() if row["value"]}
    for part in ("expression", "jaw", "head"):
        assert value["right", f"best of N MSE {part}"] == 0
        assert value["equal", f"sample diversity ratio {part}"] == 0
        assert value["equal", f"coverage ratio {part}"] == 0
        mse = {name: value[name, f"MSE {part}"] for name in ("right", "equal", "three")}
        assert value["equal", f"best of N MSE {part}"] == pytest.approx(mse["equal"])
        assert value["three", f"best of N MSE {part}"] < mse["three"]
        assert mse["right"] == pytest.approx(mse["equal"] / 2, rel=1e-5)
    assert ("near", "CRPS head") not in value
    assert rows["right", "CRPS head"]["is_best"] == "1"
    content = json.loads((root / "out" / "evaluation.json").read_text())
    assert [row["samples"] for row in content["systems"]][:5] == [2, 2, 3, 1, 1]


def test_another_sample_never_worsens_the_best_of_n(root):
    with_one_clip(root)
    draws = [off_by(noise, seed) for seed, noise in enumerate((0.2, 0.1, 0.3))]
    best = []
    for count in (2, 3):
        name = f"of{count}"
        write_samples(root, name, *draws[:count])
        assert evaluate(root, "--overwrite", systems=(name,)).exit_code == 0
        best.append(float(rows_of(root / "out")[name, "best of N MSE expression"]["value"]))
    assert best[1] <= best[0]


def test_equal_samples_have_the_values_of_one_sample(root):
    """So do curves: a transition counts once for any number of samples."""
    with_one_clip(root)
    write_samples(root, "twice", off_by(0.1), off_by(0.1))
    (root / "twice" / "sample0").rename(root / "once")
    write_samples(root, "again", off_by(0.1), off_by(0.1))
    assert evaluate(root, systems=("once", "again")).exit_code == 0
    once, again = json.loads((root / "out" / "evaluation.json").read_text())["systems"][:2]
    for name, figure in once["metrics"].items():
        if figure["value"] is not None:
            assert again["metrics"][name]["value"] == pytest.approx(figure["value"]), name
    assert again["curves"] == once["curves"]


def test_a_single_sample_folder_is_refused(root):
    write_samples(root, "ours", off_by(0.1))
    result = evaluate(root, systems=("ours",))
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "wanted two or more" in result.stderr


def test_weighted_means_of_clips_csv_are_figures_csv(evaluated):
    with (evaluated[0] / "clips.csv").open() as file:
        clips = list(csv.DictReader(file))
    people = {(row["system"], row["clip"], row["speaker"]) for row in clips}
    assert len(people) == len(clips) == (2 + len(BASELINES)) * 2 * len(CLIPS)
    assert {row["protocol"] for row in clips} == {"partner-given", "baseline"}
    for (system, name), row in rows_of(evaluated[0]).items():
        own = [one for one in clips if one["system"] == system and one[name]]
        assert bool(own) == bool(row["value"]), name
        if own:
            values, weights = (np.array([float(one[key]) for one in own]) for key in (name, f"weight of {name}"))
            assert np.average(values, weights=weights) == pytest.approx(float(row["value"]), rel=1e-4), name
            if name.startswith(("FD", "MSE", "LVE", "FRCorr")):
                assert values.mean() == pytest.approx(float(row["value"]), rel=1e-4)


def test_pooling_many_metrics_equals_pooling_each():
    rng = np.random.default_rng(0)
    sums = rng.uniform(0.5, 1, (12, 3, 2))
    sums[:, 2] = 0
    sums[:11, 1] = 0
    one = pooled_estimate([WeightedMean(*pair) for pair in sums[:, 0]])
    together = pooled_estimates(sums)
    assert together[0].value == pytest.approx(one.value)
    assert (together[0].low, together[0].high) == pytest.approx((one.low, one.high), rel=0.01)
    assert (together[1].dialogues, np.isnan(together[1].low)) == (1, True)
    assert np.isnan(together[2].value)


def test_the_documentation_lists_every_metric():
    assert markdown() in (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
