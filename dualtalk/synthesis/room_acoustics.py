"""Where it is said: a room, two microphones, levels and noise.

Half of the conversations are held in one room, face to face, where each microphone also hears the other person;
half over a line, each person in a room of their own. Rooms are shoe boxes by the image source method (Allen &
Berkley 1979), as pyroomacoustics has it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.signal import oaconvolve

from dualtalk.errors import missing_extra
from dualtalk.timebase import AUDIO_RATE_HZ

try:
    import pyroomacoustics
except ModuleNotFoundError as error:
    raise missing_extra("a synthetic corpus", "synthesis", error) from error

SIZE_M = ((3.0, 7.0), (2.8, 6.0), (2.4, 3.2))
# Reverberation times of furnished living rooms and offices.
REVERBERATION_S = (0.15, 0.45)
MOUTH_HEIGHT_M = (1.1, 1.6)
APART_M = (0.9, 1.8)
MICROPHONE_M = (0.08, 0.5)
LEVEL_DB, NOISE_BELOW_SPEECH_DB = (-32.0, -20.0), (28.0, 55.0)
LARGEST_SAMPLE = 0.95
# Reflections beyond this order are some 30 dB below the direct sound in rooms this dry and microphones this near.
LARGEST_ORDER = 8
WALL_M = 0.4


@dataclass(frozen=True)
class Scene:
    """How a conversation was recorded.

    Attributes
    ----------
    together : bool
        One room for both people.
    reverberation_s : (float, float)
        Time to fall by 60 dB, of each person's room.
    microphone_m : (float, float)
        From each mouth to its microphone.
    level_db : (float, float)
        Root mean square of each person's speech relative to full scale.
    noise_db : (float, float)
        Of the noise, relative to the speech.
    """

    together: bool
    reverberation_s: tuple[float, float]
    microphone_m: tuple[float, float]
    level_db: tuple[float, float]
    noise_db: tuple[float, float]


def draw_scene(rng: np.random.Generator) -> Scene:
    together = bool(rng.random() < 0.5)

    def two(among: tuple[float, float]) -> tuple[float, float]:
        first, second = rng.uniform(*among, size=2).round(3).tolist()
        return first, second

    reverberation_s = two(REVERBERATION_S)
    if together:
        reverberation_s = (reverberation_s[0], reverberation_s[0])
    noise = two(NOISE_BELOW_SPEECH_DB)
    return Scene(together, reverberation_s, two(MICROPHONE_M), two(LEVEL_DB), (-noise[0], -noise[1]))


def recorded(
    voices: Float32[np.ndarray, "2 sample"], speech_rms: float, scene: Scene, rng: np.random.Generator
) -> Float32[np.ndarray, "2 sample"]:
    """What each person's microphone hears of both dry voices; the direct sound keeps its time."""
    if scene.together:
        responses = _responses(rng, scene.reverberation_s[0], scene.microphone_m, mouths=2)
        heard = [_heard(voices, responses[index], index) for index in (0, 1)]
    else:
        heard = []
        for index in (0, 1):
            response = _responses(rng, scene.reverberation_s[index], (scene.microphone_m[index],), mouths=1)
            heard.append(_heard(voices[index : index + 1], response[0], 0))
    out = np.empty_like(voices)
    for index, own in enumerate(heard):
        level = 10 ** (scene.level_db[index] / 20)
        noise = _pink(len(own), rng) * level * 10 ** (scene.noise_db[index] / 20)
        mixed = own * (level / speech_rms) + noise
        out[index] = mixed * min(1.0, LARGEST_SAMPLE / np.abs(mixed).max())
    return out


def _responses(
    rng: np.random.Generator, reverberation_s: float, microphone_m: tuple[float, ...], mouths: int
) -> list[list[np.ndarray]]:
    """Impulse responses of each microphone to each mouth, in one room."""
    size = np.array([rng.uniform(*among) for among in SIZE_M])
    centre = np.array([*(rng.uniform(0.4, 0.6, size=2) * size[:2]), rng.uniform(*MOUTH_HEIGHT_M)])
    angle, apart_m = rng.uniform(0, 2 * np.pi), rng.uniform(*APART_M)
    ahead = np.array([np.cos(angle), np.sin(angle), 0.0])
    places = [centre - ahead * apart_m / 2, centre + ahead * apart_m / 2][:mouths]
    inside = [np.clip(place, WALL_M, size - WALL_M) for place in places]
    absorption, order = pyroomacoustics.inverse_sabine(reverberation_s, size)
    room = pyroomacoustics.ShoeBox(
        size,
        fs=AUDIO_RATE_HZ,
        materials=pyroomacoustics.Material(min(absorption, 0.95)),
        max_order=min(order, LARGEST_ORDER),
    )
    for place, distance_m, facing in zip(inside, microphone_m, (ahead, -ahead)[:mouths], strict=True):
        room.add_source(place)
        room.add_microphone(np.clip(place + facing * distance_m * 0.7 - [0, 0, 0.7 * distance_m], 0.1, size - 0.1))
    room.compute_rir()
    return room.rir


def _heard(voices: np.ndarray, responses: list[np.ndarray], own: int) -> np.ndarray:
    """Voices through one microphone's responses, with the own direct sound at gain 1 and without delay."""
    arrival = int(np.abs(responses[own]).argmax())
    gain = 1 / np.abs(responses[own][arrival])
    heard = np.zeros(voices.shape[1])
    for voice, response in zip(voices, responses, strict=True):
        heard += oaconvolve(voice.astype(np.float64), response * gain)[arrival : arrival + len(heard)]
    return heard


def _pink(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls by 3 dB an octave, of unit root mean square."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), samples)
    return noise / np.sqrt(np.mean(noise**2))
