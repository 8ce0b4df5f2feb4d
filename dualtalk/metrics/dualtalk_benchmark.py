"""The published benchmark of two-party head motion, DualTalk (Peng et al. 2025, arXiv 2505.18096).

Each metric is computed for one part of the motion vector of one clip: expression (50), jaw (3) or head (3), in
that part's unit (standard deviations, radians). Published tables show the mean over clips. Names and constants are
those of the paper; SID is from Ng et al. 2022, "Learning to listen". Sums are in float64, where the released
evaluation uses float32, except in `sts`.

Published tables multiply some values by a power of ten (`DISPLAY_SCALE`); the functions here do not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn import config_context
from sklearn.cluster import KMeans

from dualtalk.core import DUALTALK56, MotionLayout
from dualtalk.errors import InputError
from dualtalk.metrics.arrays import Motion
from dualtalk.metrics.validation import finite, same_shape

AXES = ("frame", "coef")

# Number of k-means clusters in SID, by part.
CLUSTERS = {"expression": 40, "jaw": 10, "head": 10}
# Published tables show these metrics multiplied by these factors.
DISPLAY_SCALE = {
    "FD": {"expression": 1.0, "jaw": 1e3, "head": 1e2},
    "P-FD": {"expression": 1.0, "jaw": 1e3, "head": 1e2},
    "MSE": {"expression": 10.0, "jaw": 1e3, "head": 1e2},
    "rPCC": {"expression": 1e2, "jaw": 10.0, "head": 10.0},
}
STS_STEP = 0.1
# A Frechet distance below this share of the two variances is rounding error.
ROUNDING = 1e-13
LOG_EPSILON = 1e-6
DIVERSITY_DRAWS = 100


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian fitted to the frames of a motion.

    Attributes
    ----------
    mean : (coef,) float64
    root : (rank, coef) float64
        A matrix A with A'A equal to the covariance (divisor: frames - 1); rank is at most coef.
    """

    mean: Float[np.ndarray, "coef"]
    root: Float[np.ndarray, "rank coef"]

    @classmethod
    def fit(cls, motion: Motion) -> "Gaussian":
        """Fit to (frame, coef) motion.

        Raises
        ------
        InputError
            Fewer than 2 frames, or a value that is not finite.
        """
        values = finite(motion, AXES, "motion")
        if len(values) < 2:
            raise InputError(f"{len(values)} frame has no covariance; wanted at least 2 frames")
        if not np.ptp(values, axis=0).any():
            return cls(values[0], np.zeros((1, values.shape[1])))
        mean = values.mean(axis=0)
        root = np.asarray(np.linalg.qr((values - mean) / np.sqrt(len(values) - 1), mode="r"))
        return cls(mean, root)


def frechet_distance(ground_truth: Motion | Gaussian, prediction: Motion | Gaussian) -> float:
    """Frechet distance (FD) of Gaussians fitted to the frames: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^½).

    Squared unit of the motion, in [0, inf), lower is better, ideal 0. It ignores the order of frames. The two may
    differ in length. Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", equation 6.

    The trace of the square root is the sum of the singular values of A B', where S1 = A'A and S2 = B'B. This is
    finite for covariances of any rank, so the 1e-6 that the released code adds to the diagonal is not needed.

    Parameters
    ----------
    ground_truth, prediction : (frame, coef), or Gaussian
        Pass a `Gaussian` to reuse a fit.
    """
    one, two = (
        motion if isinstance(motion, Gaussian) else Gaussian.fit(motion) for motion in (ground_truth, prediction)
    )
    if len(one.mean) != len(two.mean):
        raise InputError(f"ground truth has {len(one.mean)} coefficients, prediction {len(two.mean)}; one layout?")
    shift, a, b = one.mean - two.mean, one.root, two.root
    root_trace = np.linalg.svd(a @ b.T, compute_uv=False).sum() if a.any() and b.any() else 0.0
    traces = (a**2).sum() + (b**2).sum()
    spread = traces - 2 * root_trace
    return float(shift @ shift + (spread if spread > ROUNDING * traces else 0.0))


def paired_frechet_distance(
    ground_truth: Motion, prediction: Motion, partner: Motion, predicted_partner: Motion | None = None
) -> float:
    """Paired Frechet distance (P-FD): FD of the joint vectors [partner, own motion] of each frame.

    Squared unit of the motion, in [0, inf), lower is better, ideal 0. With a still partner it equals FD.

    Parameters
    ----------
    ground_truth, prediction, partner : (frame, coef)
        `partner` is the partner's ground truth.
    predicted_partner : (frame, coef), optional
        The partner that the prediction is paired with; by default `partner`.
    """
    other = partner if predicted_partner is None else predicted_partner
    same_shape(ground_truth, prediction, AXES)
    check_same_frames(partner, ground_truth)
    check_same_frames(other, ground_truth)
    return frechet_distance(np.hstack([partner, ground_truth]), np.hstack([other, prediction]))


def mean_squared_error(ground_truth: Motion, prediction: Motion) -> float:
    """Mean squared error (MSE) over frames and coefficients.

    Squared unit of the motion, in [0, inf), lower is better, ideal 0; symmetric.
    """
    one, two = same_shape(ground_truth, prediction, AXES)
    return float(((one - two) ** 2).mean())


