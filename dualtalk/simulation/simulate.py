"""`simulate`: audio of two people in, a conversation with the motion of both out."""

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dualtalk.animator import animate
from dualtalk.conversation import Conversation
from dualtalk.errors import InputError
from dualtalk.head import Head, load_head, retarget
from dualtalk.head.identity import draw_identity
from dualtalk.preprocess.recording import conversation_from_recording

Source = Conversation | str | os.PathLike | Sequence[str | os.PathLike]
MODELS = ("rules",)


def simulate(source: Source, *, head: str | Head = "open", model: str = "rules", seed: int = 0) -> Conversation:
    """Give both people of a conversation the motion of their heads.

    Parameters
    ----------
    source : Conversation, path, or two paths
        One mono recording (it is diarized), one stereo recording (a person a channel), or a file a person.
    head : str or Head
        "open", the path of a FLAME file, or a head already loaded. The motion is in this head's space.
    model : str
        "rules": the animator.
    seed : int
        The same source and seed give the same motion, to the byte.

    Returns
    -------
    Conversation
        The same audio and speech, with motion, 25 frames a second.
    """
    if model not in MODELS:
        raise InputError(f"no model called {model!r}; there is {', '.join(MODELS)}")
    conversation = source if isinstance(source, Conversation) else _read(source)
    target = load_head(head) if isinstance(head, str | os.PathLike) else head
    moving = animate(conversation, seed).conversation
    rng = np.random.default_rng(seed)
    motions = [replace(person.motion, identity=draw_identity(rng)) for person in moving.people]
    if target.space != "open":
        motions = [retarget(motion, load_head("open"), target) for motion in motions]
    return moving.with_motion(*motions)


def _read(source: str | os.PathLike | Sequence[str | os.PathLike]) -> Conversation:
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    return conversation_from_recording(paths)[0]
