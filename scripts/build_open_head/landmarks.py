"""Place mediapipe's 478 face landmarks on the open head: writes `dualtalk/head/open_head_landmarks.npz`.

    python scripts/build_open_head/landmarks.py render DIR
    PYTHON_WITH_MEDIAPIPE scripts/build_open_head/landmarks.py detect DIR
    python scripts/build_open_head/landmarks.py embed DIR

`detect` needs mediapipe 0.10.21, which does not work with the project's version of numpy, and so its own
environment. Heads of several identities are drawn from the front, at rest and with the mouth open; mediapipe
detects its landmarks; a ray through each landmark meets the posed mesh in a triangle. The places of all identities
are averaged on the mean head. Lips are taken from the open mouth, because closed lips share their outline.
"""

import sys
from pathlib import Path

import numpy as np

SIZE_PX, IDENTITIES = 768, 9
OUT = Path(__file__).parents[2] / "dualtalk" / "head" / "open_head_landmarks.npz"
# Landmarks of the lips in mediapipe's numbering (FACEMESH_LIPS).
LIPS = (
    *(0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191, 267, 269, 270),
    *(291, 308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415),
)


def motions() -> list:
    """For each identity: at rest, and with the mouth open."""
    from dataclasses import replace

    from dualtalk.head.blendshapes import ARKIT_UNITS, motion_from_arkit

    units = np.zeros((2, len(ARKIT_UNITS)))
    units[1, ARKIT_UNITS.index("jawOpen")] = 0.5
    posed = motion_from_arkit(units)
    rng = np.random.default_rng(0)
    found = []
    for number in range(IDENTITIES):
        identity = np.zeros(300, np.float32)
        if number:
            identity[:24] = 0.7 * rng.standard_normal(24)
        found.append(replace(posed, identity=identity))
    return found


def render(folder: Path) -> None:
    from contextlib import closing
    from dataclasses import replace

    from PIL import Image

    from dualtalk.export.driving_video import front_layout
    from dualtalk.head import load_head
    from dualtalk.render.renderer import open_renderer
    from dualtalk.render.scene import APPEARANCES, Scene

    head, plain = load_head("open"), replace(APPEARANCES[0], label="")
    scene = Scene(head, front_layout(), (plain, plain), (SIZE_PX, SIZE_PX))
    folder.mkdir(exist_ok=True)
    with closing(open_renderer(scene)) as renderer:
        for number, motion in enumerate(motions()):
            for frame, vertices in enumerate(head.vertices(motion)):
                Image.fromarray(renderer.frame(vertices, vertices)).save(folder / f"{number}_{frame}.png")


def detect(folder: Path) -> None:
    import mediapipe
    from PIL import Image

    for path in sorted(folder.glob("*.png")):
        with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:
            found = mesh.process(np.array(Image.open(path))).multi_face_landmarks
        if not found:
            raise SystemExit(f"no face in {path}")
        points = np.array([[point.x, point.y] for point in found[0].landmark])
        np.save(path.with_suffix(".npy"), points * SIZE_PX)


def embed(folder: Path) -> None:
    from dualtalk.export.driving_video import front_layout
    from dualtalk.head import Region, load_head
    from dualtalk.render.scene import eye_midpoint_m

    head = load_head("open")
    layout = front_layout()
    clip = layout.viewports[0].camera.clip_from_world(1.0)
    clip = clip @ layout.placements[0].world_from_head(eye_midpoint_m(head))
    kept = np.isin(
        head.regions, (Region.SKIN, Region.LIPS, Region.SCLERA, Region.IRIS, Region.PUPIL, Region.MOUTH_INSIDE)
    )
    faces = head.faces[kept]
    places = []
    for number, motion in enumerate(motions()):
        rest, opened = (
            triangle_under(points_of(folder / f"{number}_{frame}.npy"), vertices, faces, clip)
            for frame, vertices in enumerate(head.vertices(motion))
        )
        rest[0][list(LIPS)], rest[1][list(LIPS)] = opened[0][list(LIPS)], opened[1][list(LIPS)]
        places.append(np.einsum("lc,lcx->lx", rest[1], head.template[faces[rest[0]]]))
    spread_mm = 1000 * np.linalg.norm(np.std(places, axis=0), axis=1)
    print(f"spread over identities: mean {spread_mm.mean():.2f} mm, largest {spread_mm.max():.2f} mm")
    numbers, corners = nearest_on_surface(np.median(places, axis=0), head.template, faces, places[0])
    vertices = faces[numbers]
    np.savez_compressed(OUT, vertices=vertices.astype(np.int32), weights=corners.astype(np.float32))


def points_of(path: Path) -> np.ndarray:
    """Landmarks in clip coordinates, -1 to 1, y up."""
    return (np.load(path) / SIZE_PX * 2 - 1) * [1, -1]


def triangle_under(points, vertices, faces, clip):
    """For each point, the front triangle that it lies in, and its barycentric coordinates there."""
    projected = np.c_[vertices, np.ones(len(vertices))] @ clip.T
    screen, depth = projected[:, :2] / projected[:, 3:], projected[:, 2] / projected[:, 3]
    a, b, c = (screen[faces[:, corner]] for corner in range(3))
    area = cross(b - a, c - a)
    numbers, corners = np.zeros(len(points), int), np.zeros((len(points), 3))
    for number, point in enumerate(points):
        weights = np.stack([cross(c - b, point - b), cross(a - c, point - c), cross(b - a, point - a)], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = weights / area[:, None]
        inside = np.flatnonzero((area > 0) & (weights >= -1e-9).all(axis=1))
        if not len(inside):
            # Beyond the outline: the nearest triangle of the outline.
            middle = (a + b + c) / 3
            inside = np.flatnonzero(area > 1e-12)[
                np.linalg.norm(middle[area > 1e-12] - point, axis=1).argmin(keepdims=True)
            ]
            weights[inside] = 1 / 3
        nearest = inside[(weights[inside] * depth[faces[inside]]).sum(axis=1).argmin()]
        numbers[number], corners[number] = nearest, weights[nearest] / weights[nearest].sum()
    return numbers, corners


def cross(one, other):
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def nearest_on_surface(points, vertices, faces, same_side):
    """The nearest triangle of each point among those near `same_side`, with barycentric coordinates."""
    from trimesh.triangles import closest_point, points_to_barycentric

    triangles = vertices[faces]
    middles = triangles.mean(axis=1)
    numbers, corners = np.zeros(len(points), int), np.zeros((len(points), 3))
    for number, (point, own) in enumerate(zip(points, same_side, strict=True)):
        near = np.argsort(np.linalg.norm(middles - (point + 3 * own) / 4, axis=1))[:40]
        closest = closest_point(triangles[near], np.tile(point, (len(near), 1)))
        best = np.linalg.norm(closest - point, axis=1).argmin()
        numbers[number] = near[best]
        corners[number] = points_to_barycentric(triangles[near[best]][None], closest[best][None])[0]
    return numbers, np.clip(corners, 0, 1) / np.clip(corners, 0, 1).sum(axis=1, keepdims=True)


if __name__ == "__main__":
    {"render": render, "detect": detect, "embed": embed}[sys.argv[1]](Path(sys.argv[2]))
