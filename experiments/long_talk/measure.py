"""Measure whether a closed loop of ten minutes drifts, freezes or repeats itself.

    python experiments/long_talk/measure.py stores/synthetic [--model default] [--minutes 10] [--clips 4]

Test dialogues of one minute are repeated ten times, so that every minute has the same audio, and animated in one
closed loop of samples: differences between the first and the last minute come from the model. Deviations are
standard deviations of a coefficient over the frames of a minute, pooled over people.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from dualtalk.core import LAYOUTS
from dualtalk.models.checkpoint import load_model
from dualtalk.models.interface import roll_out
from dualtalk.store import open_store
from dualtalk.timebase import MOTION_FPS

# A face is frozen if no coefficient (units, radians) changes by more than this for two seconds.
FROZEN, FROZEN_FRAMES = 1e-3, 2 * MOTION_FPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--clips", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained, store = load_model(arguments.model), open_store(arguments.store)
    rows = store.manifest
    clips = rows.loc[(rows["split"] == "test") & (rows["frames"] == 60 * MOTION_FPS), "clip"][: arguments.clips]
    audio = torch.from_numpy(
        np.stack([np.stack([person.audio for person in store.conversation(clip).participants]) for clip in clips])
    ).repeat(1, 1, arguments.minutes)
    layout = LAYOUTS[trained.layout]
    shape = (len(clips), 2, arguments.minutes * 60 * MOTION_FPS, layout.width)
    with torch.inference_mode():
        one, other = (
            roll_out(trained.model, audio, noise=torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
            for seed in (0, 1)
        )
    report(one.numpy(), other.numpy(), arguments.minutes)


def report(one: np.ndarray, other: np.ndarray, minutes: int) -> None:
    by_minute = one.reshape(*one.shape[:2], minutes, -1, one.shape[-1])
    deviation = by_minute.std(axis=3).mean(axis=(0, 1))
    moving = deviation[0] > FROZEN
    change = deviation[-1, moving] / deviation[0, moving] - 1
    print(f"moving coefficients: {moving.sum()}; relative change of the deviation, last minute to first:")
    print(f"  median {np.median(change):+.2f}, from {change.min():+.2f} to {change.max():+.2f}; "
          f"{np.mean(np.abs(change) <= 0.2):.0%} within 20 %")  # fmt: skip
    away = np.abs(by_minute.mean(axis=3)[:, :, -1] - by_minute.mean(axis=3)[:, :, 0]).mean(axis=(0, 1))[moving]
    print(
        f"mean pose, last minute minus first, in deviations: median {np.median(away / deviation[0, moving]):.2f}"
    )
    print(f"frozen for two seconds: {frozen_share(one):.2%} of frames")
    print(f"largest value: {np.abs(one).max():.2f}")
    apart = np.abs(one - other).mean(axis=(0, 1, 2))[moving] / deviation[0, moving]
    print(f"distance between two seeds, in deviations: median {np.median(apart):.2f}")


def frozen_share(motion: np.ndarray) -> float:
    """Share of frames from which two seconds are frozen."""
    windows = np.lib.stride_tricks.sliding_window_view(motion, FROZEN_FRAMES, axis=2)
    return float((np.ptp(windows, axis=-1).max(axis=-1) < FROZEN).mean())


if __name__ == "__main__":
    main()
