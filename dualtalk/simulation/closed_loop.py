"""A trained model moves people: each frame goes on from what was moved, or known, in the frame before.

In a closed loop both people are the model's, and the two voices are all it is given. With the partner given, as
the published benchmark has it, one person is the model's and answers a partner whose motion is known.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dualtalk.choices import Mode
from dualtalk.core import LAYOUTS, Conversation, HeadMotion
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import PretrainedModel
from dualtalk.models.interface import ConversationModel, roll_out, whole_frames

# How often a network that must know the partner's whole motion is asked again with its own answer for it.
SETTLING_PASSES = 3


@torch.inference_mode()
def close_the_loop(
    conversation: Conversation, trained: PretrainedModel, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Give both people the motion that the model makes of their voices, in the model's space.

    In the mode "mean" the most even answer, always the same; in "sample" one of many, drawn from the seed and from
    each person's own voice. Memory grows with the recording by its motion alone.

    Raises
    ------
    InputError
        No such mode, or a model that needs the whole recording.
    """
    audio, noise = _heard(conversation), _drawn(conversation, trained, mode, seed)
    if not trained.model.causal_motion:
        return _with_motion(conversation, trained, _fixed_point(trained.model, audio))
    with threads_for(mode):
        return _with_motion(conversation, trained, roll_out(trained.model, audio, noise=noise))


@torch.inference_mode()
def answer_the_partner(
    conversation: Conversation, trained: PretrainedModel, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Move each person in turn beside the partner's known motion, of which a causal model is told up to the frame
    before; otherwise as `close_the_loop`.

    Raises
    ------
    InputError
        As there, or a person whose motion is not known.
    """
    known = torch.from_numpy(np.stack([_known(person.motion, trained) for person in conversation.participants]))[
        None
    ]
    audio, noise = _heard(conversation), _drawn(conversation, trained, mode, seed)
    if not trained.model.causal_motion:
        return _with_motion(conversation, trained, trained.model(audio, known))
    # Twice the conversation, the second time with the people swapped: person 0 is always the model's.
    both = [torch.cat([one, one.flip(1)]) if one is not None else None for one in (audio, known, noise)]
    with threads_for(mode):
        moved = roll_out(trained.model, both[0], forced=(None, both[1][:, 1]), noise=both[2])
    return _with_motion(conversation, trained, moved[:, 0][None])


@contextmanager
def threads_for(mode: Mode) -> Iterator[None]:
    """One thread for samples: a frame of them is hundreds of small products, where threads gain nothing but wait
    for each other at every one, for long where other programs run."""
    before = torch.get_num_threads()
    if mode == "sample":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _heard(conversation: Conversation) -> Float[Tensor, "1 2 sample"]:
    return torch.from_numpy(np.stack([person.audio for person in conversation.participants]))[None]


def _drawn(
    conversation: Conversation, trained: PretrainedModel, mode: Mode, seed: int
) -> Float[Tensor, "1 2 frame coef"] | None:
    """The noise of a sample: each person's own."""
    if mode not in get_args(Mode):
        raise InputError(f"no mode called {mode!r}; there are {', '.join(get_args(Mode))}")
    if mode == "mean":
        return None
    shape = (conversation.frames, LAYOUTS[trained.layout].width)
    streams = [np.random.default_rng(own) for own in conversation.participant_seeds(seed)]
    return torch.from_numpy(np.stack([rng.standard_normal(shape, np.float32) for rng in streams]))[None]


def _known(motion: HeadMotion | None, trained: PretrainedModel) -> Float[np.ndarray, "frame coef"]:
    if motion is None:
        raise InputError("a person's motion is not known; wanted that of both, or a closed loop")
    if motion.space != trained.space:
        raise InputError(f"the motion is in space {motion.space!r}, the model's in {trained.space!r}")
    return motion.to_layout(LAYOUTS[trained.layout]).coefficients


def _fixed_point(model: ConversationModel, audio: Float[Tensor, "1 2 sample"]) -> Float[Tensor, "1 2 frame coef"]:
    """The answer of a network that reads the partner's motion to its end: to still faces, then to itself."""
    moved = audio.new_zeros(1, 2, whole_frames(audio), model.motion_dim)
    for _ in range(SETTLING_PASSES):
        moved = model(audio, moved)
    return moved


def _with_motion(
    conversation: Conversation, trained: PretrainedModel, moved: Float[Tensor, "1 2 frame coef"]
) -> Conversation:
    layout = LAYOUTS[trained.layout]
    return conversation.with_motion(
        *(HeadMotion(np.ascontiguousarray(motion), trained.space, layout) for motion in moved[0].numpy())
    )
