"""Rendering: two independent renderers agree, A is left and B right, the same motion gives the same bytes."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from pyannote.core import Segment, Timeline

from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.errors import InputError, SetupError
from dualtalk.head import Region, load_head
from dualtalk.render import draw_stills, render_stills, write_mesh
from dualtalk.render.edges import MeshEdges
from dualtalk.render.renderer import open_renderer
from dualtalk.render.scene import APPEARANCES, Scene, camera_layout
from dualtalk.render.surface import Normals, Surface
from dualtalk.timebase import SAMPLES_PER_FRAME

SIZE = (256, 128)


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def _motion(frames, space="open", head_rotvec_rad=(0, 0, 0)):
    return HeadMotion.from_parts(
        expression=np.zeros((frames, 50), np.float32),
        jaw_rotvec_rad=np.zeros((frames, 3), np.float32),
        head_rotvec_rad=np.tile(np.float32(head_rotvec_rad), (frames, 1)),
        eyes_rotvec_rad=np.zeros((frames, 6), np.float32),
        space=space,
    )


def _conversation(frames=3, a=None, b=None):
    silence = np.zeros(frames * SAMPLES_PER_FRAME, np.float32)
    motions = (_motion(frames) if motion is None else motion for motion in (a, b))
    return Conversation(*(Participant(silence, Timeline(), motion) for motion in motions))


def _silhouette(scene, renderer_name):
    """Mask of the pixels that change when both heads are moved out of the frame."""
    renderer = open_renderer(scene, renderer_name)
    try:
        rest = scene.head.template
        with_heads, without = (renderer.frame(v, v).astype(int) for v in (rest, rest + np.float32(100)))
    finally:
        renderer.close()
    return np.abs(with_heads - without).max(axis=-1) > 24


@pytest.mark.parametrize("view", ["split", "face-to-face"])
def test_both_renderers_draw_the_same_silhouette(head, view):
    scene = Scene(head, camera_layout(view), size=(512, 256))
    first, second = _silhouette(scene, "moderngl"), _silhouette(scene, "pyrender")
    solid = slice(0, 176)  # Below, the bust fades out, and the renderers' lights differ.
    union = (first | second)[solid].sum()
    assert union > 0.1 * first[solid].size
    assert (first & second)[solid].sum() / union > 0.98


def test_face_to_face_view_separates_the_heads(head):
    silhouette = _silhouette(Scene(head, camera_layout("face-to-face"), size=SIZE), "moderngl")
    columns = np.flatnonzero(silhouette.any(axis=0))
    gap = np.diff(columns).max()
    assert gap > SIZE[0] / 4
    edge = columns[np.diff(columns).argmax()]
    assert edge < SIZE[0] / 2 < edge + gap


@pytest.mark.parametrize("renderer_name", ["moderngl", "pyrender"])
@pytest.mark.parametrize("view", ["split", "face-to-face"])
def test_a_is_left_and_b_is_right(head, renderer_name, view):
    renderer = open_renderer(Scene(head, camera_layout(view), size=SIZE), renderer_name)
    try:
        rest, hidden = head.template, head.template + np.float32(100)
        empty, only_a, only_b = (
            renderer.frame(*pair).astype(int) for pair in ((hidden, hidden), (rest, hidden), (hidden, rest))
        )
    finally:
        renderer.close()
    half = SIZE[0] // 2
    for image, own, other in (
        (only_a, slice(0, half), slice(half, None)),
        (only_b, slice(half, None), slice(0, half)),
    ):
        assert (image != empty)[:, own].any()
        assert np.array_equal(image[:, other], empty[:, other])


def test_split_view_shows_a_looking_right_and_b_left(head):
    """The tip of the nose is closer to the partner's side than the middle of the skull."""
    scene = Scene(head, camera_layout("split"))
    tip = head.template[head.template[:, 2].argmax()]
    skull = np.mean([eye.centre_m for eye in head.eyes], axis=0) - (0, 0, 0.08)
    for person, toward_partner in ((0, 1), (1, -1)):
        clip = scene.camera_layout.viewports[person].camera.clip_from_world(1.0) @ scene.world_from_head(person)
        tip_x, skull_x = (at[0] / at[3] for at in (clip @ np.append(point, 1) for point in (tip, skull)))
        assert (tip_x - skull_x) * toward_partner > 0


def test_straight_ahead_points_at_the_partner(head):
    scene = Scene(head, camera_layout("face-to-face"))
    between_eyes = np.mean([eye.centre_m for eye in head.eyes], axis=0)
    a, b = (scene.world_from_head(person) for person in range(2))
    ahead = a[:3, :3] @ (0, 0, 1)
    to_partner = ((b - a) @ np.append(between_eyes, 1))[:3]
    assert np.allclose(ahead, to_partner / np.linalg.norm(to_partner), atol=1e-6)


