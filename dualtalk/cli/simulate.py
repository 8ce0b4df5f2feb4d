"""The verb `simulate`: a recording into a folder of results."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dualtalk.choices import Mode, RendererName, ViewName
from dualtalk.cli.options import (
    DiarizerOption,
    HeadOption,
    ModelOption,
    ModeOption,
    MotionSeedOption,
    OverwriteOption,
    RendererOption,
    ResultFolder,
    TokenOption,
    ViewOption,
)
from dualtalk.cli.result_dir import result_folder, written
from dualtalk.cli.versions import recorded_versions

if TYPE_CHECKING:
    from dualtalk.cli.progress import Stages
    from dualtalk.core import Conversation
    from dualtalk.head import Head


def simulate(
    audio: Annotated[
        Path,
        typer.Argument(
            metavar="AUDIO",
            show_default=False,
            help="A mono recording of two people, a stereo recording with one person per channel, or, with "
            "AUDIO2, the first person alone.",
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
    diarizer: DiarizerOption = "default",
    token: TokenOption = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Render no video and no stills.")] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn a recorded conversation into the motion of both people, a video and a report.

    Example: [bold]dualtalk simulate call.wav --out call[/]

    Writes dialogue.mp4, report.html, and viewer.html, which shows both people
    in 3D; the motion as a.npz and b.npz; each voice as a.wav and b.wav; speech
    turns as turns.rttm and turns.csv; and run.json, a record of the run.
    """
    start_s = time.perf_counter()
    with result_folder(out, overwrite=overwrite) as folder:
        request = Request(
            audio=(audio,) if audio2 is None else (audio, audio2),
            head=head,
            model=model,
            mode=mode,
            seed=seed,
            view=view,
            renderer=renderer,
            diarizer=diarizer,
            video=not no_video,
        )
        lines = run(request, folder, token=token, start_s=start_s)
    print(*lines, *(f"  {out / name}" for name in written(out)), sep="\n")


# What decides the numbers that come out.
RECORDED_PACKAGES = (
    *("torch", "numpy", "scipy", "pandas", "pyannote.audio", "transformers"),
    *("smplx", "hama", "moderngl", "pyrender", "soxr"),
)


@dataclass(frozen=True)
class Request:
    """What was asked for, as run.json keeps it."""

    audio: tuple[Path, ...]
    head: str
    model: str
    mode: Mode
    seed: int
    view: ViewName
    renderer: RendererName
    diarizer: str
    video: bool


def run(request: Request, folder: Path, *, token: str | None, start_s: float) -> list[str]:
    """Simulate and write every result into `folder`; gives the lines that sum it up.

    `start_s` is `time.perf_counter()` as the command began: loading packages is part of what a user waits for.

    Raises
    ------
    DualTalkError
        The input or the machine is not as it should be.
    """
    from dualtalk import simulation
    from dualtalk.audio import recording
    from dualtalk.audio.diarization import load_diarizer
    from dualtalk.cli.progress import Stages
    from dualtalk.head import load_head
    from dualtalk.render.renderer import open_renderer
    from dualtalk.render.scene import Scene, camera_layout

    with Stages() as stages:
        with stages.stage("Reading"):
            head = load_head(request.head)
            if request.video:
                # A machine that cannot draw is to say so before the long work.
                open_renderer(Scene(head, camera_layout(request.view)), request.renderer).close()
            heard, notes = recording.conversation_from_recording(
                request.audio, load_diarizer(request.diarizer, token=token)
            )
        with stages.stage("Animating"):
            conversation = simulation.simulate(
                heard, head=head, model=request.model, mode=request.mode, seed=request.seed
            )
        conversation.save(folder)
        write_results(conversation, head, folder, request, notes, stages)
    took_s = time.perf_counter() - start_s
    return [
        f"{conversation.duration_s:.1f} s of conversation, made in {took_s:.1f} s "
        f"({took_s / conversation.duration_s:.2f} times its length)",
        *(f"note: {note}" for note in notes),
    ]


def write_results(
    conversation: "Conversation",
    head: "Head",
    folder: Path,
    request: Request,
    notes: tuple[str, ...],
    stages: "Stages",
) -> None:
    """Draw, measure and report, into `folder`."""
    from dualtalk import render
    from dualtalk.audio.turns import turn_table
    from dualtalk.metrics.conversation_summary import motion_figures
    from dualtalk.webpages import conversation_report
    from dualtalk.webpages.conversation_data import select_highlights
    from dualtalk.webpages.viewer import write_viewer

    turns = turn_table(*(person.speech for person in conversation.participants), conversation.duration_s)
    turns.to_csv(folder / "turns.csv", index=False, float_format="%.3f")
    drawing = {"view": request.view, "renderer": request.renderer}
    video, stills = None, []
    if request.video:
        video = folder / "dialogue.mp4"
        with stages.stage("Drawing") as progress:
            render.render_conversation(conversation, head, video, **drawing, progress=progress)
            highlights = select_highlights(conversation, head, turns)
            images = render.render_stills(
                conversation, head, [highlight.frame for highlight in highlights], **drawing
            )
            stills = list(zip(highlights, images, strict=True))
    with stages.stage("Measuring"):
        figures = motion_figures(conversation, head)
    record = run_record(request, notes, stages.seconds)
    (folder / "run.json").write_text(json.dumps(record, indent=2, default=str) + "\n")
    viewer = folder / "viewer.html"
    write_viewer(conversation, head, viewer)
    shown = {"video": video, "viewer": viewer, "stills": stills}
    conversation_report.write_report(
        conversation, head, folder / "report.html", turns=turns, figures=figures, run=record, **shown
    )


def run_record(request: Request, notes: tuple[str, ...], seconds: dict[str, float]) -> dict:
    """All that is needed to make the same again, and how long it took."""
    return {
        "seed": request.seed,
        "notes": list(notes),
        "options": {name: value for name, value in asdict(request).items() if name not in ("audio", "seed")},
        "inputs_sha256": {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in request.audio},
        "versions": recorded_versions(*RECORDED_PACKAGES),
        "timings_s": dict(seconds),
    }
