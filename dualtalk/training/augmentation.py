"""Random recording conditions for training audio: room, level, noise, frequency response, compression, clipping.

The voices of a corpus are recorded alike. A model that relies on their level, spectrum, bandwidth or reverberation
fails on other recordings: with telephone bandwidth, it missed half of the closures at /p/, /b/ and /m/; with the
dynamic range compression of calls and podcasts, it missed a third of the closures at /m/.

Gain, noise and band limits are transforms of torch-audiomentations. The other transforms implement its interface:
random impulse responses without files, a random equalizer, a compressor and a soft clipper. Each voice draws its
own parameters. torch-audiomentations draws from torch's global generators; seed and isolate them around a call.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, interpolate

from dualtalk._torchaudio_shim import ready_torchaudio
from dualtalk.timebase import AUDIO_RATE_HZ

# torch-audiomentations imports torchaudio.
ready_torchaudio()

from torch_audiomentations import AddColoredNoise, Gain, HighPassFilter, LowPassFilter, convolve  # noqa: E402
from torch_audiomentations.core.transforms_interface import BaseWaveformTransform  # noqa: E402
from torch_audiomentations.utils.object_dict import ObjectDict  # noqa: E402

Voices = Float[Tensor, "voice 1 sample"]

# Fraction of voices that each transform is applied to.
REVERBERATION_P, HIGH_PASS_P, LOW_PASS_P, COMPRESSION_P, CLIPPING_P = 0.5, 0.5, 0.5, 0.5, 0.3
# Ranges of uniform distributions. Noise is relative to full scale; its spectrum falls with 1 / f ** decay.
GAIN_DB, NOISE_DB, NOISE_DECAY = (-10.0, 8.0), (-90.0, -40.0), (0.0, 1.0)
# Cutoff frequencies, uniform on the mel scale. julius needs cutoffs below half the sample rate.
HIGH_PASS_HZ, LOW_PASS_HZ = (40.0, 300.0), (3300.0, 7900.0)
# Standard deviation of the equalizer at its bands, which are equally spaced on the mel scale.
EQUALIZER_DB, EQUALIZER_BANDS = 5.0, 6
# Reverberation time (RT60), and the level of the reverberation below the direct sound.
RT60_S, DIRECT_TO_REVERBERANT_DB = (0.1, 0.7), (0.0, 20.0)
# Exponent by which the compressor reduces level differences, its smoothing time, and the level relative to the
# mean below which the gain does not rise.
COMPRESSION, COMPRESSION_TIME_S, COMPRESSION_FLOOR_DB = (0.0, 0.6), (0.01, 0.15), -30.0
LEVEL_HOP_S = 0.005
# Level at which the soft clipper saturates, relative to the RMS of the voice.
CLIPPING_DB = (-6.0, 18.0)
SILENCE = 1e-5


class AudioAugmentation(nn.Module):
    """All transforms, in the order in which a room, a microphone and a recorder apply them."""

    def __init__(self) -> None:
        super().__init__()
        options = {"mode": "per_channel", "sample_rate": AUDIO_RATE_HZ, "output_type": "dict"}
        self.transforms = nn.ModuleList(
            [
                Reverberation(p=REVERBERATION_P),
                Gain(*GAIN_DB, p=1.0, **options),
                NoiseFloor(p=1.0),
                RandomEqualizer(p=1.0),
                HighPassFilter(*HIGH_PASS_HZ, p=HIGH_PASS_P, **options),
                LowPassFilter(*LOW_PASS_HZ, p=LOW_PASS_P, **options),
                Compressor(p=COMPRESSION_P),
                SoftClipper(p=CLIPPING_P),
            ]
        )

    def forward(self, audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 sample"]:
        """The audio under other recording conditions. It is not shifted in time."""
        for transform in self.transforms:
            audio = transform(audio, sample_rate=AUDIO_RATE_HZ).samples
        return audio


class VoiceTransform(BaseWaveformTransform, ABC):
    """A transform of torch-audiomentations that is applied to a fraction `p` of the voices.

    Subclasses implement `perturb`, which draws its parameters itself.
    """

    def __init__(self, p: float) -> None:
        super().__init__(mode="per_channel", p=p, sample_rate=AUDIO_RATE_HZ, output_type="dict")

    def randomize_parameters(self, *_: object, **__: object) -> None:
        """Parameters are drawn in `perturb`."""

    def apply_transform(
        self,
        samples: Tensor,
        sample_rate: int | None = None,
        targets: Tensor | None = None,
        target_rate: int | None = None,
    ) -> Any:
        return ObjectDict(
            samples=self.perturb(samples), sample_rate=sample_rate, targets=targets, target_rate=target_rate
        )

    @abstractmethod
    def perturb(self, audio: Voices) -> Voices:
        """`audio`, changed."""


class Reverberation(VoiceTransform):
    """Convolution with a room impulse response: the direct sound, then exponentially decaying noise.

    Moorer 1979, "About this reverberation business".
    """

    def perturb(self, audio: Voices) -> Voices:
        tail = round(RT60_S[1] * AUDIO_RATE_HZ)
        time_s = torch.arange(1, tail + 1, device=audio.device) / AUDIO_RATE_HZ
        decay = 10 ** (-3 * time_s / _uniform(audio, RT60_S))
        reverberation = decay * torch.randn(len(audio), 1, tail, device=audio.device)
        level = 10 ** (-_uniform(audio, DIRECT_TO_REVERBERANT_DB) / 20)
        reverberation = level * reverberation / reverberation.norm(dim=-1, keepdim=True)
        response = torch.cat([torch.ones_like(reverberation[..., :1]), reverberation], dim=-1)
        return convolve(audio, response)[..., : audio.shape[-1]]


class NoiseFloor(VoiceTransform):
    """Coloured noise at a level relative to full scale, so that silence is noisy too.

    `AddColoredNoise` sets its level relative to the signal; here the signal is a constant of level 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self._noise = AddColoredNoise(
            *(-NOISE_DB[1], -NOISE_DB[0], *NOISE_DECAY),
            mode="per_channel",
            p=1.0,
            sample_rate=AUDIO_RATE_HZ,
            output_type="dict",
        )

    def perturb(self, audio: Voices) -> Voices:
        carrier = torch.ones_like(audio)
        return audio + self._noise(carrier).samples - carrier


