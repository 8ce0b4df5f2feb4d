"""Assignment of clips to splits such that no person and no recording session is in two of them."""

import hashlib
from collections.abc import Sequence
from typing import get_args

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dualtalk.choices import SplitScheme
from dualtalk.corpora.corpus import Clip
from dualtalk.errors import InputError

# Shares of the clips that the corpus assigns to no split or to training.
VALIDATION_SHARE, TEST_SHARE = 0.1, 0.1


def split_clips(clips: Sequence[Clip], *, splits: SplitScheme = "official") -> dict[str, str]:
    """Assign each clip to a split.

    Groups of clips that share people or sessions are assigned as a whole, in an order that depends only on
    their names, so that adding a clip moves few others.

    Parameters
    ----------
    clips : sequence of Clip
    splits : "official" or "speaker-disjoint"
        "official" keeps the corpus's test, validation and ood clips where they are. If the corpus has no
        validation or test clips, a part of its training clips fills that split. "speaker-disjoint" ignores the
        corpus's splits.

    Returns
    -------
    dict of str to str
        Split of each clip, by the clip's name.

    Raises
    ------
    InputError
        Unknown scheme.
    """
    if splits not in get_args(SplitScheme):
        raise InputError(f"splits is {splits!r}; wanted one of {', '.join(get_args(SplitScheme))}")
    assigned = {clip.name: clip.split if splits == "official" else "" for clip in clips}
    free = [clip for clip in clips if assigned[clip.name] in ("", "train")]
    present = set(assigned.values())
    shares = {
        "test": TEST_SHARE if "test" not in present else 0.0,
        "validation": VALIDATION_SHARE if "validation" not in present else 0.0,
    }
    counts = dict.fromkeys(shares, 0)
    fixed = {key for clip in clips if assigned[clip.name] not in ("", "train") for key in _keys(clip)}
    for group in _linked_groups(free):
        # A group that shares somebody with an official test clip stays in training; `validate` reports it.
        movable = not fixed.intersection(key for clip in group for key in _keys(clip))
        split = "train"
        for candidate, share in shares.items():
            if movable and counts[candidate] + len(group) <= round(share * len(free)):
                split = candidate
                counts[candidate] += len(group)
                break
        assigned |= {clip.name: split for clip in group}
    return assigned


def _linked_groups(clips: Sequence[Clip]) -> list[list[Clip]]:
    """Clips linked by people or sessions, ordered by a digest of each group's first name."""
    if not clips:
        return []
    keys = sorted({key for clip in clips for key in _keys(clip)})
    node = {key: index for index, key in enumerate(keys)}
    edges = [(node[_keys(clip)[0]], node[key]) for clip in clips for key in _keys(clip)[1:]]
    rows, columns = np.array(edges).T
    links = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(keys), len(keys)))
    labels = connected_components(links, directed=False)[1]
    groups: dict[int, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: clip.name):
        groups.setdefault(int(labels[node[_keys(clip)[0]]]), []).append(clip)
    return sorted(groups.values(), key=lambda group: hashlib.sha256(group[0].name.encode()).digest())


def _keys(clip: Clip) -> tuple[str, str, str]:
    return f"session {clip.session}", f"person {clip.person_ids[0]}", f"person {clip.person_ids[1]}"
