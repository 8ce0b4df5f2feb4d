"""What training and a model exchange: the inputs of a step, the losses, and the geometry of the head.

All of it is tensors. Training computes these types from heads, layouts and data sets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Geometry:
    """What a model may use of the head that its motion drives.

    Attributes
    ----------
    lip_aperture_basis_mm : (coef,)
        Change of the lip aperture for a unit of each coefficient, in millimetres.
    lip_closed_offset_mm : float
        Value of `motion @ lip_aperture_basis_mm` at and below which the lips look closed.
    head_rotation_mask : (coef,)
        1 for coefficients of the head rotation, else 0.
    """

    lip_aperture_basis_mm: Float[Tensor, "coef"]
    lip_closed_offset_mm: float
    head_rotation_mask: Float[Tensor, "coef"]


@dataclass(frozen=True)
class TrainingBatch:
    """Inputs and targets of one training step.

    Attributes
    ----------
    audio : (batch, 2, sample)
    motion : (batch, 2, frame, coef)
        Ground truth.
    valid : (batch, 2, frame)
        Frames that were observed.
    history : (batch, 2, frame, coef)
        Motion that teacher forcing feeds to the model: ground truth, perturbed by noise.
    free_running : (batch,)
        Conversations whose history is the model's own prediction (scheduled sampling; Bengio et al. 2015).
    neutral_pose : (coef,)
        Constant motion from which that prediction is made.
    generator : torch.Generator
        Source of the model's random numbers, on the device of the batch.
    lookahead_frames : int or None
        Look-ahead of this step; None for the model's own.
    """

    audio: Float[Tensor, "batch 2 sample"]
    motion: Float[Tensor, "batch 2 frame coef"]
    valid: Bool[Tensor, "batch 2 frame"]
    history: Float[Tensor, "batch 2 frame coef"]
    free_running: Bool[Tensor, "batch"]
    neutral_pose: Float[Tensor, "coef"]
    generator: torch.Generator
    lookahead_frames: int | None = None

    def scheduled_history(
        self, predict: Callable[[Float[Tensor, "batch 2 frame coef"]], Float[Tensor, "batch 2 frame coef"]]
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """`history`, with that of free-running conversations replaced by `predict(neutral motion)`."""
        if not self.free_running.any():
            return self.history
        with torch.no_grad():
            predicted = predict(self.neutral_pose.expand_as(self.history))
        return torch.where(self.free_running[:, None, None, None], predicted, self.history)


@runtime_checkable
class Criterion(Protocol):
    """Losses that training hands to `ConversationModel.training_losses`; see `dualtalk.training.losses`."""

    @property
    def flow_weight(self) -> float:
        """Weight of the loss of a flow's velocity; 0 leaves the flow untrained."""
        ...

    @property
    def flow_lip_vertex_weight(self) -> float:
        """Weight of the displacement of the lip vertices under that loss."""
        ...

    @property
    def std(self) -> Float[Tensor, "coef"]:
        """Standard deviation of each coefficient of the training motion."""
        ...

    @property
    def active(self) -> Bool[Tensor, "coef"]:
        """Coefficients that vary in the training motion."""
        ...

    @property
    def coefficient_weights(self) -> Float[Tensor, "coef"]:
        """Weights with a mean of 1 by which each part of the face counts the same."""
        ...

    def motion_losses(
        self,
        prediction: Float[Tensor, "batch 2 frame coef"],
        target: Float[Tensor, "batch 2 frame coef"],
        valid: Bool[Tensor, "batch 2 frame"],
    ) -> dict[str, Float[Tensor, ""]]:
        """Weighted losses of a prediction, by name."""
        ...

    def masked_mean(
        self, errors: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
    ) -> Float[Tensor, ""]:
        """Mean over the coefficients of valid frames, of all processes."""
        ...

    def lip_vertex_error(
        self, error: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]
    ) -> Float[Tensor, ""]:
        """Mean squared displacement of the lip vertices under an error of the coefficients, mm²."""
        ...

    def sum_over_processes(self, number: Tensor) -> Tensor:
        """Sum of a tensor without gradient over all training processes."""
        ...
