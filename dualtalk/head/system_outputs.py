"""Outputs of other systems as motion: one reader for each system, by name.

Every reader returns motion at 25 frames a second, in the space of its coefficients: ARKit blendshape weights
become motion of the open head, FLAME parameters and meshes motion in FLAME's space. Other frame rates are
resampled. Rotation of FLAME's root is taken for the rotation of the head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float

from dualtalk.core import EXPRESSION_COEFFICIENTS, HeadMotion, require_radians
from dualtalk.errors import InputError
from dualtalk.geometry.resampling import resample_curves, resample_rotations
from dualtalk.head.blendshapes import motion_from_arkit
from dualtalk.head.live_link import read_live_link
from dualtalk.head.skinned import SkinnedHead
from dualtalk.head.vertex_fitting import motion_from_vertices
from dualtalk.io.arkit import ALPHABETICAL_UNITS, ARKIT_UNITS
from dualtalk.io.flame_layouts import read_flame_arrays
from dualtalk.io.system_outputs import read_rows, read_weight_json, read_weight_table
from dualtalk.timebase import MOTION_FPS

# FLAME's vertices, three coordinates each.
FLAME_COORDINATES, BIWI_COORDINATES = 15069, 70110


@dataclass(frozen=True)
class ReadOptions:
    """What a file does not state.

    Attributes
    ----------
    fps : float, optional
        Its frame rate; the system's usual one if not given.
    head : SkinnedHead, optional
        FLAME head, for meshes.
    template : path, optional
        The person's mesh at rest (.npy, .ply or .obj), for meshes; the head's mean if not given.
    """

    fps: float | None = None
    head: SkinnedHead | None = None
    template: Path | None = None


@dataclass(frozen=True)
class SystemFormat:
    """A system whose outputs can be read.

    Attributes
    ----------
    help : str
        What it writes.
    suffixes : tuple of str
    fps : float
        Its usual frame rate.
    read : callable (path, fps, options) -> HeadMotion
    """

    help: str
    suffixes: tuple[str, ...]
    fps: float
    read: "Callable[[Path, float, ReadOptions], HeadMotion]"


def read_system_output(path: Path, system: str, options: ReadOptions = ReadOptions()) -> HeadMotion:
    """Read a file of one of `SYSTEMS`.

    Raises
    ------
    InputError
        The file is missing, is not one of that system, or a mesh comes without a FLAME head.
    """
    form = SYSTEMS[system]
    if path.suffix not in form.suffixes:
        raise InputError(
            f"{path} ends in {path.suffix or 'nothing'}; {system} writes {' or '.join(form.suffixes)}"
        )
    try:
        return form.read(path, options.fps or form.fps, options)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def _flame(
    fps: float,
    expression: Float[np.ndarray, "frame expression"],
    jaw_rotvec_rad: Float[np.ndarray, "frame 3"],
    head_rotvec_rad: Float[np.ndarray, "frame 3"] | None = None,
    shape: Float[np.ndarray, "frame identity"] | None = None,
) -> HeadMotion:
    """Motion in FLAME's space from curves at another rate; missing expression coefficients are 0."""
    curves = np.zeros((len(expression), EXPRESSION_COEFFICIENTS))
    used = min(EXPRESSION_COEFFICIENTS, expression.shape[1])
    curves[:, :used] = expression[:, :used]
    head_rotvec_rad = np.zeros((len(curves), 3)) if head_rotvec_rad is None else head_rotvec_rad
    for part, rotvec_rad in (("jaw", jaw_rotvec_rad), ("head", head_rotvec_rad)):
        require_radians(part, rotvec_rad)
    identity = np.zeros(300, np.float32)
    if shape is not None and len(shape):
        own = shape.mean(axis=0)[:300]
        identity[: len(own)] = own
    rates = (float(fps), float(MOTION_FPS))
    return HeadMotion.from_parts(
        expression=resample_curves(curves, *rates),
        jaw_rotvec_rad=resample_rotations(jaw_rotvec_rad, *rates),
        head_rotvec_rad=resample_rotations(head_rotvec_rad, *rates),
        space="flame",
        identity=identity,
    )


def _columns(rows: np.ndarray, width: int, system: str) -> np.ndarray:
    if rows.shape[1] != width:
        raise InputError(f"rows of {rows.shape[1]} numbers; {system} writes {width}")
    return rows


def _flame_file(path: Path, fps: float, _options: ReadOptions, layout: str | None = None) -> HeadMotion:
    """Named arrays, or rows of a layout of `dualtalk.io.flame_layouts`."""
    arrays = read_flame_arrays(path, layout)
    pose = np.asarray(arrays["pose"], float)
    shape = np.atleast_2d(arrays["shape"]) if "shape" in arrays else None
    return _flame(fps, np.asarray(arrays["exp"], float), pose[:, 3:], pose[:, :3], shape)


