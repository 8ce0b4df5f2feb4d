"""Both participants in one USD file: UsdSkel skeletons, blendshapes and animation; 25 frames a second, metres.

Only this module imports pxr, which the extra `usd` installs. Source: Pixar, "UsdSkel", sections on schemas and
skinning. `rig.py` defines joints and blendshapes. Colours are per face, because materials meet along edges.
"""

import os
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

from dualtalk.core import HeadMotion
from dualtalk.errors import missing_extra
from dualtalk.export.rig import JOINTS, PARENTS, BlendShapes, RiggedMotion
from dualtalk.head.regions import Region
from dualtalk.head.skinned import SkinnedHead
from dualtalk.io.atomic import written_whole
from dualtalk.render.scene import Appearance
from dualtalk.timebase import MOTION_FPS

# Margin around the rest mesh for the extent attribute.
EXTENT_MARGIN_M = 0.05


def _pxr() -> SimpleNamespace:
    """The modules of usd-core that this file uses.

    Raises
    ------
    SetupError
        usd-core is not installed.
    """
    try:
        from pxr import Gf, Sdf, Usd, UsdGeom, UsdMedia, UsdSkel, Vt
    except ImportError as error:
        raise missing_extra("USD export", "usd", error) from error
    modules = {"Gf": Gf, "Sdf": Sdf, "Usd": Usd, "UsdGeom": UsdGeom, "UsdMedia": UsdMedia, "UsdSkel": UsdSkel}
    return SimpleNamespace(Vt=Vt, **modules)


def write_usd(
    path: str | os.PathLike,
    head: SkinnedHead,
    motions: Mapping[str, HeadMotion],
    appearances: Mapping[str, Appearance],
    placements: Mapping[str, np.ndarray],
    time_codes_per_second: int = MOTION_FPS,
) -> None:
    """Write the participants.

    The suffix selects text (.usda) or binary (.usdc, .usd). The file references the voice of participant a as
    `a.wav` in its own folder.

    Parameters
    ----------
    motions, appearances, placements : mapping
        By participant label; a placement is the (4, 4) matrix from head to scene coordinates, metres.
    time_codes_per_second : int
        Unit of the file's times; the samples stay at 25 frames a second. QuickLook plays 60 time codes a second,
        whatever the file says.

    Raises
    ------
    SetupError
        usd-core is not installed.
    InputError
        A motion is in another space than `head` or has no frames.
    """
    pxr = _pxr()
    rigged = {name: RiggedMotion.of(head, motion) for name, motion in motions.items()}
    with written_whole(path) as partial:
        stage = pxr.Usd.Stage.CreateNew(str(partial))
        pxr.UsdGeom.SetStageUpAxis(stage, pxr.UsdGeom.Tokens.y)
        pxr.UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        stage.SetTimeCodesPerSecond(time_codes_per_second)
        stage.SetFramesPerSecond(time_codes_per_second)
        codes_per_frame = time_codes_per_second / MOTION_FPS
        stage.SetStartTimeCode(0)
        stage.SetEndTimeCode((max(motion.frames for motion in motions.values()) - 1) * codes_per_frame)
        world = pxr.UsdGeom.Xform.Define(stage, "/dialogue")
        stage.SetDefaultPrim(world.GetPrim())
        for name, motion in rigged.items():
            at = f"/dialogue/{name}"
            _add_participant(pxr, stage, at, head, motion, appearances[name], placements[name], codes_per_frame)
        stage.GetRootLayer().Save()
        # The layer keeps the file open under its temporary name.
        del stage


def _add_participant(
    pxr,
    stage,
    at: str,
    head: SkinnedHead,
    rigged: RiggedMotion,
    appearance: Appearance,
    placement: np.ndarray,
    codes_per_frame: float,
) -> None:
    root = pxr.UsdSkel.Root.Define(stage, at)
    # USD matrices multiply row vectors.
    root.AddTransformOp().Set(pxr.Gf.Matrix4d(placement.T.astype(float).tolist()))
    skeleton = _skeleton(pxr, stage, f"{at}/skeleton", rigged)
    shapes = BlendShapes.of(head)
    animation = _animation(pxr, stage, f"{at}/skeleton/animation", rigged, shapes.names, codes_per_frame)
    binding = pxr.UsdSkel.BindingAPI.Apply(skeleton.GetPrim())
    binding.CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    mesh = _mesh(pxr, stage, f"{at}/head", head, rigged, appearance)
    _bind(pxr, stage, mesh, skeleton, head, shapes)
    sound = pxr.UsdMedia.SpatialAudio.Define(stage, f"{at}/voice")
    sound.CreateFilePathAttr(pxr.Sdf.AssetPath(f"./{at.rsplit('/', 1)[1]}.wav"))
    sound.CreateAuralModeAttr(pxr.UsdMedia.Tokens.nonSpatial)


