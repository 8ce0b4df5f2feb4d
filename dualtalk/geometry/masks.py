"""Runs of true values in boolean masks over time."""

import numpy as np
from jaxtyping import Bool


def runs(mask: Bool[np.ndarray, "time"]) -> list[tuple[int, int]]:
    """Find each run of consecutive true values: its first index, and the index after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