def test_an_open_renderer_draws_the_same_stills_again_and_again(head):
    conversation = _conversation()
    expected = render_stills(conversation, head, [0, 2], size=SIZE)
    with closing(open_renderer(Scene(head, camera_layout("split"), size=SIZE))) as renderer:
        first, second = (draw_stills(conversation, renderer, [0, 2]) for _ in range(2))
    assert np.array_equal(first, expected)
    assert np.array_equal(second, expected)


def test_the_same_motion_gives_the_same_bytes(head):
    conversation = _conversation()
    first, second = (render_stills(conversation, head, [0, 2], size=SIZE) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("renderer_name", ["moderngl", "pyrender"])
def test_frames_of_a_video_are_those_drawn_one_by_one(head, renderer_name):
    nodding = head.vertices(_motion(5)) + np.linspace(0, 0.02, 5, dtype=np.float32)[:, None, None]
    pairs = list(zip(nodding, nodding[::-1], strict=True))
    with closing(open_renderer(Scene(head, camera_layout("split"), size=SIZE), renderer_name)) as renderer:
        video = list(renderer.frames(pairs))
        single = [renderer.frame(*pair) for pair in pairs]
    assert np.array_equal(video, single)
    assert not np.array_equal(video[0], video[1])


@pytest.mark.parametrize("view", ["split", "face-to-face"])
def test_edges_are_as_smooth_as_with_sixteen_samples_a_pixel(head, view):
    """A frame agrees with the same frame drawn four times as large and averaged."""
    small, large = (Scene(head, camera_layout(view), size=(factor * 512, factor * 256)) for factor in (1, 4))
    with closing(open_renderer(small, "moderngl")) as renderer:
        image = renderer.frame(head.template, head.template)
    with closing(open_renderer(large, "moderngl")) as renderer:
        reference = renderer.frame(head.template, head.template).reshape(256, 4, 512, 4, 3).mean(axis=(1, 3))
    difference = np.abs(image - reference)
    assert difference.mean() < 0.5
    # Without smooth edges, 0.6 to 0.9 % of the pixels differ by more than 24 grey levels.
    assert (difference.max(axis=2) > 24).mean() < 0.003


def test_silhouette_of_a_sphere_is_its_horizon():
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=3)
    vertices, faces = np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int32)
    normals = Normals(faces, len(vertices)).of_faces(vertices)
    edges = MeshEdges(faces, np.full(len(faces), Region.SKIN, np.uint8), np.zeros(len(vertices), bool))
    ends = edges.discontinuous(vertices, normals, np.float32([0, 0, 4]))
    assert len(ends) > 20
    # A camera at distance 4 views the unit sphere's horizon at z = 1/4; edges are 0.15 long.
    assert np.abs(ends[..., 2] - 0.25).max() < 0.15
    angles = np.arctan2(*ends.mean(axis=1)[:, :2].T)
    assert np.diff(np.sort(angles)).max() < 0.3


def test_edges_between_regions_and_at_the_rim_are_discontinuous_when_visible():
    vertices = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.int32([[0, 1, 2], [0, 2, 3]])
    normals = Normals(faces, 4).of_faces(vertices)
    one, two = (np.array(r, np.uint8) for r in ([Region.SKIN] * 2, [Region.SKIN, Region.LIPS]))
    nothing, all_but_one = np.zeros(4, bool), np.arange(4) > 0
    in_front, behind = np.float32([0.5, 0.5, 1]), np.float32([0.5, 0.5, -1])
    for regions, hidden, camera_m, count in (
        (one, nothing, in_front, 4),
        (two, nothing, in_front, 5),
        (two, nothing, behind, 0),
        (two, all_but_one, in_front, 3),
    ):
        assert len(MeshEdges(faces, regions, hidden).discontinuous(vertices, normals, camera_m)) == count


