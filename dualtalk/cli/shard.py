"""The verb `shard`: a store as WebDataset tar files."""

from typing import Annotated

import typer

from dualtalk.cli.options import EngineOption, OverwriteOption, RayAddressOption
from dualtalk.cli.workers import chosen_workers
from dualtalk.io.given_files import check_store


def shard(
    source: Annotated[str, typer.Argument(metavar="STORE", show_default=False, help="Folder or URL of a store.")],
    out: Annotated[str, typer.Option(show_default=False, metavar="DIR|URL", help="Folder or URL of the shards.")],
    clips_per_shard: Annotated[
        int, typer.Option(min=1, help="Clips per shard; each training process reads whole shards.")
    ] = 32,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Copy a store into WebDataset tar shards, which are read from a disk or from a URL.

    Example: [bold]dualtalk shard stores/dualtalk --out s3://corpora/shards/dualtalk[/]
    """
    check_store(source)
    chosen = chosen_workers(None, engine, ray_address)
    from dualtalk.data import write_shards
    from dualtalk.store import open_store

    names = write_shards(
        open_store(source),
        out,
        clips_per_shard,
        overwrite=overwrite,
        workers=0 if chosen is None else chosen,
    )
    print(f"{len(names)} shards in {out}")
