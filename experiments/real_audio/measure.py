"""Do lips fit the sound on recordings of real people, of whom nobody knows what they say when?

    python experiments/real_audio/measure.py [call.wav [call2.wav]] [--tracked person_a.npz] [--seeds 5]
        [--again | --words WHISPER]

Recordings are given as to `dualtalk simulate`: one with both voices, or a file each; none for the half minute that
pyannote.audio's package brings. The animator, the network's mean and its samples (of several seeds, averaged) move
both people and are held against phonemes as hama's recogniser hears them: gaps between the lips at the middle of a
phoneme, and the least from a frame before it to a frame after. The animator itself goes by these times, so its
figures are what the measure can give at most, and how much of the network's lip gap goes with the animator's is
told, too. With a published file of person A's tracked motion, jaws are compared with the jaw of the person.

Recognisers of phonemes err on such talk. With --words they are those of the words that are said: as Whisper
writes them (a folder with a model for faster-whisper), at the times to which pocketsphinx aligns them. With
--again they are those that pocketsphinx hears without words; and by hama's times the p, b and m at which both hear
one, and those that hama alone hears. Neither the animator nor any training went by these (pip install
faster-whisper pocketsphinx). Lips that are closed in much of the speech close at many of anybody's times, so this
share is told, too.
"""

import argparse
import re
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dualtalk.animator import animate
from dualtalk.audio.phonemes import BILABIALS, Phoneme, recognise_phonemes
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.metrics.lips import gap_at, silent_closure, vowel_opening
from dualtalk.models.checkpoint import load_model
from dualtalk.simulation.closed_loop import predict_closed_loop
from dualtalk.synthesis.voices import ARPABET
from dualtalk.timebase import MOTION_FPS, sample_at

PLOSIVES, NASAL = frozenset("pb"), frozenset("m")
# The jaw of a person may lead or follow what is heard by so many frames.
FARTHEST_FRAMES = 5
# What a recogniser hears before and after a stretch of speech, and how far two of them may be apart.
LEAD_S = 0.1
# A longer pause than this parts two stretches of words; how far from their ends to look for them, and how far an
# alignment may stray from the best on its way.
PAUSE_S = 0.4
ALIGNED_WITHIN_S, BEAMS = (0.1, 0.3, 0.0, 0.5), (1e-80, 1e-64, 1e-100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, nargs="*")
    parser.add_argument("--tracked", type=Path, help="published npz of person A's motion")
    parser.add_argument("--model", default="default")
    parser.add_argument("--seeds", type=int, default=5)
    judges = parser.add_mutually_exclusive_group()
    judges.add_argument("--words", type=Path, metavar="WHISPER", help="hold lips against the words that are said")
    judges.add_argument("--again", action="store_true", help="hold lips against another recogniser")
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
        by_another = [heard_again(person) for person in talk.participants]
        apart = [told_apart(*pair) for pair in zip(phonemes, by_another, strict=True)]
        by_hama = {
            "that both hear": [both for both, _ in apart],
            "that hama alone hears": [one for _, one in apart],
        }
        print({name: count(sounds, BILABIALS) for name, sounds in by_hama.items()})
        phonemes = by_another
    jaw = None if arguments.tracked is None else HeadMotion.load(arguments.tracked).jaw_rotvec_rad[:, 0]
    rows = {
        name: pd.DataFrame([figures(one, rules, phonemes, jaw, by_hama) for one in moved]).mean()
        for name, moved in systems.items()
    }
    print({sounds: count(phonemes, kinds) for sounds, kinds in (("p, b", PLOSIVES), ("m", NASAL))})
    print({label: count([sounds], BILABIALS) for label, sounds in zip("AB", phonemes, strict=True)})
    print(pd.DataFrame(rows).round(2).to_string())


def packaged_recording() -> Path:
    return Path(find_spec("pyannote").submodule_search_locations[0]) / "audio" / "sample" / "sample.wav"


