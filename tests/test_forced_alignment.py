"""Laws of forced alignment: it agrees with a synthesiser's own phoneme times, does not depend on earlier lines,
and lines that do not fit their words are found."""

import numpy as np
import pytest

from dualtalk.audio.alignment_checks import alignment_fault, line_score, unaligned_speech_s
from dualtalk.audio.forced_alignment import AlignedWord, AlignmentError, ForcedAligner
from dualtalk.audio.phonemes import BILABIALS, INVENTORY, Phoneme
from dualtalk.synthesis.voices import SpeakerVoice, SpokenLine, missing_synthesisers, synthesize_speech

TEXTS = (
    "the boy will put my big paper boat on the map",
    "people may keep a lamp by the table",
    "maybe bob met some happy members at the pub",
)
RATE_HZ, SILENCE_S = 16_000, 0.5


@pytest.fixture(scope="module")
def spoken() -> list[SpokenLine]:
    if missing_synthesisers():
        pytest.skip(f"no {' and no '.join(missing_synthesisers())}")
    return synthesize_speech([(SpeakerVoice("flite", voice), text) for voice in ("slt", "rms") for text in TEXTS])


@pytest.fixture(scope="module")
def aligner() -> ForcedAligner:
    return ForcedAligner({"blimpo": ("B", "L", "IH", "M", "P", "OW")})


def padded(line: SpokenLine) -> np.ndarray:
    return np.pad(line.audio, round(SILENCE_S * RATE_HZ))


def sounds(words: tuple[AlignedWord, ...]) -> list[Phoneme]:
    return [phoneme for word in words for phoneme in word.phonemes]


def test_bilabials_are_where_the_synthesiser_has_them(spoken, aligner):
    errors_s = []
    for line, text in zip(spoken, 2 * TEXTS, strict=True):
        words = aligner.align(padded(line), text.split())
        assert [word.text for word in words] == text.split()
        assert {phoneme.ipa for phoneme in sounds(words)} <= INVENTORY
        found, known = ([one for one in some if one.ipa in BILABIALS] for some in (sounds(words), line.phonemes))
        assert [one.ipa for one in found] == [one.ipa for one in known]
        errors_s += [one.start_s - SILENCE_S - other.start_s for one, other in zip(found, known, strict=True)]
        errors_s += [one.end_s - SILENCE_S - other.end_s for one, other in zip(found, known, strict=True)]
    assert abs(np.median(errors_s)) < 0.01
    assert np.quantile(np.abs(errors_s), 0.9) < 0.04


def test_an_alignment_does_not_depend_on_earlier_lines(spoken, aligner):
    noise = 0.003 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    for line, text in zip(spoken, 2 * TEXTS, strict=True):
        noisy = padded(line) + np.resize(noise, len(padded(line)))
        assert aligner.align(noisy, text.split()) == ForcedAligner().align(noisy, text.split())


def test_words_are_looked_up_in_both_dictionaries(spoken, aligner):
    with pytest.raises(AlignmentError, match="no pronunciation of 'zzyzxq' is known"):
        aligner.align(padded(spoken[1]), ["zzyzxq"])
    words = aligner.align(padded(spoken[1]), ["PEOPLE", "blimpo", "table"])
    assert [phoneme.ipa for phoneme in words[1].phonemes] == ["b", "l", "ɪ", "m", "p", "oʊ"]


def test_audio_without_the_words_is_found(spoken, aligner):
    """Right words pass; the words of another line, or words with speech before them, do not."""
    right = aligner.align(padded(spoken[0]), TEXTS[0].split())
    assert alignment_fault(padded(spoken[0]), right, line_score(right)) is None
    other = aligner.align(padded(spoken[2]), TEXTS[0].split())
    assert alignment_fault(padded(spoken[2]), other, line_score(right)) is not None
    twice = np.concatenate([padded(spoken[0]), padded(spoken[0])])
    assert alignment_fault(twice, right, line_score(right)) == "unaligned speech"


def word(duration_s: float, ipas: str, start_s: float = 0.5, score: float = -15.0) -> AlignedWord:
    edges = np.linspace(start_s, start_s + duration_s, len(ipas) + 1).tolist()
    phonemes = tuple(Phoneme(*one) for one in zip(ipas, edges[:-1], edges[1:], strict=True))
    return AlignedWord("word", phonemes, score)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([word(0.3, "map")], None),
        ([word(0.3, "map", score=-33.0)], "low score"),
        ([word(0.3, "map", score=-22.0)], "low score"),
        ([word(0.3, "map"), word(0.01, "ɑ", 0.8, score=-80.0)], "word not spoken"),
        ([word(0.09, "map")], "word not spoken"),
        ([word(0.6, "s")], "phone too long"),
        ([word(0.7, "ɑ")], None),
        ([word(0.9, "ɑ")], "phone too long"),
    ],
)
def test_each_fault_of_an_alignment(words, fault):
    audio = np.zeros(2 * RATE_HZ, np.float32)
    for one in words:
        audio[round(one.start_s * RATE_HZ) : round(one.end_s * RATE_HZ)] = 0.1
    assert alignment_fault(audio, words, speaker_score=-15.0) == fault


def test_speech_outside_the_words_is_measured():
    audio = np.zeros(2 * RATE_HZ, np.float32)
    audio[round(0.5 * RATE_HZ) : round(1.2 * RATE_HZ)] = 0.1
    assert unaligned_speech_s(audio, [word(0.3, "map")]) == pytest.approx(0.4, abs=0.03)
    assert unaligned_speech_s(audio, [word(0.7, "map")]) == 0
