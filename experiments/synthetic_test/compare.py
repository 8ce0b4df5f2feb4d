"""Compare all models on synthetic dialogues of people, voices and texts that no training used.

    python experiments/synthetic_test/compare.py stores/synthetic --out experiments/results/synthetic_test \\
        --model duet=default --model speaker=runs/speaker/model.safetensors ...

Writes predictions of every model in both protocols (of duet in both modes), of models that need no training, of
the teacher with another seed, and of duet with the partner's audio taken from another dialogue. Then evaluates
all of them into the folder `comparison`, measures how well the injected nods are detected, and relates the mean
squared errors to the irreducible error. Existing predictions are reused.
"""

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from dualtalk.animator import Transcript, animate
from dualtalk.audio.phonemes import Phoneme
from dualtalk.comparison import EvaluationOptions, evaluate_to_folder
from dualtalk.core import FULL62, PARTY, Conversation, HeadMotion
from dualtalk.metrics.events import find_swings, match_onsets
from dualtalk.models.baselines import NearestNeighbour, StaticPose
from dualtalk.models.checkpoint import PretrainedModel, load_model
from dualtalk.models.duet import Duet
from dualtalk.simulation.closed_loop import predict_closed_loop, predict_partner_given
from dualtalk.simulation.predictions import truncate
from dualtalk.store import Store, open_store
from dualtalk.timebase import MOTION_FPS

GIVEN, LOOP = "partner-given", "closed-loop"
TEACHER = "teacher (resampled)"
# An injected nod counts as detected if a detected nod begins within this time.
NOD_WITHIN_S = 0.4
INDEXED_CLIPS = 60
TABLE_METRICS = (
    *(f"{name} {part}" for name in ("FD", "P-FD", "MSE", "SID", "rPCC") for part in ("expression", "jaw", "head")),
    *("LVE speaking", "bilabial closure rate", "silence closure rate", "head events F1"),
)


@dataclass(frozen=True)
class Task:
    """One folder of predictions: a model with its mode and protocol."""

    name: str
    protocol: str
    mode: str
    path: str = ""
    kind: str = "model"

    @property
    def folder(self) -> str:
        return self.name.replace(" ", "_").replace(",", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each clip, as long as the published ones")
    parser.add_argument("--clips", type=int, default=30, help="number of clips of the test split")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    tasks = all_tasks(arguments.model)
    (arguments.out / "predictions").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.workers) as pool:
        for name in pool.map(predict, *zip(*((task, arguments) for task in tasks), strict=True)):
            print("predicted:", name, flush=True)
    folders = [arguments.out / "predictions" / task.folder for task in tasks]
    options = EvaluationOptions(
        names=tuple(task.name for task in tasks),
        protocols=tuple(task.protocol for task in tasks),
    )
    comparison = arguments.out / "comparison"
    evaluation = evaluate_to_folder(
        folders, arguments.store, comparison, options, workers=arguments.workers, overwrite=True
    )
    print(*evaluation.warnings, sep="\n")
    figures = pd.read_csv(comparison / "figures.csv")
    figures["shown"] = figures["value"] * figures["display_scale"]
    table = figures.pivot_table(index=["system", "protocol"], columns="metric", values="shown", sort=False)
    selected = table[[name for name in TABLE_METRICS if name in table]].round(3)
    nods = nod_table(open_store(arguments.store), tasks, arguments)
    for name, one in (("figures", selected), ("nods", nods), ("errors", error_table(table))):
        one.to_csv(arguments.out / f"table_{name}.csv")
        print(one.to_string())


def error_table(table: pd.DataFrame) -> pd.DataFrame:
    """MSE relative to the irreducible error: half of the mean squared difference of two performances of the
    teacher, which is the distance of one from the mean of all."""
    errors = table[[f"MSE {part}" for part in ("expression", "jaw", "head")]]
    return (errors / (errors.xs(TEACHER, level="system").iloc[0] / 2)).round(2)


def all_tasks(models: list[str]) -> list[Task]:
    tasks = []
    for given in models:
        name, _, path = given.partition("=")
        modes = ("mean", "sample") if isinstance(load_model(path).model, Duet) else ("mean",)
        for protocol, said in ((GIVEN, "partner given"), (LOOP, "closed loop")):
            tasks += [
                Task(f"{name} {mode}, {said}" if len(modes) > 1 else f"{name}, {said}", protocol, mode, path)
                for mode in modes
            ]
        if len(modes) > 1:
            tasks += [
                Task(f"{name} {mode}, shuffled partner audio", LOOP, mode, path, "shuffled") for mode in modes
            ]
    return [
        *tasks,
        Task("nearest neighbour", LOOP, "mean", kind="neighbour"),
        Task("static pose", LOOP, "mean", kind="still"),
        Task(TEACHER, LOOP, "sample", kind="teacher"),
    ]


