"""Rules that animate both people of a conversation from their voices: no training, no weights."""

from dualtalk.animator.listening import Event
from dualtalk.animator.rules import Animation, animate

__all__ = ["Animation", "Event", "animate"]
