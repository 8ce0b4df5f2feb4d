"""Linear blend skinning of a head: blendshapes, rotation matrices and joint transforms.

The arithmetic is that of FLAME (Li et al. 2017, "Learning a model of facial shape and expression from 4D scans",
section 3; the skinning is SMPL's, Loper et al. 2015, equations 1 to 4). `LbsFunctions` names the three steps, so
that a head can use those of this module or those of smplx (`dualtalk.head.smplx_lbs`); tests compare the two.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Keeps the axis of a zero rotation finite; smplx adds the same.
EPSILON = 1e-8


class LbsFunctions(NamedTuple):
    """The three steps of linear blend skinning; see `blend_shapes`, `rotation_matrices`, `joint_transforms`."""

    blend_shapes: Callable[[Tensor, Tensor], Tensor]
    rotation_matrices: Callable[[Tensor], Tensor]
    joint_transforms: Callable[[Tensor, Tensor, Tensor], Tensor]


def blend_shapes(
    coefficients: Float[Tensor, "batch coef"], directions: Float[Tensor, "vertex 3 coef"]
) -> Float[Tensor, "batch vertex 3"]:
    """Displacement of each vertex: the sum of all directions, weighted by the coefficients."""
    return torch.einsum("bc,vxc->bvx", coefficients, directions)


def rotation_matrices(rotvecs_rad: Float[Tensor, "rotation 3"]) -> Float[Tensor, "rotation 3 3"]:
    """Rotation matrices of axis-angle vectors, by Rodrigues' formula: I + sin(a) K + (1 - cos(a)) K K."""
    angle = torch.linalg.vector_norm(rotvecs_rad + EPSILON, dim=1, keepdim=True)
    x, y, z = (rotvecs_rad / angle).unbind(dim=1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    sine, cosine = angle[..., None].sin(), angle[..., None].cos()
    return torch.eye(3) + sine * cross + (1 - cosine) * torch.bmm(cross, cross)


def joint_transforms(
    matrices: Float[Tensor, "batch joint 3 3"],
    joints_m: Float[Tensor, "batch joint 3"],
    parents: Int[Tensor, "joint"],
) -> Float[Tensor, "batch joint 4 4"]:
    """Transform of each joint from the rest pose: rotations about `joints_m`, composed along the joint tree.

    `parents[joint]` is the joint's parent, which has a smaller index; the root comes first.
    """
    from_parent = joints_m.clone()
    from_parent[:, 1:] -= joints_m[:, parents[1:]]
    local = torch.zeros(*matrices.shape[:2], 4, 4)
    local[..., :3, :3], local[..., :3, 3], local[..., 3, 3] = matrices, from_parent, 1
    posed = [local[:, 0]]
    for joint in range(1, len(parents)):
        posed.append(posed[int(parents[joint])] @ local[:, joint])
    transforms = torch.stack(posed, dim=1)
    # Vertices are given relative to the head's origin, not to their joint.
    rest = torch.cat([joints_m, torch.zeros_like(joints_m[..., :1])], dim=-1)[..., None]
    shift = torch.zeros_like(transforms)
    shift[..., 3:] = transforms @ rest
    return transforms - shift


OWN_LBS = LbsFunctions(blend_shapes, rotation_matrices, joint_transforms)
