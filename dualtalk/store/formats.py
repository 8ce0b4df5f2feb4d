"""Format numbers of a store, and how a store of an older format is read.

Format 2 renamed keys; the files are the same. A store of format 1 opens, reads, validates and trains like one of
format 2. It cannot be extended, because its clips were made from settings with other names.
"""

from collections.abc import Mapping
from typing import Any

from dualtalk.errors import InputError

FORMAT = 2

# Old name: new name.
_METADATA_KEYS = {"made_by": "generator"}
_CLIP_KEYS = {"made_of": "provenance", "task": "input_hash"}
_RECORD_KEYS = {
    "turns_from": "segmentation_source",
    "drift_a_ms": "av_offset_a_ms",
    "drift_b_ms": "av_offset_b_ms",
    "leak_a_db": "crosstalk_a_db",
    "leak_b_db": "crosstalk_b_db",
}


def check_format(found: object, source: object) -> None:
    """Refuse a format that this version does not read.

    Raises
    ------
    InputError
        A newer format, or something that is not a format number.
    """
    if isinstance(found, int) and found > FORMAT:
        raise InputError(
            f"{source} has format {found}, written by a newer dualtalk; this version reads formats 1 to {FORMAT}: "
            "upgrade dualtalk"
        )
    if not isinstance(found, int) or found < 1:
        raise InputError(f"{source} has format {found}; this version reads formats 1 to {FORMAT}")


def current_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """`store.json` with the keys of this version."""
    return _renamed(metadata, _METADATA_KEYS)


def current_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A clip's row, or the manifest's column names, with the keys of this version."""
    return _renamed(record, _RECORD_KEYS)


def current_columns(columns: list[str]) -> list[str]:
    """The columns of a manifest with the names of this version."""
    return [_RECORD_KEYS.get(name, name) for name in columns]


def current_clip(content: Mapping[str, Any]) -> dict[str, Any]:
    """A clip's JSON with the keys of this version."""
    renamed = _renamed(content, _CLIP_KEYS)
    return {**renamed, "record": current_record(renamed["record"])}


def _renamed(content: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in content.items()}
