"""Pose corrections: how far to displace vertices before skinning, so that turned joints give sculpted shapes.

FLAME adds to the rest shape `pose_basis` times the entries of (R - I) of each joint; the basis is fitted here.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

SHARES = np.array([0.25, 0.5, 0.75, 1.0])
# The basis bends as sine and cosine where units are straight lines, so only one strength can be met exactly: the full one.
SHARE_WEIGHTS = np.array([1.0, 1.0, 1.0, 1e3])


def fit_rotation(points: np.ndarray, displacement: np.ndarray, centre: np.ndarray, axis: np.ndarray) -> float:
    """Angle about `axis` through `centre` that comes nearest to moving `points` by `displacement`."""

    def miss(angle: float) -> float:
        turned = Rotation.from_rotvec(angle * axis).apply(points - centre) + centre
        return float(((turned - points - displacement) ** 2).sum())

    return float(minimize_scalar(miss, bounds=(-1.2, 1.2), method="bounded").x)


def jaw_pose_basis(template: np.ndarray, jaw: np.ndarray, weight: np.ndarray, units: dict):
    """(9, 3 vertices) basis of the jaw, and the angles of `jawOpen` and of `jawLeft`, `jawRight`."""
    firm = weight > 0.95
    open_rad = fit_rotation(template[firm], units["jawOpen"][firm], jaw, np.array([1.0, 0, 0]))
    left = fit_rotation(template[firm], units["jawLeft"][firm], jaw, np.array([0, 1.0, 0]))
    right = fit_rotation(template[firm], units["jawRight"][firm], jaw, np.array([0, 1.0, 0]))
    side_rad = (left - right) / 2
    features, wanted = [], []
    for unit, rotvec in (
        ("jawOpen", [open_rad, 0, 0]),
        ("jawLeft", [0, side_rad, 0]),
        ("jawRight", [0, -side_rad, 0]),
    ):
        for share in SHARES:
            matrix = Rotation.from_rotvec(share * np.array(rotvec)).as_matrix()
            features.append((matrix - np.eye(3)).ravel())
            wanted.append(unskinned(template, template + share * units[unit], jaw, weight, matrix) - template)
    basis = least_norm(np.array(features), np.array(wanted).reshape(len(wanted), -1))
    return basis, open_rad, side_rad


def unskinned(template, posed, joint, weight, matrix) -> np.ndarray:
    """Rest positions that skinning with one turned joint takes to `posed`."""
    blend = (1 - weight)[:, None, None] * np.eye(3) + weight[:, None, None] * matrix
    shift = weight[:, None] * (joint - matrix @ joint)
    return np.linalg.solve(blend, (posed - shift)[..., None])[..., 0]


def eye_pose_basis(units: dict, side: str, look_rad: float) -> np.ndarray:
    """(9, 3 vertices) basis of one eye joint: the lids that follow it. Lids are not skinned to the eye."""
    inward = -1.0 if side == "Left" else 1.0
    features, wanted = [], []
    for direction, axis in (
        ("Down", [1.0, 0, 0]),
        ("Up", [-1.0, 0, 0]),
        ("In", [0, inward, 0]),
        ("Out", [0, -inward, 0]),
    ):
        for share in SHARES:
            matrix = Rotation.from_rotvec(share * look_rad * np.array(axis)).as_matrix()
            features.append((matrix - np.eye(3)).ravel())
            wanted.append(share * units[f"eyeLook{direction}{side}"].ravel())
    return least_norm(np.array(features), np.array(wanted))


def least_norm(features: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Smallest basis that fits best; rows run over units, and within a unit over `SHARES`."""
    weight = np.tile(SHARE_WEIGHTS, len(features) // len(SHARES))[:, None]
    return np.linalg.pinv(weight * features, rcond=1e-9) @ (weight * wanted)


def pose_basis_error(
    template, joints, weights, pose_basis, units, jaw_open_rad, jaw_side_rad, look_rad, eye_spans
) -> dict[str, tuple[float, float]]:
    """Largest distance in metres from each joint-driven unit's sculpted shape, at half and at full strength."""
    skin = np.ones(len(template), bool)
    for span in eye_spans:
        skin[slice(*span)] = False
    poses = {"jawOpen": (2, [jaw_open_rad, 0, 0]), "jawLeft": (2, [0, jaw_side_rad, 0]), "jawRight": (2, [0, -jaw_side_rad, 0])}
    for joint, side, inward in ((3, "Left", -1.0), (4, "Right", 1.0)):
        poses[f"eyeLookDown{side}"] = (joint, [look_rad, 0, 0])
        poses[f"eyeLookUp{side}"] = (joint, [-look_rad, 0, 0])
        poses[f"eyeLookIn{side}"] = (joint, [0, inward * look_rad, 0])
        poses[f"eyeLookOut{side}"] = (joint, [0, -inward * look_rad, 0])
    errors = {}
    for unit, (joint, rotvec) in poses.items():
        worst = []
        for share in (0.5, 1.0):
            matrix = Rotation.from_rotvec(share * np.array(rotvec)).as_matrix()
            feature = (matrix - np.eye(3)).ravel()
            rest = template + (feature @ pose_basis[9 * (joint - 1) : 9 * joint]).reshape(-1, 3)
            weight = weights[:, joint : joint + 1]
            posed = (1 - weight) * rest + weight * ((rest - joints[joint]) @ matrix.T + joints[joint])
            miss = np.linalg.norm(posed - template - share * units[unit], axis=1)
            worst.append(float(miss[skin].max()))
        errors[unit] = tuple(worst)
    return errors
