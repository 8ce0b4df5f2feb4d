"""The verb `validate`: errors in a store, or in a corpus as published."""

from pathlib import Path
from typing import Annotated

import typer

from dualtalk.io.given_files import check_folder, check_store

LISTED_ERRORS = 20


def validate(
    folder: Annotated[
        str, typer.Argument(metavar="DIR|URL", show_default=False, help="A store, or a corpus with --corpus.")
    ],
    corpus: Annotated[
        str | None, typer.Option(show_default=False, help="DIR is this corpus, as published.")
    ] = None,
) -> None:
    """Check a store: checksums of every file, no person in two splits. Or check a corpus for missing files.

    Example: [bold]dualtalk validate stores/dualtalk[/]
    """
    if corpus is None:
        check_store(folder)
    else:
        check_folder(folder, "the folder of a corpus")
    from dualtalk.cli.progress import Stages
    from dualtalk.corpora import get_corpus
    from dualtalk.errors import InputError
    from dualtalk.store import open_store, validate_store

    with Stages() as stages, stages.stage("validating") as progress:
        errors = validate_store(folder, progress) if corpus is None else get_corpus(corpus).validate(Path(folder))
    if errors:
        more = [f"and {len(errors) - LISTED_ERRORS} more"] if len(errors) > LISTED_ERRORS else []
        print(*errors[:LISTED_ERRORS], *more, sep="\n")
        count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        raise InputError(f"{folder} has {count}; the first: {errors[0]}")
    checked = f"{len(open_store(folder))} clips" if corpus is None else f"the {corpus} corpus"
    print(f"{checked} in {folder}: no errors")
