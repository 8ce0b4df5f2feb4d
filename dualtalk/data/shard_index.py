"""The index `shards.json` of tar shards: which shards a split has, and the clips of each with their frames.

The index may come from an untrusted server, so every name and number of it is checked before it is used.
"""

from dataclasses import dataclass
from typing import Any

import fsspec

from dualtalk.data.windows import window_count
from dualtalk.errors import InputError
from dualtalk.io.json_file import parse_json
from dualtalk.io.names import check_name
from dualtalk.store.formats import check_format
from dualtalk.timebase import LONGEST_CLIP_FRAMES

INDEX = "shards.json"


@dataclass(frozen=True)
class Shard:
    """One tar file.

    Attributes
    ----------
    name : str
    clips : tuple of str
        Names of the clips, in the order of the tar.
    frames : tuple of int
        Number of frames of each clip.
    """

    name: str
    clips: tuple[str, ...]
    frames: tuple[int, ...]

    def windows(self, window_frames: int, stride_frames: int) -> int:
        """Number of windows."""
        return sum(window_count(one, window_frames, stride_frames) for one in self.frames)


@dataclass(frozen=True)
class ShardIndex:
    """The shards of each split.

    Attributes
    ----------
    space : str
        Space of all motion; empty where there is none.
    splits : dict of str to list of Shard
    """

    space: str
    splits: dict[str, list[Shard]]


def read_index(url: str) -> ShardIndex:
    """Read `shards.json` of a folder or URL.

    Raises
    ------
    InputError
        There is no index, it has a newer format, or a name or a number of it is invalid.
    """
    try:
        with fsspec.open(f"{url.rstrip('/')}/{INDEX}", "rt", encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"no shards at {url} ({INDEX}: {error}); make them with dualtalk shard") from error
    content = parse_json(text, f"the index of {url}")
    try:
        check_format(content.get("format"), f"the index of {url}")
        splits = {
            check_name(split, "a split"): [_shard(entry) for entry in entries]
            for split, entries in content["splits"].items()
        }
        return ShardIndex(str(content["space"]), splits)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the index of {url} is damaged ({error}); write the shards again") from error
    except InputError as error:
        raise InputError(f"the index of {url} cannot be used: {error}") from error


def _shard(entry: Any) -> Shard:
    name = check_name(entry["name"], "a shard")
    clips = tuple(check_name(clip, f"a clip of {name}") for clip in entry["clips"])
    frames = tuple(entry["frames"])
    if len(clips) != len(frames):
        raise InputError(f"{name} has {len(clips)} clips and {len(frames)} lengths")
    for one in frames:
        if type(one) is not int or not 1 <= one <= LONGEST_CLIP_FRAMES:
            raise InputError(f"{name} has a clip of {one!r} frames; wanted 1 to {LONGEST_CLIP_FRAMES}")
    return Shard(name, clips, frames)
