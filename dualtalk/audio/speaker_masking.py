"""Split a mixed recording into one track per person by masking: each mutes the other's speech, both keep
overlap."""

import numpy as np
from jaxtyping import Bool, Float32
from pyannote.core import Annotation, Timeline

from dualtalk.timebase import sample_at

# Speech starts and ends below a detector's threshold: this much around it is kept where the other is silent.
MARGIN_S = 0.1
# Fades avoid clicks at the edges.
FADE_S = 0.01


def separate(
    mixed: Float32[np.ndarray, "sample"], annotation: Annotation, labels: tuple[str, str] = ("a", "b")
) -> tuple[Float32[np.ndarray, "sample"], Float32[np.ndarray, "sample"]]:
    """One track for each of two labels, as long as the mix: own speech, silence elsewhere."""
    speech = [_mask(annotation.label_timeline(label), len(mixed)) for label in labels]
    near = [_mask(annotation.label_timeline(label), len(mixed), MARGIN_S) for label in labels]
    kept = [speech[own] | (near[own] & ~speech[1 - own]) for own in (0, 1)]
    return mixed * _faded(kept[0]), mixed * _faded(kept[1])


def _mask(speech: Timeline, samples: int, margin_s: float = 0.0) -> Bool[np.ndarray, "sample"]:
    mask = np.zeros(samples, bool)
    for span in speech:
        mask[max(sample_at(span.start - margin_s), 0) : max(sample_at(span.end + margin_s), 0)] = True
    return mask


def _faded(mask: Bool[np.ndarray, "sample"]) -> Float32[np.ndarray, "sample"]:
    """The mask as a gain with linear fades."""
    width = sample_at(FADE_S)
    padded = np.pad(mask.astype(np.float32), (width // 2, width - width // 2), mode="edge")
    total = np.concatenate([[0.0], np.cumsum(padded, dtype=np.float64)])
    return ((total[width:] - total[:-width])[: len(mask)] / width).astype(np.float32)
