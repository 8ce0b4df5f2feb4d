"""Rules that animate both people of a conversation from their voices: no training, no weights."""

from dualtalk.animator.listening import Event
from dualtalk.animator.rules import Animation, animate
from dualtalk.animator.voice import Transcript

__all__ = ["Animation", "Event", "Transcript", "animate"]
