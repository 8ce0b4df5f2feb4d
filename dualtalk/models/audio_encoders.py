"""Audio encoders: one feature vector for each motion frame, from 16 kHz samples.

| | depends on | training |
|---|---|---|
| `CausalLogMel` | samples up to the end of its frame | nothing to train |
| `TransformersEncoder` | the whole recording | pretrained wav2vec2, HuBERT or WavLM; frozen, or fine-tuned |

Audio is (batch, sample), in [-1, 1], 640 samples a frame. An incomplete last frame is filled with silence.
"""

import math
import os
import warnings
from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from dualtalk._torchaudio_shim import ready_torchaudio
from dualtalk.errors import InputError
from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME

# What a model or an encoder keeps between steps: tensors in tuples and dataclasses, held by the caller.
State = Any

WINDOW_SAMPLES, HOP_SAMPLES, FFT_SAMPLES = 400, 160, 512
HOPS_PER_FRAME = SAMPLES_PER_FRAME // HOP_SAMPLES
# Samples before a frame that its first window covers.
OVERLAP_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES
MIN_HZ, MAX_HZ = 20.0, AUDIO_RATE_HZ / 2
MIN_POWER = 1e-6
# Mean and standard deviation of log10 power on recordings of conversations, pauses included. Constants in place of
# per-recording statistics keep the features causal.
LOG_POWER_MEAN, LOG_POWER_STD = -3.3, 2.0


def not_streamable(module: nn.Module) -> InputError:
    """The error of a model or an audio encoder that needs the whole recording."""
    return InputError(f"{type(module).__name__} needs the whole recording at once; it cannot be streamed")


