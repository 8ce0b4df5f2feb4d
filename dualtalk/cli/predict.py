"""The verb `predict`: a model's motion for every clip of a split, and a record of the run."""

import json
from pathlib import Path
from typing import Annotated

import typer

import dualtalk
from dualtalk.choices import Protocol, RayCluster
from dualtalk.cli.options import (
    EngineOption,
    ModelOption,
    ModeOption,
    MotionSeedOption,
    OverwriteOption,
    RayAddressOption,
)
from dualtalk.io.atomic import write_text
from dualtalk.io.given_files import check_model, check_store
from dualtalk.io.remote import is_url
from dualtalk.io.result_folder import result_folder

RECORD = "prediction.json"
# Names that a run writes, as patterns.
RESULTS = (RECORD, "*_speaker[12].npz", "sample*")


def predict(
    store: Annotated[
        str, typer.Argument(metavar="STORE", show_default=False, help="Folder or URL of a store with motion.")
    ],
    out: Annotated[Path, typer.Option(show_default=False, metavar="DIR", help="Folder for the predictions.")],
    model: ModelOption = "default",
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="Evaluation protocol. [bold]partner-given[/]: the partner's true motion is an input up to the "
            "frame before. [bold]closed-loop[/]: both voices are its only input."
        ),
    ] = "partner-given",
    mode: ModeOption = "sample",
    samples: Annotated[int, typer.Option(min=1, help="Number of samples per clip.")] = 1,
    split: Annotated[str, typer.Option(help="The split to predict.")] = "test",
    seed: MotionSeedOption = 0,
    engine: EngineOption = "local",
    ray_address: RayAddressOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict the motion of every clip of a store, for [bold]evaluate[/].

    Example: [bold]dualtalk predict stores/dualtalk --model runs/duet/model.safetensors --out ours[/]
    """
    check_store(store)
    check_model(model)
    inputs = [path for path in (store, model) if not is_url(path)]
    with result_folder(out, overwrite=overwrite, record=RECORD, results=RESULTS, inputs=inputs) as folder:
        from dualtalk.cli.progress import Stages
        from dualtalk.simulation.predictions import predict_split
        from dualtalk.simulation.simulator import RULES, load_model_or_rules
        from dualtalk.store import open_store

        opened, loaded = open_store(store), load_model_or_rules(model)
        with Stages() as stages, stages.stage("Predicting") as progress:
            clips = predict_split(
                opened,
                loaded,
                folder,
                split=split,
                protocol=protocol,
                mode=mode,
                seed=seed,
                samples=samples,
                cluster=RayCluster(ray_address) if engine == "ray" else None,
                progress=progress,
            )
        record = {
            "store": str(store),
            "model": model,
            "model_metadata": {} if loaded == RULES else loaded.metadata,
            "options": {
                "split": split,
                "protocol": protocol,
                "mode": mode,
                "seed": seed,
                "samples": samples,
            },
            "version": dualtalk.__version__,
        }
        write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
    print(f"{clips} clips of {store}", out, sep="\n")
