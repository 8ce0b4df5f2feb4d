"""`simulate`: audio of two people in, a conversation with the motion of both out."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dualtalk.animator import animate
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.core import Conversation, HeadMotion
from dualtalk.errors import InputError
from dualtalk.head import Head, load_head, retarget
from dualtalk.head.identity import draw_identity
from dualtalk.models.checkpoint import DEFAULT, load_model
from dualtalk.simulation.closed_loop import Mode, close_the_loop

Source = Conversation | str | os.PathLike | Sequence[str | os.PathLike]
RULES = "rules"


def simulate(
    source: Source, *, head: str | Head = "open", model: str = DEFAULT, mode: Mode = "sample", seed: int = 0
) -> Conversation:
    """Give both people of a conversation the motion of their heads.

    Parameters
    ----------
    source : Conversation, path, or two paths
        One mono recording (it is diarized), one stereo recording (a person a channel), or a file a person.
    head : str or Head
        "open", the path of a FLAME file, or a head already loaded. The motion is in this head's space.
    model : str
        "default": the network that comes with the package; "rules": the animator; or the path of a model that
        `dualtalk train` made.
    mode : "mean" or "sample"
        What a trained model gives: its most even answer, or one of many. Rules have no modes.
    seed : int
        The same source and seed give the same motion, to the byte.

    Returns
    -------
    Conversation
        The same audio and speech, with motion, 25 frames a second.
    """
    trained = None if model == RULES else load_model(_known(model))
    conversation = source if isinstance(source, Conversation) else _read(source)
    target = load_head(head) if isinstance(head, str | os.PathLike) else head
    if trained is None:
        moving = animate(conversation, seed).conversation
    else:
        moving = close_the_loop(conversation, trained, mode, seed)
    rng = np.random.default_rng(seed)
    motions = [replace(person.motion, identity=draw_identity(rng)) for person in moving.participants]
    return moving.with_motion(*(_for_head(motion, target) for motion in motions))


def _known(model: str) -> str:
    if model != DEFAULT and not Path(model).is_file():
        raise InputError(
            f"no model called {model!r}; wanted {DEFAULT}, {RULES}, or the path of a model.safetensors"
        )
    return model


def _for_head(motion: HeadMotion, target: Head) -> HeadMotion:
    if motion.space == target.space:
        return motion
    if motion.space != "open":
        raise InputError(
            f"the model moves heads of space {motion.space!r}, {target.name} is of {target.space!r}; give the "
            "path of a FLAME file as the head"
        )
    return retarget(motion, load_head("open"), target)


def _read(source: str | os.PathLike | Sequence[str | os.PathLike]) -> Conversation:
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    return conversation_from_recording(paths)[0]
