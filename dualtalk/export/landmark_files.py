"""Face landmarks over time, in space and as pixels of the picture that the format `driving-video` renders."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from dualtalk.export.contents import Export
from dualtalk.export.driving_video import front_layout
from dualtalk.head import Head
from dualtalk.head.landmarks import landmarks_68, landmarks_478
from dualtalk.io.atomic import written_whole
from dualtalk.render.scene import eye_midpoint_m
from dualtalk.timebase import MOTION_FPS


def write_landmarks(export: Export, folder: Path) -> list[str]:
    """`a.npz` and `b.npz`: `points68_m`, `points478_m` (frame, landmark, 3) in head coordinates, and `pixels68`,
    `pixels478` (frame, landmark, 2), x to the right and y down; `fps` and `size_px`."""
    export, notes = export.retargeted()
    head, size_px = export.skinned_head, export.options.size_px
    for label, motion in export.motions.items():
        arrays = {"fps": np.array(MOTION_FPS), "size_px": np.array(size_px)}
        for count, places in ((68, landmarks_68(head)), (478, landmarks_478(head))):
            points_m = places.positions_m(head, motion)
            arrays[f"points{count}_m"] = points_m
            arrays[f"pixels{count}"] = front_pixels(head, points_m, size_px)
        with written_whole(folder / f"{label}.npz") as partial:
            np.savez_compressed(partial, allow_pickle=False, **arrays)
    export.write_voices(folder)
    return notes


def front_pixels(
    head: Head, points_m: Float[np.ndarray, "frame point 3"], size_px: int
) -> Float32[np.ndarray, "frame point 2"]:
    """Where the camera of `driving-video` sees points of the head."""
    layout = front_layout()
    (viewport,) = layout.viewports
    matrix = viewport.camera.clip_from_world(1.0) @ layout.placements[0].world_from_head(eye_midpoint_m(head))
    clip = np.concatenate([points_m, np.ones((*points_m.shape[:-1], 1))], axis=-1) @ matrix.T
    screen = clip[..., :2] / clip[..., 3:] * [1, -1]
    return ((screen + 1) / 2 * size_px).astype(np.float32)
