"""Labels, and options with a fixed set of values, which the command line and the library share.

They are in a separate module that imports nothing heavy, so that `dualtalk VERB --help` answers at once.
"""

from typing import Literal

# Labels of the two participants, in files, tables and messages.
PARTY = ("a", "b")

# `mean` is a model's deterministic prediction, `sample` a stochastic one.
Mode = Literal["mean", "sample"]
ViewName = Literal["split", "face-to-face"]
RendererName = Literal["auto", "moderngl", "pyrender"]
# Input of a model besides both voices: the partner's true motion up to the frame before, or nothing.
Protocol = Literal["partner-given", "closed-loop"]
SplitScheme = Literal["official", "speaker-disjoint"]
