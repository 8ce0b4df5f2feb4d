"""The command line: a verb is a function. `dualtalk VERB --help` says what each does.

Exit status: 0; 2 and one line on standard error where something is not as it should be; 130 after Ctrl-C; 1 with
a traceback for a fault of ours. Heavy packages are imported by the verb that needs them, so that `--help` is
there at once.
"""

import sys
import time
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import dualtalk
from dualtalk.cli.result_dir import result_folder, written
from dualtalk.corpora import corpora_help
from dualtalk.errors import DualTalkError, Interrupted


class OneLineErrors(typer.core.TyperGroup):
    """Turns expected errors and Ctrl-C into one line and an exit status."""

    def invoke(self, ctx):
        with warnings.catch_warnings():
            # Users can do nothing about the warnings of packages; ours name what to do.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module="dualtalk")
            warnings.showwarning = lambda message, *_: print(f"dualtalk: {message}", file=sys.stderr)
            try:
                return super().invoke(ctx)
            except DualTalkError as error:
                print(f"dualtalk: {' '.join(str(error).split())}", file=sys.stderr)
                raise typer.Exit(130 if isinstance(error, Interrupted) else 2) from error
            except KeyboardInterrupt as error:
                print("dualtalk: interrupted; nothing was kept", file=sys.stderr)
                raise typer.Exit(130) from error


class ViewChoice(StrEnum):
    SPLIT = "split"
    FACE_TO_FACE = "face-to-face"


class Person(StrEnum):
    A = "a"
    B = "b"
    BOTH = "both"


class Mode(StrEnum):
    MEAN = "mean"
    SAMPLE = "sample"


class RendererChoice(StrEnum):
    AUTO = "auto"
    MODERNGL = "moderngl"
    PYRENDER = "pyrender"


app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
main = app

HeadOption = Annotated[str, typer.Option(help="[bold]open[/] (bundled), or the path of a FLAME file you have.")]
ViewOption = Annotated[ViewChoice, typer.Option(help="One portrait per person, or both in one scene.")]
RendererOption = Annotated[
    RendererChoice, typer.Option(help="The renderer; [bold]auto[/] uses the fastest that works here.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace results of an earlier run.")]


