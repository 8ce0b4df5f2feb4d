"""Speaker embedding: resemblyzer's d-vector network with bundled weights, as a pyannote.audio model.

Wan et al. 2018, "Generalized end-to-end loss for speaker verification": a mel spectrogram passes through three
LSTM layers; the last state is projected and normalized to unit length. Weights and sizes are those of
https://github.com/resemble-ai/Resemblyzer (Apache-2.0).
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pyannote.core import SlidingWindow
from safetensors.torch import load_file
from torch import Tensor, nn

from dualtalk.audio.third_party import MelSpectrogram, Model, Problem, Resolution, Specifications
from dualtalk.timebase import AUDIO_RATE_HZ

# Resemblyzer's hparams.py: windows of 25 ms every 10 ms, 40 mels in librosa's default (Slaney's) scale.
MELS, WINDOW_SAMPLES, HOP_SAMPLES = 40, 400, 160
HIDDEN = 256
# Quieter training recordings were amplified to this level.
TARGET_LEVEL_DB = -30.0


class SpeakerEmbedding(Model):
    """Maps audio windows to unit vectors that are similar for the same speaker.

    Parameters
    ----------
    duration_s : float
        Length of the input windows. The network was trained on 1.6 s.
    """

    def __init__(self, duration_s: float = 1.6) -> None:
        super().__init__(sample_rate=AUDIO_RATE_HZ)
        self.duration_s = duration_s
        self.specifications = Specifications(
            problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=duration_s
        )
        self.mel = MelSpectrogram(
            AUDIO_RATE_HZ,
            n_fft=WINDOW_SAMPLES,
            hop_length=HOP_SAMPLES,
            n_mels=MELS,
            norm="slaney",
            mel_scale="slaney",
            pad_mode="constant",
        )
        self.lstm = nn.LSTM(MELS, HIDDEN, num_layers=3, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)
        weights = load_file(Path(__file__).with_suffix(".safetensors"))
        self.load_state_dict({name: values.float() for name, values in weights.items()}, strict=False)

    @property
    def dimension(self) -> int:
        return HIDDEN

    @property
    def receptive_field(self) -> SlidingWindow:
        """The whole window, since it has one vector."""
        return SlidingWindow(duration=self.duration_s, step=self.duration_s)

    def forward(self, waveforms: Float[Tensor, "batch 1 sample"], **_: Any) -> Float[Tensor, "batch coef"]:
        """Unit vectors of windows of 16 kHz audio."""
        _, (last, _) = self.lstm(self.mel(waveforms[:, 0]).mT)
        return nn.functional.normalize(self.linear(last[-1]).relu(), dim=1)


def at_training_level(audio: Float[Tensor, "sample"], speech: Float[Tensor, "_"]) -> Float[Tensor, "sample"]:
    """Amplify `audio` so that its `speech` part has the level of the training data, if it is quieter."""
    level_db = 10 * torch.log10(speech.square().mean() + 1e-12)
    return audio * 10 ** (max(TARGET_LEVEL_DB - float(level_db), 0) / 20)
