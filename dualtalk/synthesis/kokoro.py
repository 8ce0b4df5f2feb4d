"""Kokoro-82M (Apache-2.0): a neural synthesiser, whose speakers can be mixed into as many voices as people.

It runs from a folder that `scripts/fetch_kokoro.py` makes: `model.onnx` (kokoro-onnx's export), `config.json` with
the number of each symbol, and `voices/*.bin`, styles of each speaker. It speaks IPA, which espeak-ng writes, and
decides how long each symbol sounds; the export does not give these durations, so they are asked for here.
"""

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from dualtalk.audio.phonemes import INVENTORY, Phoneme
from dualtalk.errors import InputError, SetupError, missing_extra

RATE_HZ, SAMPLES_A_UNIT = 24_000, 600
STYLE_WIDTH = 256
# Styles are of a sentence's length in symbols, up to this; a longer sentence is refused by the network.
MOST_SYMBOLS = 500
# The value in the network's graph that holds how many units each symbol lasts.
DURATIONS = "/encoder/Clip_output_0"
# Field numbers of ONNX's format (onnx.proto): a model's graph, a graph's outputs, the name of one.
GRAPH, OUTPUT, NAME = 7, 12, 1
# Speakers whose voices speak English begin so: American and British.
ACCENTS = {"a": "en-us", "b": "en-gb"}
# Kokoro writes these with a letter each, where espeak-ng's IPA has two or another.
LETTERS = {
    "eɪ": "A",
    "aɪ": "I",
    "aʊ": "W",
    "ɔɪ": "Y",
    "oʊ": "O",
    "əʊ": "Q",
    "tʃ": "ʧ",
    "dʒ": "ʤ",
    "ɚ": "əɹ",
    "ɜː": "ɜɹ",
    "ɐ": "ə",
    "ɾ": "T",
    "r": "ɹ",
    "g": "ɡ",
}
IPA = {
    "A": "eɪ",
    "I": "aɪ",
    "W": "aʊ",
    "Y": "ɔɪ",
    "O": "oʊ",
    "Q": "oʊ",
    "ʧ": "tʃ",
    "ʤ": "dʒ",
    "T": "ɾ",
    "ᵻ": "ɪ",
    "ᵊ": "ə",
}
STRESS, LONG, SPACE = "ˈˌ", "ː", " "
# Sounds come this much before the durations say. Median over 620 phonemes of 24 sentences, against the recogniser
# (53 to 65 ms, where flite's known times give -13 to 7) and against the energy of s above 4 kHz (49 ms).
AHEAD_S = 0.05


@dataclass(frozen=True, eq=False)
class Kokoro:
    """The network and its speakers."""

    session: object
    numbers: dict[str, int]
    styles: dict[str, Float32[np.ndarray, "length 256"]]

    def say(self, name: str, text: str, pace: float) -> tuple[Float32[np.ndarray, "sample"], list[Phoneme]]:
        """A text by a voice that `draw_name` named, at 24 kHz, and when its phonemes sound.

        Raises
        ------
        InputError
            A voice that is not there.
        """
        shares = [part.split() for part in name.split(" + ")]
        if missing := [speaker for _, speaker in shares if speaker not in self.styles]:
            raise InputError(f"Kokoro has no speaker {missing[0]}; there are {', '.join(sorted(self.styles))}")
        symbols = self.written(text, ACCENTS.get(shares[0][1][:1], "en-us"))
        style = sum(float(share) * self.styles[speaker][len(symbols) - 1] for share, speaker in shares)
        feeds = zip(
            (put.name for put in self.session.get_inputs()),
            (
                np.array([[0, *(self.numbers[symbol] for symbol in symbols), 0]], np.int64),
                style[None].astype(np.float32),
                np.array([pace], np.float32),
            ),
            strict=True,
        )
        audio, units = self.session.run(None, dict(feeds))
        ends_s = np.cumsum(units.ravel()) * SAMPLES_A_UNIT / RATE_HZ
        return audio.ravel(), timed(symbols, ends_s.tolist())

    def written(self, text: str, accent: str) -> str:
        """A text in Kokoro's symbols, by espeak-ng."""
        command = ["espeak-ng", "-q", "--ipa", "-v", accent]
        spoken = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if spoken.returncode:
            raise SetupError(f"espeak-ng could not write {text!r} in IPA: {spoken.stderr.strip()}")
        clauses = ", ".join(" ".join(line.split()) for line in spoken.stdout.splitlines() if line.strip())
        for letters, symbol in LETTERS.items():
            clauses = clauses.replace(letters, symbol)
        end = text.rstrip()[-1:]
        written = clauses + (end if end in (".", "?", "!", ",") else ".")
        return "".join(symbol for symbol in written if symbol in self.numbers)[:MOST_SYMBOLS]


