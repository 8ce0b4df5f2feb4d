"""The verb `view`: a folder of results as one 3D page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualtalk.cli.options import HeadOption, OverwriteOption, SimulatedFolder
from dualtalk.cli.output_file import refuse_unusable_file
from dualtalk.cli.simulated_folder import refuse_without_motion

if TYPE_CHECKING:
    from dualtalk.core import Conversation

PAGE = "viewer.html"


def view(
    source: SimulatedFolder,
    out: Annotated[
        Path | None, typer.Option(show_default="DIR/viewer.html", metavar="FILE.html", help="The page to write.")
    ] = None,
    head: HeadOption = "open",
    overwrite: OverwriteOption = False,
) -> None:
    """Write a simulated conversation as one page that shows both people in 3D, with sound.

    Example: [bold]dualtalk view call[/]

    The page is one file: a double click opens it, and it needs no network.
    docs/viewer.md describes the page.
    """
    refuse_without_motion(source)
    out = out or source / PAGE
    refuse_unusable_file(out, (".html", ".htm"), overwrite=overwrite)
    from dualtalk.head import load_head
    from dualtalk.webpages.viewer import write_viewer

    conversation, silent, missing = _load(source)
    notes = write_viewer(conversation, load_head(head), out, silent=silent, notes=missing)
    print(f"{conversation.duration_s:.1f} s in {out}, {out.stat().st_size / 1e6:.1f} MB")
    for note in notes:
        print(f"note: {note}")


def _load(folder: Path) -> tuple["Conversation", bool, list[str]]:
    """The conversation, whether there is no audio at all, and notes on missing files."""
    import numpy as np
    from pyannote.core import Timeline

    from dualtalk.core import PARTY, Conversation, HeadMotion, Participant
    from dualtalk.io.audio_file import read_wave
    from dualtalk.io.rttm import read_rttm
    from dualtalk.timebase import SAMPLES_PER_FRAME

    motions = {name: HeadMotion.load(folder / f"{name}.npz") for name in PARTY}
    waves = {name: folder / f"{name}.wav" for name in PARTY if (folder / f"{name}.wav").is_file()}
    missing = [f"{name}.wav" for name in PARTY if name not in waves]
    turns = folder / "turns.rttm"
    notes = (
        [f"{' and '.join(missing)} missing, so no sound of {'either' if not waves else 'that person'}"]
        if missing
        else []
    )
    if not turns.is_file():
        notes.append("turns.rttm missing, so nothing tells who speaks when")
    annotation = read_rttm(turns) if turns.is_file() else None
    people = []
    for name, motion in motions.items():
        audio = (
            read_wave(waves[name])[0] if name in waves else np.zeros(motion.frames * SAMPLES_PER_FRAME, np.float32)
        )
        annotated = annotation is not None and name in annotation.labels()
        people.append(Participant(audio, annotation.label_timeline(name) if annotated else Timeline(), motion))
    title = annotation.uri if annotation is not None and annotation.uri else folder.resolve().name
    return Conversation(*people, name=title), not waves, notes
