"""Models of the motion of two people: duet, DualTalk (Peng et al. 2025), and baselines, behind one interface.

Their inputs and outputs are tensors: 16 kHz audio in, motion coefficients at 25 frames a second out. They read no
files but their own, and depend on no head and no conversation type.
"""
