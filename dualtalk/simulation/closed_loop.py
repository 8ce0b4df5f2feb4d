"""Autoregressive inference on a conversation, by the two evaluation protocols.

In the closed loop, both people are predicted and both voices are the only input. With the partner given, as in the
published benchmark, one person is predicted and the partner's true motion up to the frame before is an input.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dualtalk.choices import Mode
from dualtalk.core import LAYOUTS, Conversation, HeadMotion, MotionLayout, Participant, Space
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import PretrainedModel
from dualtalk.models.interface import ConversationModel, roll_out, whole_frames

# Fixed-point iterations of a network that takes the partner's whole motion: its output becomes its input.
FIXED_POINT_PASSES = 3


@torch.inference_mode()
def predict_closed_loop(
    conversation: Conversation, trained: PretrainedModel, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Predict the motion of both people from both voices, in the model's space.

    Memory grows with the length of the recording only by its audio and motion.

    Parameters
    ----------
    conversation : Conversation
        Its motion is not used.
    trained : PretrainedModel
    mode : "mean" or "sample"
        Deterministic prediction, or a stochastic sample of the seed and each person's audio.
    seed : int

    Raises
    ------
    InputError
        The mode is unknown, or the model cannot be streamed.
    """
    audio, noise = _audio(conversation), _sampling_noise(conversation, trained, mode, seed)
    if not trained.model.causal_motion:
        return _with_motion(conversation, trained, _fixed_point(trained.model, audio))
    with threads_for(mode):
        return _with_motion(conversation, trained, roll_out(trained.model, audio, noise=noise))


@torch.inference_mode()
def predict_partner_given(
    conversation: Conversation, trained: PretrainedModel, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Predict the motion of each person, given the partner's true motion.

    A causal model gets the partner's motion up to the frame before. Parameters are those of `predict_closed_loop`;
    `conversation` has the motion of both people.

    Raises
    ------
    InputError
        As for `predict_closed_loop`; or a person has no motion, or motion of another space than the model's.
    """
    true_motion = torch.from_numpy(
        np.stack([_true_motion(person, trained) for person in conversation.participants])
    )[None]
    audio, noise = _audio(conversation), _sampling_noise(conversation, trained, mode, seed)
    if not trained.model.causal_motion:
        return _with_motion(conversation, trained, trained.model(audio, true_motion))
    # A batch of two: the conversation, and the conversation with swapped people. Person 0 is the predicted one.
    partner_motion = _and_swapped(true_motion)[:, 1]
    with threads_for(mode):
        predicted = roll_out(
            trained.model,
            _and_swapped(audio),
            forced=(None, partner_motion),
            noise=None if noise is None else _and_swapped(noise),
        )
    return _with_motion(conversation, trained, predicted[:, 0][None])


def layout_of(trained: PretrainedModel) -> MotionLayout:
    """The motion layout of a model.

    Raises
    ------
    InputError
        The layout that the model's file names is unknown, or does not have the model's `motion_dim` coefficients.
    """
    layout = LAYOUTS.get(trained.layout)
    if layout is None:
        raise InputError(f"unknown motion layout {trained.layout!r} of the model; wanted {' or '.join(LAYOUTS)}")
    if layout.width != trained.model.motion_dim:
        raise InputError(
            f"the model predicts {trained.model.motion_dim} coefficients; its layout {layout.name} has "
            f"{layout.width}; was it saved with another layout?"
        )
    return layout


@contextmanager
def threads_for(mode: Mode) -> Iterator[None]:
    """Use one thread for sampling.

    A sampled frame is hundreds of small matrix products. More threads do not speed these up, and they wait for
    each other at every product, which takes long on a machine that is busy.
    """
    before = torch.get_num_threads()
    if mode == "sample":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _audio(conversation: Conversation) -> Float[Tensor, "1 2 sample"]:
    return torch.from_numpy(np.stack([person.audio for person in conversation.participants]))[None]


def _and_swapped(pair: Float[Tensor, "1 2 *rest"]) -> Float[Tensor, "2 2 *rest"]:
    return torch.cat([pair, pair.flip(1)])


def _sampling_noise(
    conversation: Conversation, trained: PretrainedModel, mode: Mode, seed: int
) -> Float[Tensor, "1 2 frame coef"] | None:
    """Standard normal noise from each person's own seed; None for the mean."""
    if mode not in get_args(Mode):
        raise InputError(f"unknown mode {mode!r}; wanted one of {', '.join(get_args(Mode))}")
    shape = (conversation.frames, layout_of(trained).width)
    if mode == "mean":
        return None
    streams = [np.random.default_rng(own) for own in conversation.participant_seeds(seed)]
    return torch.from_numpy(np.stack([rng.standard_normal(shape, np.float32) for rng in streams]))[None]


def _true_motion(person: Participant, trained: PretrainedModel) -> Float[np.ndarray, "frame coef"]:
    motion = person.motion
    if motion is None:
        raise InputError("a person has no motion; the partner-given protocol needs that of both")
    if motion.space != trained.space:
        raise InputError(f"the motion is in space {motion.space!r}, the model's in {trained.space!r}")
    return motion.to_layout(layout_of(trained)).coefficients


def _fixed_point(model: ConversationModel, audio: Float[Tensor, "1 2 sample"]) -> Float[Tensor, "1 2 frame coef"]:
    """Iterate a network that takes the partner's whole motion, from still faces, on its own output."""
    motion = audio.new_zeros(1, 2, whole_frames(audio), model.motion_dim)
    for _ in range(FIXED_POINT_PASSES):
        motion = model(audio, motion)
    return motion


def _with_motion(
    conversation: Conversation, trained: PretrainedModel, predicted: Float[Tensor, "1 2 frame coef"]
) -> Conversation:
    layout = layout_of(trained)
    a, b = (
        HeadMotion(np.ascontiguousarray(coefficients), cast(Space, trained.space), layout)
        for coefficients in predicted[0].numpy()
    )
    return conversation.with_motion(a, b)
