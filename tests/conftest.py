"""Fixtures of several test files: recordings, random stores and motion, and a FLAME file made of the open head."""

import os
import pickle
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

# One thread per process: as many test processes run as there are cores, so more threads would only wait.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np
import pytest
import soundfile
import torch
from pyannote.core import Segment, Timeline
from pyannote.database.util import load_rttm
from smplx import FLAME

from dualtalk.core import FULL62, Conversation, HeadMotion, Participant
from dualtalk.export import ExportOptions, export_conversation
from dualtalk.head import Head, Region, load_head
from dualtalk.store import ClipDraft, Store, Task, build_store, open_store

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def two_person_wave() -> Path:
    """30 s of two people on one channel, with overlaps: the sample in pyannote.audio's wheel (MIT)."""
    return Path(find_spec("pyannote").submodule_search_locations[0]) / "audio" / "sample" / "sample.wav"


@pytest.fixture(scope="session")
def one_wave_each(two_person_wave, tmp_path_factory) -> list[Path]:
    """The same 30 s as two files, one per person: each has the other's speech muted, by the sample's own RTTM.

    The files lie alone in a folder laid out as the corpus of DualTalk (Peng et al. 2025) is, with random motion
    of the first person: `sample_speaker1.wav`, `sample_speaker1.npz`, `sample_speaker2.wav`.
    """
    folder = tmp_path_factory.mktemp("one_wave_each")
    samples, rate_hz = soundfile.read(two_person_wave, dtype="float32")
    speech = next(iter(load_rttm(two_person_wave.with_suffix(".rttm")).values()))
    waves = [folder / f"sample_speaker{number}.wav" for number in (1, 2)]
    for wave, label in zip(waves, speech.labels(), strict=True):
        time_s = np.arange(len(samples)) / rate_hz
        own = np.zeros(len(samples), bool)
        for span in speech.label_timeline(label):
            own |= (time_s >= span.start) & (time_s < span.end)
        soundfile.write(wave, samples * own, rate_hz, subtype="FLOAT")
    rng = np.random.default_rng(0)
    widths = {"shape": 100, "tex": 50, "exp": 50, "pose": 6, "cam": 3}
    motion = {name: 0.1 * rng.standard_normal((751, width)) for name, width in widths.items()}
    np.savez(waves[0].with_suffix(".npz"), **{name: array.astype(np.float32) for name, array in motion.items()})
    return waves


@pytest.fixture
def make_store(tmp_path):
    """Makes stores of random conversations: `make_store({"train": [frames, ...], ...})`."""

    def made(lengths: dict[str, list[int]], *, space: str = "open", name: str = "store") -> Store:
        tasks = [
            Task(f"{split}{number:03d}", split, "", entry=frames)
            for split, clips in lengths.items()
            for number, frames in enumerate(clips)
        ]
        build_store(tmp_path / name, {"corpus": "random"}, tasks, partial(_random_clip, space), workers=0)
        return open_store(tmp_path / name)

    return made


@pytest.fixture(scope="session")
def tiny_duet() -> list[str]:
    """Arguments of `train`: duet, so small that a step takes hundredths of a second, on windows of 10 frames.

    The caller adds the data, the folder and the number of steps.
    """
    sizes = {"d_model": 16, "layers": 1, "heads": 2, "attention_window": 8, "ffn_dim": 24, "flow_hidden_size": 16}
    return [
        *("--config", str(Path(__file__).parents[1] / "configs" / "train" / "duet.yaml")),
        *(word for name, size in sizes.items() for word in (f"--model.model.init_args.config.{name}", str(size))),
        *(
            "--data.window_frames",
            "10",
            "--data.stride_frames",
            "10",
            "--data.batch_size",
            "2",
            "--data.num_workers",
            "0",
        ),
        *("--trainer.accelerator", "cpu", "--trainer.limit_val_batches", "1", "--trainer.val_check_interval", "2"),
        *(
            "--trainer.enable_progress_bar",
            "false",
            "--trainer.enable_model_summary",
            "false",
            "--checkpoint-every-n-steps",
            "2",
        ),
    ]


@pytest.fixture(scope="session")
def tiny_wavlm(tmp_path_factory) -> Path:
    """A folder with a tiny, random WavLM, as transformers saves it."""
    from transformers import WavLMConfig, WavLMModel

    config = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    folder = tmp_path_factory.mktemp("wavlm")
    torch.manual_seed(0)
    WavLMModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def random_clip():
    """A clip of noise from a task whose entry is its number of frames."""
    return partial(_random_clip, "open")


