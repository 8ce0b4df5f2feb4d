"""The output file of a verb: checked before any work is done for it, and locked while the verb runs."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from dualtalk.errors import InputError
from dualtalk.io.lock import write_lock


def output_file(
    out: Path, suffixes: Sequence[str], *, overwrite: bool, inputs: Sequence[Path] = ()
) -> AbstractContextManager[None]:
    """Check that a file with one of `suffixes` may be written to `out`; return its lock, a context manager.

    Raises
    ------
    InputError
        `out` is a folder, has another suffix, exists and `overwrite` is false, or is one of `inputs`; or its
        folder is missing.
    """
    kind = suffixes[0].lstrip(".")
    if out.is_dir():
        raise InputError(f"{out} is a folder; wanted the name of an {kind} file")
    if out.suffix.lower() not in suffixes:
        raise InputError(f"--out is {out}; wanted a name that ends in {suffixes[0]}")
    if not out.parent.is_dir():
        raise InputError(f"cannot write {out}: its folder does not exist")
    if any(out.resolve() == path.resolve() for path in inputs):
        raise InputError(f"{out} is an input of this command; give another name")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists; pass --overwrite to replace it")
    return write_lock(out)
