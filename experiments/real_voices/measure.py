"""Measure lips on the voices of unseen people, against the phonemes of known words.

    python experiments/real_voices/measure.py STORE [--model default] [--model rules] [--bilabials 300]

STORE is made by `dualtalk prepare --corpus speechocean762`. Of its test split, the first clips are taken that have
the wanted number of p, b and m. Always measured is the teacher: the animator with the aligned phonemes. `rules` is
the animator with a recogniser's phonemes; any other model is a name or a path. All heads have the mean shape.

closed at p, b, m         share of these phones with lips at most 2 mm apart at some frame from one before the
                          phone to one after
open vowels over 4 mm     share of ɑ, æ, ɔ, aɪ and aʊ at whose middle the lips are more than 4 mm apart
closures at other phones  a closure is a run of frames with lips at most 2 mm apart. It belongs to p, b or m if it
                          reaches within a frame of one; else to f or v, likewise; else to a pause of at least
                          0.1 s between phones; else to another phone. The share is of the closures that do not
                          belong to a pause; one at f or v counts half. The two parts are listed as well
frames closed at others   share of the frames of other phones, more than a frame from any p, b, m, f or v, with
                          lips at most 2 mm apart
silence closed            share of the frames at least 0.3 s from own speech with lips at most 2 mm apart
correlation               of the aperture with the teacher's over the frames of speech; mean over people
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dualtalk.animator import Transcript, animate
from dualtalk.audio.phonemes import BILABIALS, Phoneme
from dualtalk.core import Conversation, speaking_frames
from dualtalk.geometry.masks import runs
from dualtalk.head import LIPS_CLOSED_M, load_head
from dualtalk.metrics.lips import OPEN_M
from dualtalk.metrics.turn_transitions import NEAR_SPEECH_S
from dualtalk.models.checkpoint import load_model
from dualtalk.simulation.predictions import predict
from dualtalk.store import open_store
from dualtalk.store.schema import stored_phonemes
from dualtalk.timebase import MOTION_FPS, frame_at

LABIODENTALS, OPEN_VOWELS = frozenset("fv"), frozenset(("ɑ", "æ", "ɔ", "aɪ", "aʊ"))
SHORTEST_PAUSE_S = 0.1
NEAR_FRAMES = 1

Clip = tuple[Conversation, tuple[tuple[Phoneme, ...], tuple[Phoneme, ...]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", action="append", help="a name or a path; repeatable")
    parser.add_argument("--mode", choices=("sample", "mean"), default="sample")
    parser.add_argument("--bilabials", type=int, default=300, help="smallest number of p, b and m")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips = chosen_clips(arguments.store, arguments.bilabials)
    seconds = sum(talk.duration_s for talk, _ in clips)
    bilabials, vowels = count(clips, BILABIALS), count(clips, OPEN_VOWELS)
    print(f"{len(clips)} clips, {seconds:.0f} s, {bilabials} p, b, m, {vowels} open vowels")
    teacher = [apertures(animate(talk, 0, transcripts(phonemes)).conversation) for talk, phonemes in clips]
    rows = {"teacher": figures(clips, teacher, teacher)}
    for name in arguments.model or ("rules", "default"):
        begin = time.perf_counter()
        model = "rules" if name == "rules" else load_model(name)
        predicted = [apertures(predict(talk, model, "closed-loop", arguments.mode)) for talk, _ in clips]
        rows[name] = figures(clips, predicted, teacher)
        print(f"{name}: {time.perf_counter() - begin:.0f} s")
    print(pd.DataFrame(rows).round(3).to_string())
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


def chosen_clips(root: Path, bilabials: int) -> list[Clip]:
    """The first clips of the test split, in order of their names, that have enough p, b and m."""
    store = open_store(root)
    clips: list[Clip] = []
    for name in sorted(store.manifest.query("split == 'test'")["clip"]):
        if count(clips, BILABIALS) >= bilabials:
            break
        clips.append((store.conversation(name).with_motion(None, None), stored_phonemes(store.details(name))))
    return clips


def count(clips: list[Clip], symbols: frozenset[str]) -> int:
    return sum(one.ipa in symbols for _, both in clips for own in both for one in own)


def transcripts(phonemes: tuple[tuple[Phoneme, ...], tuple[Phoneme, ...]]) -> tuple[Transcript, Transcript]:
    return Transcript(phonemes[0]), Transcript(phonemes[1])


def apertures(talk: Conversation) -> list[np.ndarray]:
    head = load_head("open")
    return [head.lip_gap(person.required_motion) for person in talk.participants]


def figures(clips: list[Clip], gaps: list[list[np.ndarray]], teacher: list[list[np.ndarray]]) -> dict[str, float]:
    people = [
        person_counts(talk, index, phonemes[index], gap[index], reference[index])
        for (talk, phonemes), gap, reference in zip(clips, gaps, teacher, strict=True)
        for index in (0, 1)
    ]
    total = pd.DataFrame(people).sum()
    attributed = total["at bilabials"] + total["at labiodentals"] + total["at others"]
    return {
        "closed at p, b, m": total["bilabials closed"] / total["bilabials"],
        "open vowels over 4 mm": total["vowels open"] / total["vowels"],
        "closures at other phones": (total["at others"] + total["at labiodentals"] / 2) / attributed,
        "closures at f and v": total["at labiodentals"] / attributed,
        "closures at neither": total["at others"] / attributed,
        "frames closed at others": total["other frames closed"] / total["other frames"],
        "silence closed": total["silent frames closed"] / total["silent frames"],
        "correlation with the teacher": float(np.nanmean([one["correlation"] for one in people])),
        "closures a minute of speech": attributed / (total["speaking frames"] / MOTION_FPS / 60),
    }


def person_counts(
    talk: Conversation, index: int, phonemes: tuple[Phoneme, ...], gap: np.ndarray, reference: np.ndarray
) -> dict[str, float]:
    """What `figures` sums over people."""
    speech, frames = talk.participants[index].speech, len(gap)
    closed, speaking = gap <= LIPS_CLOSED_M, speaking_frames(speech, frames)
    silent = ~speaking_frames(speech, frames, widened_s=NEAR_SPEECH_S)
    bilabial, labiodental = (frames_of(phonemes, frames, some, NEAR_FRAMES) for some in (BILABIALS, LABIODENTALS))
    other = frames_of(phonemes, frames, None, 0) & ~bilabial & ~labiodental
    vowels = [frame_at((one.start_s + one.end_s) / 2) for one in phonemes if one.ipa in OPEN_VOWELS]
    at_bilabials = [closed[span(one, frames, NEAR_FRAMES)].any() for one in phonemes if one.ipa in BILABIALS]
    paused = pauses(phonemes, frames)
    owners = [
        "at bilabials"
        if bilabial[first:end].any()
        else "at labiodentals"
        if labiodental[first:end].any()
        else "in pauses"
        if paused[first:end].any()
        else "at others"
        for first, end in runs(closed)
    ]
    return {
        "bilabials": len(at_bilabials),
        "bilabials closed": sum(at_bilabials),
        "vowels": len(vowels),
        "vowels open": int((gap[[frame for frame in vowels if frame < frames]] > OPEN_M).sum()),
        **{name: owners.count(name) for name in ("at bilabials", "at labiodentals", "at others")},
        "other frames": int(other.sum()),
        "other frames closed": int((other & closed).sum()),
        "silent frames": int(silent.sum()),
        "silent frames closed": int((silent & closed).sum()),
        "speaking frames": int(speaking.sum()),
        "correlation": correlation(gap[speaking], reference[speaking]),
    }


def span(phoneme: Phoneme, frames: int, widened: int) -> slice:
    first, end = round(phoneme.start_s * MOTION_FPS), round(phoneme.end_s * MOTION_FPS)
    return slice(max(first - widened, 0), min(max(end, first + 1) + widened, frames))


def frames_of(
    phonemes: tuple[Phoneme, ...], frames: int, symbols: frozenset[str] | None, widened: int
) -> np.ndarray:
    """Frames of the phonemes with these symbols, or of all."""
    mask = np.zeros(frames, bool)
    for one in phonemes:
        if symbols is None or one.ipa in symbols:
            mask[span(one, frames, widened)] = True
    return mask


def pauses(phonemes: tuple[Phoneme, ...], frames: int) -> np.ndarray:
    """Frames between phonemes that are at least `SHORTEST_PAUSE_S` apart, and before and after all."""
    mask, since_s = np.zeros(frames, bool), -1.0
    for start_s, end_s in [*((one.start_s, one.end_s) for one in phonemes), (frames / MOTION_FPS + 1, 0)]:
        if start_s - since_s >= SHORTEST_PAUSE_S:
            mask[max(round(since_s * MOTION_FPS), 0) : round(start_s * MOTION_FPS)] = True
        since_s = end_s
    return mask


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    if len(one) < 2 or not np.ptp(one) or not np.ptp(other):
        return np.nan
    return float(np.corrcoef(one, other)[0, 1])


if __name__ == "__main__":
    main()
