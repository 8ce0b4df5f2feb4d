"""A trained model moves both people: each frame goes on from what the model itself gave for the frame before."""

from typing import Literal, get_args

import numpy as np
import torch

from dualtalk.conversation import LAYOUTS, Conversation, HeadMotion
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import TrainedModel
from dualtalk.models.interface import roll_out

Mode = Literal["mean", "sample"]


@torch.inference_mode()
def close_the_loop(
    conversation: Conversation, trained: TrainedModel, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Give both people the motion that the model makes of their voices, in the model's space.

    In the mode "mean" the most even answer, always the same; in "sample" one of many, drawn from the seed and from
    each person's own voice. Memory grows with the recording by its motion alone.

    Raises
    ------
    InputError
        No such mode, or a model that needs the whole recording.
    """
    if mode not in get_args(Mode):
        raise InputError(f"no mode called {mode!r}; there are {', '.join(get_args(Mode))}")
    layout = LAYOUTS[trained.layout]
    audio = torch.from_numpy(np.stack([person.audio for person in conversation.people]))[None]
    noise = None
    if mode == "sample":
        shape = (conversation.frames, layout.width)
        streams = [np.random.default_rng(own) for own in conversation.personal_seeds(seed)]
        noise = torch.from_numpy(np.stack([rng.standard_normal(shape, np.float32) for rng in streams]))[None]
    moved = roll_out(trained.model, audio, noise=noise)[0].numpy()
    motions = [HeadMotion(np.ascontiguousarray(motion), trained.space, layout) for motion in moved]
    return conversation.with_motion(*motions)
