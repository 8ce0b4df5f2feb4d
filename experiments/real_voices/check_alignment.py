"""Check the forced alignment of speechocean762 against the sound and against an independent phoneme recogniser.

    python experiments/real_voices/check_alignment.py CORPUS [--speakers 24]

For lines that pass the checks of `dualtalk.audio.alignment_checks` and for lines that do not:

bilabials recognised  share of the aligned p, b and m with one of hama's recogniser within 0.1 s
recognised elsewhere  bilabials of hama without an aligned one within 0.1 s, relative to the aligned ones
phones recognised     share of all aligned phones with the same phone of hama within 0.06 s
closure level         median of the lowest level within each p, b, t, d, k and g, in decibels relative to the
                      median level of the line's vowels
burst                 median rise of the level from within a p, b, t, d, k or g before a vowel to the 40 ms after
edge level            median level of the 50 ms before and after each stretch of words, relative to the vowels
"""

import argparse
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from pyannote.core import Segment, Timeline

from dualtalk.audio.alignment_checks import alignment_fault, line_score
from dualtalk.audio.forced_alignment import AlignedWord, AlignmentError, ForcedAligner
from dualtalk.audio.phonemes import BILABIALS, VOWEL_SYMBOLS, Phoneme, recognise_phonemes
from dualtalk.io.audio_file import read_wave
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

NEAR_BILABIAL_S, NEAR_PHONE_S = 0.1, 0.06
STOPS = frozenset("pbtdkɡ")
LEVEL_HOP_S, BURST_S, EDGE_S, PAUSE_S = 0.005, 0.04, 0.05, 0.25
ADULT_AGE = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--speakers", type=int, default=24, help="adults of the part test to check")
    arguments = parser.parse_args()
    part = arguments.corpus / "test"
    ages, texts, waves = table(part / "spk2age"), table(part / "text"), table(part / "wav.scp")
    adults = sorted(speaker for speaker, age in ages.items() if int(age) >= ADULT_AGE)[: arguments.speakers]
    lines = defaultdict(list)
    for line, speaker in table(part / "utt2spk").items():
        lines[speaker].append(line)
    faults: Counter[str] = Counter()
    found: dict[str, list[dict]] = {"passes": [], "is left out": []}
    for speaker in adults:
        for fault, audio, words in checked_lines(arguments.corpus, [(waves[x], texts[x]) for x in lines[speaker]]):
            faults[fault or "passes"] += 1
            if words:
                found["is left out" if fault else "passes"].append(line_figures(audio, words))
    print(f"{len(adults)} speakers, lines: {dict(faults)}")
    print(pd.DataFrame({name: summary(rows) for name, rows in found.items()}).round(2).to_string())


def table(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in path.read_text().splitlines())


def checked_lines(root: Path, lines: list[tuple[str, str]]):
    """The fault, the audio and the aligned words of each line of a speaker."""
    aligner, aligned = ForcedAligner(), []
    for wave, text in lines:
        audio = read_wave(root / wave)[0]
        try:
            aligned.append((audio, aligner.align(audio, text.split())))
        except AlignmentError:
            yield "no alignment", audio, ()
    typical = float(np.median([line_score(words) for _, words in aligned]))
    for audio, words in aligned:
        yield alignment_fault(audio, words, typical), audio, words


def line_figures(audio: np.ndarray, words: tuple[AlignedWord, ...]) -> dict[str, list[float]]:
    phones = [phoneme for word in words for phoneme in word.phonemes]
    level_rms = np.sqrt(np.mean(np.square(audio)))
    recognised = recognise_phonemes(
        (audio * (0.1 / level_rms)).astype(np.float32), Timeline([Segment(0, len(audio) / AUDIO_RATE_HZ)])
    )
    bilabials, others = ([one for one in some if one.ipa in BILABIALS] for some in (phones, recognised))
    hop = sample_at(LEVEL_HOP_S)
    power = np.square(audio[: len(audio) // hop * hop].reshape(-1, hop), dtype=np.float64).mean(axis=1)
    level = 10 * np.log10(power + 1e-12)
    vowels = [one for one in phones if one.ipa[0] in VOWEL_SYMBOLS]
    level -= np.median(np.concatenate([within(level, one.start_s, one.end_s) for one in vowels]))
    stops = [(one, after) for one, after in zip(phones, [*phones[1:], None], strict=True) if one.ipa in STOPS]
    released = [one for one, after in stops if after and after.ipa[0] in VOWEL_SYMBOLS]
    edges = [(words[0].start_s - EDGE_S, words[0].start_s), (words[-1].end_s, words[-1].end_s + EDGE_S)]
    for one, after in pairwise(words):
        if after.start_s - one.end_s > PAUSE_S:
            edges += [(one.end_s, one.end_s + EDGE_S), (after.start_s - EDGE_S, after.start_s)]
    return {
        "bilabials recognised": [near(one, others, NEAR_BILABIAL_S) for one in bilabials],
        "recognised elsewhere": [not near(one, bilabials, NEAR_BILABIAL_S) for one in others],
        "phones recognised": [
            near(one, [other for other in recognised if other.ipa == one.ipa], NEAR_PHONE_S) for one in phones
        ],
        "closure level": [within(level, one.start_s, one.end_s).min() for one, _ in stops],
        "burst": [
            within(level, one.end_s, one.end_s + BURST_S).max()
            - np.median(within(level, one.start_s, one.end_s - 0.02))
            for one in released
        ],
        "edge level": [np.median(within(level, *edge)) for edge in edges if within(level, *edge).size],
    }


def within(level: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    first = max(round(start_s / LEVEL_HOP_S), 0)
    return level[first : max(round(end_s / LEVEL_HOP_S), first + 1)]


def near(one: Phoneme, others: list[Phoneme], distance_s: float) -> bool:
    return any(
        one.start_s < other.end_s + distance_s and other.start_s < one.end_s + distance_s for other in others
    )


def summary(rows: list[dict[str, list[float]]]) -> dict[str, float]:
    pooled = {name: [value for row in rows for value in row[name]] for name in rows[0]} if rows else {}
    shares = {name: float(np.mean(pooled[name])) for name in ("bilabials recognised", "phones recognised")}
    shares["recognised elsewhere"] = sum(pooled["recognised elsewhere"]) / len(pooled["bilabials recognised"])
    levels = {f"{name} (dB)": float(np.median(pooled[name])) for name in ("closure level", "burst", "edge level")}
    return {"lines": len(rows), "p, b, m": len(pooled["bilabials recognised"]), **shares, **levels}


if __name__ == "__main__":
    main()
