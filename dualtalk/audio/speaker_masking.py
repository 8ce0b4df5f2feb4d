"""Split a mixed recording into one track per person by masking: each mutes the other's speech, both keep
overlap."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Float32
from pyannote.core import Annotation, Timeline

from dualtalk.io.audio_map import audio_blocks, map_audio
from dualtalk.timebase import sample_at

# Speech starts and ends below a detector's threshold: this much around it is kept where the other is silent.
MARGIN_S = 0.1
# Fades avoid clicks at the edges.
FADE_S = 0.01

# Which samples are kept, from a first sample on, for a number of samples.
KeepMask = Callable[[int, int], Bool[np.ndarray, "sample"]]


def separate(
    mixed: Float32[np.ndarray, "sample"], annotation: Annotation, labels: tuple[str, str] = ("a", "b")
) -> tuple[Float32[np.ndarray, "sample"], Float32[np.ndarray, "sample"]]:
    """One track for each of two labels, as long as the mix: own speech, silence elsewhere."""
    speech = [annotation.label_timeline(label) for label in labels]

    def kept(own: int) -> KeepMask:
        def mask(first: int, samples: int) -> np.ndarray:
            near = _mask(speech[own], first, samples, MARGIN_S)
            return _mask(speech[own], first, samples) | (near & ~_mask(speech[1 - own], first, samples))

        return mask

    a, b = _masked(mixed, (kept(0), kept(1)))
    return a, b


def mute(audio: Float32[np.ndarray, "sample"], spans: Timeline, speech: Timeline) -> Float32[np.ndarray, "sample"]:
    """The track with `spans` and 0.1 s around them silent, except where `speech` is."""

    def kept(first: int, samples: int) -> np.ndarray:
        return ~_mask(spans, first, samples, MARGIN_S) | _mask(speech, first, samples)

    return _masked(audio, (kept,))[0]


def _masked(audio: np.ndarray, masks: tuple[KeepMask, ...]) -> list[np.ndarray]:
    """The track once for each mask, with faded edges."""

    def blocks() -> Iterator[np.ndarray]:
        width = sample_at(FADE_S)
        before = width // 2
        for first, (block,) in audio_blocks(audio):
            gains = [_moving_mean(mask(first - before, len(block) + width), width) for mask in masks]
            yield np.stack([block * gain for gain in gains], axis=1)

    return map_audio(blocks(), len(masks))


def _mask(speech: Timeline, first: int, samples: int, margin_s: float = 0.0) -> Bool[np.ndarray, "sample"]:
    mask = np.zeros(samples, bool)
    for span in speech:
        start, end = sample_at(span.start - margin_s) - first, sample_at(span.end + margin_s) - first
        if end > 0 and start < samples:
            mask[max(start, 0) : end] = True
    return mask


def _moving_mean(mask: Bool[np.ndarray, "sample"], width: int) -> Float32[np.ndarray, "shorter"]:
    """Mean of the mask over each `width` samples: a gain with linear fades, `width` shorter than the mask."""
    total = np.concatenate([[0.0], np.cumsum(mask, dtype=np.float64)])
    return ((total[width:] - total[:-width])[: len(mask) - width] / width).astype(np.float32)