@dataclass(frozen=True, eq=False)
class PoseClusters:
    """k-means clusters of the frames of a motion, for SID.

    Attributes
    ----------
    model : KMeans or None
        None if all frames are equal.
    dtype : numpy.dtype
        Precision of the fit: assignments depend on it.
    """

    model: KMeans | None
    dtype: np.dtype

    @classmethod
    def fit(cls, motion: Motion, clusters: int) -> "PoseClusters":
        """Fit `clusters` clusters, or as many as there are different frames, with a fixed seed."""
        finite(motion, AXES, "motion to cluster")
        different = len(np.unique(motion, axis=0))
        if different == 1:
            return cls(None, motion.dtype)
        model = KMeans(n_clusters=min(clusters, different), n_init=1, random_state=0)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            return cls(model.fit(motion), motion.dtype)

    def visit_entropy(self, motion: Motion) -> float:
        """Entropy of the shares h of frames that fall into each cluster: -sum h log2(h + 1e-6), in bits."""
        finite(motion, AXES, "motion to assign")
        share = np.ones(1)
        if self.model is not None:
            if motion.shape[1] != self.model.n_features_in_:
                raise InputError(
                    f"{self.model.n_features_in_} and {motion.shape[1]} coefficients; wanted the same: one layout?"
                )
            with config_context(assume_finite=True):
                assigned = self.model.predict(motion.astype(self.dtype))
            share = np.bincount(assigned, minlength=self.model.n_clusters) / len(motion)
        return float(abs(-(share * np.log2(share + LOG_EPSILON)).sum()))


def sid(ground_truth: Motion | PoseClusters, prediction: Motion, clusters: int) -> float:
    """Shannon index of diversity (SID): entropy of the prediction's visits to clusters of the ground truth.

    Bits, from 0 (a still prediction) to log2(clusters). Nearer to the ground truth's own value,
    `sid(ground_truth, ground_truth, clusters)`, is better. It ignores the order of frames. Source: Ng et al. 2022,
    "Learning to listen".

    Parameters
    ----------
    ground_truth : (frame, coef), or PoseClusters
        Pass `PoseClusters` to reuse a fit; `clusters` is then ignored.
    prediction : (frame, coef)
    clusters : int
        See `CLUSTERS` for the published numbers.
    """
    if not isinstance(ground_truth, PoseClusters):
        ground_truth = PoseClusters.fit(ground_truth, clusters)
    return ground_truth.visit_entropy(prediction)


def sid_as_released(ground_truth: Motion, prediction: Motion | PoseClusters, clusters: int) -> float:
    """SID as the released evaluation computes it: clusters of the prediction, visits of the ground truth.

    Bits; published tables take higher as better. A still prediction has 0.
    """
    return sid(prediction, ground_truth, clusters)


def rpcc(
    ground_truth: Motion, prediction: Motion, partner: Motion, predicted_partner: Motion | None = None
) -> float:
    """Residual Pearson correlation (rPCC): |r(ground truth, partner) - r(prediction, partner)|.

    Pearson's r of the flattened (frame, coef) arrays. No unit, in [0, 2], lower is better, ideal 0. It ignores a
    positive scale of the prediction. NaN if one of the motions is constant, because r is then undefined.

    Parameters
    ----------
    ground_truth, prediction, partner : (frame, coef)
    predicted_partner : (frame, coef), optional
        The partner that the prediction is correlated with; by default `partner`.
    """
    other = partner if predicted_partner is None else predicted_partner
    same_shape(ground_truth, prediction, AXES)
    for one in (partner, other):
        check_same_frames(one, ground_truth)
        if one.shape[1] != ground_truth.shape[1]:
            raise InputError(f"partner has {one.shape[1]} coefficients, ground truth {ground_truth.shape[1]}")
    return abs(_pearson(ground_truth, partner) - _pearson(prediction, other))


def _pearson(one: Motion, two: Motion) -> float:
    if not (np.ptp(one) and np.ptp(two)):
        return np.nan
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


def sts(ground_truth: Motion, prediction: Motion) -> float:
    """Spatio-temporal similarity (STS): sqrt(sum over frames and coefficients of (dx - dy)^2 / 0.1).

    dx and dy are frame-to-frame differences. Unit of the motion, in [0, inf), lower is better, ideal 0. A constant
    offset does not change it. It grows with the square root of the number of frames; one frame has 0.

    Float32 input is summed in float32, one coefficient after the other, to agree with the released values: over a
    long clip this rounds 2e-6 of the value away. Float64 input is summed in float64.
    """
    same_shape(ground_truth, prediction, AXES)
    if len(ground_truth) < 2:
        return 0.0
    difference = np.diff(ground_truth, axis=0) - np.diff(prediction, axis=0)
    terms = difference**2 / difference.dtype.type(STS_STEP)
    return float(np.sqrt(np.add.accumulate(terms.T.ravel())[-1]))


