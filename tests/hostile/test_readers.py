"""Invalid and damaged files: every reader accepts a file or refuses it in one line, and nothing else happens."""

import io
import json
import pickle
import resource
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from dualtalk.cli.output_file import output_file
from dualtalk.core import FULL62, HeadMotion
from dualtalk.corpora import get_corpus
from dualtalk.data import ShardedWindows, write_shards
from dualtalk.errors import DualTalkError, InputError
from dualtalk.evaluation.loading import read_prediction
from dualtalk.head.live_link import read_live_link
from dualtalk.io.flame_pickle import read_pickled_arrays
from dualtalk.io.live_link import HEADER
from dualtalk.io.rttm import read_rttm
from dualtalk.models.baselines import MeanPose
from dualtalk.models.checkpoint import load_model, save_model
from dualtalk.store import open_store, validate_store
from dualtalk.store.npz_reader import NpzRows

pytestmark = pytest.mark.attack
# A machine under load is slow; a hang is much longer.
LONGEST_CPU_S, LARGEST_GROWTH_KB = 20.0, 1_000_000
LONGEST_LINE = 1500


def assert_accepted_or_refused(read: Callable[[], object]) -> bool:
    """Whether `read` accepts its input; fails unless it accepts or refuses it in one line, in time and memory."""
    start_s, start_kb = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = None
    try:
        read()
    except DualTalkError as error:
        line = str(error)
    assert line is None or 0 < len(line) < LONGEST_LINE
    assert time.process_time() - start_s < LONGEST_CPU_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kb < LARGEST_GROWTH_KB
    return line is None


def damaged(content: bytes, count: int) -> Iterator[bytes]:
    """`content` cut off, with bytes changed, inserted, removed and repeated; the same for the same `content`."""
    rng = np.random.default_rng(len(content))
    yield from (b"", b"\0", content[:1], content * 2, content[::-1])
    for number in range(count):
        changed = bytearray(content)
        place = int(rng.integers(max(len(content), 1)))
        kind = number % 5
        if kind == 0:
            del changed[place:]
        elif kind == 1:
            for one in rng.integers(len(content), size=4):
                changed[one] = int(rng.integers(256))
        elif kind == 2:
            changed[place:place] = rng.bytes(int(rng.integers(1, 200)))
        elif kind == 3:
            del changed[place : place + int(rng.integers(1, 200))]
        else:
            changed[place] ^= 1 << int(rng.integers(8))
        yield bytes(changed)


def motion_arrays(**changes) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {
        "exp": rng.uniform(-0.3, 0.3, (20, 50)).astype(np.float32),
        "pose": rng.uniform(-0.3, 0.3, (20, 6)).astype(np.float32),
        "eyes": np.zeros((20, 6), np.float32),
        "shape": np.zeros(300, np.float32),
    }
    return {key: value for key, value in {**arrays, **changes}.items() if value is not None}


def full(shape, value, dtype=np.float32) -> np.ndarray:
    return np.full(shape, value, dtype)


HOSTILE_ARRAYS = {
    **{f"exp_{value}": {"exp": full((20, 50), value)} for value in (np.nan, np.inf, -np.inf, 1e30, 31)},
    **{f"pose_{value}": {"pose": full((20, 6), value)} for value in (np.nan, np.inf, 1e30, 57.3)},
    **{f"shape_{value}": {"shape": full(300, value)} for value in (np.nan, np.inf, 1e30)},
    **{f"fps_{value}": {"fps": np.array(value)} for value in (30, np.nan, -1, 0, "25", b"25", [25, 25], [])},
    **{
        f"exp_{np.dtype(kind).name}": {"exp": np.zeros((20, 50)).astype(kind)}
        for kind in ("complex64", "S4", "U4", "M8[s]", "bool")
    },
    **{
        f"exp_shape_{shape}": {"exp": np.zeros(shape, np.float32)}
        for shape in ((), (0,), (50,), (0, 50), (20, 49))
    },
    **{f"pose_shape_{shape}": {"pose": np.zeros(shape, np.float32)} for shape in ((), (20,), (19, 6), (20, 3, 2))},
    **{f"eyes_shape_{shape}": {"eyes": np.zeros(shape, np.float32)} for shape in ((), (20, 3), (19, 6))},
    **{f"shape_shape_{shape}": {"shape": np.zeros(shape, np.float32)} for shape in ((0, 300), (20, 3, 2), (0,))},
    **{
        f"valid_{kind}": {"valid": value}
        for kind, value in (("0d", np.array(True)), ("2d", np.ones((20, 2), bool)))
    },
    "valid_nan": {"valid": full(20, np.nan)},
    "valid_words": {"valid": np.array(["no"] * 20)},
    "space_unknown": {"space": np.array("../../etc")},
    "structured": {"exp": np.zeros(20, [("a", "f4"), ("b", "f8")])},
    "no_pose": {"pose": None},
    "no_exp": {"exp": None},
}


