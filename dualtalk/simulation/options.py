"""Options and result files of `simulate_to_folder`. This module imports no heavy package."""

from dataclasses import dataclass

from dualtalk.choices import Mode, RendererName, ViewName

VIDEO, REPORT, VIEWER = "dialogue.mp4", "report.html", "viewer.html"
TURNS, RECORD = "turns.csv", "run.json"
# Every file of a result folder, most interesting first.
RESULTS = (VIDEO, REPORT, VIEWER, "a.npz", "b.npz", "a.wav", "b.wav", "turns.rttm", TURNS, RECORD)


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
    draft : bool
        A quick look: a video of half the size and half the frame rate.
    diarizer : str
        "default", or a pyannote.audio pipeline by path or hub name; for mono recordings.
    video : bool
        Whether to render the video and the stills of the report.
    channels : one or two ints, optional
        Channels of the recording to use, from 1: two with one person each, or one with both.
    start_s, end_s : float, float or None
        The part of the recording to simulate; None for its end.
    """

    head: str = "open"
    model: str = "default"
    mode: Mode = "sample"
    seed: int = 0
    view: ViewName = "split"
    renderer: RendererName = "auto"
    draft: bool = False
    diarizer: str = "default"
    video: bool = True
    channels: tuple[int, ...] | None = None
    start_s: float = 0.0
    end_s: float | None = None