def words_said(talk: Conversation, whisper: Path) -> list[tuple[Phoneme, ...]]:
    """Phonemes of the words that each person says, as far as they can be aligned; what is left out is told."""
    from faster_whisper import WhisperModel

    listener = WhisperModel(str(whisper), device="cpu", compute_type="int8", cpu_threads=1)
    return [said(person, stretches(person, listener)) for person in talk.participants]


def said(person: Participant, todo: list[list]) -> tuple[Phoneme, ...]:
    """Phonemes of stretches of words; one that cannot be aligned is parted, until single words are left out."""
    found, left_out = [], []
    while todo:
        words = todo.pop(0)
        phonemes = aligned(person, words)
        if phonemes is not None:
            found += phonemes
        elif len(words) == 1:
            left_out.append(words[0].word.strip())
        else:
            # Parted at the longest pause, else in the middle.
            pauses = [round(after.start - before.end, 2) for before, after in pairwise(words)]
            cut = max(range(1, len(words)), key=lambda place: (pauses[place - 1], -abs(place - len(words) / 2)))
            todo[:0] = [words[:cut], words[cut:]]
    print("left out:", *left_out or ["no word"])
    return tuple(found)


def stretches(person: Participant, listener) -> list[list]:
    """Words with their rough times, as Whisper hears them, between pauses."""
    segments, _ = listener.transcribe(person.audio, language="en", word_timestamps=True, beam_size=5)
    found: list[list] = []
    for word in (word for segment in segments for word in segment.words if re.search("[a-zA-Z]", word.word)):
        if found and word.start - found[-1][-1].end < PAUSE_S:
            found[-1].append(word)
        else:
            found.append([word])
    return found


def aligned(person: Participant, words: list) -> list[Phoneme] | None:
    """The phonemes of words, where pocketsphinx finds a way through all of them."""
    from pocketsphinx import Decoder

    text = " ".join(re.sub(r"[^a-z' ]", "", word.word.lower()).strip() for word in words)
    for within_s in ALIGNED_WITHIN_S:
        first = max(words[0].start - within_s, 0)
        sound = sixteen_bits(person.audio[sample_at(first) : sample_at(words[-1].end + within_s)])
        for beam in BEAMS:
            listener = Decoder(lm=None, beam=beam, pbeam=beam, wbeam=beam, remove_noise=False, loglevel="FATAL")
            if any(listener.lookup_word(word) is None for word in text.split()):
                return None
            try:
                listener.set_align_text(text)
                heard(listener, sound)
                listener.set_alignment()
                heard(listener, sound)
            except RuntimeError:
                continue
            alignment = listener.get_alignment()
            if alignment is None or sum(word.name[0] != "<" for word in alignment) != len(text.split()):
                continue
            # A word is there only until the next is asked for.
            return [
                Phoneme(
                    ARPABET[one.name.lower()], first + one.start / 100, first + (one.start + one.duration) / 100
                )
                for word in alignment
                for one in word
                if one.name.lower() in ARPABET
            ]
    return None


def heard(listener, sound: bytes) -> None:
    listener.start_utt()
    listener.process_raw(sound, full_utt=True)
    listener.end_utt()


def sixteen_bits(audio: np.ndarray) -> bytes:
    return (audio.clip(-1, 1) * 32767).astype(np.int16).tobytes()