@pytest.mark.parametrize("name", HOSTILE_ARRAYS)
def test_motion_of_hostile_values_is_refused(tmp_path, name):
    path = tmp_path / "a.npz"
    np.savez(path, **motion_arrays(**HOSTILE_ARRAYS[name]))
    assert not assert_accepted_or_refused(lambda: HeadMotion.load(path)), name


def _zip(members: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def _npy(header: str, data: bytes = b"") -> bytes:
    encoded = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(encoded).to_bytes(2, "little") + encoded + data


HEADERS = {
    "no_header": b"exp",
    "negative": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 50)}\n"),
    "huge": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 50)}\n", b"\0" * 200),
    "overflow": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}\n"),
    "objects": _npy("{'descr': '|O', 'fortran_order': False, 'shape': (20, 50)}\n", b"\0" * 200),
    "fortran": _npy("{'descr': '<f4', 'fortran_order': True, 'shape': (20, 50)}\n", b"\0" * 4000),
    "call": _npy("__import__('os').system('touch /tmp/dualtalk_was_here')\n"),
    "deep": _npy("(" * 5000 + ")" * 5000 + "\n"),
    "short": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (20, 50)}\n", b"\0" * 12),
    "zero_size": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 0)}\n"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_arrays_with_lying_headers_are_refused(tmp_path, name):
    path = tmp_path / "a.npz"
    pose = io.BytesIO()
    np.save(pose, np.zeros((20, 6), np.float32))
    path.write_bytes(_zip({"exp.npy": HEADERS[name], "pose.npy": pose.getvalue()}))
    for read in (lambda: HeadMotion.load(path), lambda: rows(path)):
        assert_accepted_or_refused(read)
    assert not Path("/tmp/dualtalk_was_here").exists()


def rows(path) -> None:
    with NpzRows(path) as arrays:
        arrays.rows("exp", 0, 10)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("exp.npy", "w") as member:
        for _ in range(600):
            member.write(bytes(2**20))
    for read in (lambda: HeadMotion.load(path), lambda: rows(path)):
        assert not assert_accepted_or_refused(read)


def test_a_flipped_bit_of_a_stored_motion_is_noticed(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **motion_arrays())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    (tmp_path / "b.npz").write_bytes(content)
    rows(path)
    for read in (lambda: HeadMotion.load(tmp_path / "b.npz"), lambda: rows(tmp_path / "b.npz")):
        assert not assert_accepted_or_refused(read)


def pickled(value) -> bytes:
    return pickle.dumps(value, protocol=2)


class _Calls:
    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


def _doubled(levels: int) -> tuple:
    value: tuple = ()
    for _ in range(levels):
        value = (value, value)
    return value


