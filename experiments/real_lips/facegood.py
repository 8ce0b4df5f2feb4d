"""Read FACEGOOD's facial capture of a talking woman as conversations of the open head.

    python experiments/real_lips/facegood.py FOLDER --out stores/real_lips

The capture (https://github.com/FACEGOOD/FACEGOOD-Audio2Face, folder code/train; MIT) has 116 controls of a rig
at 30 frames a second and one wave file for each clip. FOLDER holds `bs_value/bs_value_1114_*.npy`,
`wav/1114_*.wav` and `shirley_1119_bs_name316.npy` as the repository does. Each clip becomes a folder that
`Conversation.load` reads: person A has the sound and the motion, person B is silent and still. `observed.json`
names the coefficients of the motion that were captured; the others (eyes, brows, head) are 0 and mean nothing.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float
from pyannote.core import Timeline

from dualtalk.audio.voice_activity import detect_speech
from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.geometry.resampling import resample_curves
from dualtalk.head.blendshapes import JAW_JOINT_UNITS, UNIT_SLOT, motion_from_arkit
from dualtalk.io.arkit import ARKIT_UNITS
from dualtalk.timebase import AUDIO_RATE_HZ, MOTION_FPS, SAMPLES_PER_FRAME

CLIPS = ("2_01", "2_02", "2_03", "2_04", "2_05", "3_15", "3_16")
# One clip of words and one of sentences.
HELD_OUT = ("2_05", "3_16")
CAPTURE_FPS = 30
# control -> ((ARKit unit, weight), ...). The names follow FACS. Reasons:
# - stretch_c is AU27, the open jaw; weight 1 gives 12 mm at the median of an "a".
# - suck is AU28: it peaks at p, b and m with both lips, at f with the lower lip alone.
# - press is AU24, at p, b and m of three clips. Left and right are equal in this capture.
# - funnel is AU22, at sh, x and q; its four quarters move together, ARKit has one unit.
# - pucker is AU18, at w and u. In the clips whose w and u have no pucker, they have "oh" or "oo" instead: the same
#   rounding, of which a little is funnelled in "oh" (the lips part a little more).
# - lowerLipDepress is AU16, upperLipRaise AU10 (teeth at sh, i and e), lipCornerPull AU12, lipStretch AU20,
#   chinRaise AU17, nose_wrinkle AU9.
# Left out: tooth_d_d and tongue (inside the mouth), and controls that stay below 0.02 (dimple, jaw_sideways,
# lipCornerPullOpen, mouth_stretch_u).
CONTROLS: dict[str, tuple[tuple[str, float], ...]] = {
    "mouth_stretch_c": (("jawOpen", 1.0),),
    "mouth_suck_dl": (("mouthRollLower", 0.5),),
    "mouth_suck_dr": (("mouthRollLower", 0.5),),
    "mouth_suck_ul": (("mouthRollUpper", 0.5),),
    "mouth_suck_ur": (("mouthRollUpper", 0.5),),
    "mouth_press_l": (("mouthPressLeft", 1.0),),
    "mouth_press_r": (("mouthPressRight", 1.0),),
    "mouth_funnel_dl": (("mouthFunnel", 0.25),),
    "mouth_funnel_dr": (("mouthFunnel", 0.25),),
    "mouth_funnel_ul": (("mouthFunnel", 0.25),),
    "mouth_funnel_ur": (("mouthFunnel", 0.25),),
    "mouth_pucker_l": (("mouthPucker", 0.5),),
    "mouth_pucker_r": (("mouthPucker", 0.5),),
    "mouth_oh_c": (("mouthPucker", 0.8), ("mouthFunnel", 0.2)),
    "mouth_oo_c": (("mouthPucker", 1.0),),
    "mouth_lowerLipDepress_l": (("mouthLowerDownLeft", 1.0),),
    "mouth_lowerLipDepress_r": (("mouthLowerDownRight", 1.0),),
    "mouth_upperLipRaise_l": (("mouthUpperUpLeft", 1.0),),
    "mouth_upperLipRaise_r": (("mouthUpperUpRight", 1.0),),
    "mouth_lipCornerPull_l": (("mouthSmileLeft", 1.0),),
    "mouth_lipCornerPull_r": (("mouthSmileRight", 1.0),),
    "mouth_lipStretch_l": (("mouthStretchLeft", 1.0),),
    "mouth_lipStretch_r": (("mouthStretchRight", 1.0),),
    "mouth_chinRaise_u": (("mouthShrugUpper", 1.0),),
    "mouth_chinRaise_d": (("mouthShrugLower", 1.0),),
    "nose_wrinkle_l": (("noseSneerLeft", 1.0),),
    "nose_wrinkle_r": (("noseSneerRight", 1.0),),
}
# Where both lips are sucked in or pressed, they touch although the jaw may be open; ARKit has a unit for that.
# At the peaks of suck, the jaw is open by 0.2 at most and the suck is larger, so a weight of 1 closes the lips.
SEAL_UNITS = (("mouthRollLower", "mouthRollUpper"), ("mouthPressLeft", "mouthPressRight"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    for clip in CLIPS:
        conversation = read_clip(arguments.folder, clip)
        conversation.save(arguments.out / clip)
        print(clip, f"{conversation.duration_s:.1f} s", flush=True)
    (arguments.out / "observed.json").write_text(json.dumps(observed(), indent=1) + "\n")


def read_clip(folder: Path, clip: str) -> Conversation:
    """One clip as a conversation with a silent partner."""
    with warnings.catch_warnings():
        # numpy warns of files that Python 2 wrote.
        warnings.simplefilter("ignore", UserWarning)
        names = np.load(folder / "shirley_1119_bs_name316.npy").astype(str).tolist()
        controls = np.load(folder / "bs_value" / f"bs_value_1114_{clip}.npy").astype(float)
    audio, rate_hz = soundfile.read(folder / "wav" / f"1114_{clip}.wav", dtype="float32")
    assert rate_hz == AUDIO_RATE_HZ
    assert audio.ndim == 1
    units = resample_curves(arkit_units(controls, names), CAPTURE_FPS, MOTION_FPS)
    frames = min(len(units), len(audio) // SAMPLES_PER_FRAME)
    audio = audio[: frames * SAMPLES_PER_FRAME]
    motion = motion_from_arkit(units[:frames].astype(np.float32))
    still = HeadMotion(np.zeros_like(motion.coefficients), "open")
    speaker = Participant(audio, detect_speech(audio), motion)
    return Conversation(speaker, Participant(np.zeros_like(audio), Timeline(), still), name=f"facegood_{clip}")


def arkit_units(controls: Float[np.ndarray, "frame control"], names: list[str]) -> Float[np.ndarray, "frame 52"]:
    """ARKit blendshape weights of the rig's controls."""
    units = np.zeros((len(controls), len(ARKIT_UNITS)))
    for control, targets in CONTROLS.items():
        for unit, weight in targets:
            units[:, ARKIT_UNITS.index(unit)] += weight * controls[:, names.index(control)]
    seals = [units[:, [ARKIT_UNITS.index(unit) for unit in pair]].min(axis=1) for pair in SEAL_UNITS]
    jaw_open = units[:, ARKIT_UNITS.index("jawOpen")]
    units[:, ARKIT_UNITS.index("mouthClose")] = np.minimum(jaw_open, np.maximum(*seals))
    return units.clip(0, 1)


def observed() -> dict[str, list[int]]:
    """Columns of the motion that were captured: of the expression, and of the jaw's rotation."""
    captured = {unit for targets in CONTROLS.values() for unit, _ in targets} | {"mouthClose"}
    return {
        "expression": sorted(UNIT_SLOT[unit] for unit in captured.difference(JAW_JOINT_UNITS)),
        "jaw": [0],
    }


if __name__ == "__main__":
    main()
