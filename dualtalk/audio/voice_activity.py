"""Voice activity detection: silero-vad's 16 kHz network with bundled weights, and hysteresis over its output.

The network (https://github.com/snakers4/silero-vad, MIT) takes chunks of 32 ms, each with the 4 ms before it. It
consists of a learned spectrum of four frames, four convolutions that reduce them to one vector, an LSTM over these
vectors, and one probability of speech. Only the LSTM is sequential, so everything before it runs in large batches.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from pyannote.core import Segment, Timeline
from safetensors.torch import load_file
from torch import Tensor, nn

from dualtalk.geometry.masks import runs
from dualtalk.io.audio_map import audio_blocks
from dualtalk.timebase import AUDIO_RATE_HZ

CHUNK_SAMPLES = 512
CONTEXT_SAMPLES = 64
CHUNK_S = CHUNK_SAMPLES / AUDIO_RATE_HZ
# Chunks per batch, about half a minute of audio: bounds memory at a small overhead.
CHUNKS_AT_ONCE = 1024
LstmState = tuple[Tensor, Tensor]

# silero-vad's defaults (get_speech_timestamps): speech starts above the first threshold and ends below the second;
# silences shorter than 0.1 s do not end it.
ONSET_PROBABILITY = 0.5
OFFSET_PROBABILITY = 0.35
SHORTEST_SILENCE_S = 0.1
# The network's output is about 45 ms late. With these corrections, on speech with known timing, segments start 24
# ms before the first sound and end 49 ms after the last one; a 30 s recording has the fewest misclassified
# seconds.
EARLIER_START_S = 0.06
EARLIER_END_S = 0.03
# silero-vad's default of 0.25 s would drop backchannels: "mm" and "yeah" are often shorter.
SHORTEST_SPEECH_S = 0.1


class VoiceActivityNet(nn.Module):
    """Probability of speech for each chunk of 512 samples."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = nn.Conv1d(1, 258, kernel_size=256, stride=128, bias=False)
        self.encoder = nn.Sequential(
            nn.Conv1d(129, 128, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(128, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(64, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(64, 128, 3, padding=1),
            nn.ReLU(),
        )
        self.memory = nn.LSTM(128, 128, batch_first=True)
        self.head = nn.Conv1d(128, 1, 1)

    def forward(self, audio: Float[Tensor, "sample"]) -> Float[Tensor, "chunk"]:
        return self.continue_from(None, nn.functional.pad(audio, (CONTEXT_SAMPLES, 0)))[0]

    def continue_from(
        self, state: LstmState | None, audio: Float[Tensor, "sample"]
    ) -> tuple[Float[Tensor, "chunk"], LstmState]:
        """Probabilities of the next chunks, and the state after them. `audio` begins with 64 samples before
        them."""
        padding = (0, -(len(audio) - CONTEXT_SAMPLES) % CHUNK_SAMPLES)
        chunks = nn.functional.pad(audio, padding).unfold(0, CONTEXT_SAMPLES + CHUNK_SAMPLES, CHUNK_SAMPLES)
        hidden, state = self.memory(self.encode(chunks)[None], state)
        return self.head(hidden.mT.relu())[0, 0].sigmoid(), state

    def encode(self, chunks: Float[Tensor, "chunk sample"]) -> Float[Tensor, "chunk 128"]:
        padded = nn.functional.pad(chunks[:, None], (0, CONTEXT_SAMPLES), mode="reflect")
        real, imaginary = self.spectrum(padded).chunk(2, dim=1)
        return self.encoder((real**2 + imaginary**2).sqrt())[..., 0]


@cache
def _network() -> VoiceActivityNet:
    network = VoiceActivityNet()
    weights = load_file(Path(__file__).with_suffix(".safetensors"))
    network.load_state_dict({name: values.float() for name, values in weights.items()})
    return network.eval()


def speech_probability(audio: Float32[np.ndarray, "sample"]) -> Float32[np.ndarray, "chunk"]:
    """Probability of speech for each 32 ms of 16 kHz audio; the last chunk is padded with silence."""
    network, state, probabilities = _network(), None, [np.zeros(0, np.float32)]
    before = np.zeros(CONTEXT_SAMPLES, np.float32)
    with torch.inference_mode():
        for _, (block,) in audio_blocks(audio, samples=CHUNKS_AT_ONCE * CHUNK_SAMPLES):
            some, state = network.continue_from(state, torch.from_numpy(np.concatenate([before, block])))
            probabilities.append(some.numpy())
            before = np.array(block[-CONTEXT_SAMPLES:])
    return np.concatenate(probabilities)


def detect_speech(audio: Float32[np.ndarray, "sample"]) -> Timeline:
    """Detect speech in 16 kHz audio.

    Returns
    -------
    Timeline
        Disjoint segments in seconds within the audio, accurate to about 30 ms. Segments less than 0.1 s apart are
        merged, and segments under 0.1 s are dropped.
    """
    duration_s = len(audio) / AUDIO_RATE_HZ
    spans = Timeline(
        Segment(first * CHUNK_S, min(last * CHUNK_S, duration_s))
        for first, last in spans_with_hysteresis(speech_probability(audio), ONSET_PROBABILITY, OFFSET_PROBABILITY)
    )
    kept = [span for span in spans.support(SHORTEST_SILENCE_S) if span.duration >= SHORTEST_SPEECH_S]
    shifted = [Segment(max(span.start - EARLIER_START_S, 0), span.end - EARLIER_END_S) for span in kept]
    return Timeline(shifted).support()


def spans_with_hysteresis(values: Float[np.ndarray, "time"], onset: float, offset: float) -> list[tuple[int, int]]:
    """Find spans that start at or above `onset` and last until the values fall below `offset`.

    Returns
    -------
    list of (int, int)
        First index, and index after the last.
    """
    state = np.where(values >= onset, 1, np.where(values < offset, 0, -1))
    decided = np.flatnonzero(state >= 0)
    if not len(decided):
        return []
    latest = np.searchsorted(decided, np.arange(len(values)), side="right") - 1
    on = (latest >= 0) & (state[decided[latest]] == 1)
    return runs(on)
