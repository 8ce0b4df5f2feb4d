"""What models hear: one vector of audio features for each motion frame, from 16 kHz samples.

| | depends on | trained |
|---|---|---|
| `CausalLogMel` | samples up to the end of its frame | nothing to train |
| `TransformersEncoder` | the whole recording | before, by others: wav2vec2, HuBERT, WavLM; frozen here, or tuned |

Audio is (batch, sample), in [-1, 1]; 640 samples a frame; a last frame that is partly beyond the end is filled
with silence.
"""

import math
import os
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from dualtalk.errors import InputError
from dualtalk.models.interface import State, not_streamable
from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME

# The mel scale's constants in O'Shaughnessy 1987, "Speech communication: human and machine", page 150.
MEL_FACTOR, MEL_CORNER_HZ = 2595.0, 700.0
WINDOW_SAMPLES, HOP_SAMPLES, FFT_SAMPLES = 400, 160, 512
HOPS_PER_FRAME = SAMPLES_PER_FRAME // HOP_SAMPLES
# What a window reaches back beyond its hop: the samples of earlier frames that a frame needs.
OVERLAP_SAMPLES = WINDOW_SAMPLES - HOP_SAMPLES
LOWEST_HZ, HIGHEST_HZ = 20.0, AUDIO_RATE_HZ / 2
SMALLEST_POWER = 1e-6
# Mean and deviation of log10 power, as measured on recordings of conversations, pauses and all: they bring
# features near to zero mean and unit variance without hearing the recording first.
TYPICAL_LOG_POWER, LOG_POWER_DEVIATION = -3.3, 2.0


