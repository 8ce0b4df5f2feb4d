"""Measure lip sync on real recordings, for which no phoneme alignment is available.

    python experiments/real_audio/measure.py [call.wav [call2.wav]] [--tracked person_a.npz] [--seeds 5]
        [--again | --words WHISPER]

Recordings are given as for `dualtalk simulate`: one file with both voices or one file per person; by default the
sample of pyannote.audio. The animator, the network's mean and its samples (averaged over several seeds) are
compared with the phonemes of the hama recogniser: the lip gap at the middle of a phoneme, and the smallest gap
from a frame before it to a frame after. The animator is driven by these phonemes, so its values are an upper
bound; the correlation of the network's lip gap with the animator's is reported as well. With a published file of
person A's tracked motion, jaws are compared with the tracked jaw.

Phoneme recognisers make errors on such speech. With --words the phonemes are those of the words, transcribed by
Whisper (a folder with a model for faster-whisper) and aligned by pocketsphinx. With --again they are recognised by
pocketsphinx without words; in addition, hama's p, b and m are divided into those that both recognisers find and
those of hama alone. Neither the animator nor any training uses these. (pip install faster-whisper
'dualtalk[alignment]')
Lips that are closed in much of the speech are closed at many phonemes by chance, so this share is reported, too.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dualtalk.animator import animate
from dualtalk.audio.forced_alignment import AlignmentError, ForcedAligner, decode, open_decoder, sixteen_bits
from dualtalk.audio.phonemes import ARPABET, BILABIALS, Phoneme, recognise_phonemes
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.metrics.lips import gap_at, silent_closure, vowel_opening
from dualtalk.models.checkpoint import load_model
from dualtalk.simulation.closed_loop import predict_closed_loop
from dualtalk.timebase import MOTION_FPS, sample_at

PLOSIVES, NASAL = frozenset("pb"), frozenset("m")
# The jaw may lead or lag the audio by up to this many frames.
FARTHEST_FRAMES = 5
# Audio before and after a speech segment that a recogniser gets; the tolerance between two recognisers.
LEAD_S = 0.1
# A longer pause separates two segments of words; margins of audio around them.
PAUSE_S = 0.4
ALIGNED_WITHIN_S = (0.1, 0.3, 0.0, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, nargs="*")
    parser.add_argument("--tracked", type=Path, help="published npz of person A's motion")
    parser.add_argument("--model", default="default")
    parser.add_argument("--seeds", type=int, default=5)
    judges = parser.add_mutually_exclusive_group()
    judges.add_argument("--words", type=Path, metavar="WHISPER", help="compare with transcribed, aligned words")
    judges.add_argument("--again", action="store_true", help="compare with another phoneme recogniser")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    talk = conversation_from_recording(arguments.recording or [packaged_recording()])[0]
    trained, rules = load_model(arguments.model), animate(talk, 0).conversation
    systems = {
        "animator": [rules],
        "mean": [predict_closed_loop(talk, trained, "mean", 0)],
        "samples": [predict_closed_loop(talk, trained, "sample", seed) for seed in range(arguments.seeds)],
    }
    by_hama = {}
    if arguments.words:
        phonemes = words_said(talk, arguments.words)
    else:
        phonemes = [recognise_phonemes(person.audio, person.speech) for person in talk.participants]
    if arguments.again:
        by_another = [recognised_by_pocketsphinx(person) for person in talk.participants]
        apart = [divided_by_agreement(*pair) for pair in zip(phonemes, by_another, strict=True)]
        by_hama = {
            "of both recognisers": [both for both, _ in apart],
            "of hama alone": [one for _, one in apart],
        }
        print({name: count(sounds, BILABIALS) for name, sounds in by_hama.items()})
        phonemes = by_another
    jaw = None if arguments.tracked is None else HeadMotion.load(arguments.tracked).jaw_rotvec_rad[:, 0]
    rows = {
        name: pd.DataFrame([figures(one, rules, phonemes, jaw, by_hama) for one in conversations]).mean()
        for name, conversations in systems.items()
    }
    print({sounds: count(phonemes, kinds) for sounds, kinds in (("p, b", PLOSIVES), ("m", NASAL))})
    print({label: count([sounds], BILABIALS) for label, sounds in zip("AB", phonemes, strict=True)})
    print(pd.DataFrame(rows).round(2).to_string())


def packaged_recording() -> Path:
    return Path(find_spec("pyannote").submodule_search_locations[0]) / "audio" / "sample" / "sample.wav"


def words_said(talk: Conversation, whisper: Path) -> list[tuple[Phoneme, ...]]:
    """Phonemes of each person's words, as far as they can be aligned; prints the words that cannot be."""
    from faster_whisper import WhisperModel

    decoder = WhisperModel(str(whisper), device="cpu", compute_type="int8", cpu_threads=1)
    return [said(person, stretches(person, decoder)) for person in talk.participants]


