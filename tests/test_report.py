"""The conversation report: one file without network requests, reproducible, faithful to the conversation."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from pyannote.core import Segment, Timeline

from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.head import load_head
from dualtalk.webpages.conversation_data import Highlight, select_highlights
from dualtalk.webpages.conversation_report import write_report

FRAMES = 100
TURNS = pd.DataFrame(
    [
        ("turn", "a", 0.2, 1.8, 1.6, np.nan),
        ("turn", "b", 2.0, 3.5, 1.5, 0.2),
        ("backchannel", "a", 3.0, 3.2, 0.2, np.nan),
    ],
    columns=["kind", "person", "start_s", "end_s", "duration_s", "offset_s"],
)
SUMMARY = {"blinks": {"a": 12.5, "b": np.nan, "unit": "a minute", "range": (8, np.inf)}}


def person(rng, *spans):
    motion = HeadMotion.from_parts(
        expression=rng.uniform(0, 0.2, (FRAMES, 50)),
        jaw_rotvec_rad=np.zeros((FRAMES, 3)),
        head_rotvec_rad=rng.normal(0, 0.05, (FRAMES, 3)),
        eyes_rotvec_rad=np.zeros((FRAMES, 6)),
        space="open",
    )
    audio = 0.1 * rng.standard_normal(640 * FRAMES).astype(np.float32)
    return Participant(audio, Timeline([Segment(*span) for span in spans]), motion)


@pytest.fixture
def talk():
    rng = np.random.default_rng(0)
    people = person(rng, (0.2, 1.8), (3.0, 3.2)), person(rng, (2.0, 3.5))
    return Conversation(*people, name="tea </script><script>alert(1)</script>")


def page_of(talk, folder, **more) -> str:
    stills = [(Highlight(10, "A & B"), np.full((64, 128, 3), 90, np.uint8))]
    path = folder / "report.html"
    run = {"seed": 0, "notes": ["</script>"]}
    write_report(talk, load_head("open"), path, turns=TURNS, summary=SUMMARY, run=run, stills=stills, **more)
    return path.read_text()


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_page_makes_no_network_request(talk, tmp_path):
    page = page_of(talk, tmp_path)
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", page)
    assert not re.search(r"@import|url\(\s*['\"]?http|fetch\(|XMLHttpRequest|WebSocket", page)
    assert "default-src 'none'" in page


def test_no_text_is_interpreted_as_markup(talk, tmp_path):
    page = page_of(talk, tmp_path)
    assert page.count("</script>") == 3
    assert data_of(page)["name"] == talk.name
    assert data_of(page)["run"]["notes"] == ["</script>"]


def test_same_input_gives_the_same_page(talk, tmp_path):
    assert page_of(talk, tmp_path) == page_of(talk, tmp_path)


def test_page_contains_the_conversation_to_its_precision(talk, tmp_path):
    data = data_of(page_of(talk, tmp_path))
    assert data["durationS"] == FRAMES / 25
    assert data["speech"] == {"a": [[0.2, 1.8], [3.0, 3.2]], "b": [[2.0, 3.5]]}
    nod = next(curve for curve in data["curves"] if "pitch" in curve["title"])
    expected_deg = np.degrees(talk.b.motion.head_rotvec_rad[:, 0])
    assert np.allclose(np.array(nod["b"]) / nod["scale"], expected_deg, atol=0.051)
    assert data["summary"]["Motion"]["blinks"] == {"a": 12.5, "b": None, "unit": "a minute", "range": [8, None]}
    assert data["summary"]["Turn-taking"]["turns"]["a"] == 1


def test_small_video_is_embedded_and_a_large_one_is_linked(talk, tmp_path, monkeypatch):
    video = tmp_path / "dialogue.mp4"
    video.write_bytes(b"a video")
    assert "YSB2aWRlbw==" in page_of(talk, tmp_path, video=video)
    monkeypatch.setattr("dualtalk.webpages.conversation_report.MAX_EMBEDDED_VIDEO_BYTES", 3)
    page = page_of(talk, tmp_path, video=video)
    assert "YSB2aWRlbw==" not in page
    assert data_of(page)["video"] == {"embedded": False, "file": "dialogue.mp4"}


def test_page_links_the_viewer_if_there_is_one(talk, tmp_path):
    assert data_of(page_of(talk, tmp_path, viewer=tmp_path / "viewer.html"))["viewer"] == "viewer.html"
    assert data_of(page_of(talk, tmp_path))["viewer"] is None


def test_highlights_are_spread_and_prefer_events(talk):
    selected = select_highlights(talk, load_head("open"), TURNS, count=4)
    assert [highlight.frame // 25 for highlight in selected] == [0, 1, 2, 3]
    assert selected[0].caption == "A: turn onset"
    assert selected[3] == Highlight(77, "A: backchannel")


def test_highlights_have_open_eyes(talk):
    head = load_head("open")
    lids = [head.blendshape_names.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    talk.b.motion.coefficients[70:79, lids] = 1
    assert select_highlights(talk, head, TURNS, count=4)[3] == Highlight(79, "A: backchannel")


def test_conversation_without_turns_or_sound(tmp_path):
    silent = Participant(np.zeros(640, np.float32), Timeline(), HeadMotion(np.zeros((1, 62), np.float32), "open"))
    write_report(
        Conversation(silent, silent), load_head("open"), tmp_path / "r.html", turns=TURNS[:0], summary={}, run={}
    )
    assert data_of((tmp_path / "r.html").read_text())["summary"]["Turn-taking"]["turns"]["a"] == 0
