"""The 3D viewer: one file without network requests, reproducible, faithful to the motion."""

import base64
import gzip
import json
import re
import shutil
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
import soundfile
from pyannote.core import Segment, Timeline
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.head import load_head
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion
from dualtalk.io.ffmpeg import ffmpeg_path
from dualtalk.render.scene import Scene, camera_layout
from dualtalk.webpages.viewer import write_viewer
from dualtalk.webpages.viewer_audio import encode_stereo_aac
from dualtalk.webpages.viewer_presets import preset_data, presets
from dualtalk.webpages.viewer_server import viewer_server

FRAMES = 50
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def view(*arguments):
    return CliRunner().invoke(app, ["view", *(str(argument) for argument in arguments)])


def refused(result, *about: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("dualtalk: ")
    assert result.stderr.count("\n") == 1
    for words in about:
        assert words in result.stderr


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def talk(lively) -> Conversation:
    rng = np.random.default_rng(0)
    people = [
        Participant(
            0.1 * rng.standard_normal(640 * FRAMES, np.float32),
            Timeline([Segment(start_s, start_s + 0.7)]),
            lively(FRAMES, seed),
        )
        for seed, start_s in enumerate((0.2, 1.0))
    ]
    return Conversation(*people, name="tea </script><script>alert(1)</script>")


@pytest.fixture(scope="module")
def written(talk, head, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "viewer.html"
    assert write_viewer(talk, head, path) == []
    return path.read_text()


@pytest.fixture
def folder(talk, tmp_path) -> Path:
    replace(talk, name="talk").save(tmp_path / "talk")
    return tmp_path / "talk"


def embedded(text: str, name: str) -> str:
    return re.search(rf'<script type="[^"]+" id="{name}">(.*?)</script>', text, re.S)[1]


def data_of(text: str) -> dict:
    return json.loads(embedded(text, "data"))


def unpacked(text: str, name: str) -> bytes:
    return gzip.decompress(base64.b64decode(embedded(text, name)))


def arrays_of(text: str) -> dict[str, np.ndarray]:
    content, offset, arrays = unpacked(text, "arrays"), 0, {}
    for name, kind, size in data_of(text)["arrays"]:
        arrays[name] = np.frombuffer(content, kind, size, offset)
        offset += arrays[name].nbytes
    assert offset == len(content)
    return arrays


def test_page_makes_no_network_request(written):
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", written)
    assert not re.search(r"@import|url\(\s*['\"]?http|\bfetch\(|XMLHttpRequest|WebSocket|\bimport\s*\(", written)
    assert "default-src 'none'" in written
    assert "connect-src" not in written


def test_no_text_is_interpreted_as_markup(written, talk):
    assert written.count("</script>") == 6
    assert data_of(written)["name"] == talk.name


def test_same_input_same_bytes(written, talk, head, tmp_path):
    write_viewer(talk, head, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == written


def test_page_contains_both_people_as_the_exporter_writes_them(written, head):
    glb = unpacked(written, "glb")
    assert glb[:4] == b"glTF"
    document = json.loads(glb[20 : 20 + struct.unpack("<I", glb[12:16])[0]])
    assert [mesh["name"] for mesh in document["meshes"]] == ["a", "b"]
    arrays = arrays_of(written)
    parts = [arrays[part] for part in ("head", "eyes", "hem")]
    assert sum(len(part) for part in parts) == head.faces.size
    corners = len(arrays["source"])
    assert all(part.max() < corners for part in parts)
    assert np.array_equal(np.unique(arrays["source"]), np.arange(len(head.template)))
    assert len(arrays["material_a"]) == len(arrays["material_b"]) == 11 * corners
    assert not np.array_equal(arrays["material_a"], arrays["material_b"])


def test_page_contains_speech_and_every_blendshape_to_a_thousandth(written, talk):
    data = data_of(written)
    assert data["speech"] == {"a": [[0.2, 0.9]], "b": [[1.0, 1.7]]}
    assert [(turn["person"], turn["start_s"]) for turn in data["turns"] if turn["kind"] == "turn"] == [
        ("a", 0.2),
        ("b", 1.0),
    ]
    titles = [curve["title"] for curve in data["curves"]]
    assert set(ARKIT_UNITS) <= set(titles)
    curves = arrays_of(written)["curves"].reshape(len(titles), 2, FRAMES)
    for number, person in enumerate(talk.participants):
        expected = arkit_from_motion(person.motion).T
        embedded_values = curves[[titles.index(unit) for unit in ARKIT_UNITS], number] / 1000
        np.testing.assert_allclose(embedded_values, expected, atol=0.00051)


def test_nods_are_marked(head, tmp_path):
    rotvecs = np.zeros((100, 3), np.float32)
    rotvecs[30:60, 0] = 0.12 * np.sin(2 * np.pi * 2.5 * np.arange(30) / 25)
    still = HeadMotion(np.zeros((100, 62), np.float32), "open")
    nodding = HeadMotion(still.coefficients.copy(), "open")
    nodding.coefficients[:, nodding.layout.slice_of("head")] = rotvecs
    silence = np.zeros(64000, np.float32)
    people = [Participant(silence, Timeline(), motion) for motion in (nodding, still)]
    write_viewer(Conversation(*people), head, tmp_path / "v.html", silent=True)
    nods = data_of((tmp_path / "v.html").read_text())["nods"]
    assert nods["b"] == []
    assert 1.0 < nods["a"][0][0] < nods["a"][-1][1] < 2.8


def test_each_voice_is_in_its_own_channel_and_in_time(tmp_path):
    time_s = np.arange(32000) / 16000
    click = np.where((time_s > 1.0) & (time_s < 1.05), 0.5 * np.sin(2 * np.pi * 700 * time_s), 0)
    encoded, wave = tmp_path / "v.m4a", tmp_path / "v.wav"
    encoded.write_bytes(encode_stereo_aac((click.astype(np.float32), 0 * click.astype(np.float32))))
    subprocess.run([ffmpeg_path(), "-loglevel", "error", "-i", encoded, wave], check=True)
    decoded, rate_hz = soundfile.read(wave)
    onset_s = np.flatnonzero(np.abs(decoded[:, 0]) > 0.2)[0] / rate_hz
    assert abs(onset_s - 1.0) < 0.005
    assert np.abs(decoded[:, 1]).max() < 1e-4


def test_presets_include_the_cameras_of_the_video(head):
    data = {preset.name: preset_data(preset, head) for preset in presets()}
    assert list(data) == ["split", "over-a", "over-b", "face-to-face"]
    for name in ("split", "face-to-face"):
        scene = Scene(head, camera_layout(name))
        for viewport, expected in zip(data[name]["viewports"], scene.camera_layout.viewports, strict=True):
            assert tuple(viewport["position_m"]) == expected.camera.position_m
            assert tuple(viewport["participants"]) == expected.participants
        for person in range(2):
            matrix = np.reshape(data[name]["participants"][person]["world_from_head"], (4, 4)).T
            np.testing.assert_allclose(matrix, scene.world_from_head(person), atol=1e-6)


def test_shoulder_camera_is_behind_one_person_and_sees_the_other(head):
    by_name = {preset.name: preset for preset in presets()}
    for person, name in enumerate(("over-a", "over-b")):
        (one,) = by_name[name].camera_layout.viewports
        eyes = [place.position_m[0] for place in by_name[name].camera_layout.placements]
        side = np.sign(eyes[person])
        assert side * one.camera.position_m[0] > side * eyes[person]
        projected = one.camera.clip_from_world(16 / 9) @ (eyes[1 - person], 0, 0, 1)
        assert np.abs(projected[:2] / projected[3]).max() < 0.5


def test_command_writes_next_to_the_motion_and_overwrites_only_on_request(folder):
    first = view(folder)
    assert first.exit_code == 0, first.output
    assert "viewer.html" in first.stdout
    refused(view(folder), "--overwrite")
    assert view(folder, "--overwrite").exit_code == 0


def test_page_without_sound_is_silent_and_notes_it(folder):
    (folder / "a.wav").unlink()
    (folder / "b.wav").unlink()
    (folder / "turns.rttm").unlink()
    result = view(folder)
    assert result.exit_code == 0, result.output
    assert "a.wav and b.wav missing" in result.stdout
    data = data_of((folder / "viewer.html").read_text())
    assert data["sound"] is None
    assert data["speech"] == {"a": [], "b": []}
    assert len(data["notes"]) == 2


def test_invalid_input_is_rejected_in_one_line(folder, tmp_path, talk):
    refused(view(tmp_path / "nowhere"), "no folder")
    refused(view(folder, "--out", tmp_path / "page.pdf"), ".html")
    refused(view(folder, "--out", tmp_path / "no" / "page.html"), "does not exist")
    flame = [HeadMotion(person.motion.coefficients, "flame") for person in talk.participants]
    replace(talk, name="flame").with_motion(*flame).save(tmp_path / "flame")
    refused(view(tmp_path / "flame"), "FLAME", "--head")
    (folder / "b.npz").unlink()
    refused(view(folder), "holds no b.npz")
    assert not list(tmp_path.rglob("*.html"))


def test_flame_motion_needs_its_head_file_and_has_no_blendshape_curves(talk, flame_copy, tmp_path):
    flame = [HeadMotion(person.motion.coefficients, "flame") for person in talk.participants]
    replace(talk, name="flame").with_motion(*flame).save(tmp_path / "flame")
    result = view(tmp_path / "flame", "--head", flame_copy)
    assert result.exit_code == 0, result.output
    assert "not ARKit blendshapes" in result.stdout
    data = data_of((tmp_path / "flame" / "viewer.html").read_text())
    assert not {curve["title"] for curve in data["curves"]} & set(ARKIT_UNITS)
    assert data["notes"]


def test_long_conversations_are_shown_in_part_with_a_note(talk, folder, monkeypatch):
    monkeypatch.setattr("dualtalk.webpages.viewer.LONGEST_PAGE_S", 1.0)
    result = view(folder)
    assert "shows the first 0:01 of 0:02" in result.stdout
    assert data_of((folder / "viewer.html").read_text())["frames"] == 25
    result = view(folder, "--overwrite", "--from", "0.4", "--to", "1.6")
    assert "shows the first" not in result.stdout
    data = data_of((folder / "viewer.html").read_text())
    assert data["frames"] == 30
    assert data["speech"] == {"a": [[0.0, 0.5]], "b": [[0.6, 1.2]]}
    refused(view(folder, "--overwrite", "--from", "3"), "lasts 2.0 s")


def test_parts_of_a_conversation_are_served_to_this_machine_only(talk, head, monkeypatch):
    monkeypatch.setattr("dualtalk.webpages.viewer_server.PART_S", 1.2)
    with viewer_server(talk, head, silent=True) as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.serve_forever)
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            with urlopen(f"{address}/") as answer:
                first = answer.read().decode()
            with urlopen(f"{address}/part/2") as answer:
                second = answer.read().decode()
            assert [data_of(page)["frames"] for page in (first, second)] == [30, 20]
            assert '<a href="/part/2" aria-current="page">0:01</a>' in second
            for path, host, status in (
                ("/part/3", "localhost", 404),
                ("/../secret", "localhost", 404),
                ("/", "x", 403),
            ):
                request = Request(address + path, headers={"Host": f"{host}:{server.server_port}"})
                with pytest.raises(HTTPError) as refusal:
                    urlopen(request)
                assert refusal.value.code == status
                refusal.value.close()
        finally:
            server.shutdown()
            running.result()


def test_failed_write_leaves_the_previous_page(talk, head, tmp_path, monkeypatch):
    path = tmp_path / "viewer.html"
    path.write_text("former")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_viewer(talk, head, path)
    assert [file.name for file in tmp_path.iterdir()] == ["viewer.html"]
    assert path.read_text() == "former"


def test_one_frame_is_enough(head, lively, tmp_path):
    people = [Participant(np.zeros(640, np.float32), Timeline(), lively(1, seed)) for seed in (0, 1)]
    write_viewer(Conversation(*people), head, tmp_path / "v.html")
    assert data_of((tmp_path / "v.html").read_text())["frames"] == 1


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_browser_and_head_model_agree_on_the_vertices(written, talk, head, tmp_path):
    """A script at the end of the page writes the vertices into the document, where `--dump-dom` prints them."""
    script = (
        "dualtalkViewer.ready.then(() => { const out = document.createElement('pre'); out.id = 'out';"
        "const micrometres = person => dualtalkViewer.vertices(person, 30).map(value => Math.round(1e6 * value));"
        "out.textContent = ['a', 'b'].map(micrometres).join(';');"
        "document.body.replaceChildren(out); });"
    )
    path = tmp_path / "viewer.html"
    path.write_text(written.replace("</body>", f"<script>{script}</script></body>"))
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"),
        *("--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path / 'profile'}", "--timeout=20000"),
        *("--virtual-time-budget=8000", "--dump-dom", path.as_uri()),
    ]
    document = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    found = re.search(r'<pre id="out">([^<]+)</pre>', document)
    assert found, "the page did not load"
    for person, numbers in zip(talk.participants, found[1].split(";"), strict=True):
        posed_m = np.array(numbers.split(","), float).reshape(-1, 3) / 1e6
        expected_m = head.vertices(person.motion[30:31])[0]
        assert np.linalg.norm(posed_m - expected_m, axis=1).max() < 0.0005
