"""The verb `simulate`: from a recording to a folder of results."""

import hashlib
import json
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import dualtalk
from dualtalk.audio.diarization import load_diarizer
from dualtalk.audio.recording import conversation_from_recording
from dualtalk.audio.turns import turn_table
from dualtalk.cli.progress import Stages
from dualtalk.core import Conversation
from dualtalk.head import Head, load_head
from dualtalk.metrics.conversation_summary import motion_figures
from dualtalk.render import render_conversation, render_stills
from dualtalk.render.renderer import RendererName, open_renderer
from dualtalk.render.scene import Scene, ViewName, camera_layout
from dualtalk.simulation import simulate
from dualtalk.webpages.conversation_data import moments
from dualtalk.webpages.conversation_report import write_report
from dualtalk.webpages.viewer import write_viewer

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
    mode: str
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
    with Stages() as stages:
        with stages.stage("Reading"):
            head = load_head(request.head)
            if request.video:
                # A machine that cannot draw is to say so before the long work.
                open_renderer(Scene(head, camera_layout(request.view)), request.renderer).close()
            heard, notes = conversation_from_recording(request.audio, load_diarizer(request.diarizer, token=token))
        with stages.stage("Animating"):
            conversation = simulate(heard, head=head, model=request.model, mode=request.mode, seed=request.seed)
        conversation.save(folder)
        write_results(conversation, head, folder, request, notes, stages)
    took_s = time.perf_counter() - start_s
    return [
        f"{conversation.duration_s:.1f} s of conversation, made in {took_s:.1f} s "
        f"({took_s / conversation.duration_s:.2f} times its length)",
        *(f"note: {note}" for note in notes),
    ]


def write_results(
    conversation: Conversation, head: Head, folder: Path, request: Request, notes: tuple[str, ...], stages: Stages
) -> None:
    """Draw, measure and report, into `folder`."""
    turns = turn_table(*(person.speech for person in conversation.participants), conversation.duration_s)
    turns.to_csv(folder / "turns.csv", index=False, float_format="%.3f")
    drawing = {"view": request.view, "renderer": request.renderer}
    video, stills = None, []
    if request.video:
        video = folder / "dialogue.mp4"
        with stages.stage("Drawing") as progress:
            render_conversation(conversation, head, video, **drawing, progress=progress)
            worth_seeing = moments(conversation, head, turns)
            images = render_stills(conversation, head, [moment.frame for moment in worth_seeing], **drawing)
            stills = list(zip(worth_seeing, images, strict=True))
    with stages.stage("Measuring"):
        figures = motion_figures(conversation, head)
    record = run_record(request, notes, stages.seconds)
    (folder / "run.json").write_text(json.dumps(record, indent=2, default=str) + "\n")
    viewer = folder / "viewer.html"
    write_viewer(conversation, head, viewer)
    shown = {"video": video, "viewer": viewer, "stills": stills}
    write_report(conversation, head, folder / "report.html", turns=turns, figures=figures, run=record, **shown)


def run_record(request: Request, notes: tuple[str, ...], seconds: dict[str, float]) -> dict:
    """All that is needed to make the same again, and how long it took."""
    return {
        "seed": request.seed,
        "notes": list(notes),
        "options": {name: value for name, value in asdict(request).items() if name not in ("audio", "seed")},
        "inputs_sha256": {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in request.audio},
        "versions": {
            "dualtalk": dualtalk.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in RECORDED_PACKAGES},
        },
        "timings_s": dict(seconds),
    }
