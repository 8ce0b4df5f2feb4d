"""Head models: the bundled open head and FLAME files, behind one interface."""

import os

from dualtalk.head.head import LIPS_CLOSED_M, Eye, Head
from dualtalk.head.regions import Region

__all__ = ["LIPS_CLOSED_M", "Eye", "Head", "Region", "load_head", "retarget"]


def load_head(name_or_path: str | os.PathLike) -> Head:
    """Load a head: "open", or the path of a FLAME file (2020, 2023 or 2023 Open; `.pkl`).

    Raises
    ------
    InputError
        No such file, not a FLAME model, or a pickle that would run code.
    SetupError
        A FLAME file without smplx installed.
    """
    if str(name_or_path) == "open":
        from dualtalk.head.open_head import open_head

        return open_head()
    from dualtalk.head.flame import read_flame

    return read_flame(name_or_path)


def retarget(motion, source: Head, target: Head):
    """Retarget motion to another head's space; see `dualtalk.head.retargeting.retarget`."""
    from dualtalk.head.retargeting import retarget as carry

    return carry(motion, source, target)
