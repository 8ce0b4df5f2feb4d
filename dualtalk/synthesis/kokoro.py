"""Kokoro-82M (Apache-2.0): a neural synthesiser whose speakers can be mixed into any number of voices.

It needs a folder that `scripts/fetch_kokoro.py` writes: `model.onnx` (an ONNX export), `config.json` with the
index of each input symbol, and `voices/*.bin`, the style vectors of each speaker. Its input is IPA, which
espeak-ng provides. The network predicts the duration of each symbol, but the export does not return the
durations; `add_output` makes them an output.
"""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from dualtalk.audio.phonemes import INVENTORY, Phoneme
from dualtalk.errors import InputError, SetupError, missing_extra
from dualtalk.io.json_file import read_json_object

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# The network predicts durations in units of 600 samples.
RATE_HZ, SAMPLES_PER_UNIT = 24_000, 600
STYLE_WIDTH = 256
# A speaker has one style vector for each sentence length in symbols, up to this maximum.
MAX_SYMBOLS = 500
# The value in the network's graph that holds the duration of each symbol.
DURATIONS = "/encoder/Clip_output_0"
# First letters of the names of English speakers, American and British, and espeak-ng's voice for each.
ACCENTS = {"a": "en-us", "b": "en-gb"}
# Kokoro's symbols for sounds that espeak-ng writes differently.
KOKORO_SYMBOLS = {
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
# The sounds precede the times that follow from the durations by this much: median over 620 phonemes of 24
# sentences, against a phoneme recogniser (53 to 65 ms; the recogniser's own bias on flite's exact times is -13 to
# 7 ms) and against the energy of s above 4 kHz (49 ms).
TIMING_OFFSET_S = 0.05


@dataclass(frozen=True, eq=False)
class Kokoro:
    """The network and its speakers.

    Attributes
    ----------
    session : onnxruntime.InferenceSession
    symbol_ids : dict of str to int
    styles : dict of str to (length, 256) float32
        Style vectors of each speaker, by sentence length in symbols.
    """

    session: "InferenceSession"
    symbol_ids: dict[str, int]
    styles: dict[str, Float32[np.ndarray, "length 256"]]

    def synthesize(
        self, mixture: str, text: str, speech_rate: float
    ) -> tuple[Float32[np.ndarray, "sample"], list[Phoneme]]:
        """Synthesize a text.

        Parameters
        ----------
        mixture : str
            A mixture of speakers, as `draw_voice_mixture` returns it.
        text : str
        speech_rate : float
            Factor on the speech rate.

        Returns
        -------
        audio, phonemes
            24 kHz audio, and phonemes with times in seconds.

        Raises
        ------
        InputError
            A speaker of the mixture does not exist.
        """
        shares = [part.split() for part in mixture.split(" + ")]
        if missing := [speaker for _, speaker in shares if speaker not in self.styles]:
            raise InputError(f"Kokoro has no speaker {missing[0]}; available: {', '.join(sorted(self.styles))}")
        symbols = self.phonemize(text, ACCENTS.get(shares[0][1][:1], "en-us"))
        styles = [float(share) * self.styles[speaker][len(symbols) - 1] for share, speaker in shares]
        feeds = zip(
            (node.name for node in self.session.get_inputs()),
            (
                np.array([[0, *(self.symbol_ids[symbol] for symbol in symbols), 0]], np.int64),
                sum(styles[1:], start=styles[0])[None].astype(np.float32),
                np.array([speech_rate], np.float32),
            ),
            strict=True,
        )
        audio, units = self.session.run(None, dict(feeds))
        ends_s = np.cumsum(units.ravel()) * SAMPLES_PER_UNIT / RATE_HZ
        return audio.ravel(), phoneme_times(symbols, ends_s.tolist())

    def phonemize(self, text: str, accent: str) -> str:
        """Convert a text to Kokoro's symbols by espeak-ng."""
        command = ["espeak-ng", "-q", "--ipa", "-v", accent]
        spoken = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if spoken.returncode:
            raise SetupError(f"espeak-ng cannot convert {text!r} to IPA: {spoken.stderr.strip()}")
        clauses = ", ".join(" ".join(line.split()) for line in spoken.stdout.splitlines() if line.strip())
        for ipa, symbol in KOKORO_SYMBOLS.items():
            clauses = clauses.replace(ipa, symbol)
        end = text.rstrip()[-1:]
        sentence = clauses + (end if end in (".", "?", "!", ",") else ".")
        return "".join(symbol for symbol in sentence if symbol in self.symbol_ids)[:MAX_SYMBOLS]


def phoneme_times(symbols: str, ends_s: list[float]) -> list[Phoneme]:
    """Convert the durations of symbols to phonemes with times.

    A stress mark belongs to the phoneme after it, a length mark to the phoneme before it. A space between words
    has no sound, so both neighbours share its time. Punctuation is silence.

    Parameters
    ----------
    symbols : str
    ends_s : list of float
        End of the padding before the first symbol, then the end of each symbol.
    """
    found: list[list] = []
    begin_s: float | None = None
    after_silence = True
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
    return [
        Phoneme(ipa, max(start_s - TIMING_OFFSET_S, 0), end_s - TIMING_OFFSET_S) for ipa, start_s, end_s in found
    ]


def draw_voice_mixture(rng: np.random.Generator, folder: str) -> str:
    """Draw a mixture of two English speakers, such as "0.63 af_heart + 0.37 bm_lewis"."""
    first, second = rng.choice(english_speakers(folder), 2, replace=False)
    share = round(float(rng.uniform(0.5, 1.0)), 2)
    return f"{share:.2f} {first} + {1 - share:.2f} {second}"


def english_speakers(folder: str) -> list[str]:
    """List the English speakers in a folder that `scripts/fetch_kokoro.py` wrote.

    Raises
    ------
    InputError
        The folder lacks a file or has fewer than two English speakers.
    """
    names = sorted(path.stem for path in Path(folder, "voices").glob("*.bin") if path.stem[:1] in ACCENTS)
    missing = [name for name in ("model.onnx", "config.json") if not Path(folder, name).is_file()]
    if missing or len(names) < 2:
        raise InputError(
            f"{folder} is not a Kokoro folder: it lacks {', '.join(missing) or 'two English voices'}; "
            "wanted a folder that scripts/fetch_kokoro.py wrote"
        )
    return names


@cache
def load_kokoro(folder: str) -> Kokoro:
    """Load Kokoro from a folder. It runs on one thread, because several processes generate clips.

    Raises
    ------
    InputError
        The folder is not one that `scripts/fetch_kokoro.py` wrote.
    SetupError
        onnx or onnxruntime is not installed, or the network does not run.
    """
    names = english_speakers(folder)
    network = add_output(Path(folder, "model.onnx"), DURATIONS)
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("speech by Kokoro", "kokoro", error) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class
        raise SetupError(f"{folder}/model.onnx does not run: {str(error).splitlines()[0]}") from error
    symbol_ids = read_json_object(Path(folder, "config.json")).get("vocab")
    if not isinstance(symbol_ids, dict):
        raise InputError(
            f"{folder}/config.json has no vocab; wanted the folder that scripts/fetch_kokoro.py writes"
        )
    return Kokoro(
        session, symbol_ids, {name: _read_style(Path(folder, "voices", f"{name}.bin")) for name in names}
    )


def _read_style(path: Path) -> np.ndarray:
    style = np.fromfile(path, np.float32)
    if not style.size or style.size % STYLE_WIDTH or not np.isfinite(style).all():
        raise InputError(f"{path} holds {style.size} numbers; wanted finite ones, a multiple of {STYLE_WIDTH}")
    return style.reshape(-1, STYLE_WIDTH)


def add_output(path: Path, value: str) -> bytes:
    """Read an ONNX network and make an intermediate value of its graph an additional, last output.

    Raises
    ------
    SetupError
        The package onnx is not installed, or the file is not an ONNX network with that value.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise missing_extra("speech by Kokoro", "kokoro", error) from error
    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise SetupError(f"{path} is not an ONNX network: {error}") from error
    if not any(value in node.output for node in model.graph.node):
        raise SetupError(f"{path} has no value {value}; wanted the export that scripts/fetch_kokoro.py fetches")
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(value))
    return model.SerializeToString()
