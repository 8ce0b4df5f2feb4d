"""The motion of one head: expression coefficients and rotations, 25 frames a second, in a stated layout and space.

Expression coefficients are only meaningful together with their `space`, which names the expression basis.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32

from dualtalk.choices import Space
from dualtalk.core.validation import as_float32, require_coefficients, require_radians
from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole
from dualtalk.io.npz import read_npz
from dualtalk.timebase import MOTION_FPS

IDENTITY_COEFFICIENTS = 300
EXPRESSION_COEFFICIENTS = 50


@dataclass(frozen=True)
class MotionLayout:
    """The order of the parts of a motion vector. Code takes slices from a layout instead of literal indices."""

    name: str
    widths: Mapping[str, int]

    @property
    def width(self) -> int:
        return sum(self.widths.values())

    def slice_of(self, part: str) -> slice:
        """Columns of `part`: one of expression, jaw, head, eyes (left eye then right)."""
        if part not in self.widths:
            raise KeyError(f"layout {self.name} has no {part}; it has {', '.join(self.widths)}")
        start = 0
        for name, width in self.widths.items():
            if name == part:
                return slice(start, start + width)
            start += width
        raise AssertionError("unreachable")


DUALTALK56 = MotionLayout("dualtalk56", {"expression": EXPRESSION_COEFFICIENTS, "jaw": 3, "head": 3})
FULL62 = MotionLayout("full62", {"expression": EXPRESSION_COEFFICIENTS, "jaw": 3, "head": 3, "eyes": 6})
LAYOUTS = {layout.name: layout for layout in (DUALTALK56, FULL62)}


def _no_identity() -> np.ndarray:
    return np.zeros(IDENTITY_COEFFICIENTS, np.float32)


@dataclass(frozen=True, eq=False)
class HeadMotion:
    """Motion of one head, 25 frames a second.

    Attributes
    ----------
    coefficients : (frame, coef) float32
        Expression coefficients (of `space`'s basis) and rotations in radians, in the order of `layout`.
    space : "flame" or "open"
        Expression basis of the coefficients.
    layout : MotionLayout
    identity : (300,) float32
        Shape coefficients of the head, unit variance; zero is the mean head.
    valid : (frame,) bool, optional
        Frames that were observed; all of them if not given. Other frames are finite, so that they can be rendered,
        but should be excluded from training and evaluation.

    Raises
    ------
    InputError
        Wrong width or dtype, a value that is not finite, coefficients that no head has, or rotations too large to
        be radians.
    """

    coefficients: Float32[np.ndarray, "frame coef"]
    space: Space
    layout: MotionLayout = FULL62
    identity: Float32[np.ndarray, "300"] = field(default_factory=_no_identity)
    valid: Bool[np.ndarray, "frame"] = None  # type: ignore[assignment]  # None is replaced in __post_init__

    def __post_init__(self) -> None:
        if not isinstance(self.layout, MotionLayout):
            raise InputError(f"layout is {self.layout!r}; wanted one of {', '.join(LAYOUTS)}")
        motion = as_float32(f"motion of layout {self.layout.name}", self.coefficients, (None, self.layout.width))
        object.__setattr__(self, "coefficients", motion)
        identity = as_float32("identity", self.identity, (IDENTITY_COEFFICIENTS,))
        object.__setattr__(self, "identity", identity)
        if self.space not in get_args(Space):
            raise InputError(f"motion space is {self.space!r}; wanted one of {', '.join(get_args(Space))}")
        if self.valid is None:
            object.__setattr__(self, "valid", np.ones(len(motion), bool))
        if (
            not isinstance(self.valid, np.ndarray)
            or self.valid.dtype != bool
            or self.valid.shape != (len(motion),)
        ):
            found = getattr(self.valid, "shape", type(self.valid).__name__)
            raise InputError(f"valid is {found}; wanted ({len(motion)},) of bool, one for each frame")
        require_coefficients("an expression coefficient", self.expression)
        require_coefficients("identity", identity)
        for part in ("jaw", "head", "eyes"):
            if part in self.layout.widths:
                require_radians(part, self.coefficients[:, self.layout.slice_of(part)])

    @property
    def frames(self) -> int:
        return len(self.coefficients)

    @property
    def duration_s(self) -> float:
        return self.frames / MOTION_FPS

    @property
    def expression(self) -> Float32[np.ndarray, "frame 50"]:
        return self.coefficients[:, self.layout.slice_of("expression")]

    @property
    def jaw_rotvec_rad(self) -> Float32[np.ndarray, "frame 3"]:
        return self.coefficients[:, self.layout.slice_of("jaw")]

    @property
    def head_rotvec_rad(self) -> Float32[np.ndarray, "frame 3"]:
        """Rotation at FLAME's neck joint; the root stays at identity."""
        return self.coefficients[:, self.layout.slice_of("head")]

    @property
    def eyes_rotvec_rad(self) -> Float32[np.ndarray, "frame 6"]:
        """Left eye then right eye; zeros where the layout has no eyes."""
        if "eyes" not in self.layout.widths:
            return np.zeros((self.frames, 6), np.float32)
        return self.coefficients[:, self.layout.slice_of("eyes")]

    @classmethod
    def from_parts(
        cls,
        *,
        expression: Float[np.ndarray, "frame 50"],
        jaw_rotvec_rad: Float[np.ndarray, "frame 3"],
        head_rotvec_rad: Float[np.ndarray, "frame 3"],
        eyes_rotvec_rad: Float[np.ndarray, "frame 6"] | None = None,
        space: Space,
        identity: Float[np.ndarray, "300"] | None = None,
        valid: Bool[np.ndarray, "frame"] | None = None,
    ) -> "HeadMotion":
        """Join the parts; the layout is `full62` with eyes and `dualtalk56` without."""
        parts = [expression, jaw_rotvec_rad, head_rotvec_rad]
        layout = DUALTALK56
        if eyes_rotvec_rad is not None:
            parts.append(eyes_rotvec_rad)
            layout = FULL62
        coefficients = as_float32("motion", np.concatenate(parts, axis=1), (None, layout.width))
        identity = (
            _no_identity() if identity is None else as_float32("identity", identity, (IDENTITY_COEFFICIENTS,))
        )
        valid = np.ones(len(coefficients), bool) if valid is None else valid
        return cls(coefficients, space, layout, identity, valid)

    def __getitem__(self, frames: slice) -> "HeadMotion":
        """Slice the motion in time."""
        return replace(self, coefficients=self.coefficients[frames], valid=self.valid[frames])

    def to_layout(self, layout: MotionLayout) -> "HeadMotion":
        """Convert to another layout; parts that it lacks are dropped.

        Raises
        ------
        InputError
            The layout has a part that this motion lacks.
        """
        if missing := set(layout.widths) - set(self.layout.widths):
            raise InputError(f"the motion has no {', '.join(sorted(missing))}; wanted layout {layout.name}")
        parts = [self.coefficients[:, self.layout.slice_of(part)] for part in layout.widths]
        return replace(self, coefficients=np.concatenate(parts, axis=1), layout=layout)

    def save(self, path: str | os.PathLike) -> None:
        """Write an npz file with the arrays of `to_numpy`."""
        with written_whole(path) as partial:
            np.savez(partial, allow_pickle=False, **self.to_numpy())

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Convert to named arrays.

        Returns
        -------
        dict
            `exp` (T, 50); `pose` (T, 6), head then jaw as in the published files; `eyes` (T, 6) if the layout has
            them; `shape` (300,); `fps`; `space`; `layout`; `valid` (T,) if some frames are not.
        """
        arrays: dict[str, np.ndarray] = {
            "exp": self.expression,
            "pose": np.concatenate([self.head_rotvec_rad, self.jaw_rotvec_rad], axis=1),
            "shape": self.identity,
            "fps": np.array(MOTION_FPS, np.float32),
            "space": np.array(self.space),
            "layout": np.array(self.layout.name),
        }
        if "eyes" in self.layout.widths:
            arrays["eyes"] = self.eyes_rotvec_rad
        if not self.valid.all():
            arrays["valid"] = self.valid
        return arrays

    @classmethod
    def load(cls, path: str | os.PathLike, space: Space | None = None) -> "HeadMotion":
        """Read an npz that `save` wrote, or a file of the corpus of DualTalk (Peng et al. 2025).

        The corpus's files are in FLAME's space, 25 fps, without eyes. They may have more than 50 expression
        coefficients and a shape per frame: the first 50 and the mean shape are used. `space` is for files without
        a stated space that are not FLAME's.

        Raises
        ------
        InputError
            No such file, missing or misshapen arrays, another frame rate, or another space than the one given.
        """
        arrays = read_npz(path)
        missing = [key for key in ("exp", "pose") if key not in arrays]
        if missing:
            raise InputError(f"{path} has no {' and no '.join(missing)}; its arrays are {sorted(arrays)}")
        for key in ("exp", "pose", "eyes", "shape", "fps"):
            if key in arrays and arrays[key].dtype.kind not in "fiu":
                raise InputError(f"{path}: {key} is of {arrays[key].dtype}; wanted numbers")
        exp, pose, eyes = arrays["exp"], arrays["pose"], arrays.get("eyes")
        if exp.ndim != 2 or exp.shape[1] < EXPRESSION_COEFFICIENTS or pose.shape != (len(exp), 6):
            raise InputError(f"{path}: exp {exp.shape} and pose {pose.shape}; wanted (T, 50 or more) and (T, 6)")
        if eyes is not None and eyes.shape != (len(exp), 6):
            raise InputError(f"{path}: eyes {eyes.shape}; wanted {(len(exp), 6)}")
        _require_fps(path, arrays.get("fps"))
        # __post_init__ checks that it is a valid space.
        stated = cast(Space, str(arrays["space"])) if "space" in arrays else None
        if space and stated and space != stated:
            raise InputError(f"{path} is in space {stated!r}; wanted {space!r}")
        try:
            return cls.from_parts(
                expression=exp[:, :EXPRESSION_COEFFICIENTS].astype(float),
                jaw_rotvec_rad=pose[:, 3:].astype(float),
                head_rotvec_rad=pose[:, :3].astype(float),
                eyes_rotvec_rad=None if eyes is None else eyes.astype(float),
                space=stated or space or "flame",
                identity=_mean_identity(arrays.get("shape")),
                valid=_valid_frames(arrays.get("valid")),
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _require_fps(path: str | os.PathLike, stated: np.ndarray | None) -> None:
    if stated is None:
        return
    if stated.size != 1:
        raise InputError(f"{path}: fps has shape {stated.shape}; wanted one number")
    if stated.item() != MOTION_FPS:
        raise InputError(f"{path} has {stated.item():g} frames a second; wanted {MOTION_FPS}; resample it first")


def _mean_identity(shape: np.ndarray | None) -> np.ndarray | None:
    """The mean of the shape coefficients of all frames, filled up with zeros."""
    if shape is None:
        return None
    if shape.ndim > 2 or not shape.size:
        raise InputError(f"shape is {shape.shape}; wanted (coefficients,) or (T, coefficients)")
    mean = np.atleast_2d(shape).mean(axis=0)[:IDENTITY_COEFFICIENTS]
    return np.pad(mean, (0, IDENTITY_COEFFICIENTS - len(mean))).astype(float)


def _valid_frames(stated: np.ndarray | None) -> np.ndarray | None:
    """The mask of observed frames, stored as bool or as 0 and 1."""
    if stated is not None and (stated.dtype.kind not in "biuf" or not np.isin(stated, (0, 1)).all()):
        raise InputError(f"valid is of {stated.dtype}; wanted bool")
    return None if stated is None else stated.astype(bool)
