"""The formats there are, and what each keeps.

A writer takes what is to be exported and a folder, and gives notes: what the format, or the lack of a head file,
left out. Motion goes out in the space it is in; it is fitted to another head's expressions only where the format
means those and a FLAME file was given to fit by.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dualtalk.core import PARTY, Conversation, HeadMotion, Participant
from dualtalk.errors import InputError
from dualtalk.export.gltf import write_glb
from dualtalk.export.meshes import write_mesh_sequence
from dualtalk.export.tables import motion_table, write_published, write_table
from dualtalk.export.usd import write_usd
from dualtalk.head import Head, load_head, retarget
from dualtalk.head.live_link import write_live_link
from dualtalk.io.audio_file import write_wave
from dualtalk.io.live_link import TIMECODE_FPS
from dualtalk.render.scene import APPEARANCES, camera_layout
from dualtalk.timebase import MOTION_FPS

LIVE_LINK_FPS = (MOTION_FPS, TIMECODE_FPS)
# Of what a head file that was given fitted.
FITTED = "expressions were fitted to {} by least squares; joints are exact"
NO_UNITS = (
    "only what joints turn is here (head, eyes, jaw); FLAME's expressions are not ARKit's units, so those are 0; "
    "pass --head with your FLAME file to fit them"
)
NO_FLAME = (
    "only poses are here; the open head's expressions and identity are not FLAME's, so exp and shape are 0; "
    "pass --head with your FLAME file to fit exp"
)


@dataclass(frozen=True, eq=False)
class Export:
    """What goes out: people by name, "a" and "b", all with motion; the head that shows them; rows a second."""

    people: dict[str, Participant]
    head: Head
    fps: int = MOTION_FPS

    @property
    def motions(self) -> dict[str, HeadMotion]:
        return {name: person.motion for name, person in self.people.items()}

    @property
    def appearances(self) -> dict:
        return {name: APPEARANCES[PARTY.index(name)] for name in self.people}

    @property
    def placements(self) -> dict[str, np.ndarray]:
        """Both face each other as in the video; one alone stands in the head's own coordinates."""
        if len(self.people) == 1:
            return {name: np.eye(4, dtype=np.float32) for name in self.people}
        eyes_m = np.mean([eye.centre_m for eye in self.head.eyes], axis=0, dtype=np.float32)
        placements = camera_layout("face-to-face").placements
        return {name: placements[PARTY.index(name)].world_from_head(eyes_m) for name in self.people}

    def fitted(self) -> tuple["Export", list[str]]:
        """The same with motion in the head's space, and what that cost.

        Raises
        ------
        InputError
            FLAME's motion, and no FLAME file to show it on.
        """
        people, notes = {}, []
        for name, person in self.people.items():
            if person.motion.space != self.head.space:
                if self.head.space == "open":
                    raise InputError(
                        f"{name} moves a FLAME head, which is not bundled; pass --head with your file"
                    )
                motion = retarget(person.motion, load_head("open"), self.head)
                person = replace(person, motion=motion)
                notes.append(
                    f"{name}: expressions were fitted to {self.head.name} by least squares; joints are exact"
                )
            people[name] = person
        return replace(self, people=people), notes

    def write_voices(self, folder: Path, names: dict[str, str] | None = None) -> None:
        for name, person in self.people.items():
            write_wave(folder / f"{(names or {}).get(name, name)}.wav", person.audio)


def _arkit_csv(export: Export, folder: Path) -> list[str]:
    notes = []
    for name, motion in export.motions.items():
        if motion.space != "open" and export.head.space == motion.space:
            motion = retarget(motion, export.head, load_head("open"))
            notes.append(f"{name}: {FITTED.format('the open head')}")
        elif motion.space != "open":
            notes.append(f"{name}: {NO_UNITS}")
        write_live_link(folder / f"{name}.csv", motion, fps=export.fps)
    if export.fps != MOTION_FPS:
        notes.append(f"motion has {MOTION_FPS} frames a second; the {export.fps} rows lie on lines between them")
    return notes


