"""The same talk by another microphone: louder or softer, of another colour, through a narrower band, with noise.

Voices of a corpus are recorded alike, and a model that takes their level, colour or band for what is said fails on
the next recording: at a telephone's band, lips stay open at every second p, b and m.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dualtalk.models.interface import AUDIO_RATE_HZ

# How far a microphone's level and noise vary, each evenly within these; noise is below full scale.
GAIN_DB = (-10.0, 8.0)
NOISE_DB = (-90.0, -40.0)
# Deviation of a microphone's colour at places spread over the mel scale; between them it is smooth.
COLOUR_DB, COLOUR_PLACES = 5.0, 6
# Where bands begin and end, and the share of voices that come through a band with an end.
BAND_BEGINS_HZ, BAND_ENDS_HZ, ENDED_SHARE = (20.0, 300.0), (3300.0, 8000.0), 0.5
# How fast a response falls outside its band, for each octave.
FALL_DB = (24.0, 120.0)
DEEPEST_DB = -80.0


def otherwise_recorded(audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 sample"]:
    """Each voice by a microphone of its own, drawn from torch's generator."""
    gain_db, noise_db = (_drawn(audio, bounds) for bounds in (GAIN_DB, NOISE_DB))
    noisy = audio + 10 ** ((noise_db - gain_db) / 20) * torch.randn_like(audio)
    spectrum = torch.fft.rfft(noisy)
    response_db = gain_db + _colour_db(audio, spectrum.shape[-1]) + _band_db(audio, spectrum.shape[-1])
    return torch.fft.irfft(spectrum * 10 ** (response_db.clamp(min=DEEPEST_DB) / 20), audio.shape[-1])


def _colour_db(audio: Float[Tensor, "batch 2 sample"], bins: int) -> Float[Tensor, "batch 2 bin"]:
    """A smooth curve, evenly wild on the mel scale."""
    mel = torch.log1p(_hertz(audio, bins) / 700)
    places = mel / mel[-1] * (COLOUR_PLACES - 1)
    heights = COLOUR_DB * audio.new_empty(*audio.shape[:2], COLOUR_PLACES).normal_()
    before = places.long().clamp(max=COLOUR_PLACES - 2)
    # Half a cosine from each height to the next.
    share = (1 - torch.cos(torch.pi * (places - before))) / 2
    return torch.lerp(heights[..., before], heights[..., before + 1], share)


def _band_db(audio: Float[Tensor, "batch 2 sample"], bins: int) -> Float[Tensor, "batch 2 bin"]:
    """How much is lost below where the band begins and above where it ends."""
    octave = _hertz(audio, bins).clamp(min=1).log2()
    begins, ends = (
        _drawn(audio, tuple(torch.tensor(bounds).log2().tolist())) for bounds in (BAND_BEGINS_HZ, BAND_ENDS_HZ)
    )
    ends = torch.where(torch.rand_like(ends) < ENDED_SHARE, ends, octave[-1])
    return -_drawn(audio, FALL_DB) * ((begins - octave).clamp(min=0) + (octave - ends).clamp(min=0))


def _hertz(audio: Float[Tensor, "batch 2 sample"], bins: int) -> Float[Tensor, "bin"]:
    return torch.linspace(0, AUDIO_RATE_HZ / 2, bins, device=audio.device)


def _drawn(audio: Float[Tensor, "batch 2 sample"], bounds: tuple[float, float]) -> Float[Tensor, "batch 2 1"]:
    low, high = bounds
    return low + (high - low) * torch.rand_like(audio[..., :1])
