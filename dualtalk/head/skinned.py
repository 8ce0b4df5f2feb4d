"""A head of FLAME's schema, posed by linear blend skinning.

The result equals that of smplx's FLAME layer; tests compare the two. The order of operations differs, for speed on
many frames of one person: the identity is applied once, coefficients without effect are left out, and each joint
transforms only the vertices on which it has a weight.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int32, UInt8
from torch import Tensor

from dualtalk.core import EXPRESSION_COEFFICIENTS, IDENTITY_COEFFICIENTS, HeadMotion, Space
from dualtalk.errors import InputError
from dualtalk.head.head import Eye
from dualtalk.head.lbs import OWN_LBS, LbsFunctions

FRAMES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class FlameArrays:
    """The arrays of a FLAME file, by their names in the file.

    Attributes
    ----------
    v_template : (vertex, 3), metres
    f : (face, 3)
    shapedirs : (vertex, 3, 400)
        300 identity directions, then 100 expression directions.
    posedirs : (vertex, 3, 36)
        Correctives for each entry of (R - I) of neck, jaw, left eye, right eye.
    J_regressor : (5, vertex)
    weights : (vertex, 5)
    kintree_table : (2, 5)
        Parent of each joint (-1 for the root), and the joint's index.
    """

    v_template: Float[np.ndarray, "vertex 3"]
    f: np.ndarray
    shapedirs: Float[np.ndarray, "vertex 3 400"]
    posedirs: Float[np.ndarray, "vertex 3 36"]
    J_regressor: Float[np.ndarray, "5 vertex"]
    weights: Float[np.ndarray, "vertex 5"]
    kintree_table: np.ndarray


@dataclass(frozen=True, eq=False)
class _Tensors:
    """The arrays that skinning needs, as tensors.

    Attributes
    ----------
    template : (vertex, 3)
    identity : (vertex, 3, coef)
        Without trailing directions that are zero.
    expression_ids : (coef,)
        Indices of the expression coefficients that move anything.
    expression : (vertex, 3, coef)
        Directions of those coefficients.
    joint_regressor : (5, vertex)
    joint_shifts : (coef, 15)
        Displacement of the joints for one unit of each of those coefficients.
    parents : (5,)
    """

    template: Float[Tensor, "vertex 3"]
    identity: Float[Tensor, "vertex 3 identity"]
    expression_ids: Int[Tensor, "coef"]
    expression: Float[Tensor, "vertex 3 coef"]
    joint_regressor: Float[Tensor, "5 vertex"]
    joint_shifts: Float[Tensor, "coef 15"]
    parents: Int[Tensor, "5"]


@dataclass(frozen=True, eq=False)
class _Part:
    """A subset of a head's vertices, with their correctives and skinning weights.

    Attributes
    ----------
    vertices : (vertex,)
        Their indices in the mesh.
    correctives : (driver, 3 vertices)
        Displacement for each expression coefficient that moves anything, then for each entry of (R - I).
    skinned : for each joint, (index among `vertices`, weight) of the vertices that it has a weight on
    """

    vertices: Tensor
    correctives: Tensor
    skinned: list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class SkinnedHead:
    """A `Head`; see there for its attributes. `lbs` holds the functions that pose it."""

    name: str
    space: Space
    arrays: FlameArrays
    regions: UInt8[np.ndarray, "face"]
    blendshape_names: tuple[str, ...]
    eyes: tuple[Eye, Eye]
    upper_lip: Int32[np.ndarray, "upper"]
    lower_lip: Int32[np.ndarray, "lower"]
    lbs: LbsFunctions = OWN_LBS

    @cached_property
    def template(self) -> Float32[np.ndarray, "vertex 3"]:
        return self.arrays.v_template.astype(np.float32)

    @cached_property
    def faces(self) -> Int32[np.ndarray, "face 3"]:
        return self.arrays.f.astype(np.int32)

    @cached_property
    def joints_m(self) -> Float32[np.ndarray, "5 3"]:
        """Root, neck, jaw, left eye, right eye of the mean head."""
        return (self.arrays.J_regressor @ self.arrays.v_template).astype(np.float32)

    @property
    def neck_m(self) -> Float32[np.ndarray, "3"]:
        return self.joints_m[1]

    @property
    def jaw_m(self) -> Float32[np.ndarray, "3"]:
        return self.joints_m[2]

    def vertices(
        self,
        motion: HeadMotion,
        shape: Float32[np.ndarray, "300"] | None = None,
        vertex_ids: Int[np.ndarray, "vertex"] | None = None,
    ) -> Float32[np.ndarray, "frame vertex 3"]:
        """See `Head.vertices`."""
        part = self._all_vertices if vertex_ids is None else self._part(torch.from_numpy(vertex_ids).long())
        return self._posed(motion, shape, part)

    def lip_gap(self, motion: HeadMotion) -> Float32[np.ndarray, "frame"]:
        """See `Head.lip_gap`. The head is kept upright, so that the gap is measured along the face's vertical."""
        upright = motion.coefficients.copy()
        upright[:, motion.layout.slice_of("head")] = 0
        height = self._posed(replace(motion, coefficients=upright), None, self._lips)[..., 1]
        upper, lower = np.split(height, [len(self.upper_lip)], axis=1)
        return np.maximum(upper.min(axis=1) - lower.max(axis=1), 0)

    def _posed(
        self, motion: HeadMotion, shape: Float32[np.ndarray, "300"] | None, part: _Part
    ) -> Float32[np.ndarray, "frame vertex 3"]:
        """Posed vertices of one part of the mesh."""
        if motion.space != self.space:
            raise InputError(
                f"motion is in space {motion.space!r}, head {self.name!r} in {self.space!r}; "
                "the coefficients would mean other expressions"
            )
        identity = torch.from_numpy(motion.identity if shape is None else shape)
        used = identity[None, : self._tensors.identity.shape[-1]]
        own_shape = self.lbs.blend_shapes(used, self._tensors.identity)[0] + self._tensors.template
        joints = self._tensors.joint_regressor @ own_shape
        posed = torch.empty(motion.frames, len(part.vertices), 3)
        for first in range(0, motion.frames, FRAMES_AT_ONCE):
            frames = slice(first, first + FRAMES_AT_ONCE)
            self._pose(motion[frames], own_shape[part.vertices], joints, part, out=posed[frames])
        return posed.numpy()

    @torch.inference_mode()
    def _pose(self, motion: HeadMotion, own_shape: Tensor, joints: Tensor, part: _Part, out: Tensor) -> None:
        """Pose a few frames of one person into `out`."""
        frames = motion.frames
        root = np.zeros((frames, 3), np.float32)
        by_joint = [root, motion.head_rotvec_rad, motion.jaw_rotvec_rad, motion.eyes_rotvec_rad]
        rotvecs = torch.from_numpy(np.concatenate(by_joint, axis=1).reshape(-1, 3))
        matrices = self.lbs.rotation_matrices(rotvecs).view(frames, -1, 3, 3)
        expression = torch.from_numpy(motion.expression)[:, self._tensors.expression_ids]
        # Joints are regressed from the face with its expression, as in smplx.
        joints = joints + (expression @ self._tensors.joint_shifts).view(frames, -1, 3)
        transforms = self.lbs.joint_transforms(matrices, joints, self._tensors.parents)
        features = (matrices[:, 1:] - torch.eye(3)).flatten(1)
        drivers = torch.cat([expression, features], dim=1)
        rest = torch.addmm(own_shape.reshape(1, -1), drivers, part.correctives).view(frames, -1, 3)
        out.zero_()
        for joint, (index, weight) in enumerate(part.skinned):
            rotation, shift = transforms[:, joint, :3, :3], transforms[:, joint, :3, 3]
            out[:, index] += weight * torch.baddbmm(shift[:, None], rest[:, index], rotation.transpose(1, 2))

    @cached_property
    def _tensors(self) -> _Tensors:
        arrays = self.arrays
        directions = np.abs(arrays.shapedirs[..., :IDENTITY_COEFFICIENTS]).max(axis=(0, 1))
        identities = int(np.flatnonzero(directions).max(initial=0)) + 1
        last = IDENTITY_COEFFICIENTS + EXPRESSION_COEFFICIENTS
        expression = _tensor(arrays.shapedirs[..., IDENTITY_COEFFICIENTS:last])
        expression_ids = torch.nonzero(expression.abs().amax((0, 1)))[:, 0]
        expression = expression[..., expression_ids]
        regressor = _tensor(arrays.J_regressor)
        return _Tensors(
            template=_tensor(arrays.v_template),
            identity=_tensor(arrays.shapedirs[..., :identities]),
            expression_ids=expression_ids,
            expression=expression,
            joint_regressor=regressor,
            joint_shifts=torch.einsum("jv,vxe->ejx", regressor, expression).flatten(1),
            parents=torch.from_numpy(arrays.kintree_table[0].astype(np.int64)),
        )

    @cached_property
    def _all_vertices(self) -> _Part:
        return self._part(torch.arange(len(self.template)))

    @cached_property
    def _lips(self) -> _Part:
        return self._part(torch.from_numpy(np.concatenate([self.upper_lip, self.lower_lip])).long())

    def _part(self, vertices: Tensor) -> _Part:
        expression = self._tensors.expression[vertices].flatten(0, 1).T
        features = _tensor(self.arrays.posedirs[vertices.numpy()]).flatten(0, 1).T
        skinned = []
        for weight in _tensor(self.arrays.weights[vertices.numpy()]).T:
            index = torch.nonzero(weight)[:, 0]
            skinned.append((index, weight[index, None]))
        return _Part(vertices, torch.cat([expression, features]).contiguous(), skinned)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