def timed(symbols: str, ends_s: list[float]) -> list[Phoneme]:
    """When each phoneme sounds. `ends_s` are the ends of what goes before the first symbol, and of each symbol, by
    their durations.

    A sign of stress belongs to the phoneme after it, one of length to that before; a space between words has no
    sound of its own, so its time is theirs; a sign of punctuation is a silence.
    """
    found: list[list] = []
    begin_s, after_silence = None, True
    for symbol, start_s, end_s in zip(symbols, ends_s[:-1], ends_s[1:], strict=False):
        ipa = IPA.get(symbol, symbol)
        if ipa in INVENTORY:
            found.append([ipa, start_s if begin_s is None else begin_s, end_s])
            begin_s, after_silence = None, False
        elif symbol in STRESS:
            begin_s = start_s if begin_s is None else begin_s
        elif symbol == LONG and found:
            found[-1][2] = end_s
        elif symbol == SPACE and not after_silence:
            begin_s = found[-1][2] = (start_s + end_s) / 2
        else:
            begin_s, after_silence = None, True
    return [Phoneme(ipa, max(start_s - AHEAD_S, 0), end_s - AHEAD_S) for ipa, start_s, end_s in found]


def draw_name(rng: np.random.Generator, folder: str) -> str:
    """A voice between two of the English speakers in `folder`, as its recipe: "0.63 af_heart + 0.37 bm_lewis"."""
    first, second = rng.choice(speakers(folder), 2, replace=False)
    share = round(float(rng.uniform(0.5, 1.0)), 2)
    return f"{share:.2f} {first} + {1 - share:.2f} {second}"


def speakers(folder: str) -> list[str]:
    """The English speakers in `folder`.

    Raises
    ------
    InputError
        Not what `scripts/fetch_kokoro.py` makes.
    """
    names = sorted(path.stem for path in Path(folder, "voices").glob("*.bin") if path.stem[:1] in ACCENTS)
    missing = [name for name in ("model.onnx", "config.json") if not Path(folder, name).is_file()]
    if missing or len(names) < 2:
        raise InputError(
            f"{folder} is no folder of Kokoro's ({', '.join(missing) or 'too few English voices'}); "
            "wanted what scripts/fetch_kokoro.py makes"
        )
    return names


@cache
def load_kokoro(folder: str) -> Kokoro:
    """The network in `folder`, on one thread: clips are made by several processes.

    Raises
    ------
    InputError
        Not what `scripts/fetch_kokoro.py` makes.
    SetupError
        onnxruntime is not installed, or the network does not run.
    """
    names = speakers(folder)
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("speech by Kokoro", "kokoro", error) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    network = Path(folder, "model.onnx").read_bytes() + _field(
        GRAPH, _field(OUTPUT, _field(NAME, DURATIONS.encode()))
    )
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common class.
        raise SetupError(f"{folder}/model.onnx does not run: {str(error).splitlines()[0]}") from error
    numbers = json.loads(Path(folder, "config.json").read_text())["vocab"]
    styles = {
        name: np.fromfile(Path(folder, "voices", f"{name}.bin"), np.float32).reshape(-1, STYLE_WIDTH)
        for name in names
    }
    return Kokoro(session, numbers, styles)


def _field(number: int, content: bytes) -> bytes:
    """A field of protocol buffers. Two messages behind each other are read as one that has the fields of both, so
    that an output is added to a network by appending it."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])
