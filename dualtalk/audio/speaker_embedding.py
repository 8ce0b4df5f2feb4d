"""Speaker embedding: resemblyzer's d-vector network with bundled weights.

Wan et al. 2018, "Generalized end-to-end loss for speaker verification": a mel spectrogram passes through three
LSTM layers; the last state is projected and normalized to unit length. Weights and sizes are those of
https://github.com/resemble-ai/Resemblyzer (Apache-2.0), which also cuts its windows out of the mel spectrogram of
a whole recording.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from safetensors.torch import load_file
from torch import Tensor, nn

from dualtalk.timebase import AUDIO_RATE_HZ

# Resemblyzer's hparams.py: windows of 25 ms every 10 ms, 40 mels in librosa's default (Slaney's) scale.
MELS, WINDOW_SAMPLES, HOP_SAMPLES = 40, 400, 160
HIDDEN = 256
# Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, 15 mels, and logarithmic above, 27 mels for a
# factor of 6.4.
LINEAR_HZ_PER_MEL, LOG_START_HZ, LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27


class SpeakerEmbedding(nn.Module):
    """Maps windows of a mel spectrogram, of any length, to unit vectors that are similar for the same speaker."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, HIDDEN, num_layers=3, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, mels: Float[Tensor, "batch column mel"]) -> Float[Tensor, "batch coef"]:
        _, (last, _) = self.lstm(mels)
        return nn.functional.normalize(self.linear(last[-1]).relu(), dim=1)


@cache
def load_speaker_embedding() -> SpeakerEmbedding:
    """The network with the bundled weights, which were trained on windows of 1.6 s."""
    network = SpeakerEmbedding()
    weights = load_file(Path(__file__).with_suffix(".safetensors"))
    network.load_state_dict({name: values.float() for name, values in weights.items()})
    return network.eval()


def mel_spectrogram(audio: Float32[np.ndarray, "sample"]) -> Float[Tensor, "column mel"]:
    """Mel power, 100 columns a second; column i is centred on sample 160 i + 200. Audio of 400 samples or more."""
    spectrum = torch.stft(
        torch.tensor(audio),
        WINDOW_SAMPLES,
        HOP_SAMPLES,
        window=torch.hann_window(WINDOW_SAMPLES),
        center=False,
        return_complex=True,
    )
    return spectrum.abs().square().T @ _mel_filters()


@cache
def _mel_filters() -> Float[Tensor, "bin mel"]:
    """Triangles of unit area on Slaney's scale, from 0 Hz to 8 kHz."""
    highest = LOG_START_HZ / LINEAR_HZ_PER_MEL + np.log(AUDIO_RATE_HZ / 2 / LOG_START_HZ) / LOG_STEP
    mels = np.linspace(0, highest, MELS + 2)
    above = np.maximum(mels - LOG_START_HZ / LINEAR_HZ_PER_MEL, 0)
    corners_hz = np.where(above > 0, LOG_START_HZ * np.exp(LOG_STEP * above), LINEAR_HZ_PER_MEL * mels)
    bins_hz = np.linspace(0, AUDIO_RATE_HZ / 2, WINDOW_SAMPLES // 2 + 1)[:, None]
    left, middle, right = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising, falling = (bins_hz - left) / (middle - left), (right - bins_hz) / (right - middle)
    triangles = np.maximum(np.minimum(rising, falling), 0) * 2 / (right - left)
    return torch.from_numpy(triangles.astype(np.float32))
