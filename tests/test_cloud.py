"""Stores and shards behind URLs: the bytes of local ones, through a server of the S3 protocol on loopback."""

import json
import pickle

import numpy as np
import pytest
import torch
from pyannote.core import Segment, Timeline

from dualtalk.core import FULL62, Conversation, HeadMotion, Participant
from dualtalk.data import ShardedWindows, write_shards
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import load_model
from dualtalk.store import ClipDraft, Task, build_store, open_store, validate_store
from dualtalk.timebase import SAMPLES_PER_FRAME
from dualtalk.training.fit import train

moto_server = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")
BUCKET = "s3://corpora"


@pytest.fixture(scope="module")
def server():
    one = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    one.start()
    host, port = one.get_host_and_port()
    yield f"http://{host}:{port}"
    one.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """URL of an empty bucket; clients find the server by their usual variables."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    if files.exists(BUCKET):
        files.rm(BUCKET, recursive=True)
    files.mkdir(BUCKET)
    return BUCKET


def _contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _objects(url):
    files = s3fs.S3FileSystem()
    files.invalidate_cache()
    root = url.removeprefix("s3://")
    return {path.removeprefix(f"{root}/"): files.cat_file(path) for path in files.find(root)}


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_shards_behind_a_url_are_those_of_a_folder(make_store, bucket, tmp_path):
    store = make_store({"train": [40, 30, 20], "test": [25]})
    write_shards(store, tmp_path / "shards", clips_per_shard=2)
    url = f"{bucket}/shards"
    assert write_shards(store, url, clips_per_shard=2) == [
        "test-000000.tar",
        "train-000000.tar",
        "train-000001.tar",
    ]
    assert _objects(url) == _contents(tmp_path / "shards")
    with pytest.raises(InputError, match="holds shards; --overwrite replaces them"):
        write_shards(store, url)
    torch.manual_seed(0)
    here = list(ShardedWindows(str(tmp_path / "shards"), "train", 10, shuffle=False))
    there = list(ShardedWindows(url, "train", 10, shuffle=False))
    assert len(here) == len(there) == 9
    for one, other in zip(here, there, strict=True):
        assert (one.clip, one.first_frame) == (other.clip, other.first_frame)
        assert torch.equal(one.audio, other.audio)
        assert torch.equal(one.motion, other.motion)


def test_unfinished_shards_are_written_again_and_other_files_kept(make_store, bucket):
    store = make_store({"train": [20, 20]})
    url = f"{bucket}/shards"
    write_shards(store, url, clips_per_shard=1)
    expected = _objects(url)
    files = s3fs.S3FileSystem()
    files.rm_file(f"{url}/shards.json")
    files.pipe_file(f"{url}/train-000007.tar", b"of a run with other options")
    write_shards(store, url, clips_per_shard=1)
    assert _objects(url) == expected
    files.pipe_file(f"{url}/notes.txt", b"mine")
    with pytest.raises(InputError, match=r"notes\.txt, which is no shard"):
        write_shards(store, url, overwrite=True)
    assert json.loads(_objects(url)["shards.json"])


def _make(task):
    if task.entry is None:
        raise InputError("is broken")
    random = np.random.default_rng([task.entry, int(task.clip[-3:])])
    audio = random.uniform(-0.1, 0.1, (2, task.entry * SAMPLES_PER_FRAME)).astype(np.float32)
    motion = random.normal(0, 0.1, (2, task.entry, 62)).astype(np.float32)
    a, b = (
        Participant(own, Timeline([Segment(0, 0.4)]), HeadMotion(numbers, "open"))
        for own, numbers in zip(audio, motion, strict=True)
    )
    conversation = Conversation(a, b, name=task.clip)
    people = (f"{task.clip}_a", f"{task.clip}_b")
    return ClipDraft(conversation, "random", task.split, task.clip, people, "corpus")


def _tasks(*lengths):
    return [Task(f"train{number:03d}", "train", str(frames), frames) for number, frames in enumerate(lengths)]


def test_a_store_behind_a_url_is_that_of_a_folder(bucket, tmp_path):
    url, tasks = f"{bucket}/store", _tasks(20, 30, None)
    for root in (tmp_path / "store", url):
        report = build_store(root, {"corpus": "random"}, tasks, _make, workers=0)
        assert (report.made, report.kept, len(report.rejected)) == (2, 0, 1)
    expected = _contents(tmp_path / "store")
    assert _objects(url) == {name: content for name, content in expected.items() if not name.startswith(".")}
    assert validate_store(url) == []
    here, there = open_store(tmp_path / "store"), open_store(url)
    span = there.span("train001", "train", 5, 10, FULL62)
    assert np.array_equal(span.motion, here.span("train001", "train", 5, 10, FULL62).motion)
    conversation = pickle.loads(pickle.dumps(there)).conversation("train000")
    assert np.array_equal(conversation.a.audio, here.conversation("train000").a.audio)


def test_a_build_behind_a_url_resumes_and_removes_what_is_no_longer_made(bucket, tmp_path):
    url = f"{bucket}/store"
    build_store(url, {"corpus": "random"}, _tasks(20, 30, 20), _make, workers=0)
    files = s3fs.S3FileSystem()
    # As after a kill: no manifest, and a clip without its JSON.
    files.rm_file(f"{url}/manifest.parquet")
    files.rm_file(f"{url}/train/train001.json")
    with pytest.raises(InputError, match="s3://corpora/store is not finished"):
        open_store(url)
    changed = _tasks(20, 30, None)
    report = build_store(url, {"corpus": "random"}, changed, _make, workers=0)
    assert (report.made, report.kept, len(report.rejected)) == (1, 1, 1)
    build_store(tmp_path / "store", {"corpus": "random"}, changed, _make, workers=0)
    expected = _contents(tmp_path / "store")
    assert _objects(url) == {name: content for name, content in expected.items() if not name.startswith(".")}
    with pytest.raises(InputError, match="was made with another corpus"):
        build_store(url, {"corpus": "other"}, changed, _make, workers=0)


def test_a_bucket_that_does_not_exist_is_one_line(make_store, bucket):
    with pytest.raises(InputError, match=r"cannot write s3://nowhere/shards: \S") as caught:
        write_shards(make_store({"train": [20]}), "s3://nowhere/shards")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_training_reads_shards_behind_a_url(make_store, bucket, tiny_duet, tmp_path):
    url = f"{bucket}/shards"
    write_shards(make_store({"train": [20] * 4, "validation": [20]}), url, clips_per_shard=1)
    options = ["--data.datasets", url, "--output-dir", str(tmp_path / "run"), "--trainer.max_steps", "20"]
    assert load_model(train([*tiny_duet, *options])).metadata["steps"] == 20
