"""The verb `prepare`: a published corpus, or your own recordings, into a store."""

from pathlib import Path
from typing import Annotated

import typer

from dualtalk.choices import SplitScheme
from dualtalk.cli.options import (
    DiarizerOption,
    EngineOption,
    OverwriteOption,
    RayAddressOption,
    StoreFolder,
    TokenOption,
    WorkersOption,
)
from dualtalk.cli.workers import chosen_workers
from dualtalk.corpora import ALIASES, CORPORA, corpora_help
from dualtalk.io.given_files import check_diarizer, check_folder, check_new_folder


def prepare(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", show_default=False, help="Folder of the corpus, as published.")
    ],
    corpus: Annotated[
        str,
        typer.Option(
            show_default=False,
            help=f"One of {corpora_help()}; [bold]recordings[/] is a folder of your own audio.",
        ),
    ],
    out: StoreFolder,
    splits: Annotated[
        SplitScheme,
        typer.Option(help="The corpus's official splits, or new ones without shared speakers or sessions."),
    ] = "official",
    workers: WorkersOption = None,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    diarizer: DiarizerOption = "default",
    token: TokenOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Prepare a corpus for training: aligned, checked, split by people, with speech turns.

    Example: [bold]dualtalk prepare ~/DualTalk --corpus dualtalk --out stores/dualtalk[/]

    The same command resumes a run that was interrupted. A clip that cannot be
    used is left out and listed with the reason in rejected.csv.
    """
    if ALIASES.get(corpus, corpus) not in CORPORA:
        CORPORA[corpus]
    check_folder(source, "the folder of a corpus")
    check_diarizer(diarizer)
    check_new_folder(out)
    chosen = chosen_workers(workers, engine, ray_address)
    from dualtalk.cli.build_store import build
    from dualtalk.parallel import available_cores
    from dualtalk.preprocess import prepare as preparation

    lines = build(
        f"preparing {corpus}",
        out,
        lambda progress: preparation.prepare(
            source,
            corpus,
            out,
            splits=splits,
            workers=available_cores() if chosen is None else chosen,
            diarizer=diarizer,
            token=token,
            overwrite=overwrite,
            progress=progress,
        ),
    )
    print(*lines, sep="\n")
