"""Reading npz archives of plain arrays."""

import os
from pathlib import Path

import numpy as np

from dualtalk.errors import InputError


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file, by name.

    Raises
    ------
    InputError
        No such file, not an npz, or one that holds pickled objects.
    """
    if not Path(path).is_file():
        raise InputError(f"no motion file at {path}")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:
        # A damaged archive can raise almost anything.
        raise InputError(f"{path} is not a readable npz of plain arrays: {error}") from error
