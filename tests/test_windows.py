"""Windows cover every clip, all differ, and none spans two clips or two splits; shards hold the same windows."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchdata.stateful_dataloader import StatefulDataLoader

from dualtalk.data import ShardedWindows, StoreWindows, write_shards
from dualtalk.data.module import ConversationData
from dualtalk.data.shards import INDEX
from dualtalk.data.windows import window_count, window_starts
from dualtalk.errors import InputError
from dualtalk.store import Store, open_store
from dualtalk.store.formats import FORMAT

LENGTHS = {"train": [70, 10, 40, 95, 40, 61], "validation": [55], "test": [40, 80]}


def places(windows) -> list[tuple[str, int]]:
    return [(one.clip, int(one.first_frame)) for one in windows]


def unbatched(loader) -> list[tuple[str, int]]:
    return [
        (clip, int(first)) for batch in loader for clip, first in zip(batch.clip, batch.first_frame, strict=True)
    ]


@given(st.integers(1, 400), st.integers(1, 120), st.integers(1, 120))
def test_windows_cover_a_clip(clip_frames, frames, hop):
    starts = window_starts(clip_frames, frames, hop)
    assert len(starts) == window_count(clip_frames, frames, hop) == len(set(starts))
    assert starts[0] == 0
    assert starts[-1] == max(clip_frames - frames, 0)
    assert (np.diff(starts) <= hop).all()
    covered = np.zeros(clip_frames, bool)
    for start in starts:
        covered[start : start + frames] = True
    assert covered.all() or hop > frames


@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=5), hop=st.integers(1, 40))
def test_every_window_of_a_split_occurs_once(tmp_path_factory, lengths, hop):
    windows = stored(tmp_path_factory, lengths, hop)
    found = [windows.place(index) for index in range(len(windows))]
    wanted = [
        (f"train{number:03d}", int(start), min(30, frames))
        for number, frames in enumerate(lengths)
        for start in window_starts(frames, 30, hop)
    ]
    assert found == wanted
    assert all(first + frames <= lengths[int(clip[-3:])] for clip, first, frames in found)


def stored(tmp_path_factory, lengths, hop) -> StoreWindows:
    """Windows of a store that has a manifest and no files; positions of windows need no more."""

    rows = [
        {"clip": f"train{n:03d}", "split": "train", "frames": f, "space": "open"} for n, f in enumerate(lengths)
    ]
    return StoreWindows(Store(tmp_path_factory.getbasetemp(), {}, pd.DataFrame(rows)), "train", 30, hop)


def test_no_window_is_in_two_splits(make_store):
    store = make_store(LENGTHS)
    clips = {split: {one.clip for one in StoreWindows(store, split, 30)} for split in LENGTHS}
    assert all(len(clips[split]) == len(LENGTHS[split]) for split in LENGTHS)
    assert not clips["train"] & clips["test"] | clips["train"] & clips["validation"]


def test_a_window_equals_the_span_of_its_clip(make_store):
    store = make_store(LENGTHS)
    for window in StoreWindows(store, "train", 30, 20):
        talk = store.conversation(window.clip)
        first, frames = window.first_frame, min(30, talk.frames)
        for index, person in enumerate(talk.participants):
            assert np.array_equal(
                window.motion[index, :frames], person.motion.coefficients[first : first + frames]
            )
            sound = person.audio[first * 640 : (first + frames) * 640]
            assert np.array_equal(window.audio[index, : frames * 640], sound)
        assert window.valid[:, :frames].all()


def test_a_short_clip_is_padded_with_frames_that_are_not_valid(make_store):
    (window,) = StoreWindows(make_store({"train": [10]}), "train", 30)
    assert window.motion.shape == (2, 30, 62)
    assert window.audio.shape == (2, 30 * 640)
    assert window.valid.sum(dim=1).tolist() == [10, 10]
    assert not window.motion[:, 10:].any()


def test_role_swap_exchanges_everything_of_the_people(make_store):
    store = make_store({"train": [400]})
    plain = StoreWindows(store, "train", 10)
    batches = ConversationData(store.root, window_frames=10, batch_size=1).train_dataloader()
    swapped = [batch for batch in batches if batch.swapped.item()]
    assert 10 <= len(swapped) <= 30
    for batch in swapped:
        before = plain[int(batch.first_frame) // 10]
        for field in ("audio", "motion", "valid", "speech", "identity"):
            assert torch.equal(getattr(batch, field)[0], getattr(before, field).flip(0))


def test_role_swaps_differ_between_epochs_and_depend_on_the_seed_alone(make_store):
    root = make_store({"train": [200]}).root

    def swaps(seed: int, epochs: int = 1) -> list[dict[int, bool]]:
        torch.rand(1)
        loader = ConversationData(root, window_frames=10, batch_size=20, seed=seed).train_dataloader()
        return [
            {int(first): bool(swap) for b in loader for first, swap in zip(b.first_frame, b.swapped, strict=True)}
            for _ in range(epochs)
        ]

    first, second = swaps(seed=1, epochs=2)
    assert first != second
    assert swaps(seed=1) == [first]
    assert swaps(seed=2) != [first]


def test_layouts_without_eyes(make_store):
    window = StoreWindows(make_store({"train": [30]}), "train", 30, layout="dualtalk56")[0]
    assert window.motion.shape == (2, 30, 56)
    with pytest.raises(InputError, match="no motion layout called 'flame'; there are dualtalk56, full62"):
        StoreWindows(make_store({"train": [30]}, name="more"), "train", 30, layout="flame")


def test_split_and_space_are_checked(make_store):
    store = make_store({"train": [30]})
    with pytest.raises(InputError, match="no clip in split 'ood'; it has train"):
        StoreWindows(store, "ood", 30)
    store.manifest.loc[0, "space"] = "flame"
    store.manifest.loc[1] = {**store.manifest.loc[0], "clip": "other", "space": "open"}
    with pytest.raises(InputError, match="flame and open"):
        StoreWindows(store, "train", 30)


def test_shuffling_is_seeded_and_differs_between_epochs(make_store):
    store = make_store(LENGTHS)

    def epochs() -> list[list]:
        lightning.seed_everything(1, workers=True, verbose=False)
        loader = ConversationData(store.root, window_frames=20, stride_frames=5, batch_size=4).train_dataloader()
        return [unbatched(loader), unbatched(loader)]

    first, second = epochs()
    assert first != second
    assert sorted(first) == sorted(second) == sorted(places(StoreWindows(store, "train", 20, 5)))
    assert epochs() == [first, second]


def test_held_out_windows_are_in_order_and_not_swapped(make_store):
    data = ConversationData(make_store(LENGTHS).root, window_frames=20, stride_frames=5, batch_size=2)
    for loader, split in ((data.val_dataloader(), "validation"), (data.test_dataloader(), "test")):
        assert unbatched(loader) == places(StoreWindows(open_store(data.datasets[0]), split, 20))
        assert not any(batch.swapped.any() for batch in loader)


def test_several_stores_are_read_as_one(make_store):
    one, two = make_store({"train": [40]}, name="one"), make_store({"train": [60, 20]}, name="two")
    data = ConversationData([one.root, two.root], window_frames=20, batch_size=8)
    assert data.space == "open"
    assert len(unbatched(data.train_dataloader())) == 2 + 3 + 1
    flame = make_store({"train": [40]}, space="flame", name="three")
    with pytest.raises(InputError, match="flame and open"):
        ConversationData([one.root, flame.root], window_frames=20).train_dataloader()


@pytest.fixture
def shards(make_store, tmp_path):
    write_shards(make_store(LENGTHS), tmp_path / "shards", clips_per_shard=2)
    return str(tmp_path / "shards")


def test_shards_hold_the_windows_of_their_store(make_store, tmp_path):
    store = make_store(LENGTHS)
    write_shards(store, tmp_path / "shards", clips_per_shard=4)
    for split in LENGTHS:
        wanted = {(one.clip, one.first_frame): one for one in StoreWindows(store, split, 20, 7)}
        found = list(ShardedWindows(str(tmp_path / "shards"), split, 20, 7))
        assert len(found) == len(wanted)
        for window in found:
            for ours, theirs in zip(window, wanted[window.clip, window.first_frame], strict=True):
                assert torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs


def test_the_same_store_gives_the_same_shards(make_store, tmp_path):
    store = make_store(LENGTHS)
    for name in ("one", "two"):
        write_shards(store, tmp_path / name, clips_per_shard=2)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    with pytest.raises(InputError, match="already holds results"):
        write_shards(store, tmp_path / "one")


@pytest.mark.parametrize(("found", "readable"), [(1, True), (FORMAT + 1, False)])
def test_shards_of_an_older_format_are_read_and_of_a_newer_one_refused(shards, found, readable):
    index = Path(shards) / INDEX
    index.write_text(json.dumps({**json.loads(index.read_text()), "format": found}))
    if readable:
        assert len(places(ShardedWindows(shards, "train", 20))) > 0
    else:
        with pytest.raises(InputError, match="written by a newer dualtalk"):
            ShardedWindows(shards, "train", 20)


def test_shards_are_read_from_urls(shards):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(shards, "/corpus", recursive=True)
    local = places(ShardedWindows(shards, "train", 20, shuffle=False))
    assert places(ShardedWindows("memory://corpus", "train", 20, shuffle=False)) == local
    with pytest.raises(InputError, match="no shards at memory://elsewhere"):
        ShardedWindows("memory://elsewhere", "train", 20)


def test_workers_divide_the_windows_of_a_process(shards):
    windows = ShardedWindows(shards, "train", 10, 5)
    read = unbatched(StatefulDataLoader(windows, batch_size=3, num_workers=2))
    assert sorted(read) == sorted(places(ShardedWindows(shards, "train", 10, 5)))


def test_processes_read_equal_numbers_of_disjoint_windows(shards):
    one, two = (places(ShardedWindows(shards, "train", 10, 5, rank=number, world_size=2)) for number in (0, 1))
    assert not set(one) & set(two)
    assert len(one) == len(two) == len(set(one)) == len(set(two))


def test_too_few_shards_for_the_readers_is_an_error(shards):
    windows = ShardedWindows(shards, "train", 10, rank=0, world_size=4)
    with pytest.raises(InputError, match="3 shards of train for 4 processes"):
        next(iter(windows))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("sharded", [True, False])
def test_a_loader_resumes_in_the_middle_of_an_epoch(make_store, tmp_path, workers, sharded):
    source = make_store(LENGTHS)
    if sharded:
        write_shards(source, tmp_path / "shards", clips_per_shard=2)
    root = tmp_path / "shards" if sharded else source.root

    def loader():
        torch.manual_seed(3)
        return ConversationData(
            root, window_frames=10, stride_frames=5, batch_size=4, num_workers=workers
        ).train_dataloader()

    whole = unbatched(loader())
    stopped = loader()
    batches = iter(stopped)
    begun = [next(batches) for _ in range(5)]
    state = stopped.state_dict()
    del batches
    resumed = loader()
    resumed.load_state_dict(state)
    assert unbatched(begun) + unbatched(resumed) == whole
    assert sorted(unbatched(resumed)) == sorted(whole)


GLOO = """
import os, sys, torch
from dualtalk.data.module import ConversationData
rendezvous = f"file://{sys.argv[3]}"
torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=int(sys.argv[2]), world_size=2)
loader = ConversationData(sys.argv[1], window_frames=10, stride_frames=5, batch_size=4).train_dataloader()
for batch in loader:
    for clip, first in zip(batch.clip, batch.first_frame):
        print(clip, int(first))
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def test_two_training_processes_read_disjoint_halves(make_store, tmp_path):
    write_shards(make_store({"train": [40] * 8}), tmp_path / "shards", clips_per_shard=2)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GLOO, str(tmp_path / "shards"), str(rank), str(tmp_path / "meeting")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    halves = [set(process.communicate(timeout=120)[0].splitlines()) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert not halves[0] & halves[1]
    assert len(halves[0]) == len(halves[1]) == 4 * 7
    everything = {
        f"{one.clip} {one.first_frame}" for one in ShardedWindows(str(tmp_path / "shards"), "train", 10, 5)
    }
    assert halves[0] | halves[1] == everything


def test_memory_does_not_grow_with_the_corpus(make_store):
    """Reading as many windows from ten times as many clips needs no more memory."""
    store = make_store({"train": [200] * 40})
    few, many = store.manifest.iloc[:4], store.manifest

    def grown_bytes(rows) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        windows = StoreWindows(type(store)(store.root, {}, rows), "train", 50, 10)
        for index in np.random.default_rng(0).integers(0, len(windows), 300):
            windows[int(index)]
        return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

    grown_bytes(few)
    assert grown_bytes(many) < 20e6