def heard_again(person: Participant) -> tuple[Phoneme, ...]:
    """What pocketsphinx's phoneme recogniser for American English hears in a person's speech."""
    from pocketsphinx import Decoder, get_model_path

    models = Path(get_model_path()) / "en-us"
    listener = Decoder(
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
        heard(listener, sixteen_bits(sound))
        found += [
            Phoneme(ARPABET[one.word.lower()], first + one.start_frame / 100, first + (one.end_frame + 1) / 100)
            for one in listener.seg()
            if one.word.lower() in ARPABET
        ]
    return tuple(found)


def told_apart(
    first: tuple[Phoneme, ...], second: tuple[Phoneme, ...]
) -> tuple[tuple[Phoneme, ...], tuple[Phoneme, ...]]:
    """The first's p, b and m at which the second has one, too, but for LEAD_S; and the others of them."""
    mine, theirs = ([sound for sound in sounds if sound.ipa in BILABIALS] for sounds in (first, second))
    both = [
        one
        for one in mine
        if any(one.start_s < other.end_s + LEAD_S and other.start_s < one.end_s + LEAD_S for other in theirs)
    ]
    return tuple(both), tuple(one for one in mine if one not in both)


def figures(
    moved: Conversation,
    rules: Conversation,
    phonemes: list[tuple[Phoneme, ...]],
    jaw: np.ndarray | None,
    by_hama: dict[str, list[tuple[Phoneme, ...]]],
) -> dict[str, float]:
    head = load_head("open")
    gaps = [head.lip_gap(person.motion) for person in moved.participants]
    both = list(zip(gaps, phonemes, strict=True))
    chosen = {f"p, b, m, {label}": ([pair], BILABIALS) for label, pair in zip("AB", both, strict=True)}
    chosen |= {"p, b": (both, PLOSIVES), "m": (both, NASAL)}
    for name, sounds in by_hama.items():
        chosen[f"p, b, m {name}"] = (list(zip(gaps, sounds, strict=True)), BILABIALS)
    told = {}
    for name, (pairs, kinds) in chosen.items():
        told[f"closed at {name}"] = share([one for pair in pairs for one in gap_at(*pair, kinds)])
        told[f"closed at {name}, a frame off"] = share([one for pair in pairs for one in least_gaps(*pair, kinds)])
    for label, (gap, sounds), person, animated in zip(
        "AB", both, moved.participants, rules.participants, strict=True
    ):
        speaking = person.speaking(len(gap))
        told[f"closed in silence, {label}"] = silent_closure(gap, person.speech)
        told[f"closed in speech, {label}"] = share(gap[speaking])
        told[f"open at vowels, {label}"] = vowel_opening(gap, sounds)
        told[f"gap goes with the animator's, {label}"] = together(gap, head.lip_gap(animated.motion), speaking)
    if jaw is not None:
        mine, speaking = moved.a.motion.jaw_rotvec_rad[:, 0], moved.a.speaking(len(gaps[0]))
        shifts = range(-FARTHEST_FRAMES, FARTHEST_FRAMES + 1)
        by_shift = {shift: together(np.roll(mine, shift), jaw, speaking) for shift in shifts}
        best = max(by_shift, key=by_shift.get)
        told |= {"jaw goes with the person's, A": by_shift[best], "at a shift of ms": best * 1000 / MOTION_FPS}
    return told


def least_gaps(gap: np.ndarray, sounds: tuple[Phoneme, ...], kinds: frozenset) -> Iterator[float]:
    """The least gap from a frame before each phoneme to a frame after."""
    for sound in sounds:
        first, end = round(sound.start_s * MOTION_FPS), round(sound.end_s * MOTION_FPS)
        near = gap[max(first - 1, 0) : max(end, first + 1) + 1]
        if sound.ipa in kinds and len(near):
            yield near.min()


def share(gaps: list[float] | np.ndarray) -> float:
    return float(np.mean(np.asarray(gaps) <= LIPS_CLOSED_M)) if len(gaps) else np.nan


def together(one: np.ndarray, other: np.ndarray, speaking: np.ndarray) -> float:
    """Pearson correlation over the frames with speech."""
    frames = min(len(one), len(other))
    chosen = speaking[:frames]
    return float(np.corrcoef(one[:frames][chosen], other[:frames][chosen])[0, 1])


def count(phonemes: list[tuple[Phoneme, ...]], kinds: frozenset) -> int:
    return sum(sound.ipa in kinds for sounds in phonemes for sound in sounds)


if __name__ == "__main__":
    main()
