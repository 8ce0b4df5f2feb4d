"""Rotations as axis-angle vectors and as matrices.

Conventions: `rotvec_rad` is axis times angle in radians; matrices act on column vectors.
"""

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation


def matrix_from_rotvec(rotvec_rad: Float[np.ndarray, "*axes 3"]) -> Float[np.ndarray, "*axes 3 3"]:
    """Convert axis-angle vectors to rotation matrices."""
    flat = Rotation.from_rotvec(rotvec_rad.reshape(-1, 3)).as_matrix()
    return flat.reshape(*rotvec_rad.shape, 3).astype(rotvec_rad.dtype)