def _emote(path: Path, fps: float, options: ReadOptions) -> HeadMotion:
    """`exp` and `jaw`, or rows of both."""
    return _flame_file(path, fps, options, "emote53" if path.suffix == ".npy" else None)


def _artalk(path: Path, fps: float, _options: ReadOptions) -> HeadMotion:
    """Expression 100, head 3, jaw 3."""
    rows = _columns(read_rows(path), 106, "ARTalk")
    return _flame(fps, rows[:, :100], rows[:, 103:], rows[:, 100:103])


def _unitalker(path: Path, fps: float, options: ReadOptions) -> HeadMotion:
    return _flame_file(path, fps, options, "unitalker413")


def _vertices(path: Path, fps: float, options: ReadOptions) -> HeadMotion:
    """Coordinates of FLAME's vertices."""
    rows = read_rows(path)
    if rows.shape[1] == BIWI_COORDINATES:
        raise InputError("meshes of BIWI's topology; only FLAME's (VOCASET) can be fitted")
    if options.head is None or options.head.space != "flame":
        raise InputError("meshes are fitted by FLAME's expressions: pass --head with your FLAME file")
    vertices = rows.reshape(len(rows), -1, 3) if rows.shape[1] % 3 == 0 else rows[:, None]
    template = options.head.template if options.template is None else _read_template(options.template)
    rates = (float(fps), float(MOTION_FPS))
    resampled = resample_curves(vertices.reshape(len(vertices), -1), *rates)
    motion, _ = motion_from_vertices(
        resampled.reshape(len(resampled), *vertices.shape[1:]), template, options.head
    )
    return motion


def _read_template(path: Path) -> Float[np.ndarray, "vertex 3"]:
    if path.suffix == ".npy":
        rows = read_rows(path)
        return rows if rows.shape[1] == 3 else rows.reshape(-1, 3)
    if not path.is_file():
        raise InputError(f"no template at {path}")
    try:
        mesh = trimesh.load_mesh(path, process=False, maintain_order=True)
    except Exception as error:
        # A damaged mesh can raise almost anything.
        raise InputError(f"{path} is not a readable mesh ({type(error).__name__}: {error})") from error
    if not isinstance(mesh, trimesh.Trimesh):
        raise InputError(f"{path} holds {type(mesh).__name__.lower()}; wanted one mesh")
    return np.asarray(mesh.vertices, float)


def _weights(fps: float, weights: Float[np.ndarray, "frame 52"]) -> HeadMotion:
    return motion_from_arkit(resample_curves(weights, float(fps), float(MOTION_FPS)))


def _said(path: Path, fps: float, _options: ReadOptions) -> HeadMotion:
    """A table with named columns."""
    return _weights(fps, read_weight_table(path))


def _emotalk(path: Path, fps: float, _options: ReadOptions) -> HeadMotion:
    """ARKit's 52 blendshapes in alphabetical order."""
    rows = _columns(read_rows(path), len(ARKIT_UNITS), "EmoTalk")
    return _weights(fps, rows[:, [ALPHABETICAL_UNITS.index(unit) for unit in ARKIT_UNITS]])


def _weight_json(path: Path, fps: float, options: ReadOptions) -> HeadMotion:
    """Names and rows of weights; a stated frame rate counts unless the user gives one."""
    weights, stated_fps = read_weight_json(path)
    return _weights(options.fps or stated_fps or fps, weights)


def _live_link(path: Path, _fps: float, _options: ReadOptions) -> HeadMotion:
    return read_live_link(path).motion


SYSTEMS = {
    "diffposetalk": SystemFormat("exp, pose, shape", (".npz",), 25.0, _flame_file),
    "emote": SystemFormat("exp and jaw", (".npz", ".npy"), 25.0, _emote),
    "artalk": SystemFormat("106 numbers a frame", (".pt",), 25.0, _artalk),
    "unitalker": SystemFormat("413 numbers a frame", (".npy",), 25.0, _unitalker),
    "vertices": SystemFormat("meshes of VOCA, FaceFormer, CodeTalker", (".npy",), 30.0, _vertices),
    "said": SystemFormat("BlendVOCA's table", (".csv",), 60.0, _said),
    "emotalk": SystemFormat("52 weights a frame", (".npy",), 30.0, _emotalk),
    "audio2face": SystemFormat("facsNames and weightMat", (".json",), 30.0, _weight_json),
    "lam": SystemFormat("names and frames", (".json",), 30.0, _weight_json),
    "live-link": SystemFormat("Live Link Face", (".csv",), 60.0, _live_link),
}
