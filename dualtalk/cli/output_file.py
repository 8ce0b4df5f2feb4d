"""Checks of the path of an output file, before any work is done for it."""

from collections.abc import Sequence
from pathlib import Path

from dualtalk.errors import InputError


def refuse_unusable_file(out: Path, suffixes: Sequence[str], *, overwrite: bool) -> None:
    """Raise `InputError` unless a file with one of `suffixes` may be written to `out`."""
    kind = suffixes[0].lstrip(".")
    if out.is_dir():
        raise InputError(f"{out} is a folder; wanted the name of an {kind} file")
    if out.suffix.lower() not in suffixes:
        raise InputError(f"--out is {out}; wanted a name that ends in {suffixes[0]}")
    if not out.parent.is_dir():
        raise InputError(f"cannot write {out}: its folder does not exist")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists; pass --overwrite to replace it")
