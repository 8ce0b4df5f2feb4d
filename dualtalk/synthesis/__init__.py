"""The synthetic corpus: dialogues that are written, spoken, placed in time and in rooms, and animated."""

from dualtalk.synthesis.synthesize import add_teacher_motion, synthesize

__all__ = ["add_teacher_motion", "synthesize"]
