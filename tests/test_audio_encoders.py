"""Audio encoders: one vector per frame; causal ones do not depend on the future, and streaming equals whole."""

import numpy as np
import pytest
import torch
from torch import Tensor

import dualtalk.models.interface as interface
from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import (
    CausalLogMel,
    TransformersEncoder,
    mel_filters,
    normalize_audio,
    resample_features,
)
from dualtalk.timebase import AUDIO_RATE_HZ

SAMPLES = interface.SAMPLES_PER_FRAME
FAMILIES = ["Wav2Vec2", "Hubert", "WavLM"]


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)


def noise(frames: float, batch: int = 2) -> Tensor:
    return 0.1 * torch.randn(batch, round(frames * SAMPLES))


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (640, 1), (641, 2), (6400, 10)])
def test_log_mel_has_one_vector_per_frame(samples, frames):
    encoder = CausalLogMel(n_mels=40)
    assert encoder(0.1 * torch.randn(3, samples)).shape == (3, frames, encoder.width)


@pytest.mark.parametrize("at_once", [1, 7])
def test_streamed_log_mel_equals_the_whole(at_once):
    encoder, audio = CausalLogMel(), noise(20)
    state, chunks = encoder.start(2), []
    for chunk in audio.split(at_once * SAMPLES, dim=1):
        features, state = encoder.encode_chunk(state, chunk)
        chunks.append(features)
    torch.testing.assert_close(torch.cat(chunks, dim=1), encoder(audio), atol=1e-5, rtol=0)


def test_log_mel_depends_on_samples_to_the_end_of_its_frame():
    encoder, audio = CausalLogMel(), noise(10, batch=1).requires_grad_()
    encoder(audio)[0, 4].sum().backward()
    used = audio.grad[0].nonzero()[:, 0]
    # A Hann window is zero at its first sample, and nearly zero at its last.
    assert used.min() >= 4 * SAMPLES - 240
    assert 5 * SAMPLES - 2 <= used.max() < 5 * SAMPLES


def test_log_mel_does_not_depend_on_later_samples():
    encoder, audio = CausalLogMel(), noise(10)
    changed = audio.clone()
    changed[:, 6 * SAMPLES :] = 1
    before, after = encoder(audio), encoder(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6], after[:, 6])


def test_log_mel_of_a_tone_peaks_at_its_frequency():
    time_s = torch.arange(16_000) / AUDIO_RATE_HZ
    encoder = CausalLogMel(n_mels=64)
    filters = mel_filters(64)
    for hertz in (200.0, 1000.0, 5000.0):
        features = encoder(0.5 * torch.sin(2 * torch.pi * hertz * time_s)[None])[0, 10].reshape(4, 64)
        bin_of_tone = round(hertz / (8000 / (len(filters) - 1)))
        assert (features.argmax(dim=1) - filters[bin_of_tone].argmax()).abs().max() <= 1


def test_log_mel_of_silence_and_of_full_scale_is_finite_and_small():
    for audio in (torch.zeros(1, 6400), torch.ones(1, 6400), noise(10, 1).sign()):
        features = CausalLogMel()(audio)
        assert features.isfinite().all()
        assert features.abs().max() < 5


def test_log_mel_is_exact_in_mixed_precision():
    encoder, audio = CausalLogMel(), noise(5)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = encoder(audio)
    assert torch.equal(mixed, encoder(audio))


def test_mel_filters_are_triangles_evenly_spaced_in_mel():
    """By Davis & Mermelstein 1980, figure 1, with mel(f) = 2595 log10(1 + f / 700)."""
    edges_mel = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 8000 / 700), 66)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1)
    bins_hz = np.linspace(0, 8000, 257)
    triangles = [np.interp(bins_hz, edges_hz[i : i + 3], (0, 1, 0)) for i in range(64)]
    torch.testing.assert_close(
        mel_filters(64), torch.from_numpy(np.stack(triangles, 1)).float(), atol=1e-6, rtol=0
    )


def test_more_bands_than_the_spectrum_resolves_are_refused():
    with pytest.raises(InputError, match="200 mel bands"):
        CausalLogMel(n_mels=200)


def test_no_audio_is_refused():
    with pytest.raises(InputError, match="no sample"):
        CausalLogMel()(torch.zeros(1, 0))


def test_normalized_audio_agrees_with_the_processor():
    from transformers import Wav2Vec2FeatureExtractor

    audio = noise(5) + 0.3
    theirs = Wav2Vec2FeatureExtractor(do_normalize=True)(list(audio.numpy()), sampling_rate=16_000)["input_values"]
    torch.testing.assert_close(normalize_audio(audio), torch.tensor(np.stack(theirs)), atol=1e-4, rtol=0)
    assert torch.equal(normalize_audio(torch.zeros(1, 640)), torch.zeros(1, 640))


def test_resampling_preserves_endpoints_and_linear_curves():
    line = torch.linspace(0, 1, 7)[None, :, None]
    torch.testing.assert_close(resample_features(line, 13), torch.linspace(0, 1, 13)[None, :, None])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny model of each family, as save_pretrained writes it."""
    import transformers

    torch.manual_seed(0)
    written = {}
    for family in FAMILIES:
        config = getattr(transformers, f"{family}Config")(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            conv_dim=[8] * 7,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
        )
        written[family] = tmp_path_factory.mktemp(family)
        getattr(transformers, f"{family}Model")(config).save_pretrained(written[family])
    return written


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("samples", [100, 640, 16_000])
def test_a_speech_encoder_has_one_vector_per_frame(folders, family, samples):
    encoder = TransformersEncoder(folders[family]).eval()
    features = encoder(0.1 * torch.randn(2, samples))
    assert features.shape == (2, -(-samples // SAMPLES), encoder.width)
    assert features.isfinite().all()


def test_a_frozen_encoder_has_no_gradient_and_no_dropout(folders):
    encoder = TransformersEncoder(folders["Wav2Vec2"]).train()
    audio = noise(5)
    assert torch.equal(encoder(audio), encoder(audio))
    assert not encoder(audio).requires_grad
    assert not any(weight.requires_grad for weight in encoder.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_finetuning_trains_all_but_the_convolutions(folders, family):
    encoder = TransformersEncoder(folders[family], finetune=True).train()
    encoder(noise(25)).square().mean().backward()
    trained = {name for name, weight in encoder.named_parameters() if weight.grad is not None}
    assert any("encoder.layers.1.attention" in name for name in trained)
    assert not any("feature_extractor" in name for name in trained)


def test_audio_is_normalized_if_the_encoder_was_trained_with_it(folders, tmp_path):
    from transformers import Wav2Vec2FeatureExtractor

    audio = noise(5)
    encoder = TransformersEncoder(folders["Wav2Vec2"]).eval()
    torch.testing.assert_close(encoder(audio), encoder(0.1 * audio + 0.2), atol=1e-3, rtol=0)
    encoder.encoder.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    assert not TransformersEncoder(tmp_path).normalizes


def test_a_speech_encoder_cannot_be_streamed(folders):
    with pytest.raises(InputError, match="cannot be streamed"):
        TransformersEncoder(folders["Wav2Vec2"]).start(1)


def test_other_models_than_speech_encoders_are_refused(tmp_path):
    with pytest.raises(InputError, match="transformers cannot load"):
        TransformersEncoder(tmp_path)
    from transformers import BertConfig, BertModel

    BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9)
    ).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is a bert; wanted wav2vec2"):
        TransformersEncoder(tmp_path)
