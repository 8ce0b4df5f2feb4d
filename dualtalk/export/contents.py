"""What an exporter receives: the participants of a conversation, the head that shows them, and their placement."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dualtalk.core import PARTY, Conversation, HeadMotion, Participant
from dualtalk.errors import InputError
from dualtalk.head import Head, load_head, retarget
from dualtalk.head.skinned import SkinnedHead
from dualtalk.io.audio_file import write_wave
from dualtalk.render.scene import APPEARANCES, Appearance, camera_layout, eye_midpoint_m
from dualtalk.timebase import MOTION_FPS


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
    """

    participants: Mapping[str, Participant]
    head: Head
    fps: int = MOTION_FPS

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
                person = replace(person, motion=retarget(motion, load_head("open"), self.head))
                notes.append(fitting_note(label, self.head.name))
            participants[label] = person
        return replace(self, participants=participants), notes

    def write_voices(self, folder: Path, names: Mapping[str, str] | None = None) -> None:
        """Write each participant's voice as `<label>.wav`, or under the name that `names` gives to the label."""
        for label, person in self.participants.items():
            write_wave(folder / f"{(names or {}).get(label, label)}.wav", person.audio)


def fitting_note(label: str, head_name: str) -> str:
    """The note about expressions that were fitted to another head."""
    return f"{label}: expressions were fitted to {head_name} by least squares; joints are exact"
