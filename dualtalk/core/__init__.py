"""The types that stages exchange: the motion of a head, a participant, and a conversation of two.

Conventions: 25 frames a second; 16 kHz mono float32 audio in [-1, 1], exactly 640 samples a frame; radians,
metres, seconds. Axes of a head are FLAME's: x to the person's left, y up, z out of the face. Rotations are
axis-angle. Axis names of arrays: batch, party (2), frame, sample, coef, vertex.

Expression coefficients are only meaningful together with their `space`, which names the expression basis.
"""

from dualtalk.choices import PARTY, Space
from dualtalk.core.conversation import Conversation, Participant, speaking_frames
from dualtalk.core.motion import (
    DUALTALK56,
    EXPRESSION_COEFFICIENTS,
    FULL62,
    IDENTITY_COEFFICIENTS,
    LAYOUTS,
    HeadMotion,
    MotionLayout,
)
from dualtalk.core.validation import require_radians

__all__ = [
    "DUALTALK56",
    "EXPRESSION_COEFFICIENTS",
    "FULL62",
    "IDENTITY_COEFFICIENTS",
    "LAYOUTS",
    "PARTY",
    "Conversation",
    "HeadMotion",
    "MotionLayout",
    "Participant",
    "Space",
    "require_radians",
    "speaking_frames",
]
