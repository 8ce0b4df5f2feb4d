"""All metrics of one prediction of one person in one clip.

A `ReferenceTrack` holds the ground truth, and what depends on it alone is computed once for all predictions.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float

from dualtalk.audio.phonemes import Phoneme
from dualtalk.evaluation.features import MetricInputs, Motion, MotionFeatures
from dualtalk.evaluation.turn_metrics import Values, turn_metrics
from dualtalk.metrics import lips, mesh
from dualtalk.metrics.bootstrap import WeightedMean
from dualtalk.metrics.dualtalk_benchmark import Benchmark
from dualtalk.metrics.events import FACE_EVENTS, match_events
from dualtalk.metrics.lip_timing import mean_temporal_misalignment_s, slcc_error
from dualtalk.metrics.listener import frcorr, frdist, frsyn
from dualtalk.metrics.synchrony import synchrony
from dualtalk.metrics.turn_transitions import Role, Roles
from dualtalk.timebase import MOTION_FPS

LVE_ROLES: dict[str, Role] = {"LVE speaking": "speaking", "LVE listening": "listening"}


@dataclass(frozen=True, eq=False)
class ReferenceTrack:
    """The ground truth of one person of one clip.

    Attributes
    ----------
    ground_truth : MotionFeatures
    partner : MotionFeatures or None
        The partner's ground truth; without it, metrics of the pair are left out.
    surrogate : (frame, 56) or None
        Motion of a person of another dialogue, the surrogate partner of synchrony.
    random_clip : (frame, 56) or None
        Motion of a person of a third dialogue, where there is one, for baselines.
    roles : Roles or None
    loudness_db : (frame,) or None
    phonemes : tuple of Phoneme or None
    """

    ground_truth: MotionFeatures
    partner: MotionFeatures | None
    surrogate: Motion | None
    random_clip: Motion | None
    roles: Roles | None
    loudness_db: Float[np.ndarray, "frame"] | None
    phonemes: tuple[Phoneme, ...] | None

    @property
    def frames(self) -> int:
        return self.ground_truth.frames

    @cached_property
    def benchmark(self) -> Benchmark:
        partner = None if self.partner is None else self.partner.coefficients
        return Benchmark(self.ground_truth.coefficients, partner)

    def features(self, coefficients: Motion) -> MotionFeatures:
        """Features of a prediction of this person, with the ground truth's identity."""
        valid = np.ones(len(coefficients), bool)
        motion = replace(self.ground_truth.motion, coefficients=coefficients, valid=valid)
        return MotionFeatures(motion, self.ground_truth.mesh)

    def inputs(self, prediction: MotionFeatures, predicted_partner: Motion | None = None) -> MetricInputs:
        """What plug-in metrics are computed from."""
        return MetricInputs(
            ground_truth=self.ground_truth,
            prediction=prediction,
            partner=self.partner,
            predicted_partner=self._paired(predicted_partner),
            roles=self.roles,
            loudness_db=self.loudness_db,
            phonemes=self.phonemes,
        )

    def _paired(self, predicted_partner: Motion | None) -> MotionFeatures | None:
        if self.partner is None or predicted_partner is None:
            return self.partner
        return self.features(predicted_partner)

    def metrics(
        self, prediction: MotionFeatures, predicted_partner: Motion | None = None, *, slow: bool = True
    ) -> Values:
        """All metrics of a prediction: name -> weighted mean; what the data do not allow is left out.

        Parameters
        ----------
        prediction : MotionFeatures
            As long as the ground truth.
        predicted_partner : (frame, 56), optional
            The partner that the prediction is paired with, if not the ground truth: in the closed loop, or in a
            baseline.
        slow : bool
            Include the metrics that align motion (MTM, FRDist, FRSyn), which take as long as all others.
        """
        benchmark = self.benchmark.metrics(prediction.coefficients, predicted_partner)
        values = {
            f"{name} {part}": WeightedMean.of([value])
            for name, parts in benchmark.items()
            for part, value in parts.items()
        }
        if self.roles is not None:
            values |= turn_metrics(self.roles, self.ground_truth, prediction)
        plain = self._lips(prediction, slow) | self._pair(prediction, predicted_partner, slow)
        values |= {name: WeightedMean.of([value]) for name, value in plain.items()}
        return values | self._events(prediction)

    def _lips(self, prediction: MotionFeatures, slow: bool) -> dict[str, float]:
        own, made = self.ground_truth, prediction
        values = {
            "JDD": mesh.rotation_dynamics_deviation(own.motion.jaw_rotvec_rad, made.motion.jaw_rotvec_rad),
            "PDD": mesh.rotation_dynamics_deviation(own.motion.head_rotvec_rad, made.motion.head_rotvec_rad),
        }
        one, two = (features.lip_gap_m.astype(np.float64) for features in (own, made))
        if slow:
            values["MTM"] = mean_temporal_misalignment_s(one[:, None], two[:, None])
        if self.roles is not None and self.loudness_db is not None:
            values["SLCC error"] = slcc_error(self.loudness_db, one, two, self.roles.own_speaks)
        return values | self._mesh(made, two)

    def _mesh(self, prediction: MotionFeatures, gap_m: Float[np.ndarray, "frame"]) -> dict[str, float]:
        own, made, regions = self.ground_truth.vertices, prediction.vertices, self.ground_truth.mesh
        if own is None or made is None or regions is None:
            return {}
        values = {
            "LVE": mesh.lip_vertex_error(own, made, regions.lips),
            "FDD": mesh.face_dynamics_deviation(own, made, regions.upper_face),
        }
        if self.roles is not None:
            for name, role in LVE_ROLES.items():
                values[name] = mesh.lip_vertex_error(own, made, regions.lips, self.roles.mask(role))
            values["silence closure rate"] = lips.silent_closure(gap_m, self.roles.own)
        if self.phonemes is not None:
            values["bilabial closure rate"] = lips.bilabial_closure(gap_m, self.phonemes)
        return values

    def _pair(self, prediction: MotionFeatures, predicted_partner: Motion | None, slow: bool) -> dict[str, float]:
        own, made = (one.coefficients.astype(np.float64)[None] for one in (self.ground_truth, prediction))
        values = {"FRCorr": frcorr(own, made)}
        if slow:
            values["FRDist"] = frdist(own, made)
        other = self._paired(predicted_partner)
        if other is not None:
            if slow and self.frames > 2 * MOTION_FPS + 1:
                values["FRSyn"] = frsyn(other.coefficients.astype(np.float64), made)
            if self.surrogate is not None:
                chance = synchrony(self.features(self.surrogate).head_speed, prediction.head_speed)
                values["synchrony vs. surrogate"] = synchrony(other.head_speed, prediction.head_speed) - chance
        return values

    def _events(self, prediction: MotionFeatures) -> Values:
        values: Values = {}
        for group, of_face in (("head", False), ("face", True)):
            match = match_events(
                *(
                    [event for event in one.events if (event.kind in FACE_EVENTS) == of_face]
                    for one in (self.ground_truth, prediction)
                )
            )
            values[f"{group} events F1"] = WeightedMean(2.0 * match.matched, float(match.events))
            if not of_face:
                values["head events timing"] = WeightedMean(match.deviation_sum_s, float(match.matched))
        return values
