"""What the lips and the jaw of a real person do in running speech.

    python experiments/real_lips/person.py stores/real_lips

Prints, for each clip and for all: aperture, contacts, speeds, bandwidth, timing against loudness, and the lip gap
at the phonemes of the hama recogniser.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from facegood import CLIPS
from measure import correlation, lip_gap_m
from scipy.signal import find_peaks

from dualtalk.animator.mouth import VISEME_PHONEMES
from dualtalk.audio.phonemes import Phoneme, recognise_phonemes
from dualtalk.audio.prosody import loudness_db
from dualtalk.core import Conversation
from dualtalk.geometry.masks import runs
from dualtalk.head import LIPS_CLOSED_M
from dualtalk.head.blendshapes import UNIT_SLOT
from dualtalk.timebase import MOTION_FPS

SEAL_UNITS = ("mouthRollLower", "mouthRollUpper", "mouthPressLeft", "mouthPressRight")
LEAST_SEAL = 0.05
QUIETEST_DB = -30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    rows, gaps = {}, []
    for clip in CLIPS:
        person = Conversation.load(folder / clip)
        rows[clip] = figures(person)
        gaps += gaps_at_phonemes(person, recognise_phonemes(person.a.audio, person.a.speech))
    table = pd.DataFrame(rows)
    table["all"] = table.mean(axis=1)
    print(table.round(3).to_string())
    at = pd.DataFrame(gaps, columns=["class", "gap_mm"]).groupby("class", sort=False)["gap_mm"]
    closed = at.apply(lambda gap: (gap <= 1000 * LIPS_CLOSED_M).mean())
    opened = at.apply(lambda gap: (gap > 4).mean())
    print(pd.DataFrame({"n": at.size(), "median": at.median(), "closed": closed, "open": opened}).round(2))


def figures(conversation: Conversation) -> dict[str, float]:
    person, frames = conversation.a, conversation.frames
    motion, speaking = person.required_motion, person.speaking(frames)
    gap_mm = 1000 * lip_gap_m(motion)
    jaw = motion.jaw_rotvec_rad[:, 0]
    units = {unit: motion.expression[:, slot] for unit, slot in UNIT_SLOT.items()}
    speed = np.diff(gap_mm) * MOTION_FPS
    jaw_speed = np.diff(jaw) * MOTION_FPS
    contacts = [end - first for first, end in runs(gap_mm <= 1000 * LIPS_CLOSED_M) if speaking[first:end].all()]
    seal = np.max([units[unit] for unit in SEAL_UNITS], axis=0)
    seals = find_peaks(seal, height=LEAST_SEAL, prominence=LEAST_SEAL)[0]
    loud = loudness_db(person.audio)[:frames]
    loud = np.maximum(loud - np.median(loud[speaking]), QUIETEST_DB)
    found = {f"gap mm, {q} %": np.percentile(gap_mm[speaking], q) for q in (25, 50, 75, 95)}
    found |= {
        "closed in speech": (gap_mm[speaking] <= 1000 * LIPS_CLOSED_M).mean(),
        "contacts per s of speech": MOTION_FPS * len(contacts) / speaking.sum(),
        "contact, median s": np.median(contacts) / MOTION_FPS,
        "seals per s of speech": MOTION_FPS * len(seals) / speaking.sum(),
        "jaw open at a seal, median rad": np.median(jaw[seals]),
        "gap mm, 1 frame after a seal": np.mean(gap_mm[np.minimum(seals + 1, frames - 1)]),
        "gap mm, 2 frames after a seal": np.mean(gap_mm[np.minimum(seals + 2, frames - 1)]),
        "gap mm, 3 frames after a seal": np.mean(gap_mm[np.minimum(seals + 3, frames - 1)]),
        "opening speed mm/s, 95 %": np.percentile(speed[speaking[1:]], 95),
        "closing speed mm/s, 95 %": -np.percentile(speed[speaking[1:]], 5),
        "jaw speed rad/s, 95 %": np.percentile(np.abs(jaw_speed[speaking[1:]]), 95),
        "jaw spread rad": jaw.std(),
        "gap, 90 % of power below Hz": bandwidth_hz(gap_mm[speaking]),
        "jaw, 90 % of power below Hz": bandwidth_hz(jaw[speaking]),
        "lip corners > 0.05, of speech": (units["mouthSmileLeft"][speaking] > 0.05).mean(),
        "lower teeth (lip down > 0.05)": (units["mouthLowerDownLeft"][speaking] > 0.05).mean(),
        "upper teeth (lip up > 0.05)": (units["mouthUpperUpLeft"][speaking] > 0.05).mean(),
    }
    for lag in (-1, 0, 1, 2):
        found[f"r of jaw and loudness {lag} frames earlier"] = correlation(np.roll(loud, lag), jaw, speaking)
    return {name: float(value) for name, value in found.items()}


def bandwidth_hz(curve: np.ndarray) -> float:
    """Frequency below which 90 % of the power lies, without the mean."""
    power = np.abs(np.fft.rfft(curve - curve.mean())) ** 2
    return float(np.fft.rfftfreq(len(curve), 1 / MOTION_FPS)[np.searchsorted(np.cumsum(power), 0.9 * power.sum())])


def gaps_at_phonemes(conversation: Conversation, phonemes: tuple[Phoneme, ...]) -> list[tuple[str, float]]:
    """(class, gap in mm) at each phoneme: the least within one frame of a p, b or m, else at the middle."""
    gap_mm = 1000 * lip_gap_m(conversation.a.required_motion)
    viseme = {ipa: name for name, symbols in VISEME_PHONEMES.items() for ipa in symbols.split()}
    found = []
    for one in phonemes:
        middle = int((one.start_s + one.end_s) / 2 * MOTION_FPS)
        reach = 1 if viseme[one.ipa] == "bilabial" else 0
        found.append((viseme[one.ipa], float(gap_mm[max(middle - reach, 0) : middle + reach + 1].min())))
    return found


if __name__ == "__main__":
    main()
