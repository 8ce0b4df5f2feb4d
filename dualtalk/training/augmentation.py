"""The same talk recorded otherwise: in another room, louder or softer, of another colour, through a narrower band,
with noise, its loudness evened out, overdriven.

Voices of a corpus are recorded alike, and a model that takes their level, colour, band or echo for what is said
fails on the next recording: at a telephone's band, lips stay open at every second p, b and m; where a call's or a
podcast's levels are evened out, at every third m, whose hum is then as loud as the vowels beside it.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool1d, interpolate, pad

from dualtalk.timebase import AUDIO_RATE_HZ

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
# A room's echo falls by 60 dB in this time, and is so far below the voice itself; the share of voices in a room.
REVERBERATION_S, DIRECT_DB, ROOM_SHARE = (0.1, 0.7), (0.0, 20.0), 0.5
FALLEN_DB = 60.0
# By what share levels are evened out, over how long, and the share of voices whose are; what is softer than the
# floor, below the voice's own level, is not lifted any more.
EVENED, EVENED_OVER_S, EVENED_SHARE = (0.0, 0.6), (0.01, 0.15), 0.5
EVENED_FLOOR_DB, LEVEL_HOP_S = -30.0, 0.005
# How far above its level a voice is cut off, softly, and the share of voices that are.
CUT_OFF_DB, CUT_OFF_SHARE = (-6.0, 18.0), 0.3
SOFTEST = 1e-5


def otherwise_recorded(audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 sample"]:
    """Each voice in a room and by a microphone of its own, drawn from torch's generator."""
    gain_db, noise_db = (_drawn(audio, bounds) for bounds in (GAIN_DB, NOISE_DB))
    noisy = in_a_room(audio) + 10 ** ((noise_db - gain_db) / 20) * torch.randn_like(audio)
    spectrum = torch.fft.rfft(noisy)
    response_db = gain_db + _colour_db(audio, spectrum.shape[-1]) + _band_db(audio, spectrum.shape[-1])
    heard = torch.fft.irfft(spectrum * 10 ** (response_db.clamp(min=DEEPEST_DB) / 20), audio.shape[-1])
    return cut_off(evened(heard))


def in_a_room(audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 sample"]:
    """With an echo: noise that falls by `FALLEN_DB` in the room's reverberation time, after Moorer 1979, "About
    this reverberation business"."""
    tail = round(REVERBERATION_S[1] * AUDIO_RATE_HZ)
    time_s = torch.arange(1, tail + 1, device=audio.device) / AUDIO_RATE_HZ
    falls_db = FALLEN_DB * time_s / _drawn(audio, REVERBERATION_S)
    echo = 10 ** (-falls_db / 20) * torch.randn(*audio.shape[:2], tail, device=audio.device)
    loudness = 10 ** (-_drawn(audio, DIRECT_DB) / 20) * _some(audio, ROOM_SHARE)
    echo = echo / echo.norm(dim=-1, keepdim=True) * loudness
    length = audio.shape[-1] + tail
    echoed = torch.fft.irfft(torch.fft.rfft(audio, length) * torch.fft.rfft(echo, length), length)
    return audio + pad(echoed, (1, 0))[..., : audio.shape[-1]]


def evened(audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 sample"]:
    """With soft sounds lifted towards the loud ones, as gain control does; as loud as before on the whole."""
    hop = round(LEVEL_HOP_S * AUDIO_RATE_HZ)
    power = avg_pool1d(audio.square(), hop, ceil_mode=True)
    # Smoothed by a bell, by way of its spectrum.
    width_hops = _drawn(audio, EVENED_OVER_S) / LEVEL_HOP_S
    cycles = torch.fft.rfftfreq(power.shape[-1], device=audio.device)
    bell = torch.exp(-0.5 * (2 * torch.pi * cycles * width_hops).square())
    smooth = torch.fft.irfft(torch.fft.rfft(power) * bell, power.shape[-1]).clamp(min=0)
    floor = 10 ** (EVENED_FLOOR_DB / 10) * audio.square().mean(dim=-1, keepdim=True) + SOFTEST**2
    share = _drawn(audio, EVENED) * _some(audio, EVENED_SHARE)
    gain = (smooth + floor) ** (-share / 2)
    return _as_loud(audio * interpolate(gain, audio.shape[-1], mode="linear"), audio)


def cut_off(audio: Float[Tensor, "batch 2 sample"]) -> Float[Tensor, "batch 2 sample"]:
    """Overdriven: bent towards a most that the sound gets to; as loud as before on the whole."""
    most = 10 ** (_drawn(audio, CUT_OFF_DB) / 20) * audio.square().mean(dim=-1, keepdim=True).sqrt() + SOFTEST
    bent = _as_loud(most * torch.tanh(audio / most), audio)
    return torch.where(_some(audio, CUT_OFF_SHARE), bent, audio)


def _as_loud(
    audio: Float[Tensor, "batch 2 sample"], before: Float[Tensor, "batch 2 sample"]
) -> Float[Tensor, "batch 2 sample"]:
    wanted, came = (one.norm(dim=-1, keepdim=True).clamp(min=SOFTEST) for one in (before, audio))
    return audio * (wanted / came)


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
    ends = torch.where(_some(audio, ENDED_SHARE), ends, octave[-1])
    return -_drawn(audio, FALL_DB) * ((begins - octave).clamp(min=0) + (octave - ends).clamp(min=0))


def _hertz(audio: Float[Tensor, "batch 2 sample"], bins: int) -> Float[Tensor, "bin"]:
    return torch.linspace(0, AUDIO_RATE_HZ / 2, bins, device=audio.device)


def _drawn(audio: Float[Tensor, "batch 2 sample"], bounds: tuple[float, float]) -> Float[Tensor, "batch 2 1"]:
    low, high = bounds
    return low + (high - low) * torch.rand_like(audio[..., :1])


def _some(audio: Float[Tensor, "batch 2 sample"], share: float) -> Bool[Tensor, "batch 2 1"]:
    """Which voices, so large a share of them."""
    return torch.rand_like(audio[..., :1]) < share