def said(person: Participant, todo: list[list]) -> tuple[Phoneme, ...]:
    """Phonemes of segments of words. A segment that cannot be aligned is divided; such words are left out."""
    found, left_out, aligner = [], [], ForcedAligner()
    while todo:
        words = todo.pop(0)
        phonemes = aligned(person, words, aligner)
        if phonemes is not None:
            found += phonemes
        elif len(words) == 1:
            left_out.append(words[0].word.strip())
        else:
            # Divided at the longest pause, else in the middle.
            pauses = [round(after.start - before.end, 2) for before, after in pairwise(words)]
            cut = max(range(1, len(words)), key=lambda place: (pauses[place - 1], -abs(place - len(words) / 2)))
            todo[:0] = [words[:cut], words[cut:]]
    print("left out:", *left_out or ["no word"])
    return tuple(found)


def stretches(person: Participant, decoder) -> list[list]:
    """Words with approximate times by Whisper, grouped between pauses."""
    segments, _ = decoder.transcribe(person.audio, language="en", word_timestamps=True, beam_size=5)
    found: list[list] = []
    for word in (word for segment in segments for word in segment.words if re.search("[a-zA-Z]", word.word)):
        if found and word.start - found[-1][-1].end < PAUSE_S:
            found[-1].append(word)
        else:
            found.append([word])
    return found


def aligned(person: Participant, words: list, aligner: ForcedAligner) -> list[Phoneme] | None:
    """The phonemes of words if pocketsphinx aligns all of them, else None."""
    texts = [re.sub(r"[^a-z']", "", text.lower()) for word in words for text in word.word.split()]
    for within_s in ALIGNED_WITHIN_S:
        first = max(words[0].start - within_s, 0)
        sound = person.audio[sample_at(first) : sample_at(words[-1].end + within_s)]
        try:
            found = aligner.align(sound, [text for text in texts if text])
        except AlignmentError:
            continue
        phonemes = (phoneme for word in found for phoneme in word.phonemes)
        return [replace(one, start_s=first + one.start_s, end_s=first + one.end_s) for one in phonemes]
    return None


def recognised_by_pocketsphinx(person: Participant) -> tuple[Phoneme, ...]:
    """Phonemes of a person's speech by pocketsphinx's recogniser for American English."""
    from pocketsphinx import get_model_path

    models = Path(get_model_path()) / "en-us"
    decoder = open_decoder(
        hmm=str(models / "en-us"),
        allphone=str(models / "en-us-phone.lm.bin"),
        lm=None,
        dict=None,
        lw=2.0,
        beam=1e-20,
        pbeam=1e-20,
        loglevel="FATAL",
    )
    found = []
    for stretch in person.speech:
        first = max(stretch.start - LEAD_S, 0)
        sound = person.audio[sample_at(first) : sample_at(stretch.end + LEAD_S)]
        decode(decoder, sixteen_bits(sound))
        found += [
            Phoneme(ARPABET[one.word.lower()], first + one.start_frame / 100, first + (one.end_frame + 1) / 100)
            for one in decoder.seg()
            if one.word.lower() in ARPABET
        ]
    return tuple(found)


