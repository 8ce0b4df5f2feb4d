"""VRM animations (.vrma): glTF with the extension VRMC_vrm_animation 1.0, one participant in each file.

Players apply the rotations of the bones and, for each expression, the x translation of its node as the weight.
There are two files for each participant, because avatars have two kinds of expressions, and one file with both
would be applied twice to an avatar that has both kinds:

- `<label>.vrma` has ARKit's blendshapes as custom expressions, for avatars with "perfect sync";
- `<label>-presets.vrma` has the preset expressions that every VRM avatar has, which are a coarse approximation.

Source: VRM Consortium, VRMC_vrm_animation-1.0. `PRESETS` pairs presets with the ARKit blendshapes of the same part
of the face.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

import dualtalk
from dualtalk.core import HeadMotion
from dualtalk.export.contents import Export
from dualtalk.export.glb_container import GlbBinary, write_glb_file
from dualtalk.head.blendshapes import arkit_from_motion
from dualtalk.io.arkit import ARKIT_UNITS
from dualtalk.timebase import MOTION_FPS

# The bones that VRM requires, and neck and eyes: parent, and position in metres of a standing person in T-pose.
BONES: dict[str, tuple[str | None, tuple[float, float, float]]] = {
    "hips": (None, (0.0, 0.95, 0.0)),
    "spine": ("hips", (0.0, 1.05, 0.0)),
    "neck": ("spine", (0.0, 1.45, 0.0)),
    "head": ("neck", (0.0, 1.55, 0.0)),
    "leftEye": ("head", (0.03, 1.62, 0.07)),
    "rightEye": ("head", (-0.03, 1.62, 0.07)),
} | {
    side + bone: (side + parent if parent else top, (sign * x_m, y_m, 0.0))
    for side, sign in (("left", 1), ("right", -1))
    for bone, parent, top, x_m, y_m in (
        ("UpperArm", "", "spine", 0.15, 1.4),
        ("LowerArm", "UpperArm", "", 0.4, 1.4),
        ("Hand", "LowerArm", "", 0.65, 1.4),
        ("UpperLeg", "", "hips", 0.1, 0.9),
        ("LowerLeg", "UpperLeg", "", 0.1, 0.5),
        ("Foot", "LowerLeg", "", 0.1, 0.1),
    )
}
# Preset expression -> ARKit blendshapes and their shares.
PRESETS: dict[str, dict[str, float]] = {
    "aa": {"jawOpen": 1.0},
    "ih": {"mouthStretchLeft": 0.5, "mouthStretchRight": 0.5},
    "ou": {"mouthPucker": 1.0},
    "oh": {"mouthFunnel": 1.0},
    "blinkLeft": {"eyeBlinkLeft": 1.0},
    "blinkRight": {"eyeBlinkRight": 1.0},
    "happy": {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5},
    "angry": {"browDownLeft": 0.5, "browDownRight": 0.5},
    "sad": {"mouthFrownLeft": 0.5, "mouthFrownRight": 0.5},
    "surprised": {"browInnerUp": 0.5, "eyeWideLeft": 0.25, "eyeWideRight": 0.25},
}


def write_vrma(export: Export, folder: Path) -> list[str]:
    """`a.vrma`, `a-presets.vrma` and the same for b, and the voices."""
    motions, notes = export.open_motions()
    for label, motion in motions.items():
        units = dict(zip(ARKIT_UNITS, arkit_from_motion(motion).T, strict=True))
        presets = {
            name: sum((share * units[unit] for unit, share in parts.items()), np.zeros(motion.frames))
            for name, parts in PRESETS.items()
        }
        _write_animation(folder / f"{label}.vrma", motion, "custom", units)
        _write_animation(folder / f"{label}-presets.vrma", motion, "preset", presets)
    export.write_voices(folder)
    return [*notes, "<label>-presets.vrma approximates the face by VRM's preset expressions"]


def _write_animation(
    path: Path, motion: HeadMotion, kind: str, weights: dict[str, Float[np.ndarray, "frame"]]
) -> None:
    """Write one file; `kind` is "custom" or "preset"."""
    binary, names = GlbBinary(), list(BONES)
    times = binary.add((np.arange(motion.frames) / MOTION_FPS).astype(np.float32), bounded=True)
    eyes = motion.eyes_rotvec_rad
    rotvecs_rad = {"head": motion.head_rotvec_rad, "leftEye": eyes[:, :3], "rightEye": eyes[:, 3:]}
    tracks = [
        (names.index(bone), "rotation", Rotation.from_rotvec(each).as_quat().astype(np.float32))
        for bone, each in rotvecs_rad.items()
    ]
    for number, weight in enumerate(weights.values(), start=len(names)):
        shift = np.zeros((motion.frames, 3), np.float32)
        # Players take weights from 0 to 1.
        shift[:, 0] = np.clip(weight, 0, 1)
        tracks.append((number, "translation", shift))
    samplers = [
        {"input": times, "interpolation": "LINEAR", "output": binary.add(values)} for _, _, values in tracks
    ]
    channels = [
        {"sampler": sampler, "target": {"node": node, "path": what}}
        for sampler, (node, what, _) in enumerate(tracks)
    ]
    extension = {
        "specVersion": "1.0",
        "humanoid": {"humanBones": {bone: {"node": node} for node, bone in enumerate(names)}},
        "expressions": {kind: {name: {"node": len(names) + number} for number, name in enumerate(weights)}},
    }
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"dualtalk {dualtalk.__version__}"},
        "extensionsUsed": ["VRMC_vrm_animation"],
        "extensions": {"VRMC_vrm_animation": extension},
        "scene": 0,
        "scenes": [{"nodes": [0, *range(len(names), len(names) + len(weights))]}],
        "nodes": [*_bone_nodes(), *({"name": name} for name in weights)],
        "animations": [{"name": path.stem, "samplers": samplers, "channels": channels}],
    }
    write_glb_file(path, document, binary)


def _bone_nodes() -> list[dict[str, Any]]:
    names, nodes = list(BONES), []
    for bone, (parent, position_m) in BONES.items():
        origin = BONES[parent][1] if parent else (0.0, 0.0, 0.0)
        children = [names.index(other) for other, (above, _) in BONES.items() if above == bone]
        node = {"name": bone, "translation": np.subtract(position_m, origin).tolist()}
        nodes.append(node | ({"children": children} if children else {}))
    return nodes
