"""The command line: one verb, one file. `dualtalk VERB --help` explains each verb.

Exit status: 0 on success; 2 and one line on standard error for an expected error; 130 after Ctrl-C, 143 after
SIGTERM, 129 after SIGHUP; 1 with a traceback for a bug. A verb imports heavy packages inside its function, so that
`--help` answers at once.
"""

import errno
import io
import logging
import os
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
from dualtalk.io.atomic import DISK_ERRORS
from dualtalk.signals import exit_status, signals_raised

# Errors of a path that the user gave, wherever it is first looked at.
PATH_ERRORS = (
    *(errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR),
    *(errno.EMFILE, errno.ENFILE, errno.ENODEV, errno.ENXIO),
)


class OneLineErrors(typer.core.TyperGroup):
    """Turns expected errors and Ctrl-C into one line and an exit status."""

    def invoke(self, ctx):
        with warnings.catch_warnings(), _printed_log():
            # Users cannot act on the warnings of other packages; ours say what to do.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module="dualtalk")
            warnings.showwarning = lambda message, *_: print(f"dualtalk: {message}", file=sys.stderr)
            with signals_raised(), _one_line_errors():
                return super().invoke(ctx)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Print an expected error as one line, and exit."""
    try:
        # File names may hold what the terminal's encoding lacks.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        yield
        sys.stdout.flush()
    except Interrupted as error:
        raise _exit(str(error), exit_status()) from error
    except DualTalkError as error:
        raise _exit(str(error), 2) from error
    except KeyboardInterrupt as error:
        raise _exit("interrupted; nothing was kept", exit_status()) from error
    except MemoryError as error:
        raise _exit("out of memory; give a shorter recording, fewer --workers, or a smaller batch", 2) from error
    except OSError as error:
        if error.errno not in (*DISK_ERRORS, *PATH_ERRORS):
            raise
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        raise _exit(f"{place}{error.strerror}", 2) from error


def _exit(message: str, status: int) -> typer.Exit:
    """Print a message without the control characters that a file name may bring, and return what exits."""
    line = "".join(one if one.isprintable() else "?" for one in " ".join(message.split()))
    print(f"dualtalk: {line}", file=sys.stderr)
    return typer.Exit(status)


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
