"""The verb `predict`: a model's motion for every clip of a store, and a note of how it was made."""

import json
from pathlib import Path

import dualtalk
from dualtalk.cli.progress import Stages
from dualtalk.models.checkpoint import load_model
from dualtalk.simulation.predictions import predict_split
from dualtalk.store import open_store

RECORD = "prediction.json"


def run(store: Path, model: str, folder: Path, options: dict) -> list[str]:
    """Predict into `folder`, as `predict_split` takes `options`; gives the lines that sum it up.

    Raises
    ------
    DualTalkError
        The store, the model or the options are not as they should be.
    """
    trained = load_model(model)
    with Stages() as stages, stages.stage("Predicting") as report:
        clips = predict_split(open_store(store), trained, folder, report=report, **options)
    record = {
        "store": str(store),
        "model": model,
        "about": trained.metadata,
        "options": options,
        "version": dualtalk.__version__,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return [f"{clips} clips of {store}"]
