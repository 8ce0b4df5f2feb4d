"""Windows from tar shards, for corpora that outgrow a disk: a local folder or any URL that fsspec opens.

A shard is a WebDataset tar of whole clips. The index `shards.json` lists the shards of each split and the frames
of their clips, so that the number of windows of a shard is known without opening it.

Shards are assigned to readers deterministically: rank r of n reads every n-th shard, and worker w of m every m-th
of those. Each epoch shuffles the shards of a reader, and shuffles the windows of `mixed_clips` consecutive clips
together. The state of a reader is two numbers (`state_dict`); a resumed reader skips windows without decoding
them.
"""

import io
import itertools
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from io import BufferedIOBase

import fsspec
import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from dualtalk.choices import Workers
from dualtalk.core import MotionLayout
from dualtalk.data import distributed
from dualtalk.data.shard_index import INDEX, Shard, read_index
from dualtalk.data.windows import (
    ConversationWindows,
    Window,
    as_window,
    layout_named,
    one_space,
    window_starts,
)
from dualtalk.errors import InputError, missing_extra
from dualtalk.io.remote import RemoteFolder, is_url, written_in
from dualtalk.io.result_folder import result_folder
from dualtalk.parallel import worker_pool
from dualtalk.store import Store
from dualtalk.store.formats import FORMAT
from dualtalk.store.schema import clip_path, parse_speech
from dualtalk.store.window_reader import ClipSpan, read_span, speech_mask

try:
    import webdataset
    from webdataset.tariterators import group_by_keys, tar_file_iterator
except ModuleNotFoundError as error:
    raise missing_extra("training data", "train", error) from error

CLIPS_PER_SHARD, MIXED_CLIPS = 32, 16
VOICES = ("speaker1.wav", "speaker2.wav")
PERSON_FILES = (*VOICES, "speaker1.npz", "speaker2.npz")


def write_shards(
    store: Store,
    out: str | os.PathLike,
    clips_per_shard: int = CLIPS_PER_SHARD,
    *,
    overwrite: bool = False,
    workers: Workers = 0,
) -> list[str]:
    """Copy a store into shards; the same store gives the same bytes.

    Parameters
    ----------
    store : Store
    out : path or URL
        Folder of the shards. A local one appears as a whole or not at all; behind a URL, the index comes last.
    clips_per_shard : int
    overwrite : bool
        Replace shards of an earlier run.
    workers : int or RayCluster
        Processes; 0 works in this one. Or a cluster, whose nodes reach the store and `out`.

    Returns
    -------
    list of str
        Names of the shards.

    Raises
    ------
    InputError
        `out` holds other files, is the store or cannot be written, or the store mixes spaces.
    """
    if is_url(out):
        _clear_url(str(out), overwrite=overwrite)
        return _write_shards(store, str(out), clips_per_shard, workers)
    with result_folder(
        out, overwrite=overwrite, record=INDEX, results=(INDEX, "*.tar"), inputs=[store.root]
    ) as folder:
        return _write_shards(store, str(folder), clips_per_shard, workers)


def _clear_url(url: str, *, overwrite: bool) -> None:
    """Remove the shards of an unfinished run, or of a finished one if they may be replaced."""
    remote = RemoteFolder(url)
    held = remote.names()
    if others := [name for name in held if name != INDEX and not ("/" not in name and name.endswith(".tar"))]:
        raise InputError(f"{url} holds {others[0]}, which is no shard; give a folder of its own")
    if INDEX in held and not overwrite:
        raise InputError(f"{url} holds shards; --overwrite replaces them")
    remote.remove(held)


def _write_shards(store: Store, folder: str, clips_per_shard: int, workers: Workers) -> list[str]:
    index: dict[str, list[dict]] = {}
    for split, rows in store.manifest.groupby("split", sort=True):
        for number, first in enumerate(range(0, len(rows), clips_per_shard)):
            some = rows.iloc[first : first + clips_per_shard]
            name = f"{split}-{number:06d}.tar"
            entry = {"name": name, "clips": list(some["clip"]), "frames": [int(one) for one in some["frames"]]}
            index.setdefault(str(split), []).append(entry)
    content = {
        "format": FORMAT,
        "space": one_space(list(store.manifest["space"]), store.root),
        "metadata": store.metadata,
        "splits": index,
    }
    jobs = [(split, shard["name"], shard["clips"]) for split, shards in index.items() for shard in shards]
    with worker_pool(workers) as pool:
        for _ in pool.map_unordered(partial(_write_shard, store, folder), jobs):
            pass
    with written_in(folder, INDEX) as path:
        path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return [name for _, name, _ in jobs]


