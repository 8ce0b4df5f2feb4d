"""The verb `view`: a folder of results as one 3D page."""

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualtalk.choices import PARTY
from dualtalk.cli.options import EndOption, HeadOption, OverwriteOption, SimulatedFolder, StartOption, parse_span
from dualtalk.cli.output_file import output_file
from dualtalk.cli.simulated_folder import refuse_without_motion
from dualtalk.io.given_files import check_head

if TYPE_CHECKING:
    from dualtalk.core import Conversation
    from dualtalk.head import Head
    from dualtalk.io.clip_files import ClipFiles

PAGE = "viewer.html"


def view(
    source: SimulatedFolder,
    out: Annotated[
        Path | None, typer.Option(show_default="DIR/viewer.html", metavar="FILE.html", help="The page to write.")
    ] = None,
    head: HeadOption = "open",
    start: StartOption = None,
    end: EndOption = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Write no page; show all of it in a browser on this machine.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, show_default="any free one", help="Of --serve.")] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a simulated conversation as one page that shows both people in 3D, with sound.

    Example: [bold]dualtalk view call[/]

    The page is one file: a double click opens it, and it needs no network. Of
    a conversation of more than ten minutes it shows the part from --from to
    --to, or the beginning. docs/viewer.md describes the page.
    """
    check_head(head)
    refuse_without_motion(source)
    span_s = parse_span(start, end)
    out = out or source / PAGE
    locked = nullcontext() if serve else output_file(out, (".html", ".htm"), overwrite=overwrite)
    from dualtalk.core import Conversation
    from dualtalk.head import load_head
    from dualtalk.io.clip_files import ClipFiles
    from dualtalk.webpages.viewer import light_excerpt, write_viewer

    files = ClipFiles.in_folder(source)
    conversation, missing = Conversation.from_files(files, fill_missing=True), _missing(files)
    silent = not any(files.waves)
    if span_s != (0.0, None):
        conversation = conversation.excerpt(*span_s)
    if serve:
        _serve(conversation, load_head(head), port, silent, missing)
        return
    # A part that was asked for is written as it is.
    part, excerpt_notes = (conversation, ()) if end is not None else light_excerpt(conversation)
    with locked:
        notes = write_viewer(part, load_head(head), out, silent=silent, notes=[*missing, *excerpt_notes])
    print(f"{part.duration_s:.1f} s in {out}, {out.stat().st_size / 1e6:.1f} MB")
    for note in notes:
        print(f"note: {note}")


def _serve(conversation: "Conversation", head: "Head", port: int, silent: bool, notes: list[str]) -> None:
    """Serve the conversation until Ctrl-C."""
    from dualtalk.webpages.viewer_server import HOST, viewer_server

    with viewer_server(conversation, head, port, silent=silent, notes=notes) as server:
        address = f"http://{HOST}:{server.server_port}/"
        print(f"{address} shows {conversation.duration_s:.1f} s; end with Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


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
