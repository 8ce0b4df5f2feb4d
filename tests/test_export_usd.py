"""Export to USD: USD's own skinning reproduces the motion."""

import numpy as np
import pytest

from dualtalk.export.usd import write_usd
from dualtalk.head import load_head
from dualtalk.head.blendshapes import ARKIT_UNITS
from dualtalk.render.scene import APPEARANCES

pxr = pytest.importorskip("pxr", reason="it comes with the extra `usd`")

TOLERANCE_M = 0.0005
FRAMES = 100


@pytest.fixture(scope="module")
def motions(lively):
    return {"a": lively(FRAMES, 0), "b": lively(FRAMES, 1)}


@pytest.fixture(scope="module")
def stage(motions, tmp_path_factory):
    from pxr import Usd

    path = tmp_path_factory.mktemp("usd") / "dialogue.usdc"
    placements = {name: np.eye(4, dtype=np.float32) for name in motions}
    placements["b"][:3, 3] = (0.4, 0.1, -0.2)
    for _ in range(2):
        write_usd(path, load_head("open"), motions, dict(zip("ab", APPEARANCES, strict=True)), placements)
    return Usd.Stage.Open(str(path))


def posed(stage, person: str) -> np.ndarray:
    """(frame, vertex, 3) in the head's coordinates."""
    from pxr import Usd, UsdGeom, UsdSkel

    at = f"/dialogue/{person}"
    cache = UsdSkel.Cache()
    cache.Populate(UsdSkel.Root(stage.GetPrimAtPath(at)), Usd.PrimDefaultPredicate)
    mesh = stage.GetPrimAtPath(f"{at}/head")
    skinning = cache.GetSkinningQuery(mesh)
    skeleton = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath(f"{at}/skeleton")))
    shapes = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(mesh))
    offsets, indices = shapes.ComputeSubShapePointOffsets(), shapes.ComputeBlendShapePointIndices()
    out = []
    for frame in range(FRAMES):
        points = UsdGeom.Mesh(mesh).GetPointsAttr().Get()
        weights = skeleton.GetAnimQuery().ComputeBlendShapeWeights(frame)
        sub_weights, numbers, sub_shapes = shapes.ComputeSubShapeWeights(weights)
        assert shapes.ComputeDeformedPoints(sub_weights, numbers, sub_shapes, indices, offsets, points)
        assert skinning.ComputeSkinnedPoints(skeleton.ComputeSkinningTransforms(frame), points, frame)
        out.append(np.array(points))
    return np.stack(out)


@pytest.mark.parametrize("person", ["a", "b"])
def test_animation_reproduces_the_motion(motions, stage, person):
    expected = load_head("open").vertices(motions[person])
    assert np.linalg.norm(posed(stage, person) - expected, axis=2).max() < TOLERANCE_M / 10


def test_stage_declares_units_and_frame_rate(stage):
    from pxr import UsdGeom

    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (25, 0, FRAMES - 1)


def test_blendshapes_and_placements(stage):
    from pxr import Gf, UsdGeom, UsdSkel

    names = UsdSkel.BindingAPI(stage.GetPrimAtPath("/dialogue/a/head")).GetBlendShapesAttr().Get()
    assert tuple(names[:52]) == ARKIT_UNITS
    placement = UsdGeom.Xformable(stage.GetPrimAtPath("/dialogue/b")).GetLocalTransformation()
    assert Gf.IsClose(placement.ExtractTranslation(), Gf.Vec3d(0.4, 0.1, -0.2), 1e-6)


def test_sixty_time_codes_a_second_hold_the_same_samples(motions, tmp_path):
    from pxr import Usd, UsdSkel

    placements = {name: np.eye(4, dtype=np.float32) for name in motions}
    short = {name: motion[:6] for name, motion in motions.items()}
    weights = []
    for rate in (25, 60):
        path = tmp_path / f"{rate}.usda"
        write_usd(path, load_head("open"), short, dict(zip("ab", APPEARANCES, strict=True)), placements, rate)
        opened = Usd.Stage.Open(str(path))
        assert opened.GetTimeCodesPerSecond() == opened.GetFramesPerSecond() == rate
        assert opened.GetEndTimeCode() / rate == pytest.approx(5 / 25)
        animation = UsdSkel.Animation(opened.GetPrimAtPath("/dialogue/a/skeleton/animation"))
        samples = animation.GetBlendShapeWeightsAttr().GetTimeSamples()
        assert np.allclose(np.array(samples) / rate, np.arange(6) / 25)
        weights.append([np.array(animation.GetBlendShapeWeightsAttr().Get(code)) for code in samples])
    np.testing.assert_array_equal(*weights)
