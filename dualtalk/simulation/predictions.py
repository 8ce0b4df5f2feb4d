"""Predictions of a whole split, in files, for `evaluate`: what a model makes of every clip of a store."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dualtalk.choices import Mode, Protocol
from dualtalk.core import Conversation
from dualtalk.errors import InputError
from dualtalk.models.checkpoint import PretrainedModel
from dualtalk.simulation.closed_loop import answer_the_partner, close_the_loop
from dualtalk.store import Store
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

MOVERS = {"partner-given": answer_the_partner, "closed-loop": close_the_loop}
Report = Callable[[int, int], None]


def predict_split(
    store: Store,
    trained: PretrainedModel,
    out: str | os.PathLike,
    *,
    split: str = "test",
    protocol: Protocol = "partner-given",
    mode: Mode = "sample",
    seed: int = 0,
    samples: int = 1,
    seconds: float | None = None,
    report: Report = lambda done, total: None,
) -> int:
    """Write `CLIP_speaker1.npz` and `CLIP_speaker2.npz` of every clip of a split; gives how many clips.

    Parameters
    ----------
    out : path
        Its folder; of several samples, the folders sample0, sample1 in it.
    protocol : "partner-given" or "closed-loop"
        What the model is told of the partner: its true motion so far, or its voice alone.
    samples : int
        Sample i is drawn from the seed `seed + i`.
    seconds : float or None
        Of each clip, from its beginning; None for all.

    Raises
    ------
    InputError
        No such split or motion, or several samples of a mean.
    """
    if samples > 1 and mode == "mean":
        raise InputError(f"{samples} samples of a mean are all the same; wanted the mode sample")
    clips = list(store.manifest.loc[store.manifest["split"] == split, "clip"])
    if not clips:
        raise InputError(f"{store.root} has no clip in split {split!r}")
    folders = [Path(out) / f"sample{number}" for number in range(samples)] if samples > 1 else [Path(out)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for done, clip in enumerate(clips):
        report(done, len(clips))
        conversation = shortened(store.conversation(clip), seconds)
        for number, folder in enumerate(folders):
            moved = MOVERS[protocol](conversation, trained, mode, seed + number)
            for person, participant in enumerate(moved.participants, start=1):
                participant.motion.save(folder / f"{clip}_speaker{person}.npz")
    return len(clips)


def shortened(conversation: Conversation, seconds: float | None) -> Conversation:
    """The beginning of a conversation, sound and motion."""
    if seconds is None or seconds >= conversation.duration_s:
        return conversation
    frames = max(round(seconds * MOTION_FPS), 1)
    people = (
        replace(
            person,
            audio=person.audio[: frames * SAMPLES_PER_FRAME],
            motion=None if person.motion is None else person.motion[:frames],
        )
        for person in conversation.participants
    )
    return Conversation(*people, name=conversation.name)
