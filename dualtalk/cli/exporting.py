"""The verb `export`: a folder of results, for another program."""

import json
from pathlib import Path

import dualtalk
from dualtalk.cli.result_dir import result_folder
from dualtalk.core import PARTY, Conversation
from dualtalk.errors import InputError
from dualtalk.export import export_conversation
from dualtalk.export.formats import check_format
from dualtalk.head import load_head

RECORD = "export.json"


def run(
    source: Path, form: str, out: Path | None, *, person: str, head: str, fps: int, overwrite: bool
) -> tuple[Path, list[str]]:
    """Export `source` and record how; gives the folder and the lines that sum it up.

    Raises
    ------
    DualTalkError
        A file is not as it should be, something is not installed, or the folder is taken.
    """
    check_format(form, fps)
    people = PARTY if person == "both" else (person,)
    refuse_without_motion(source, people)
    out = out or source.resolve().with_name(f"{source.resolve().name}-{form}")
    with result_folder(out, overwrite=overwrite, record=RECORD) as folder:
        conversation = Conversation.load(source)
        shown = load_head(head)
        notes = export_conversation(conversation, folder, form, people=people, head=shown, fps=fps)
        record = {
            "source": str(source),
            "format": form,
            "people": list(people),
            "head": shown.name,
            "fps": fps,
            "notes": notes,
            "dualtalk": dualtalk.__version__,
        }
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    return out, [f"{conversation.duration_s:.1f} s as {form}", *(f"note: {note}" for note in notes)]


def refuse_without_motion(
    source: Path, people: tuple[str, ...], slip: str = "; --person {} exports the other"
) -> None:
    """Raise unless `source` is a folder that holds motion of `people`; where it holds another's, `slip` says what
    else could be done."""
    if not source.is_dir():
        inside = "; give the folder it is in" if source.is_file() else ""
        raise InputError(f"no folder at {source}; wanted one that dualtalk simulate wrote{inside}")
    held = [name for name in PARTY if (source / f"{name}.npz").is_file()]
    missing = [f"{name}.npz" for name in people if name not in held]
    if missing:
        raise InputError(
            f"{source} holds no {' and no '.join(missing)}; wanted a folder that dualtalk simulate wrote"
            f"{slip.format(held[0]) if held else ''}"
        )
