"""The verb `export`: a folder of results in the format of another program."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

import dualtalk
from dualtalk.choices import PARTY
from dualtalk.cli.options import HeadOption, OverwriteOption, SimulatedFolder
from dualtalk.cli.simulated_folder import refuse_without_motion
from dualtalk.errors import InputError
from dualtalk.export.registry import check_format, format_help
from dualtalk.io.atomic import write_text
from dualtalk.io.result_folder import result_folder

RECORD = "export.json"
SIZES_PX = (256, 512)


def export(
    source: SimulatedFolder,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            show_default=False,
            metavar="FORMAT",
            help=f"One of: {format_help()}.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(show_default="DIR-FORMAT", metavar="PATH", help="Folder to write the results to."),
    ] = None,
    person: Annotated[Literal["a", "b", "both"], typer.Option(help="Whose motion to export.")] = "both",
    head: HeadOption = "open",
    bfm: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            metavar="PATH",
            help="Your file of the Basel face model (BFM_model_front.mat), for the format bfm.",
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(metavar="256|512", help="Width and height of driving-video, in pixels.")
    ] = 512,
    fps: Annotated[
        int, typer.Option(metavar="25|60", help="Rows a second of arkit-csv, time codes a second of usd.")
    ] = 25,
    overwrite: OverwriteOption = False,
) -> None:
    """Export a simulated conversation to another program's format.

    Example: [bold]dualtalk export call --format glb[/]

    Prints what the format cannot represent exactly. docs/export.md describes
    the conventions of each format.
    """
    people = PARTY if person == "both" else (person,)
    check_format(form, fps, has_bfm=bfm is not None)
    if size not in SIZES_PX:
        raise InputError(f"--size {size}; wanted {' or '.join(map(str, SIZES_PX))}")
    if bfm is not None and not bfm.is_file():
        raise InputError(f"no Basel face model at {bfm}")
    refuse_without_motion(source, people, slip="; --person {} exports the other")
    from dualtalk.core import Conversation
    from dualtalk.export import ExportOptions, export_conversation
    from dualtalk.head import load_head

    out = out or source.resolve().with_name(f"{source.resolve().name}-{form}")
    with result_folder(out, overwrite=overwrite, record=RECORD, inputs=[source]) as folder:
        conversation = Conversation.load(source)
        target = load_head(head)
        notes = export_conversation(
            conversation,
            folder,
            form,
            labels=people,
            head=target,
            fps=fps,
            options=ExportOptions(bfm, size),
        )
        record = {
            "source": str(source),
            "format": form,
            "people": list(people),
            "head": target.name,
            "fps": fps,
            "notes": notes,
            "dualtalk": dualtalk.__version__,
            "files": sorted(path.name for path in folder.iterdir()),
        }
        write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")
    print(f"{conversation.duration_s:.1f} s as {form}")
    print(*(f"note: {note}" for note in notes), *(f"  {path}" for path in sorted(out.iterdir())), sep="\n")