def _version(wanted: bool) -> bool:
    if wanted:
        print(f"dualtalk {dualtalk.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Two people in conversation, in 3D: audio of both in, head motion and video of both out."""


@app.command()
def simulate(
    audio: Annotated[
        Path,
        typer.Argument(
            metavar="AUDIO",
            show_default=False,
            help="A mono recording of two people, a stereo recording with a person a channel, or, with AUDIO2, "
            "the first person alone.",
        ),
    ],
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder for the results.")],
    audio2: Annotated[
        Path | None, typer.Argument(metavar="AUDIO2", show_default=False, help="The second person alone.")
    ] = None,
    head: HeadOption = "open",
    model: Annotated[
        str,
        typer.Option(
            help="What moves the heads: [bold]default[/], the network that comes along, [bold]rules[/], or a "
            "model.safetensors that train made."
        ),
    ] = "default",
    mode: Annotated[Mode, typer.Option(help="A model's most even answer, or one of many.")] = Mode.SAMPLE,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same motion.")] = 0,
    view: ViewOption = ViewChoice.SPLIT,
    renderer: RendererOption = RendererChoice.AUTO,
    diarizer: Annotated[
        str,
        typer.Option(
            help="Who tells the people of a mono recording apart: [bold]default[/] (bundled), or a pyannote.audio "
            "pipeline by path or hub name."
        ),
    ] = "default",
    token: Annotated[
        str | None, typer.Option(envvar="HF_TOKEN", show_default=False, help="For a pipeline from the hub.")
    ] = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Motion and report only, nothing drawn.")] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Turn a recorded conversation into the motion of both people, a video and a report.

    Example: [bold]dualtalk simulate call.wav --out call[/]

    Writes dialogue.mp4, report.html, and viewer.html, which shows both in
    3D; motion as a.npz and b.npz; each voice as a.wav and b.wav; who speaks
    when as turns.rttm and turns.csv; and run.json, which says how it was
    made.
    """
    start_s = time.perf_counter()
    with result_folder(out, overwrite=overwrite) as folder:
        from dualtalk.cli.simulating import Request, run

        request = Request(
            audio=(audio,) if audio2 is None else (audio, audio2),
            head=head,
            model=model,
            mode=mode.value,
            seed=seed,
            view=view.value,
            renderer=renderer.value,
            diarizer=diarizer,
            video=not no_video,
        )
        lines = run(request, folder, token=token, start_s=start_s)
    print(*lines, *(f"  {out / name}" for name in written(out)), sep="\n")


@app.command()
def render(
    a: Annotated[
        Path, typer.Argument(metavar="A", show_default=False, help="Motion of the first person, an npz file.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B", show_default=False, help="Motion of the second person.")],
    out: Annotated[Path, typer.Option(show_default=False, metavar="FILE.mp4", help="The video to write.")],
    audio: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A.wav B.wav", show_default=False, help="Both voices; silent without."),
    ] = None,
    head: HeadOption = "open",
    view: ViewOption = ViewChoice.SPLIT,
    renderer: RendererOption = RendererChoice.AUTO,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw the motion of two people as a video.

    Example: [bold]dualtalk render a.npz b.npz --audio a.wav b.wav --out dialogue.mp4[/]
    """
    from dualtalk.cli.rendering import run

    run((a, b), out, audio, head=head, view=view.value, renderer=renderer.value, overwrite=overwrite)


class Splits(StrEnum):
    OFFICIAL = "official"
    SPEAKER_DISJOINT = "speaker-disjoint"


WorkersOption = Annotated[
    int | None,
    typer.Option(min=0, show_default="all cores", help="Processes; the result is the same for any number."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")]


@app.command()
def prepare(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", show_default=False, help="Folder of the corpus, as published.")
    ],
    corpus: Annotated[
        str,
        typer.Option(
            show_default=False,
            help=f"One of {corpora_help()}; [bold]recordings[/] is a folder of your own audio.",
        ),
    ],
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder for the store.")],
    splits: Annotated[
        Splits, typer.Option(help="The corpus's official splits, or new ones without shared speakers or sessions.")
    ] = Splits.OFFICIAL,
    workers: WorkersOption = None,
    diarizer: Annotated[
        str, typer.Option(help="For mixed recordings: [bold]default[/], or a pyannote.audio pipeline.")
    ] = "default",
    token: Annotated[
        str | None, typer.Option(envvar="HF_TOKEN", show_default=False, help="For a pipeline from the hub.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a corpus ready for training: aligned, checked, split by people, with who speaks when.

    Example: [bold]dualtalk prepare ~/DualTalk --corpus dualtalk --out stores/dualtalk[/]

    A run that was stopped is gone on with by the same command. A clip that
    cannot be used is left out, with its reason in quarantine.csv.
    """
    from dualtalk.cli.storing import run_prepare

    print(
        *run_prepare(
            source,
            out,
            workers=workers,
            corpus=corpus,
            splits=splits.value,
            diarizer=diarizer,
            token=token,
            overwrite=overwrite,
        ),
        sep="\n",
    )


@app.command()
def synthesize(
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder for the store.")],
    hours: Annotated[
        float | None, typer.Option(show_default=False, help="Hours of conversation; more can be added later.")
    ] = None,
    seed: SeedOption = 0,
    audio_of: Annotated[
        Path | None,
        typer.Option(show_default=False, metavar="STORE", help="Animate the real audio of this store instead."),
    ] = None,
    clip_seconds: Annotated[int, typer.Option(min=10, max=600, help="Length of each conversation.")] = 60,
    piper: Annotated[
        list[Path] | None,
        typer.Option(show_default=False, metavar="VOICE.onnx", help="A piper voice to train with; repeatable."),
    ] = None,
    kokoro: Annotated[
        Path | None,
        typer.Option(show_default=False, metavar="DIR", help="Kokoro's voices to train with, about real time."),
    ] = None,
    words: Annotated[
        Path | None,
        typer.Option(show_default=False, metavar="FILE", help="Words, one a line, to make most sentences of."),
    ] = None,
    pace: Annotated[float, typer.Option(help="How many times as fast everybody speaks.")] = 1.0,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Make two-person training data out of nothing: written, spoken, placed in time and in rooms, animated.

    Example: [bold]dualtalk synthesize --hours 10 --out stores/synthetic[/]

    Needs flite and espeak-ng (sudo apt-get install flite espeak-ng).
    """
    from dualtalk.cli.storing import run_synthesize

    lines = run_synthesize(
        out,
        hours,
        audio_of,
        seed,
        clip_seconds=clip_seconds,
        piper=tuple(piper or ()),
        kokoro=kokoro,
        words=words,
        pace=pace,
        workers=workers,
        overwrite=overwrite,
    )
    print(*lines, sep="\n")


@app.command()
def validate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="A store, or a corpus with --corpus.")
    ],
    corpus: Annotated[
        str | None, typer.Option(show_default=False, help="DIR is this corpus, as published.")
    ] = None,
) -> None:
    """Look a store over: every file as it was written, no person in two splits. Or a corpus: what is missing.

    Example: [bold]dualtalk validate stores/dualtalk[/]
    """
    from dualtalk.cli.storing import run_validate

    print(*run_validate(folder, corpus), sep="\n")


@app.command()
def shard(
    source: Annotated[Path, typer.Argument(metavar="STORE", show_default=False, help="A store.")],
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder for the shards.")],
    clips: Annotated[int, typer.Option(min=1, help="Clips in a shard; a reader needs one shard at least.")] = 32,
) -> None:
    """Copy a store into WebDataset tar shards, to be read from a disk or from a URL.

    Example: [bold]dualtalk shard stores/dualtalk --out shards/dualtalk[/]
    """
    from dualtalk.cli.storing import run_shard

    print(*run_shard(source, out, clips), sep="\n")


class Protocol(StrEnum):
    PARTNER_GIVEN = "partner-given"
    CLOSED_LOOP = "closed-loop"


@app.command()
def predict(
    store: Annotated[Path, typer.Argument(metavar="STORE", show_default=False, help="A store with motion.")],
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder for the predictions.")],
    model: Annotated[
        str, typer.Option(help="[bold]default[/], or a model.safetensors that train made.")
    ] = "default",
    protocol: Annotated[
        Protocol, typer.Option(help="What the model is told of the partner: motion, too, or the voice alone.")
    ] = Protocol.PARTNER_GIVEN,
    mode: Annotated[Mode, typer.Option(help="The model's most even answer, or one of many.")] = Mode.SAMPLE,
    samples: Annotated[int, typer.Option(min=1, help="How many samples of each clip.")] = 1,
    split: Annotated[str, typer.Option(help="Which clips.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same motion.")] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Write what a model makes of every clip of a store, for [bold]evaluate[/].

    Example: [bold]dualtalk predict stores/dualtalk --model runs/duet/model.safetensors --out ours[/]
    """
    options = {"split": split, "protocol": protocol.value, "mode": mode.value, "seed": seed, "samples": samples}
    with result_folder(out, overwrite=overwrite, record="prediction.json") as folder:
        from dualtalk.cli.predicting import run

        lines = run(store, model, folder, options)
    print(*lines, out, sep="\n")


@app.command()
def evaluate(
    predicted: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTED...",
            show_default=False,
            help="A folder a system: CLIP_speaker1.npy (frame, 56) or .npz, and so on; of a system that draws "
            "several samples, such folders in it named sample0, sample1.",
        ),
    ],
    reference: Annotated[
        Path,
        typer.Option(
            show_default=False,
            metavar="DIR",
            help="A store, or a folder of CLIP_speaker1.npz and .wav as published.",
        ),
    ],
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder for the results.")],
    name: Annotated[
        list[str] | None,
        typer.Option(show_default="its folder's", help="What a system is called; one for each, in order."),
    ] = None,
    protocol: Annotated[
        list[Protocol] | None,
        typer.Option(
            show_default="partner-given",
            help="What the systems were given: the partner's real motion, or both voices alone. One for all, or "
            "one for each, in order; the two are never ranked together.",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Of the reference, where it has splits.")] = "test",
    head: HeadOption = "open",
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn at random: intervals, controls.")] = 0,
    workers: WorkersOption = None,
    no_frames: Annotated[
        bool, typer.Option("--no-frames", help="Draw no pictures of the worst transitions.")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Measure predicted motion against what people did: benchmark, lips, listening, and role changes.

    Example: [bold]dualtalk evaluate ours theirs --reference stores/test --out comparison[/]

    Writes report.html, figures.csv, clips.csv (a row for each clip and person)
    and evaluation.json. Controls are always among the rows. docs/metrics.md
    says what each measure is.
    """
    with result_folder(out, overwrite=overwrite, record="evaluation.json") as folder:
        from dualtalk.cli.evaluating import Request, run

        request = Request(
            predicted=tuple(predicted),
            reference=reference,
            names=tuple(name or ()),
            protocols=tuple(one.value for one in protocol or [Protocol.PARTNER_GIVEN]),
            split=split,
            head=head,
            seed=seed,
            frames=not no_frames,
        )
        lines = run(request, folder, workers=workers)
    print(*lines, *(f"  {out / path.name}" for path in sorted(out.iterdir())), sep="\n")


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="A folder that dualtalk simulate wrote.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            show_default=False,
            metavar="FORMAT",
            help="[bold]arkit-csv[/] (Live Link Face), [bold]glb[/], [bold]usd[/], [bold]flame-npz[/] (as "
            "published), [bold]parquet[/], [bold]csv[/], [bold]obj[/] or [bold]ply[/] (a mesh a frame).",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(show_default="DIR-FORMAT", metavar="PATH", help="Folder for the results.")
    ] = None,
    person: Annotated[Person, typer.Option(help="Who is exported.")] = Person.BOTH,
    head: HeadOption = "open",
    fps: Annotated[int, typer.Option(metavar="25|60", help="Rows a second of arkit-csv.")] = 25,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a simulated conversation for another program.

    Example: [bold]dualtalk export call --format glb[/]

    Says what a format does not keep exactly. docs/export.md has the
    conventions of each.
    """
    from dualtalk.cli.exporting import run

    folder, lines = run(source, form, out, person=person.value, head=head, fps=fps, overwrite=overwrite)
    print(*lines, *(f"  {folder / path.name}" for path in sorted(folder.iterdir())), sep="\n")


@app.command(context_settings={"ignore_unknown_options": True})
def train(
    config: Annotated[
        Path, typer.Option(show_default=False, metavar="FILE.yaml", help="What to train on what, and how.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="--FIELD VALUE", show_default=False, help="Any field of the config, by its dotted name."
        ),
    ] = None,
    sample_video_every_n_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default="none",
            metavar="STEPS",
            help="Render a validation conversation, animated by the model, every STEPS steps: OUTPUT_DIR/videos.",
        ),
    ] = None,
) -> None:
    """Train a model on stores or shards, as a config says; any of its fields can be given here, too.

    Example: [bold]dualtalk train --config configs/train/duet.yaml --trainer.max_steps 1000[/]

    Writes checkpoints, logs and, in the end, model.safetensors for simulate
    --model. A run that was stopped is gone on with by the same command.
    docs/training.md tells more.
    """
    from dualtalk.cli.training import run

    for line in run(config, overrides or [], sample_video_every_n_steps=sample_video_every_n_steps):
        print(line)


@app.command()
def view(
    source: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="A folder that dualtalk simulate wrote.")
    ],
    out: Annotated[
        Path | None, typer.Option(show_default="DIR/viewer.html", metavar="FILE.html", help="The page to write.")
    ] = None,
    head: HeadOption = "open",
    overwrite: OverwriteOption = False,
) -> None:
    """Write a simulated conversation as one page that shows both people in 3D, with sound.

    Example: [bold]dualtalk view call[/]

    The page opens by double click, needs no network, and can be sent as it
    is. docs/viewer.md says what it can do.
    """
    from dualtalk.cli.viewing import run

    print(*run(source, out, head=head, overwrite=overwrite), sep="\n")


@app.command()
def doctor() -> None:
    """Say what works on this machine, and what to do about the rest.

    Exits with 1 if something is missing that simulating needs.
    """
    from dualtalk.doctor import examine, show

    raise typer.Exit(0 if show(examine()) else 1)
