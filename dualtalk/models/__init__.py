"""Networks that move two people: ours, the published reference, and baselines, behind one interface.

They know tensors only: 16 kHz audio in, motion coefficients at 25 frames a second out, nothing of files, heads or
conversations.
"""