def divided_by_agreement(
    first: tuple[Phoneme, ...], second: tuple[Phoneme, ...]
) -> tuple[tuple[Phoneme, ...], tuple[Phoneme, ...]]:
    """Bilabials of the first with one of the second within LEAD_S, and the other bilabials of the first."""
    mine, theirs = ([sound for sound in sounds if sound.ipa in BILABIALS] for sounds in (first, second))
    both = [
        one
        for one in mine
        if any(one.start_s < other.end_s + LEAD_S and other.start_s < one.end_s + LEAD_S for other in theirs)
    ]
    return tuple(both), tuple(one for one in mine if one not in both)


def figures(
    animated: Conversation,
    rules: Conversation,
    phonemes: list[tuple[Phoneme, ...]],
    jaw: np.ndarray | None,
    by_hama: dict[str, list[tuple[Phoneme, ...]]],
) -> dict[str, float]:
    head = load_head("open")
    gaps = [head.lip_gap(person.motion) for person in animated.participants]
    both = list(zip(gaps, phonemes, strict=True))
    chosen = {f"p, b, m, {label}": ([pair], BILABIALS) for label, pair in zip("AB", both, strict=True)}
    chosen |= {"p, b": (both, PLOSIVES), "m": (both, NASAL)}
    for name, sounds in by_hama.items():
        chosen[f"p, b, m {name}"] = (list(zip(gaps, sounds, strict=True)), BILABIALS)
    values = {}
    for name, (pairs, kinds) in chosen.items():
        values[f"closed at {name}"] = share([one for pair in pairs for one in gap_at(*pair, kinds)])
        values[f"closed at {name}, within a frame"] = share(
            [one for pair in pairs for one in least_gaps(*pair, kinds)]
        )
    for label, (gap, sounds), person, by_rules in zip(
        "AB", both, animated.participants, rules.participants, strict=True
    ):
        speaking = person.speaking(len(gap))
        values[f"closed in silence, {label}"] = silent_closure(gap, person.speech)
        values[f"closed in speech, {label}"] = share(gap[speaking])
        values[f"open at vowels, {label}"] = vowel_opening(gap, sounds)
        values[f"correlation of the gap with the animator's, {label}"] = correlation(
            gap, head.lip_gap(by_rules.motion), speaking
        )
    if jaw is not None:
        mine, speaking = animated.a.motion.jaw_rotvec_rad[:, 0], animated.a.speaking(len(gaps[0]))
        shifts = range(-FARTHEST_FRAMES, FARTHEST_FRAMES + 1)
        by_shift = {shift: correlation(np.roll(mine, shift), jaw, speaking) for shift in shifts}
        best = max(by_shift, key=by_shift.get)
        values |= {
            "correlation of the jaw with the tracked jaw, A": by_shift[best],
            "at a shift of ms": best * 1000 / MOTION_FPS,
        }
    return values


def least_gaps(gap: np.ndarray, sounds: tuple[Phoneme, ...], kinds: frozenset) -> Iterator[float]:
    """The smallest gap from a frame before each phoneme to a frame after."""
    for sound in sounds:
        first, end = round(sound.start_s * MOTION_FPS), round(sound.end_s * MOTION_FPS)
        near = gap[max(first - 1, 0) : max(end, first + 1) + 1]
        if sound.ipa in kinds and len(near):
            yield near.min()


def share(gaps: list[float] | np.ndarray) -> float:
    return float(np.mean(np.asarray(gaps) <= LIPS_CLOSED_M)) if len(gaps) else np.nan


def correlation(one: np.ndarray, other: np.ndarray, speaking: np.ndarray) -> float:
    """Pearson correlation over the frames with speech."""
    frames = min(len(one), len(other))
    chosen = speaking[:frames]
    return float(np.corrcoef(one[:frames][chosen], other[:frames][chosen])[0, 1])


def count(phonemes: list[tuple[Phoneme, ...]], kinds: frozenset) -> int:
    return sum(sound.ipa in kinds for sounds in phonemes for sound in sounds)


if __name__ == "__main__":
    main()
