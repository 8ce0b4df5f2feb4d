"""Calibration after training: a model's closed-loop samples compared with the motion of the data.

An error of the sampler in one frame is small, and a closed loop of hundreds of frames accumulates it, so it can
only be measured on the model's own samples. See `ConversationModel.calibrate`.
"""

import numpy as np
import torch

from dualtalk.data.windows import Window
from dualtalk.models.interface import ConversationModel

# Number of conversations, and their length: 30 s.
CONVERSATIONS, FRAMES = 24, 750


def calibrate_model(model: ConversationModel, windows: list[Window], seed: int, device: torch.device) -> None:
    """Call the model's `calibrate` with windows of equal length; noise is drawn on the CPU from the seed."""
    audio, motion, valid = (
        torch.stack([getattr(window, name) for window in windows]) for name in ("audio", "motion", "valid")
    )
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(motion.shape, np.float32))
    model.calibrate(*(tensor.to(device) for tensor in (audio, motion, valid, noise)))
