"""After training: how a model's samples are distributed in a closed loop, beside how people moved in the data.

What a flow gets wrong in one frame is hardly anything, and a loop of hundreds of frames adds it up: only its own
samples tell how far. See `Duet.shown`.
"""

import numpy as np
import torch

from dualtalk.data.windows import Window
from dualtalk.models.duet import Duet
from dualtalk.models.interface import roll_out

# Half a minute of each of so many conversations; its first two seconds come from the still face before them.
CONVERSATIONS, FRAMES, SETTLING_FRAMES = 24, 750, 50


@torch.inference_mode()
def match_samples(model: Duet, windows: list[Window], seed: int) -> bool:
    """Move people by their voices alone, and let the model match what comes to what was; False, and nothing done,
    where all windows are too short to tell."""
    audio, motion, valid = (torch.stack([getattr(one, name) for one in windows]) for name in Window._fields[:3])
    valid[:, :, :SETTLING_FRAMES] = False
    if not valid.any():
        return False
    device = model.told.device
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(motion.shape, np.float32))
    sampled = roll_out(model, audio.to(device), noise=noise.to(device), as_shown=False)
    model.match(sampled[valid.to(device)], motion[valid].to(device))
    return True
