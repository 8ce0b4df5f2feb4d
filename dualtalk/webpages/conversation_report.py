"""The conversation report: one page with the video, the timeline, curves, still images and measures.

The page is one file that makes no network requests. Its data are embedded as JSON and laid out by the scripts in
`assets/conversation_report/` and `assets/charts/`; the charts use uPlot (MIT).
"""

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from dualtalk.core import PARTY, Conversation
from dualtalk.head import Head
from dualtalk.metrics.conversation_summary import SummaryRow
from dualtalk.timebase import MOTION_FPS
from dualtalk.webpages.conversation_data import Highlight, TimeSeries, time_series, turn_taking_summary
from dualtalk.webpages.template import jpeg_data_uri, json_types, write_page

# A larger video is not embedded, because browsers open pages of 100 MB slowly; the page then loads it from its
# folder.
MAX_EMBEDDED_VIDEO_BYTES = 60_000_000
STILL_WIDTH_PX = 480


def write_report(
    conversation: Conversation,
    head: Head,
    path: str | os.PathLike,
    *,
    turns: pd.DataFrame,
    summary: Mapping[str, SummaryRow],
    run: dict,
    video: Path | None = None,
    viewer: Path | None = None,
    stills: Iterable[tuple[Highlight, UInt8[np.ndarray, "height width 3"]]] = (),
) -> None:
    """Write the page.

    Parameters
    ----------
    conversation : Conversation
        With motion in `head`'s space.
    path : path
        Appears only when complete.
    turns : DataFrame
        From `dualtalk.audio.turns.turn_table`.
    summary : mapping of str to SummaryRow
        From `dualtalk.metrics.conversation_summary.motion_summary`.
    run : dict
        How the conversation was made. `notes` are shown at the top of the page, everything else at the end.
    video : Path, optional
        An mp4 file. It is embedded up to 60 MB; a larger one must stay beside the page.
    viewer : Path, optional
        The 3D viewer of this conversation in the same folder; the page links to it.
    stills : pairs of Highlight and (height, width, 3) uint8 image

    Raises
    ------
    InputError
        A participant has no motion, or `path` cannot be written.
    """
    embedded = video is not None and Path(video).stat().st_size <= MAX_EMBEDDED_VIDEO_BYTES
    data = {
        "name": conversation.name,
        "durationS": conversation.duration_s,
        "fps": MOTION_FPS,
        "speech": {
            label: person.speech_segments for label, person in zip(PARTY, conversation.participants, strict=True)
        },
        "turns": json_types(turns.to_dict("records")),
        "curves": [_quantized(series) for series in time_series(conversation, head)],
        "stills": [
            {
                "timeS": highlight.frame / MOTION_FPS,
                "caption": highlight.caption,
                "image": jpeg_data_uri(image, STILL_WIDTH_PX),
            }
            for highlight, image in stills
        ],
        "summary": json_types({"Turn-taking": turn_taking_summary(conversation, turns), "Motion": summary}),
        "run": json_types(run),
        "video": {"embedded": embedded, "file": Path(video).name} if video else None,
        "viewer": Path(viewer).name if viewer else None,
    }
    write_page(
        path,
        "conversation_report/page.html",
        title=f"{conversation.name} – conversation report",
        data=data,
        video=base64.b64encode(Path(video).read_bytes()).decode() if video and embedded else "",
        has_loop=False,
    )


def _quantized(series: TimeSeries) -> dict:
    """Values as integer multiples of the last decimal, which takes a third of the size of decimal fractions."""
    scale = 10**series.digits
    columns = {label: np.rint(getattr(series, label) * scale).astype(int).tolist() for label in PARTY}
    return {"title": series.title, "unit": series.unit, "scale": scale, "digits": series.digits, **columns}