def _glb(export: Export, folder: Path) -> list[str]:
    shown, notes = export.fitted()
    write_glb(folder / "dialogue.glb", shown.head, shown.motions, shown.appearances, shown.placements)
    shown.write_voices(folder)
    return notes


def _usd(export: Export, folder: Path) -> list[str]:
    shown, notes = export.fitted()
    write_usd(folder / "dialogue.usdc", shown.head, shown.motions, shown.appearances, shown.placements)
    shown.write_voices(folder)
    return notes


def _flame_npz(export: Export, folder: Path) -> list[str]:
    """Named as the published files are: speaker 1 is person a."""
    notes, names = [], {name: f"dialogue_speaker{PARTY.index(name) + 1}" for name in export.people}
    for name, motion in export.motions.items():
        if motion.space != "flame" and export.head.space == "flame":
            motion = retarget(motion, load_head("open"), export.head)
            notes.append(
                f"{name}: expressions were fitted to {export.head.name} by least squares; poses are exact"
            )
        elif motion.space != "flame":
            motion = _without_expression(motion)
            notes.append(f"{name}: {NO_FLAME}")
        write_published(folder / f"{names[name]}.npz", motion)
    export.write_voices(folder, names)
    return notes


def _without_expression(motion: HeadMotion) -> HeadMotion:
    coefficients = motion.coefficients.copy()
    coefficients[:, motion.layout.slice_of("expression")] = 0
    return HeadMotion(coefficients, "flame", motion.layout, valid=motion.valid)


def _parquet(export: Export, folder: Path) -> list[str]:
    write_table(folder / "motion.parquet", motion_table(export.people))
    return []


def _csv(export: Export, folder: Path) -> list[str]:
    write_table(folder / "motion.csv", motion_table(export.people))
    return []


def _meshes(suffix: str) -> "Writer":
    def write(export: Export, folder: Path) -> list[str]:
        shown, notes = export.fitted()
        for name, motion in shown.motions.items():
            write_mesh_sequence(folder / name, shown.head, motion, suffix, shown.appearances[name])
        return notes

    return write


Writer = Callable[[Export, Path], list[str]]
FORMATS: dict[str, Writer] = {
    "arkit-csv": _arkit_csv,
    "glb": _glb,
    "usd": _usd,
    "flame-npz": _flame_npz,
    "parquet": _parquet,
    "csv": _csv,
    "obj": _meshes(".obj"),
    "ply": _meshes(".ply"),
}


def check_format(form: str, fps: int = MOTION_FPS) -> None:
    """Raise InputError unless there is such a format, and it can have `fps` rows a second."""
    if form not in FORMATS:
        near = difflib.get_close_matches(form, FORMATS, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"no format {form!r}; there is {', '.join(FORMATS)}{hint}")
    if form == "arkit-csv" and fps not in LIVE_LINK_FPS:
        raise InputError(f"arkit-csv has 25 or 60 rows a second, not {fps}")
    if form != "arkit-csv" and fps != MOTION_FPS:
        raise InputError(f"{form} has {MOTION_FPS} frames a second, as the motion has; --fps is for arkit-csv")


def export_conversation(
    conversation: Conversation,
    folder: Path,
    form: str,
    *,
    people: Sequence[str] = PARTY,
    head: Head | None = None,
    fps: int = MOTION_FPS,
) -> list[str]:
    """Write a conversation into an empty folder in one of `FORMATS`; gives what is not exact, a line each.

    Parameters
    ----------
    people : of "a" and "b"
    head : Head
        What shows the motion, and what expressions are fitted by; the open head where none is given.
    fps : int
        Rows a second of arkit-csv, 25 or 60.

    Raises
    ------
    InputError
        There is no such format, someone has no motion, or FLAME's motion is to be shown without a FLAME file.
    SetupError
        The format needs a package that is not installed.
    """
    check_format(form, fps)
    chosen = {name: getattr(conversation, name) for name in people}
    for name, person in chosen.items():
        if person.motion is None:
            raise InputError(f"{conversation.name} has no motion of {name}; did dualtalk simulate write it?")
    return FORMATS[form](Export(chosen, head or load_head("open"), fps), folder)
