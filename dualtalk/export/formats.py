"""The writers of the bundled export formats, and `export_conversation`."""

from collections.abc import Sequence
from pathlib import Path

from dualtalk.core import PARTY, Conversation
from dualtalk.errors import InputError
from dualtalk.export.contents import Export, ExportOptions
from dualtalk.export.gltf import write_glb
from dualtalk.export.meshes import write_mesh_sequence
from dualtalk.export.registry import EXPORTERS, check_format
from dualtalk.export.tables import motion_table, write_published_npz, write_table
from dualtalk.export.usd import write_usd
from dualtalk.head import Head, load_head
from dualtalk.head.live_link import write_live_link
from dualtalk.timebase import MOTION_FPS


def write_arkit_csv(export: Export, folder: Path) -> list[str]:
    """`a.csv` and `b.csv` in the layout of the Live Link Face app."""
    motions, notes = export.open_motions()
    for label, motion in motions.items():
        write_live_link(folder / f"{label}.csv", motion, fps=export.fps)
    if export.fps != MOTION_FPS:
        notes.append(f"the {export.fps} rows a second are interpolated from {MOTION_FPS} motion frames a second")
    return notes


def write_glb_dialogue(export: Export, folder: Path) -> list[str]:
    """`dialogue.glb` and the voices."""
    export, notes = export.retargeted()
    path = folder / "dialogue.glb"
    write_glb(path, export.skinned_head, export.motions, export.appearances, export.placements)
    export.write_voices(folder)
    return notes


def write_usd_dialogue(export: Export, folder: Path) -> list[str]:
    """`dialogue.usdc` and the voices."""
    export, notes = export.retargeted()
    path = folder / "dialogue.usdc"
    write_usd(path, export.skinned_head, export.motions, export.appearances, export.placements, export.fps)
    export.write_voices(folder)
    return notes


def write_flame_npz(export: Export, folder: Path) -> list[str]:
    """`dialogue_speaker1.npz` and so on, named as in the published corpus: speaker 1 is participant a."""
    motions, notes = export.flame_motions()
    names = {label: f"dialogue_speaker{PARTY.index(label) + 1}" for label in export.participants}
    for label, motion in motions.items():
        write_published_npz(folder / f"{names[label]}.npz", motion)
    export.write_voices(folder, names)
    return notes


def write_parquet(export: Export, folder: Path) -> list[str]:
    """`motion.parquet`, one row per participant and frame."""
    write_table(folder / "motion.parquet", motion_table(export.participants))
    return []


def write_csv(export: Export, folder: Path) -> list[str]:
    """`motion.csv`, one row per participant and frame."""
    write_table(folder / "motion.csv", motion_table(export.participants))
    return []


def write_obj(export: Export, folder: Path) -> list[str]:
    """`a/000000.obj` and so on: one mesh per frame."""
    return _write_meshes(export, folder, ".obj")


def write_ply(export: Export, folder: Path) -> list[str]:
    """`a/000000.ply` and so on: one mesh per frame, with colours."""
    return _write_meshes(export, folder, ".ply")


def _write_meshes(export: Export, folder: Path, suffix: str) -> list[str]:
    export, notes = export.retargeted()
    for label, motion in export.motions.items():
        write_mesh_sequence(folder / label, export.head, motion, suffix, export.appearances[label])
    return notes


def export_conversation(
    conversation: Conversation,
    folder: Path,
    format_name: str,
    *,
    labels: Sequence[str] = PARTY,
    head: Head | None = None,
    fps: int = MOTION_FPS,
    options: ExportOptions = ExportOptions(),
) -> list[str]:
    """Write a conversation in one of the formats of `EXPORTERS`.

    Parameters
    ----------
    conversation : Conversation
        With motion of the participants in `labels`.
    folder : Path
        An empty folder.
    format_name : str
    labels : sequence of "a" and "b"
        Which participants to export.
    head : Head, optional
        Shows the motion, and expressions are fitted to it; by default the open head.
    fps : int
        Frames a second; 25, or 60 for arkit-csv.
    options : ExportOptions
        Options of single formats.

    Returns
    -------
    list of str
        Notes, one line for each thing that the format does not keep exactly.

    Raises
    ------
    InputError
        Unknown format, a participant without motion, or FLAME motion in a format that needs a FLAME head.
    SetupError
        The format needs a package that is not installed.
    """
    check_format(format_name, fps, has_bfm=options.bfm is not None)
    participants = {label: getattr(conversation, label) for label in labels}
    for label, person in participants.items():
        if person.motion is None:
            raise InputError(f"{conversation.name} has no motion of {label}; did dualtalk simulate write it?")
    return EXPORTERS[format_name].write(Export(participants, head or load_head("open"), fps, options), folder)
