"""Dynamic time warping: which frame of one curve goes with which of another, and what is left between them.

The table of costs is filled one anti-diagonal at a time, all of whose cells are independent: 30 s against 30 s
takes some 20 ms.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Warping:
    """The cheapest way through a table of costs from its first cell to its last, one frame on at a time.

    Attributes
    ----------
    path : (step, 2) int
        Pairs of frames, rows then columns; neither ever goes back.
    cost : float
        Sum of the table along the path.
    """

    path: Int[np.ndarray, "step 2"]
    cost: float


def warp(cost: Float[np.ndarray, "row column"], band: int | None = None) -> Warping:
    """Warp rows onto columns (Sakoe & Chiba 1978, "Dynamic programming algorithm optimization", symmetric form
    with equal weights). `band`: how many frames apart two frames may be and still go together.
    """
    rows, columns = cost.shape
    if band is not None:
        # A band narrower than the difference in length has no way through.
        reach = max(band, abs(rows - columns))
        apart = np.abs(np.arange(rows)[:, None] - np.arange(columns))
        cost = np.where(apart <= reach, cost, np.inf)
    spent = _spent(cost)
    path = _walk_back(spent, columns)
    return Warping(path, float(spent[-1, rows - 1]))


def _spent(cost: np.ndarray) -> np.ndarray:
    """(diagonal, row): least cost to reach the cell of that row on that anti-diagonal, row + column = diagonal."""
    rows, columns = cost.shape
    padded = np.pad(cost, ((0, 0), (0, rows)), constant_values=np.inf)
    diagonals = padded.ravel()[: rows * (rows + columns - 1)].reshape(rows, -1).T
    spent = np.full((rows + columns - 1, rows), np.inf)
    spent[0, 0] = cost[0, 0]
    for k in range(1, len(spent)):
        best = spent[k - 1].copy()
        np.minimum(best[1:], spent[k - 1, :-1], out=best[1:])
        if k > 1:
            np.minimum(best[1:], spent[k - 2, :-1], out=best[1:])
        spent[k] = best + diagonals[k]
    return spent


def _walk_back(spent: np.ndarray, columns: int) -> np.ndarray:
    row, column = spent.shape[1] - 1, columns - 1
    path = [(row, column)]
    while row or column:
        diagonal = row + column
        both = spent[diagonal - 2, row - 1] if row and column else np.inf
        down = spent[diagonal - 1, row - 1] if row else np.inf
        along = spent[diagonal - 1, row] if column else np.inf
        # Of equal ways, the straight one.
        if both <= down and both <= along:
            row, column = row - 1, column - 1
        elif down <= along:
            row -= 1
        else:
            column -= 1
        path.append((row, column))
    return np.array(path[::-1])


def slope(curve: Float[np.ndarray, "frame"]) -> Float[np.ndarray, "frame"]:
    """Slope at each frame: the mean of the step behind and half the step over both neighbours.

    Source: Keogh & Pazzani 2001, "Derivative dynamic time warping", equation 2. Ends repeat their neighbours.
    """
    if len(curve) < 3:
        return np.zeros(len(curve))
    inside = ((curve[1:-1] - curve[:-2]) + (curve[2:] - curve[:-2]) / 2) / 2
    return np.concatenate([inside[:1], inside, inside[-1:]])
