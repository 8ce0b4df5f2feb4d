"""The scene of a conversation: each person's appearance, where the heads are placed, and the cameras.

A camera layout places each head so that its straight-ahead direction (zero rotation) points at the partner, and
assigns a camera and the people that it shows to each viewport of the frame. World axes: x to the right of the
frame, y up, z toward the viewer; metres and radians. A head is placed by the midpoint between its eyes.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float32, UInt8

from dualtalk.choices import ViewName
from dualtalk.errors import InputError
from dualtalk.head.head import Head
from dualtalk.head.regions import Region

Colour = tuple[int, int, int]
NEAR_M, FAR_M = 0.1, 5.0


@dataclass(frozen=True)
class Appearance:
    """One person's colours, sRGB 0 to 255, and the label of their name plate; an empty label means no plate."""

    label: str
    skin: Colour
    lips: Colour
    brow: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    background: Colour
    accent: Colour

    def colour(self, region: Region) -> Colour:
        """The colour of a region of the head."""
        own = {
            Region.SKIN: self.skin,
            Region.LIPS: self.lips,
            Region.BROW: self.brow,
            Region.HAIR: self.hair,
            Region.IRIS: self.iris,
            Region.CLOTHES: self.shirt,
        }
        return own[region] if region in own else COMMON_COLOURS[region]


COMMON_COLOURS: dict[Region, Colour] = {
    Region.SCLERA: (232, 226, 220),
    Region.PUPIL: (12, 10, 10),
    Region.TEETH: (226, 216, 198),
    Region.TONGUE: (168, 82, 80),
    Region.MOUTH_INSIDE: (96, 34, 34),
    Region.LASHES: (30, 22, 20),
}
APPEARANCES = (
    Appearance(
        label="A",
        skin=(226, 178, 150),
        lips=(188, 104, 98),
        brow=(96, 66, 44),
        hair=(92, 58, 36),
        iris=(74, 116, 140),
        shirt=(44, 92, 112),
        background=(176, 200, 206),
        accent=(64, 158, 176),
    ),
    Appearance(
        label="B",
        skin=(158, 106, 78),
        lips=(134, 70, 64),
        brow=(34, 26, 24),
        hair=(30, 25, 26),
        iris=(84, 52, 32),
        shirt=(178, 84, 48),
        background=(222, 200, 172),
        accent=(222, 128, 62),
    ),
)


@dataclass(frozen=True)
class HeadPlacement:
    """Position of the midpoint between the eyes, and yaw: 0 faces the viewer, positive turns to the right."""

    position_m: tuple[float, float, float]
    yaw_rad: float

    def world_from_head(self, anchor_m: Float32[np.ndarray, "3"]) -> Float32[np.ndarray, "4 4"]:
        """Matrix from the head's own coordinates to the world; it maps `anchor_m` to `position_m`."""
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        matrix = np.eye(4)
        matrix[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
        matrix[:3, 3] = np.array(self.position_m) - matrix[:3, :3] @ anchor_m
        return matrix.astype(np.float32)


@dataclass(frozen=True)
class Camera:
    """An upright pinhole camera."""

    position_m: tuple[float, float, float]
    target_m: tuple[float, float, float]
    vertical_fov_rad: float

    def world_from_camera(self) -> Float32[np.ndarray, "4 4"]:
        """Camera pose in OpenGL's convention: the camera looks along its own -z, y is up."""
        back = np.subtract(self.position_m, self.target_m)
        back = back / np.linalg.norm(back)
        right = np.cross((0.0, 1.0, 0.0), back)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(back, right), back, self.position_m], axis=1)
        return pose.astype(np.float32)

    def clip_from_world(self, aspect: float) -> Float32[np.ndarray, "4 4"]:
        """OpenGL perspective matrix times the inverse camera pose; `aspect` is width over height."""
        scale = 1 / np.tan(self.vertical_fov_rad / 2)
        projection = np.zeros((4, 4))
        projection[0, 0], projection[1, 1] = scale / aspect, scale
        projection[2, 2] = (FAR_M + NEAR_M) / (NEAR_M - FAR_M)
        projection[2, 3] = 2 * FAR_M * NEAR_M / (NEAR_M - FAR_M)
        projection[3, 2] = -1
        return (projection @ np.linalg.inv(self.world_from_camera())).astype(np.float32)


@dataclass(frozen=True)
class Viewport:
    """A part of the frame: its camera, the people that it shows (0 is A, 1 is B), and its left and right edge.

    The edges are fractions of the frame's width.
    """

    camera: Camera
    participants: tuple[int, ...]
    left: float
    right: float

    def columns(self, width: int) -> slice:
        """The pixel columns of the viewport in a frame of this width."""
        return slice(round(self.left * width), round(self.right * width))


@dataclass(frozen=True)
class CameraLayout:
    """The placement of both heads, and the viewports of a frame."""

    name: ViewName
    placements: tuple[HeadPlacement, HeadPlacement]
    viewports: tuple[Viewport, ...]


