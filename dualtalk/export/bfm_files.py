"""Motion as coefficients of the Basel face model (BFM), for portrait and neural-radiance systems built on it.

The user gives the file of the model. Its mean face is aligned to the head by the 68 landmarks, vertices are paired
with the nearest ones, and each frame's displacements, the open jaw included, are fitted by the 64 expression
coefficients: least squares with a ridge penalty, as in `dualtalk.head.retargeting`. Rotation is about the neck.

BFM's convention in all these programs: v' = R v + t with R = Rz Ry Rx in radians, t in decimetres, y up, z out of
the face, 25 frames a second. Sources: SadTalker, src/face3d/models/bfm.py and src/generate_facerender_batch.py;
DreamTalk, core/utils.py; PIRender, StyleTalk; Real3DPortrait, inference/real3d_infer.py; GeneFace,
inference/nerfs/lm3d_radnerf_infer.py.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from scipy.io import savemat
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.export.contents import Export
from dualtalk.head import Region
from dualtalk.head.landmarks import landmarks_68
from dualtalk.head.retargeting import FARTHEST_PAIR_M, LIP_WEIGHT, RIDGE
from dualtalk.head.skinned import SkinnedHead
from dualtalk.io.bfm import BaselFaceModel, read_bfm

# Landmarks for the alignment: all but the outline, which is on another place of each mesh.
INNER_LANDMARKS = slice(17, 68)
LANDMARK_WEIGHT = 20.0
MOST_PAIRS = 3000
FRAMES_AT_ONCE = 256
# GeneFace scales its landmarks by this.
GENEFACE_SCALE = 10.0
# A 256-pixel picture that fills the 224 pixels of the model's camera: width, height, scale, middle.
WHOLE_PICTURE = (256.0, 256.0, 0.875, 128.0, 128.0)
# Width of Deep3DFaceReconstruction's coefficients, and the columns of expression, angles and translation.
COEFFICIENTS, EXPRESSION, ANGLES, TRANSLATION = 257, slice(80, 144), slice(224, 227), slice(254, 257)


@dataclass(frozen=True, eq=False)
class BfmFit:
    """The least-squares fit of a head's displacements by a Basel face model.

    Attributes
    ----------
    vertices : (pair,)
        The head's paired vertices.
    matrix : (64, 3 pairs)
        From displacements in metres to expression coefficients.
    basis : (3 pairs, 64)
        Displacements in metres of each coefficient at 1, in the axes of the head.
    rotation, scale, shift : (3, 3), float, (3,)
        x_bfm = scale rotation x_head + shift.
    """

    vertices: np.ndarray
    matrix: Float[np.ndarray, "64 coordinate"]
    basis: Float[np.ndarray, "coordinate 64"]
    rotation: Float[np.ndarray, "3 3"]
    scale: float
    shift: Float[np.ndarray, "3"]

    @classmethod
    def of(cls, head: SkinnedHead, bfm: BaselFaceModel) -> "BfmFit":
        """Align a model to the mean head, and prepare the fit.

        Raises
        ------
        InputError
            The two do not look like faces of one size: fewer than 100 vertices can be paired.
        """
        own = landmarks_68(head)
        marks_m = np.einsum("lc,lcx->lx", own.weights, head.template[own.vertices])
        rotation, scale, shift = similarity(
            marks_m[INNER_LANDMARKS], bfm.mean[bfm.landmarks][INNER_LANDMARKS].astype(np.float64)
        )
        placed_m = (bfm.mean - shift) @ rotation / scale
        lips = np.unique(head.faces[head.regions == Region.LIPS])
        skin = np.unique(head.faces[np.isin(head.regions, (Region.SKIN, Region.LIPS))])
        nearest_m, counterpart = cKDTree(placed_m).query(head.template[skin])
        near = np.flatnonzero(nearest_m < FARTHEST_PAIR_M)
        if len(near) < 100:
            raise InputError(
                f"only {len(near)} vertices of the Basel face model and {head.name} can be paired; wanted 100 or "
                "more: is it BFM_model_front.mat?"
            )
        near = near[np.linspace(0, len(near) - 1, min(len(near), MOST_PAIRS)).astype(int)]
        marks = own.vertices[np.arange(len(own.vertices)), own.weights.argmax(axis=1)]
        vertices = np.concatenate([skin[near], marks[INNER_LANDMARKS]])
        pairs = np.concatenate([counterpart[near], bfm.landmarks[INNER_LANDMARKS]])
        weights = np.where(np.isin(vertices, lips), LIP_WEIGHT, 1.0)
        weights[len(near) :] = LANDMARK_WEIGHT
        basis = np.einsum("yx,pyk->pxk", rotation, bfm.expression[pairs]) / scale
        basis = basis.reshape(-1, basis.shape[-1]).astype(np.float64)
        weighted = np.repeat(weights, 3)[:, None] * basis
        gram = basis.T @ weighted
        penalty = RIDGE * np.trace(gram) / len(gram)
        matrix = np.linalg.solve(gram + penalty * np.eye(len(gram)), weighted.T)
        return cls(vertices, matrix, basis, rotation, scale, shift)


def similarity(
    source: Float[np.ndarray, "point 3"], target: Float[np.ndarray, "point 3"]
) -> tuple[Float[np.ndarray, "3 3"], float, Float[np.ndarray, "3"]]:
    """Rotation, scale and shift of x_target = scale rotation x_source + shift with the least squared error.

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns".
    """
    middles = source.mean(axis=0), target.mean(axis=0)
    centred = source - middles[0], target - middles[1]
    u, values, vt = np.linalg.svd(centred[1].T @ centred[0])
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    scale = float((values * signs).sum() / (centred[0] ** 2).sum())
    return rotation, scale, middles[1] - scale * rotation @ middles[0]


@dataclass(frozen=True, eq=False)
class BfmTrack:
    """Coefficients of one participant, float32.

    Attributes
    ----------
    expression : (frame, 64)
    angles_rad : (frame, 3)
        Of R = Rz Ry Rx, in the order x, y, z.
    translation : (frame, 3)
        Decimetres.
    residual_m, displacement_m : float
        Mean distance between displacement and fit, and mean displacement.
    """

    expression: Float32[np.ndarray, "frame 64"]
    angles_rad: Float32[np.ndarray, "frame 3"]
    translation: Float32[np.ndarray, "frame 3"]
    residual_m: float
    displacement_m: float

    @classmethod
    def of(cls, motion: HeadMotion, head: SkinnedHead, fit: BfmFit) -> "BfmTrack":
        """Fit a motion of the head."""
        still = motion.coefficients.copy()
        still[:, motion.layout.slice_of("head")] = 0
        mean = np.zeros_like(motion.identity)
        still_motion = replace(motion, coefficients=still, identity=mean)
        rest_m = head.template[fit.vertices]
        expression: list[np.ndarray] = []
        residuals_m: list[np.ndarray] = []
        displacements_m: list[np.ndarray] = []
        for first in range(0, motion.frames, FRAMES_AT_ONCE):
            chunk = still_motion[first : first + FRAMES_AT_ONCE]
            shift_m = (head.vertices(chunk, vertex_ids=fit.vertices) - rest_m).reshape(chunk.frames, -1)
            expression.append(shift_m @ fit.matrix.T)
            for found, vectors in (
                (residuals_m, shift_m - expression[-1] @ fit.basis.T),
                (displacements_m, shift_m),
            ):
                found.append(np.linalg.norm(vectors.reshape(chunk.frames, -1, 3), axis=2).mean(axis=1))
        turned = fit.rotation @ Rotation.from_rotvec(motion.head_rotvec_rad).as_matrix() @ fit.rotation.T
        neck = fit.scale * fit.rotation @ head.neck_m + fit.shift
        return cls(
            np.concatenate(expression).astype(np.float32),
            Rotation.from_matrix(turned).as_euler("xyz").astype(np.float32),
            (neck - turned @ neck).astype(np.float32),
            *(float(np.concatenate(parts).mean()) for parts in (residuals_m, displacements_m)),
        )


def write_bfm(export: Export, folder: Path) -> list[str]:
    """A folder `a` with the files of each program, and the voices; the model is `export.options.bfm`."""
    if export.options.bfm is None:
        raise InputError("this format needs the Basel face model: pass --bfm with your BFM_model_front.mat")
    bfm = read_bfm(export.options.bfm)
    export, notes = export.retargeted()
    head = export.skinned_head
    fit = BfmFit.of(head, bfm)
    for label, motion in export.motions.items():
        track = BfmTrack.of(motion, head, fit)
        (folder / label).mkdir()
        _write_programs(folder / label, track, bfm)
        notes.append(
            f"{label}: expressions and jaw were fitted to the Basel face model by least squares, with a mean "
            f"residual of {1000 * track.residual_m:.2f} mm where they displace the skin by "
            f"{1000 * track.displacement_m:.2f} mm"
        )
    export.write_voices(folder)
    return [*notes, "eye rotations are not in this format; the identity is the model's mean"]


def _write_programs(folder: Path, track: BfmTrack, bfm: BaselFaceModel) -> None:
    frames = len(track.expression)
    driven = np.concatenate([track.expression, track.angles_rad, track.translation], axis=1)
    picture = np.tile(np.array(WHOLE_PICTURE, np.float32), (frames, 1))
    # SadTalker: in the place of the file that its audio network writes.
    savemat(folder / "sadtalker.mat", {"coeff_3dmm": driven})
    # PIRender and StyleTalk.
    np.save(folder / "pirender.npy", np.concatenate([driven, picture[:, 2:]], axis=1))
    # DreamTalk: --style_clip_path and --pose_path.
    coefficients = np.zeros((frames, COEFFICIENTS), np.float32)
    coefficients[:, EXPRESSION], coefficients[:, ANGLES] = track.expression, track.angles_rad
    coefficients[:, TRANSLATION] = track.translation
    savemat(folder / "dreamtalk.mat", {"coeff": coefficients, "transform_params": picture})
    # Real3D-Portrait and GeneFace++: --drv_aud and --drv_pose.
    motion: dict[str, Any] = {
        "id": np.zeros((1, bfm.identity.shape[-1]), np.float32),
        "exp": track.expression,
        "euler": track.angles_rad,
        "trans": track.translation,
    }
    np.save(folder / "real3d.npy", np.array(motion, dtype=object), allow_pickle=True)
    # GeneFace: cond_name; offsets of the landmarks from the mean face.
    offsets = np.einsum("lxk,fk->flx", bfm.expression[bfm.landmarks], track.expression)
    np.save(folder / "geneface.npy", (GENEFACE_SCALE * offsets).reshape(1, frames, -1).astype(np.float32))
