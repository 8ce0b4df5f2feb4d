"""Losses of motion: masked, zero for a perfect prediction, and in agreement with the head's own lips."""

import numpy as np
import pytest
import torch

from dualtalk.core import DUALTALK56, FULL62, HeadMotion
from dualtalk.head import Region, load_head
from dualtalk.training.losses import CLOSED_MM, LossWeights, MotionLoss, lip_basis, masked_mean


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def loss(head) -> MotionLoss:
    return MotionLoss(lip_basis(head, FULL62), FULL62)


def jaw_open(*angles_rad: float) -> torch.Tensor:
    """Motion of two people, (1, 2, frame, 62), with the jaw open by these angles."""
    motion = torch.zeros(1, 2, len(angles_rad), 62)
    motion[..., FULL62.slice_of("jaw").start] = torch.tensor(angles_rad)
    return motion


def all_valid(motion: torch.Tensor) -> torch.Tensor:
    return torch.ones(motion.shape[:3], dtype=torch.bool)


def test_invalid_frames_have_no_gradient():
    errors = torch.rand(2, 2, 5, 3, requires_grad=True)
    valid = torch.rand(2, 2, 5) < 0.5
    masked_mean(errors, valid).backward()
    assert not errors.grad[~valid].any()
    assert torch.allclose(errors.grad[valid].sum(), torch.tensor(1.0))
    assert masked_mean(errors, torch.zeros_like(valid)) == 0


@pytest.mark.parametrize("layout", [FULL62, DUALTALK56])
def test_the_linear_lip_model_agrees_with_the_head(head, layout):
    basis_mm = lip_basis(head, layout).vertices_mm
    motion = torch.zeros(3, layout.width)
    motion[0, layout.slice_of("jaw").start] = 0.05
    motion[1, :10] = 0.3
    motion[2, layout.slice_of("head").start] = 0.2
    rest, *posed = head.vertices(
        HeadMotion(torch.cat([torch.zeros(1, layout.width), motion]).numpy(), "open", layout)
    )
    lips = np.unique(head.faces[head.regions == Region.LIPS])
    for row, vertices in enumerate(posed[:2]):
        displacement_mm = torch.from_numpy(1000 * (vertices - rest)[lips].reshape(-1))
        assert (motion[row] @ basis_mm - displacement_mm).abs().max() < 0.25
    assert not basis_mm[layout.slice_of("head")].any()


def test_a_perfect_prediction_has_no_loss(loss):
    torch.manual_seed(0)
    motion = torch.randn(2, 2, 8, 62)
    valid = all_valid(motion)
    assert sum(loss.motion_losses(motion, motion, valid).values()) == 0
    noise = torch.randn_like(motion)
    near, far = (sum(loss.motion_losses(motion + k * noise, motion, valid).values()) for k in (0.1, 0.3))
    assert 0 < near < far


def test_lip_aperture_agrees_with_the_head(head, loss):
    motion = jaw_open(0.0, 0.1, 0.15)
    aperture_mm = 1000 * head.lip_gap(HeadMotion(motion[0, 0].numpy(), "open", FULL62))
    assert np.allclose(loss.lip_aperture_mm(motion)[0, 0], aperture_mm, atol=0.3)


def test_the_same_aperture_error_costs_most_where_lips_are_closed(head):
    loss = MotionLoss(lip_basis(head, FULL62), FULL62, LossWeights(velocity=0.0, lip_vertex=0.0))

    def cost(angle_rad: float) -> float:
        target, wider = jaw_open(angle_rad), jaw_open(angle_rad + 0.03)
        return float(loss.motion_losses(wider, target, all_valid(target))["lip_closure"])

    assert cost(0.0) > 4 * cost(0.1) > 4 * cost(0.15) > 0


def test_a_jaw_error_costs_more_than_an_eyelid_error(loss):
    def cost(coefficient: int) -> float:
        motion = torch.zeros(1, 2, 4, 62)
        motion[..., coefficient] = 0.1
        return float(loss.motion_losses(motion, torch.zeros_like(motion), all_valid(motion))["lip_vertex"])

    assert cost(FULL62.slice_of("jaw").start) > 10 * cost(0)


def test_parts_of_the_face_have_equal_weights(head):
    loss = MotionLoss(lip_basis(head, FULL62), FULL62)
    weights = loss.coefficient_weights
    assert weights.mean() == pytest.approx(1.0)
    sums = [float(weights[FULL62.slice_of(part)].sum()) for part in FULL62.widths]
    assert sums == pytest.approx([sums[0]] * len(sums))


def test_the_geometry_measures_the_aperture_in_millimetres(head, loss):
    geometry = loss.geometry()
    motion = jaw_open(*np.linspace(0, 0.1, 40).tolist())[0, 0]
    aperture_mm = torch.from_numpy(1000 * head.lip_gap(HeadMotion(motion.numpy(), "open", FULL62)))
    linear_mm = motion @ geometry.lip_aperture_basis_mm
    assert float(linear_mm[-1]) == pytest.approx(float(aperture_mm[-1] - aperture_mm[0]), rel=0.2)
    closed = linear_mm <= geometry.lip_closed_offset_mm
    assert 0 < closed.sum() < 40
    assert float(aperture_mm[closed].max()) == pytest.approx(CLOSED_MM, abs=0.3)
    rotation = geometry.head_rotation_mask.nonzero().flatten().tolist()
    assert rotation == list(range(62))[FULL62.slice_of("head")]
