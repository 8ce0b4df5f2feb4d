"""Voices that say a text and tell when each phoneme sounds.

No synthesiser is part of this package: flite (voices of real speakers) and espeak-ng (formant synthesis, many
variants) are called as programs; piper and Kokoro (neural) where the user has them with their files. All but piper
tell the times of phonemes; piper's are heard from its sound.

No voice is in two splits. flite's kal16 and its own set of espeak-ng variants are for the test.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32
from pyannote.core import Segment, Timeline

from dualtalk.audio.phonemes import Phoneme, plain_ipa, recognise_phonemes
from dualtalk.errors import SetupError, missing_extra
from dualtalk.synthesis import kokoro
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

Engine = Literal["flite", "espeak-ng", "piper", "kokoro"]

FLITE_VOICES = {"train": ("slt", "rms", "awb"), "validation": (), "test": ("kal16",)}
ESPEAK_ACCENTS = ("en", "en-us", "gmw/en-GB-x-rp", "en-gb-scotland", "en-us-nyc", "en-029")
ESPEAK_VARIANTS = {
    "train": (
        *("Alex", "Andrea", "Annie", "Denis", "Gene", "Hugo", "Lee", "Marco", "Michael", "adam", "anika"),
        *("antonio", "aunty", "belinda", "benjamin", "caleb", "david", "f1", "f2", "f3", "m1", "m2", "m3", "m4"),
        *("iven", "john", "linda", "max", "miguel", "pablo", "robert", "steph2", "travis"),
    ),
    "validation": ("f4", "m6", "Alicia", "Mario", "steph", "edward"),
    "test": ("f5", "m7", "Andy", "shelby", "victor", "quincy"),
}
FLITE_SHARE, PIPER_SHARE, KOKORO_SHARE = 0.5, 0.5, 0.9
# How far a voice is moved from its recording: all frequencies, as a longer or shorter vocal tract would
# (tracts of adults differ by about 15 %, Fant 1966), and the rate of speech.
TRACT_RANGE = (0.9, 1.12)
PACE_RANGE = (0.95, 1.25)
ESPEAK_WORDS_PER_MINUTE = 170
ESPEAK_PITCH_RANGE = (35, 65)
# Sound kept around the phonemes, so that nothing is cut off.
LEAD_S, TAIL_S = 0.02, 0.06
LEVEL_RMS = 0.1

# The CMU lexicon's phones, each followed by itself in IPA.
ARPABET_AND_IPA = """
aa ɑ  ae æ  ah ʌ  ao ɔ  aw aʊ  ax ə  axr ɚ  ay aɪ  b b  ch tʃ  d d  dh ð  eh ɛ  er ɚ  ey eɪ  f f  g ɡ  hh h
ih ɪ  iy i  jh dʒ  k k  l l  m m  n n  ng ŋ  ow oʊ  oy ɔɪ  p p  r ɹ  s s  sh ʃ  t t  th θ  uh ʊ  uw u  v v  w w
y j  z z  zh ʒ
"""
ARPABET = dict(zip(ARPABET_AND_IPA.split()[::2], ARPABET_AND_IPA.split()[1::2], strict=True))


@dataclass(frozen=True)
class Voice:
    """One person's way of speaking.

    Attributes
    ----------
    engine : "flite", "espeak-ng", "piper" or "kokoro"
    name : str
        The synthesiser's name of the voice; for piper the path of its onnx file, for Kokoro a recipe.
    tract : float
        Factor on all frequencies (all but espeak-ng).
    pace : float
        Factor on the rate of speech.
    pitch : int
        espeak-ng's, 0 to 99.
    folder : str
        Where Kokoro is.
    """

    engine: Engine
    name: str
    tract: float = 1.0
    pace: float = 1.0
    pitch: int = 50
    folder: str = ""


@dataclass(frozen=True, eq=False)
class Utterance:
    """A text that was said.

    Attributes
    ----------
    audio : (sample,) float32
        16 kHz, at a root mean square of `LEVEL_RMS` while speaking.
    phonemes : tuple of Phoneme
        In seconds from the start of `audio`.
    """

    audio: Float32[np.ndarray, "sample"]
    phonemes: tuple[Phoneme, ...]

    @property
    def duration_s(self) -> float:
        return len(self.audio) / AUDIO_RATE_HZ

    @property
    def begins_s(self) -> float:
        """Where the first phoneme begins."""
        return self.phonemes[0].start_s

    @property
    def ends_s(self) -> float:
        """Where the last phoneme ends."""
        return self.phonemes[-1].end_s

    @property
    def speech(self) -> Timeline:
        """The phonemes' spans, joined where they touch."""
        return Timeline([Segment(sound.start_s, sound.end_s) for sound in self.phonemes]).support(collar=0.02)


