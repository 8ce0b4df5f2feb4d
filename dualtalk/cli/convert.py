"""The verb `convert`: outputs of other systems as motion files, for evaluate, view, render and export."""

import json
import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

import dualtalk
from dualtalk.choices import SystemName
from dualtalk.cli.options import HeadOption, OverwriteOption, ResultFolder
from dualtalk.errors import InputError
from dualtalk.io.result_folder import result_folder

RECORD = "convert.json"
# Copied beside the motion, if they have the same name or are the turns of a conversation.
COMPANIONS = (".wav", ".rttm")


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTED",
            show_default=False,
            help="Folder of files that a system wrote, named as for evaluate (CLIP_speaker1) or view (a and b).",
        ),
    ],
    system: Annotated[SystemName, typer.Option(show_default=False, help="The system that wrote the files.")],
    out: ResultFolder,
    fps: Annotated[
        float | None,
        typer.Option(min=1, max=1000, show_default="the system's", help="Frame rate of the files."),
    ] = None,
    head: HeadOption = "open",
    template: Annotated[
        Path | None,
        typer.Option(
            show_default="the mean head",
            metavar="FILE",
            help="Mesh of the person at rest (.npy, .ply, .obj), for [bold]--system vertices[/].",
        ),
    ] = None,
    space: Annotated[
        Literal["own", "open", "flame"],
        typer.Option(
            help="Expressions of the motion: the system's own, or fitted to the other kind of head, which needs "
            "--head with a FLAME file."
        ),
    ] = "own",
    overwrite: OverwriteOption = False,
) -> None:
    """Convert the outputs of another system to motion files.

    Example: [bold]dualtalk convert faceformer --system vertices --head flame2023.pkl --out predictions[/]

    The results are folders for evaluate (CLIP_speaker1.npz) or view (a.npz and
    b.npz). docs/other-systems.md describes the formats.
    """
    if not source.is_dir():
        raise InputError(f"no folder at {source}; wanted a folder of files that {system} wrote")
    if head == "open" and (space != "own" or system == "vertices"):
        need = (
            "meshes are fitted by FLAME's expressions" if space == "own" else f"--space {space} fits expressions"
        )
        raise InputError(f"{need}: pass --head with your FLAME file")
    from dualtalk.head import load_head, retarget
    from dualtalk.head.system_outputs import SYSTEMS, ReadOptions, read_system_output

    suffixes = SYSTEMS[system].suffixes
    found = sorted(path for path in source.iterdir() if path.suffix in suffixes)
    if not found:
        raise InputError(f"{source} has no file that ends in {' or '.join(suffixes)}, as those of {system} do")
    if twice := {path.stem for path in found if sum(other.stem == path.stem for other in found) > 1}:
        raise InputError(f"{source} has two files named {min(twice)}; remove one of them")
    flame, ours = load_head(head), load_head("open")
    with result_folder(out, overwrite=overwrite, record=RECORD) as folder:
        frames = 0
        for path in found:
            motion = read_system_output(path, system, ReadOptions(fps, flame, template))  # type: ignore[arg-type]
            if space != "own" and motion.space != space:
                heads = (ours, flame) if space == "flame" else (flame, ours)
                motion = retarget(motion, *heads)
            motion.save(folder / f"{path.stem}.npz")
            frames += motion.frames
        names = {path.stem for path in found} | {"turns"}
        for path in source.iterdir():
            if path.suffix in COMPANIONS and path.stem in names:
                shutil.copyfile(path, folder / path.name)
        record = {"source": str(source), "system": system, "fps": fps, "head": flame.name, "space": space}
        (folder / RECORD).write_text(
            json.dumps(record | {"dualtalk": dualtalk.__version__}, indent=2) + "\n", encoding="utf-8"
        )
    print(
        f"{len(found)} files of {system}, {frames} frames",
        *(f"  {path}" for path in sorted(out.iterdir())),
        sep="\n",
    )
