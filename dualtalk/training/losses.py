"""What training holds a model's motion to: coefficients, their changes, and the lips they make."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.conversation import HeadMotion, MotionLayout
from dualtalk.data.processes import process_count
from dualtalk.head import Head, Region
from dualtalk.training.processes import summed

# Lips are measured in millimetres, by how far this much of a coefficient moves them: an ARKit unit is at most 1, a
# jaw opens by some tenths of a radian.
EXPRESSION_STEP, JAW_STEP_RAD = 0.5, 0.1


def masked_mean(
    errors: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
) -> Float[Tensor, ""]:
    """Mean over the coefficients of valid frames; zero, with a gradient of zero, where there is none.

    Processes that train together divide by the valid frames of a process on average, so that the mean over
    processes, which their gradients are, is the mean over the valid frames of all. In single precision at least:
    half cannot count them.
    """
    frames = summed(valid.sum()).clamp(min=1) / process_count()
    return (errors.float() * valid[..., None]).sum() / (frames * errors.shape[-1])


def lip_basis_mm(head: Head, layout: MotionLayout) -> Float[Tensor, "coef place"]:
    """How far each coefficient moves the lips' vertices, in millimetres for each unit: a straight line through the
    neutral face, exact for expression and close for the jaw."""
    steps = np.zeros(layout.width, np.float32)
    steps[layout.slice_of("expression")] = EXPRESSION_STEP
    steps[layout.slice_of("jaw")] = JAW_STEP_RAD
    motion = np.concatenate([np.zeros((1, layout.width), np.float32), np.diag(steps)])
    lips = np.unique(head.faces[head.regions == Region.LIPS])
    places = head.vertices(HeadMotion(motion, head.space, layout), only=lips)
    moved_mm = 1000 * (places[1:] - places[0]).reshape(layout.width, -1)
    return torch.from_numpy(moved_mm / np.where(steps, steps, 1)[:, None]).float()


class MotionLoss(nn.Module):
    """Squared errors of motion, each over valid frames only.

    Parameters
    ----------
    lips_mm : (coef, place)
        `lip_basis_mm` of the head.
    velocity, lips : float
        Weight of the error of changes from frame to frame (scaled coefficients), and of lip vertices (mm).
    """

    def __init__(self, lips_mm: Float[Tensor, "coef place"], velocity: float = 1.0, lips: float = 0.1) -> None:
        super().__init__()
        self.register_buffer("lips_mm", lips_mm, persistent=False)
        self.velocity, self.lips = velocity, lips

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
        if self.lips:
            with torch.autocast(moved.device.type, enabled=False):
                moved_mm = (moved - wanted).float() @ self.lips_mm
            terms["lips"] = self.lips * masked_mean(moved_mm.square(), valid)
        return terms
