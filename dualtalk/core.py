"""The types that stages exchange: the motion of a head, a participant, and a conversation of two.

Conventions: 25 frames a second; 16 kHz mono float32 audio in [-1, 1], exactly 640 samples a frame; radians,
metres, seconds. Axes of a head are FLAME's: x to the person's left, y up, z out of the face. Rotations are
axis-angle. Axis names of arrays: batch, party (2), frame, sample, coef, vertex.

Expression coefficients are only meaningful together with their `space`, which names the expression basis.
"""

import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32
from pyannote.core import Annotation, Segment, Timeline

from dualtalk.choices import PARTY
from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole
from dualtalk.io.audio_file import write_wave
from dualtalk.io.clip_files import ClipFiles, speech_of
from dualtalk.io.npz import read_npz
from dualtalk.io.rttm import write_rttm
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

Space = Literal["flame", "open"]
IDENTITY_COEFFICIENTS = 300
EXPRESSION_COEFFICIENTS = 50
# No joint of a head turns by more than half a turn: a larger norm means that degrees were passed for radians.
LARGEST_ROTATION_RAD = np.pi


@dataclass(frozen=True)
class MotionLayout:
    """The order of the parts of a motion vector. Code takes slices from a layout instead of literal indices."""

    name: str
    widths: Mapping[str, int]

    @property
    def width(self) -> int:
        return sum(self.widths.values())

    def slice_of(self, part: str) -> slice:
        """Columns of `part`: one of expression, jaw, head, eyes (left eye then right)."""
        if part not in self.widths:
            raise KeyError(f"layout {self.name} has no {part}; it has {', '.join(self.widths)}")
        start = 0
        for name, width in self.widths.items():
            if name == part:
                return slice(start, start + width)
            start += width
        raise AssertionError("unreachable")


DUALTALK56 = MotionLayout("dualtalk56", {"expression": EXPRESSION_COEFFICIENTS, "jaw": 3, "head": 3})
FULL62 = MotionLayout("full62", {"expression": EXPRESSION_COEFFICIENTS, "jaw": 3, "head": 3, "eyes": 6})
LAYOUTS = {layout.name: layout for layout in (DUALTALK56, FULL62)}


def _no_identity() -> np.ndarray:
    return np.zeros(IDENTITY_COEFFICIENTS, np.float32)


