"""Speech synthesis with phoneme times.

No synthesiser is part of this package. The programs flite (voices recorded from speakers) and espeak-ng (formant
synthesis, many variants) are required; Piper and Kokoro (neural) are optional and need their voice files. Every
synthesiser but Piper provides phoneme times; for Piper a phoneme recogniser runs on the audio.

No voice is in two splits: flite's kal16 and separate sets of espeak-ng variants belong to validation and test.
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

from dualtalk.audio.phonemes import ARPABET, Phoneme, plain_ipa, recognise_phonemes
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
# Variation of a voice: a factor on all frequencies, like a shorter or longer vocal tract (vocal tracts of adults
# differ by about 15 %, Fant 1966), and a factor on the speech rate.
FORMANT_SCALE_RANGE = (0.9, 1.12)
SPEECH_RATE_RANGE = (0.95, 1.25)
ESPEAK_WORDS_PER_MINUTE = 170
ESPEAK_PITCH_RANGE = (35, 65)
# Audio kept before the first and after the last phoneme.
LEAD_S, TAIL_S = 0.02, 0.06
LEVEL_RMS = 0.1


@dataclass(frozen=True)
class SpeakerVoice:
    """The synthetic voice of one person.

    Attributes
    ----------
    engine : "flite", "espeak-ng", "piper" or "kokoro"
    name : str
        The synthesiser's name of the voice; for Piper the path of its .onnx file, for Kokoro a mixture such as
        "0.63 af_heart + 0.37 bm_lewis".
    formant_scale : float
        Factor on all frequencies (every engine but espeak-ng).
    speech_rate : float
        Factor on the speech rate.
    pitch : int
        Pitch setting of espeak-ng, 0 to 99.
    folder : str
        Folder of Kokoro's files.
    """

    engine: Engine
    name: str
    formant_scale: float = 1.0
    speech_rate: float = 1.0
    pitch: int = 50
    folder: str = ""


@dataclass(frozen=True, eq=False)
class SpokenLine:
    """A synthesized line of text.

    Attributes
    ----------
    audio : (sample,) float32
        16 kHz; the root mean square of the speech is `LEVEL_RMS`.
    phonemes : tuple of Phoneme
        Times are in seconds from the start of `audio`.
    """

    audio: Float32[np.ndarray, "sample"]
    phonemes: tuple[Phoneme, ...]

    @property
    def duration_s(self) -> float:
        return len(self.audio) / AUDIO_RATE_HZ

    @property
    def begins_s(self) -> float:
        """Start of the first phoneme."""
        return self.phonemes[0].start_s

    @property
    def ends_s(self) -> float:
        """End of the last phoneme."""
        return self.phonemes[-1].end_s

    @property
    def speech(self) -> Timeline:
        """Union of the phonemes' segments."""
        return Timeline([Segment(phoneme.start_s, phoneme.end_s) for phoneme in self.phonemes]).support(
            collar=0.02
        )


def draw_voice(
    rng: np.random.Generator, split: str, piper_voices: Sequence[str] = (), kokoro_dir: str = ""
) -> SpeakerVoice:
    """Draw a voice of a split. Voices of Piper and Kokoro, if given, are for the training split only."""
    rate, formants = (round(float(rng.uniform(*r)), 3) for r in (SPEECH_RATE_RANGE, FORMANT_SCALE_RANGE))
    if kokoro_dir and split == "train" and rng.random() < KOKORO_SHARE:
        mixture = kokoro.draw_voice_mixture(rng, kokoro_dir)
        return SpeakerVoice("kokoro", mixture, formants, rate, folder=kokoro_dir)
    if piper_voices and split == "train" and rng.random() < PIPER_SHARE:
        return SpeakerVoice("piper", str(rng.choice(list(piper_voices))), formants, rate)
    if FLITE_VOICES[split] and rng.random() < FLITE_SHARE:
        return SpeakerVoice("flite", str(rng.choice(FLITE_VOICES[split])), formants, rate)
    accent, variant = rng.choice(ESPEAK_ACCENTS), rng.choice(ESPEAK_VARIANTS[split])
    return SpeakerVoice("espeak-ng", f"{accent}+{variant}", 1.0, rate, int(rng.integers(*ESPEAK_PITCH_RANGE)))


def missing_synthesisers() -> list[str]:
    """Which of the programs flite and espeak-ng are not installed."""
    return [program for program in ("flite", "espeak-ng") if shutil.which(program) is None]


def synthesize_speech(lines: Sequence[tuple[SpeakerVoice, str]]) -> list[SpokenLine]:
    """Synthesize each text with its voice. The same lines give the same samples.

    Raises
    ------
    SetupError
        A synthesiser is missing or fails.
    """
    if missing := missing_synthesisers():
        raise SetupError(f"{' and '.join(missing)} not found; sudo apt-get install {' '.join(missing)}")
    from_espeak = iter(_espeak([line for line in lines if line[0].engine == "espeak-ng"]))
    spoken = []
    with tempfile.TemporaryDirectory(prefix="dualtalk-") as folder:
        for voice, text in lines:
            if voice.engine == "espeak-ng":
                spoken.append(next(from_espeak))
            elif voice.engine == "flite":
                spoken.append(_flite(voice, text, Path(folder)))
            elif voice.engine == "kokoro":
                spoken.append(_kokoro(voice, text))
            else:
                spoken.append(_piper(voice, text))
    return spoken


