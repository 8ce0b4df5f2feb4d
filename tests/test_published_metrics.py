"""Laws of the published figures, and agreement with the released evaluation and with other implementations."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import pdist
from scipy.stats import entropy

from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.errors import InputError
from dualtalk.metrics import dualtalk_benchmark as published
from dualtalk.metrics.validation import finite

RELEASED = Path(__file__).parents[2] / "shared" / "reference" / "metrics"
PARTS = ("expression", "jaw", "head")


def motion(seed: int, frames: int = 300, coefs: int = 56) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((frames, coefs))
    return gaussian_filter1d(noise, 4, axis=0).astype(np.float32)


@pytest.fixture(scope="module")
def released():
    """Table of all figures, and the values the released evaluation gave for the same clips."""
    if not (RELEASED / "expected.json").exists():
        pytest.skip(f"no released values at {RELEASED}")
    clips = {path.stem: HeadMotion.load(path).coefficients for path in RELEASED.glob("reference/*.npz")}
    dialogues: dict[str, list] = {}
    for name, own in clips.items():
        partner = clips[name[:-1] + {"1": "2", "2": "1"}[name[-1]]]
        made = np.load(RELEASED / "predicted" / f"{name}.npy")
        dialogues.setdefault(name[:-1], []).append(published.published_figures(own, made, partner))
    assert [len(clips) for clips in dialogues.values()] == [2, 2, 2]
    return published.published_table(list(dialogues.values())), json.loads(
        (RELEASED / "expected.json").read_text()
    )


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("figure", "theirs", "within"),
    [
        ("FD", "fid", 1e-6),
        ("P-FD", "p_fid", 1e-6),
        ("MSE", "mse", 1e-6),
        ("SID as released", "sid", 1e-9),
        ("rPCC", "rpcc", 1e-6),
        ("STS", "sts", 1e-6),
        ("variance", "variance_pre", 1e-6),
        ("variance of the reference", "variance_gt", 1e-6),
        # Their draw of 200 frames is not ours: agreement as far as chance allows.
        ("diversity", "diversity_pre", 0.1),
        ("diversity of the reference", "diversity_gt", 0.1),
    ],
)
def test_the_released_values_come_out(released, figure, theirs, within, part):
    table, expected = released
    value = expected[f"{theirs}_{ {'expression': 'exp', 'jaw': 'jaw', 'head': 'pose'}[part] }"]
    estimate = table[figure][part]
    assert estimate.value == pytest.approx(value, rel=within)
    assert estimate.low <= estimate.value <= estimate.high


def test_a_perfect_prediction_has_the_known_scores():
    own, partner = motion(0), motion(1)
    figures = published.published_figures(own, own, partner)
    for part in PARTS:
        for name in ("FD", "P-FD"):
            assert figures[name][part] == pytest.approx(0, abs=1e-12)
        for name in ("MSE", "rPCC", "STS"):
            assert figures[name][part] == 0
        for name in ("SID", "SID as released"):
            assert figures[name][part] == figures["SID of the reference"][part]
        for name in ("variance", "diversity"):
            assert figures[name][part] == figures[f"{name} of the reference"][part]


@pytest.mark.parametrize("frames", [80, 400])
def test_frechet_distance_is_that_of_a_matrix_square_root(frames):
    one, two = motion(0, frames, 20).astype(np.float64), 0.1 + 1.3 * motion(1, frames, 20).astype(np.float64)
    covariances = [np.cov(x, rowvar=False) for x in (one, two)]
    shift = one.mean(axis=0) - two.mean(axis=0)
    by_root = shift @ shift + np.trace(sum(covariances) - 2 * sqrtm(covariances[0] @ covariances[1]).real)
    assert published.frechet_distance(one, two) == pytest.approx(by_root, rel=1e-9)


def test_frechet_distance_of_fewer_frames_than_coefficients_and_of_still_motion():
    own, still = motion(0, 20, 50), np.zeros((20, 50), np.float32)
    trace = own.astype(np.float64).var(axis=0, ddof=1).sum()
    offset = (own.astype(np.float64).mean(axis=0) ** 2).sum()
    assert published.frechet_distance(own, still) == pytest.approx(trace + offset, rel=1e-6)
    assert published.frechet_distance(own, own) == pytest.approx(0, abs=1e-9)


def test_what_each_figure_is_blind_to():
    own, made, partner = (motion(seed, coefs=3).astype(np.float64) for seed in range(3))
    shuffled = np.random.default_rng(0).permutation(len(own))
    assert published.frechet_distance(own, made[shuffled]) == pytest.approx(published.frechet_distance(own, made))
    assert published.frechet_distance(own, made) == pytest.approx(published.frechet_distance(made, own))
    assert published.mean_squared_error(own, made) == published.mean_squared_error(made, own)
    assert published.sid(own, made[shuffled], 10) == pytest.approx(published.sid(own, made, 10), abs=1e-12)
    assert published.rpcc(own, 7 * made, partner) == pytest.approx(published.rpcc(own, made, partner))
    assert published.sts(own, own + 3) == pytest.approx(0, abs=1e-12)
    still_partner = np.zeros_like(partner)
    assert published.paired_frechet_distance(own, made, still_partner) == pytest.approx(
        published.frechet_distance(own, made)
    )


def test_another_partner_hurts_the_paired_distance_alone():
    partner = motion(3, 2000, 3)
    own = 0.8 * partner + 0.2 * motion(4, 2000, 3)
    elsewhen = np.roll(own, 700, axis=0)
    assert published.frechet_distance(own, elsewhen) < 1e-9
    assert published.paired_frechet_distance(own, elsewhen, partner) > 0.1 * published.variance(own)


@pytest.mark.parametrize("figure", ["frechet_distance", "mean_squared_error", "sts"])
def test_distances_grow_with_damage(figure):
    own, noise = motion(0), motion(1)
    values = [getattr(published, figure)(own, own + np.float32(k) * noise) for k in (0, 0.2, 0.5, 1, 2)]
    assert (np.diff(values) > 0).all()


def test_sid_is_the_entropy_of_visits():
    poses = np.repeat(np.arange(4.0), [10, 20, 30, 40])[:, None] * 100
    assert published.sid(poses, poses, 4) == pytest.approx(entropy([0.1, 0.2, 0.3, 0.4], base=2), abs=1e-4)
    still = np.zeros_like(poses)
    assert published.sid(poses, still, 4) == pytest.approx(0, abs=2e-6)
    assert published.sid_as_released(poses, still, 4) == pytest.approx(0, abs=2e-6)
    assert published.sid(poses, still, 4) <= published.sid(poses, poses[:60], 4)


def test_diversity_repeats_and_is_near_the_mean_distance():
    own = motion(0, 1000)
    assert published.diversity(own, seed=3) == published.diversity(own, seed=3)
    assert published.diversity(own) == pytest.approx(pdist(own).mean(), rel=0.1)


def test_motion_that_never_changes_has_no_correlation():
    own, partner, still = motion(0), motion(1), np.zeros((300, 56), np.float32)
    assert np.isnan(published.rpcc(own, still, partner))
    assert np.isnan(published.rpcc(own, own, still))
    assert published.variance(still) == published.diversity(still) == 0


def test_the_still_control_has_the_scores_of_no_motion():
    own = motion(0, coefs=3).astype(np.float64)
    still = published.still_control(own)
    assert published.frechet_distance(own, still) == pytest.approx(own.var(axis=0, ddof=1).sum())
    assert published.mean_squared_error(own, still) == pytest.approx(published.variance(own))
    assert published.sid(own, still, 10) == pytest.approx(0, abs=2e-6)


def test_clips_without_a_value_are_left_out():
    table = published.published_table(
        [[{"rPCC": {"jaw": 1.0}}, {"rPCC": {"jaw": np.nan}}], [{"rPCC": {"jaw": 4.0}}]]
    )
    assert table["rPCC"]["jaw"].value == 2.5
    assert table["rPCC"]["jaw"].dialogues == 2


def test_wrong_input_is_answered_in_one_line():
    own = motion(0)
    for wrong in (own[:-1], own[:, :50], own[:0], np.full_like(own, np.nan)):
        with pytest.raises(InputError) as caught:
            published.published_figures(own, wrong, own)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="batch axis"):
        finite(own[None], published.AXES, "motion")
    with pytest.raises(InputError, match=DUALTALK56.name):
        published.published_figures(own[:, :3], own[:, :3], own[:, :3])
    with pytest.raises(InputError, match="partner has 299"):
        published.rpcc(own, own, own[1:])
    with pytest.raises(InputError, match="covariance"):
        published.frechet_distance(own[:1], own[:1])