def test_nod_changes_only_its_own_side(head):
    still = render_stills(_conversation(), head, [1], size=SIZE)[0]
    nod = render_stills(_conversation(b=_motion(3, head_rotvec_rad=(0.3, 0, 0))), head, [1], size=SIZE)[0]
    assert np.array_equal(still[:, : SIZE[0] // 2], nod[:, : SIZE[0] // 2])
    assert not np.array_equal(still, nod)


def test_speaking_indicator_follows_speech(head):
    silent = _conversation(50)
    talking = Conversation(Participant(silent.a.audio, Timeline([Segment(0, 1)]), silent.a.motion), silent.b)
    (active, inactive) = render_stills(talking, head, [12, 49], size=SIZE)
    (before,) = render_stills(silent, head, [12], size=SIZE)
    assert not np.array_equal(active, before)
    assert np.array_equal(inactive, before)


@pytest.mark.parametrize(
    ("conversation", "frames", "message"),
    [
        (_conversation(a=_motion(3, space="flame")), [0], "space 'flame', the head in 'open'"),
        (_conversation(), [3], "no frame 3; the conversation has frames 0 to 2"),
        (_conversation(0), [], "has no frames"),
        (_conversation().with_motion(None, _motion(3)), [0], "person a of conversation has no motion"),
    ],
)
def test_invalid_input_is_rejected(head, conversation, frames, message):
    with pytest.raises(InputError, match=message):
        render_stills(conversation, head, frames, size=SIZE)


def test_empty_label_has_no_name_plate(head):
    nameless = tuple(replace(appearance, label="") for appearance in APPEARANCES)
    named, bare = (
        render_stills(_conversation(), head, [1], size=SIZE, appearances=appearances)[0]
        for appearances in (APPEARANCES, nameless)
    )
    rows, columns = np.nonzero((named != bare).any(axis=2))
    assert rows.min() > SIZE[1] / 2
    assert {bool(one) for one in columns < SIZE[0] / 2} == {True, False}


def test_unknown_view_size_or_renderer_is_rejected(head):
    with pytest.raises(InputError, match="wanted one of split, face-to-face"):
        camera_layout("cinema")
    with pytest.raises(InputError, match="101 x 64; wanted a width divisible by 4"):
        Scene(head, camera_layout("split"), size=(101, 64))
    with pytest.raises(InputError, match="wanted one of auto, moderngl, pyrender"):
        open_renderer(Scene(head, camera_layout("split"), size=SIZE), "vulkan")


def _no_gl(*args, **kwargs):
    raise RuntimeError("libEGL.so.1 not found")


def test_without_egl_moderngl_names_the_packages_and_auto_falls_back_to_pyrender(head, monkeypatch):
    import moderngl

    monkeypatch.setattr(moderngl, "create_context", _no_gl)
    scene = Scene(head, camera_layout("split"), size=SIZE)
    with pytest.raises(SetupError, match=r"libEGL.so.1 not found.*apt-get install libegl1 libegl-mesa0"):
        open_renderer(scene, "moderngl")
    with pytest.warns(UserWarning, match="rendering with pyrender, which is slower: .*libEGL"):
        assert open_renderer(scene, "auto").name == "pyrender"


def test_without_any_gl_the_error_is_one_line(head, monkeypatch):
    import moderngl
    import pyrender

    from dualtalk.render.pyrender_renderer import offscreen

    monkeypatch.setattr(moderngl, "create_context", _no_gl)
    monkeypatch.setattr(pyrender, "OffscreenRenderer", _no_gl)
    kept = offscreen()
    offscreen.cache_clear()
    with pytest.raises(SetupError, match=r"pyrender fails too.*libosmesa6") as caught:
        open_renderer(Scene(head, camera_layout("split"), size=SIZE), "auto")
    assert "\n" not in str(caught.value)
    del kept


def test_colours_do_not_bleed_across_regions(head):
    surface = Surface.of(head)
    assert (surface.regions[surface.faces] == head.regions[:, None]).all()
    assert np.array_equal(surface.source[surface.faces], head.faces)


def test_irises_look_ahead_and_openness_is_a_share(head):
    surface = Surface.of(head)
    pupils = surface.iris[surface.regions == Region.PUPIL]
    assert (pupils[:, 2] > 1.5).all()
    assert np.abs(pupils[:, :2]).max() < 1
    assert surface.ambient_occlusion.min() >= 0
    assert surface.ambient_occlusion.max() <= 1
    skin, inside = (
        surface.ambient_occlusion[surface.regions == r].mean() for r in (Region.SKIN, Region.MOUTH_INSIDE)
    )
    assert inside < 0.5 * skin


def test_normals_of_a_sphere_are_radial():
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=3)
    vertices = np.asarray(ball.vertices, np.float32)
    normals = Normals(np.asarray(ball.faces, np.int32), len(vertices)).of(vertices)
    assert np.abs(normals - vertices).max() < 0.02


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl", ".glb"])
def test_mesh_file_round_trip(head, tmp_path, suffix):
    import trimesh

    motion = _motion(4, head_rotvec_rad=(0, 0.4, 0))
    path = tmp_path / f"frame{suffix}"
    write_mesh(path, head, motion, 2)
    read = trimesh.load(path, process=False, force="mesh")
    expected = head.vertices(motion[2:3])[0][head.faces]
    assert np.allclose(read.vertices[read.faces], expected, atol=1e-6)
    if suffix == ".ply":
        skin = read.visual.face_colors[head.regions == Region.SKIN]
        assert (skin[:, :3] == APPEARANCES[0].skin).all()


def test_unknown_mesh_format_is_rejected(head, tmp_path):
    with pytest.raises(InputError, match=r"wanted one of .obj, .ply, .glb, .stl"):
        write_mesh(tmp_path / "frame.fbx", head, _motion(1), 0)
    with pytest.raises(InputError, match="no frame 1"):
        write_mesh(tmp_path / "frame.obj", head, _motion(1), 1)
    assert not list(tmp_path.iterdir())
