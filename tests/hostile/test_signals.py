"""Signals, full disks and hostile names at the command line: an exit status, one line, and nothing stray."""

import errno
import os
import signal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dualtalk.cli import OneLineErrors
from dualtalk.errors import InputError, Interrupted
from dualtalk.io.result_folder import result_folder
from dualtalk.signals import signals_deferred

HAPPENINGS = {
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "SIGHUP": lambda: os.kill(os.getpid(), signal.SIGHUP),
    "Ctrl-C": lambda: os.kill(os.getpid(), signal.SIGINT),
    "a full disk": lambda: _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "a full memory": lambda: _raise(MemoryError()),
    "a long name": lambda: Path("x" * 300).stat(),
    "control characters": lambda: _raise(InputError("a \x1b[31m name\n of two lines")),
}
STATUS = {"SIGTERM": 143, "SIGHUP": 129, "Ctrl-C": 130}


def _raise(error: Exception) -> None:
    raise error


def verb(folder: Path, happening) -> typer.Typer:
    """A verb to which something happens while it writes its results."""
    app = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)

    @app.command()
    def work() -> None:
        with result_folder(folder / "out", overwrite=False, record="run.json") as results:
            (results / "run.json").write_text("half")
            happening()

    # With one command only, typer makes no group.
    app.command("other")(lambda: None)
    return app


@pytest.mark.parametrize("name", HAPPENINGS)
def test_whatever_happens_is_one_line_and_leaves_nothing(tmp_path, name):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    result = CliRunner().invoke(verb(tmp_path, HAPPENINGS[name]), ["work"])
    assert result.exit_code == STATUS.get(name, 2)
    assert result.stderr.startswith("dualtalk: ")
    assert result.stderr.count("\n") == 1
    assert result.stderr.strip().isprintable()
    assert list(tmp_path.iterdir()) == []
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before


def test_a_deferred_signal_decides_the_exit_status(tmp_path):
    def happening() -> None:
        with signals_deferred() as arrived:
            assert not arrived()
            os.kill(os.getpid(), signal.SIGTERM)
            assert arrived()
        raise Interrupted("the same command resumes")

    result = CliRunner().invoke(verb(tmp_path, happening), ["work"])
    assert (result.exit_code, result.stderr) == (143, "dualtalk: the same command resumes\n")


def test_a_bug_keeps_its_traceback(tmp_path):
    result = CliRunner().invoke(verb(tmp_path, lambda: _raise(KeyError("bug"))), ["work"])
    assert isinstance(result.exception, KeyError)
    assert list(tmp_path.iterdir()) == []
