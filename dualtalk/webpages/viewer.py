"""One page that shows a conversation in 3D, with sound: a file that asks nothing of any network.

It holds both people as the glTF file that `export` writes, their voices as one sound, what the shaders need to
paint them as the film does, and who speaks when. The page's own policy forbids it to fetch anything. Its scripts
are built from `source/` by `make viewer`; three.js (MIT) is in them, uPlot (MIT) beside them.

Numbers travel gzipped in base64: arrays one after the other, each with its type and length in the page's data.
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
from dualtalk.io.atomic import written_whole
from dualtalk.metrics.events import find_swings
from dualtalk.render.materials import parts, vertex_attributes
from dualtalk.render.scene import APPEARANCES
from dualtalk.render.surface import Surface
from dualtalk.timebase import MOTION_FPS
from dualtalk.webpages.conversation_data import Curve, curves
from dualtalk.webpages.template import filled, json_text, markup_text, plain
from dualtalk.webpages.viewer_audio import MEDIA_TYPE, encoded_sound
from dualtalk.webpages.viewer_presets import preset_data, presets

RENDER = files("dualtalk.render")
ASSETS = files("dualtalk.webpages") / "assets"
PAGE = ASSETS / "viewer"
REPORT = ASSETS / "conversation_report"
STYLES = (REPORT / "uplot.min.css", REPORT / "page.css", PAGE / "viewer.css")
CHARTS = tuple(REPORT / name for name in ("uplot.min.js", "view.js", "charts.js"))
SHADERS = ("light.glsl", "head.vert.glsl", "head.frag.glsl", "eye.vert.glsl", "eye.frag.glsl")
# Curves go in as 16-bit integers.
LARGEST_INTEGER = 2**15 - 1
# The fastest level that is within a few percent of the smallest file.
GZIP_LEVEL = 6


def write_viewer(
    conversation: Conversation,
    head: Head,
    path: str | os.PathLike,
    *,
    silent: bool = False,
    notes: Sequence[str] = (),
) -> list[str]:
    """Write the page; gives the notes it shows: what it lacks, a line each.

    Parameters
    ----------
    conversation : Conversation
        With motion. Motion of the open head is fitted to a FLAME `head`.
    path : path
        Appears only when whole.
    silent : bool
        There is no sound to be heard.
    notes : texts to be shown with those that arise here

    Raises
    ------
    InputError
        FLAME's motion is to be shown without a FLAME file, motion has no frame, or `path` cannot be written.
    """
    export, fitted = Export(dict(zip(PARTY, conversation.participants, strict=True)), head).fitted()
    shown = conversation.with_motion(*export.motions.values())
    quantities, lacking = _quantities(conversation, shown, head)
    told = [*notes, *fitted, *lacking]
    surface = Surface.of(head)
    arrays = {"source": surface.source.astype(np.uint32)}
    faces = dict(zip(("head", "eyes", "hem"), parts(surface), strict=True))
    arrays |= {name: part.astype(np.uint32) for name, part in faces.items()}
    arrays |= {
        f"paint_{label}": vertex_attributes(surface, appearance)
        for label, appearance in zip(PARTY, APPEARANCES, strict=True)
    }
    arrays["curves"] = np.stack([_integers(one) for one in quantities])
    turns = turn_table(*(person.speech for person in shown.participants), shown.duration_s)
    data = {
        "name": shown.name,
        "durationS": shown.duration_s,
        "fps": MOTION_FPS,
        "frames": shown.frames,
        "speech": {label: person.speech_segments for label, person in zip(PARTY, shown.participants, strict=True)},
        "turns": [plain(row._asdict()) for row in turns.itertuples(index=False)],
        "nods": {label: _nods(person) for label, person in zip(PARTY, shown.participants, strict=True)},
        "notes": told,
        "sound": None if silent else MEDIA_TYPE,
        "presets": [preset_data(preset, head) for preset in presets()],
        "curves": [
            {"title": one.title, "unit": one.unit, "digits": one.digits, "scale": 10**one.digits}
            for one in quantities
        ],
        "units": list(ARKIT_UNITS) if not lacking else [],
        "arrays": [[name, array.dtype.name, array.size] for name, array in arrays.items()],
        "shaders": {name.removesuffix(".glsl"): (RENDER / name).read_text() for name in SHADERS},
    }
    voices = np.stack([person.audio for person in shown.participants])
    texts = {
        "title": markup_text(f"{shown.name} – two people in 3D"),
        "styles": "\n".join(file.read_text() for file in STYLES),
        "charts": "\n".join(file.read_text() for file in CHARTS),
        "viewer": (PAGE / "viewer.min.js").read_text(),
        "data": json_text(data),
        "arrays": _packed(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())),
        "glb": _packed(_glb(export)),
        "sound": "" if silent else base64.b64encode(encoded_sound(voices)).decode(),
    }
    with written_whole(path) as partial:
        partial.write_text(filled((PAGE / "viewer.html").read_text(), texts))
    return told


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, GZIP_LEVEL, mtime=0)).decode()


def _glb(export: Export) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dialogue.glb"
        write_glb(path, export.head, export.motions, export.appearances, export.placements)
        return path.read_bytes()


def _nods(person: Participant) -> list[list[float]]:
    swings = find_swings(person.motion.head_rotvec_rad)
    return [[swing.first / MOTION_FPS, swing.end / MOTION_FPS] for swing in swings if swing.kind == "nod"]


def _quantities(heard: Conversation, shown: Conversation, head: Head) -> tuple[list[Curve], list[str]]:
    """What can be drawn over time, those of the report first; and what cannot."""
    made = curves(shown, head)
    for title, axis in (
        ("Head turn, to the own left is positive", 1),
        ("Head tilt, to the own right is positive", 2),
    ):
        a, b = (np.degrees(person.motion.head_rotvec_rad[:, axis]) for person in shown.participants)
        made.append(Curve(title, "°", a, b, 1))
    if any(person.motion.space != "open" for person in heard.participants):
        lacking = "FLAME’s expressions are not ARKit’s units, so those have no curves here"
        return made, [lacking]
    a, b = (arkit_from_motion(person.motion).T for person in heard.participants)
    return made + [Curve(unit, "", *both, 3) for unit, *both in zip(ARKIT_UNITS, a, b, strict=True)], []


def _integers(curve: Curve) -> np.ndarray:
    """(2, frame) int16 of the last decimal that matters."""
    scaled = np.rint(np.stack([curve.a, curve.b]) * 10.0**curve.digits)
    return np.clip(scaled, -LARGEST_INTEGER, LARGEST_INTEGER).astype(np.int16)
