"""Windows of conversations: every stretch of every clip, all of one length, none across two clips.

A clip's windows start `stride_frames` apart; where that leaves a rest, one more window ends with the clip. A clip
shorter than a window gives one window, padded with frames that are not valid.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from dualtalk.core import LAYOUTS, MotionLayout
from dualtalk.errors import InputError
from dualtalk.store import Store
from dualtalk.store.window_reader import Span
from dualtalk.timebase import SAMPLES_PER_FRAME


class Window(NamedTuple):
    """One window; a batch has the same fields with an axis more in front.

    Attributes
    ----------
    audio : (2, sample) float32
        16 kHz; 640 samples a frame.
    motion : (2, frame, coef) float32
        Zeros where a person's motion is absent.
    valid : (2, frame) bool
        Frames to learn from.
    speech : (2, frame) bool
        Who speaks.
    identity : (2, 300) float32
    clip : str
    first_frame : int
        Where in the clip the window begins.
    swapped : bool
        Whether the two people were exchanged.
    """

    audio: Float32[Tensor, "*batch 2 sample"]
    motion: Float32[Tensor, "*batch 2 frame coef"]
    valid: Bool[Tensor, "*batch 2 frame"]
    speech: Bool[Tensor, "*batch 2 frame"]
    identity: Float32[Tensor, "*batch 2 300"]
    clip: str | list[str]
    first_frame: int | Tensor
    swapped: bool | Tensor


def window_starts(clip_frames: int, window_frames: int, stride_frames: int) -> np.ndarray:
    """First frames of a clip's windows, increasing."""
    last = max(clip_frames - window_frames, 0)
    starts = np.arange(0, last + 1, stride_frames)
    return starts if starts[-1] == last else np.append(starts, last)


def window_count(clip_frames: int, window_frames: int, stride_frames: int) -> int:
    """How many windows a clip has."""
    return 1 + -(-max(clip_frames - window_frames, 0) // stride_frames)


def as_window(span: Span, window_frames: int, clip: str, first: int, *, swap: bool) -> Window:
    """A span as tensors, padded to `window_frames` with frames that are not valid."""
    missing = window_frames - span.valid.shape[1]
    tensors = (
        torch.from_numpy(array) for array in (span.audio, span.motion, span.valid, span.speech, span.identity)
    )
    audio, motion, valid, speech, identity = (one.flip(0) if swap else one for one in tensors)
    if missing:
        audio = pad(audio, (0, missing * SAMPLES_PER_FRAME))
        motion = pad(motion, (0, 0, 0, missing))
        valid, speech = pad(valid, (0, missing)), pad(speech, (0, missing))
    return Window(audio, motion, valid, speech, identity, clip, int(first), bool(swap))


def layout_named(name: str) -> MotionLayout:
    if name not in LAYOUTS:
        raise InputError(f"no motion layout called {name!r}; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def one_space(spaces: Sequence[str], source: object) -> str:
    """The space of all motion, which must be one; empty where there is none.

    Raises
    ------
    InputError
        Motion of two spaces: the same numbers would mean different faces.
    """
    found = sorted({space for space in spaces if space})
    if len(found) > 1:
        raise InputError(f"{source} mixes motion of the spaces {' and '.join(found)}; prepare them apart")
    return found[0] if found else ""


class StoreWindows(Dataset[Window]):
    """Windows of one split of a store, read from disk as they are asked for.

    Parameters
    ----------
    store : Store
    split : str
        One of `dualtalk.store.schema.SPLITS`.
    window_frames, stride_frames : int
        Length of a window and step between windows; `stride_frames` defaults to `window_frames`.
    layout : str
        "full62", or "dualtalk56" for motion without eyes.
    role_swap : bool
        Exchange the two people in every other window, at random.

    Raises
    ------
    InputError
        No clip in that split, or motion of two spaces.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        window_frames: int,
        stride_frames: int | None = None,
        layout: str = "full62",
        role_swap: bool = False,
    ) -> None:
        if window_frames < 1 or (stride_frames is not None and stride_frames < 1):
            raise InputError(f"windows of {window_frames} frames every {stride_frames}; wanted at least one")
        rows = store.manifest[store.manifest["split"] == split]
        if not len(rows):
            there = ", ".join(sorted(set(store.manifest["split"])))
            raise InputError(f"{store.root} has no clip in split {split!r}; it has {there}")
        self.space = one_space(list(rows["space"]), store.root)
        self.window_frames, self.stride_frames = window_frames, stride_frames or window_frames
        self.split = split
        self.layout, self.role_swap = layout_named(layout), role_swap
        self._store = store
        self._clips = rows["clip"].to_numpy()
        self._clip_frames = rows["frames"].to_numpy()
        counts = [window_count(int(one), window_frames, self.stride_frames) for one in self._clip_frames]
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def place(self, index: int) -> tuple[str, int, int]:
        """Clip, first frame and frames of a window."""
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        first_window = int(self._ends[number - 1]) if number else 0
        clip_frames = int(self._clip_frames[number])
        frames = min(self.window_frames, clip_frames)
        first = min((index - first_window) * self.stride_frames, clip_frames - frames)
        return str(self._clips[number]), first, frames

    def __getitem__(self, index: int) -> Window:
        clip, first, frames = self.place(index)
        span = self._store.span(clip, self.split, first, frames, self.layout)
        swap = self.role_swap and bool(torch.rand(()) < 0.5)
        return as_window(span, self.window_frames, clip, first, swap=swap)