def _joint_paths() -> list[str]:
    paths: list[str] = []
    for joint, parent in zip(JOINTS, PARENTS, strict=True):
        paths.append(joint if parent < 0 else f"{paths[parent]}/{joint}")
    return paths


def _skeleton(pxr, stage, at: str, rigged: RiggedMotion):
    skeleton = pxr.UsdSkel.Skeleton.Define(stage, at)
    skeleton.CreateJointsAttr(_joint_paths())
    skeleton.CreateBindTransformsAttr([_translation(pxr, place) for place in rigged.joints_m])
    skeleton.CreateRestTransformsAttr([_translation(pxr, offset) for offset in rigged.offsets_m[0]])
    return skeleton


def _translation(pxr, place_m: np.ndarray):
    return pxr.Gf.Matrix4d(1).SetTranslate(pxr.Gf.Vec3d(*place_m.tolist()))


def _animation(pxr, stage, at: str, rigged: RiggedMotion, shapes: tuple[str, ...], codes_per_frame: float):
    animation = pxr.UsdSkel.Animation.Define(stage, at)
    animation.CreateJointsAttr(_joint_paths())
    animation.CreateBlendShapesAttr(list(shapes))
    animation.CreateScalesAttr([(1, 1, 1)] * len(JOINTS))
    rotations, offsets = animation.CreateRotationsAttr(), animation.CreateTranslationsAttr()
    weights = animation.CreateBlendShapeWeightsAttr()
    for frame in range(len(rigged.weights)):
        code = frame * codes_per_frame
        rotations.Set([pxr.Gf.Quatf(w, x, y, z) for x, y, z, w in rigged.quaternions_xyzw[frame].tolist()], code)
        offsets.Set(pxr.Vt.Vec3fArray.FromNumpy(rigged.offsets_m[frame]), code)
        weights.Set(pxr.Vt.FloatArray.FromNumpy(rigged.weights[frame]), code)
    return animation


def _mesh(pxr, stage, at: str, head: SkinnedHead, rigged: RiggedMotion, appearance: Appearance):
    mesh = pxr.UsdGeom.Mesh.Define(stage, at)
    mesh.CreatePointsAttr(pxr.Vt.Vec3fArray.FromNumpy(rigged.rest_m))
    mesh.CreateFaceVertexCountsAttr([3] * len(head.faces))
    mesh.CreateFaceVertexIndicesAttr(pxr.Vt.IntArray.FromNumpy(head.faces.reshape(-1)))
    mesh.CreateSubdivisionSchemeAttr(pxr.UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(True)
    extent = np.stack([rigged.rest_m.min(axis=0) - EXTENT_MARGIN_M, rigged.rest_m.max(axis=0) + EXTENT_MARGIN_M])
    mesh.CreateExtentAttr(pxr.Vt.Vec3fArray.FromNumpy(extent))
    linear = (np.array([appearance.colour(region) for region in Region], np.float32) / 255) ** 2.2
    colours = mesh.CreateDisplayColorPrimvar(pxr.UsdGeom.Tokens.uniform)
    colours.Set(pxr.Vt.Vec3fArray.FromNumpy(linear[head.regions]))
    return mesh


def _bind(pxr, stage, mesh, skeleton, head: SkinnedHead, shapes: BlendShapes) -> None:
    """Bind the mesh to its joints and blendshapes."""
    binding = pxr.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    count, weights = len(JOINTS), head.arrays.weights.astype(np.float32)
    joints = np.tile(np.arange(count, dtype=np.int32), len(weights))
    binding.CreateJointIndicesPrimvar(False, count).Set(pxr.Vt.IntArray.FromNumpy(joints))
    binding.CreateJointWeightsPrimvar(False, count).Set(pxr.Vt.FloatArray.FromNumpy(weights.reshape(-1)))
    binding.CreateGeomBindTransformAttr(pxr.Gf.Matrix4d(1))
    targets = []
    for name, offsets_m in zip(shapes.names, shapes.offsets_m, strict=True):
        nonzero = np.flatnonzero(offsets_m.any(axis=1)).astype(np.int32)
        shape = pxr.UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(name))
        shape.CreateOffsetsAttr(pxr.Vt.Vec3fArray.FromNumpy(offsets_m[nonzero]))
        shape.CreatePointIndicesAttr(pxr.Vt.IntArray.FromNumpy(nonzero))
        targets.append(shape.GetPath())
    binding.CreateBlendShapesAttr(list(shapes.names))
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)
