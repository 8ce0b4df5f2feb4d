"""Rotations as axis-angle vectors, as matrices, and in the continuous 6D representation for networks.

Conventions: `rotvec_rad` is axis times angle in radians; matrices act on column vectors; 6D is the first two
columns of the matrix (Zhou et al. 2019, "On the continuity of rotation representations", section 4).
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation


def matrix_from_rotvec(rotvec_rad: Float[np.ndarray, "*axes 3"]) -> Float[np.ndarray, "*axes 3 3"]:
    """Convert axis-angle vectors to rotation matrices."""
    flat = Rotation.from_rotvec(rotvec_rad.reshape(-1, 3)).as_matrix()
    return flat.reshape(*rotvec_rad.shape, 3).astype(rotvec_rad.dtype)


def rotvec_from_matrix(matrix: Float[np.ndarray, "*axes 3 3"]) -> Float[np.ndarray, "*axes 3"]:
    """Convert rotation matrices to axis-angle vectors, whose norm is at most pi."""
    flat = Rotation.from_matrix(matrix.reshape(-1, 3, 3)).as_rotvec()
    return flat.reshape(matrix.shape[:-1]).astype(matrix.dtype)


def sixd_from_matrix(matrix: Float[np.ndarray, "*axes 3 3"]) -> Float[np.ndarray, "*axes 6"]:
    """Convert rotation matrices to 6D: the first column, then the second column."""
    return np.concatenate([matrix[..., 0], matrix[..., 1]], axis=-1)


def matrix_from_sixd(sixd: Float[np.ndarray, "*axes 6"]) -> Float[np.ndarray, "*axes 3 3"]:
    """Convert 6D to rotation matrices by Gram-Schmidt; any two vectors that are not parallel give a rotation."""
    first = sixd[..., :3] / np.linalg.norm(sixd[..., :3], axis=-1, keepdims=True)
    second = sixd[..., 3:] - (first * sixd[..., 3:]).sum(axis=-1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1)
