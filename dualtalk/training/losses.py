"""Losses of motion: coefficients, their velocity, the lip vertices and the lip aperture."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.core import HeadMotion, MotionLayout
from dualtalk.data.distributed import all_reduce_sum, world_size
from dualtalk.head import LIPS_CLOSED_M, Head, Region
from dualtalk.models.blocks import Normalizer
from dualtalk.models.training_interface import Geometry

# Steps of the finite differences that measure lip motion: an ARKit unit is at most 1, a jaw opens by some 0.1 rad.
EXPRESSION_STEP, JAW_STEP_RAD = 0.5, 0.1
# Lips with at most this aperture look closed; the aperture loss is relative to the aperture plus this.
CLOSED_MM = 1000 * LIPS_CLOSED_M


def masked_mean(
    errors: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
) -> Float[Tensor, ""]:
    """Mean over the coefficients of valid frames; zero, with a gradient of zero, if there is none.

    Each process divides by the average number of valid frames of a process, so that the mean over processes, to
    which their gradients are averaged, is the mean over the valid frames of all. Computed in single precision,
    since half precision cannot count the frames.
    """
    frames = all_reduce_sum(valid.sum()).clamp(min=1) / world_size()
    return (errors.float() * valid[..., None]).sum() / (frames * errors.shape[-1])


@dataclass(frozen=True)
class LipBasis:
    """Linear model of a head's lips around the neutral face, in mm: exact for expression, close for the jaw.

    Attributes
    ----------
    vertices_mm : (coef, coordinate)
        Displacement of the lip vertices, all axes, for a unit of each coefficient.
    upper_mm, lower_mm : (coef + 1, vertex)
        Heights of the inner lips at the midline, from which `Head.lip_gap` measures the aperture: for a unit of
        each coefficient, then those of the neutral face.
    """

    vertices_mm: Float[Tensor, "coef coordinate"]
    upper_mm: Float[Tensor, "rows upper"]
    lower_mm: Float[Tensor, "rows lower"]


def lip_basis(head: Head, layout: MotionLayout) -> LipBasis:
    """The linear model of a head's lips, by finite differences."""
    steps = np.zeros(layout.width, np.float32)
    steps[layout.slice_of("expression")] = EXPRESSION_STEP
    steps[layout.slice_of("jaw")] = JAW_STEP_RAD
    motion = HeadMotion(
        np.concatenate([np.zeros((1, layout.width), np.float32), np.diag(steps)]), head.space, layout
    )

    def linear_model(vertex_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(coef, vertex, 3) millimetres a unit, and (vertex, 3) of the neutral face."""
        places_mm = 1000 * head.vertices(motion, vertex_ids=vertex_ids)
        return (places_mm[1:] - places_mm[0]) / np.where(steps, steps, 1)[:, None, None], places_mm[0]

    def heights(vertex_ids: np.ndarray) -> Tensor:
        slopes, neutral = linear_model(vertex_ids)
        return torch.from_numpy(np.concatenate([slopes[..., 1], neutral[None, :, 1]])).float()

    slopes, _ = linear_model(np.unique(head.faces[head.regions == Region.LIPS]))
    return LipBasis(
        torch.from_numpy(slopes.reshape(layout.width, -1)).float(),
        heights(head.upper_lip),
        heights(head.lower_lip),
    )


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses. The loss of the coefficients has weight 1."""

    velocity: float = 1.0
    """Squared error of the change of normalized coefficients from frame to frame."""

    lip_vertex: float = 0.1
    """Squared error of the lip vertices, mm²."""

    lip_closure: float = 1.0
    """Squared error of the lip aperture relative to it: a millimetre counts most where lips close."""

    flow: float = 1.0
    """Squared error of the velocity of a flow."""

    flow_lip_vertex: float = 1.0
    """Squared error of the lip vertices under the velocity of a flow, mm²."""


class MotionLoss(nn.Module):
    """Losses of a motion over valid frames: the `Criterion` of `ConversationModel.training_losses`.

    Parameters
    ----------
    lips : LipBasis
    layout : MotionLayout
    weights : LossWeights

    Attributes
    ----------
    normalizer : Normalizer
        Of the training motion; errors of coefficients are relative to its standard deviations.
    """

    vertices_mm: Tensor
    upper_mm: Tensor
    lower_mm: Tensor

    def __init__(self, lips: LipBasis, layout: MotionLayout, weights: LossWeights | None = None) -> None:
        super().__init__()
        self.register_buffer("vertices_mm", lips.vertices_mm, persistent=False)
        self.register_buffer("upper_mm", lips.upper_mm, persistent=False)
        self.register_buffer("lower_mm", lips.lower_mm, persistent=False)
        self.normalizer = Normalizer(layout.width)
        self.layout, self.weights = layout, weights or LossWeights()

    @property
    def flow_weight(self) -> float:
        return self.weights.flow

    @property
    def flow_lip_vertex_weight(self) -> float:
        return self.weights.flow_lip_vertex

    @property
    def std(self) -> Float[Tensor, "coef"]:
        return self.normalizer.std

    @property
    def active(self) -> Bool[Tensor, "coef"]:
        return self.normalizer.active

    @property
    def coefficient_weights(self) -> Float[Tensor, "coef"]:
        """Weights with a mean of 1 that give each part of the layout the same total weight, for any width.

        Head rotation has 3 of 62 coefficients, and all nods are in them.
        """
        weights = torch.zeros_like(self.std)
        for part in self.layout.widths:
            active = self.active[self.layout.slice_of(part)]
            weights[self.layout.slice_of(part)] = active / active.sum().clamp(min=1)
        return weights * self.layout.width / len(self.layout.widths)

    def motion_losses(
        self,
        prediction: Float[Tensor, "batch 2 frame coef"],
        target: Float[Tensor, "batch 2 frame coef"],
        valid: Bool[Tensor, "batch 2 frame"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Weighted losses of a prediction by name: `mse`, `velocity`, `lip_vertex`, `lip_closure`."""
        error = (prediction - target) / self.std
        both = valid[:, :, 1:] & valid[:, :, :-1]
        losses = {"mse": masked_mean(error.square(), valid)}
        if self.weights.velocity and prediction.shape[2] > 1:
            losses["velocity"] = self.weights.velocity * masked_mean(error.diff(dim=2).square(), both)
        with torch.autocast(prediction.device.type, enabled=False):
            if self.weights.lip_vertex:
                lips = self.lip_vertex_error(prediction - target, valid)
                losses["lip_vertex"] = self.weights.lip_vertex * lips
            if self.weights.lip_closure:
                aperture_mm, target_mm = (self.lip_aperture_mm(motion.float()) for motion in (prediction, target))
                relative = (aperture_mm - target_mm) / (target_mm + CLOSED_MM)
                closure = masked_mean(relative.square()[..., None], valid)
                losses["lip_closure"] = self.weights.lip_closure * closure
        return losses

    def masked_mean(
        self, errors: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
    ) -> Float[Tensor, ""]:
        return masked_mean(errors, valid)

    def sum_over_processes(self, number: Tensor) -> Tensor:
        return all_reduce_sum(number)

    def lip_vertex_error(
        self, error: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
    ) -> Float[Tensor, ""]:
        """Mean squared displacement of the lip vertices, all axes, under an error of the coefficients, mm²."""
        with torch.autocast(error.device.type, enabled=False):
            return masked_mean((error.float() @ self.vertices_mm).square(), valid)

    def lip_aperture_mm(self, motion: Float[Tensor, "batch 2 frame coef"]) -> Float[Tensor, "batch 2 frame"]:
        """Lip aperture by the linear model, zero for lips that would pass through each other."""
        upper, lower = (motion @ heights[:-1] + heights[-1] for heights in (self.upper_mm, self.lower_mm))
        return (upper.amin(dim=-1) - lower.amax(dim=-1)).clamp(min=0)

    def geometry(self) -> Geometry:
        """What a model may use of the head: the lip aperture averaged over vertices, and the head rotation."""
        head = torch.zeros_like(self.std)
        head[self.layout.slice_of("head")] = 1
        return Geometry(
            lip_aperture_basis_mm=self.upper_mm[:-1].mean(dim=1) - self.lower_mm[:-1].mean(dim=1),
            lip_closed_offset_mm=CLOSED_MM - float(self.upper_mm[-1].amin() - self.lower_mm[-1].amax()),
            head_rotation_mask=head,
        )