def draw_voice(rng: np.random.Generator, split: str, piper: Sequence[str] = (), kokoro_folder: str = "") -> Voice:
    """A voice of `split`; piper's and Kokoro's, where given, are for training only."""
    pace, tract = (round(float(rng.uniform(*among)), 3) for among in (PACE_RANGE, TRACT_RANGE))
    if kokoro_folder and split == "train" and rng.random() < KOKORO_SHARE:
        return Voice("kokoro", kokoro.draw_name(rng, kokoro_folder), tract, pace, folder=kokoro_folder)
    if piper and split == "train" and rng.random() < PIPER_SHARE:
        return Voice("piper", str(rng.choice(list(piper))), tract, pace)
    if FLITE_VOICES[split] and rng.random() < FLITE_SHARE:
        return Voice("flite", str(rng.choice(FLITE_VOICES[split])), tract, pace)
    accent, variant = rng.choice(ESPEAK_ACCENTS), rng.choice(ESPEAK_VARIANTS[split])
    return Voice("espeak-ng", f"{accent}+{variant}", 1.0, pace, int(rng.integers(*ESPEAK_PITCH_RANGE)))


def missing_synthesisers() -> list[str]:
    """Which of flite and espeak-ng this machine lacks."""
    return [program for program in ("flite", "espeak-ng") if shutil.which(program) is None]


def say(lines: Sequence[tuple[Voice, str]]) -> list[Utterance]:
    """Say each text with its voice; the same lines give the same samples.

    Raises
    ------
    SetupError
        A synthesiser is missing or fails.
    """
    if missing := missing_synthesisers():
        raise SetupError(f"{' and '.join(missing)} not found; sudo apt-get install {' '.join(missing)}")
    espeak = iter(_espeak([line for line in lines if line[0].engine == "espeak-ng"]))
    said = []
    with tempfile.TemporaryDirectory(prefix="dualtalk-") as folder:
        for voice, text in lines:
            if voice.engine == "espeak-ng":
                said.append(next(espeak))
            elif voice.engine == "flite":
                said.append(_flite(voice, text, Path(folder)))
            elif voice.engine == "kokoro":
                said.append(_kokoro(voice, text))
            else:
                said.append(_piper(voice, text))
    return said


def _flite(voice: Voice, text: str, folder: Path) -> Utterance:
    wave = folder / "said.wav"
    stretch = voice.tract / voice.pace
    command = ["flite", "-voice", voice.name, "-psdur", "--setf", f"duration_stretch={stretch}", "-t", text + " "]
    finished = subprocess.run([*command, "-o", str(wave)], capture_output=True, text=True, check=False)
    if finished.returncode or not wave.is_file():
        raise SetupError(f"flite could not speak with voice {voice.name}: {finished.stderr.strip() or 'no sound'}")
    samples, rate_hz = soundfile.read(wave, dtype="float32")
    wave.unlink()
    phonemes, start_s = [], 0.0
    for word in finished.stdout.split():
        phone, end = word.rsplit(":", 1)
        end_s = float(end) / voice.tract
        if phone in ARPABET:
            phonemes.append(Phoneme(ARPABET[phone], start_s, end_s))
        start_s = end_s
    return _trimmed(samples, rate_hz * voice.tract, phonemes)


