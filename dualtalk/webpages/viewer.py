"""The 3D viewer: one page that plays a conversation in 3D with sound and makes no network requests.

The page contains the glTF file that `dualtalk.export` writes, both voices as one stereo sound, the material of
each vertex for the renderer's shaders, and the speech segments. Its script is built from `viewer_source/` by
`make viewer` and contains three.js (MIT); the charts use uPlot (MIT).

Arrays travel as gzipped base64: one after another, with the type and the length of each in the page's data.
"""

import base64
import gzip
import os
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from dualtalk.audio.turns import turn_table
from dualtalk.core import PARTY, Conversation, Participant
from dualtalk.export.formats import Export
from dualtalk.export.gltf import write_glb
from dualtalk.head import Head
from dualtalk.head.blendshapes import ARKIT_UNITS, arkit_from_motion
from dualtalk.metrics.events import find_swings
from dualtalk.render.materials import draw_groups, vertex_attributes
from dualtalk.render.scene import APPEARANCES
from dualtalk.render.surface import Surface
from dualtalk.timebase import MOTION_FPS
from dualtalk.webpages.conversation_data import TimeSeries, time_series
from dualtalk.webpages.template import json_types, write_page
from dualtalk.webpages.viewer_audio import MEDIA_TYPE, encode_stereo_aac
from dualtalk.webpages.viewer_presets import preset_data, presets

SHADERS = ("light.glsl", "head.vert.glsl", "head.frag.glsl", "eye.vert.glsl", "eye.frag.glsl")
# Curves are embedded as 16-bit integers.
MAX_INT16 = 2**15 - 1
# The fastest level whose files are within a few percent of the smallest.
GZIP_LEVEL = 6
# A longer conversation makes a page that browsers open slowly: a minute takes 1.7 MB.
LONGEST_PAGE_S = 600.0
NO_BLENDSHAPES = "FLAME expressions are not ARKit blendshapes, so the page has no blendshape curves"


def write_viewer(
    conversation: Conversation,
    head: Head,
    path: str | os.PathLike,
    *,
    silent: bool = False,
    notes: Sequence[str] = (),
    parts: Sequence[tuple[str, str, bool]] = (),
) -> list[str]:
    """Write the page and return the notes that it shows, one line each.

    Parameters
    ----------
    conversation : Conversation
        With motion. Motion of the open head is fitted to a FLAME `head`.
    path : path
        Appears only when complete.
    silent : bool
        Whether to leave out the sound.
    notes : sequence of str
        Shown before the notes that arise here.
    parts : sequence of (str, str, bool)
        Links to the parts of a longer conversation: address, start time, and whether it is this page.

    Raises
    ------
    InputError
        FLAME motion without a FLAME `head`, motion without frames, or `path` cannot be written.
    """
    export, fitting_notes = Export.of(conversation, head).retargeted()
    retargeted = conversation.with_motion(*export.motions.values())
    series, series_notes = _series(conversation, retargeted, head)
    all_notes = [*notes, *fitting_notes, *series_notes]
    arrays = _arrays(head, series)
    participants = dict(zip(PARTY, retargeted.participants, strict=True))
    a, b = retargeted.participants
    turns = turn_table(a.speech, b.speech, retargeted.duration_s)
    data = {
        "name": retargeted.name,
        "durationS": retargeted.duration_s,
        "fps": MOTION_FPS,
        "frames": retargeted.frames,
        "speech": {label: person.speech_segments for label, person in participants.items()},
        "turns": json_types(turns.to_dict("records")),
        "nods": {label: _nods(person) for label, person in participants.items()},
        "notes": all_notes,
        "sound": None if silent else MEDIA_TYPE,
        "presets": [preset_data(preset, head) for preset in presets()],
        "curves": [
            {"title": one.title, "unit": one.unit, "digits": one.digits, "scale": 10**one.digits} for one in series
        ],
        "arrays": [[name, array.dtype.name, array.size] for name, array in arrays.items()],
        "shaders": {
            name.removesuffix(".glsl"): (files("dualtalk.render") / name).read_text(encoding="utf-8")
            for name in SHADERS
        },
    }
    voices = (a.audio, b.audio)
    write_page(
        path,
        "viewer/page.html",
        title=f"{retargeted.name} – 3D viewer",
        data=data,
        has_loop=True,
        parts=parts,
        arrays=_gzip_base64(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())),
        glb=_gzip_base64(_glb(export)),
        sound="" if silent else base64.b64encode(encode_stereo_aac(voices)).decode(),
    )
    return all_notes


def light_excerpt(conversation: Conversation) -> tuple[Conversation, tuple[str, ...]]:
    """The beginning of a conversation that is too long for one page, and a note that says so."""
    if conversation.duration_s <= LONGEST_PAGE_S:
        return conversation, ()
    note = (
        f"viewer.html shows the first {clock_text(LONGEST_PAGE_S)} of {clock_text(conversation.duration_s)}; "
        "dualtalk view DIR --from 10:00 --to 20:00 writes another part, and dualtalk view DIR --serve shows all"
    )
    return conversation.excerpt(0.0, LONGEST_PAGE_S), (note,)


def clock_text(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any."""
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


def _arrays(head: Head, series: Sequence[TimeSeries]) -> dict[str, np.ndarray]:
    """The page's arrays by name: mesh corners, triangles, materials and curves."""
    surface = Surface.of(head)
    arrays = {"source": surface.source.astype(np.uint32)}
    for name, faces in zip(("head", "eyes", "hem"), draw_groups(surface), strict=True):
        arrays[name] = faces.astype(np.uint32)
    for label, appearance in zip(PARTY, APPEARANCES, strict=True):
        arrays[f"material_{label}"] = vertex_attributes(surface, appearance)
    arrays["curves"] = np.stack([_int16(one) for one in series])
    return arrays


def _gzip_base64(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, GZIP_LEVEL, mtime=0)).decode()


def _glb(export: Export) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dialogue.glb"
        write_glb(path, export.skinned_head, export.motions, export.appearances, export.placements)
        return path.read_bytes()


def _nods(person: Participant) -> list[list[float]]:
    """Start and end of each nod in seconds."""
    swings = find_swings(person.required_motion.head_rotvec_rad)
    return [[swing.first / MOTION_FPS, swing.end / MOTION_FPS] for swing in swings if swing.kind == "nod"]


def _series(original: Conversation, retargeted: Conversation, head: Head) -> tuple[list[TimeSeries], list[str]]:
    """The curves that the page can plot, those of the conversation report first; and notes on missing curves."""
    series = time_series(retargeted, head)
    for title, axis in (("Head yaw (positive is to the person's left)", 1), ("Head roll (positive is right)", 2)):
        a, b = (np.degrees(person.required_motion.head_rotvec_rad[:, axis]) for person in retargeted.participants)
        series.append(TimeSeries(title, "°", a, b, 1))
    motions = [person.required_motion for person in original.participants]
    if any(motion.space != "open" for motion in motions):
        return series, [NO_BLENDSHAPES]
    columns = zip(ARKIT_UNITS, *(arkit_from_motion(motion).T for motion in motions), strict=True)
    return series + [TimeSeries(name, "", a, b, 3) for name, a, b in columns], []


def _int16(series: TimeSeries) -> np.ndarray:
    """(2, frame) int16: integer multiples of the last decimal."""
    scaled = np.rint(np.stack([series.a, series.b]) * 10.0**series.digits)
    return np.clip(scaled, -MAX_INT16, MAX_INT16).astype(np.int16)