def predict(task: Task, arguments: argparse.Namespace) -> str:
    torch.set_num_threads(1)
    store, folder = open_store(arguments.store), arguments.out / "predictions" / task.folder
    if folder.is_dir():
        return f"{task.name} (exists)"
    partial = folder.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    move, clips = mover(task, store), test_clips(store, arguments.clips)
    for place, clip in enumerate(clips):
        talk = truncate(store.conversation(clip), arguments.seconds)
        if task.kind == "shuffled":
            other = truncate(store.conversation(clips[(place + 1) % len(clips)]), arguments.seconds)
            motions = with_shuffled_partner(talk, other, move)
        else:
            motions = [person.motion for person in move(talk).participants]
        for number, motion in enumerate(motions, start=1):
            motion.save(partial / f"{clip}_speaker{number}.npz")
    os.replace(partial, folder)
    return task.name


def mover(task: Task, store: Store) -> Callable[[Conversation], Conversation]:
    if task.kind == "teacher":
        return lambda talk: animate(talk, 1, transcripts(store, talk.name)).conversation
    if task.kind == "still":
        trained = PretrainedModel(StaticPose(FULL62.width).eval(), "open", FULL62.name, {})
    elif task.kind == "neighbour":
        trained = PretrainedModel(neighbour(store), "open", FULL62.name, {})
    else:
        trained = load_model(task.path)
    moves = predict_partner_given if task.protocol == GIVEN else predict_closed_loop
    return lambda talk: moves(talk, trained, task.mode)


def test_clips(store: Store, count: int) -> list[str]:
    return list(store.manifest.loc[store.manifest["split"] == "test", "clip"][:count])


def transcripts(store: Store, clip: str) -> tuple[Transcript, Transcript]:
    """The teacher's transcripts without laughs, which the store does not keep."""
    phonemes = store.details(clip)["phonemes"]
    return tuple(Transcript(tuple(Phoneme(*one) for one in phonemes[label])) for label in PARTY)


def neighbour(store: Store) -> NearestNeighbour:
    model = NearestNeighbour(FULL62.width)
    rows = store.manifest.loc[store.manifest["split"] == "train", "clip"][:INDEXED_CLIPS]
    talks = map(store.conversation, rows)
    model.build_index(
        (
            torch.from_numpy(np.stack([person.audio for person in talk.participants]))[None],
            torch.from_numpy(np.stack([person.motion.coefficients for person in talk.participants]))[None],
        )
        for talk in talks
    )
    return model.eval()


def with_shuffled_partner(
    talk: Conversation, other: Conversation, move: Callable[[Conversation], Conversation]
) -> list[HeadMotion]:
    """Each person's motion with the partner's voice taken from another dialogue."""
    return [
        move(replace(talk, b=other.b)).a.motion,
        move(replace(talk, a=other.a)).b.motion,
    ]


def nod_table(store: Store, tasks: list[Task], arguments: argparse.Namespace) -> pd.DataFrame:
    """Detection of injected nods; the chance level uses the nods injected into another dialogue."""
    seconds, rows = arguments.seconds, {}
    clips = test_clips(store, arguments.clips)
    injected = injected_nods(store, clips, round(seconds * MOTION_FPS))
    found = {
        "ground truth": lambda clip, person: (
            truncate(store.conversation(clip), seconds).participants[person].motion
        ),
        **{task.name: predicted(arguments.out / "predictions" / task.folder) for task in tasks},
    }
    for name, read in found.items():
        sums, by_chance = np.zeros(3), np.zeros(3)
        for place, clip in enumerate(clips):
            for person in (0, 1):
                nods = [
                    swing.first for swing in find_swings(read(clip, person).head_rotvec_rad) if swing.kind == "nod"
                ]
                sums += match_onsets(injected[clip, person], nods, NOD_WITHIN_S)
                elsewhere = injected[clips[(place + 1) % len(clips)], person]
                by_chance += match_onsets(elsewhere, nods, NOD_WITHIN_S)
        rows[name] = {
            "nods": int(sums[1]),
            "precision": sums[2] / max(sums[1], 1),
            "recall": sums[2] / sums[0],
            "F1": 2 * sums[2] / (sums[0] + sums[1]),
            "F1 at chance": 2 * by_chance[2] / (by_chance[0] + by_chance[1]),
        }
    return pd.DataFrame(rows).T.round(3)


def predicted(folder: Path) -> Callable[[str, int], HeadMotion]:
    return lambda clip, person: HeadMotion.load(folder / f"{clip}_speaker{person + 1}.npz")


def injected_nods(store: Store, clips: list[str], frames: int) -> dict[tuple[str, int], list[int]]:
    events = store.events
    nods = events[(events["kind"] == "nod") & (events["frame"] < frames)]
    return {
        (clip, person): nods.loc[(nods["clip"] == clip) & (nods["person"] == label), "frame"].tolist()
        for clip in clips
        for person, label in enumerate(PARTY)
    }


if __name__ == "__main__":
    main()
