"""The verb `simulate`: a recording into a folder of results."""

import time
from pathlib import Path
from typing import Annotated

import typer

from dualtalk.cli.options import (
    DiarizerOption,
    DraftOption,
    EndOption,
    HeadOption,
    ModelOption,
    ModeOption,
    MotionSeedOption,
    OverwriteOption,
    RendererOption,
    ResultFolder,
    StartOption,
    TokenOption,
    ViewOption,
    parse_channels,
    parse_span,
)


def simulate(
    audio: Annotated[
        Path,
        typer.Argument(
            metavar="AUDIO",
            show_default=False,
            help="A mono recording of two people, a stereo recording with one person per channel, or, with "
            "AUDIO2, the first person alone. Any sound or video file.",
        ),
    ],
    out: ResultFolder,
    audio2: Annotated[
        Path | None, typer.Argument(metavar="AUDIO2", show_default=False, help="The second person alone.")
    ] = None,
    head: HeadOption = "open",
    model: ModelOption = "default",
    mode: ModeOption = "sample",
    seed: MotionSeedOption = 0,
    view: ViewOption = "split",
    renderer: RendererOption = "auto",
    draft: DraftOption = False,
    diarizer: DiarizerOption = "default",
    token: TokenOption = None,
    channels: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            metavar="N[,N]",
            help="Channels of AUDIO to use, from 1: two with one person each, or one with both.",
        ),
    ] = None,
    start: StartOption = None,
    end: EndOption = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Render no video and no stills.")] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn a recorded conversation into the motion of both people, a video and a report.

    Example: [bold]dualtalk simulate call.wav --out call[/]

    Writes dialogue.mp4, report.html, and viewer.html, which shows both people
    in 3D; the motion as a.npz and b.npz; each voice as a.wav and b.wav; speech
    turns as turns.rttm and turns.csv; and run.json, a record of the run.
    """
    # Users wait for the imports too.
    start_s = time.perf_counter()
    paths = [audio] if audio2 is None else [audio, audio2]
    span_s = parse_span(start, end)
    chosen = None if channels is None else parse_channels(channels)
    from dualtalk.cli.progress import Stages
    from dualtalk.simulation.options import SimulationOptions
    from dualtalk.simulation.pipeline import simulate_to_folder

    options = SimulationOptions(
        head=head,
        model=model,
        mode=mode,
        seed=seed,
        view=view,
        renderer=renderer,
        draft=draft,
        diarizer=diarizer,
        video=not no_video,
        channels=chosen,
        start_s=span_s[0],
        end_s=span_s[1],
    )
    with Stages() as stages:
        report = simulate_to_folder(paths, out, options, token=token, overwrite=overwrite, stage=stages.stage)
    took_s, duration_s = time.perf_counter() - start_s, report.conversation.duration_s
    print(
        f"{duration_s:.1f} s of conversation, made in {took_s:.1f} s ({took_s / duration_s:.2f} times its length)",
        *(f"note: {note}" for note in report.notes),
        *(f"  {path}" for path in report.files),
        sep="\n",
    )
