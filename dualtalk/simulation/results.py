"""The stages of `simulate_to_folder`: read, animate, render, measure, and write every result."""

import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dualtalk.audio import recording
from dualtalk.audio.diarization import load_diarizer
from dualtalk.audio.turns import turn_table
from dualtalk.core import Conversation
from dualtalk.head import load_head
from dualtalk.io.atomic import write_text
from dualtalk.io.run_record import file_checksums, recorded_versions
from dualtalk.metrics.conversation_summary import motion_summary
from dualtalk.progress import TimedStages
from dualtalk.render import video
from dualtalk.render.renderer import open_renderer
from dualtalk.render.scene import Scene, camera_layout
from dualtalk.simulation import simulator
from dualtalk.simulation.options import RECORD, REPORT, TURNS, VIDEO, VIEWER, SimulationOptions
from dualtalk.webpages import conversation_report
from dualtalk.webpages.conversation_data import select_highlights
from dualtalk.webpages.viewer import light_excerpt, write_viewer

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
    with ExitStack() as opened:
        with stages("Reading"):
            # Names are resolved, and the renderer is opened, before the long work: a mistake shows at once.
            head = load_head(options.head)
            renderer = None
            if options.video:
                size = video.DRAFT_SIZE if options.draft else video.SIZE
                scene = Scene(head, camera_layout(options.view), size=size)
                renderer = opened.enter_context(closing(open_renderer(scene, options.renderer)))
            model = simulator.load_model_or_rules(options.model, head)
            recorded, notes = recording.conversation_from_recording(
                paths,
                load_diarizer(options.diarizer, token=token),
                channels=options.channels,
                start_s=options.start_s,
                end_s=options.end_s,
            )
        with stages("Animating"):
            conversation = simulator.predict_motion(recorded, head, model, options.mode, options.seed)
        conversation.save(folder)
        turns = turn_table(conversation.a.speech, conversation.b.speech, conversation.duration_s)
        turns.to_csv(folder / TURNS, index=False, float_format="%.3f")
        stills = []
        if renderer:
            with stages("Rendering") as progress:
                highlights = select_highlights(conversation, head, turns)
                video.draw_video(conversation, renderer, folder / VIDEO, draft=options.draft, progress=progress)
                images = video.draw_stills(conversation, renderer, [one.frame for one in highlights])
                stills = list(zip(highlights, images, strict=True))
    with stages("Measuring"):
        summary = motion_summary(conversation, head)
    record = _record(paths, options, notes, stages.timings_s)
    write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")
    page, page_notes = light_excerpt(conversation)
    write_viewer(page, head, folder / VIEWER, notes=page_notes)
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
    return conversation, (*notes, *page_notes)


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
