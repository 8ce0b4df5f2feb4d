"""The verb `shard`: a store as WebDataset tar files."""

from pathlib import Path
from typing import Annotated

import typer

from dualtalk.cli.options import OverwriteOption
from dualtalk.io.given_files import check_store


def shard(
    source: Annotated[Path, typer.Argument(metavar="STORE", show_default=False, help="A store.")],
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder of the shards.")],
    clips_per_shard: Annotated[
        int, typer.Option(min=1, help="Clips per shard; each training process reads whole shards.")
    ] = 32,
    overwrite: OverwriteOption = False,
) -> None:
    """Copy a store into WebDataset tar shards, which are read from a disk or from a URL.

    Example: [bold]dualtalk shard stores/dualtalk --out shards/dualtalk[/]
    """
    check_store(source)
    from dualtalk.data import write_shards
    from dualtalk.store import open_store

    names = write_shards(open_store(source), out, clips_per_shard, overwrite=overwrite)
    print(f"{len(names)} shards in {out}")
