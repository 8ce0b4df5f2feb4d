"""Do lips fit the sound on recordings of real people, of whom nobody knows what they say when?

    python experiments/real_audio/measure.py [call.wav [call2.wav]] [--tracked person_a.npz] [--seeds 5]

Recordings are given as to `dualtalk simulate`: one with both voices, or a file each; none for the half minute that
pyannote.audio's package brings. The animator, the network's mean and its samples (of several seeds, averaged) move
both people and are held against phonemes as hama's recogniser hears them: gaps between the lips at the middle of a
phoneme, and the least from a frame before it to a frame after. The animator itself goes by these times, so its
figures are what the measure can give at most, and how much of the network's lip gap goes with the animator's is
told, too. With a published file of person A's tracked motion, jaws are compared with the jaw of the person.
"""

import argparse
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dualtalk.animator import animate
from dualtalk.audio.clock import MOTION_FPS
from dualtalk.audio.phonemes import Phoneme, recognise_phonemes
from dualtalk.conversation import Conversation, HeadMotion
from dualtalk.evaluate.lips import CLOSED_M, bilabial_closure, gap_at, silent_closure, vowel_opening
from dualtalk.head import load_head
from dualtalk.models.checkpoint import load_model
from dualtalk.preprocess.recording import conversation_from_recording
from dualtalk.simulation.closed_loop import close_the_loop

PLOSIVES, NASAL = frozenset("pb"), frozenset("m")
# The jaw of a person may lead or follow what is heard by so many frames.
FARTHEST_FRAMES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, nargs="*")
    parser.add_argument("--tracked", type=Path, help="published npz of person A's motion")
    parser.add_argument("--model", default="default")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    talk = conversation_from_recording(arguments.recording or [packaged_recording()])[0]
    phonemes = [recognise_phonemes(person.audio, person.speech) for person in talk.people]
    trained, rules = load_model(arguments.model), animate(talk, 0).conversation
    systems = {
        "animator": [rules],
        "mean": [close_the_loop(talk, trained, "mean", 0)],
        "samples": [close_the_loop(talk, trained, "sample", seed) for seed in range(arguments.seeds)],
    }
    jaw = None if arguments.tracked is None else HeadMotion.load(arguments.tracked).jaw_rotvec_rad[:, 0]
    rows = {
        name: pd.DataFrame([figures(one, rules, phonemes, jaw) for one in moved]).mean()
        for name, moved in systems.items()
    }
    print({sounds: count(phonemes, kinds) for sounds, kinds in (("p, b", PLOSIVES), ("m", NASAL))})
    print(pd.DataFrame(rows).round(2).to_string())


def packaged_recording() -> Path:
    return Path(find_spec("pyannote").submodule_search_locations[0]) / "audio" / "sample" / "sample.wav"


def figures(
    moved: Conversation, rules: Conversation, phonemes: list[tuple[Phoneme, ...]], jaw: np.ndarray | None
) -> dict[str, float]:
    head = load_head("open")
    gaps = [head.lip_gap(person.motion) for person in moved.people]
    both = list(zip(gaps, phonemes, strict=True))
    told = {}
    for label, pair in zip("AB", both, strict=True):
        told[f"closed at p, b, m, {label}"] = bilabial_closure(*pair)
    for name, kinds in (("p, b", PLOSIVES), ("m", NASAL)):
        told[f"closed at {name}"] = share([one for pair in both for one in gap_at(*pair, kinds)])
        told[f"closed at {name}, a frame off"] = share([one for pair in both for one in least_gaps(*pair, kinds)])
    for label, (gap, sounds), person, animated in zip("AB", both, moved.people, rules.people, strict=True):
        speaking = person.speaking(len(gap))
        told[f"closed in silence, {label}"] = silent_closure(gap, person.speech)
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
    return float(np.mean(np.asarray(gaps) <= CLOSED_M)) if len(gaps) else np.nan


def together(one: np.ndarray, other: np.ndarray, speaking: np.ndarray) -> float:
    """Pearson correlation over the frames with speech."""
    frames = min(len(one), len(other))
    chosen = speaking[:frames]
    return float(np.corrcoef(one[:frames][chosen], other[:frames][chosen])[0, 1])


def count(phonemes: list[tuple[Phoneme, ...]], kinds: frozenset) -> int:
    return sum(sound.ipa in kinds for sounds in phonemes for sound in sounds)


if __name__ == "__main__":
    main()
