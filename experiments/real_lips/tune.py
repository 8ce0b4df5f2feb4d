"""Search the animator's lip constants on a real person's motion and sound.

    python experiments/real_lips/tune.py stores/real_lips stores/synthetic --minutes 10 [--seed 0]

Coordinate search from the present constants. The objective is the correlation of the lip gap with the person's
over five clips, in speech and near it, less what differs in the distribution of gaps (mm, beyond 1) and less
what moves targets of visemes away from the present ones: a recogniser's errors draw all of them towards their
mean. With the exact phonemes of a synthetic store, lips must close at every p, b and m, seldom elsewhere, open
at open vowels and stay closed in silence. Prints the constants, and the correlation on the held-out clips.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from facegood import CLIPS, HELD_OUT
from measure import EDGE_FRAMES, correlation, lip_gap_m
from scipy.ndimage import maximum_filter1d

from dualtalk.animator import mouth, rules
from dualtalk.animator.voice_features import Transcript, VoiceFeatures, extract_voice_features
from dualtalk.audio.phonemes import Phoneme
from dualtalk.core import PARTY, Conversation, Participant
from dualtalk.head import LIPS_CLOSED_M
from dualtalk.metrics.lips import OPEN_M, bilabial_closure, gap_at, silent_closure
from dualtalk.store import open_store

RANGES = {
    "JAW_REACTION_S": (0.02, 0.09),
    "LIP_REACTION_S": (0.02, 0.1),
    "JAW_LAG_S": (-0.06, 0.08),
    "LIP_LAG_S": (-0.1, 0.06),
    "REST": (0.02, 0.3),
    "UNSPECIFIED": (0.05, 0.3),
    "OPENING_PER_DB": (0.0, 0.09),
    "LOUDNESS_LAG_S": (-0.02, 0.08),
    "MIN_GAIN": (0.05, 0.5),
    "MAX_GAIN": (1.1, 1.8),
    "PARTED_OPENING": (0.0, 0.4),
    "TRANSITION_S": (0.03, 0.14),
    "LEAD_S": (0.08, 0.24),
    "RETURN_S": (0.08, 0.24),
}
SPEECH_JAW_RANGE_RAD = (0.08, 0.2)
# Each viseme's opening may change by this factor.
OPENING_FACTOR = 1.4
OPEN_VISEMES = ("open", "mid_front", "mid")
CONTACT_VISEMES = ("bilabial", "labiodental")
SYNTHETIC_CLIPS = 4
FIRST_STEP, LONGER, SHORTER, LONGEST_STEP = 0.25, 1.3, 0.6, 0.5


@dataclass(frozen=True, eq=False)
class Case:
    """One voice: its features, its speech, and the lip gap of the person where it is known."""

    voice: VoiceFeatures
    person: Participant
    gap_m: np.ndarray | None = None

    def animated_gap_m(self) -> np.ndarray:
        return lip_gap_m(rules.generate_motion(self.voice, [], np.random.default_rng(0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    real = {clip: real_case(arguments.folder / clip) for clip in CLIPS}
    tuned = [case for clip, case in real.items() if clip not in HELD_OUT]
    exact = synthetic_cases(arguments.store)
    constants = search(tuned, exact, 60 * arguments.minutes, np.random.default_rng(arguments.seed))
    for name, value in constants.items():
        print(f"{name:24} {value:.3f}")
    print("tuned:", agreement(tuned).round(3), "held out:", agreement([real[one] for one in HELD_OUT]).round(3))


def real_case(folder: Path) -> Case:
    person = Conversation.load(folder).a
    motion = person.required_motion
    return Case(extract_voice_features(person, motion.frames), person, lip_gap_m(motion))


def synthetic_cases(store_folder: Path) -> list[Case]:
    store = open_store(store_folder)
    cases = []
    for clip in store.manifest["clip"][:SYNTHETIC_CLIPS]:
        conversation, phonemes = store.conversation(clip), store.details(clip)["phonemes"]
        for label, person in zip(PARTY, conversation.participants, strict=True):
            transcript = Transcript(tuple(Phoneme(*one) for one in phonemes[label]))
            cases.append(Case(extract_voice_features(person, conversation.frames, transcript), person))
    return cases


def search(tuned: list[Case], exact: list[Case], seconds: float, rng: np.random.Generator) -> dict[str, float]:
    """Coordinate search: each constant up or down by a step that grows with success and shrinks without."""
    start, ranges = present_constants()
    best, least = dict(start), loss(start, start, tuned, exact)
    step = dict.fromkeys(start, FIRST_STEP)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name in rng.permutation(list(start)):
            low, high = ranges[name]
            for sign in rng.permutation([-1, 1]):
                changed = float(np.clip(best[name] + sign * step[name] * (high - low), low, high))
                tried = best | {name: changed}
                value = loss(tried, start, tuned, exact)
                if value < least:
                    best, least = tried, value
                    step[name] = min(step[name] * LONGER, LONGEST_STEP)
                    break
            else:
                step[name] *= SHORTER
        print(f"{until - time.monotonic():.0f} s left, loss {least:.4f}", flush=True)
    set_constants(best)
    return best


def present_constants() -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Present values and their ranges; a viseme's opening has the viseme's name."""
    values = {name: getattr(mouth, name) for name in RANGES} | {"SPEECH_JAW_RAD": rules.SPEECH_JAW_RAD}
    ranges = RANGES | {"SPEECH_JAW_RAD": SPEECH_JAW_RANGE_RAD}
    for viseme, targets in mouth.VISEME_TARGETS.items():
        values[viseme] = targets["opening"]
        ranges[viseme] = (targets["opening"] / OPENING_FACTOR, min(OPENING_FACTOR * targets["opening"], 1.0))
    return values, ranges


