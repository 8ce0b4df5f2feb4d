"""The verb `view`: a folder of results as one 3D page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualtalk.choices import PARTY
from dualtalk.cli.options import HeadOption, OverwriteOption, SimulatedFolder
from dualtalk.cli.output_file import output_file
from dualtalk.cli.simulated_folder import refuse_without_motion
from dualtalk.io.given_files import check_head

if TYPE_CHECKING:
    from dualtalk.io.clip_files import ClipFiles

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
    check_head(head)
    refuse_without_motion(source)
    out = out or source / PAGE
    locked = output_file(out, (".html", ".htm"), overwrite=overwrite)
    from dualtalk.core import Conversation
    from dualtalk.head import load_head
    from dualtalk.io.clip_files import ClipFiles
    from dualtalk.webpages.viewer import write_viewer

    files = ClipFiles.in_folder(source)
    conversation = Conversation.from_files(files, fill_missing=True)
    with locked:
        notes = write_viewer(
            conversation, load_head(head), out, silent=not any(files.waves), notes=_missing(files)
        )
    print(f"{conversation.duration_s:.1f} s in {out}, {out.stat().st_size / 1e6:.1f} MB")
    for note in notes:
        print(f"note: {note}")


def _missing(files: "ClipFiles") -> list[str]:
    """Notes on the missing files and what the page lacks without them."""
    notes = []
    missing = [f"{label}.wav" for label, path in zip(PARTY, files.waves, strict=True) if path is None]
    if missing:
        whose = "either person" if len(missing) == len(PARTY) else "that person"
        notes.append(f"{' and '.join(missing)} missing, so the page has no sound of {whose}")
    if files.turns is None:
        notes.append("turns.rttm missing, so the page does not show who speaks when")
    return notes
