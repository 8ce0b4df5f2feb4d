"""The stages of `simulate_to_folder`: read, animate, render, measure, and write every result."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from dualtalk import render
from dualtalk.audio import recording
from dualtalk.audio.diarization import load_diarizer
from dualtalk.audio.turns import turn_table
from dualtalk.core import Conversation
from dualtalk.head import Head, load_head
from dualtalk.io.run_record import file_checksums, recorded_versions
from dualtalk.metrics.conversation_summary import motion_summary
from dualtalk.progress import Progress, TimedStages
from dualtalk.render.renderer import open_renderer
from dualtalk.render.scene import Scene, camera_layout
from dualtalk.simulation import simulator
from dualtalk.simulation.options import RECORD, REPORT, TURNS, VIDEO, VIEWER, SimulationOptions
from dualtalk.webpages import conversation_report
from dualtalk.webpages.conversation_data import select_highlights
from dualtalk.webpages.viewer import write_viewer

# The packages whose versions decide the results.
RECORDED_PACKAGES = (
    *("torch", "numpy", "scipy", "pandas", "pyannote.audio", "transformers"),
    *("smplx", "hama", "moderngl", "pyrender", "soxr"),
)


def write_results(
    paths: Sequence[Path], folder: Path, options: SimulationOptions, token: str | None, stages: TimedStages
) -> tuple[Conversation, tuple[str, ...]]:
    """Simulate the recording `paths` and write every result into `folder`; arguments as for `simulate_to_folder`.

    Returns
    -------
    conversation, notes
        With the motion of both people; and what a user should know about the input.
    """
    with stages("Reading"):
        head = load_head(options.head)
        if options.video:
            # A machine that cannot render should say so before the long work.
            open_renderer(Scene(head, camera_layout(options.view)), options.renderer).close()
        recorded, notes = recording.conversation_from_recording(
            paths, load_diarizer(options.diarizer, token=token)
        )
    with stages("Animating"):
        conversation = simulator.simulate(
            recorded, head=head, model=options.model, mode=options.mode, seed=options.seed
        )
    conversation.save(folder)
    turns = turn_table(conversation.a.speech, conversation.b.speech, conversation.duration_s)
    turns.to_csv(folder / TURNS, index=False, float_format="%.3f")
    stills = []
    if options.video:
        with stages("Rendering") as progress:
            stills = _render(conversation, head, turns, folder / VIDEO, options, progress)
    with stages("Measuring"):
        summary = motion_summary(conversation, head)
    record = _record(paths, options, notes, stages.timings_s)
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    write_viewer(conversation, head, folder / VIEWER)
    conversation_report.write_report(
        conversation,
        head,
        folder / REPORT,
        turns=turns,
        summary=summary,
        run=record,
        video=folder / VIDEO if options.video else None,
        viewer=folder / VIEWER,
        stills=stills,
    )
    return conversation, notes


def _render(
    conversation: Conversation,
    head: Head,
    turns: pd.DataFrame,
    path: Path,
    options: SimulationOptions,
    progress: Progress,
) -> list[tuple[Any, Any]]:
    """Write the video; return the highlights of the report with their stills."""
    render.render_conversation(
        conversation, head, path, view=options.view, renderer=options.renderer, progress=progress
    )
    highlights = select_highlights(conversation, head, turns)
    images = render.render_stills(
        conversation,
        head,
        [highlight.frame for highlight in highlights],
        view=options.view,
        renderer=options.renderer,
    )
    return list(zip(highlights, images, strict=True))


def _record(
    paths: Sequence[Path], options: SimulationOptions, notes: Sequence[str], timings_s: dict[str, float]
) -> dict[str, Any]:
    """Everything that is needed to reproduce the results, and the wall time of each stage."""
    given = asdict(options)
    return {
        "seed": given.pop("seed"),
        "notes": list(notes),
        "options": given,
        "inputs_sha256": file_checksums(paths),
        "versions": recorded_versions(*RECORDED_PACKAGES),
        "timings_s": dict(timings_s),
    }
