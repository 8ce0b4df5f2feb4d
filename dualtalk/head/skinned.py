"""A head of FLAME's schema, evaluated by `smplx.FLAME`: the one place that imports smplx."""

import pickle
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int32, UInt8
from smplx import FLAME
from smplx.lbs import batch_rigid_transform, batch_rodrigues, blend_shapes

from dualtalk.core import EXPRESSION_COEFFICIENTS, IDENTITY_COEFFICIENTS, HeadMotion, Space
from dualtalk.errors import InputError
from dualtalk.head.head import Eye

FRAMES_AT_ONCE = 64
LANDMARKS = 51


@dataclass(frozen=True, eq=False)
class FlameArrays:
    """The arrays of a FLAME file, by their names there.

    Attributes
    ----------
    v_template : (vertex, 3), f : (face, 3)
    shapedirs : (vertex, 3, 400): 300 identity, 100 expression
    posedirs : (vertex, 3, 36): for each entry of (R - I) of neck, jaw, left eye, right eye
    J_regressor : (5, vertex), weights : (vertex, 5), kintree_table : (2, 5)
    """

    v_template: Float[np.ndarray, "vertex 3"]
    f: np.ndarray
    shapedirs: Float[np.ndarray, "vertex 3 400"]
    posedirs: Float[np.ndarray, "vertex 3 36"]
    J_regressor: Float[np.ndarray, "5 vertex"]
    weights: Float[np.ndarray, "vertex 5"]
    kintree_table: np.ndarray


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of a head's vertices, and what moves them.

    Attributes
    ----------
    vertices : (vertex,) their indices
    corrections : (driver, 3 vertices) displacement for each expression that does anything, and each pose feature
    followers : for each joint, which of them it moves and by how much
    """

    vertices: torch.Tensor
    corrections: torch.Tensor
    followers: list[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class SkinnedHead:
    """A `Head`; see there for its attributes."""

    name: str
    space: Space
    arrays: FlameArrays
    regions: UInt8[np.ndarray, "face"]
    blendshape_names: tuple[str, ...]
    eyes: tuple[Eye, Eye]
    upper_lip: Int32[np.ndarray, "upper"]
    lower_lip: Int32[np.ndarray, "lower"]

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

    @cached_property
    def flame(self) -> FLAME:
        """The smplx module. It reads only files, so it is given some: of arrays, made here, with no objects."""
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / "FLAME_NEUTRAL.npz", **vars(self.arrays))
            # smplx always wants landmarks; none are used here, so any place on the mesh will do.
            landmarks = {
                "lmk_face_idx": np.zeros(LANDMARKS, np.int64),
                "lmk_b_coords": np.full((LANDMARKS, 3), 1 / 3),
            }
            (Path(folder) / "flame_static_embedding.pkl").write_bytes(pickle.dumps(landmarks))
            model = FLAME(
                folder,
                ext="npz",
                num_betas=self._identities,
                num_expression_coeffs=EXPRESSION_COEFFICIENTS,
            )
        return model.requires_grad_(False).eval()

    @cached_property
    def _identities(self) -> int:
        """How many identity coefficients do anything: the rest need not be multiplied."""
        moves = np.flatnonzero(np.abs(self.arrays.shapedirs[..., :IDENTITY_COEFFICIENTS]).max(axis=(0, 1)))
        return int(moves[-1]) + 1 if len(moves) else 1

    def vertices(
        self,
        motion: HeadMotion,
        shape: Float32[np.ndarray, "300"] | None = None,
        vertex_ids: Int[np.ndarray, "vertex"] | None = None,
    ) -> Float32[np.ndarray, "frame vertex 3"]:
        """See `Head.vertices`."""
        part = self._whole if vertex_ids is None else self._part(torch.from_numpy(vertex_ids).long())
        return self._evaluated(motion, shape, part)

    def _evaluated(
        self, motion: HeadMotion, shape: Float32[np.ndarray, "300"] | None, part: "_Part"
    ) -> Float32[np.ndarray, "frame vertex 3"]:
        """Posed vertices of one part of the mesh."""
        if motion.space != self.space:
            raise InputError(
                f"motion is in space {motion.space!r}, head {self.name!r} in {self.space!r}; "
                "the numbers would mean other expressions"
            )
        identity = torch.from_numpy((motion.identity if shape is None else shape)[None, : self.flame.num_betas])
        grown = blend_shapes(identity, self.flame.shapedirs)[0] + self.flame.v_template
        joints = self.flame.J_regressor @ grown
        posed = torch.empty(motion.frames, len(part.vertices), 3)
        for first in range(0, motion.frames, FRAMES_AT_ONCE):
            some = slice(first, first + FRAMES_AT_ONCE)
            self._pose(motion[some], grown[part.vertices], joints, part, out=posed[some])
        return posed.numpy()

    @torch.inference_mode()
    def _pose(
        self, motion: HeadMotion, grown: torch.Tensor, joints: torch.Tensor, part: "_Part", out: torch.Tensor
    ) -> None:
        """The arithmetic of smplx's `lbs`, ordered for many frames of one person: the identity is grown once, and
        each joint moves only the vertices that follow it."""
        frames = motion.frames
        turned = [np.zeros((frames, 3), np.float32), motion.head_rotvec_rad, motion.jaw_rotvec_rad]
        rotvecs = np.concatenate([*turned, motion.eyes_rotvec_rad], axis=1).reshape(-1, 3)
        matrices = batch_rodrigues(torch.from_numpy(rotvecs)).view(frames, -1, 3, 3)
        expression = torch.from_numpy(motion.expression)[:, self._expressions]
        # Joints are regressed from the face with its expression, as in smplx.
        joints = joints + (expression @ self._joint_shifts).view(frames, -1, 3)
        _, transforms = batch_rigid_transform(matrices, joints, self.flame.parents)
        features = (matrices[:, 1:] - torch.eye(3)).flatten(1)
        drivers = torch.cat([expression, features], dim=1)
        rest = torch.addmm(grown.reshape(1, -1), drivers, part.corrections).view(frames, -1, 3)
        out.zero_()
        for joint, (followers, weight) in enumerate(part.followers):
            rotation, shift = transforms[:, joint, :3, :3], transforms[:, joint, :3, 3]
            moved = torch.baddbmm(shift[:, None], rest[:, followers], rotation.transpose(1, 2))
            out[:, followers] += weight * moved

    @cached_property
    def _expressions(self) -> torch.Tensor:
        """Expression coefficients that move anything."""
        return torch.nonzero(self.flame.expr_dirs.abs().amax((0, 1)))[:, 0]

    @cached_property
    def _joint_shifts(self) -> torch.Tensor:
        """(expression, 3 joints): how far each of those coefficients moves the joints."""
        shifts = torch.einsum("jv,vxe->ejx", self.flame.J_regressor, self.flame.expr_dirs[..., self._expressions])
        return shifts.flatten(1)

    @cached_property
    def _whole(self) -> "_Part":
        return self._part(torch.arange(len(self.template)))

    @cached_property
    def _lips(self) -> "_Part":
        return self._part(torch.from_numpy(np.concatenate([self.upper_lip, self.lower_lip])).long())

    def _part(self, vertices: torch.Tensor) -> "_Part":
        units = self.flame.expr_dirs[vertices][..., self._expressions].flatten(0, 1).T
        features = self.flame.posedirs.view(len(self.flame.posedirs), -1, 3)[:, vertices].flatten(1)
        followers = []
        for weight in self.flame.lbs_weights[vertices].T:
            follow = torch.nonzero(weight)[:, 0]
            followers.append((follow, weight[follow, None]))
        return _Part(vertices, torch.cat([units, features]).contiguous(), followers)

    def lip_gap(self, motion: HeadMotion) -> Float32[np.ndarray, "frame"]:
        """See `Head.lip_gap`. The head is held upright, so that up and down are the face's own."""
        upright = motion.coefficients.copy()
        upright[:, motion.layout.slice_of("head")] = 0
        height = self._evaluated(replace(motion, coefficients=upright), None, self._lips)[..., 1]
        upper, lower = np.split(height, [len(self.upper_lip)], axis=1)
        return np.maximum(upper.min(axis=1) - lower.max(axis=1), 0)