class RandomEqualizer(VoiceTransform):
    """A smooth random frequency response."""

    def perturb(self, audio: Voices) -> Voices:
        spectrum = torch.fft.rfft(audio)
        hertz = torch.linspace(0, AUDIO_RATE_HZ / 2, spectrum.shape[-1], device=audio.device)
        mel = torch.log1p(hertz / 700)
        position = mel / mel[-1] * (EQUALIZER_BANDS - 1)
        bands_db = EQUALIZER_DB * audio.new_empty(len(audio), 1, EQUALIZER_BANDS).normal_()
        below = position.long().clamp(max=EQUALIZER_BANDS - 2)
        # Cosine interpolation between neighbouring bands.
        weight = (1 - torch.cos(torch.pi * (position - below))) / 2
        response_db = torch.lerp(bands_db[..., below], bands_db[..., below + 1], weight)
        return torch.fft.irfft(spectrum * 10 ** (response_db / 20), audio.shape[-1])


class Compressor(VoiceTransform):
    """Dynamic range compression with a random strength and smoothing time; the RMS of the voice is kept."""

    def perturb(self, audio: Voices) -> Voices:
        hop = round(LEVEL_HOP_S * AUDIO_RATE_HZ)
        power = avg_pool1d(audio.square(), hop, ceil_mode=True)
        # A Gaussian filter, applied in the frequency domain.
        width_hops = _uniform(audio, COMPRESSION_TIME_S) / LEVEL_HOP_S
        cycles = torch.fft.rfftfreq(power.shape[-1], device=audio.device)
        kernel = torch.exp(-0.5 * (2 * torch.pi * cycles * width_hops).square())
        smooth = torch.fft.irfft(torch.fft.rfft(power) * kernel, power.shape[-1]).clamp(min=0)
        mean_power = audio.square().mean(dim=-1, keepdim=True)
        floor = 10 ** (COMPRESSION_FLOOR_DB / 10) * mean_power + SILENCE**2
        gain = (smooth + floor) ** (-_uniform(audio, COMPRESSION) / 2)
        return _with_rms_of(audio, audio * interpolate(gain, audio.shape[-1], mode="linear"))


class SoftClipper(VoiceTransform):
    """Saturation at a random level; the RMS of the voice is kept."""

    def perturb(self, audio: Voices) -> Voices:
        rms = audio.square().mean(dim=-1, keepdim=True).sqrt()
        limit = 10 ** (_uniform(audio, CLIPPING_DB) / 20) * rms + SILENCE
        return _with_rms_of(audio, limit * torch.tanh(audio / limit))


def _with_rms_of(before: Voices, after: Voices) -> Voices:
    norms = (audio.norm(dim=-1, keepdim=True).clamp(min=SILENCE) for audio in (before, after))
    return after * (next(norms) / next(norms))


def _uniform(audio: Voices, bounds: tuple[float, float]) -> Float[Tensor, "voice 1 1"]:
    low, high = bounds
    return low + (high - low) * torch.rand_like(audio[..., :1])
