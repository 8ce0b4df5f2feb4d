"""Room acoustics: rooms, microphones, levels and noise of a synthetic recording.

Half of the conversations take place face to face in one room, where each microphone also records the other
person; in the other half, each person is in a room of their own, as in a call. Rooms are shoe boxes simulated by
the image source method (Allen & Berkley 1979) of pyroomacoustics.
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

ROOM_SIZE_M = ((3.0, 7.0), (2.8, 6.0), (2.4, 3.2))
# Reverberation times of furnished living rooms and offices.
RT60_S = (0.15, 0.45)
MOUTH_HEIGHT_M = (1.1, 1.6)
PERSON_DISTANCE_M = (0.9, 1.8)
MICROPHONE_DISTANCE_M = (0.08, 0.5)
SPEECH_LEVEL_DBFS, SIGNAL_TO_NOISE_DB = (-32.0, -20.0), (28.0, 55.0)
MAX_AMPLITUDE = 0.95
# In rooms this dry and with microphones this near, reflections of a higher order are some 30 dB below the direct
# sound.
MAX_REFLECTION_ORDER = 8
WALL_CLEARANCE_M = 0.4


@dataclass(frozen=True)
class RecordingSetup:
    """Recording conditions of a conversation. Pairs have one value for each person.

    Attributes
    ----------
    same_room : bool
        Whether both people are in one room.
    rt60_s : (float, float)
        Reverberation time (decay by 60 dB) of each person's room.
    microphone_distance_m : (float, float)
        Distance from the mouth to the microphone.
    speech_level_dbfs : (float, float)
        Root mean square of the speech relative to full scale.
    noise_level_db : (float, float)
        Level of the noise relative to the speech.
    """

    same_room: bool
    rt60_s: tuple[float, float]
    microphone_distance_m: tuple[float, float]
    speech_level_dbfs: tuple[float, float]
    noise_level_db: tuple[float, float]


def draw_recording_setup(rng: np.random.Generator) -> RecordingSetup:
    """Draw the recording conditions of a conversation."""
    same_room = bool(rng.random() < 0.5)

    def draw_pair(bounds: tuple[float, float]) -> tuple[float, float]:
        first, second = rng.uniform(*bounds, size=2).round(3).tolist()
        return first, second

    rt60_s = draw_pair(RT60_S)
    if same_room:
        rt60_s = (rt60_s[0], rt60_s[0])
    snr_db = draw_pair(SIGNAL_TO_NOISE_DB)
    distance_m, level_dbfs = draw_pair(MICROPHONE_DISTANCE_M), draw_pair(SPEECH_LEVEL_DBFS)
    return RecordingSetup(same_room, rt60_s, distance_m, level_dbfs, (-snr_db[0], -snr_db[1]))


def simulate_recording(
    voices: Float32[np.ndarray, "2 sample"], speech_rms: float, setup: RecordingSetup, rng: np.random.Generator
) -> Float32[np.ndarray, "2 sample"]:
    """Simulate the signal of each person's microphone.

    Parameters
    ----------
    voices : (2, sample) float32
        Anechoic speech of both people, 16 kHz.
    speech_rms : float
        Root mean square of the anechoic speech.
    setup : RecordingSetup
    rng : Generator
        Draws the room's geometry and the noise.

    Returns
    -------
    (2, sample) float32
        The delay of the direct sound is removed, so speech keeps its timing.
    """
    if setup.same_room:
        responses = _impulse_responses(rng, setup.rt60_s[0], setup.microphone_distance_m, mouths=2)
        reverberant = [_convolve(voices, responses[index], index) for index in (0, 1)]
    else:
        reverberant = []
        for index in (0, 1):
            distance_m = (setup.microphone_distance_m[index],)
            response = _impulse_responses(rng, setup.rt60_s[index], distance_m, mouths=1)
            reverberant.append(_convolve(voices[index : index + 1], response[0], 0))
    recorded = np.empty_like(voices)
    for index, signal in enumerate(reverberant):
        level = 10 ** (setup.speech_level_dbfs[index] / 20)
        noise = _pink_noise(len(signal), rng) * level * 10 ** (setup.noise_level_db[index] / 20)
        mixed = signal * (level / speech_rms) + noise
        recorded[index] = mixed * min(1.0, MAX_AMPLITUDE / np.abs(mixed).max())
    return recorded


def _impulse_responses(
    rng: np.random.Generator, rt60_s: float, microphone_distance_m: tuple[float, ...], mouths: int
) -> list[list[np.ndarray]]:
    """Impulse responses from each mouth to each microphone of one room; the first index is the microphone."""
    size = np.array([rng.uniform(*bounds) for bounds in ROOM_SIZE_M])
    centre = np.array([*(rng.uniform(0.4, 0.6, size=2) * size[:2]), rng.uniform(*MOUTH_HEIGHT_M)])
    angle, distance_m = rng.uniform(0, 2 * np.pi), rng.uniform(*PERSON_DISTANCE_M)
    ahead = np.array([np.cos(angle), np.sin(angle), 0.0])
    positions = [centre - ahead * distance_m / 2, centre + ahead * distance_m / 2][:mouths]
    inside = [np.clip(position, WALL_CLEARANCE_M, size - WALL_CLEARANCE_M) for position in positions]
    absorption, order = pyroomacoustics.inverse_sabine(rt60_s, size)
    room = pyroomacoustics.ShoeBox(
        size,
        fs=AUDIO_RATE_HZ,
        materials=pyroomacoustics.Material(min(absorption, 0.95)),
        max_order=min(order, MAX_REFLECTION_ORDER),
    )
    for position, near_m, facing in zip(inside, microphone_distance_m, (ahead, -ahead)[:mouths], strict=True):
        room.add_source(position)
        microphone = position + facing * near_m * 0.7 - [0, 0, 0.7 * near_m]
        room.add_microphone(np.clip(microphone, 0.1, size - 0.1))
    room.compute_rir()
    return room.rir


def _convolve(voices: np.ndarray, responses: list[np.ndarray], own: int) -> np.ndarray:
    """The voices at one microphone; the direct sound of voice `own` has gain 1 and no delay."""
    arrival = int(np.abs(responses[own]).argmax())
    gain = 1 / np.abs(responses[own][arrival])
    signal = np.zeros(voices.shape[1])
    for voice, response in zip(voices, responses, strict=True):
        signal += oaconvolve(voice.astype(np.float64), response * gain)[arrival : arrival + len(signal)]
    return signal


def _pink_noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a power spectrum of -3 dB per octave and unit root mean square."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), samples)
    return noise / np.sqrt(np.mean(noise**2))
