"""Progress of a long run: a bar for each stage on a terminal, and no output elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console

from dualtalk.progress import Progress


class Stages:
    """Shows named stages, one after another; `stage` is a `dualtalk.progress.StageContext`."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not (console.is_terminal and sys.stderr.isatty()),
            transient=True,
        )

    def __enter__(self) -> "Stages":
        self._bars.start()
        return self

    def __exit__(self, *_) -> None:
        self._bars.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Show a stage, and give it a function to call with the steps done and the steps in all."""
        task = self._bars.add_task(name, total=None)
        yield lambda done, total: self._bars.update(task, completed=done, total=total)
        self._bars.update(task, completed=1, total=1)
