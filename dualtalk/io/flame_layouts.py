"""FLAME motion as other tools write it, converted to the arrays of the published corpus: `exp`, `pose`, `eyes`,
`shape`.

Two kinds of files are read: arrays under names (DECA, EMOCA, VHAP, BEAT2 and others), and one array whose rows
hold everything. The width of such a row does not always say what its numbers are: where several tools write that
width, `layout` decides, and the error lists the candidates.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from dualtalk.errors import InputError
from dualtalk.io.npz import read_npz

# Parts of a row in order, with their widths. "head" and "jaw" are axis-angle; "head6d" holds the first two rows of
# the rotation matrix (Zhou et al. 2019); parts in brackets are not used.
LAYOUTS: dict[str, dict[str, int]] = {
    "emote53": {"exp": 50, "jaw": 3},
    "dualtalk56": {"exp": 50, "jaw": 3, "head": 3},
    "l2l56": {"exp": 50, "head": 3, "jaw": 3},
    "artalk106": {"exp": 100, "head": 3, "jaw": 3},
    "exp-jaw-head106": {"exp": 100, "jaw": 3, "head": 3},
    "unils112": {"exp": 100, "head": 3, "jaw": 3, "eyes": 6},
    "deca156": {"shape": 100, "exp": 50, "head": 3, "jaw": 3},
    "unitalker413": {"shape": 300, "exp": 100, "head6d": 6, "jaw": 3, "(translation)": 3, "(scale)": 1},
}
# Widths that something other than a face has, too.
OTHER_MEANINGS = {156: "the 52 joints of an SMPL-H body, which is no face"}
# Names of the same array in the files of different tools.
SYNONYMS = {
    "exp": ("exp", "expr", "expression", "expressions", "expcode"),
    "shape": ("shape", "betas", "shapecode", "shape_params"),
    "head": ("neck_pose", "neck", "neck_rot"),
    "root": ("rotation", "global_orient", "global_pose", "rot", "head_pose"),
    "jaw": ("jaw_pose", "jaw", "jaw_rot"),
    "eyes": ("eyes", "eyes_pose", "eye_pose"),
    "left_eye": ("leye_pose", "left_eye_pose"),
    "right_eye": ("reye_pose", "right_eye_pose"),
    "fps": ("fps", "mocap_frame_rate", "mocap_framerate", "frame_rate", "framerate"),
}
# Widths of `pose`: FLAME's joints, each axis-angle.
POSE_PARTS = {
    6: {"head": 3, "jaw": 3},
    15: {"root": 3, "head": 3, "jaw": 3, "eyes": 6},
}


def layout_names(width: int | None = None) -> list[str]:
    """Names of all layouts, or of those of one width."""
    return [name for name, parts in LAYOUTS.items() if width in (None, sum(parts.values()))]


def read_flame_arrays(path: str | os.PathLike, layout: str | None = None) -> dict[str, np.ndarray]:
    """Read a file of FLAME motion.

    Parameters
    ----------
    path : path
        An npz of named arrays, an npz with one array (T, width), or such an npy.
    layout : str, optional
        Name of the layout of the rows, one of `layout_names()`.

    Returns
    -------
    dict
        `exp` (T, 50 or more), `pose` (T, 6) = head, jaw; `eyes` (T, 6), `shape`, `fps`, `valid`, `space` where the
        file has them.

    Raises
    ------
    InputError
        No such file, no motion in it, or rows of a width that is unknown or that several layouts have.
    """
    path = Path(path)
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}; wanted one of {', '.join(LAYOUTS)}")
    arrays = _read_npy(path) if path.suffix.lower() == ".npy" else read_npz(path)
    rows = _rows(arrays, layout)
    if rows is not None:
        return {**_from_rows(path, rows, layout), **_renamed(arrays, ("fps", "shape"))}
    return _from_names(path, arrays)


def _read_npy(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise InputError(f"no motion file at {path}")
    try:
        return {"motion": np.load(path, allow_pickle=False)}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is not a readable npy of plain numbers: {error}") from error


def _rows(arrays: Mapping[str, np.ndarray], layout: str | None) -> np.ndarray | None:
    """The one array (T, width) of a file; None if its arrays have names that say what they are."""
    if layout is None and any(name in arrays for name in (*SYNONYMS["exp"], "pose")):
        return None
    wide = [array for array in arrays.values() if array.ndim in (2, 3) and array.shape[-1] > 6]
    return wide[0].reshape(-1, wide[0].shape[-1]) if len(wide) == 1 else None


def _from_rows(path: Path, rows: np.ndarray, layout: str | None) -> dict[str, np.ndarray]:
    width = rows.shape[1]
    candidates = layout_names(width)
    if layout is None and (len(candidates) != 1 or width in OTHER_MEANINGS):
        raise _undecided(path, width, candidates)
    name = layout or candidates[0]
    parts, expected = LAYOUTS[name], sum(LAYOUTS[name].values())
    if width != expected:
        raise InputError(f"{path} has rows of {width} numbers; layout {name} has {expected}")
    edges = np.cumsum([0, *parts.values()])
    found = {part: rows[:, first:end] for part, first, end in zip(parts, edges[:-1], edges[1:], strict=True)}
    head = _axis_angle(found["head6d"]) if "head6d" in found else found.get("head", np.zeros((len(rows), 3)))
    result = {"exp": found["exp"], "pose": np.concatenate([head, found["jaw"]], axis=1).astype(np.float32)}
    return result | {part: found[part] for part in ("eyes", "shape") if part in found}


def _undecided(path: Path, width: int, candidates: list[str]) -> InputError:
    if not candidates:
        known = ", ".join(f"{name} ({sum(parts.values())})" for name, parts in LAYOUTS.items())
        return InputError(f"{path} has rows of {width} numbers, a width that no known layout has; known: {known}")
    described = "; ".join(
        f"{name} = {', '.join(f'{part} {size}' for part, size in LAYOUTS[name].items())}" for name in candidates
    )
    other = f"; or {OTHER_MEANINGS[width]}" if width in OTHER_MEANINGS else ""
    return InputError(
        f"{path} has rows of {width} numbers, which may be {described}{other}; --layout (in Python "
        "layout=) decides"
    )


def _from_names(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The published arrays of named ones. A rotation of the whole head and one of the neck are joined."""
    found = _renamed(arrays, tuple(SYNONYMS))
    found |= {name: arrays[name] for name in ("valid", "space") if name in arrays}
    if "exp" not in found:
        raise InputError(f"{path} has no exp; its arrays are {', '.join(sorted(arrays)) or 'none'}")
    frames = len(found["exp"])
    if "pose" in arrays:
        found |= _pose_parts(path, np.asarray(arrays["pose"]).reshape(frames, -1))
    elif "jaw" not in found and "head" not in found and "root" not in found:
        raise InputError(f"{path} has no pose, jaw_pose, neck_pose or rotation; its arrays are {sorted(arrays)}")
    still = np.zeros((frames, 3), np.float32)
    rotations = {part: found.pop(part, still).reshape(frames, -1)[:, :3] for part in ("root", "head", "jaw")}
    if "left_eye" in found and "right_eye" in found:
        found["eyes"] = np.concatenate([found.pop("left_eye"), found.pop("right_eye")], axis=1)
    head = _joined(rotations["root"], rotations["head"])
    found["pose"] = np.concatenate([head, rotations["jaw"]], axis=1).astype(np.float32)
    return {name: array for name, array in found.items() if name not in ("left_eye", "right_eye")}