def _espeak(lines: Sequence[tuple[Voice, str]]) -> list[Utterance]:
    if not lines:
        return []
    requests = [
        {
            "voice": voice.name,
            "text": text,
            "words_per_minute": round(ESPEAK_WORDS_PER_MINUTE * voice.pace),
            "pitch": voice.pitch,
        }
        for voice, text in lines
    ]
    script = Path(__file__).with_name("espeak_process.py")
    finished = subprocess.run(
        [sys.executable, "-I", str(script)], input=json.dumps(requests).encode(), capture_output=True, check=False
    )
    if finished.returncode:
        raise SetupError(f"espeak-ng could not speak: {finished.stderr.decode(errors='replace').strip()}")
    said, rest = [], finished.stdout
    for _ in lines:
        head, _, rest = rest.partition(b"\n")
        told = json.loads(head)
        samples = np.frombuffer(rest[: 2 * told["samples"]], np.int16).astype(np.float32) / 2**15
        rest = rest[2 * told["samples"] :]
        said.append(_trimmed(samples, float(told["rate_hz"]), _espeak_phonemes(told)))
    return said


def _espeak_phonemes(told: dict) -> list[Phoneme]:
    """A phoneme that is told of without a length shares the one before it: "l" after a vowel is drawn as one."""
    starts = [start for start, _ in told["phonemes"]]
    ends = [*starts[1:], told["samples"]]
    found: list[Phoneme] = []
    for (start, token), end in zip(told["phonemes"], ends, strict=True):
        symbols = plain_ipa(token)
        start_s, end_s = start / told["rate_hz"], end / told["rate_hz"]
        if symbols and end_s <= start_s and found and found[-1].end_s == start_s:
            before = found.pop()
            start_s = before.start_s + 0.6 * (before.end_s - before.start_s)
            found.append(Phoneme(before.ipa, before.start_s, start_s))
        edges = np.linspace(start_s, end_s, len(symbols) + 1).tolist()
        found += [
            Phoneme(ipa, first, last)
            for ipa, first, last in zip(symbols, edges[:-1], edges[1:], strict=True)
            if last > first
        ]
    return found


def _piper(voice: Voice, text: str) -> Utterance:
    loaded = _piper_voice(voice.name)
    from piper import SynthesisConfig

    # Without noise, so that the same text gives the same sound.
    config = SynthesisConfig(length_scale=voice.tract / voice.pace, noise_scale=0.0, noise_w_scale=0.0)
    chunks = list(loaded.synthesize(text, config))
    samples = np.concatenate([chunk.audio_float_array for chunk in chunks])
    audio = soxr.resample(samples, chunks[0].sample_rate * voice.tract, AUDIO_RATE_HZ)
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max()) / AUDIO_RATE_HZ
    heard = recognise_phonemes(audio, Timeline([Segment(float(loud[0]), float(loud[-1]))]))
    return _trimmed(audio, AUDIO_RATE_HZ, list(heard))


def _kokoro(voice: Voice, text: str) -> Utterance:
    samples, phonemes = kokoro.load_kokoro(voice.folder).say(voice.name, text, voice.pace / voice.tract)
    moved = [Phoneme(one.ipa, one.start_s / voice.tract, one.end_s / voice.tract) for one in phonemes]
    return _trimmed(samples, kokoro.RATE_HZ * voice.tract, moved)


@cache
def _piper_voice(path: str):
    try:
        from piper import PiperVoice
    except ImportError as error:
        raise missing_extra("speech by Piper (GPL-3)", "piper", error) from error
    return PiperVoice.load(path)


def _trimmed(samples: np.ndarray, rate_hz: float, phonemes: list[Phoneme]) -> Utterance:
    """At 16 kHz and `LEVEL_RMS`, without the silence before the first phoneme and after the last."""
    audio = soxr.resample(samples, rate_hz, AUDIO_RATE_HZ).astype(np.float32)
    if not phonemes:
        return Utterance(np.zeros(0, np.float32), ())
    first = max(sample_at(phonemes[0].start_s - LEAD_S), 0)
    audio = audio[first : sample_at(phonemes[-1].end_s + TAIL_S)]
    shift_s = first / AUDIO_RATE_HZ
    moved = tuple(Phoneme(sound.ipa, sound.start_s - shift_s, sound.end_s - shift_s) for sound in phonemes)
    spoken = np.concatenate([audio[sample_at(sound.start_s) : sample_at(sound.end_s)] for sound in moved])
    level = float(np.sqrt(np.mean(np.square(spoken, dtype=np.float64)))) or 1.0
    return Utterance((audio * (LEVEL_RMS / level)).astype(np.float32), moved)