class FrontEnd(nn.Module, ABC):
    """Audio features, one vector a motion frame.

    Attributes
    ----------
    width : int
        Features a frame.
    causal : bool
        Whether a frame's features depend on samples up to the end of that frame alone, so that `extend` gives
        them as they come; if not, they depend on the whole recording and there is `forward` alone.
    """

    width: int
    causal: bool

    @abstractmethod
    def forward(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        """Features of a whole recording, `ceil(sample / 640)` frames of them.

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
            This front end hears the whole recording and cannot be streamed.
        """
        raise not_streamable(self)

    def extend(
        self, state: State, audio: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch frame feature"], State]:
        """Features of the next frames, as `forward` gives them, and the state after them; `state` stays as it was.

        `audio` has 640 samples for each.
        """
        raise not_streamable(self)


class CausalLogMel(FrontEnd):
    """Log power in mel bands, 100 times a second, four times stacked to a motion frame.

    Windows of 25 ms end with their 10 ms hop, so the features of frame t use samples up to the end of frame t and
    none after. Before a recording there is silence.

    Parameters
    ----------
    mels : int
        Bands from 20 Hz to 8 kHz. The features of a frame are four times as many, earliest hop first.

    Attributes
    ----------
    tracts : (float, float) or None
        While training, each voice is heard as by another vocal tract, all its frequencies times a factor drawn
        between these: Jaitly & Hinton 2013, "Vocal tract length perturbation (VTLP) improves speech recognition".
        Training sets it.
    """

    causal = True
    tracts: tuple[float, float] | None = None

    def __init__(self, mels: int = 64) -> None:
        super().__init__()
        self.mels = mels
        self.width = HOPS_PER_FRAME * mels
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)
        self.register_buffer("filters", mel_filters(mels), persistent=False)

    def forward(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        return self._features(pad(filled_to_frames(audio), (OVERLAP_SAMPLES, 0)))

    def start(self, batch: int) -> Float[Tensor, "batch 240"]:
        return self.window.new_zeros(batch, OVERLAP_SAMPLES)

    def extend(
        self, state: Float[Tensor, "batch 240"], audio: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch frame feature"], Float[Tensor, "batch 240"]]:
        heard = torch.cat([state, audio], dim=-1)
        return self._features(heard), heard[:, -OVERLAP_SAMPLES:]

    def _features(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        spectrum = torch.fft.rfft(audio.unfold(-1, WINDOW_SAMPLES, HOP_SAMPLES) * self.window, FFT_SAMPLES)
        filters = self._filters_of_other_tracts(len(audio)) if self.training and self.tracts else self.filters
        # Power spans more than half precision holds, so not even mixed-precision training may use it here.
        with torch.autocast(audio.device.type, enabled=False):
            power = (spectrum.real.square() + spectrum.imag.square()) @ filters
        log_power = power.clamp(min=SMALLEST_POWER).log10()
        scaled = (log_power - TYPICAL_LOG_POWER) / LOG_POWER_DEVIATION
        return scaled.unflatten(1, (-1, HOPS_PER_FRAME)).flatten(2)

    def _filters_of_other_tracts(self, people: int) -> Float[Tensor, "people bin mel"]:
        """Filters that hear a frequency where `filters` hear it times a person's factor, drawn evenly by ratio."""
        low, high = (math.log(factor) for factor in self.tracts)
        factors = (low + (high - low) * torch.rand(people, 1, device=self.filters.device)).exp()
        last = len(self.filters) - 1
        places = (factors * torch.arange(last + 1, device=self.filters.device)).clamp(max=last)
        below = places.long().clamp(max=last - 1)
        return torch.lerp(self.filters[below], self.filters[below + 1], (places - below)[..., None])


class TransformersEncoder(FrontEnd):
    """The last hidden layer of a speech encoder, stretched from its own 50 frames a second to 25.

    Parameters
    ----------
    name_or_path : str or path
        A folder that transformers can read, or a model's name on its hub: wav2vec2, HuBERT, WavLM or one built
        like them.
    tuned : bool
        Whether its transformer is trained along. Its convolutions never are, as in wav2vec 2.0's own fine-tuning
        (Baevski et al. 2020, section 4.2).

    Raises
    ------
    InputError
        There is no such model, or it is of another kind.
    """

    causal = False

    def __init__(self, name_or_path: str | os.PathLike, tuned: bool = False) -> None:
        super().__init__()
        from dualtalk.models.third_party import AutoConfig, AutoModel

        self.name = name = os.fspath(name_or_path)
        try:
            config = AutoConfig.from_pretrained(name)
            # Spans masked and layers dropped at random belong to its pretraining.
            config.apply_spec_augment, config.layerdrop = False, 0.0
            self.encoder = AutoModel.from_pretrained(name, config=config)
        except (OSError, ValueError) as error:
            raise InputError(f"transformers cannot load {name}: {str(error).splitlines()[0]}") from error
        if not hasattr(self.encoder, "feature_extractor"):
            raise InputError(
                f"{name} is a {config.model_type}; wanted wav2vec2, HuBERT, WavLM or one built like them"
            )
        self.width = config.hidden_size
        self.normalises = _wants_normalised(name)
        self.tuned = tuned
        self.encoder.requires_grad_(tuned)
        self.encoder.feature_extractor.requires_grad_(False)
        self.train(self.training)

    def forward(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame feature"]:
        audio = filled_to_frames(audio)
        heard = normalised(audio) if self.normalises else audio
        with torch.set_grad_enabled(self.tuned and torch.is_grad_enabled()):
            features = self.encoder(heard).last_hidden_state
        return stretched(features, audio.shape[-1] // SAMPLES_PER_FRAME)

    def train(self, mode: bool = True) -> "TransformersEncoder":
        """As `nn.Module.train`; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        self.encoder.train(mode and self.tuned)
        return self


def _wants_normalised(name: str) -> bool:
    """Whether the encoder was trained on audio of zero mean and unit variance; most were, and say so."""
    from dualtalk.models.third_party import AutoFeatureExtractor

    try:
        return bool(getattr(AutoFeatureExtractor.from_pretrained(name), "do_normalize", True))
    except (OSError, ValueError):
        return True


def heard_ahead(
    front_end: FrontEnd, audio: Float[Tensor, "batch sample"], look_ahead_frames: int
) -> Float[Tensor, "batch frame feature"]:
    """For each frame, the features of the frame `look_ahead_frames` later; past the end there is silence."""
    return front_end(pad(audio, (0, look_ahead_frames * SAMPLES_PER_FRAME)))[:, look_ahead_frames:]


def start_hearing(front_end: FrontEnd, ahead: Float[Tensor, "batch sample"]) -> State:
    """The state of a causal front end that `extend` takes on to `heard_ahead`: having heard as many frames."""
    state = front_end.start(len(ahead))
    return front_end.extend(state, ahead)[1] if ahead.shape[-1] else state


def normalised(audio: Float[Tensor, "*batch sample"]) -> Float[Tensor, "*batch sample"]:
    """Zero mean and unit variance over a whole recording, as wav2vec2's processor gives; silence stays silent."""
    centred = audio - audio.mean(dim=-1, keepdim=True)
    # The processor's own constant, added to the population variance.
    return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-7).sqrt()


def stretched(features: Float[Tensor, "batch time feature"], frames: int) -> Float[Tensor, "batch frame feature"]:
    """Features interpolated linearly to `frames`, the first on the first and the last on the last."""
    return interpolate(features.mT, size=frames, mode="linear", align_corners=True).mT


def filled_to_frames(audio: Float[Tensor, "*batch sample"]) -> Float[Tensor, "*batch filled"]:
    """`audio` with silence behind it up to a whole number of motion frames.

    Raises
    ------
    InputError
        There is no sample.
    """
    if not audio.shape[-1]:
        raise InputError("audio has no sample; wanted one or more")
    return pad(audio, (0, -audio.shape[-1] % SAMPLES_PER_FRAME))


def mel_filters(mels: int) -> Float[Tensor, "bin mel"]:
    """Weights of spectral power in each band: triangles from 20 Hz to 8 kHz, evenly spaced in mel, 1 at the peak.

    Each rises from its lower neighbour's peak and falls to its upper one's.
    mel(f) = 2595 log10(1 + f / 700): O'Shaughnessy 1987, page 150; the triangles are those of Davis & Mermelstein
    1980, figure 1.

    Raises
    ------
    InputError
        So many bands that some fall between the bins of the spectrum.
    """
    lowest, highest = (MEL_FACTOR * math.log10(1 + hertz / MEL_CORNER_HZ) for hertz in (LOWEST_HZ, HIGHEST_HZ))
    points = torch.linspace(lowest, highest, mels + 2, dtype=torch.float64)
    hertz = MEL_CORNER_HZ * (10 ** (points / MEL_FACTOR) - 1)
    bins_hz = torch.linspace(0, AUDIO_RATE_HZ / 2, FFT_SAMPLES // 2 + 1, dtype=torch.float64)[:, None]
    lower, middle, upper = hertz[:-2], hertz[1:-1], hertz[2:]
    rising, falling = (bins_hz - lower) / (middle - lower), (upper - bins_hz) / (upper - middle)
    filters = torch.minimum(rising, falling).clamp(min=0)
    if not filters.any(dim=0).all():
        raise InputError(f"{mels} mel bands are too many: some fall between the bins of the spectrum")
    return filters.float()
