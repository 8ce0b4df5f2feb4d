"""The verb `synthesize`: a synthetic corpus, or the animator's motion for the audio of a store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dualtalk.cli.options import OverwriteOption, StoreFolder, WorkersOption


def synthesize(
    out: StoreFolder,
    hours: Annotated[
        float | None, typer.Option(show_default=False, help="Hours of conversation; more can be added later.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 0,
    animate: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            metavar="STORE",
            help="Generate no audio; animate the audio of this store instead.",
        ),
    ] = None,
    clip_seconds: Annotated[int, typer.Option(min=10, max=600, help="Length of each conversation.")] = 60,
    piper_voice: Annotated[
        list[Path] | None,
        typer.Option(
            show_default=False, metavar="VOICE.onnx", help="A piper voice for the training split; repeatable."
        ),
    ] = None,
    kokoro_dir: Annotated[
        Path | None,
        typer.Option(
            show_default=False, metavar="DIR", help="Folder of Kokoro's voices for the training split; slow."
        ),
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            show_default=False, metavar="FILE", help="Word list, one word a line, for most training sentences."
        ),
    ] = None,
    speech_rate: Annotated[float, typer.Option(help="Factor on the speech rate of all voices.")] = 1.0,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Generate two-person training data: dialogue text, speech, timing, room acoustics and motion.

    Example: [bold]dualtalk synthesize --hours 10 --out stores/synthetic[/]

    Needs flite and espeak-ng (sudo apt-get install flite espeak-ng).
    """
    from dualtalk import synthesis
    from dualtalk.cli.build_store import build
    from dualtalk.errors import InputError
    from dualtalk.parallel import available_cores

    if (hours is None) == (animate is None):
        raise InputError("wanted either --hours, or --animate with a store whose audio is to be animated")
    count = available_cores() if workers is None else workers
    if animate is not None:
        _refuse_speech_options(
            piper_voice=piper_voice, kokoro_dir=kokoro_dir, vocabulary=vocabulary, speech_rate=speech_rate
        )
        lines = build(
            "animating",
            out,
            lambda report: synthesis.add_teacher_motion(
                animate, out, seed, workers=count, overwrite=overwrite, report=report
            ),
        )
    else:
        lines = build(
            "synthesizing",
            out,
            lambda report: synthesis.synthesize(
                out,
                hours,
                seed,
                clip_seconds=clip_seconds,
                piper=tuple(piper_voice or ()),
                kokoro=kokoro_dir,
                words=vocabulary,
                pace=speech_rate,
                workers=count,
                overwrite=overwrite,
                report=report,
            ),
        )
    print(*lines, sep="\n")


def _refuse_speech_options(**options: Any) -> None:
    """Raise if an option is set that only changes generated speech."""
    from dualtalk.errors import InputError

    defaults: Mapping[str, Any] = {"speech_rate": 1.0}
    for name, value in options.items():
        if value and value != defaults.get(name):
            raise InputError(
                f"--{name.replace('_', '-')} applies to generated speech; --animate keeps the audio of the store"
            )
