"""The published benchmark of two-person head motion: the figures of DualTalk's tables, clip by clip.

Each figure is of one part of the motion vector: expression (50), jaw (3) or head (3), in that part's own unit
(expression standard deviations, radians). A table holds the mean over clips. Names and constants are those of
DualTalk (Peng et al. 2025, arXiv 2505.18096); SID is that of Ng et al. 2022, "Learning to listen". All sums are
in float64, where the released evaluation has float32, save in `sts`: see there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn import config_context
from sklearn.cluster import KMeans

from dualtalk.core import DUALTALK56, MotionLayout
from dualtalk.errors import InputError
from dualtalk.metrics.bootstrap import Estimate, Tally, over_dialogues
from dualtalk.metrics.validation import finite, same_shape

Motion = Float[np.ndarray, "_frame _coef"]
AXES = ("frame", "coef")

# k of the k-means behind SID, by part.
CLUSTERS = {"expression": 40, "jaw": 10, "head": 10}
# Tables print FD, P-FD, MSE and rPCC multiplied by these.
PRINTED_SCALE = {
    "FD": {"expression": 1, "jaw": 1e3, "head": 1e2},
    "P-FD": {"expression": 1, "jaw": 1e3, "head": 1e2},
    "MSE": {"expression": 10, "jaw": 1e3, "head": 1e2},
    "rPCC": {"expression": 1e2, "jaw": 10, "head": 10},
}
STS_STEP = 0.1
ROUNDING = 1e-13
EMPTY_CLUSTER = 1e-6
DIVERSITY_DRAWS = 100


def frechet_distance(reference: Motion, prediction: Motion) -> float:
    """Frechet distance (FD) of Gaussians fitted to the frames: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^½).

    Squared unit of the motion, in [0, inf), lower is better; blind to the order of frames; perfect is 0. Still
    motion has S = 0 and an answer. Lengths may differ. Source: Heusel et al. 2017, "GANs trained by a two
    time-scale update rule", equation 6. The trace of the root is the sum of singular values of A B', where S1 =
    A'A and S2 = B'B: finite for covariances of any rank, so the released 1e-6 on the diagonal is never needed.
    """
    one, two = finite(reference, AXES, "reference"), finite(prediction, AXES, "prediction")
    if one.shape[1] != two.shape[1]:
        raise InputError(f"reference has {one.shape[1]} coefficients, prediction {two.shape[1]}; one layout?")
    if min(len(one), len(two)) < 2:
        raise InputError(f"{len(one)} and {len(two)} frames have no covariance; wanted at least 2 in each")
    return _distance(_Gaussian.of(one), _Gaussian.of(two))


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """`root` is A with A'A the covariance (over frames less one) and no more rows than columns."""

    mean: Float[np.ndarray, "coef"]
    root: Float[np.ndarray, "rank coef"]

    @classmethod
    def of(cls, motion: Motion) -> "_Gaussian":
        if not np.ptp(motion, axis=0).any():
            return cls(motion[0], np.zeros((1, motion.shape[1])))
        mean = motion.mean(axis=0)
        return cls(mean, np.linalg.qr((motion - mean) / np.sqrt(len(motion) - 1), mode="r"))


def _distance(one: _Gaussian, two: _Gaussian) -> float:
    shift, a, b = one.mean - two.mean, one.root, two.root
    root_trace = np.linalg.svd(a @ b.T, compute_uv=False).sum() if a.any() and b.any() else 0.0
    spread = (a**2).sum() + (b**2).sum()
    # Rounding may leave a distance of 0 a hair off.
    apart = spread - 2 * root_trace
    return float(shift @ shift + (apart if apart > ROUNDING * spread else 0.0))


def paired_frechet_distance(reference: Motion, prediction: Motion, partner: Motion) -> float:
    """FD of each frame joined to the partner's (P-FD): whether own motion goes with the partner's.

    `partner` is the partner's reference motion, (frame, coef), and stands first in both joint vectors. Squared
    unit of the motion, in [0, inf), lower is better; perfect is 0. A still partner makes it FD.
    """
    same_shape(reference, prediction, AXES)
    same_length(partner, reference)
    return frechet_distance(np.hstack([partner, reference]), np.hstack([partner, prediction]))


def mean_squared_error(reference: Motion, prediction: Motion) -> float:
    """Mean over frames and coefficients of the squared error (MSE).

    Squared unit of the motion, in [0, inf), lower is better; symmetric; perfect is 0.
    """
    one, two = same_shape(reference, prediction, AXES)
    return float(((one - two) ** 2).mean())


