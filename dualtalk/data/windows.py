"""Fixed-length windows of conversations. No window spans two clips; the windows of a split cover every clip.

The windows of a clip start `stride_frames` apart. Where they do not reach the end of the clip, one more window
ends there. A clip shorter than a window gives one window, padded with frames that are not valid.
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
from dualtalk.store.window_reader import ClipSpan
from dualtalk.timebase import SAMPLES_PER_FRAME


class Window(NamedTuple):
    """One window; a batch has the same fields with one more leading axis.

    Attributes
    ----------
    audio : (2, sample) float32
        16 kHz in [-1, 1]; 640 samples a frame.
    motion : (2, frame, coef) float32
        Zeros where a person's motion is absent.
    valid : (2, frame) bool
        Frames whose motion was observed; only these count in a loss.
    speech : (2, frame) bool
        Frames in which the person speaks.
    identity : (2, 300) float32
    clip : str
    first_frame : int
        Position of the window in the clip.
    swapped : bool
        Whether the two people are exchanged.
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
    """Number of windows of a clip."""
    return 1 + -(-max(clip_frames - window_frames, 0) // stride_frames)


def as_window(span: ClipSpan, window_frames: int, clip: str, first: int, *, swap: bool) -> Window:
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
    """The motion layout of that name.

    Raises
    ------
    InputError
        There is no such layout.
    """
    if name not in LAYOUTS:
        raise InputError(f"no motion layout called {name!r}; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def one_space(spaces: Sequence[str], source: object) -> str:
    """The space that all motion shares; empty where there is no motion.

    Raises
    ------
    InputError
        Motion of two spaces: the same coefficients would mean different faces.
    """
    found = sorted({space for space in spaces if space})
    if len(found) > 1:
        raise InputError(f"{source} mixes motion of the spaces {' and '.join(found)}; wanted one space per store")
    return found[0] if found else ""


class ConversationWindows(Dataset[Window]):
    """Base of the datasets of windows.

    Attributes
    ----------
    space : str
        Space of all motion; empty where there is none.
    """

    space: str


class StoreWindows(ConversationWindows):
    """Windows of one split of a store, read from disk on demand.

    `windows[index]` is a window; `windows[index, True]` is the same window with the two people exchanged.

    Parameters
    ----------
    store : Store
    split : str
        One of `dualtalk.store.schema.SPLITS`.
    window_frames, stride_frames : int
        Length of a window and step between windows; `stride_frames` defaults to `window_frames`.
    layout : str
        "full62", or "dualtalk56" for motion without eyes.

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
    ) -> None:
        if window_frames < 1 or (stride_frames is not None and stride_frames < 1):
            raise InputError(f"windows of {window_frames} frames every {stride_frames}; wanted at least one")
        rows = store.manifest[store.manifest["split"] == split]
        if not len(rows):
            available = ", ".join(sorted(set(store.manifest["split"])))
            raise InputError(f"{store.root} has no clip in split {split!r}; it has {available}")
        self.space = one_space(list(rows["space"]), store.root)
        self.window_frames, self.stride_frames = window_frames, stride_frames or window_frames
        self.split = split
        self.layout = layout_named(layout)
        self._store = store
        self._clips = rows["clip"].to_numpy()
        self._clip_frames = rows["frames"].to_numpy()
        counts = [window_count(int(frames), window_frames, self.stride_frames) for frames in self._clip_frames]
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def place(self, index: int) -> tuple[str, int, int]:
        """Clip, first frame and number of frames of a window."""
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        first_window = int(self._ends[number - 1]) if number else 0
        clip_frames = int(self._clip_frames[number])
        frames = min(self.window_frames, clip_frames)
        first = min((index - first_window) * self.stride_frames, clip_frames - frames)
        return str(self._clips[number]), first, frames

    def __getitem__(self, key: int | tuple[int, bool]) -> Window:
        index, swap = key if isinstance(key, tuple) else (key, False)
        clip, first, frames = self.place(index)
        span = self._store.span(clip, self.split, first, frames, self.layout)
        return as_window(span, self.window_frames, clip, first, swap=swap)


class ConcatWindows(ConversationWindows):
    """The windows of several stores of one space, one store after the other.

    Raises
    ------
    InputError
        Motion of two spaces.
    """

    def __init__(self, parts: Sequence[StoreWindows], source: str) -> None:
        self.space = one_space([part.space for part in parts], source)
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, key: int | tuple[int, bool]) -> Window:
        index, swap = key if isinstance(key, tuple) else (key, False)
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        first = int(self._ends[number - 1]) if number else 0
        return self._parts[number][index - first, swap]