def hostile_pickles() -> dict[str, bytes]:
    import os
    import subprocess

    # Built by hand: pickling it would take the time that the reader must not take.
    memo = (
        b"\x80\x02}("
        + b")q\x00"
        + b"".join(b"h" + bytes([one]) + b"\x86q" + bytes([one + 1]) for one in range(60))
    )
    return {
        "system": pickled({"v_template": _Calls(os.system, "touch /tmp/dualtalk_was_here")}),
        "popen": pickled({"f": _Calls(subprocess.Popen, "true")}),
        "eval": pickled({"f": _Calls(eval, "1")}),
        "getattr": b"\x80\x02}U\x01fc__builtin__\ngetattr\nU\x01aU\x01b\x86Rs.",
        "list": pickled([1, 2]),
        "doubled_key": memo + b"K\x01u.",
        "tuple_key": pickled({_doubled(3): 1}),
        "set": pickled({"f": {1, 2}}),
        "set_of_tuples": pickled({"f": {_doubled(3)}}),
        "huge_array": pickled({"f": _Calls(np.ndarray, (10**12,))}),
        "deep": b"\x80\x02" + b"]" * 100_000 + b".",
        "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
        "chumpy_itself": b"\x80\x02}U\x01fcchumpy.ch\nCh\n)\x81q\x00}U\x01xh\x00sbs.",
        "chumpy_without_state": b"\x80\x02}U\x01fcchumpy.ch\nCh\n)\x81s.",
        "persistent": b"\x80\x02K\x01Q.",
    }


@pytest.mark.parametrize("name", hostile_pickles())
def test_pickles_run_no_code_and_do_not_hang(tmp_path, name):
    path = tmp_path / "flame.pkl"
    path.write_bytes(hostile_pickles()[name])
    assert_accepted_or_refused(lambda: read_pickled_arrays(path))
    assert not Path("/tmp/dualtalk_was_here").exists()


SPEAKER = "SPEAKER call 1 {} {} <NA> <NA> {} <NA> <NA>\n"
RTTMS = {
    "not_utf8": b"SPEAKER \xff\xfe 1 0 1 <NA> <NA> a <NA> <NA>\n",
    "infinite": SPEAKER.format("0", "inf", "a").encode(),
    "negative": SPEAKER.format("0", "-1", "a").encode(),
    "underscore": SPEAKER.format("1_0", "1", "a").encode(),
    "huge": SPEAKER.format("1e300", "1", "a").encode(),
    "two_recordings": (SPEAKER + SPEAKER.replace("call", "other")).format(*"01a01b").encode(),
    "long_line": b"SPEAKER " + b"x" * 1_000_000,
}


@pytest.mark.parametrize("name", RTTMS)
def test_hostile_rttm_is_refused(tmp_path, name):
    path = tmp_path / "a.rttm"
    path.write_bytes(RTTMS[name])
    assert not assert_accepted_or_refused(lambda: read_rttm(path))


def test_many_segments_take_linear_time(tmp_path):
    path = tmp_path / "a.rttm"
    path.write_text("".join(SPEAKER.format(f"{0.01 * n:.2f}", "0.5", "ab"[n % 2]) for n in range(60_000)))
    assert assert_accepted_or_refused(lambda: read_rttm(path))


def live_link(codes: list[str], value: str = "0.1") -> str:
    cells = ",".join([value] * (len(HEADER) - 2))
    return "\n".join([",".join(HEADER), *(f"{code},{len(HEADER) - 2},{cells}" for code in codes), ""])


TAKES = {
    "long_jumps": live_link([f"{n // 6:02d}:{n % 6 * 10:02d}:00:00.000" for n in range(24 * 6)] * 2),
    "no_time_of_day": live_link(["99:99:99:00.000"]),
    "nan": live_link(["00:00:00:00.000"], "nan"),
    "percent": live_link(["00:00:00:00.000"], "50"),
    "huge": live_link(["00:00:00:00.000"], "1e308"),
    "quote": '"' + "x" * 200_000,
    "nul": "\0" * 100,
    "only_header": ",".join(HEADER),
}


@pytest.mark.parametrize("name", TAKES)
def test_hostile_takes_are_refused(tmp_path, name):
    path = tmp_path / "take.csv"
    path.write_text(TAKES[name])
    assert not assert_accepted_or_refused(lambda: read_live_link(path))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_model(path, MeanPose(62), space="open", layout="full62")
    return path


