"""The verb `render`: motion of two people to a video."""

from pathlib import Path

import numpy as np

from dualtalk.audio.voice_activity import detect_speech
from dualtalk.cli.progress import Stages
from dualtalk.core import Conversation, HeadMotion, Participant
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.io.audio_file import read_wave
from dualtalk.render import render_conversation
from dualtalk.render.renderer import RendererName
from dualtalk.render.scene import ViewName
from dualtalk.timebase import SAMPLES_PER_FRAME, frames_for_samples


def run(
    motion: tuple[Path, Path],
    out: Path,
    audio: tuple[Path, Path] | None,
    *,
    head: str,
    view: ViewName,
    renderer: RendererName,
    overwrite: bool,
) -> None:
    """Render `motion` to `out`.

    Raises
    ------
    DualTalkError
        A file is not as it should be, the lengths differ, or `out` exists and may not be replaced.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder; wanted the name of an mp4 file")
    if out.suffix != ".mp4":
        raise InputError(f"--out is {out}; wanted a name that ends in .mp4")
    if not out.parent.is_dir():
        raise InputError(f"cannot write {out}: its folder does not exist")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists; pass --overwrite to replace it")
    motions = [HeadMotion.load(path) for path in motion]
    if motions[0].frames != motions[1].frames:
        raise InputError(
            f"{motion[0]} has {motions[0].frames} frames, {motion[1]} {motions[1].frames}; are they of one talk?"
        )
    voices = [_voice(path, motions[0].frames) for path in audio or (None, None)]
    people = [
        Participant(voice, detect_speech(voice), moves) for voice, moves in zip(voices, motions, strict=True)
    ]
    with Stages() as stages, stages.stage("Drawing") as progress:
        render_conversation(
            Conversation(*people, name=out.stem),
            load_head(head),
            out,
            view=view,
            renderer=renderer,
            progress=progress,
        )
    print(f"{motions[0].duration_s:.1f} s in {out}")


def _voice(path: Path | None, frames: int) -> np.ndarray:
    """(sample,) mono, exactly as long as the motion; silence where there is no file."""
    voice = np.zeros(frames * SAMPLES_PER_FRAME, np.float32)
    if path is None:
        return voice
    channels = read_wave(path)
    # Encoders pad or cut the last frame, and trackers lose it.
    if abs(frames_for_samples(channels.shape[1]) - frames) > 1:
        raise InputError(
            f"{path} lasts {frames_for_samples(channels.shape[1])} frames, the motion {frames}; "
            "are they of one talk?"
        )
    heard = channels.mean(axis=0)[: len(voice)]
    voice[: len(heard)] = heard
    return voice
