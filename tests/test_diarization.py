"""Diarization: the offline default on real speech, one voice and silence, and pyannote.audio's pipelines."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from pyannote.core import Annotation, Segment, Timeline

from dualtalk.audio.diarization import THIRD_VOICE, PyannoteDiarizer, load_diarizer, relabel_by_first_turn
from dualtalk.errors import SetupError
from dualtalk.io.audio_file import read_wave
from dualtalk.io.rttm import read_rttm
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at


@pytest.fixture(scope="module")
def diarize():
    return load_diarizer("default")


@pytest.fixture(scope="module")
def mixed(two_person_wave):
    return read_wave(two_person_wave)[0]


@pytest.fixture(scope="module")
def found(diarize, mixed):
    return diarize(mixed)


@pytest.fixture(scope="module")
def truth(two_person_wave):
    return read_rttm(two_person_wave.with_suffix(".rttm"))


def error_rate(truth: Annotation, found: Annotation, duration_s: float) -> float:
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=0.0, skip_overlap=False)
    return metric(truth, found, uem=Timeline([Segment(0, duration_s)]))


def test_two_speakers_of_a_real_conversation_are_diarized(truth, found):
    assert error_rate(truth, found, 30.0) < 0.15


def test_label_a_speaks_first_and_speech_ends_within_the_recording(found, mixed):
    assert found.labels() == ["a", "b"]
    assert found.label_timeline("a").extent().start < found.label_timeline("b").extent().start
    assert found.get_timeline().extent() in Segment(0, len(mixed) / AUDIO_RATE_HZ)


def test_the_same_audio_gives_the_same_turns(diarize, mixed):
    short = mixed[: sample_at(15.0)]
    assert diarize(short) == diarize(short)


def test_diarization_does_not_depend_on_the_level(diarize, mixed, found):
    assert error_rate(found, diarize(0.1 * mixed), 30.0) < 0.1


def test_one_voice_gives_one_label(diarize, mixed, truth):
    alone = truth.label_timeline("speaker91").extrude(truth.label_timeline("speaker90"))
    voice = np.concatenate([mixed[sample_at(span.start) : sample_at(span.end)] for span in alone])
    assert diarize(voice).labels() == ["a"]


@pytest.mark.parametrize("samples", [1, 640, 3 * AUDIO_RATE_HZ])
def test_silence_and_hiss_give_no_label(diarize, samples):
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    assert not diarize(hiss)
    assert not diarize(np.zeros(samples, np.float32))


def test_embeddings_of_windows_of_any_length_are_unit_vectors():
    from dualtalk.audio.speaker_embedding import MELS, load_speaker_embedding

    with torch.inference_mode():
        for columns in (50, 160):
            vectors = load_speaker_embedding()(torch.rand(3, columns, MELS))
            assert vectors.shape == (3, 256)
            assert torch.allclose(vectors.norm(dim=1), torch.ones(3))


def test_the_mel_spectrogram_is_that_of_torchaudio():
    from dualtalk.audio.speaker_embedding import HOP_SAMPLES, MELS, WINDOW_SAMPLES, mel_spectrogram
    from dualtalk.audio.third_party import melscale_fbanks

    audio = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    filters = melscale_fbanks(201, 0.0, 8000.0, MELS, AUDIO_RATE_HZ, norm="slaney", mel_scale="slaney")
    windows = torch.from_numpy(audio).unfold(0, WINDOW_SAMPLES, HOP_SAMPLES) * torch.hann_window(WINDOW_SAMPLES)
    expected = torch.fft.rfft(windows).abs().square() @ filters
    torch.testing.assert_close(mel_spectrogram(audio), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("voices", [2, 3])
def test_a_third_voice_is_marked_and_only_a_third(voices):
    from dualtalk.audio.default_diarizer import find_third_voice

    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.standard_normal((16, 3)))[0].T
    speaker = np.repeat(np.arange(voices), 20)
    coarse = directions[speaker] + 0.1 * rng.standard_normal((len(speaker), 16))
    third = find_third_voice(coarse, np.minimum(speaker, 1), np.arange(len(speaker)))
    assert np.array_equal(third, speaker == 2) or np.array_equal(third, speaker == 1) == (voices == 3)
    assert third.any() == (voices == 3)


def test_the_viterbi_path_has_the_largest_score_of_all_paths():
    from dualtalk.audio.default_diarizer import CHANGE_COST, viterbi_path

    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, after_silence = 8 * rng.standard_normal((7, 2)), rng.random(6) < 0.3
        cost = np.where(after_silence, CHANGE_COST / 2, CHANGE_COST)

        def total(path, scores=scores, cost=cost):
            return scores[np.arange(7), path].sum() - cost[np.diff(path) != 0].sum()

        best = max((np.array(path) for path in product((0, 1), repeat=7)), key=total)
        assert total(viterbi_path(scores, after_silence)) == pytest.approx(total(best))


def test_labels_are_in_the_order_of_the_first_turns():
    three = Annotation()
    three[Segment(5, 9)] = "SPEAKER_00"
    three[Segment(1, 4)] = "SPEAKER_02"
    three[Segment(0, 0.5)] = "SPEAKER_01"
    three[Segment(6, 7), "third"] = THIRD_VOICE
    ordered = relabel_by_first_turn(three)
    assert list(ordered.itertracks(yield_label=True)) == [
        (Segment(1, 4), "a0", "a"),
        (Segment(5, 9), "b0", "b"),
        (Segment(6, 7), "third voice0", THIRD_VOICE),
    ]
    assert not relabel_by_first_turn(Annotation())


def test_a_pipeline_receives_the_options_and_its_output_is_unpacked():
    turns = Annotation()
    turns[Segment(0, 1)] = "SPEAKER_00"
    received = {}

    def pipeline(file, **options):
        received.update(options, rate_hz=file["sample_rate"], shape=tuple(file["waveform"].shape))
        return SimpleNamespace(speaker_diarization=turns)

    found = PyannoteDiarizer(pipeline, num_speakers=2)(np.ones(16_000, np.float32))
    assert found.labels() == ["a"]
    assert received == {"num_speakers": 2, "rate_hz": 16_000, "shape": (1, 16_000)}


def test_a_missing_or_invalid_pipeline_is_a_setup_error(tmp_path):
    with pytest.raises(SetupError, match="no diarizer at"):
        load_diarizer(tmp_path / "absent.yaml")
    (tmp_path / "config.yaml").write_text("pipeline: 3")
    with pytest.raises(SetupError, match=r"config\.yaml"):
        load_diarizer(tmp_path / "config.yaml")


def test_a_pyannote_pipeline_loads_from_a_folder(tmp_path, mixed):
    write_tiny_pipeline(tmp_path)
    found = load_diarizer(tmp_path)(mixed[: sample_at(6.0)])
    assert set(found.labels()) <= {"a", "b"}


def write_tiny_pipeline(folder):
    """Write the files of a `SpeakerDiarization` pipeline with small, untrained networks."""
    # This import prepares the imports of pyannote.audio below.
    from dualtalk.audio.third_party import Problem, Resolution, Specifications

    # isort: split
    from pyannote.audio.models.embedding import XVectorSincNet
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    segmentation = PyanNet(lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8, "num_layers": 1})
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=2.0,
        classes=["one", "two"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation.build()
    embedding = XVectorSincNet(dimension=16)
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=2.0
    )
    for name, model in {"segmentation": segmentation, "embedding": embedding}.items():
        checkpoint = {
            "state_dict": model.state_dict(),
            "hyper_parameters": dict(model.hparams),
            "pytorch-lightning_version": "2.5.0",
        }
        model.on_save_checkpoint(checkpoint)
        torch.save(checkpoint, folder / f"{name}.bin")
    rng = np.random.default_rng(0)
    np.savez(
        folder / "xvec_transform.npz",
        mean1=np.zeros(16), mean2=np.zeros(16), lda=np.eye(16),
    )  # fmt: skip
    np.savez(folder / "plda.npz", mu=np.zeros(16), tr=np.eye(16), psi=np.sort(rng.random(16))[::-1] + 1)
    config = {
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {
                "segmentation": str(folder / "segmentation.bin"),
                "embedding": str(folder / "embedding.bin"),
                "plda": str(folder),
                "clustering": "KMeansClustering",
            },
        },
        "params": {"segmentation": {"min_duration_off": 0.0}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
