"""Which of the processes that train one model together this is."""

from torch import distributed


def process_number() -> int:
    """This process's number, from 0; the first one speaks and writes for all."""
    return distributed.get_rank() if _together() else 0


def process_count() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if _together() else 1


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
