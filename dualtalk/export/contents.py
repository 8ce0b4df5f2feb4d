"""What an exporter receives: the participants of a conversation, the head that shows them, and their placement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dualtalk.core import PARTY, Conversation, HeadMotion, Participant
from dualtalk.errors import InputError
from dualtalk.head import Head, load_head, retarget
from dualtalk.head.blendshapes import UNIT_SLOT
from dualtalk.head.live_link import as_open
from dualtalk.head.retargeting import fit_residual
from dualtalk.head.skinned import SkinnedHead
from dualtalk.io.audio_file import write_wave
from dualtalk.render.scene import APPEARANCES, Appearance, camera_layout, eye_midpoint_m
from dualtalk.timebase import MOTION_FPS

NO_BLENDSHAPES = (
    "only joint rotations (head, eyes, jaw) are exact; FLAME expressions are not ARKit blendshapes, so those are "
    "0; pass --head with your FLAME file to fit them"
)
NO_FLAME = (
    "only poses are exact; the open head's expressions and identity are not FLAME's, so exp and shape are 0; "
    "pass --head with your FLAME file to fit exp"
)


@dataclass(frozen=True)
class ExportOptions:
    """Options that single formats use.

    Attributes
    ----------
    bfm : path, optional
        The user's file of the Basel face model, for the format `bfm`.
    size_px : int
        Width and height of the format `driving-video`.
    """

    bfm: Path | None = None
    size_px: int = 512


@dataclass(frozen=True, eq=False)
class Export:
    """What an exporter receives.

    Attributes
    ----------
    participants : mapping of str to Participant
        By label, "a" and "b" or one of them; each has motion.
    head : Head
        The head that shows the motion.
    fps : int
        Rows or frames a second to write; one of the exporter's `rates_fps`.
    options : ExportOptions
        Options of single formats.
    """

    participants: Mapping[str, Participant]
    head: Head
    fps: int = MOTION_FPS
    options: ExportOptions = ExportOptions()

    @classmethod
    def of(cls, conversation: Conversation, head: Head) -> "Export":
        """Both participants of a conversation at the motion's own frame rate."""
        return cls(dict(zip(PARTY, conversation.participants, strict=True)), head)

    @property
    def motions(self) -> dict[str, HeadMotion]:
        """Motion by label."""
        return {label: person.required_motion for label, person in self.participants.items()}

    @property
    def appearances(self) -> dict[str, Appearance]:
        """The colours that the renderer gives each participant, by label."""
        return {label: APPEARANCES[PARTY.index(label)] for label in self.participants}

    @property
    def placements(self) -> dict[str, np.ndarray]:
        """(4, 4) matrices from head to scene coordinates, by label.

        Two participants face each other as in the face-to-face view; one alone stays in the head's own
        coordinates.
        """
        if len(self.participants) == 1:
            return {label: np.eye(4, dtype=np.float32) for label in self.participants}
        anchor_m, placements = eye_midpoint_m(self.head), camera_layout("face-to-face").placements
        return {label: placements[PARTY.index(label)].world_from_head(anchor_m) for label in self.participants}

    @property
    def skinned_head(self) -> SkinnedHead:
        """`head`, for formats that contain a rig.

        Raises
        ------
        InputError
            The head has no joints and skinning weights.
        """
        if not isinstance(self.head, SkinnedHead):
            raise InputError(f"head {self.head.name!r} has no skinning weights; wanted the open head or FLAME")
        return self.head

    def retargeted(self) -> tuple["Export", list[str]]:
        """The same export with all motion in the head's space, and notes about expressions that were fitted.

        Raises
        ------
        InputError
            FLAME motion without a FLAME head.
        """
        participants, notes = {}, []
        for label, person in self.participants.items():
            motion = person.required_motion
            if motion.space != self.head.space:
                if self.head.space == "open":
                    raise InputError(
                        f"the motion of {label} is for a FLAME head, which is not bundled; "
                        "pass --head with your FLAME file"
                    )
                motion, note = _fitted(label, motion, load_head("open"), self.head)
                person = replace(person, motion=motion)
                notes.append(note)
            participants[label] = person
        return replace(self, participants=participants), notes

    def open_motions(self) -> tuple[dict[str, HeadMotion], list[str]]:
        """Motion of the open head by label, whose expressions are ARKit's blendshapes, and notes.

        FLAME motion is fitted if `head` is its FLAME head. Otherwise only its joint rotations are kept.
        """
        motions, notes = {}, []
        for label, motion in self.motions.items():
            if motion.space != "open" and self.head.space == motion.space:
                motion, note = _fitted(label, motion, self.head, load_head("open"))
                notes.append(note)
            elif motion.space != "open":
                motion = as_open(motion)
                notes.append(f"{label}: {NO_BLENDSHAPES}")
            motions[label] = motion
        return motions, notes

    def flame_motions(self, *, without: Sequence[str] = ()) -> tuple[dict[str, HeadMotion], list[str]]:
        """Motion in FLAME's space by label, and notes.

        Motion of the open head is fitted if `head` is a FLAME head. Otherwise only its joint rotations are kept.

        Parameters
        ----------
        without : sequence of str
            ARKit blendshapes that the format has elsewhere, which are left out of the fit of open-head motion.
        """
        motions, notes = {}, []
        for label, motion in self.motions.items():
            if motion.space != "flame" and self.head.space == "flame":
                motion, note = _fitted(label, without_units(motion, without), load_head("open"), self.head)
                notes.append(note)
            elif motion.space != "flame":
                motion = _without_expression(motion)
                notes.append(f"{label}: {NO_FLAME}")
            motions[label] = motion
        return motions, notes

    def write_voices(self, folder: Path, names: Mapping[str, str] | None = None) -> None:
        """Write each participant's voice as `<label>.wav`, or under the name that `names` gives to the label."""
        for label, person in self.participants.items():
            write_wave(folder / f"{(names or {}).get(label, label)}.wav", person.audio)


def without_units(motion: HeadMotion, units: Sequence[str]) -> HeadMotion:
    """Motion of the open head with some of ARKit's expression blendshapes at 0."""
    coefficients = motion.coefficients.copy()
    first = motion.layout.slice_of("expression").start
    coefficients[:, [first + UNIT_SLOT[unit] for unit in units]] = 0
    return replace(motion, coefficients=coefficients)


def _without_expression(motion: HeadMotion) -> HeadMotion:
    coefficients = motion.coefficients.copy()
    coefficients[:, motion.layout.slice_of("expression")] = 0
    return HeadMotion(coefficients, "flame", motion.layout, valid=motion.valid)


def _fitted(label: str, motion: HeadMotion, source: Head, target: Head) -> tuple[HeadMotion, str]:
    """Motion retargeted to another head, and the note about it."""
    residual = fit_residual(motion, source, target)
    name = "the open head" if target.name == "open" else target.name
    residual_mm, displacement_mm = 1000 * residual.residual_m, 1000 * residual.displacement_m
    note = (
        f"{label}: expressions were fitted to {name} by least squares, with a mean residual of {residual_mm:.2f} "
        f"mm where they displace the skin by {displacement_mm:.2f} mm; joints are exact"
    )
    return retarget(motion, source, target), note
