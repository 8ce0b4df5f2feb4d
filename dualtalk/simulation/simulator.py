"""`simulate`: the audio of two people in, a conversation with the motion of both out."""

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from dualtalk.animator import animate
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.choices import Mode
from dualtalk.core import Conversation, HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Head, load_head, retarget
from dualtalk.head.identity import draw_identity
from dualtalk.io.given_files import check_model
from dualtalk.models.checkpoint import DEFAULT, PretrainedModel, load_model
from dualtalk.simulation.closed_loop import predict_closed_loop

Source = Conversation | str | os.PathLike | Sequence[str | os.PathLike]
RULES: Literal["rules"] = "rules"
# Identities have a random stream of their own beside that of motion.
IDENTITY_STREAM = 1


def simulate(
    source: Source, *, head: str | Head = "open", model: str = DEFAULT, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Simulate the head motion of both people of a conversation.

    Parameters
    ----------
    source : Conversation, path, or two paths
        A mono recording (it is diarized), a stereo recording (one person per channel), or one file per person.
    head : str or Head
        "open", the path of a FLAME file, or a head that is already loaded. The motion is in this head's space.
    model : str
        "default", the bundled pretrained model; "rules", the rule-based animator; the path of a model file that
        `dualtalk train` wrote; or of a released checkpoint (`.pth`) of DualTalk (Peng et al. 2025), which needs a
        FLAME head and does not move the eyes.
    mode : "mean" or "sample"
        A trained model's deterministic prediction, or a stochastic sample. The animator has no modes.
    seed : int
        The same source and seed give the same motion, to the byte. Each person's motion and identity depend on the
        seed and on that person's audio, so that swapping the people swaps both.

    Returns
    -------
    Conversation
        The same audio and speech, with motion at 25 frames a second.

    Raises
    ------
    InputError
        A file cannot be read, there is no such model or mode, or the model's motion does not fit the head.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed is {seed!r}; wanted a whole number from 0")
    target = load_head(head) if isinstance(head, str | os.PathLike) else head
    if not hasattr(target, "vertices"):
        raise InputError(f"head is {head!r}; wanted open, the path of a FLAME file, or a loaded head")
    loaded = load_model_or_rules(model, target)
    conversation = source if isinstance(source, Conversation) else _read(source)
    return predict_motion(conversation, target, loaded, mode, seed)


def predict_motion(
    conversation: Conversation,
    head: Head,
    model: PretrainedModel | Literal["rules"],
    mode: Mode = "sample",
    seed: int = 0,
) -> Conversation:
    """Simulate with a head and a model that are loaded; parameters are those of `simulate`.

    Raises
    ------
    InputError
        The model's motion does not fit the head, or the mode is unknown.
    """
    if model == RULES:
        animated = animate(conversation, seed).conversation
    else:
        animated = predict_closed_loop(conversation, model, mode, seed)
    motions = []
    for person, own_seed in zip(animated.participants, conversation.participant_seeds(seed), strict=True):
        identity = draw_identity(np.random.default_rng([*own_seed, IDENTITY_STREAM]))
        motions.append(_for_head(replace(person.required_motion, identity=identity), head))
    a, b = motions
    return animated.with_motion(a, b)


def load_model_or_rules(model: str, head: Head | None = None) -> PretrainedModel | Literal["rules"]:
    """Load the model of that name or path; "rules" stands for the rule-based animator.

    Raises
    ------
    InputError
        There is no such model, its file cannot be used, or its motion does not fit `head`.
    """
    if not isinstance(model, str | os.PathLike):
        raise InputError(f"model is {model!r}; wanted {DEFAULT}, {RULES}, or the path of a model.safetensors")
    model = os.fspath(model)
    if model == RULES:
        return RULES
    check_model(model)
    loaded = load_model(model)
    if head is not None:
        _require_head(loaded.space, head)
    return loaded


def _require_head(space: str, target: Head) -> None:
    """Refuse motion that cannot be retargeted: from FLAME to another head."""
    if space not in ("open", target.space):
        raise InputError(
            f"the model predicts motion of space {space!r}, {target.name} is of {target.space!r}; give the "
            "path of a FLAME file as the head"
        )


def _for_head(motion: HeadMotion, target: Head) -> HeadMotion:
    _require_head(motion.space, target)
    return motion if motion.space == target.space else retarget(motion, load_head("open"), target)


def _read(source: str | os.PathLike | Sequence[str | os.PathLike]) -> Conversation:
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    # The diarizer's packages seed the generators of the whole process.
    state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        try:
            return conversation_from_recording(paths)[0]
        finally:
            random.setstate(state)
