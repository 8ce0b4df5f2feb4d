"""Options and arguments that several verbs share, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from dualtalk.choices import Mode, RendererName, ViewName

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
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")]
ResultFolder = Annotated[
    Path, typer.Option(show_default=False, metavar="DIR", help="Folder to write the results to.")
]
StoreFolder = Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder of the new store.")]
SimulatedFolder = Annotated[
    Path, typer.Argument(metavar="DIR", show_default=False, help="A folder that dualtalk simulate wrote.")
]