def _random_clip(space: str, task: Task) -> ClipDraft:
    """A clip of `task.entry` frames: random audio and motion, seeded by the clip's name and split."""
    rng = np.random.default_rng([len(task.split), *task.clip.encode()])
    seconds = task.entry / 25
    people = []
    for start_s in (0.0, 0.5):
        audio = (0.1 * rng.standard_normal(task.entry * 640)).astype(np.float32)
        motion = HeadMotion(rng.uniform(-0.3, 0.3, (task.entry, 62)).astype(np.float32), space)
        speech = Timeline([Segment(seconds * start_s, seconds * (start_s + 0.45))])
        people.append(Participant(audio, speech, motion))
    return ClipDraft(
        conversation=Conversation(*people, name=task.clip),
        corpus="random",
        split=task.split,
        session=task.clip,
        people=(f"{task.clip}_a", f"{task.clip}_b"),
        segmentation_source="corpus",
    )


def _lively(frames: int, seed: int) -> HeadMotion:
    """Random motion of every blendshape and every joint within natural ranges, with a random identity."""
    rng = np.random.default_rng(seed)
    coefficients = np.zeros((frames, FULL62.width), np.float32)
    coefficients[:, FULL62.slice_of("expression")] = rng.uniform(0, 1, (frames, 50)) * rng.uniform(0, 1, 50)
    coefficients[:, FULL62.slice_of("head")] = rng.uniform(-0.5, 0.5, (frames, 3))
    coefficients[:, FULL62.slice_of("jaw")] = rng.uniform((0, -0.1, -0.03), (0.35, 0.1, 0.03), (frames, 3))
    coefficients[:, FULL62.slice_of("eyes")] = rng.uniform(-0.3, 0.3, (frames, 6)) * (1, 1, 0.1, 1, 1, 0.1)
    identity = np.zeros(300, np.float32)
    identity[:24] = 0.8 * rng.standard_normal(24)
    return HeadMotion(coefficients, "open", identity=identity)


@pytest.fixture(scope="session")
def lively() -> Callable[[int, int], HeadMotion]:
    """`lively(frames, seed)`: random motion of every blendshape and joint, with a random identity."""
    return _lively


@pytest.fixture(scope="session")
def smplx_vertices(tmp_path_factory) -> Callable[[Head, HeadMotion], np.ndarray]:
    """Poses a head's arrays with smplx's own FLAME layer: an independent implementation to compare with.

    The layer reads files only and requires landmarks, for which any place on the mesh is sufficient.
    """

    def vertices(head: Head, motion: HeadMotion) -> np.ndarray:
        folder = tmp_path_factory.mktemp("smplx")
        np.savez(folder / "FLAME_NEUTRAL.npz", **vars(head.arrays))
        landmarks = {"lmk_face_idx": np.zeros(51, np.int64), "lmk_b_coords": np.full((51, 3), 1 / 3)}
        (folder / "flame_static_embedding.pkl").write_bytes(pickle.dumps(landmarks))
        layer = FLAME(str(folder), ext="npz", num_betas=300, num_expression_coeffs=50)
        parts = {
            "betas": np.tile(motion.identity, (motion.frames, 1)),
            "expression": motion.expression,
            "neck_pose": motion.head_rotvec_rad,
            "jaw_pose": motion.jaw_rotvec_rad,
            "leye_pose": motion.eyes_rotvec_rad[:, :3],
            "reye_pose": motion.eyes_rotvec_rad[:, 3:],
            "global_orient": np.zeros((motion.frames, 3), np.float32),
            "transl": np.zeros((motion.frames, 3), np.float32),
        }
        with torch.inference_mode():
            output = layer(**{name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in parts.items()})
        return output.vertices.numpy()

    return vertices


@pytest.fixture(scope="session")
def flame_copy(tmp_path_factory) -> Path:
    """The open head's skin in the format of a FLAME file."""
    head = load_head("open")
    visible = np.isin(head.regions, (Region.TEETH, Region.TONGUE, Region.LASHES), invert=True)
    kept, faces = np.unique(head.faces[visible], return_inverse=True)
    arrays = head.arrays
    content = {
        "v_template": arrays.v_template[kept],
        "f": faces.reshape(-1, 3).astype(np.uint32),
        "shapedirs": arrays.shapedirs[kept],
        "posedirs": arrays.posedirs[kept],
        "J_regressor": arrays.J_regressor[:, kept],
        "weights": arrays.weights[kept],
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.uint32),
    }
    path = tmp_path_factory.mktemp("flame") / "generic_model.pkl"
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


class _Exports:
    """Exports of conversations, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    def __call__(self, form: str, motion: HeadMotion, head: Head | None = None, **options) -> Path:
        folder = Path(mkdtemp(dir=self.folder))
        audio = np.linspace(-0.5, 0.5, motion.frames * 640, dtype=np.float32)
        speech = Timeline([Segment(0, motion.duration_s / 2)])
        people = [Participant(audio, speech, motion)] * 2
        self.notes = export_conversation(
            Conversation(*people, name="talk"), folder, form, head=head, options=ExportOptions(**options)
        )
        return folder


@pytest.fixture
def exported(tmp_path) -> _Exports:
    """`exported(format, motion, head, ...)`: the folder of an export, in which both participants have `motion`.

    `exported.notes` are the notes of the last one.
    """
    return _Exports(tmp_path)