def _pose_parts(path: Path, pose: np.ndarray) -> dict[str, np.ndarray]:
    parts = POSE_PARTS.get(pose.shape[1])
    if parts is None:
        raise InputError(
            f"{path}: pose has {pose.shape[1]} numbers a frame; wanted 6 (head, jaw) or 15 (rotation, neck, jaw, "
            "eyes). 12 and 18 numbers are rotations of six numbers each, or joints in another order; "
            "write them as rotation, neck_pose, jaw_pose and eyes_pose"
        )
    edges = np.cumsum([0, *parts.values()])
    return {part: pose[:, first:end] for part, first, end in zip(parts, edges[:-1], edges[1:], strict=True)}


def _joined(root: np.ndarray, neck: np.ndarray) -> np.ndarray:
    """Axis-angle of a root rotation, then the neck's. Trackers leave one of the two at zero."""
    if not np.any(root):
        return neck
    if not np.any(neck):
        return root
    known = np.isfinite(root).all(axis=1) & np.isfinite(neck).all(axis=1)
    joined = np.full(root.shape, np.nan)
    joined[known] = (Rotation.from_rotvec(root[known]) * Rotation.from_rotvec(neck[known])).as_rotvec()
    return joined


def _axis_angle(six: np.ndarray) -> np.ndarray:
    """Axis-angle of rotations given by the first two rows of their matrices (Zhou et al. 2019, section B)."""
    first = six[:, :3] / np.linalg.norm(six[:, :3], axis=1, keepdims=True)
    second = six[:, 3:] - (first * six[:, 3:]).sum(axis=1, keepdims=True) * first
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    return Rotation.from_matrix(np.stack([first, second, np.cross(first, second)], axis=1)).as_rotvec()


def _renamed(arrays: Mapping[str, np.ndarray], parts: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays by our names; of several synonyms the first that is present."""
    found = {part: next((arrays[name] for name in SYNONYMS[part] if name in arrays), None) for part in parts}
    return {part: np.asarray(array) for part, array in found.items() if array is not None}
