"""Forced alignment: when each phone of known words is spoken, by pocketsphinx.

pocketsphinx (https://github.com/cmusphinx/pocketsphinx, BSD) brings its acoustic model of American English and the
CMU pronouncing dictionary. Alignment takes two passes: the first one finds the words, their pronunciation variants
and the silence between them; the second one finds the phones within each word. The best path through the word
lattice is left out, since it yields words of a single frame, on which the second pass fails.

The decoder's feature extraction starts anew for every line, so that no alignment depends on the lines before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from dualtalk.audio.phonemes import ARPABET, Phoneme
from dualtalk.errors import InputError, missing_extra

HOP_S = 0.01
# Wider than the decoder's own beam, 1e-48, so that slow or accented speech still reaches the last word.
BEAM = 1e-80
DECODER_OPTIONS = {
    "lm": None,
    "beam": BEAM,
    "pbeam": BEAM,
    "wbeam": BEAM,
    "bestpath": False,
    "cmn": "batch",
    "remove_noise": False,
    "loglevel": "FATAL",
}


class AlignmentError(InputError):
    """A line of words cannot be aligned with its audio."""


@dataclass(frozen=True)
class AlignedWord:
    """A word with the times of its phonemes.

    Attributes
    ----------
    text : str
        In lower case.
    phonemes : tuple of Phoneme
        Times are in seconds from the start of the audio.
    score : float
        Mean acoustic log-likelihood of a frame of 10 ms, in units of pocketsphinx; negative, higher is better. It
        depends on voice and microphone: compare it within a speaker only.
    """

    text: str
    phonemes: tuple[Phoneme, ...]
    score: float

    @property
    def start_s(self) -> float:
        return self.phonemes[0].start_s

    @property
    def end_s(self) -> float:
        return self.phonemes[-1].end_s

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


class ForcedAligner:
    """Aligns lines of words with their audio.

    Parameters
    ----------
    lexicon : mapping of str to sequences of phones
        Pronunciations, in ARPABET without stress, of words that pocketsphinx's dictionary lacks. Keys are in lower
        case.

    Raises
    ------
    SetupError
        pocketsphinx is not installed.
    """

    def __init__(self, lexicon: Mapping[str, Sequence[str]] | None = None) -> None:
        self._lexicon = lexicon or {}
        self._decoder = open_decoder(**DECODER_OPTIONS)

    def align(self, audio: Float32[np.ndarray, "sample"], words: Sequence[str]) -> tuple[AlignedWord, ...]:
        """Align all of `words`, in order, with 16 kHz audio.

        Raises
        ------
        AlignmentError
            A word has no known pronunciation, or the words do not fit the audio.
        """
        texts = [word.lower() for word in words]
        for text in texts:
            self._require_pronunciation(text)
        sound = sixteen_bits(audio)
        # Running means of the features would carry over from the line before.
        self._decoder.reinit_feat()
        try:
            self._decoder.set_align_text(" ".join(texts))
            decode(self._decoder, sound)
            self._decoder.set_alignment()
            decode(self._decoder, sound)
            alignment = self._decoder.get_alignment()
        except RuntimeError as error:
            raise AlignmentError(f"the words do not fit the audio: {error}") from error
        # An entry of the alignment is valid only until the next is requested. Names of silence begin with < or [.
        found = [_aligned_word(word) for word in alignment or () if word.name[0] not in "<["]
        if [word.text for word in found] != texts:
            raise AlignmentError(f"only {len(found)} of {len(texts)} words are in the alignment")
        return tuple(found)

    def _require_pronunciation(self, word: str) -> None:
        if self._decoder.lookup_word(word) is not None:
            return
        if word not in self._lexicon:
            raise AlignmentError(f"no pronunciation of {word!r} is known")
        self._decoder.add_word(word, " ".join(self._lexicon[word]).upper(), True)


def _aligned_word(word: Any) -> AlignedWord:
    # A name such as "read(2)" is the second pronunciation.
    phonemes = tuple(
        Phoneme(ARPABET[phone.name.lower()], phone.start * HOP_S, (phone.start + phone.duration) * HOP_S)
        for phone in word
    )
    return AlignedWord(word.name.partition("(")[0], phonemes, word.score / word.duration)


def open_decoder(**options: Any) -> Any:
    """A decoder of pocketsphinx with its options.

    Raises
    ------
    SetupError
        pocketsphinx is not installed.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise missing_extra("forced alignment of words", "alignment", error) from error
    return Decoder(**options)


def decode(decoder: Any, sound: bytes) -> None:
    """Decode a whole utterance of 16-bit samples, 16 kHz."""
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


def sixteen_bits(audio: Float32[np.ndarray, "sample"]) -> bytes:
    """The samples as 16-bit integers."""
    return (audio.clip(-1, 1) * 32767).astype(np.int16).tobytes()
