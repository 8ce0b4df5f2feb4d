"""Who goes where: clips that share a person or a session are never in two splits."""

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dualtalk.corpora import Clip

# Of the clips that the corpus itself assigns to no split, or to training only.
VALIDATION_SHARE, TEST_SHARE = 0.1, 0.1


def split_clips(clips: Sequence[Clip], *, own_splits: bool = True) -> dict[str, str]:
    """The split of each clip, by name.

    With `own_splits`, what the corpus calls test, validation or ood stays that; a part of its training clips
    becomes validation where it has none. Groups of clips that share people or sessions are assigned whole, in
    an order that depends on their names alone, so that a clip that is added moves few others.
    """
    assigned = {clip.name: clip.split if own_splits else "" for clip in clips}
    free = [clip for clip in clips if assigned[clip.name] in ("", "train")]
    has = set(assigned.values())
    shares = {
        "test": TEST_SHARE if "test" not in has else 0.0,
        "validation": VALIDATION_SHARE if "validation" not in has else 0.0,
    }
    taken = dict.fromkeys(shares, 0)
    bound = {
        name for clip in clips if assigned[clip.name] not in ("", "train") for name in (*clip.people, clip.session)
    }
    for group in _groups(free):
        # A group that meets a test of the corpus's own cannot be moved; it stays in training and is reported.
        movable = not bound.intersection(name for clip in group for name in (*clip.people, clip.session))
        split = "train"
        for candidate, share in shares.items():
            if movable and taken[candidate] + len(group) <= round(share * len(free)):
                split = candidate
                taken[candidate] += len(group)
                break
        assigned |= {clip.name: split for clip in group}
    return assigned


def _groups(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Clips that are linked by people or sessions, in the order of a digest of their first name."""
    if not clips:
        return []
    names = sorted({name for clip in clips for name in _names(clip)})
    place = {name: index for index, name in enumerate(names)}
    edges = [(place[_names(clip)[0]], place[name]) for clip in clips for name in _names(clip)[1:]]
    rows, columns = np.array(edges).T
    links = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(names), len(names)))
    labels = connected_components(links, directed=False)[1]
    groups: dict[int, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: clip.name):
        groups.setdefault(int(labels[place[_names(clip)[0]]]), []).append(clip)
    return sorted(groups.values(), key=lambda group: hashlib.sha256(group[0].name.encode()).digest())


def _names(clip: Clip) -> tuple[str, str, str]:
    return f"session {clip.session}", f"person {clip.people[0]}", f"person {clip.people[1]}"