def _flite(voice: SpeakerVoice, text: str, folder: Path) -> SpokenLine:
    wave = folder / "line.wav"
    stretch = voice.formant_scale / voice.speech_rate
    command = ["flite", "-voice", voice.name, "-psdur", "--setf", f"duration_stretch={stretch}", "-t", text + " "]
    finished = subprocess.run([*command, "-o", str(wave)], capture_output=True, text=True, check=False)
    if finished.returncode or not wave.is_file():
        raise SetupError(f"flite fails with voice {voice.name}: {finished.stderr.strip() or 'no audio'}")
    samples, rate_hz = soundfile.read(wave, dtype="float32")
    wave.unlink()
    phonemes, start_s = [], 0.0
    for word in finished.stdout.split():
        phone, end = word.rsplit(":", 1)
        end_s = float(end) / voice.formant_scale
        if phone in ARPABET:
            phonemes.append(Phoneme(ARPABET[phone], start_s, end_s))
        start_s = end_s
    return _trim(samples, rate_hz * voice.formant_scale, phonemes)


def _espeak(lines: Sequence[tuple[SpeakerVoice, str]]) -> list[SpokenLine]:
    if not lines:
        return []
    requests = [
        {
            "voice": voice.name,
            "text": text,
            "words_per_minute": round(ESPEAK_WORDS_PER_MINUTE * voice.speech_rate),
            "pitch": voice.pitch,
        }
        for voice, text in lines
    ]
    script = Path(__file__).with_name("espeak_process.py")
    finished = subprocess.run(
        [sys.executable, "-I", str(script)], input=json.dumps(requests).encode(), capture_output=True, check=False
    )
    if finished.returncode:
        raise SetupError(f"espeak-ng fails: {finished.stderr.decode(errors='replace').strip()}")
    spoken, rest = [], finished.stdout
    for _ in lines:
        header_line, _, rest = rest.partition(b"\n")
        header = json.loads(header_line)
        samples = np.frombuffer(rest[: 2 * header["samples"]], np.int16).astype(np.float32) / 2**15
        rest = rest[2 * header["samples"] :]
        spoken.append(_trim(samples, float(header["rate_hz"]), _espeak_phonemes(header)))
    return spoken


def _espeak_phonemes(header: dict) -> list[Phoneme]:
    """Phonemes of espeak-ng's events. One of length zero (an l after a vowel) gets a part of the previous one."""
    starts = [start for start, _ in header["phonemes"]]
    ends = [*starts[1:], header["samples"]]
    found: list[Phoneme] = []
    for (start, token), end in zip(header["phonemes"], ends, strict=True):
        symbols = plain_ipa(token)
        start_s, end_s = start / header["rate_hz"], end / header["rate_hz"]
        if symbols and end_s <= start_s and found and found[-1].end_s == start_s:
            previous = found.pop()
            start_s = previous.start_s + 0.6 * (previous.end_s - previous.start_s)
            found.append(Phoneme(previous.ipa, previous.start_s, start_s))
        edges = np.linspace(start_s, end_s, len(symbols) + 1).tolist()
        found += [
            Phoneme(ipa, first, last)
            for ipa, first, last in zip(symbols, edges[:-1], edges[1:], strict=True)
            if last > first
        ]
    return found


def _piper(voice: SpeakerVoice, text: str) -> SpokenLine:
    loaded = _piper_voice(voice.name)
    from piper import SynthesisConfig

    # Without noise, so that the same text gives the same audio.
    stretch = voice.formant_scale / voice.speech_rate
    config = SynthesisConfig(length_scale=stretch, noise_scale=0.0, noise_w_scale=0.0)
    chunks = list(loaded.synthesize(text, config))
    samples = np.concatenate([chunk.audio_float_array for chunk in chunks])
    audio = soxr.resample(samples, chunks[0].sample_rate * voice.formant_scale, AUDIO_RATE_HZ)
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max()) / AUDIO_RATE_HZ
    phonemes = recognise_phonemes(audio, Timeline([Segment(float(loud[0]), float(loud[-1]))]))
    return _trim(audio, AUDIO_RATE_HZ, list(phonemes))


def _kokoro(voice: SpeakerVoice, text: str) -> SpokenLine:
    scale = voice.formant_scale
    samples, phonemes = kokoro.load_kokoro(voice.folder).synthesize(voice.name, text, voice.speech_rate / scale)
    scaled = [Phoneme(phoneme.ipa, phoneme.start_s / scale, phoneme.end_s / scale) for phoneme in phonemes]
    return _trim(samples, kokoro.RATE_HZ * scale, scaled)


@cache
def _piper_voice(path: str):
    try:
        from piper import PiperVoice
    except ImportError as error:
        raise missing_extra("speech by Piper (GPL-3)", "piper", error) from error
    return PiperVoice.load(path)


def _trim(samples: np.ndarray, rate_hz: float, phonemes: list[Phoneme]) -> SpokenLine:
    """Resample to 16 kHz, normalize to `LEVEL_RMS`, and remove the silence before and after the phonemes."""
    audio = soxr.resample(samples, rate_hz, AUDIO_RATE_HZ).astype(np.float32)
    if not phonemes:
        return SpokenLine(np.zeros(0, np.float32), ())
    first = max(sample_at(phonemes[0].start_s - LEAD_S), 0)
    audio = audio[first : sample_at(phonemes[-1].end_s + TAIL_S)]
    shift_s = first / AUDIO_RATE_HZ
    shifted = tuple(Phoneme(one.ipa, one.start_s - shift_s, one.end_s - shift_s) for one in phonemes)
    return SpokenLine((audio * (LEVEL_RMS / speech_rms(audio, shifted))).astype(np.float32), shifted)


def speech_rms(audio: Float32[np.ndarray, "sample"], phonemes: Sequence[Phoneme]) -> float:
    """Root mean square of the audio within the phonemes; 1 if that is silent."""
    speech = np.concatenate([audio[sample_at(one.start_s) : sample_at(one.end_s)] for one in phonemes])
    return float(np.sqrt(np.mean(np.square(speech, dtype=np.float64)))) or 1.0
