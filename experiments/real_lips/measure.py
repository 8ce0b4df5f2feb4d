"""Compare the lips of models with those of a real person on the same sound.

    python experiments/real_lips/measure.py stores/real_lips [--model rules --model default ...] [--all]

Reads the folders that `facegood.py` wrote; the two held-out clips, or all of them. Lip gaps are those of the
open head with the mean face, so that a model's and the person's are alike. Samples are drawn with seed 0. A
positive lag means that the model is late.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from facegood import CLIPS, HELD_OUT
from jaxtyping import Bool, Float
from scipy.ndimage import maximum_filter1d

from dualtalk.core import IDENTITY_COEFFICIENTS, Conversation, HeadMotion
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.head.blendshapes import UNIT_SLOT
from dualtalk.metrics.lips import silent_closure
from dualtalk.simulation import simulate

# Frames this near to speech show how the mouth opens and closes at its edges.
EDGE_FRAMES = 7
FARTHEST_FRAMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--mode", default="sample", choices=("sample", "mean"))
    parser.add_argument("--all", action="store_true", help="also the clips that the animator was tuned on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for clip in CLIPS if arguments.all else HELD_OUT:
        real = Conversation.load(arguments.folder / clip)
        rows[clip, "person"] = figures(real, real)
        for model in arguments.model or ["rules"]:
            rows[clip, model] = figures(simulate(real, model=model, mode=arguments.mode, seed=0), real)
    table = pd.DataFrame(rows).T
    print(table.round(3).to_string())
    print(table.groupby(level=1, sort=False).mean().round(3).to_string())


def figures(made: Conversation, real: Conversation) -> dict[str, float]:
    """Figures of person A of a conversation beside the real person's."""
    speaking = real.a.speaking(real.frames)
    near = maximum_filter1d(speaking, 2 * EDGE_FRAMES + 1)
    own, person = lip_gap_m(made.a.required_motion), lip_gap_m(real.a.required_motion)
    by_lag = {
        lag: correlation(np.roll(own, -lag), person, speaking)
        for lag in range(-FARTHEST_FRAMES, FARTHEST_FRAMES + 1)
    }
    return {
        "r, speech": by_lag[0],
        "r, near speech": correlation(own, person, near),
        "lag, frames": max(by_lag, key=by_lag.__getitem__),
        "r, rounding": correlation(rounding(made), rounding(real), near),
        "closed in speech": float((own[speaking] <= LIPS_CLOSED_M).mean()),
        "closed in silence": silent_closure(own, real.a.speech),
        **{f"gap mm, {q} %": 1000 * float(np.percentile(own[speaking], q)) for q in (25, 50, 75, 95)},
        "speed, mm/s": 25e3 * float(np.abs(np.diff(own))[speaking[1:]].mean()),
    }


def lip_gap_m(motion: HeadMotion) -> Float[np.ndarray, "frame"]:
    """Lip gap with the mean face."""
    return load_head("open").lip_gap(replace(motion, identity=np.zeros(IDENTITY_COEFFICIENTS, np.float32)))


def rounding(conversation: Conversation) -> Float[np.ndarray, "frame"]:
    """Sum of pucker and funnel of person A."""
    expression = conversation.a.required_motion.expression
    return expression[:, UNIT_SLOT["mouthPucker"]] + expression[:, UNIT_SLOT["mouthFunnel"]]


def correlation(
    one: Float[np.ndarray, "frame"], two: Float[np.ndarray, "frame"], frames: Bool[np.ndarray, "frame"]
) -> float:
    """Pearson's r over the chosen frames; NaN if one of them is constant."""
    if not (np.ptp(one[frames]) and np.ptp(two[frames])):
        return float("nan")
    return float(np.corrcoef(one[frames], two[frames])[0, 1])


if __name__ == "__main__":
    main()
