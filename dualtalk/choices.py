"""Labels, and options with a fixed set of values, which the command line and the library share.

They are in a separate module that imports nothing heavy, so that `dualtalk VERB --help` answers at once.
"""

from dataclasses import dataclass
from typing import Literal

# Labels of the two participants, in files, tables and messages.
PARTY = ("a", "b")

# Whose expression basis the coefficients of a motion have.
Space = Literal["flame", "open"]

# `mean` is a model's deterministic prediction, `sample` a stochastic one.
Mode = Literal["mean", "sample"]
ViewName = Literal["split", "face-to-face"]
RendererName = Literal["auto", "moderngl", "pyrender"]
# Where units of work run: processes of this machine, or the workers of a Ray cluster.
EngineName = Literal["local", "ray"]
# Input of a model besides both voices: the partner's true motion up to the frame before, or nothing.
Protocol = Literal["partner-given", "closed-loop"]
SplitScheme = Literal["official", "speaker-disjoint"]
# Other systems whose outputs can be read; `dualtalk.head.system_outputs` reads them.
SystemName = Literal[
    "diffposetalk",
    "emote",
    "artalk",
    "unitalker",
    "vertices",
    "said",
    "emotalk",
    "audio2face",
    "lam",
    "live-link",
]


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster as the place of work, in place of a number of processes.

    Attributes
    ----------
    address : str, optional
        Address of the cluster's head node, such as "10.0.0.1:6379"; "auto" for the cluster of this machine. By
        default the one of the variable RAY_ADDRESS, or a new one on this machine.
    """

    address: str | None = None


Workers = int | RayCluster
