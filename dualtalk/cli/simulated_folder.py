"""Checks of a folder that `simulate` wrote, before anything of it is loaded."""

from collections.abc import Sequence
from pathlib import Path

from dualtalk.choices import PARTY
from dualtalk.errors import InputError
from dualtalk.io.given_files import check_motion_file


def refuse_without_motion(source: Path, people: Sequence[str] = PARTY, slip: str = "") -> None:
    """Raise `InputError` unless `source` is a folder with the motion of `people`.

    `slip` is added to the message if the motion of the other person is there; `{}` stands for that person.
    """
    if not source.is_dir():
        inside = "; give the folder it is in" if source.is_file() else ""
        raise InputError(f"no folder at {source}; wanted one that dualtalk simulate wrote{inside}")
    for name in people:
        if (source / f"{name}.npz").is_file():
            check_motion_file(source / f"{name}.npz")
    present = [name for name in PARTY if (source / f"{name}.npz").is_file()]
    missing = [f"{name}.npz" for name in people if name not in present]
    if missing:
        raise InputError(
            f"{source} holds no {' and no '.join(missing)}; wanted a folder that dualtalk simulate wrote"
            f"{slip.format(present[0]) if present else ''}"
        )