@dataclass(frozen=True, eq=False)
class HeadMotion:
    """Motion of one head, 25 frames a second.

    Attributes
    ----------
    coefficients : (frame, coef) float32
        Expression coefficients (of `space`'s basis) and rotations in radians, in the order of `layout`.
    space : "flame" or "open"
        Expression basis of the coefficients.
    layout : MotionLayout
    identity : (300,) float32
        Shape coefficients of the head, unit variance; zero is the mean head.
    valid : (frame,) bool, optional
        Frames that were observed; all of them if not given. Other frames are finite, so that they can be rendered,
        but should be excluded from training and evaluation.

    Raises
    ------
    InputError
        Wrong width, a value that is not finite, or rotations too large to be radians.
    """

    coefficients: Float32[np.ndarray, "frame coef"]
    space: Space
    layout: MotionLayout = FULL62
    identity: Float32[np.ndarray, "300"] = field(default_factory=_no_identity)
    valid: Bool[np.ndarray, "frame"] = None  # type: ignore[assignment]  # None is replaced in __post_init__

    def __post_init__(self) -> None:
        if self.valid is None:
            object.__setattr__(self, "valid", np.ones(len(self.coefficients), bool))
        if self.coefficients.ndim != 2 or self.coefficients.shape[1] != self.layout.width:
            raise InputError(
                f"motion has shape {self.coefficients.shape}; layout {self.layout.name} wants "
                f"(frame, {self.layout.width})"
            )
        if not np.isfinite(self.coefficients).all():
            bad = int(np.flatnonzero(~np.isfinite(self.coefficients).all(axis=1))[0])
            raise InputError(f"motion holds a NaN or infinite value, first in frame {bad}")
        if self.space not in get_args(Space):
            raise InputError(f"motion space is {self.space!r}; wanted one of {', '.join(get_args(Space))}")
        if len(self.valid) != self.frames:
            raise InputError(f"valid has {len(self.valid)} frames; the motion has {self.frames}")
        for part in ("jaw", "head", "eyes"):
            if part in self.layout.widths:
                require_radians(part, self.coefficients[:, self.layout.slice_of(part)])

    @property
    def frames(self) -> int:
        return len(self.coefficients)

    @property
    def duration_s(self) -> float:
        return self.frames / MOTION_FPS

    @property
    def expression(self) -> Float32[np.ndarray, "frame 50"]:
        return self.coefficients[:, self.layout.slice_of("expression")]

    @property
    def jaw_rotvec_rad(self) -> Float32[np.ndarray, "frame 3"]:
        return self.coefficients[:, self.layout.slice_of("jaw")]

    @property
    def head_rotvec_rad(self) -> Float32[np.ndarray, "frame 3"]:
        """Rotation at FLAME's neck joint; the root stays at identity."""
        return self.coefficients[:, self.layout.slice_of("head")]

    @property
    def eyes_rotvec_rad(self) -> Float32[np.ndarray, "frame 6"]:
        """Left eye then right eye; zeros where the layout has no eyes."""
        if "eyes" not in self.layout.widths:
            return np.zeros((self.frames, 6), np.float32)
        return self.coefficients[:, self.layout.slice_of("eyes")]

    @classmethod
    def from_parts(
        cls,
        *,
        expression: Float[np.ndarray, "frame 50"],
        jaw_rotvec_rad: Float[np.ndarray, "frame 3"],
        head_rotvec_rad: Float[np.ndarray, "frame 3"],
        eyes_rotvec_rad: Float[np.ndarray, "frame 6"] | None = None,
        space: Space,
        identity: Float[np.ndarray, "300"] | None = None,
        valid: Bool[np.ndarray, "frame"] | None = None,
    ) -> "HeadMotion":
        """Join the parts; the layout is `full62` with eyes and `dualtalk56` without."""
        parts = [expression, jaw_rotvec_rad, head_rotvec_rad]
        layout = DUALTALK56
        if eyes_rotvec_rad is not None:
            parts.append(eyes_rotvec_rad)
            layout = FULL62
        coefficients = np.concatenate(parts, axis=1).astype(np.float32)
        identity = _no_identity() if identity is None else identity.astype(np.float32)
        valid = np.ones(len(coefficients), bool) if valid is None else valid
        return cls(coefficients, space, layout, identity, valid)

    def __getitem__(self, frames: slice) -> "HeadMotion":
        """Slice the motion in time."""
        return replace(self, coefficients=self.coefficients[frames], valid=self.valid[frames])

    def to_layout(self, layout: MotionLayout) -> "HeadMotion":
        """Convert to another layout; parts that it lacks are dropped.

        Raises
        ------
        InputError
            The layout has a part that this motion lacks.
        """
        if missing := set(layout.widths) - set(self.layout.widths):
            raise InputError(f"the motion has no {', '.join(sorted(missing))}; wanted layout {layout.name}")
        parts = [self.coefficients[:, self.layout.slice_of(part)] for part in layout.widths]
        return replace(self, coefficients=np.concatenate(parts, axis=1), layout=layout)

    def save(self, path: str | os.PathLike) -> None:
        """Write an npz file with the arrays of `to_numpy`."""
        with written_whole(path) as partial:
            np.savez(partial, allow_pickle=False, **self.to_numpy())

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Convert to named arrays.

        Returns
        -------
        dict
            `exp` (T, 50); `pose` (T, 6), head then jaw as in the published files; `eyes` (T, 6) if the layout has
            them; `shape` (300,); `fps`; `space`; `layout`; `valid` (T,) if some frames are not.
        """
        arrays: dict[str, np.ndarray] = {
            "exp": self.expression,
            "pose": np.concatenate([self.head_rotvec_rad, self.jaw_rotvec_rad], axis=1),
            "shape": self.identity,
            "fps": np.array(MOTION_FPS, np.float32),
            "space": np.array(self.space),
            "layout": np.array(self.layout.name),
        }
        if "eyes" in self.layout.widths:
            arrays["eyes"] = self.eyes_rotvec_rad
        if not self.valid.all():
            arrays["valid"] = self.valid
        return arrays

    @classmethod
    def load(cls, path: str | os.PathLike, space: Space | None = None) -> "HeadMotion":
        """Read an npz that `save` wrote, or a file of the corpus of DualTalk (Peng et al. 2025).

        The corpus's files are in FLAME's space, 25 fps, without eyes. They may have more than 50 expression
        coefficients and a shape per frame: the first 50 and the mean shape are used. `space` is for files without
        a stated space that are not FLAME's.

        Raises
        ------
        InputError
            No such file, missing or misshapen arrays, another frame rate, or another space than the one given.
        """
        arrays = read_npz(path)
        missing = [key for key in ("exp", "pose") if key not in arrays]
        if missing:
            raise InputError(f"{path} has no {' and no '.join(missing)}; its arrays are {sorted(arrays)}")
        exp, pose = arrays["exp"], arrays["pose"]
        if exp.ndim != 2 or exp.shape[1] < EXPRESSION_COEFFICIENTS or pose.shape != (len(exp), 6):
            raise InputError(f"{path}: exp {exp.shape} and pose {pose.shape}; wanted (T, 50 or more) and (T, 6)")
        fps = float(arrays.get("fps", MOTION_FPS))
        if fps != MOTION_FPS:
            raise InputError(f"{path} has {fps:g} frames a second; wanted {MOTION_FPS}; resample it first")
        eyes = arrays.get("eyes")
        if eyes is not None and eyes.shape != (len(exp), 6):
            raise InputError(f"{path}: eyes {eyes.shape}; wanted {(len(exp), 6)}")
        identity = _no_identity()
        if "shape" in arrays:
            shape = np.atleast_2d(arrays["shape"]).mean(axis=0)[:IDENTITY_COEFFICIENTS]
            identity[: len(shape)] = shape
        # __post_init__ checks that it is a valid space.
        stated = cast(Space, str(arrays["space"])) if "space" in arrays else None
        if space and stated and space != stated:
            raise InputError(f"{path} is in space {stated!r}; wanted {space!r}")
        try:
            return cls.from_parts(
                expression=exp[:, :EXPRESSION_COEFFICIENTS].astype(np.float32),
                jaw_rotvec_rad=pose[:, 3:].astype(np.float32),
                head_rotvec_rad=pose[:, :3].astype(np.float32),
                eyes_rotvec_rad=None if eyes is None else eyes.astype(np.float32),
                space=stated or space or "flame",
                identity=identity,
                valid=arrays["valid"].astype(bool) if "valid" in arrays else None,
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def require_radians(part: str, rotvecs_rad: Float[np.ndarray, "frame coef"]) -> None:
    """Check that rotations are plausible in radians; rows that hold a NaN are skipped.

    Parameters
    ----------
    part : str
        Name of the rotation in the error message.
    rotvecs_rad : (frame, 3 or a multiple of it)
        Axis-angle vectors, one joint after the other.

    Raises
    ------
    InputError
        A rotation has a norm above pi.
    """
    norms = np.linalg.norm(rotvecs_rad.reshape(-1, 3), axis=1)
    largest = float(norms[np.isfinite(norms)].max(initial=0.0))
    if largest > LARGEST_ROTATION_RAD:
        raise InputError(f"{part} rotation has a norm of {largest:.1f} rad; were degrees passed?")


@dataclass(frozen=True, eq=False)
class Participant:
    """One of the two people.

    Attributes
    ----------
    audio : (sample,) float32
        This person's voice alone, 16 kHz, in [-1, 1].
    speech : pyannote.core.Timeline
        When this person speaks, in seconds.
    motion : HeadMotion or None
        None if it was not observed, or not generated yet.
    """

    audio: Float32[np.ndarray, "sample"]
    speech: Timeline
    motion: HeadMotion | None = None

    @property
    def speech_segments(self) -> list[list[float]]:
        """Start and end of each speech segment, in seconds, rounded to milliseconds."""
        return [[round(span.start, 3), round(span.end, 3)] for span in self.speech]

    def speaking(self, frames: int) -> np.ndarray:
        """(frame,) bool: whether this person speaks at the middle of each frame."""
        return speaking_frames(self.speech, frames)

    @property
    def required_motion(self) -> HeadMotion:
        """`motion`, where it must not be None.

        Raises
        ------
        InputError
            There is no motion.
        """
        if self.motion is None:
            raise InputError("a participant has no motion; simulate the conversation first")
        return self.motion


def speaking_frames(
    speech: Iterable[Segment], frames: int, first: int = 0, *, widened_s: float = 0.0
) -> Bool[np.ndarray, "frame"]:
    """Convert speech segments to a mask over motion frames.

    Parameters
    ----------
    speech : iterable of Segment
        In seconds.
    frames : int
        Length of the mask.
    first : int
        Index of the frame that the mask begins with.
    widened_s : float
        Seconds by which each segment is extended at both ends.

    Returns
    -------
    (frame,) bool
        Whether the middle of each frame lies in a segment: at its start or later, and before its end.
    """
    mask = np.zeros(frames, bool)
    for span in speech:
        edges_s = (span.start - widened_s, span.end + widened_s)
        start, end = (math.ceil(edge_s * MOTION_FPS - 0.5 - 1e-9) - first for edge_s in edges_s)
        mask[max(start, 0) : max(end, 0)] = True
    return mask


@dataclass(frozen=True, eq=False)
class Conversation:
    """Two people over one span of time, frame for frame.

    Both audios have the same number of samples, a multiple of 640; both motions, where present, have one
    frame for each 640 samples.
    """

    a: Participant
    b: Participant
    name: str = "conversation"

    def __post_init__(self) -> None:
        samples = {len(person.audio) for person in self.participants}
        if len(samples) != 1 or samples.pop() % SAMPLES_PER_FRAME:
            raise InputError(
                f"audio of {len(self.a.audio)} and {len(self.b.audio)} samples; wanted two of the same length, "
                f"a multiple of {SAMPLES_PER_FRAME}"
            )
        for label, motion in zip(PARTY, (self.a.motion, self.b.motion), strict=True):
            if motion is not None and motion.frames != self.frames:
                raise InputError(f"motion of person {label} has {motion.frames} frames, the audio {self.frames}")

    @property
    def participants(self) -> tuple[Participant, Participant]:
        return self.a, self.b

    @property
    def frames(self) -> int:
        return len(self.a.audio) // SAMPLES_PER_FRAME

    @property
    def duration_s(self) -> float:
        return self.frames / MOTION_FPS

    def swap_roles(self) -> "Conversation":
        """The same conversation with the participants exchanged."""
        return replace(self, a=self.b, b=self.a)

    def participant_seeds(self, seed: int) -> tuple[list[int], list[int]]:
        """Derive one numpy seed per participant from `seed` and a hash of the participant's audio.

        Exchanging the participants therefore exchanges their random numbers. The position only matters if both
        audios are equal.
        """
        digests = [
            int.from_bytes(hashlib.blake2b(person.audio.tobytes(), digest_size=8).digest(), "big")
            for person in self.participants
        ]
        places = (0, 1) if digests[0] == digests[1] else (0, 0)
        return [seed, digests[0], places[0]], [seed, digests[1], places[1]]

    @property
    def annotation(self) -> Annotation:
        """Speech of both participants, labelled "a" and "b"."""
        annotation = Annotation(uri=self.name)
        for label, person in zip(PARTY, self.participants, strict=True):
            for track, segment in enumerate(person.speech):
                annotation[segment, f"{label}{track}"] = label
        return annotation

    def with_motion(self, a: HeadMotion | None, b: HeadMotion | None) -> "Conversation":
        """The same conversation with other motion."""
        return replace(self, a=replace(self.a, motion=a), b=replace(self.b, motion=b))

    def save(self, folder: str | os.PathLike) -> None:
        """Write `a.wav b.wav turns.rttm`, and `a.npz b.npz` where there is motion."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for label, person in zip(PARTY, self.participants, strict=True):
            write_wave(folder / f"{label}.wav", person.audio)
            if person.motion is not None:
                person.motion.save(folder / f"{label}.npz")
        write_rttm(folder / "turns.rttm", self.annotation)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Conversation":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            There is no such folder, or a file is missing or malformed.
        """
        return cls.from_files(ClipFiles.in_folder(folder))

    @classmethod
    def from_files(cls, files: ClipFiles, *, fill_missing: bool = False) -> "Conversation":
        """Read the files of a clip.

        Parameters
        ----------
        files : ClipFiles
        fill_missing : bool
            Replace missing audio with silence as long as the motion, and missing turns with no speech.

        Raises
        ------
        InputError
            A file is malformed, or missing and cannot be replaced.
        """
        motions = [None if path is None else HeadMotion.load(path) for path in files.motions]
        annotation, audio = files.read_annotation(), files.read_audio()
        if annotation is None and not fill_missing:
            raise InputError(f"{files.clip} has no RTTM file with the speech turns")
        participants = []
        for label, motion, samples in zip(PARTY, motions, audio, strict=True):
            if samples is None and motion is not None and fill_missing:
                samples = np.zeros(motion.frames * SAMPLES_PER_FRAME, np.float32)
            if samples is None:
                raise InputError(f"{files.clip} has no wav file of person {label}")
            participants.append(Participant(samples, speech_of(annotation, label), motion))
        a, b = participants
        uri = None if annotation is None else annotation.uri
        return cls(a, b, name=uri or files.clip)
