"""From a recording to a folder of results: motion, video, report page, viewer page and a record of the run.

`dualtalk simulate` calls `simulate_to_folder`, and so can Python programs. This module imports no heavy package,
so that a bad path is answered at once; `dualtalk.simulation.results` does the work.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dualtalk.errors import InputError
from dualtalk.io.audio_stream import open_audio
from dualtalk.io.given_files import check_diarizer, check_head, check_model
from dualtalk.io.result_folder import result_folder
from dualtalk.progress import StageContext, TimedStages, log_stage
from dualtalk.simulation.options import RECORD, RESULTS, SimulationOptions

if TYPE_CHECKING:
    from dualtalk.core import Conversation


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


def simulate_to_folder(
    audio: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    options: SimulationOptions = SimulationOptions(),
    *,
    token: str | None = None,
    overwrite: bool = False,
    stage: StageContext = log_stage,
) -> SimulationReport:
    """Simulate a recorded conversation and write every result into a folder.

    The folder holds dialogue.mp4, report.html, viewer.html, the motion a.npz and b.npz, the voices a.wav and
    b.wav, the turns turns.rttm and turns.csv, and run.json. It appears as a whole or not at all.

    Parameters
    ----------
    audio : path or two paths
        A mono recording of two people, a stereo recording with one person per channel, or one file per person:
        sound or video files of any format that soundfile or ffmpeg decodes.
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
    with result_folder(out, overwrite=overwrite, record=RECORD, results=RESULTS, inputs=paths) as folder:
        _check(paths, options)
        # Deferred: it loads torch.
        from dualtalk.simulation.results import write_results

        conversation, notes = write_results(paths, folder, options, token, stages)
    files = tuple(Path(out) / name for name in RESULTS if (Path(out) / name).exists())
    return SimulationReport(conversation, files, notes, stages.timings_s)


def _check(paths: Sequence[Path], options: SimulationOptions) -> None:
    """Check what a user gives before seconds are spent on imports."""
    check_head(options.head)
    check_model(options.model)
    check_diarizer(options.diarizer)
    if options.end_s is not None and options.end_s <= options.start_s:
        raise InputError(
            f"the part from {options.start_s:g} s to {options.end_s:g} s is empty; are they exchanged?"
        )
    for path in paths:
        with open_audio(path):
            pass
