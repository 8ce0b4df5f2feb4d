"""The rule-based animator: generates the motion of both people from their audio. No training, no weights."""

from dualtalk.animator.listening import GestureEvent
from dualtalk.animator.rules import Animation, animate
from dualtalk.animator.voice_features import Transcript

__all__ = ["Animation", "GestureEvent", "Transcript", "animate"]
