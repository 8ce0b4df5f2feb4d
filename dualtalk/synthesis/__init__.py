"""The synthetic corpus: dialogue text, speech synthesis, turn timing, room acoustics and rule-based motion."""

from dualtalk.synthesis.corpus import synthesize

__all__ = ["synthesize"]
