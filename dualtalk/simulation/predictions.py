"""Predictions of a whole split as files: a model's motion for every clip of a store, which `evaluate` reads."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from dualtalk.animator import animate
from dualtalk.choices import Mode, Protocol, RayCluster
from dualtalk.core import Conversation, Participant
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import PretrainedModel
from dualtalk.parallel import worker_pool
from dualtalk.progress import Progress
from dualtalk.simulation.closed_loop import predict_closed_loop, predict_partner_given
from dualtalk.store import Store
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME


def predict_split(
    store: Store,
    model: PretrainedModel | Literal["rules"],
    out: str | os.PathLike,
    *,
    split: str = "test",
    protocol: Protocol = "partner-given",
    mode: Mode = "sample",
    seed: int = 0,
    samples: int = 1,
    seconds: float | None = None,
    cluster: RayCluster | None = None,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write `CLIP_speaker1.npz` and `CLIP_speaker2.npz` for every clip of a split.

    Parameters
    ----------
    store : Store
    model : PretrainedModel or "rules"
        "rules" is the rule-based animator.
    out : path
        Folder of the files; several samples go to its folders sample0, sample1, and so on.
    split : str
    protocol : "partner-given" or "closed-loop"
        Whether the model gets the partner's true motion so far, or both voices only. The animator takes no motion
        as input, so its output is the same by both protocols.
    mode : "mean" or "sample"
        Deterministic prediction, or stochastic sample. The animator has no mean.
    seed : int
        Sample i has the seed `seed + i`.
    samples : int
    seconds : float or None
        Length of the beginning of each clip that is used; None for all.
    cluster : RayCluster, optional
        Whose nodes share the store and `out`; by default this process does all the work.
    progress : callable
        Called with the clips done and the clips in all.

    Returns
    -------
    int
        Number of clips.

    Raises
    ------
    InputError
        There is no such split, a clip lacks the motion that the protocol needs, or the mode has no samples.
    """
    if samples > 1 and mode == "mean":
        raise InputError(f"{samples} samples of a mean are all the same; wanted the mode sample")
    if model == "rules" and mode == "mean":
        raise InputError("the rule-based animator has no mean; wanted the mode sample")
    clips = list(store.manifest.loc[store.manifest["split"] == split, "clip"])
    if not clips:
        raise InputError(f"{store.root} has no clip in split {split!r}")
    folders = [Path(out) / f"sample{number}" for number in range(samples)] if samples > 1 else [Path(out)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    predict_clip = partial(_predict_clip, store, model, folders, protocol, mode, seed, seconds)
    if cluster is None:
        for done, clip in enumerate(clips):
            progress(done, len(clips))
            predict_clip(clip)
    else:
        with worker_pool(cluster) as pool:
            for done, _ in enumerate(pool.map_unordered(predict_clip, clips), start=1):
                progress(done, len(clips))
    return len(clips)


def _predict_clip(
    store: Store,
    model: PretrainedModel | Literal["rules"],
    folders: Sequence[Path],
    protocol: Protocol,
    mode: Mode,
    seed: int,
    seconds: float | None,
    clip: str,
) -> None:
    """Write the predictions of one clip, one sample into each folder."""
    conversation = truncate(store.conversation(clip), seconds)
    for number, folder in enumerate(folders):
        predicted = predict(conversation, model, protocol, mode, seed + number)
        for person, participant in enumerate(predicted.participants, start=1):
            participant.required_motion.save(folder / f"{clip}_speaker{person}.npz")


def predict(
    conversation: Conversation,
    model: PretrainedModel | Literal["rules"],
    protocol: Protocol,
    mode: Mode = "sample",
    seed: int = 0,
) -> Conversation:
    """Predict the motion of both people of one conversation; parameters are those of `predict_split`."""
    if model == "rules":
        if protocol == "partner-given":
            _check_space(conversation)
        return animate(conversation.with_motion(None, None), seed).conversation
    predictor = predict_partner_given if protocol == "partner-given" else predict_closed_loop
    return predictor(conversation, model, mode, seed)


def _check_space(conversation: Conversation) -> None:
    """Raise unless the animator's motion is comparable to the true motion."""
    for person in conversation.participants:
        if person.motion is not None and person.motion.space != "open":
            raise InputError(
                f"{conversation.name} has motion in space {person.motion.space!r}, the rule-based animator's is "
                "in 'open'; only --protocol closed-loop gives predictions, and they cannot be compared with it"
            )


def truncate(conversation: Conversation, seconds: float | None) -> Conversation:
    """The beginning of a conversation: audio and motion. The speech is not cut."""
    if seconds is None or seconds >= conversation.duration_s:
        return conversation
    frames = max(round(seconds * MOTION_FPS), 1)
    a, b = (_truncate_participant(person, frames) for person in conversation.participants)
    return Conversation(a, b, name=conversation.name)


def _truncate_participant(person: Participant, frames: int) -> Participant:
    return replace(
        person,
        audio=person.audio[: frames * SAMPLES_PER_FRAME],
        motion=None if person.motion is None else person.motion[:frames],
    )
