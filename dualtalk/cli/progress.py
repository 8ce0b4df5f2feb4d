"""What a long run shows while it works: a bar for each stage on a terminal, nothing elsewhere; and its timings."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Report = Callable[[int, int], None]


class Stages:
    """Runs named stages, one after another.

    Attributes
    ----------
    seconds : dict
        Wall time of each stage that is over.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not (console.is_terminal and sys.stderr.isatty()),
            transient=True,
        )

    def __enter__(self) -> "Stages":
        self._progress.start()
        return self

    def __exit__(self, *_) -> None:
        self._progress.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[Report]:
        """Time a stage, and give it a function to call with the steps done and the steps in all."""
        task = self._progress.add_task(name, total=None)
        start_s = time.perf_counter()
        yield lambda done, total: self._progress.update(task, completed=done, total=total)
        self.seconds[name] = round(time.perf_counter() - start_s, 3)
        self._progress.update(task, completed=1, total=1)
