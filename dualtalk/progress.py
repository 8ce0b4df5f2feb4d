"""Progress of long work: a callback that counts steps, and named stages that a caller can show and that are timed.

Library code takes a `StageContext` and does not know who shows the progress: the command line draws bars, and the
default logs the names. This module imports the standard library only.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

logger = logging.getLogger(__name__)

# Called with the number of finished steps and the number of all steps.
Progress = Callable[[int, int], None]
# Enters a named stage and gives the function that reports its progress.
StageContext = Callable[[str], AbstractContextManager[Progress]]


@contextmanager
def log_stage(name: str) -> Iterator[Progress]:
    """A `StageContext` that logs the name of each stage."""
    logger.info("%s", name)
    yield lambda done, total: None


class TimedStages:
    """Enters stages of a `StageContext` and measures their wall time.

    Attributes
    ----------
    timings_s : dict
        Wall time of each stage that is over, in seconds.
    """

    def __init__(self, stage: StageContext = log_stage) -> None:
        self.timings_s: dict[str, float] = {}
        self._stage = stage

    @contextmanager
    def __call__(self, name: str) -> Iterator[Progress]:
        start_s = time.perf_counter()
        with self._stage(name) as progress:
            yield progress
        self.timings_s[name] = round(time.perf_counter() - start_s, 3)
