"""Signals that end work: Ctrl-C, SIGTERM (schedulers, containers) and SIGHUP (a closed terminal).

All three end it in the same way, by `KeyboardInterrupt`, so that partial files are removed. This module imports
the standard library only.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Windows has no SIGHUP.
HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)
_last_signal: int = signal.SIGINT


def exit_status() -> int:
    """The shell's exit status for the last signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
    return 128 + _last_signal


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at SIGTERM and SIGHUP, as Python does at Ctrl-C.

    A further SIGTERM or SIGHUP is ignored, so that the first can end in order. A signal that was ignored before,
    as under nohup, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        _record(number)
        for one in {signal.SIGTERM, HANG_UP}:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    _record(signal.SIGINT)
    with _handled({signal.SIGTERM, HANG_UP}, stop):
        yield


@contextmanager
def signals_deferred() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a signal has arrived; a second signal raises KeyboardInterrupt."""
    arrived: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        _record(number)
        arrived.append(number)
        if len(arrived) > 1:
            raise KeyboardInterrupt

    with _handled({signal.SIGINT, signal.SIGTERM, HANG_UP}, stop):
        yield lambda: bool(arrived)


@contextmanager
def _handled(numbers: set[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    # Python handles signals in the main thread only.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}
    kept = {number: one for number, one in former.items() if one is not None and one != signal.SIG_IGN}
    for number in kept:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, one in kept.items():
            signal.signal(number, one)


def _record(number: int) -> None:
    global _last_signal
    _last_signal = number