class AudioEncoder(nn.Module, ABC):
    """Audio features, one vector a motion frame.

    Attributes
    ----------
    width : int
        Features a frame.
    causal : bool
        Whether a frame's features depend on samples up to the end of that frame alone, so that `encode_chunk`
        gives them as audio arrives. Without it they depend on the whole recording, and only `forward` works.
    vtlp_range : (float, float) or None
        Range of the frequency warp of vocal tract length perturbation in training; encoders without it ignore
        this.
    """

    width: int
    causal: bool
    vtlp_range: tuple[float, float] | None = None

    @abstractmethod
    def forward(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        """Features of a whole recording, `ceil(sample / 640)` frames.

        Raises
        ------
        InputError
            There is no sample.
        """

    def start(self, batch: int) -> State:
        """The state before the first frame.

        Raises
        ------
        InputError
            This encoder needs the whole recording.
        """
        raise not_streamable(self)

    def encode_chunk(
        self, state: State, audio: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch frame feature"], State]:
        """Features of the next frames, equal to those of `forward`, and the state after them.

        `audio` has 640 samples a frame. `state` is not changed.
        """
        raise not_streamable(self)


class CausalLogMel(AudioEncoder):
    """Log power in mel bands, 100 times a second, four vectors stacked to a motion frame.

    Windows of 25 ms end with their 10 ms hop, so the features of frame t use samples up to the end of frame t.
    Audio before the recording is silence.

    Parameters
    ----------
    n_mels : int
        Bands from 20 Hz to 8 kHz. A frame has four times as many features, earliest hop first.

    Attributes
    ----------
    vtlp_range : (float, float) or None
        In training mode, frequencies of each voice are multiplied by a factor drawn between these: Jaitly & Hinton
        2013, "Vocal tract length perturbation (VTLP) improves speech recognition".
    """

    causal = True
    window: Tensor
    filters: Tensor

    def __init__(self, n_mels: int = 64) -> None:
        super().__init__()
        self.n_mels = n_mels
        self.width = HOPS_PER_FRAME * n_mels
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)
        self.register_buffer("filters", mel_filters(n_mels), persistent=False)

    def forward(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        return self._features(pad(pad_to_frames(audio), (OVERLAP_SAMPLES, 0)))

    def start(self, batch: int) -> Float[Tensor, "batch 240"]:
        return self.window.new_zeros(batch, OVERLAP_SAMPLES)

    def encode_chunk(
        self, state: Float[Tensor, "batch 240"], audio: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch frame feature"], Float[Tensor, "batch 240"]]:
        audio = torch.cat([state, audio], dim=-1)
        return self._features(audio), audio[:, -OVERLAP_SAMPLES:]

    def _features(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        spectrum = torch.fft.rfft(audio.unfold(-1, WINDOW_SAMPLES, HOP_SAMPLES) * self.window, FFT_SAMPLES)
        filters = self.filters
        if self.training and self.vtlp_range is not None:
            filters = self._vtlp_filters(len(audio), self.vtlp_range)
        # Power exceeds the range of half precision, so mixed-precision training must not use it here.
        with torch.autocast(audio.device.type, enabled=False):
            power = (spectrum.real.square() + spectrum.imag.square()) @ filters
        log_power = power.clamp(min=MIN_POWER).log10()
        scaled = (log_power - LOG_POWER_MEAN) / LOG_POWER_STD
        return scaled.unflatten(1, (-1, HOPS_PER_FRAME)).flatten(2)

    def _vtlp_filters(self, people: int, factors: tuple[float, float]) -> Float[Tensor, "people bin mel"]:
        """Filters with each person's frequency axis warped by a factor, drawn uniformly on a log scale."""
        low, high = (math.log(factor) for factor in factors)
        warps = (low + (high - low) * torch.rand(people, 1, device=self.filters.device)).exp()
        last = len(self.filters) - 1
        positions = (warps * torch.arange(last + 1, device=self.filters.device)).clamp(max=last)
        below = positions.long().clamp(max=last - 1)
        return torch.lerp(self.filters[below], self.filters[below + 1], (positions - below)[..., None])


class TransformersEncoder(AudioEncoder):
    """The last hidden layer of a pretrained speech encoder, resampled from its 50 frames a second to 25.

    Parameters
    ----------
    name_or_path : str or path
        A folder that transformers can read, or the name of a model on its hub: wav2vec2, HuBERT, WavLM or one of
        the same structure.
    finetune : bool
        Whether its transformer is trained, too. Its convolutions are always frozen, as in wav2vec 2.0's own
        fine-tuning (Baevski et al. 2020, section 4.2).
    local_files_only : bool
        Use no network: the model must be a folder, or in the local cache of the hub.

    Raises
    ------
    InputError
        There is no such model, or it is of another kind.
    """

    causal = False

    def __init__(
        self, name_or_path: str | os.PathLike, finetune: bool = False, *, local_files_only: bool = False
    ) -> None:
        super().__init__()
        from dualtalk.models.third_party import AutoConfig, AutoModel

        self.name = name = os.fspath(name_or_path)
        try:
            config = AutoConfig.from_pretrained(name, local_files_only=local_files_only)
            # Masked spans and dropped layers belong to its pretraining.
            config.apply_spec_augment, config.layerdrop = False, 0.0
            self.encoder = AutoModel.from_pretrained(name, config=config, local_files_only=local_files_only)
        except (OSError, ValueError) as error:
            fetch = f"; if you trust it, fetch it first: hf download {name}" if local_files_only else ""
            raise InputError(f"transformers cannot load {name}: {str(error).splitlines()[0]}{fetch}") from error
        if not hasattr(self.encoder, "feature_extractor"):
            raise InputError(
                f"{name} is a {config.model_type}; wanted wav2vec2, HuBERT, WavLM or one of the same structure"
            )
        self.width = config.hidden_size
        self.normalizes = _wants_normalized(name, local_files_only)
        self.finetune = finetune
        self.encoder.requires_grad_(finetune)
        self.encoder.feature_extractor.requires_grad_(False)
        freeze_mask_embedding(self.encoder)
        self.train(self.training)

    def forward(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        audio = pad_to_frames(audio)
        with torch.set_grad_enabled(self.finetune and torch.is_grad_enabled()):
            features = self.encoder(normalize_audio(audio) if self.normalizes else audio).last_hidden_state
        return resample_features(features, audio.shape[-1] // SAMPLES_PER_FRAME)

    def train(self, mode: bool = True) -> "TransformersEncoder":
        """As `nn.Module.train`; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.train(mode and self.finetune)
        return self


def freeze_mask_embedding(encoder: nn.Module) -> None:
    """Exclude from training the vector for masked spans, which receives no gradient outside of pretraining."""
    if isinstance(vector := getattr(encoder, "masked_spec_embed", None), nn.Parameter):
        vector.requires_grad_(False)


def _wants_normalized(name: str, local_files_only: bool) -> bool:
    """Whether the encoder was trained on audio of zero mean and unit variance; True where nothing says."""
    from dualtalk.models.third_party import AutoFeatureExtractor

    try:
        extractor = AutoFeatureExtractor.from_pretrained(name, local_files_only=local_files_only)
        return bool(getattr(extractor, "do_normalize", True))
    except (OSError, ValueError):
        return True


def encode_with_lookahead(
    encoder: AudioEncoder, audio: Float[Tensor, "batch sample"], lookahead_frames: int
) -> Float[Tensor, "batch frame feature"]:
    """For each frame, the features of the frame `lookahead_frames` later; audio past the end is silence."""
    return encoder(pad(audio, (0, lookahead_frames * SAMPLES_PER_FRAME)))[:, lookahead_frames:]


def start_with_lookahead(encoder: AudioEncoder, ahead: Float[Tensor, "batch sample"]) -> State:
    """State from which `encode_chunk` gives `encode_with_lookahead`: after the frames of `ahead`."""
    state = encoder.start(len(ahead))
    return encoder.encode_chunk(state, ahead)[1] if ahead.shape[-1] else state


def normalize_audio(audio: Float[Tensor, "*batch sample"]) -> Float[Tensor, "*batch sample"]:
    """Zero mean and unit variance over a whole recording, as wav2vec2's processor gives; silence stays silent."""
    centred = audio - audio.mean(dim=-1, keepdim=True)
    # The processor's own constant, added to the population variance.
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-7).sqrt()


def resample_features(
    features: Float[Tensor, "batch time feature"], frames: int
) -> Float[Tensor, "batch frame feature"]:
    """Linear interpolation to `frames`, the first on the first and the last on the last."""
    return interpolate(features.mT, size=frames, mode="linear", align_corners=True).mT


def pad_to_frames(audio: Float[Tensor, "*batch sample"]) -> Float[Tensor, "*batch padded"]:
    """`audio` followed by silence up to a whole number of motion frames.

    Raises
    ------
    InputError
        There is no sample.
    """
    if not audio.shape[-1]:
        raise InputError("audio has no sample; wanted one or more")
    return pad(audio, (0, -audio.shape[-1] % SAMPLES_PER_FRAME))


def mel_filters(n_mels: int) -> Float[Tensor, "bin mel"]:
    """Weights of spectral power in each band: triangles from 20 Hz to 8 kHz, evenly spaced in mel, 1 at the peak.

    torchaudio's filters on the HTK scale, mel(f) = 2595 log10(1 + f / 700), without normalization of their area.

    Raises
    ------
    InputError
        So many bands that some fall between the bins of the spectrum.
    """
    ready_torchaudio()
    from torchaudio.functional import melscale_fbanks

    default = torch.get_default_dtype()
    # In single precision, torchaudio's filters are wrong by up to 8e-6.
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            # Its warning of empty filters; an error below.
            warnings.simplefilter("ignore", UserWarning)
            filters = melscale_fbanks(FFT_SAMPLES // 2 + 1, MIN_HZ, MAX_HZ, n_mels, AUDIO_RATE_HZ)
    finally:
        torch.set_default_dtype(default)
    if not filters.any(dim=0).all():
        raise InputError(f"{n_mels} mel bands are too many: some fall between the bins of the spectrum")
    return filters.float()
