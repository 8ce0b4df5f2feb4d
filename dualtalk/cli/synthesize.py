"""The verb `synthesize`: a synthetic corpus, or the animator's motion for the audio of a store."""

from pathlib import Path
from typing import Annotated

import typer

from dualtalk.cli.options import EngineOption, OverwriteOption, RayAddressOption, StoreFolder, WorkersOption
from dualtalk.cli.workers import chosen_workers
from dualtalk.io.given_files import check_folder, check_new_folder, check_store


def synthesize(
    out: StoreFolder,
    hours: Annotated[
        float | None, typer.Option(show_default=False, help="Hours of conversation; more can be added later.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 0,
    animate: Annotated[
        str | None,
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
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Generate two-person training data: dialogue text, speech, timing, room acoustics and motion.

    Example: [bold]dualtalk synthesize --hours 10 --out stores/synthetic[/]

    Needs flite and espeak-ng (sudo apt-get install flite espeak-ng).
    """
    if animate is not None:
        check_store(animate)
    if kokoro_dir is not None:
        check_folder(kokoro_dir, "the folder of Kokoro's voices, which scripts/fetch_kokoro.py makes")
    check_new_folder(out)
    chosen = chosen_workers(workers, engine, ray_address)
    from dualtalk import synthesis
    from dualtalk.cli.build_store import build
    from dualtalk.parallel import available_cores

    lines = build(
        "synthesizing" if animate is None else "animating",
        out,
        lambda progress: synthesis.synthesize(
            out,
            hours,
            seed,
            animate=animate,
            clip_seconds=clip_seconds,
            piper_voices=tuple(piper_voice or ()),
            kokoro_dir=kokoro_dir,
            vocabulary=vocabulary,
            speech_rate=speech_rate,
            workers=available_cores() if chosen is None else chosen,
            overwrite=overwrite,
            progress=progress,
        ),
    )
    print(*lines, sep="\n")
