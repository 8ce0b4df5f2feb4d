"""Which phonemes sound when, heard from the waveform alone by hama's recogniser (Apache-2.0, about 5 MB).

The recogniser (https://github.com/hamanlp/hama) gives, every 20 ms, log-probabilities of phoneme tokens, of a
word boundary and of "nothing new" (CTC's blank). A phoneme is emitted once, shortly after it begins to sound.
It is trained on several languages and writes some of them in ways of its own, so its tokens are brought to
plain IPA: no tone, length, stress, tie bar or diacritic.

Measured on 100 sentences of four flite voices, whose timing is known: 23 % phoneme errors, 94 % of p, b, m
found within 70 ms as one of the three, 98 % of those it claims are there, and the middles of phonemes off by a
median of 10 ms or less, for vowels, consonants and p, b, m alike.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32
from pyannote.core import Segment, Timeline

from dualtalk.errors import SetupError
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

VOWELS = "a aɪ aʊ e eɪ i o oʊ u y æ ø œ ɐ ɑ ɒ ɔ ɔɪ ɘ ə ɚ ɛ ɜ ɝ ɤ ɨ ɪ ɯ ɵ ʉ ʊ ʌ ʏ"
CONSONANTS = (
    "b c d dʒ f h j k l m n p r s t tɕ tʃ v w x z ð ħ ŋ ɓ ɕ ɖ ɗ ɟ ɡ ɣ ɥ ɦ ɫ ɮ ɰ ɱ ɲ ɴ "
    "ɸ ɹ ɻ ɽ ɾ ʀ ʁ ʂ ʃ ʈ ʋ ʎ ʐ ʑ ʒ ʔ ʙ ʝ β θ χ"
)
INVENTORY = frozenset(f"{VOWELS} {CONSONANTS}".split())

HOP_S = 0.02
# A token comes this long after its phoneme begins: median of 1,900 phonemes whose true start is known.
EMISSION_DELAY_S = 0.065
# Added to the log-probability of p, b and m: lips that miss a closure are seen more than one closure too many.
# It finds three in ten of the closures that are missed without it, on the same sentences.
BILABIAL_BIAS = 1.0
BILABIALS = frozenset("pbm")
# First symbols of vowels.
VOWEL_SYMBOLS = frozenset(vowel[0] for vowel in VOWELS.split()) | {"ɞ"}
# Sounds last less than this in conversation; a longer span has run on into a silence.
LONGEST_PHONEME_S = 0.4
# Lips close for a first p, b or m before there is a sound to detect: phonemes may begin this early.
CLOSURE_S = 0.05
# The recogniser hears this much around a stretch of speech, so that its first and last sound are whole.
CONTEXT_S = 0.2
# Longer stretches are cut at a quiet place, so that memory stays bounded.
LONGEST_STRETCH_S = 20.0


@dataclass(frozen=True)
class Phoneme:
    """One sound of speech.

    Attributes
    ----------
    ipa : str
        One of `INVENTORY`: a vowel, a diphthong, a consonant or an affricate.
    start_s, end_s : float
        When it sounds, in seconds; phonemes do not overlap.
    confidence : float
        The recogniser's probability for it when it was emitted, in [0, 1].
    """

    ipa: str
    start_s: float
    end_s: float
    confidence: float = 1.0


def recognise_phonemes(audio: Float32[np.ndarray, "sample"], speech: Timeline) -> tuple[Phoneme, ...]:
    """Phonemes of one person's 16 kHz audio, in order, within `speech` (seconds) but for a first closure.

    Raises
    ------
    SetupError
        hama is not installed, or has no native library for this machine.
    """
    extent = Segment(0, len(audio) / AUDIO_RATE_HZ)
    widened = (Segment(span.start - CLOSURE_S, span.end) & extent for span in speech)
    stretches = Timeline([span for span in widened if span]).support()
    found = []
    for stretch in stretches:
        for piece in _pieces(audio, stretch):
            found.extend(_phonemes_of(audio, piece))
    return tuple(found)


def plain_ipa(token: str) -> tuple[str, ...]:
    """The phonemes of `INVENTORY` that one token stands for: one, two ("ja" is j, a), or none (a tone)."""
    letters = [char for char in unicodedata.normalize("NFD", token) if unicodedata.category(char) in ("Ll", "Lo")]
    plain = "".join(letters).replace("g", "ɡ")
    if plain in INVENTORY:
        return (plain,)
    return tuple(plain) if INVENTORY.issuperset(plain) else ()


def _pieces(audio: np.ndarray, stretch: Segment) -> list[Segment]:
    """The stretch, cut at its quietest places so that no piece is longer than `LONGEST_STRETCH_S`."""
    pieces, start_s = [], stretch.start
    while stretch.end - start_s > LONGEST_STRETCH_S:
        earliest_s = start_s + LONGEST_STRETCH_S / 2
        hop = round(HOP_S * AUDIO_RATE_HZ)
        half = audio[sample_at(earliest_s) :][: hop * int(LONGEST_STRETCH_S / 2 / HOP_S)]
        loudness = np.square(half[: len(half) // hop * hop].reshape(-1, hop)).mean(axis=1)
        cut_s = earliest_s + (float(loudness.argmin()) + 0.5) * HOP_S
        pieces.append(Segment(start_s, cut_s))
        start_s = cut_s
    return [*pieces, Segment(start_s, stretch.end)]


def _phonemes_of(audio: np.ndarray, piece: Segment) -> list[Phoneme]:
    start = max(sample_at(piece.start - CONTEXT_S), 0)
    heard = audio[start : sample_at(piece.end + CONTEXT_S)]
    emissions = [
        (start / AUDIO_RATE_HZ + hop * HOP_S - EMISSION_DELAY_S, ipa, confidence)
        for hop, ipa, confidence in _recogniser().emissions(heard)
    ]
    ends = [*(time_s for time_s, _, _ in emissions[1:]), piece.end][: len(emissions)]
    found = []
    for (start_s, symbols, confidence), end_s in zip(emissions, ends, strict=True):
        last_s = min(end_s, start_s + LONGEST_PHONEME_S, piece.end)
        first_s = max(start_s, piece.start)
        if not symbols or last_s - first_s < HOP_S / 2:
            continue
        edges = np.linspace(first_s, last_s, len(symbols) + 1).tolist()
        found += [
            Phoneme(ipa, begin, end, confidence)
            for ipa, begin, end in zip(symbols, edges[:-1], edges[1:], strict=True)
        ]
    return found


class _Recogniser:
    """hama's network and the plain IPA of each of its tokens."""

    def __init__(self) -> None:
        try:
            from hama import ASRModel

            self.model = ASRModel()
        except (ImportError, RuntimeError, OSError) as error:
            raise SetupError(
                f"phonemes need hama and its native library ({error}); pip install 'hama>=1.7' on Linux or macOS"
            ) from error
        self.symbols = [plain_ipa(token) if token[:1] != "<" else () for token in self.model.decoder_tokens]
        bilabial = [bool(BILABIALS.intersection(some)) for some in self.symbols]
        self.bias = np.where(bilabial, BILABIAL_BIAS, 0).astype(np.float32)

    def emissions(self, audio: np.ndarray) -> list[tuple[int, tuple[str, ...], float]]:
        """(hop, symbols, probability) of each token emitted; a word boundary has no symbols."""
        feeds = {"waveform": audio[None], "waveform_lengths": np.array([len(audio)], np.int64)}
        log_probs, lengths = self.model.session.run(["log_probs", "out_lengths"], feeds)
        log_probs = log_probs[0, : int(lengths[0])]
        tokens = (log_probs + self.bias).argmax(axis=1)
        fresh = np.flatnonzero((tokens != np.roll(tokens, 1)) & (tokens != self.model.blank_id))
        return [(int(hop), self.symbols[tokens[hop]], float(np.exp(log_probs[hop, tokens[hop]]))) for hop in fresh]


@cache
def _recogniser() -> _Recogniser:
    return _Recogniser()