METADATA = {
    "space": {"space": "../../etc"},
    "info_list": {"training_info": "[]"},
    "info_text": {"training_info": "{"},
    "config_list": {"config": "[]"},
    "config_deep": {"config": "[" * 50_000},
    "huge": {"model_type": "duet", "config": '{"motion_dim": 62, "layers": 10000000}'},
    "wide": {"model_type": "duet", "config": '{"motion_dim": 62, "d_model": 1000000}'},
    "no_heads": {"model_type": "duet", "config": '{"motion_dim": 62, "heads": 0}'},
    "encoder": {"audio_encoders": '[{"type": "transformers", "name_or_path": "no-one/no-model"}]'},
    "encoder_type": {"audio_encoders": '[{"type": "os.system"}]'},
    "type": {"model_type": "__class__"},
    "format": {"format": "99999999999999999999"},
}


@pytest.mark.parametrize("name", METADATA)
def test_hostile_model_files_are_refused_without_network(tmp_path, monkeypatch, name):
    import socket

    def refused(*_arguments, **_options):
        pytest.fail("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refused)
    metadata = {"format": "2", "model_type": "mean_pose", "config": '{"motion_dim": 62}', "audio_encoders": "[]"}
    metadata |= {"space": "open", "layout": "full62", "training_info": "{}"} | METADATA[name]
    save_file({"pose": torch.zeros(62)}, tmp_path / "m.safetensors", metadata)
    assert not assert_accepted_or_refused(lambda: load_model(tmp_path / "m.safetensors"))


def test_a_model_with_a_weight_that_is_not_finite_is_refused(tmp_path):
    model = MeanPose(62)
    next(iter(model.state_dict().values())).fill_(float("nan"))
    save_model(tmp_path / "m.safetensors", model, space="open", layout="full62")
    with pytest.raises(InputError, match="not finite"):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("count", [400])
def test_damaged_files_of_every_kind_are_accepted_or_refused(tmp_path, model_file, count):
    motion = HeadMotion(np.zeros((20, 62), np.float32), "open", FULL62)
    motion.save(tmp_path / "good.npz")
    np.save(tmp_path / "good.npy", np.zeros((20, 56), np.float32))
    (tmp_path / "good.rttm").write_text(SPEAKER.format(0, 1, "a") * 3)
    (tmp_path / "good.csv").write_text(live_link([f"00:00:{n:02d}:00.000" for n in range(5)]))
    (tmp_path / "good.pkl").write_bytes(pickled({"v_template": np.zeros((5, 3)), "f": np.zeros((2, 3), int)}))
    readers: dict[str, list[Callable[[Path], object]]] = {
        ".npz": [HeadMotion.load, rows],
        ".npy": [lambda path: read_prediction(path, "open")],
        ".rttm": [read_rttm],
        ".csv": [read_live_link],
        ".pkl": [read_pickled_arrays],
        ".safetensors": [load_model],
    }
    for suffix, own in readers.items():
        good = model_file if suffix == ".safetensors" else tmp_path / f"good{suffix}"
        for read in own:
            read(good)
        for number, content in enumerate(damaged(good.read_bytes(), count)):
            bad = tmp_path / f"bad{number}{suffix}"
            bad.write_bytes(content)
            for read in own:
                assert_accepted_or_refused(lambda read=read, bad=bad: read(bad))


MANIFESTS = {
    "no_clip": lambda table: table.drop(columns="clip"),
    "no_split": lambda table: table.drop(columns="split"),
    "split_elsewhere": lambda table: table.assign(split="../outside"),
    "absolute_split": lambda table: table.assign(split="/tmp"),
    "clip_elsewhere": lambda table: table.assign(clip="../../outside/x"),
    "clip_number": lambda table: table.assign(clip=1),
    "frames_text": lambda table: table.assign(frames="many"),
    "frames_negative": lambda table: table.assign(frames=-5),
    "frames_huge": lambda table: table.assign(frames=10**9),
    "seconds_nan": lambda table: table.assign(seconds=float("nan")),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_hostile_manifests_are_refused(make_store, name):
    root = make_store({"train": [20]}).root
    table = MANIFESTS[name](pd.read_parquet(root / "manifest.parquet"))
    table.to_parquet(root / "manifest.parquet")
    assert not assert_accepted_or_refused(lambda: open_store(root))


@pytest.mark.parametrize("content", ["[1]", "{", "[" * 100_000, "null", '{"format": "x"}', '{"format": 1e999}'])
def test_hostile_store_metadata_is_refused(make_store, content):
    root = make_store({"train": [20]}).root
    (root / "store.json").write_text(content)
    assert not assert_accepted_or_refused(lambda: open_store(root))


@pytest.mark.parametrize("name", ["train/train000_speaker1.wav", "train/train000.rttm", "train/train000.json"])
@pytest.mark.parametrize("content", [b"", b"x" * 100, b"[" * 100_000, b"\xff\xfe"])
def test_hostile_files_of_a_clip_are_named_by_validation(make_store, name, content):
    store = make_store({"train": [20]})
    (store.root / name).write_bytes(content)
    assert_accepted_or_refused(lambda: validate_store(store.root))
    assert_accepted_or_refused(lambda: store.span("train000", "train", 0, 10, FULL62))
    assert_accepted_or_refused(lambda: store.details("train000"))


INDICES = {
    "list": "[]",
    "null": "null",
    "deep": "[" * 100_000,
    "no_splits": '{"format": 2, "space": "open"}',
    "elsewhere": {"name": "../good/x.tar"},
    "no_name": {"name": None},
    "huge": {"frames": [10**9]},
    "text": {"frames": ["many"]},
    "uneven": {"frames": [1, 2]},
    "clip_elsewhere": {"clips": ["../x"]},
}


@pytest.mark.parametrize("name", INDICES)
def test_hostile_shard_indices_are_refused(make_store, tmp_path, name):
    write_shards(make_store({"train": [20]}), tmp_path / "shards")
    index = tmp_path / "shards" / "shards.json"
    change = INDICES[name]
    if isinstance(change, dict):
        content = json.loads(index.read_text())
        content["splits"]["train"][0] |= change
        change = json.dumps(content)
    index.write_text(change)
    assert not assert_accepted_or_refused(lambda: list(ShardedWindows(str(tmp_path / "shards"), "train", 10)))


def test_hostile_tars_are_refused(make_store, tmp_path):
    write_shards(make_store({"train": [20]}), tmp_path / "shards")
    shard = tmp_path / "shards" / "train-000000.tar"
    good = shard.read_bytes()
    link = io.BytesIO()
    with tarfile.open(fileobj=link, mode="w") as archive:
        member = tarfile.TarInfo("000000.rttm")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    for content in (link.getvalue(), *damaged(good, 15)):
        shard.write_bytes(content)
        assert_accepted_or_refused(lambda: list(ShardedWindows(str(tmp_path / "shards"), "train", 10)))


@pytest.mark.parametrize(
    ("corpus", "name", "content"),
    [
        ("seamless", "dev/0/0/V1_S1_I1_P1A.wav", b"x"),
        ("l2l", "conan/train/p0_list_faces_clean_deca.npy", b"\x93NUMPY\x01\x00"),
        ("l2l", "conan/train/p0_list_faces_clean_deca.npy", HEADERS["zero_size"]),
        ("dualtalk", "train/x_speaker1.npz", b"x"),
        ("recordings", "recordings.csv", b"\xff\xfe"),
    ],
)
def test_hostile_corpora_are_refused_or_indexed(tmp_path, corpus, name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert_accepted_or_refused(lambda: get_corpus(corpus).index(tmp_path))


def test_an_output_file_is_never_an_input(tmp_path):
    film = tmp_path / "a.mp4"
    film.touch()
    with pytest.raises(InputError, match="is an input"):
        output_file(film, (".mp4",), overwrite=True, inputs=[tmp_path / "." / "a.mp4"])
