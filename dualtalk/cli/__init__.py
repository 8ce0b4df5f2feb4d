"""The command line: one verb, one file. `dualtalk VERB --help` explains each verb.

Exit status: 0 on success; 2 and one line on standard error for an expected error; 130 after Ctrl-C; 1 with a
traceback for a bug. A verb imports heavy packages inside its function, so that `--help` answers at once.
"""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

import dualtalk
from dualtalk.cli import (
    convert,
    doctor,
    evaluate,
    export,
    predict,
    prepare,
    render,
    shard,
    simulate,
    synthesize,
    train,
    validate,
    view,
)
from dualtalk.errors import DualTalkError, Interrupted


class OneLineErrors(typer.core.TyperGroup):
    """Turns expected errors and Ctrl-C into one line and an exit status."""

    def invoke(self, ctx):
        with warnings.catch_warnings(), _printed_log():
            # Users cannot act on the warnings of other packages; ours say what to do.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module="dualtalk")
            warnings.showwarning = lambda message, *_: print(f"dualtalk: {message}", file=sys.stderr)
            try:
                return super().invoke(ctx)
            except DualTalkError as error:
                print(f"dualtalk: {' '.join(str(error).split())}", file=sys.stderr)
                raise typer.Exit(130 if isinstance(error, Interrupted) else 2) from error
            except KeyboardInterrupt as error:
                print("dualtalk: interrupted; nothing was kept", file=sys.stderr)
                raise typer.Exit(130) from error


@contextmanager
def _printed_log() -> Iterator[None]:
    """Print the library's log records, from warnings on, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("dualtalk: %(message)s"))
    logger = logging.getLogger("dualtalk")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
main = app


def _print_version(asked: bool) -> bool:
    if asked:
        print(f"dualtalk {dualtalk.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Two people in conversation, in 3D: audio of both in, head motion and video of both out."""


# In the order of `dualtalk --help`.
VERBS: tuple[Callable[..., None], ...] = (
    *(simulate.simulate, render.render, view.view, export.export),
    *(prepare.prepare, synthesize.synthesize, validate.validate, shard.shard),
)
EVALUATION_VERBS: tuple[Callable[..., None], ...] = (
    *(predict.predict, convert.convert, evaluate.evaluate, doctor.doctor),
)
for verb in VERBS:
    app.command()(verb)
# The fields of a config are options too; LightningCLI parses them.
app.command(context_settings={"ignore_unknown_options": True})(train.train)
for verb in EVALUATION_VERBS:
    app.command()(verb)
