"""From a recording to a folder of results: motion, video, report page, viewer page and a record of the run.

`dualtalk simulate` calls `simulate_to_folder`, and so can Python programs. This module imports no heavy package,
so that a bad path is answered at once; `dualtalk.simulation.results` does the work.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dualtalk.choices import Mode, RendererName, ViewName
from dualtalk.io.audio_file import check_audio_file
from dualtalk.io.result_folder import result_folder

if TYPE_CHECKING:
    from dualtalk.core import Conversation

logger = logging.getLogger(__name__)

VIDEO, REPORT, VIEWER = "dialogue.mp4", "report.html", "viewer.html"
TURNS, RECORD = "turns.csv", "run.json"
# Every file of a result folder, most interesting first.
RESULTS = (VIDEO, REPORT, VIEWER, "a.npz", "b.npz", "a.wav", "b.wav", "turns.rttm", TURNS, RECORD)

# Called with the steps done and the steps in all.
Report = Callable[[int, int], None]
# Enters a named stage and gives the function that reports its progress.
StageContext = Callable[[str], AbstractContextManager[Report]]


@dataclass(frozen=True)
class SimulationOptions:
    """Options of `simulate_to_folder`, as run.json records them.

    Attributes
    ----------
    head : str
        "open", or the path of a FLAME file.
    model : str
        "default" (the bundled pretrained model), "rules" (the rule-based animator), or the path of a model file.
    mode : "mean" or "sample"
        A model's deterministic prediction, or a stochastic sample.
    seed : int
        The same input, options and seed give the same motion, to the byte.
    view : "split" or "face-to-face"
        One portrait per person, or both in one scene.
    renderer : "auto", "moderngl" or "pyrender"
    diarizer : str
        "default", or a pyannote.audio pipeline by path or hub name; for mono recordings.
    video : bool
        Whether to render the video and the stills of the report.
    """

    head: str = "open"
    model: str = "default"
    mode: Mode = "sample"
    seed: int = 0
    view: ViewName = "split"
    renderer: RendererName = "auto"
    diarizer: str = "default"
    video: bool = True


@dataclass(frozen=True, eq=False)
class SimulationReport:
    """What `simulate_to_folder` wrote.

    Attributes
    ----------
    conversation : Conversation
        With the motion of both people.
    files : tuple of Path
        Every file that was written.
    notes : tuple of str
        What a user should know about the input, such as a missing second speaker.
    timings_s : dict
        Wall time of each stage, in seconds.
    """

    conversation: "Conversation"
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    timings_s: dict[str, float]


@contextmanager
def _no_progress(name: str) -> Iterator[Report]:
    logger.info("%s", name)
    yield lambda done, total: None


class TimedStages:
    """Enters stages of a `StageContext` and measures their wall time."""

    def __init__(self, stage: StageContext) -> None:
        self.timings_s: dict[str, float] = {}
        self._stage = stage

    @contextmanager
    def __call__(self, name: str) -> Iterator[Report]:
        start_s = time.perf_counter()
        with self._stage(name) as report:
            yield report
        self.timings_s[name] = round(time.perf_counter() - start_s, 3)


def simulate_to_folder(
    audio: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    options: SimulationOptions = SimulationOptions(),
    *,
    token: str | None = None,
    overwrite: bool = False,
    stage: StageContext = _no_progress,
) -> SimulationReport:
    """Simulate a recorded conversation and write every result into a folder.

    The folder holds dialogue.mp4, report.html, viewer.html, the motion a.npz and b.npz, the voices a.wav and
    b.wav, the turns turns.rttm and turns.csv, and run.json. It appears as a whole or not at all.

    Parameters
    ----------
    audio : path or two paths
        A mono recording of two people, a stereo recording with one person per channel, or one file per person.
    out : path
        Folder for the results.
    options : SimulationOptions
    token : str, optional
        Hugging Face access token for a diarization pipeline on the hub.
    overwrite : bool
        Replace the results of an earlier run.
    stage : callable
        Called with the name of each stage; returns a context manager that yields a progress callback. The default
        logs the names.

    Raises
    ------
    InputError
        An input file or option cannot be used, or `out` cannot be written.
    SetupError
        This machine cannot render, or a package is missing.
    """
    paths = [Path(audio)] if isinstance(audio, str | os.PathLike) else [Path(path) for path in audio]
    stages = TimedStages(stage)
    with result_folder(out, overwrite=overwrite, results=RESULTS) as folder:
        for path in paths:
            check_audio_file(path)
        # Deferred: it loads torch.
        from dualtalk.simulation.results import write_results

        conversation, notes = write_results(paths, folder, options, token, stages)
    files = tuple(Path(out) / name for name in RESULTS if (Path(out) / name).exists())
    return SimulationReport(conversation, files, notes, stages.timings_s)