def sid(reference: Motion, prediction: Motion, clusters: int) -> float:
    """Shannon index (SID): entropy of how often the prediction visits each k-means cluster of the reference.

    -sum h log2(h + 1e-6), in bits, from 0 (still, or one pose for ever) to log2(clusters); nearer to the
    reference's own, `sid(reference, reference, clusters)`, is better, usually higher. Blind to order. Source: Ng
    et al. 2022, "Learning to listen".
    """
    return _visits_entropy(fitted=reference, counted=prediction, clusters=clusters)


def sid_as_released(reference: Motion, prediction: Motion, clusters: int) -> float:
    """SID as the published tables have it: clusters of the prediction, visits of the reference.

    In bits, higher is taken as better. Perfect is the reference's own; a still prediction scores 0.
    """
    return _visits_entropy(fitted=prediction, counted=reference, clusters=clusters)


def _visits_entropy(fitted: Motion, counted: Motion, clusters: int) -> float:
    finite(fitted, AXES, "motion to cluster")
    finite(counted, AXES, "motion to count")
    if fitted.shape[1] != counted.shape[1]:
        raise InputError(f"{fitted.shape[1]} and {counted.shape[1]} coefficients; wanted the same: one layout?")
    return _entropy(_clusters(fitted, clusters), counted.astype(fitted.dtype))


def _clusters(motion: Motion, clusters: int) -> KMeans | None:
    """k-means of the frames; None where all are the same."""
    # k-means cannot tell more clusters apart than there are different frames.
    # Adding 0 makes one of 0 and -0.
    rows = np.ascontiguousarray(motion + 0)
    different = len(set(rows.view(f"V{rows[0].nbytes}").ravel().tolist()))
    if different == 1:
        return None
    model = KMeans(n_clusters=min(clusters, different), init=_seeds, n_init=1, random_state=0)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        return model.fit(motion)


def _seeds(
    motion: Motion, clusters: int, random_state: np.random.RandomState
) -> Float[np.ndarray, "cluster coef"]:
    """Frames to begin k-means with: scikit-learn's own greedy choice, draw by draw, in a third of its time.

    Source: Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding", with several candidates a
    draw. Distances are summed in float64 and kept in the motion's precision, as there, lest a draw fall otherwise.
    """
    wide, ones = motion.astype(np.float64), np.ones((len(motion), 1), motion.dtype)
    norms = np.einsum("tc,tc->t", wide, wide)

    def squared_distances(frames: np.ndarray) -> np.ndarray:
        apart = -2 * (wide[frames] @ wide.T) + norms[frames, None] + norms
        return np.maximum(apart.astype(motion.dtype), 0)

    trials = 2 + int(np.log(clusters))
    chosen = [random_state.choice(len(motion), p=ones[:, 0] / ones.sum())]
    nearest = squared_distances(np.array(chosen))
    left = nearest @ ones
    for _ in range(1, clusters):
        drawn = random_state.uniform(size=trials) * left[0]
        candidates = np.searchsorted(np.cumsum(nearest[0]), drawn).clip(max=len(motion) - 1)
        apart = np.minimum(nearest, squared_distances(candidates))
        lefts = apart @ ones
        best = int(lefts.argmin())
        nearest, left = apart[best : best + 1], lefts[best : best + 1]
        chosen.append(candidates[best])
    return motion[chosen]


def _entropy(model: KMeans | None, counted: Motion) -> float:
    if model is None:
        return float(abs(-np.log2(1 + EMPTY_CLUSTER)))
    # What `predict` does, whose checks of its input take longer than the work.
    centres = model.cluster_centers_
    nearest = ((centres**2).sum(axis=1) - 2 * counted @ centres.T).argmin(axis=1)
    share = np.bincount(nearest, minlength=model.n_clusters) / len(counted)
    return float(abs(-(share * np.log2(share + EMPTY_CLUSTER)).sum()))


def rpcc(reference: Motion, prediction: Motion, partner: Motion) -> float:
    """Residual correlation with the partner (rPCC): |corr(reference, partner) - corr(prediction, partner)|.

    Pearson's r of the flattened (frame, coef) arrays. No unit, in [0, 2], lower is better; perfect is 0; blind
    to positive scaling of the prediction. NaN where one of the three never changes: no r exists.
    """
    same_shape(reference, prediction, AXES)
    same_length(partner, reference)
    if partner.shape[1] != reference.shape[1]:
        raise InputError(f"partner has {partner.shape[1]} coefficients, reference {reference.shape[1]}")
    return abs(_pearson(reference, partner) - _pearson(prediction, partner))


