"""Options and arguments that several verbs share, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from dualtalk.choices import EngineName, Mode, RendererName, ViewName
from dualtalk.errors import InputError

HeadOption = Annotated[
    str, typer.Option(help="[bold]open[/] (bundled), or the path of a FLAME file that you have.")
]
ModeOption = Annotated[
    Mode, typer.Option(help="[bold]mean[/]: deterministic prediction; [bold]sample[/]: stochastic sample.")
]
ModelOption = Annotated[
    str,
    typer.Option(
        help="[bold]default[/], the bundled pretrained model; [bold]rules[/], the rule-based animator; or the "
        "path of a model.safetensors that train wrote, or of a released checkpoint (.pth) of DualTalk "
        "(Peng et al. 2025)."
    ),
]
MotionSeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same motion.")]
ViewOption = Annotated[ViewName, typer.Option(help="One portrait per person, or both in one scene.")]
RendererOption = Annotated[
    RendererName, typer.Option(help="Renderer; [bold]auto[/] takes the fastest one that works.")
]
DraftOption = Annotated[
    bool,
    typer.Option("--draft", help="A quick look: a video of half the size and half the frame rate."),
]
DiarizerOption = Annotated[
    str,
    typer.Option(
        help="Speaker-diarization pipeline for mono recordings: [bold]default[/] (bundled), or a pyannote.audio "
        "pipeline by path or hub name."
    ),
]
TokenOption = Annotated[
    str | None, typer.Option(envvar="HF_TOKEN", show_default=False, help="Access token for a pipeline on the hub.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=0, show_default="all cores", help="Worker processes; the result is the same for any number."),
]
EngineOption = Annotated[
    EngineName, typer.Option(help="Processes of this machine, or the workers of a [bold]ray[/] cluster.")
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        envvar="RAY_ADDRESS",
        show_default=False,
        metavar="HOST:PORT",
        help="Head node of the cluster, for --engine ray; by default a new cluster on this machine.",
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")]
StartOption = Annotated[
    str | None,
    typer.Option("--from", show_default="the beginning", metavar="TIME", help="Seconds, or minutes as 1:30."),
]
EndOption = Annotated[
    str | None, typer.Option("--to", show_default="the end", metavar="TIME", help="Where the part ends.")
]
ResultFolder = Annotated[
    Path, typer.Option(show_default=False, metavar="DIR", help="Folder to write the results to.")
]
StoreFolder = Annotated[
    str, typer.Option(show_default=False, metavar="DIR|URL", help="Folder or URL of the new store.")
]
SimulatedFolder = Annotated[
    Path, typer.Argument(metavar="DIR", show_default=False, help="A folder that dualtalk simulate wrote.")
]


def parse_span(start: str | None, end: str | None) -> tuple[float, float | None]:
    """Start and end of a part in seconds, from `--from` and `--to`; the end is None for the end of the recording.

    Raises
    ------
    InputError
        One is no time, or the end is not after the start.
    """
    start_s = 0.0 if start is None else _seconds("--from", start)
    end_s = None if end is None else _seconds("--to", end)
    if end_s is not None and end_s <= start_s:
        raise InputError(f"the part from {start_s:g} s to {end_s:g} s is empty; are --from and --to exchanged?")
    return start_s, end_s


def _seconds(option: str, text: str) -> float:
    """Seconds of "90", "1:30" or "0:01:30"."""
    parts = text.split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if not values or len(values) > 3 or not all(0 <= value < float("inf") for value in values):
        raise InputError(f"{option} is {text!r}; wanted seconds such as 90, or a time such as 1:30")
    return sum(value * 60**power for power, value in enumerate(reversed(values)))


def parse_channels(text: str) -> tuple[int, ...]:
    """Channel numbers of "1,2" or "3".

    Raises
    ------
    InputError
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--channels is {text!r}; wanted channel numbers such as 1,2")
    return tuple(int(part) for part in parts)
