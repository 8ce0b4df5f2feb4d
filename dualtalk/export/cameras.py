"""A camera in front of a head, in the conventions of the programs that read a camera with the motion.

The camera is upright, on the z axis of the head's coordinates, and looks at their origin. Many systems keep the
head fixed and move the camera instead; for these the rotation about the neck joint becomes part of the camera.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

Matrices = Float[np.ndarray, "frame 3 3"]
Vectors = Float[np.ndarray, "frame 3"]
# OpenCV's camera: x right, y down, z forward. PyTorch3D's: x left, y up, z forward.
OPENCV_AXES, PYTORCH3D_AXES = np.diag([1.0, -1.0, -1.0]), np.diag([-1.0, 1.0, -1.0])


@dataclass(frozen=True)
class FrontCamera:
    """A pinhole camera with a square image.

    Attributes
    ----------
    size_px : int
        Width and height of the image; the principal point is in its middle.
    focal_px : float
    distance_m : float
        From the origin.
    """

    size_px: int = 512
    focal_px: float = 1024.0
    distance_m: float = 1.0

    @property
    def intrinsics(self) -> Float[np.ndarray, "3 3"]:
        """OpenCV's matrix K."""
        middle = self.size_px / 2
        return np.array([[self.focal_px, 0, middle], [0, self.focal_px, middle], [0, 0, 1]])

    @property
    def world_from_camera(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the camera in OpenGL's convention: it looks along its own -z, y is up."""
        pose = np.eye(4)
        pose[2, 3] = self.distance_m
        return pose

    def camera_from_head(
        self, head_rotvec_rad: Vectors, neck_m: Float[np.ndarray, "3"], axes: Float[np.ndarray, "3 3"]
    ) -> tuple[Matrices, Vectors]:
        """R and t of x_camera = R x_head + t, where x_head are coordinates of a head that does not turn.

        Parameters
        ----------
        head_rotvec_rad : (frame, 3)
        neck_m : (3,)
            The joint about which the head turns.
        axes : (3, 3)
            Axes of the camera in head coordinates, in rows, such as `OPENCV_AXES`.
        """
        turned, shift_m = about_joint(head_rotvec_rad, neck_m)
        return axes @ turned, shift_m @ axes.T + [0, 0, axes[2, 2] * -self.distance_m]


def about_joint(rotvec_rad: Vectors, joint_m: Float[np.ndarray, "3"]) -> tuple[Matrices, Vectors]:
    """R and t of the rigid motion x' = R x + t that turns about a joint."""
    turned = Rotation.from_rotvec(rotvec_rad).as_matrix()
    return turned, joint_m - turned @ joint_m


def first_two_rows(matrices: Float[np.ndarray, "*axes 3 3"]) -> Float[np.ndarray, "*axes 6"]:
    """The 6D representation of rotations in PyTorch3D's order (Zhou et al. 2019): the first two rows."""
    return matrices[..., :2, :].reshape(*matrices.shape[:-2], 6)
