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
from dualtalk.io.audio_map import release
from dualtalk.models.checkpoint import PretrainedModel
from dualtalk.models.interface import ENCODER_CHUNK_FRAMES, ConversationModel, roll_out, whole_frames
from dualtalk.timebase import SAMPLES_PER_FRAME

# Fixed-point iterations of a network that takes the partner's whole motion: its output becomes its input.
FIXED_POINT_PASSES = 3


@torch.inference_mode()
def predict_closed_loop(
    conversation: Conversation, trained: PretrainedModel, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Predict the motion of both people from both voices, in the model's space.

    Memory grows with the length of the recording only by its motion: audio is read block by block, unless the
    model encodes whole recordings.

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
    model = trained.model
    layout_of(trained)
    if model.causal_motion and model.lookahead_frames is not None:
        streams = _noise_streams(conversation, mode, seed)
        with threads_for(mode):
            return _with_motion(conversation, trained, _roll_out_blocks(conversation, model, streams))
    audio, noise = _audio(conversation), _sampling_noise(conversation, trained, mode, seed)
    if not model.causal_motion:
        return _with_motion(conversation, trained, _fixed_point(model, audio).numpy()[0])
    with threads_for(mode):
        return _with_motion(conversation, trained, roll_out(model, audio, noise=noise).numpy()[0])


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
        return _with_motion(conversation, trained, trained.model(audio, true_motion).numpy()[0])
    # A batch of two: the conversation, and the conversation with swapped people. Person 0 is the predicted one.
    partner_motion = _and_swapped(true_motion)[:, 1]
    with threads_for(mode):
        predicted = roll_out(
            trained.model,
            _and_swapped(audio),
            forced=(None, partner_motion),
            noise=None if noise is None else _and_swapped(noise),
        )
    return _with_motion(conversation, trained, predicted[:, 0].numpy())


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


def _roll_out_blocks(
    conversation: Conversation, model: ConversationModel, streams: list[np.random.Generator] | None
) -> Float[np.ndarray, "2 frame coef"]:
    """`roll_out` of a closed loop that reads the audio and draws the noise as it goes; equal to it, to the
    byte."""
    motion = np.zeros((2, conversation.frames, model.motion_dim), np.float32)
    ahead = (model.lookahead_frames or 0) * SAMPLES_PER_FRAME
    state = model.start(_audio_span(conversation, 0, ahead))
    previous = torch.zeros(1, 2, model.motion_dim)
    for first in range(0, conversation.frames, ENCODER_CHUNK_FRAMES):
        end = min(first + ENCODER_CHUNK_FRAMES, conversation.frames)
        span = (ahead + first * SAMPLES_PER_FRAME, ahead + end * SAMPLES_PER_FRAME)
        features, state = model.encode_audio(state, _audio_span(conversation, *span))
        noise = None if streams is None else _draw(streams, (end - first, model.motion_dim))
        predicted, state = model.decode_chunk(state, features, previous, noise=noise)
        previous = predicted[:, :, -1]
        motion[:, first:end] = (predicted if noise is None else model.postprocess(predicted))[0].numpy()
    return motion


def _audio_span(conversation: Conversation, first: int, end: int) -> Float[Tensor, "1 2 sample"]:
    """Samples from `first` to `end` of both voices; silence past the end."""
    span = np.zeros((2, end - first), np.float32)
    for row, person in zip(span, conversation.participants, strict=True):
        part = person.audio[first:end]
        row[: len(part)] = part
        release(person.audio)
    return torch.from_numpy(span)[None]


def _noise_streams(conversation: Conversation, mode: Mode, seed: int) -> list[np.random.Generator] | None:
    """A random stream from each person's own seed; None for the mean."""
    if mode not in get_args(Mode):
        raise InputError(f"unknown mode {mode!r}; wanted one of {', '.join(get_args(Mode))}")
    if mode == "mean":
        return None
    return [np.random.default_rng(own) for own in conversation.participant_seeds(seed)]


def _draw(streams: list[np.random.Generator], shape: tuple[int, int]) -> Float[Tensor, "1 2 frame coef"]:
    return torch.from_numpy(np.stack([rng.standard_normal(shape, np.float32) for rng in streams]))[None]


def _sampling_noise(
    conversation: Conversation, trained: PretrainedModel, mode: Mode, seed: int
) -> Float[Tensor, "1 2 frame coef"] | None:
    """Standard normal noise for a whole conversation; None for the mean."""
    streams = _noise_streams(conversation, mode, seed)
    return None if streams is None else _draw(streams, (conversation.frames, layout_of(trained).width))


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
    conversation: Conversation, trained: PretrainedModel, predicted: Float[np.ndarray, "2 frame coef"]
) -> Conversation:
    layout = layout_of(trained)
    a, b = (
        HeadMotion(np.ascontiguousarray(coefficients), cast(Space, trained.space), layout)
        for coefficients in predicted
    )
    return conversation.with_motion(a, b)
