"""The verb `view`: a folder of results as one page in 3D."""

from pathlib import Path

import numpy as np
from pyannote.core import Timeline

from dualtalk.cli.exporting import refuse_without_motion
from dualtalk.core import PARTY, Conversation, HeadMotion, Participant
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.io.audio_file import read_wave
from dualtalk.io.rttm import read_rttm
from dualtalk.timebase import SAMPLES_PER_FRAME
from dualtalk.webpages.viewer import write_viewer

NAME = "viewer.html"


def run(source: Path, out: Path | None, *, head: str, overwrite: bool) -> list[str]:
    """Write the page of `source`; gives the lines that sum it up.

    Raises
    ------
    DualTalkError
        A file is not as it should be, something is not installed, or the page exists and may not be replaced.
    """
    refuse_without_motion(source, PARTY, slip="")
    out = out or source / NAME
    if out.is_dir():
        raise InputError(f"{out} is a folder; wanted the name of an html file")
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out is {out}; wanted a name that ends in .html")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists; pass --overwrite to replace it")
    conversation, silent, notes = _loaded(source)
    told = write_viewer(conversation, load_head(head), out, silent=silent, notes=notes)
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    return [f"{conversation.duration_s:.1f} s in {out}, {size}", *(f"note: {note}" for note in told)]


def _loaded(folder: Path) -> tuple[Conversation, bool, list[str]]:
    """The conversation, whether nobody of it can be heard, and what it lacks."""
    motions = {name: HeadMotion.load(folder / f"{name}.npz") for name in PARTY}
    heard = {name: folder / f"{name}.wav" for name in PARTY if (folder / f"{name}.wav").is_file()}
    missing = [f"{name}.wav" for name in PARTY if name not in heard]
    told = folder / "turns.rttm"
    notes = (
        [f"{' and '.join(missing)} missing, so no sound of {'either' if not heard else 'that person'}"]
        if missing
        else []
    )
    if not told.is_file():
        notes.append("turns.rttm missing, so nothing tells who speaks when")
    annotation = read_rttm(told) if told.is_file() else None
    people = []
    for name, motion in motions.items():
        audio = (
            read_wave(heard[name])[0] if name in heard else np.zeros(motion.frames * SAMPLES_PER_FRAME, np.float32)
        )
        known = annotation is not None and name in annotation.labels()
        people.append(Participant(audio, annotation.label_timeline(name) if known else Timeline(), motion))
    title = annotation.uri if annotation is not None and annotation.uri else folder.resolve().name
    return Conversation(*people, name=title), not heard, notes