def _pearson(one: Motion, two: Motion) -> float:
    if not (np.ptp(one) and np.ptp(two)):
        return np.nan
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


def sts(reference: Motion, prediction: Motion) -> float:
    """Spatio-temporal similarity (STS): sqrt(sum over frames and coefficients of (dx - dy)^2 / 0.1).

    dx, dy are changes from frame to frame. Unit of the motion, in [0, inf), lower is better; perfect is 0, and
    so is a prediction that is off by a constant. It grows with the square root of the length; one frame has 0.

    Of float32 input the sum runs in float32, coefficient after coefficient, as it must have where the published
    figures were made: over a long clip that rounds 2e-6 of the value away. Float64 input is summed in float64.
    """
    same_shape(reference, prediction, AXES)
    if len(reference) < 2:
        return 0.0
    difference = np.diff(reference, axis=0) - np.diff(prediction, axis=0)
    terms = difference**2 / difference.dtype.type(STS_STEP)
    return float(np.sqrt(np.add.accumulate(terms.T.ravel())[-1]))


def variance(motion: Motion) -> float:
    """Mean over coefficients of the variance over time. Squared unit of the motion; still motion has 0.

    Nearer to the reference's own is better; no direction by itself.
    """
    return float(finite(motion, AXES, "motion").var(axis=0).mean())


def diversity(motion: Motion, seed: int = 0) -> float:
    """Mean distance of 100 frames drawn at random to 100 others. Unit of the motion; still motion has 0.

    Nearer to the reference's own is better. The released draw has no seed; this one does, so that it repeats.
    A motion of fewer frames than 100 is drawn from as often as it has frames.
    """
    frames = finite(motion, AXES, "motion")
    rng = np.random.default_rng(seed)
    draws = min(DIVERSITY_DRAWS, len(frames))
    one, two = (rng.choice(len(frames), draws, replace=False) for _ in range(2))
    return float(np.linalg.norm(frames[one] - frames[two], axis=1).mean())


def same_length(partner: Motion, reference: Motion) -> None:
    finite(partner, AXES, "partner")
    if len(partner) != len(reference):
        raise InputError(f"partner has {len(partner)} frames, reference {len(reference)}; cut both to the shorter")


def published_figures(
    reference: Motion, prediction: Motion, partner: Motion, layout: MotionLayout = DUALTALK56
) -> dict[str, dict[str, float]]:
    """All figures of one clip: name -> {"expression", "jaw", "head"}. Multiply by `PRINTED_SCALE` for a table.

    Parameters
    ----------
    reference, prediction, partner : (frame, coef)
        Whole motion vectors of `layout`: own as it was, own as predicted, the partner's as it was.
    """
    return Benchmark(reference, partner, layout).figures(prediction)


class Benchmark:
    """One reference, against which several predictions are measured: what asks only for it is worked out once.

    Parameters
    ----------
    reference : (frame, coef)
    partner : (frame, coef), optional
        Without one, P-FD and rPCC are NaN.
    """

    def __init__(
        self, reference: Motion, partner: Motion | None = None, layout: MotionLayout = DUALTALK56
    ) -> None:
        finite(reference, AXES, "reference")
        if reference.shape[1] != layout.width:
            raise InputError(
                f"motion has {reference.shape[1]} coefficients; layout {layout.name} has {layout.width}"
            )
        if len(reference) < 2:
            raise InputError("a clip of 1 frame has no covariance; wanted at least 2 frames")
        if partner is not None:
            same_shape(reference, partner, AXES)
        self.reference = reference
        self._parts = {
            part: _Part.of(reference[:, columns], None if partner is None else partner[:, columns], clusters)
            for part, clusters in CLUSTERS.items()
            for columns in (layout.slice_of(part),)
        }
        self._columns = {part: layout.slice_of(part) for part in CLUSTERS}

    def figures(self, prediction: Motion, heard: Motion | None = None) -> dict[str, dict[str, float]]:
        """name -> part -> figure. `heard` is the partner's motion that this prediction goes with, where it is not
        the reference's: in P-FD and rPCC it takes its place on the prediction's side."""
        same_shape(self.reference, prediction, AXES)
        if heard is not None:
            same_shape(self.reference, heard, AXES)
        figures: dict[str, dict[str, float]] = {}
        for part, columns in self._columns.items():
            other = None if heard is None else heard[:, columns]
            for name, value in self._parts[part].figures(prediction[:, columns], other).items():
                figures.setdefault(name, {})[part] = value
        return figures