def _portrait(person: int) -> Viewport:
    """A camera beside the line to the partner, so that A looks slightly to the right and B to the left."""
    side = (-1, 1)[person]
    distance_m, off_rad, below_m = 1.15, 0.24, 0.042
    position = (side * distance_m * np.sin(off_rad), 0.0, distance_m * np.cos(off_rad))
    camera = Camera(position, (0.0, -below_m, -0.02), 0.35)
    return Viewport(camera, (person,), 0.5 * person, 0.5 * person + 0.5)


def _split() -> CameraLayout:
    """Each person at the origin of a separate scene, facing the viewer."""
    origin = HeadPlacement((0.0, 0.0, 0.0), 0.0)
    return CameraLayout("split", (origin, origin), (_portrait(0), _portrait(1)))


def _face_to_face() -> CameraLayout:
    """Eyes 0.6 m apart, as across a small table; the near camera shows more than the profiles."""
    apart_m, distance_m, below_m = 0.6, 0.82, 0.055
    placements = (
        HeadPlacement((-apart_m / 2, 0.0, 0.0), np.pi / 2),
        HeadPlacement((apart_m / 2, 0.0, 0.0), -np.pi / 2),
    )
    camera = Camera((0.0, 0.02, distance_m), (0.0, -below_m, 0.0), 0.65)
    return CameraLayout("face-to-face", placements, (Viewport(camera, (0, 1), 0.0, 1.0),))


def camera_layout(view: str) -> CameraLayout:
    """The camera layout of a view.

    Raises
    ------
    InputError
        `view` is not the name of a view.
    """
    layouts = {"split": _split, "face-to-face": _face_to_face}
    if view not in layouts:
        hint = "; did you mean 'face-to-face'?" if view == "face_to_face" else ""
        raise InputError(f"unknown view {view!r}; wanted one of {', '.join(get_args(ViewName))}{hint}")
    return layouts[view]()


def eye_midpoint_m(head: Head) -> Float32[np.ndarray, "3"]:
    """The midpoint between the eyeballs' centres, by which a head is placed."""
    left, right = head.eyes
    return ((left.centre_m + right.centre_m) / 2).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that a renderer needs before the first frame.

    Attributes
    ----------
    head : Head
    camera_layout : CameraLayout
    appearances : (Appearance, Appearance)
    size : (width, height) in pixels
    """

    head: Head
    camera_layout: CameraLayout
    appearances: tuple[Appearance, Appearance] = APPEARANCES
    size: tuple[int, int] = (1024, 512)

    def __post_init__(self) -> None:
        width, height = self.size
        if width < 16 or height < 16 or width % 4 or height % 2:
            raise InputError(f"frame size is {width} x {height}; wanted a width divisible by 4 and an even height")

    def world_from_head(self, person: int) -> Float32[np.ndarray, "4 4"]:
        """Matrix from a person's head coordinates to the world."""
        return self.camera_layout.placements[person].world_from_head(eye_midpoint_m(self.head))

    def camera_from(self, viewport: Viewport, person: int) -> Float32[np.ndarray, "3"]:
        """Position of a viewport's camera in a person's own head coordinates, metres."""
        head_from_world = np.linalg.inv(self.world_from_head(person).astype(np.float64))
        return (head_from_world @ (*viewport.camera.position_m, 1))[:3].astype(np.float32)

    def light_from(self, person: int, toward: tuple[float, float, float]) -> Float32[np.ndarray, "3"]:
        """Unit direction in the world toward a light, given relative to `person`.

        `toward` has x away from the camera's side, y up and z ahead of the person. The lighting of the two people
        is mirror symmetric.
        """
        away_from_camera = (1, -1)[person]
        yaw = self.camera_layout.placements[person].yaw_rad
        x, y, z = np.array(toward) * (away_from_camera, 1, 1) / np.linalg.norm(toward)
        return np.array([np.cos(yaw) * x + np.sin(yaw) * z, y, np.cos(yaw) * z - np.sin(yaw) * x], np.float32)

    def background(self) -> UInt8[np.ndarray, "height width 3"]:
        """The backdrop: a gradient in each person's tint, brightest behind the heads.

        Noise of one grey level prevents banding after video encoding.
        """
        width, height = self.size
        x = (np.arange(width) + 0.5) / width
        y = (np.arange(height)[:, None] + 0.5) / height
        tints = np.array([appearance.background for appearance in self.appearances], np.float32)
        if self.camera_layout.name == "split":
            blend = (x > 0.5).astype(np.float32)
            across = np.abs(x % 0.5 - 0.25) * 2
        else:
            blend = np.clip((x - 0.3) / 0.4, 0, 1)
            across = np.abs(x - 0.5) * 0.8
        tint = tints[0] + blend[:, None] * (tints[1] - tints[0])
        brightness = 1.02 - 0.75 * across**2 - 0.55 * (y - 0.38) ** 2
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1))
        return np.clip(tint * brightness[..., None] + noise, 0, 255).astype(np.uint8)
