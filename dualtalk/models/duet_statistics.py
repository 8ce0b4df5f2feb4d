"""Statistics of duet that no gradient trains: normalization, range, geometry, and calibration of samples."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dualtalk.models.blocks import Normalizer
from dualtalk.models.interface import ConversationModel
from dualtalk.models.quantiles import QUANTILES, map_quantiles, quantile_map
from dualtalk.models.training_interface import Geometry

# Quantile mapping applies fully below this range of R² and not at all above it. It does not apply to coefficients
# that move the lips, because lips would no longer close on unfamiliar voices, nor to head rotation, whose
# amplitude is already right.
R2_FADE_RANGE = (0.2, 0.4)
# A coefficient moves the lips if one standard deviation of it changes the lip aperture by more than this, a
# quarter of the aperture at which lips look open.
MIN_LIP_EFFECT_MM = 0.5
# Lower bound of a sum of squares in a denominator.
MIN_SQUARES = 1e-12
# A direction in which normalized motion has less variance is not part of the motion subspace.
MIN_SUBSPACE_VARIANCE = 1e-3


class MotionHistory(NamedTuple):
    """Motion before each frame, and its velocity: the change from the frame before that, in units a frame."""

    previous: Float[Tensor, "batch 2 *frame coef"]
    velocity: Float[Tensor, "batch 2 *frame coef"]


class DuetStatistics(ConversationModel):
    """Base of `Duet`: its buffers, and what follows from them alone.

    Attributes
    ----------
    motion_normalizer, velocity_normalizer, residual_normalizer : Normalizer
        Of the motion, of its change from frame to frame, and of the residual of the autoregression.
    velocity_ar_coef : (coef,)
        First-order autoregressive coefficient of the velocity, by least squares.
    motion_min, motion_max : (coef,)
        Range of the training motion. Samples stay within it, except where that would move the lips. `fit` sets all
        of these.
    explained_variance : (coef,)
        R² of the mean for each coefficient, 0 to 1, a running mean over training.
    lip_aperture_basis_mm, lip_closed_offset_mm, head_rotation_mask
        See `Geometry`. A sample's lip aperture is the mean's; otherwise bilabial closures are lost.
    sample_quantiles, data_quantiles : (coef, quantile)
        Of closed-loop samples and of the training motion; see `postprocess`. `calibrate` sets these and the next.
    sample_lip_quantiles, data_lip_quantiles : (quantile,)
        The same of the lip aperture where the lips are open.
    motion_subspace_projection : (coef, coef)
        Projection of normalized motion onto the principal subspace of the training motion: eyelids that always
        close together continue to do so.
    """

    velocity_ar_coef: Tensor
    explained_variance: Tensor
    lip_aperture_basis_mm: Tensor
    lip_closed_offset_mm: Tensor
    head_rotation_mask: Tensor
    motion_min: Tensor
    motion_max: Tensor
    sample_quantiles: Tensor
    data_quantiles: Tensor
    sample_lip_quantiles: Tensor
    data_lip_quantiles: Tensor
    motion_subspace_projection: Tensor

    def _register_statistics(self, width: int) -> None:
        self.motion_normalizer, self.velocity_normalizer, self.residual_normalizer = (
            Normalizer(width) for _ in range(3)
        )
        for name in ("velocity_ar_coef", "explained_variance", "lip_aperture_basis_mm", "head_rotation_mask"):
            self.register_buffer(name, torch.zeros(width))
        self.register_buffer("lip_closed_offset_mm", torch.zeros(()))
        self.register_buffer("motion_min", torch.full((width,), -torch.inf))
        self.register_buffer("motion_max", torch.full((width,), torch.inf))
        for name in ("sample_quantiles", "data_quantiles"):
            self.register_buffer(name, torch.linspace(-1, 1, QUANTILES).repeat(width, 1))
        for name in ("sample_lip_quantiles", "data_lip_quantiles"):
            self.register_buffer(name, torch.linspace(0, 1, QUANTILES))
        self.register_buffer("motion_subspace_projection", torch.eye(width))

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        observed = motion[valid]
        self.motion_normalizer.fit(observed)
        self.motion_min.copy_(observed.amin(dim=0))
        self.motion_max.copy_(observed.amax(dim=0))
        two = valid[:, :, 1:] & valid[:, :, :-1]
        three = two[:, :, 1:] & two[:, :, :-1]
        if not three.any():
            return
        velocity = motion.diff(dim=2)
        self.velocity_normalizer.fit(velocity[two])
        last, now = velocity[:, :, :-1][three], velocity[:, :, 1:][three]
        self.velocity_ar_coef.copy_((last * now).sum(dim=0) / last.square().sum(dim=0).clamp(min=MIN_SQUARES))
        self.residual_normalizer.fit(now - self.velocity_ar_coef * last)

    def expand_range(self, motion: Float[Tensor, "frame coef"]) -> None:
        self.motion_min.copy_(torch.minimum(self.motion_min, motion.amin(dim=0)))
        self.motion_max.copy_(torch.maximum(self.motion_max, motion.amax(dim=0)))

    def set_geometry(self, geometry: Geometry) -> None:
        self.lip_aperture_basis_mm.copy_(geometry.lip_aperture_basis_mm)
        self.lip_closed_offset_mm.fill_(geometry.lip_closed_offset_mm)
        self.head_rotation_mask.copy_(geometry.head_rotation_mask)

    def predictability(self, low: float, high: float) -> Float[Tensor, "coef"]:
        """R² mapped linearly from [low, high] to [0, 1]; 1 for coefficients that move the lips."""
        ramp = ((self.explained_variance - low) / (high - low)).clamp(0, 1)
        return ramp.maximum(self.moves_lips.to(self.explained_variance))

    @property
    def moves_lips(self) -> Bool[Tensor, "coef"]:
        """Coefficients that open and close the lips."""
        return (self.lip_aperture_basis_mm * self.motion_normalizer.std).abs() > MIN_LIP_EFFECT_MM

    def lip_direction(self) -> Float[Tensor, "coef"]:
        """The smallest change, in standard deviations, of the lip coefficients that opens the lips by 1 mm."""
        direction = self.lip_aperture_basis_mm * self.moves_lips * self.motion_normalizer.std.square()
        return direction / (self.lip_aperture_basis_mm @ direction).clamp(min=MIN_SQUARES)

    def extrapolate(self, history: MotionHistory) -> Float[Tensor, "batch 2 *frame coef"]:
        """The next frame by the first-order autoregression of the velocity."""
        return history.previous + self.velocity_ar_coef * history.velocity

    def postprocess(self, motion: Float[Tensor, "batch 2 *frame coef"]) -> Float[Tensor, "batch 2 *frame coef"]:
        """Quantile mapping of each coefficient, and of the aperture of open lips, to the training distribution.

        Errors of the flow accumulate over frames: eyelids stay half closed, lips open half as far, smiles are too
        small. The rank of values is right and their size is not. Coefficients that move the lips are mapped
        through the aperture alone: the mean, which the loss rewards most for closed lips, opens them too little
        where it is uncertain. Closed lips stay closed.
        """
        values = motion.movedim(-1, 0).flatten(1).contiguous()
        mapped = map_quantiles(values, self.sample_quantiles, self.data_quantiles)
        mapped = mapped.unflatten(1, motion.shape[:-1]).movedim(0, -1)
        mapped = torch.lerp(mapped, motion, self.predictability(*R2_FADE_RANGE).maximum(self.head_rotation_mask))
        projected = self.motion_normalizer(mapped) @ self.motion_subspace_projection
        mapped = self.motion_normalizer.inverse(projected).clamp(self.motion_min, self.motion_max)
        aperture = (motion @ self.lip_aperture_basis_mm).flatten()[None]
        aperture = map_quantiles(aperture, self.sample_lip_quantiles[None], self.data_lip_quantiles[None])
        aperture = aperture.view(motion.shape[:-1])
        return open_lips(mapped, aperture - mapped @ self.lip_aperture_basis_mm, self.lip_direction())

    def calibrate_quantiles(
        self, sampled: Float[Tensor, "frame coef"], data: Float[Tensor, "frame2 coef"]
    ) -> None:
        """Take the quantile maps from samples of a closed loop to data, and the principal subspace of the data."""
        source, target = quantile_map(sampled, data)
        self.sample_quantiles.copy_(source)
        self.data_quantiles.copy_(target)
        apertures = [motion @ self.lip_aperture_basis_mm for motion in (sampled, data)]
        opened = [aperture[aperture > self.lip_closed_offset_mm, None] for aperture in apertures]
        if all(map(len, opened)):
            source, target = quantile_map(*opened)
            # Closed lips stay closed.
            source[:, 0] = target[:, 0] = self.lip_closed_offset_mm
            self.sample_lip_quantiles.copy_(source[0])
            self.data_lip_quantiles.copy_(target[0])
        normalized = self.motion_normalizer(data)
        variances, directions = torch.linalg.eigh(normalized.T @ normalized / len(normalized))
        directions = directions[:, variances > MIN_SUBSPACE_VARIANCE]
        self.motion_subspace_projection.copy_(directions @ directions.T)


def open_lips(
    motion: Float[Tensor, "batch 2 *frame coef"],
    by_mm: Float[Tensor, "batch 2 *frame"],
    lip_direction: Float[Tensor, "coef"],
) -> Float[Tensor, "batch 2 *frame coef"]:
    """`motion` with the lip aperture changed by `by_mm`."""
    return motion + by_mm[..., None] * lip_direction
