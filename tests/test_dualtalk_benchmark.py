"""The DualTalk benchmark: its laws, and agreement with the released evaluation and with other implementations."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import pdist
from scipy.stats import entropy
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.errors import InputError
from dualtalk.evaluation.baselines import clip_mean
from dualtalk.metrics import dualtalk_benchmark as benchmark
from dualtalk.metrics.validation import finite

RELEASED = Path(__file__).parent / "data" / "released_metrics"
PARTS = ("expression", "jaw", "head")


def motion(seed: int, frames: int = 300, coefs: int = 56) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((frames, coefs))
    return gaussian_filter1d(noise, 4, axis=0).astype(np.float32)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """evaluation.json of the released clips, and the values that the released evaluation code gives for them."""
    root = tmp_path_factory.mktemp("released")
    for name in ("reference", "predicted"):
        (root / name).mkdir()
    with np.load(RELEASED / "clips.npz") as clips:
        for key, motion in clips.items():
            folder, name = key.split("/")
            if folder == "reference":
                HeadMotion(motion, "flame", DUALTALK56).save(root / folder / f"{name}.npz")
            else:
                np.save(root / folder / f"{name}.npy", motion)
    arguments = [root / "predicted", "--reference", root / "reference", "--out", root / "out", "--no-stills"]
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--workers", "0"])
    assert done.exit_code == 0, done.output
    rows = json.loads((root / "out" / "evaluation.json").read_text())["systems"]
    return {row["name"]: row["metrics"] for row in rows}, json.loads((RELEASED / "expected.json").read_text())


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("name", "system", "released_name", "tolerance"),
    [
        ("FD", "predicted", "fid", 1e-6),
        ("P-FD", "predicted", "p_fid", 1e-6),
        ("MSE", "predicted", "mse", 1e-6),
        ("SID as released", "predicted", "sid", 1e-9),
        ("rPCC", "predicted", "rpcc", 1e-6),
        ("STS", "predicted", "sts", 1e-6),
        ("variance", "predicted", "variance_pre", 1e-6),
        ("variance", "ground truth", "variance_gt", 1e-6),
        # The released code draws 200 frames without a seed, so its frames differ from ours.
        ("diversity", "predicted", "diversity_pre", 0.1),
        ("diversity", "ground truth", "diversity_gt", 0.1),
    ],
)
def test_evaluation_json_agrees_with_the_released_values(evaluated, name, system, released_name, tolerance, part):
    metrics, expected = evaluated
    value = expected[f"{released_name}_{ {'expression': 'exp', 'jaw': 'jaw', 'head': 'pose'}[part] }"]
    found = metrics[system][f"{name} {part}"]
    assert found["value"] == pytest.approx(value, rel=tolerance)
    assert found["low"] <= found["value"] <= found["high"]


def test_a_perfect_prediction_has_the_known_scores():
    own, partner = motion(0), motion(1)
    figures = benchmark.benchmark_metrics(own, own, partner)
    for part in PARTS:
        for name in ("FD", "P-FD"):
            assert figures[name][part] == pytest.approx(0, abs=1e-12)
        for name in ("MSE", "rPCC", "STS"):
            assert figures[name][part] == 0
        for name in ("SID", "SID as released"):
            assert figures[name][part] == figures["SID of the ground truth"][part]
        for name in ("variance", "diversity"):
            assert figures[name][part] == figures[f"{name} of the ground truth"][part]


@pytest.mark.parametrize("frames", [80, 400])
def test_frechet_distance_agrees_with_the_matrix_square_root(frames):
    one, two = motion(0, frames, 20).astype(np.float64), 0.1 + 1.3 * motion(1, frames, 20).astype(np.float64)
    covariances = [np.cov(x, rowvar=False) for x in (one, two)]
    shift = one.mean(axis=0) - two.mean(axis=0)
    by_root = shift @ shift + np.trace(sum(covariances) - 2 * sqrtm(covariances[0] @ covariances[1]).real)
    assert benchmark.frechet_distance(one, two) == pytest.approx(by_root, rel=1e-9)


def test_frechet_distance_of_fewer_frames_than_coefficients_and_of_still_motion():
    own, still = motion(0, 20, 50), np.zeros((20, 50), np.float32)
    trace = own.astype(np.float64).var(axis=0, ddof=1).sum()
    offset = (own.astype(np.float64).mean(axis=0) ** 2).sum()
    assert benchmark.frechet_distance(own, still) == pytest.approx(trace + offset, rel=1e-6)
    assert benchmark.frechet_distance(own, own) == pytest.approx(0, abs=1e-9)


def test_invariances():
    own, made, partner = (motion(seed, coefs=3).astype(np.float64) for seed in range(3))
    shuffled = np.random.default_rng(0).permutation(len(own))
    assert benchmark.frechet_distance(own, made[shuffled]) == pytest.approx(benchmark.frechet_distance(own, made))
    assert benchmark.frechet_distance(own, made) == pytest.approx(benchmark.frechet_distance(made, own))
    assert benchmark.mean_squared_error(own, made) == benchmark.mean_squared_error(made, own)
    assert benchmark.sid(own, made[shuffled], 10) == pytest.approx(benchmark.sid(own, made, 10), abs=1e-12)
    assert benchmark.rpcc(own, 7 * made, partner) == pytest.approx(benchmark.rpcc(own, made, partner))
    assert benchmark.sts(own, own + 3) == pytest.approx(0, abs=1e-12)
    still_partner = np.zeros_like(partner)
    assert benchmark.paired_frechet_distance(own, made, still_partner) == pytest.approx(
        benchmark.frechet_distance(own, made)
    )


def test_a_time_shift_changes_only_the_paired_distance():
    partner = motion(3, 2000, 3)
    own = 0.8 * partner + 0.2 * motion(4, 2000, 3)
    shifted = np.roll(own, 700, axis=0)
    assert benchmark.frechet_distance(own, shifted) < 1e-9
    assert benchmark.paired_frechet_distance(own, shifted, partner) > 0.1 * benchmark.variance(own)


@pytest.mark.parametrize("metric", ["frechet_distance", "mean_squared_error", "sts"])
def test_distances_grow_with_noise(metric):
    own, noise = motion(0), motion(1)
    values = [getattr(benchmark, metric)(own, own + np.float32(k) * noise) for k in (0, 0.2, 0.5, 1, 2)]
    assert (np.diff(values) > 0).all()


def test_sid_is_the_entropy_of_cluster_visits():
    poses = np.repeat(np.arange(4.0), [10, 20, 30, 40])[:, None] * 100
    assert benchmark.sid(poses, poses, 4) == pytest.approx(entropy([0.1, 0.2, 0.3, 0.4], base=2), abs=1e-4)
    still = np.zeros_like(poses)
    assert benchmark.sid(poses, still, 4) == pytest.approx(0, abs=2e-6)
    assert benchmark.sid_as_released(poses, still, 4) == pytest.approx(0, abs=2e-6)
    assert benchmark.sid(poses, still, 4) <= benchmark.sid(poses, poses[:60], 4)


def test_diversity_is_reproducible_and_near_the_mean_distance():
    own = motion(0, 1000)
    assert benchmark.diversity(own, seed=3) == benchmark.diversity(own, seed=3)
    assert benchmark.diversity(own) == pytest.approx(pdist(own).mean(), rel=0.1)


def test_constant_motion_has_no_correlation():
    own, partner, still = motion(0), motion(1), np.zeros((300, 56), np.float32)
    assert np.isnan(benchmark.rpcc(own, still, partner))
    assert np.isnan(benchmark.rpcc(own, own, still))
    assert benchmark.variance(still) == benchmark.diversity(still) == 0


def test_the_clip_mean_has_the_scores_of_constant_motion():
    own = motion(0, coefs=3).astype(np.float64)
    still = clip_mean(own)
    assert benchmark.frechet_distance(own, still) == pytest.approx(own.var(axis=0, ddof=1).sum())
    assert benchmark.mean_squared_error(own, still) == pytest.approx(benchmark.variance(own))
    assert benchmark.sid(own, still, 10) == pytest.approx(0, abs=2e-6)


def test_invalid_input_is_refused_in_one_line():
    own = motion(0)
    for wrong in (own[:-1], own[:, :50], own[:0], np.full_like(own, np.nan)):
        with pytest.raises(InputError) as caught:
            benchmark.benchmark_metrics(own, wrong, own)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="batch axis"):
        finite(own[None], benchmark.AXES, "motion")
    with pytest.raises(InputError, match=DUALTALK56.name):
        benchmark.benchmark_metrics(own[:, :3], own[:, :3], own[:, :3])
    with pytest.raises(InputError, match="partner has 299"):
        benchmark.rpcc(own, own, own[1:])
    with pytest.raises(InputError, match="covariance"):
        benchmark.frechet_distance(own[:1], own[:1])
