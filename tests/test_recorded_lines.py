"""Laws of dialogues of recorded lines: every line is used once, and long pauses divide lines."""

import itertools

import numpy as np
import pytest

from dualtalk.audio.forced_alignment import AlignedWord
from dualtalk.audio.phonemes import Phoneme
from dualtalk.synthesis.recorded_lines import LONGEST_PAUSE_S, Phrase, phrases_of_line, schedule_lines
from dualtalk.synthesis.voices import LEVEL_RMS, SpokenLine

RATE_HZ = 16_000


def read_line(gaps_s: list[float], seed: int = 0) -> tuple[np.ndarray, list[AlignedWord]]:
    """Words of 0.3 s of noise, with these gaps between them and half a second of silence around."""
    rng, words, at_s = np.random.default_rng(seed), [], 0.5
    for number, gap_s in enumerate([*gaps_s, 0.5]):
        phonemes = (Phoneme("m", at_s, at_s + 0.1), Phoneme("ɑ", at_s + 0.1, at_s + 0.3))
        words.append(AlignedWord(f"word{number}", phonemes, -15.0))
        at_s += 0.3 + gap_s
    audio = np.zeros(round(at_s * RATE_HZ), np.float32)
    for word in words:
        first, end = (round(time_s * RATE_HZ) for time_s in (word.start_s, word.end_s))
        audio[first:end] = 0.02 * rng.standard_normal(end - first)
    return audio, words


def test_long_pauses_divide_a_line():
    phrases = phrases_of_line(*read_line([0.1, 0.6, 0.1, 1.0]))
    assert [phrase.text for phrase in phrases] == ["word0 word1", "word2 word3", "word4"]
    assert [phrase.is_response for phrase in phrases] == [True, True, True]
    for phrase in phrases:
        gaps = [two.start_s - one.end_s for one, two in itertools.pairwise(phrase.speech.phonemes)]
        assert max(gaps) <= LONGEST_PAUSE_S
        assert phrase.speech.begins_s > 0.1
        assert phrase.speech.ends_s + 0.1 < phrase.speech.duration_s


def test_a_phrase_keeps_the_audio_of_its_phonemes_at_the_common_level():
    (phrase,) = phrases_of_line(*read_line([0.1, 0.2]))
    inside = np.zeros(len(phrase.speech.audio), bool)
    for one in phrase.speech.phonemes:
        inside[round(one.start_s * RATE_HZ) : round(one.end_s * RATE_HZ)] = True
    assert np.sqrt(np.mean(phrase.speech.audio[inside] ** 2)) == pytest.approx(LEVEL_RMS, rel=0.01)
    assert np.abs(phrase.speech.audio[~inside]).max() < 1e-6


def test_a_frequency_scale_shortens_audio_and_times_alike():
    audio, words = read_line([0.1, 0.2])
    (plain,), (faster,) = phrases_of_line(audio, words), phrases_of_line(audio, words, 1.1)
    lengths = [phrase.speech.ends_s - phrase.speech.begins_s for phrase in (plain, faster)]
    assert lengths[0] / lengths[1] == pytest.approx(1.1)
    loud = np.flatnonzero(np.abs(faster.speech.audio) > 0.02) / RATE_HZ
    assert loud[0] == pytest.approx(faster.speech.begins_s, abs=0.01)
    assert loud[-1] == pytest.approx(faster.speech.ends_s, abs=0.01)


def phrase(person: int, line: int, part: int, duration_s: float) -> Phrase:
    audio = np.zeros(round((duration_s + 0.4) * RATE_HZ), np.float32)
    return Phrase(f"{person} {line} {part}", SpokenLine(audio, (Phoneme("ɑ", 0.2, 0.2 + duration_s),)))


@pytest.mark.parametrize("counts", [(10, 10), (3, 9), (1, 4), (1, 1)])
def test_a_dialogue_uses_every_line_once_and_nobody_interrupts_themselves(counts):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        lines = [
            [[phrase(person, line, part, rng.uniform(0.3, 2)) for part in range(2)] for line in range(count)]
            for person, count in enumerate(counts)
        ]
        scheduled = schedule_lines((lines[0], lines[1]), rng)
        texts = [one.line.text for one in scheduled]
        assert len(texts) == len(set(texts))
        for one in scheduled:
            assert one.start_s >= 0
            assert one.line.text.startswith(str(one.line.person))
        sentences = {text.rpartition(" ")[0] for text in texts}
        assert sentences == {f"{person} {line}" for person, count in enumerate(counts) for line in range(count)}
        for person in (0, 1):
            own = [one for one in scheduled if one.line.person == person]
            ends = [(one.start_s + one.speech.begins_s, one.speech_end_s) for one in own]
            assert all(first[1] <= second[0] + 1e-9 for first, second in itertools.pairwise(sorted(ends)))


def test_short_phrases_become_responses_of_the_listener():
    rng = np.random.default_rng(0)
    lines = [
        [[phrase(p, line, 0, 2.0), phrase(p, line, 1, 0.4), phrase(p, line, 2, 2.0)] for line in range(10)]
        for p in (0, 1)
    ]
    scheduled = schedule_lines((lines[0], lines[1]), rng)
    responses = [one for one in scheduled if one.line.kind == "backchannel"]
    assert len(responses) >= 3
    assert all(one.line.text.endswith(" 1") for one in responses)
