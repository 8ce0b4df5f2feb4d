"""Export to glTF: another loader, posed as the specification says, reproduces the motion."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dualtalk.core import HeadMotion
from dualtalk.errors import InputError
from dualtalk.export.gltf import write_glb
from dualtalk.head import load_head
from dualtalk.head.blendshapes import ARKIT_UNITS
from dualtalk.render.scene import APPEARANCES
from dualtalk.render.surface import Surface

pygltflib = pytest.importorskip("pygltflib", reason="it comes with the extra `dev`")

TOLERANCE_M = 0.0005
COMPONENT = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTH = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
PLACEMENTS = {"a": np.eye(4, dtype=np.float32), "b": np.eye(4, dtype=np.float32)}
PLACEMENTS["b"][:3, 3] = (0.4, 0.1, -0.2)
PLACEMENTS["b"][:3, :3] = Rotation.from_rotvec((0, 1.2, 0)).as_matrix()


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def motions(lively) -> dict[str, HeadMotion]:
    return {"a": lively(100, 0), "b": lively(100, 1)}


@pytest.fixture(scope="module")
def path(head, motions, tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "dialogue.glb"
    write_glb(path, head, motions, dict(zip("ab", APPEARANCES, strict=True)), PLACEMENTS)
    return path


@pytest.fixture(scope="module")
def gltf(path):
    return pygltflib.GLTF2().load(str(path))


def raw(gltf, view: int, kind, count: int, width: int, offset: int = 0) -> np.ndarray:
    start = (gltf.bufferViews[view].byteOffset or 0) + offset
    flat = np.frombuffer(gltf.binary_blob(), kind, count * width, start)
    return flat.reshape(count, width) if width > 1 else flat


def values(gltf, index: int) -> np.ndarray:
    accessor = gltf.accessors[index]
    kind, width = COMPONENT[accessor.componentType], WIDTH[accessor.type]
    if accessor.bufferView is None:
        read = np.zeros((accessor.count, width), kind)
    else:
        read = raw(gltf, accessor.bufferView, kind, accessor.count, width, accessor.byteOffset or 0).copy()
    if accessor.sparse:
        count, where, what = accessor.sparse.count, accessor.sparse.indices, accessor.sparse.values
        rows = raw(gltf, where.bufferView, COMPONENT[where.componentType], count, 1)
        read[rows] = raw(gltf, what.bufferView, kind, count, width)
    return read


def local(node, tracks: dict, frame: int) -> np.ndarray:
    matrix = np.eye(4)
    if node.matrix is not None:
        return np.array(node.matrix).reshape(4, 4).T
    rotation = tracks["rotation"][frame] if "rotation" in tracks else node.rotation or (0, 0, 0, 1)
    matrix[:3, :3] = Rotation.from_quat(rotation).as_matrix()
    matrix[:3, 3] = tracks["translation"][frame] if "translation" in tracks else node.translation or (0, 0, 0)
    return matrix


def posed(gltf, person: int) -> np.ndarray:
    """(frame, corner, 3) as the specification says, in double precision."""
    animation = gltf.animations[0]
    tracks: dict[int, dict] = {index: {} for index in range(len(gltf.nodes))}
    for channel in animation.channels:
        track = values(gltf, animation.samplers[channel.sampler].output)
        tracks[channel.target.node][channel.target.path] = track
    body = next(index for index, node in enumerate(gltf.nodes) if node.mesh == person)
    primitive, skin = gltf.meshes[person].primitives[0], gltf.skins[gltf.nodes[body].skin]
    rest = values(gltf, primitive.attributes.POSITION).astype(float)
    targets = np.stack([values(gltf, target["POSITION"]) for target in primitive.targets]).astype(float)
    weights = tracks[body]["weights"].reshape(-1, len(targets)).astype(float)
    morphed = rest + np.tensordot(weights, targets, 1)
    parents = {child: index for index, node in enumerate(gltf.nodes) for child in node.children or []}
    inverse_bind = values(gltf, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
    joints = values(gltf, primitive.attributes.JOINTS_0)
    share = values(gltf, primitive.attributes.WEIGHTS_0).astype(float)
    out = np.empty_like(morphed)
    for frame in range(len(morphed)):
        world = {}

        def globally(node: int, frame: int = frame, world: dict = world) -> np.ndarray:
            if node not in world:
                here = local(gltf.nodes[node], tracks[node], frame)
                world[node] = globally(parents[node]) @ here if node in parents else here
            return world[node]

        skinning = np.stack([globally(node) for node in skin.joints]) @ inverse_bind
        blended = np.einsum("vi,vixy->vxy", share, skinning[joints])
        out[frame] = np.einsum("vxy,vy->vx", blended[:, :3, :3], morphed[frame]) + blended[:, :3, 3]
    return out


@pytest.mark.parametrize("person", [0, 1])
def test_playing_the_animation_is_the_motion(head, motions, gltf, person):
    name = "ab"[person]
    expected = head.vertices(motions[name])[:, Surface.of(head).source]
    expected = expected @ PLACEMENTS[name][:3, :3].T + PLACEMENTS[name][:3, 3]
    distance_m = np.linalg.norm(posed(gltf, person) - expected, axis=2)
    assert distance_m.max() < TOLERANCE_M / 10


def test_every_arkit_blendshape_exists_and_moves_the_face(head, gltf):
    names = gltf.meshes[0].extras["targetNames"]
    primitive = gltf.meshes[0].primitives[0]
    assert tuple(names[:52]) == ARKIT_UNITS
    assert len(names) == len(primitive.targets) == len(gltf.meshes[0].weights)
    sizes = [np.linalg.norm(values(gltf, target["POSITION"]), axis=1).max() for target in primitive.targets]
    assert min(sizes[:52]) > 0.0005


def test_times_are_at_25_fps_and_animations_have_the_labels(gltf):
    assert [animation.name for animation in gltf.animations] == ["dialogue", "a", "b"]
    np.testing.assert_allclose(values(gltf, gltf.animations[0].samplers[0].input), np.arange(100) / 25, atol=1e-6)


def test_participant_animations_are_parts_of_the_dialogue(gltf):
    both, *alone = (
        [(channel.target.node, channel.target.path) for channel in one.channels] for one in gltf.animations
    )
    assert alone[0] + alone[1] == both
    outputs, *own = ([sampler.output for sampler in one.samplers] for one in gltf.animations)
    assert own[0] + own[1] == outputs


def test_weights_are_between_0_and_1(gltf):
    for animation in gltf.animations:
        for channel in animation.channels:
            if channel.target.path == "weights":
                weights = values(gltf, animation.samplers[channel.sampler].output)
                assert weights.min() >= 0
                assert weights.max() <= 1


def test_skinning_weights_sum_to_one_and_quaternions_are_continuous(gltf):
    share = values(gltf, gltf.meshes[0].primitives[0].attributes.WEIGHTS_0)
    np.testing.assert_allclose(share.sum(axis=1), 1, atol=1e-6)
    for animation in gltf.animations:
        for channel in animation.channels:
            if channel.target.path == "rotation":
                quaternions = values(gltf, animation.samplers[channel.sampler].output)
                np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1, atol=1e-6)
                assert (np.einsum("fq,fq->f", quaternions[1:], quaternions[:-1]) >= 0).all()


def test_colours_are_the_renderers(head, gltf):
    for person, appearance in enumerate(APPEARANCES):
        colours = values(gltf, gltf.meshes[person].primitives[0].attributes.COLOR_0) / 65535
        np.testing.assert_allclose(colours[:, :3], Surface.of(head).colours(appearance)[:, :3], atol=1e-4)


def test_a_minute_of_two_participants_is_below_8_mb(head, lively, tmp_path):
    motions = {"a": lively(1500, 2), "b": lively(1500, 3)}
    write_glb(tmp_path / "minute.glb", head, motions, dict(zip("ab", APPEARANCES, strict=True)), PLACEMENTS)
    assert (tmp_path / "minute.glb").stat().st_size < 8e6


def test_motion_in_another_space_or_empty_is_rejected(head, lively, tmp_path):
    motion = lively(2, 0)
    for wrong, about in ((HeadMotion(motion.coefficients, "flame"), "space"), (motion[:0], "no frames")):
        with pytest.raises(InputError, match=about):
            write_glb(tmp_path / "none.glb", head, {"a": wrong}, {"a": APPEARANCES[0]}, PLACEMENTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("label", ["a", "b"])
def test_weights_of_a_still_person_have_targets(head, tmp_path, label):
    """A weights channel on a mesh without targets crashes viewers (KhronosGroup/glTF-Blender-IO#1785)."""
    still = {label: HeadMotion(np.zeros((5, 62), np.float32), "open")}
    path = tmp_path / "still.glb"
    write_glb(path, head, still, {label: APPEARANCES["ab".index(label)]}, {label: PLACEMENTS[label]})
    found = pygltflib.GLTF2().load(str(path))
    channels = [channel for animation in found.animations for channel in animation.channels]
    driven = [channel for channel in channels if channel.target.path == "weights"]
    assert driven
    for animation in found.animations:
        for channel in animation.channels:
            if channel.target.path != "weights":
                continue
            mesh = found.meshes[found.nodes[channel.target.node].mesh]
            targets = {len(primitive.targets) for primitive in mesh.primitives}
            assert targets == {len(mesh.weights)}
            sampler = animation.samplers[channel.sampler]
            frames = found.accessors[sampler.input].count
            assert found.accessors[sampler.output].count == frames * len(mesh.weights)
