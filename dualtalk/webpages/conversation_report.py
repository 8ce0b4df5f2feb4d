"""One page that shows a conversation: video, who speaks when, curves, stills and figures.

The page is a single file that asks the network for nothing; its own policy forbids it to. Data go in as JSON and
are laid out by the scripts under `report_page/`; the charts are uPlot's (MIT).
"""

import base64
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from dualtalk.core import PARTY, Conversation
from dualtalk.head import Head
from dualtalk.io.atomic import written_whole
from dualtalk.timebase import MOTION_FPS
from dualtalk.webpages.conversation_data import Curve, Moment, curves, talk_figures
from dualtalk.webpages.template import filled, jpeg_uri, json_text, markup_text, plain

# Browsers open a page of a hundred megabytes slowly; a longer video stays a file of its own beside the page.
LARGEST_EMBEDDED_BYTES = 60_000_000
STILL_WIDTH = 480
PAGE = files("dualtalk.webpages") / "assets" / "conversation_report"
STYLES, SCRIPTS = ("uplot.min.css", "page.css"), ("uplot.min.js", "view.js", "charts.js", "page.js")


def write_report(
    conversation: Conversation,
    head: Head,
    path: str | os.PathLike,
    *,
    turns: pd.DataFrame,
    figures: dict[str, dict],
    run: dict,
    video: Path | None = None,
    viewer: Path | None = None,
    stills: Iterable[tuple[Moment, UInt8[np.ndarray, "height width 3"]]] = (),
) -> None:
    """Write the page.

    Parameters
    ----------
    conversation : Conversation
        With motion, in `head`'s space.
    turns : DataFrame
        As `dualtalk.audio.turns.turn_table` makes it.
    figures : dict
        As `dualtalk.metrics.conversation_summary.motion_figures` makes it: {name: {"a", "b", "unit", "range"}}.
    run : dict
        How the conversation was made: `notes` are shown first, everything else at the foot.
    video : Path, optional
        An mp4. It goes into the page, or, beyond 60 MB, is expected beside it under the same name.
    viewer : Path, optional
        A page beside this one that shows the same in 3D, to be linked.
    stills : pairs of Moment and image
        Frames with what they show.
    """
    embedded = video is not None and Path(video).stat().st_size <= LARGEST_EMBEDDED_BYTES
    data = {
        "name": conversation.name,
        "durationS": conversation.duration_s,
        "fps": MOTION_FPS,
        "speech": {
            label: person.speech_segments for label, person in zip(PARTY, conversation.participants, strict=True)
        },
        "turns": [plain(row._asdict()) for row in turns.itertuples(index=False)],
        "curves": [_packed(curve) for curve in curves(conversation, head)],
        "stills": [
            {"timeS": moment.frame / MOTION_FPS, "caption": moment.caption, "image": jpeg_uri(image, STILL_WIDTH)}
            for moment, image in stills
        ],
        "figures": plain({"Talk": talk_figures(conversation, turns), "Motion": figures}),
        "run": plain(run),
        "video": {"embedded": embedded, "file": Path(video).name} if video else None,
        "viewer": Path(viewer).name if viewer else None,
    }
    parts = {
        "title": markup_text(f"{conversation.name} – two people in conversation"),
        "styles": "\n".join((PAGE / name).read_text() for name in STYLES),
        "scripts": "\n".join((PAGE / name).read_text() for name in SCRIPTS),
        "data": json_text(data),
        "video": base64.b64encode(Path(video).read_bytes()).decode() if embedded else "",
    }
    with written_whole(path) as partial:
        partial.write_text(filled((PAGE / "page.html").read_text(), parts))


def _packed(curve: Curve) -> dict:
    """Whole numbers of the last decimal that matters: a third of the size of decimal fractions."""
    scale = 10**curve.digits
    columns = {label: np.rint(getattr(curve, label) * scale).astype(int).tolist() for label in PARTY}
    return {"title": curve.title, "unit": curve.unit, "scale": scale, "digits": curve.digits, **columns}
