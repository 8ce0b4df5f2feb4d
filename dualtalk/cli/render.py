"""The verb `render`: the motion of two people as a video."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualtalk.cli.options import DraftOption, HeadOption, OverwriteOption, RendererOption, ViewOption
from dualtalk.cli.output_file import output_file
from dualtalk.io.audio_file import check_audio_file
from dualtalk.io.given_files import check_head, check_motion_file

if TYPE_CHECKING:
    import numpy as np


def render(
    a: Annotated[
        Path, typer.Argument(metavar="A", show_default=False, help="Motion of the first person, an npz file.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", show_default=False, help="Motion of the second person.")],
    out: Annotated[Path, typer.Option(show_default=False, metavar="FILE.mp4", help="The video to write.")],
    audio: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="A.wav B.wav", show_default=False, help="The voice of each; without it the video is silent."
        ),
    ] = None,
    head: HeadOption = "open",
    view: ViewOption = "split",
    renderer: RendererOption = "auto",
    draft: DraftOption = False,
    layout: Annotated[
        str | None,
        typer.Option(show_default=False, help="What the numbers of a row are, in files that do not say it."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(show_default="declared, or 25", help="Frame rate of the motion files.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Render the motion of two people as a video.

    Example: [bold]dualtalk render a.npz b.npz --audio a.wav b.wav --out dialogue.mp4[/]

    Reads FLAME motion of other tools too, at any frame rate; docs/motion-files.md
    lists the layouts. Frames in which a tracker lost the face are bridged and
    counted.
    """
    locked = output_file(out, (".mp4",), overwrite=overwrite)
    check_head(head)
    for path in (a, b):
        check_motion_file(path)
    for path in audio or ():
        check_audio_file(path)
    from dualtalk.audio.voice_activity import detect_speech
    from dualtalk.cli.progress import Stages
    from dualtalk.core import Conversation, Participant
    from dualtalk.errors import InputError
    from dualtalk.head import load_head
    from dualtalk.preprocess.reading import read_motion
    from dualtalk.render import render_conversation
    from dualtalk.render.video import DRAFT_SIZE, SIZE

    read = [read_motion(path, layout, fps) for path in (a, b)]
    motions = [checked.required_motion for checked in read]
    if motions[0].frames != motions[1].frames:
        raise InputError(
            f"{a} has {motions[0].frames} frames, {b} has {motions[1].frames}; are they of one conversation?"
        )
    voices = [
        _voice(path, motions[0].frames, checked.frames_read)
        for path, checked in zip(audio or (None, None), read, strict=True)
    ]
    first, second = (
        Participant(voice, detect_speech(voice), motion) for voice, motion in zip(voices, motions, strict=True)
    )
    with locked, Stages() as stages, stages.stage("Rendering") as progress:
        render_conversation(
            Conversation(first, second, name=out.stem),
            load_head(head),
            out,
            view=view,
            renderer=renderer,
            size=DRAFT_SIZE if draft else SIZE,
            draft=draft,
            progress=progress,
        )
    print(f"{motions[0].duration_s:.1f} s in {out}")
    for path, checked in zip((a, b), read, strict=True):
        print(*(f"note: {path.name}: {note}\n" for note in checked.notes), sep="", end="")


def _voice(path: Path | None, frames: int, frames_read: int) -> "np.ndarray":
    """(sample,) mono audio, exactly as long as the motion of `frames`; silence without a file.

    `frames_read` is the number of frames of the motion file, at its own rate.
    """
    import numpy as np

    from dualtalk.errors import InputError
    from dualtalk.io.audio_file import read_wave
    from dualtalk.preprocess.reading import fitting_fps
    from dualtalk.timebase import AUDIO_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples

    voice = np.zeros(frames * SAMPLES_PER_FRAME, np.float32)
    if path is None:
        return voice
    channels = read_wave(path)
    # Encoders pad or cut the last frame, and trackers lose it.
    if abs(frames_for_samples(channels.shape[1]) - frames) > 1:
        fitting = fitting_fps(frames_read, channels.shape[1] / AUDIO_RATE_HZ)
        slip = (
            f"does the motion have {fitting[0]:.5g} frames a second (--fps)?"
            if fitting
            else "are they of one conversation?"
        )
        raise InputError(
            f"{path} lasts {frames_for_samples(channels.shape[1])} frames, the motion {frames}; {slip}"
        )
    mono = channels.mean(axis=0)[: len(voice)]
    voice[: len(mono)] = mono
    return voice
