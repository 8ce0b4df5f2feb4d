"""What training holds a model's motion to: coefficients, their changes, and the lips they make."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.core import HeadMotion, MotionLayout
from dualtalk.data.distributed import all_reduce_sum, world_size
from dualtalk.head import Head, Region

# Lips are measured in millimetres, by how far this much of a coefficient moves them: an ARKit unit is at most 1, a
# jaw opens by some tenths of a radian.
EXPRESSION_STEP, JAW_STEP_RAD = 0.5, 0.1
# Lips this far apart count as closed to the eye; a gap is wrong by shares of itself and this.
CLOSED_MM = 2.0


def masked_mean(
    errors: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
) -> Float[Tensor, ""]:
    """Mean over the coefficients of valid frames; zero, with a gradient of zero, where there is none.

    Processes that train together divide by the valid frames of a process on average, so that the mean over
    processes, which their gradients are, is the mean over the valid frames of all. In single precision at least:
    half cannot count them.
    """
    frames = all_reduce_sum(valid.sum()).clamp(min=1) / world_size()
    return (errors.float() * valid[..., None]).sum() / (frames * errors.shape[-1])


@dataclass(frozen=True)
class LipBasis:
    """Where a head's lips are, as straight lines of the coefficients through the neutral face, in millimetres:
    exact for expression and close for the jaw.

    Attributes
    ----------
    places : (coef, place)
        How far each coefficient moves the lips' vertices, all axes.
    upper, lower : (coef + 1, vertex)
        Heights of the inner lips at the midline, which `Head.lip_gap` measures; last, those of the neutral face.
    """

    places: Float[Tensor, "coef place"]
    upper: Float[Tensor, "rows upper"]
    lower: Float[Tensor, "rows lower"]


def lip_basis_mm(head: Head, layout: MotionLayout) -> LipBasis:
    """The straight lines of a head's lips."""
    steps = np.zeros(layout.width, np.float32)
    steps[layout.slice_of("expression")] = EXPRESSION_STEP
    steps[layout.slice_of("jaw")] = JAW_STEP_RAD
    motion = HeadMotion(
        np.concatenate([np.zeros((1, layout.width), np.float32), np.diag(steps)]), head.space, layout
    )

    def lines(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(coef, vertex, 3) millimetres for each unit, and (vertex, 3) at rest."""
        places_mm = 1000 * head.vertices(motion, vertex_ids=vertices)
        return (places_mm[1:] - places_mm[0]) / np.where(steps, steps, 1)[:, None, None], places_mm[0]

    def heights(vertices: np.ndarray) -> Tensor:
        moved, rest = lines(vertices)
        return torch.from_numpy(np.concatenate([moved[..., 1], rest[None, :, 1]])).float()

    places, _ = lines(np.unique(head.faces[head.regions == Region.LIPS]))
    return LipBasis(
        torch.from_numpy(places.reshape(layout.width, -1)).float(),
        heights(head.upper_lip),
        heights(head.lower_lip),
    )


class MotionLoss(nn.Module):
    """Squared errors of motion, each over valid frames only.

    Parameters
    ----------
    lips : LipBasis
        Of the head.
    velocity, lips_weight, closing : float
        Weight of the error of changes from frame to frame (scaled coefficients), of lip vertices (mm), and of the
        gap between the lips, as a share of it: a millimetre is much where lips close, and little where they are
        wide open.
    """

    def __init__(
        self, lips: LipBasis, velocity: float = 1.0, lips_weight: float = 0.1, closing: float = 1.0
    ) -> None:
        super().__init__()
        self.register_buffer("places", lips.places, persistent=False)
        self.register_buffer("upper", lips.upper, persistent=False)
        self.register_buffer("lower", lips.lower, persistent=False)
        self.velocity, self.lips_weight, self.closing = velocity, lips_weight, closing

    def forward(
        self,
        moved: Float[Tensor, "batch 2 frame coef"],
        wanted: Float[Tensor, "batch 2 frame coef"],
        valid: Bool[Tensor, "batch 2 frame"],
        deviation: Float[Tensor, "coef"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Terms by name, weighted; `deviation` puts coefficients on one scale."""
        error = (moved - wanted) / deviation
        both = valid[:, :, 1:] & valid[:, :, :-1]
        terms = {"coefficients": masked_mean(error.square(), valid)}
        if self.velocity and moved.shape[2] > 1:
            terms["velocity"] = self.velocity * masked_mean(error.diff(dim=2).square(), both)
        with torch.autocast(moved.device.type, enabled=False):
            if self.lips_weight:
                terms["lips"] = self.lips_weight * self.on_lips(moved - wanted, valid)
            if self.closing:
                gap_mm, wanted_mm = (self._lip_gap_mm(motion.float()) for motion in (moved, wanted))
                share = (gap_mm - wanted_mm) / (wanted_mm + CLOSED_MM)
                terms["closing"] = self.closing * masked_mean(share.square()[..., None], valid)
        return terms

    def on_lips(
        self, error: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
    ) -> Float[Tensor, ""]:
        """What an error of coefficients comes to on the lips: mean square of all axes of all vertices, mm²."""
        with torch.autocast(error.device.type, enabled=False):
            return masked_mean((error.float() @ self.places).square(), valid)

    def opening_mm(self) -> Float[Tensor, "coef"]:
        """How far apart each coefficient takes the inner lips at the midline, a unit, on average over vertices."""
        return self.upper[:-1].mean(dim=1) - self.lower[:-1].mean(dim=1)

    def closed_mm(self) -> float:
        """What `opening_mm` comes to where lips look closed, but for how it differs from vertex to vertex."""
        return CLOSED_MM - float(self.upper[-1].amin() - self.lower[-1].amax())

    def _lip_gap_mm(self, motion: Float[Tensor, "batch 2 frame coef"]) -> Float[Tensor, "batch 2 frame"]:
        upper, lower = (motion @ lines[:-1] + lines[-1] for lines in (self.upper, self.lower))
        return (upper.amin(dim=-1) - lower.amax(dim=-1)).clamp(min=0)
