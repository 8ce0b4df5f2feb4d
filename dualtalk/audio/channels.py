"""What the channels of a recording are: one person each, one microphone twice, or one that is dead.

All measures are sums over frames, so that a recording of any length is compared block by block.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from dualtalk.io.audio_map import audio_blocks
from dualtalk.timebase import SAMPLES_PER_FRAME

# Correlation of two channels, of either sign, from which they carry one microphone. Two voices that leak into each
# other's channel at -6 dB correlate at 0.8.
ONE_MICROPHONE_CORRELATION = 0.97
# A channel whose loudest frame is below this level, and this far below the loudest frame of the other, is dead.
DEAD_DB, DEAD_BELOW_OTHER_DB = -60.0, 30.0
SILENCE = 1e-12

PairKind = Literal["separate", "same", "first dead", "second dead"]


@dataclass(frozen=True)
class ChannelPair:
    """How two channels relate.

    Attributes
    ----------
    kind : str
        "separate": each may carry one person. "same": both carry the same microphone, perhaps scaled or with
        reversed polarity. "first dead", "second dead": one is silent while the other is not.
    levels_db : (float, float)
        Level of the loudest frame of each, in dB of full scale.
    """

    kind: PairKind
    levels_db: tuple[float, float]


def compare_channels(one: Float32[np.ndarray, "sample"], two: Float32[np.ndarray, "sample"]) -> ChannelPair:
    """Compare two channels of one length."""
    products = np.zeros(3)
    loudest = np.full(2, SILENCE)
    for _, (x, y) in audio_blocks(one, two):
        x, y = (channel.astype(np.float64) for channel in (x, y))
        products += [x @ x, y @ y, x @ y]
        loudest = np.maximum(loudest, [_loudest_frame(x), _loudest_frame(y)])
    first_db, second_db = (10 * np.log10(loudest)).tolist()
    kind: PairKind = "separate"
    if first_db < DEAD_DB and second_db - first_db > DEAD_BELOW_OTHER_DB:
        kind = "first dead"
    elif second_db < DEAD_DB and first_db - second_db > DEAD_BELOW_OTHER_DB:
        kind = "second dead"
    elif abs(products[2]) >= ONE_MICROPHONE_CORRELATION * np.sqrt(products[0] * products[1]):
        # Two silent channels are the same too.
        kind = "same"
    return ChannelPair(kind, (first_db, second_db))


def _loudest_frame(channel: np.ndarray) -> float:
    """Mean square of the loudest frame."""
    whole = channel[: len(channel) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].reshape(-1, SAMPLES_PER_FRAME)
    return float(np.square(whole).mean(axis=1).max()) if len(whole) else float(np.square(channel).mean())