@dataclass(frozen=True, eq=False)
class _Part:
    """One part of the reference, with what is worked out of it alone."""

    own: Motion
    partner: Motion | None
    clusters: int
    gaussian: _Gaussian
    joint: _Gaussian | None
    model: KMeans | None
    of_reference: dict[str, float]

    @classmethod
    def of(cls, own: Motion, partner: Motion | None, clusters: int) -> "_Part":
        wide, model = own.astype(np.float64), _clusters(own, clusters)
        joint = None if partner is None else _Gaussian.of(np.hstack([partner.astype(np.float64), wide]))
        of_reference = {
            "SID of the reference": _entropy(model, own),
            "variance of the reference": variance(own),
            "diversity of the reference": diversity(own),
            "correlation with the partner": np.nan if partner is None else _pearson(own, partner),
        }
        return cls(own, partner, clusters, _Gaussian.of(wide), joint, model, of_reference)

    def figures(self, made: Motion, heard: Motion | None) -> dict[str, float]:
        alone, joint = self._gaussians(made, heard)
        paired = residual = np.nan
        if joint is not None:
            other = self.partner if heard is None else heard
            paired = _distance(self.joint, joint)
            residual = abs(self.of_reference["correlation with the partner"] - _pearson(made, other))
        return {
            "FD": _distance(self.gaussian, alone),
            "P-FD": paired,
            "MSE": mean_squared_error(self.own, made),
            "SID": _entropy(self.model, made.astype(self.own.dtype)),
            "SID as released": _entropy(self._clusters_of(made), self.own.astype(made.dtype)),
            "SID of the reference": self.of_reference["SID of the reference"],
            "rPCC": residual,
            "STS": sts(self.own, made),
            "variance": variance(made),
            "variance of the reference": self.of_reference["variance of the reference"],
            "diversity": diversity(made),
            "diversity of the reference": self.of_reference["diversity of the reference"],
        }

    def _gaussians(self, made: Motion, heard: Motion | None) -> tuple[_Gaussian, _Gaussian | None]:
        """Of a prediction, and of it joined to the partner: worked out as far as the reference's own do not do."""
        wide, known = made.astype(np.float64), np.array_equal(made, self.own)
        alone = self.gaussian if known else _Gaussian.of(wide)
        if self.joint is None:
            return alone, None
        if heard is not None:
            return alone, _Gaussian.of(np.hstack([heard.astype(np.float64), wide]))
        if known:
            return alone, self.joint
        if not alone.root.any():
            # A held pose leaves the partner's covariance alone, whose root is the joint's first columns.
            columns, root = made.shape[1], self.joint.root.copy()
            root[:, columns:] = 0
            return alone, _Gaussian(np.concatenate([self.joint.mean[:columns], alone.mean]), root)
        return alone, _Gaussian.of(np.hstack([self.partner.astype(np.float64), wide]))

    def _clusters_of(self, made: Motion) -> KMeans | None:
        return self.model if np.array_equal(made, self.own) else _clusters(made, self.clusters)


def still_control(reference: Motion) -> Motion:
    """The clip's own mean in every frame: a prediction that a table should show, for no motion at all does well.

    Its FD is the trace of the reference's covariance, its MSE the reference's variance; its rPCC has no value.
    """
    return np.broadcast_to(reference.mean(axis=0), reference.shape).copy()


def published_table(
    dialogues: Sequence[Sequence[dict[str, dict[str, float]]]], seed: int = 0
) -> dict[str, dict[str, Estimate]]:
    """Mean over clips of `published_figures`, with an interval over dialogues: name -> part -> estimate, unscaled.

    Parameters
    ----------
    dialogues
        For each dialogue the figures of its one or two people. Clips without a value (NaN) are left out.
    """
    names = {(name, part): None for clips in dialogues for one in clips for name in one for part in one[name]}
    table: dict[str, dict[str, Estimate]] = {}
    for name, part in names:
        tallies = [Tally.mean_of([one[name][part] for one in clips]) for clips in dialogues]
        table.setdefault(name, {})[part] = over_dialogues(tallies, seed)
    return table