def _write_shard(store: Store, folder: str, job: tuple[str, str, list[str]]) -> None:
    split, name, clips = job
    with written_in(folder, name) as path, webdataset.TarWriter(str(path), mtime=0) as writer:
        for number, clip in enumerate(clips):
            writer.write(_sample(store, split, clip, number))


def _sample(store: Store, split: str, clip: str, number: int) -> dict:
    """One clip as a WebDataset sample. Keys are numbers, because WebDataset splits names at the first dot."""
    store.fetch(clip, split)
    sample: dict = {"__key__": f"{number:06d}"}
    for file in PERSON_FILES:
        person, suffix = int(file[7]) - 1, file[8:]
        path = clip_path(store.root, split, clip, suffix, person)
        if path.exists():
            sample[file] = path.read_bytes()
    for suffix in (".rttm", ".json"):
        sample[suffix[1:]] = clip_path(store.root, split, clip, suffix).read_bytes()
    return sample


class ShardedWindows(ConversationWindows, IterableDataset[Window]):
    """An iterable dataset of the windows of one split.

    Parameters
    ----------
    url : str
        Folder or fsspec URL that `write_shards` filled.
    split, window_frames, stride_frames, layout
        As for `StoreWindows`.
    role_swap : bool
        Exchange the two people in half of the windows, chosen in every epoch.
    shuffle : bool
        Shuffle in every epoch.
    mixed_clips : int
        Number of clips whose windows are shuffled together; this many clips are held in memory.
    rank, world_size : int, optional
        Rank of this process and number of processes; by default those of torch.distributed. With several processes
        each reader yields as many windows as the reader that has fewest, so that all end together.

    Raises
    ------
    InputError
        No shards, no such split, or fewer shards than readers.
    """

    def __init__(
        self,
        url: str,
        split: str,
        window_frames: int,
        stride_frames: int | None = None,
        layout: str = "full62",
        role_swap: bool = False,
        *,
        shuffle: bool = True,
        mixed_clips: int = MIXED_CLIPS,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        index = read_index(str(url))
        if split not in index.splits:
            raise InputError(f"{url} has no split {split!r}; it has {', '.join(index.splits)}")
        self.url, self.split, self.space = str(url).rstrip("/"), split, index.space
        self.window_frames, self.stride_frames = window_frames, stride_frames or window_frames
        self.layout, self.role_swap = layout_named(layout), role_swap
        self.shuffle, self.mixed_clips = shuffle, mixed_clips
        self._shards = index.splits[split]
        self.rank = distributed.rank() if rank is None else rank
        self.world_size = distributed.world_size() if world_size is None else world_size
        self._epoch_seed: int | None = None
        self._yielded = 0
        self._resumed = False

    def state_dict(self) -> dict:
        """Position of this reader in its epoch."""
        return {"epoch_seed": self._epoch_seed, "yielded": self._yielded}

    def load_state_dict(self, state: dict) -> None:
        self._epoch_seed, self._yielded = state["epoch_seed"], state["yielded"]
        self._resumed = self._epoch_seed is not None

    def __iter__(self) -> Iterator[Window]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        shards, limit = self._share(number, workers)
        if not self._resumed:
            # torch seeds its global generator differently for each epoch, in every worker process.
            self._epoch_seed, self._yielded = int(torch.randint(2**31, ())), 0
        self._resumed = False
        skipped = self._yielded
        for window in self._windows(self._shuffled(shards, "shards"), skipped):
            if self._yielded >= limit:
                break
            self._yielded += 1
            yield window

    def _share(self, number: int, workers: int) -> tuple[Sequence[Shard], int]:
        """The shards of one reader, and the number of windows that it yields."""
        readers = self.world_size * workers
        if self.world_size > 1 and len(self._shards) < readers:
            raise InputError(
                f"{len(self._shards)} shards of {self.split} for {self.world_size} processes of {workers} "
                "workers; wanted at least one shard per worker: write shards of fewer clips, or use fewer workers"
            )
        shares = [
            self._shards[rank :: self.world_size][worker::workers]
            for rank in range(self.world_size)
            for worker in range(workers)
        ]
        counts = [
            sum(shard.windows(self.window_frames, self.stride_frames) for shard in share) for share in shares
        ]
        mine = self.rank * workers + number
        return shares[mine], min(counts) if self.world_size > 1 else counts[mine]

    def _shuffled(self, items: Sequence, *names: object) -> list:
        if not self.shuffle:
            return list(items)
        return [items[place] for place in self._stream(*names).permutation(len(items))]

    def _stream(self, *names: object) -> np.random.Generator:
        """A generator that depends on the epoch and on `names` only."""
        return np.random.default_rng([self._epoch_seed or 0, *"\0".join(map(str, names)).encode()])

    def _windows(self, shards: Sequence[Shard], skipped: int) -> Iterator[Window]:
        """Windows of `shards` in order, without the first `skipped`."""
        for shard in shards:
            count = shard.windows(self.window_frames, self.stride_frames)
            if skipped >= count:
                skipped -= count
                continue
            for first in range(0, len(shard.clips), self.mixed_clips):
                some = range(first, min(first + self.mixed_clips, len(shard.clips)))
                places = [
                    (clip, int(start))
                    for clip in some
                    for start in window_starts(shard.frames[clip], self.window_frames, self.stride_frames)
                ]
                if skipped >= len(places):
                    skipped -= len(places)
                    continue
                yield from self._of_clips(shard, some, self._shuffled(places, shard.name, first)[skipped:])
                skipped = 0

    def _of_clips(self, shard: Shard, some: range, places: list[tuple[int, int]]) -> Iterator[Window]:
        samples = dict(zip(some, self._samples(shard, some), strict=True))
        for clip, start in places:
            name, frames = shard.clips[clip], min(self.window_frames, shard.frames[clip])
            swap = self.role_swap and bool(self._stream(shard.name, clip, start).random() < 0.5)
            span = samples[clip].span(start, frames, self.layout)
            yield as_window(span, self.window_frames, name, start, swap=swap)

    def _samples(self, shard: Shard, some: range) -> list["_Sample"]:
        try:
            with fsspec.open(f"{self.url}/{shard.name}", "rb") as file:
                members = ({**member, "__url__": shard.name} for member in tar_file_iterator(file))
                selected = itertools.islice(group_by_keys(members), some.start, some.stop)
                found = [
                    _Sample(sample, shard.clips[place], shard.frames[place])
                    for place, sample in zip(some, selected, strict=False)
                ]
        except (OSError, EOFError, ValueError, KeyError, tarfile.TarError) as error:
            raise InputError(
                f"{self.url}/{shard.name} cannot be read ({error}); write the shards again"
            ) from error
        if len(found) != len(some):
            raise InputError(f"{self.url}/{shard.name} has fewer clips than its index; write the shards again")
        return found


class _Sample:
    """The files of one clip, in memory."""

    def __init__(self, sample: dict, clip: str, frames: int) -> None:
        self._files = {name: content for name, content in sample.items() if name in PERSON_FILES}
        if missing := [name for name in VOICES if name not in self._files]:
            raise InputError(f"{clip} has no {' and no '.join(missing)} in its shard; write the shards again")
        self._speech = speech_mask(parse_speech(sample["rttm"].decode(), clip), frames)

    def span(self, first: int, frames: int, layout: MotionLayout) -> ClipSpan:
        """Frames `first` to `first + frames`."""
        return read_span(self._wave, self._motion, self._speech, first, frames, layout)

    def _wave(self, person: int) -> BufferedIOBase:
        return io.BytesIO(self._files[f"speaker{person + 1}.wav"])

    def _motion(self, person: int) -> BufferedIOBase | None:
        content = self._files.get(f"speaker{person + 1}.npz")
        return None if content is None else io.BytesIO(content)
