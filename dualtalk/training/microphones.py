"""The same talk by another microphone: louder or softer, brighter or duller, with more or less noise.

Voices of a corpus are recorded alike, and a model that takes their level or colour for what is said fails on the
next recording.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# How far a microphone's level, colour and noise vary, each evenly within these.
GAIN_DB = (-10.0, 8.0)
# Coefficient of a filter of one zero: below 0 it dulls, above it brightens.
COLOUR = (-0.4, 0.6)
# Below full scale.
NOISE_DB = (-90.0, -45.0)


def otherwise_recorded(audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 sample"]:
    """Each voice by a microphone of its own, drawn from torch's generator."""
    gain, noise = (10 ** (_drawn(audio, bounds) / 20) for bounds in (GAIN_DB, NOISE_DB))
    colour = _drawn(audio, COLOUR)
    earlier = torch.cat([torch.zeros_like(audio[..., :1]), audio[..., :-1]], dim=-1)
    return gain * (audio - colour * earlier) + noise * torch.randn_like(audio)


def _drawn(audio: Float[Tensor, "batch 2 sample"], bounds: tuple[float, float]) -> Float[Tensor, "batch 2 1"]:
    low, high = bounds
    return low + (high - low) * torch.rand_like(audio[..., :1])