def set_constants(values: dict[str, float]) -> None:
    for name, value in values.items():
        if name in mouth.VISEME_TARGETS:
            mouth.VISEME_TARGETS[name]["opening"] = value
        else:
            setattr(rules if name == "SPEECH_JAW_RAD" else mouth, name, value)


def loss(values: dict[str, float], start: dict[str, float], tuned: list[Case], exact: list[Case]) -> float:
    set_constants(values)
    in_speech, near_speech, apart_mm = agreement(tuned)
    shift = sum(((values[v] - start[v]) / (start[v] + 0.1)) ** 2 for v in mouth.VISEME_TARGETS)
    closed, elsewhere, opened, silent = exactness(exact)
    too_little = 5 * (1 - closed) + 1.5 * max(0, elsewhere - 0.06) + 1.5 * max(0, 0.9 - opened)
    return (
        -(in_speech + near_speech) / 2
        + 0.01 * max(apart_mm - 1, 0)
        + 0.004 * shift
        + too_little
        + 2 * max(0, 0.99 - silent)
    )


def agreement(cases: list[Case]) -> np.ndarray:
    """Mean over the cases of the correlation in speech, of that near speech, and of the difference in mm of the
    quartiles and of the 95th percentile."""
    rows = []
    for case in cases:
        own, person = case.animated_gap_m(), case.gap_m
        speaking = case.voice.speaking
        near = maximum_filter1d(speaking, 2 * EDGE_FRAMES + 1)
        apart_m = [np.percentile(own[speaking], q) - np.percentile(person[speaking], q) for q in (25, 50, 75, 95)]
        rows.append(
            (
                correlation(own, person, speaking),
                correlation(own, person, near),
                1000 * float(np.abs(apart_m).mean()),
            )
        )
    return np.mean(rows, axis=0)


def exactness(cases: list[Case]) -> tuple[float, float, float, float]:
    """Share closed at p, b, m; closed at others but f and v; open at open vowels; closed in silence."""
    contacts = symbols_of(CONTACT_VISEMES)
    others = frozenset(mouth.VISEME_OF) - contacts
    closed, elsewhere, opened, silent = [], [], [], []
    for case in cases:
        gap_m, phonemes = case.animated_gap_m(), case.voice.phonemes
        closed.append(bilabial_closure(gap_m, phonemes))
        elsewhere += list(exact_gaps(gap_m, phonemes, others) <= LIPS_CLOSED_M)
        opened += list(exact_gaps(gap_m, phonemes, symbols_of(OPEN_VISEMES)) > OPEN_M)
        silent.append(silent_closure(gap_m, case.person.speech))
    return float(np.nanmean(closed)), float(np.mean(elsewhere)), float(np.mean(opened)), float(np.nanmean(silent))


def exact_gaps(gap_m: np.ndarray, phonemes: tuple[Phoneme, ...], symbols: frozenset[str]) -> np.ndarray:
    """Gap at the middle of each phoneme among `symbols` (whole symbols, not their first letters)."""
    chosen = tuple(one for one in phonemes if one.ipa in symbols)
    return gap_at(gap_m, chosen, frozenset(one.ipa[0] for one in chosen))


def symbols_of(visemes: tuple[str, ...]) -> frozenset[str]:
    return frozenset(symbol for symbol, viseme in mouth.VISEME_OF.items() if viseme in visemes)


if __name__ == "__main__":
    main()
