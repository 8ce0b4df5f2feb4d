"""Pose corrections: displacements before skinning that make rotated joints reproduce the sculpted shapes.

FLAME adds `pose_basis` times the entries of (R - I) of each joint to the rest shape. This module fits the basis.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from dualtalk.head.blendshapes import JOINT_ROTATIONS

SHARES = np.array([0.25, 0.5, 0.75, 1.0])
# The correction is a function of sine and cosine while units are linear, so only one strength can be exact: the
# full one.
SHARE_WEIGHTS = np.array([1.0, 1.0, 1.0, 1e3])


def rotation_of(unit: str) -> tuple[int, np.ndarray]:
    """Joint (FLAME's order) and axis-angle of a joint-driven unit at full strength."""
    part, column, angle_rad = JOINT_ROTATIONS[unit]
    rotvec = np.zeros(3)
    rotvec[column % 3] = angle_rad
    return 2 if part == "jaw" else 3 + column // 3, rotvec


def pose_basis(
    template: np.ndarray, joints: np.ndarray, weights: np.ndarray, units: dict, eyeballs: np.ndarray
) -> np.ndarray:
    """(36, 3 vertices) basis of neck, jaw, left and right eye. The neck and the eyeballs need no correction."""
    basis = [np.zeros((9, template.size))]
    for joint in (2, 3, 4):
        features, targets = [], []
        for unit in JOINT_ROTATIONS:
            owner, rotvec = rotation_of(unit)
            if owner != joint:
                continue
            for share in SHARES:
                matrix = Rotation.from_rotvec(share * rotvec).as_matrix()
                features.append((matrix - np.eye(3)).ravel())
                posed = template + share * units[unit]
                correction = unskinned(template, posed, joints[joint], weights[:, joint], matrix) - template
                correction[eyeballs] = 0
                targets.append(correction)
        basis.append(least_norm(np.array(features), np.array(targets).reshape(len(targets), -1)))
    return np.concatenate(basis)


def unskinned(template, posed, joint, weight, matrix) -> np.ndarray:
    """Rest positions that skinning with one rotated joint maps to `posed`."""
    blend = (1 - weight)[:, None, None] * np.eye(3) + weight[:, None, None] * matrix
    shift = weight[:, None] * (joint - matrix @ joint)
    return np.linalg.solve(blend, (posed - shift)[..., None])[..., 0]


def least_norm(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Least-squares basis of minimum norm; rows run over units, and within a unit over `SHARES`."""
    weight = np.tile(SHARE_WEIGHTS, len(features) // len(SHARES))[:, None]
    return np.linalg.pinv(weight * features, rcond=1e-9) @ (weight * targets)


def pose_basis_error(
    template: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    basis: np.ndarray,
    units: dict[str, np.ndarray],
    eyeballs: np.ndarray,
) -> dict[str, tuple[float, float]]:
    """Largest distance of the skin from each joint-driven sculpted unit, in metres, at half and full strength."""
    errors = {}
    for unit in JOINT_ROTATIONS:
        joint, rotvec = rotation_of(unit)
        worst = []
        for share in (0.5, 1.0):
            matrix = Rotation.from_rotvec(share * rotvec).as_matrix()
            feature = (matrix - np.eye(3)).ravel()
            rest = template + (feature @ basis[9 * (joint - 1) : 9 * joint]).reshape(-1, 3)
            weight = weights[:, joint : joint + 1]
            posed = (1 - weight) * rest + weight * ((rest - joints[joint]) @ matrix.T + joints[joint])
            miss = np.linalg.norm(posed - template - share * units[unit], axis=1)
            miss[eyeballs] = 0
            worst.append(float(miss.max()))
        errors[unit] = tuple(worst)
    return errors