def variance(motion: Motion) -> float:
    """Mean over coefficients of the variance over time. Squared unit of the motion; still motion has 0.

    Nearer to the ground truth's own value is better.
    """
    return float(finite(motion, AXES, "motion").var(axis=0).mean())


def diversity(motion: Motion, seed: int = 0) -> float:
    """Mean distance of 100 random frames to 100 other random frames. Unit of the motion; still motion has 0.

    Nearer to the ground truth's own value is better. The released evaluation draws without a seed. Fewer frames
    than 100 are all drawn.
    """
    frames = finite(motion, AXES, "motion")
    rng = np.random.default_rng(seed)
    draws = min(DIVERSITY_DRAWS, len(frames))
    one, two = (rng.choice(len(frames), draws, replace=False) for _ in range(2))
    return float(np.linalg.norm(frames[one] - frames[two], axis=1).mean())


def check_same_frames(partner: Motion, ground_truth: Motion) -> None:
    """Raise `InputError` unless the partner's motion is finite and as long as the ground truth."""
    finite(partner, AXES, "partner")
    if len(partner) != len(ground_truth):
        raise InputError(
            f"partner has {len(partner)} frames, ground truth {len(ground_truth)}; cut both to the shorter"
        )


def benchmark_metrics(
    ground_truth: Motion, prediction: Motion, partner: Motion, layout: MotionLayout = DUALTALK56
) -> dict[str, dict[str, float]]:
    """All metrics of one clip: name -> part ("expression", "jaw", "head") -> value.

    Parameters
    ----------
    ground_truth, prediction, partner : (frame, coef)
        Whole motion vectors of `layout`; `partner` is the partner's ground truth.
    """
    return Benchmark(ground_truth, partner, layout).metrics(prediction)


class Benchmark:
    """The benchmark against one ground truth; what depends on the ground truth alone is computed once.

    Parameters
    ----------
    ground_truth : (frame, coef)
    partner : (frame, coef), optional
        Without it, P-FD and rPCC are NaN.
    layout : MotionLayout
    """

    def __init__(
        self, ground_truth: Motion, partner: Motion | None = None, layout: MotionLayout = DUALTALK56
    ) -> None:
        finite(ground_truth, AXES, "ground truth")
        if ground_truth.shape[1] != layout.width:
            raise InputError(
                f"motion has {ground_truth.shape[1]} coefficients; layout {layout.name} has {layout.width}"
            )
        if partner is not None:
            same_shape(ground_truth, partner, AXES)
        self.ground_truth = ground_truth
        self._columns = {part: layout.slice_of(part) for part in CLUSTERS}
        self._parts = {
            part: _PartBenchmark(
                ground_truth[:, columns], None if partner is None else partner[:, columns], CLUSTERS[part]
            )
            for part, columns in self._columns.items()
        }

    def metrics(self, prediction: Motion, predicted_partner: Motion | None = None) -> dict[str, dict[str, float]]:
        """name -> part -> value.

        Parameters
        ----------
        prediction : (frame, coef)
        predicted_partner : (frame, coef), optional
            The partner that P-FD and rPCC pair the prediction with, if not the partner's ground truth.
        """
        same_shape(self.ground_truth, prediction, AXES)
        if predicted_partner is not None:
            same_shape(self.ground_truth, predicted_partner, AXES)
        found: dict[str, dict[str, float]] = {}
        for part, columns in self._columns.items():
            other = None if predicted_partner is None else predicted_partner[:, columns]
            for name, value in self._parts[part].metrics(prediction[:, columns], other).items():
                found.setdefault(name, {})[part] = value
        return found


class _PartBenchmark:
    """One part of the ground truth, with the fits that depend on it alone."""

    def __init__(self, own: Motion, partner: Motion | None, clusters: int) -> None:
        self.own, self.partner, self.clusters = own, partner, clusters
        self.gaussian = Gaussian.fit(own)
        self.paired = None if partner is None else Gaussian.fit(np.hstack([partner, own]))
        self.pose_clusters = PoseClusters.fit(own, clusters)
        self.constants = {
            "SID of the ground truth": sid(self.pose_clusters, own, clusters),
            "variance of the ground truth": variance(own),
            "diversity of the ground truth": diversity(own),
        }

    def metrics(self, prediction: Motion, predicted_partner: Motion | None) -> dict[str, float]:
        own, perfect = self.own, np.array_equal(prediction, self.own)
        fitted = self.pose_clusters if perfect else PoseClusters.fit(prediction, self.clusters)
        paired = residual = np.nan
        if self.paired is not None and self.partner is not None:
            other = self.partner if predicted_partner is None else predicted_partner
            paired = frechet_distance(self.paired, np.hstack([other, prediction]))
            residual = rpcc(own, prediction, self.partner, other)
        return {
            "FD": frechet_distance(self.gaussian, prediction),
            "P-FD": paired,
            "MSE": mean_squared_error(own, prediction),
            "SID": sid(self.pose_clusters, prediction, self.clusters),
            "SID as released": sid_as_released(own, fitted, self.clusters),
            "rPCC": residual,
            "STS": sts(own, prediction),
            "variance": variance(prediction),
            "diversity": diversity(prediction),
            **self.constants,
        }
