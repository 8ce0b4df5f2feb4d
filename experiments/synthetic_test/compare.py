"""How do all models compare on synthetic dialogues of people, voices and texts that none of them was trained on?

    python experiments/synthetic_test/compare.py stores/synthetic --out experiments/results/synthetic_test \\
        --model duet=default --model speaker=runs/speaker/model.safetensors ...

Predictions of every model in both protocols, of duet both modes, beside models that need no training, the teacher
with another seed, and duet with the partner's voice taken from another dialogue; then `dualtalk evaluate` on all
of them, how well the nods that the teacher planted are found, and how the mean errors compare with each other and
with the least that the teacher's own dice allow. What is there already is not predicted again.
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
from dualtalk.cli.evaluate import EvaluationOptions, evaluate_to_folder
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
TEACHER = "teacher, another seed"
# A planted nod counts as found where one begins so near to it.
NOD_WITHIN_S = 0.4
REMEMBERED_CLIPS = 60
SHOWN = (
    *(f"{name} {part}" for name in ("FD", "P-FD", "MSE", "SID", "rPCC") for part in ("expression", "jaw", "head")),
    *("LVE speaking", "bilabial closure rate", "silence closure rate", "head events F1"),
)


@dataclass(frozen=True)
class Task:
    """One folder of predictions: what moves whom, told what."""

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
    parser.add_argument("--clips", type=int, default=30, help="how many clips of the test split")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    tasks = all_tasks(arguments.model)
    (arguments.out / "predictions").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.workers) as pool:
        for name in pool.map(predict, *zip(*((task, arguments) for task in tasks), strict=True)):
            print("predicted:", name, flush=True)
    folders = tuple(arguments.out / "predictions" / task.folder for task in tasks)
    options = EvaluationOptions(
        predicted=folders,
        reference=arguments.store,
        names=tuple(task.name for task in tasks),
        protocols=tuple(task.protocol for task in tasks),
        split="test",
        head="open",
        seed=0,
        stills=True,
    )
    print(*evaluate_to_folder(options, arguments.out, workers=arguments.workers), sep="\n")
    figures = pd.read_csv(arguments.out / "figures.csv")
    figures["shown"] = figures["value"] * figures["display_scale"]
    table = figures.pivot_table(index=["system", "protocol"], columns="metric", values="shown", sort=False)
    shown = table[[name for name in SHOWN if name in table]].round(3)
    nods = nod_table(open_store(arguments.store), tasks, arguments)
    for name, one in (("figures", shown), ("nods", nods), ("errors", error_table(table))):
        one.to_csv(arguments.out / f"table_{name}.csv")
        print(one.to_string())


def error_table(table: pd.DataFrame) -> pd.DataFrame:
    """MSE over the least there can be: half of what two performances of the teacher differ by, which is how far
    one is from the mean of all."""
    errors = table[[f"MSE {part}" for part in ("expression", "jaw", "head")]]
    return (errors / (errors.xs(TEACHER, level="system").iloc[0] / 2)).round(2)


def all_tasks(models: list[str]) -> list[Task]:
    tasks = []
    for given in models:
        name, _, path = given.partition("=")
        modes = ("mean", "sample") if isinstance(load_model(path).model, Duet) else ("mean",)
        for protocol, said in ((GIVEN, "partner given"), (LOOP, "loop")):
            tasks += [
                Task(f"{name} {mode}, {said}" if len(modes) > 1 else f"{name}, {said}", protocol, mode, path)
                for mode in modes
            ]
        if len(modes) > 1:
            tasks += [Task(f"{name} {mode}, stranger's voice", LOOP, mode, path, "stranger") for mode in modes]
    return [
        *tasks,
        Task("nearest neighbour", LOOP, "mean", kind="neighbour"),
        Task("hold still", LOOP, "mean", kind="still"),
        Task(TEACHER, LOOP, "sample", kind="teacher"),
    ]


def predict(task: Task, arguments: argparse.Namespace) -> str:
    torch.set_num_threads(1)
    store, folder = open_store(arguments.store), arguments.out / "predictions" / task.folder
    if folder.is_dir():
        return f"{task.name} (was there)"
    partial = folder.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    move, clips = mover(task, store), test_clips(store, arguments.clips)
    for place, clip in enumerate(clips):
        talk = truncate(store.conversation(clip), arguments.seconds)
        if task.kind == "stranger":
            stranger = truncate(store.conversation(clips[(place + 1) % len(clips)]), arguments.seconds)
            motions = beside_a_stranger(talk, stranger, move)
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
    """What the teacher knew, less the laughs, which the store does not keep."""
    phonemes = store.details(clip)["phonemes"]
    return tuple(Transcript(tuple(Phoneme(*one) for one in phonemes[label])) for label in PARTY)


def neighbour(store: Store) -> NearestNeighbour:
    model = NearestNeighbour(FULL62.width)
    rows = store.manifest.loc[store.manifest["split"] == "train", "clip"][:REMEMBERED_CLIPS]
    talks = map(store.conversation, rows)
    model.build_index(
        (
            torch.from_numpy(np.stack([person.audio for person in talk.participants]))[None],
            torch.from_numpy(np.stack([person.motion.coefficients for person in talk.participants]))[None],
        )
        for talk in talks
    )
    return model.eval()


def beside_a_stranger(
    talk: Conversation, stranger: Conversation, move: Callable[[Conversation], Conversation]
) -> list[HeadMotion]:
    """Each person's motion with the partner's voice taken from another dialogue."""
    return [
        move(replace(talk, b=stranger.b)).a.motion,
        move(replace(talk, a=stranger.a)).b.motion,
    ]


def nod_table(store: Store, tasks: list[Task], arguments: argparse.Namespace) -> pd.DataFrame:
    """How many planted nods are found, with chance: the nods that were planted in another dialogue."""
    seconds, rows = arguments.seconds, {}
    clips = test_clips(store, arguments.clips)
    planted = planted_nods(store, clips, round(seconds * MOTION_FPS))
    found = {
        "reference": lambda clip, person: truncate(store.conversation(clip), seconds).participants[person].motion,
        **{task.name: predicted(arguments.out / "predictions" / task.folder) for task in tasks},
    }
    for name, read in found.items():
        sums, by_chance = np.zeros(3), np.zeros(3)
        for place, clip in enumerate(clips):
            for person in (0, 1):
                nods = [
                    swing.first for swing in find_swings(read(clip, person).head_rotvec_rad) if swing.kind == "nod"
                ]
                sums += match_onsets(planted[clip, person], nods, NOD_WITHIN_S)
                elsewhere = planted[clips[(place + 1) % len(clips)], person]
                by_chance += match_onsets(elsewhere, nods, NOD_WITHIN_S)
        rows[name] = {
            "nods": int(sums[1]),
            "precision": sums[2] / max(sums[1], 1),
            "recall": sums[2] / sums[0],
            "F1": 2 * sums[2] / (sums[0] + sums[1]),
            "F1 by chance": 2 * by_chance[2] / (by_chance[0] + by_chance[1]),
        }
    return pd.DataFrame(rows).T.round(3)


def predicted(folder: Path) -> Callable[[str, int], HeadMotion]:
    return lambda clip, person: HeadMotion.load(folder / f"{clip}_speaker{person + 1}.npz")


def planted_nods(store: Store, clips: list[str], frames: int) -> dict[tuple[str, int], list[int]]:
    events = store.events
    nods = events[(events["kind"] == "nod") & (events["frame"] < frames)]
    return {
        (clip, person): nods.loc[(nods["clip"] == clip) & (nods["person"] == label), "frame"].tolist()
        for clip in clips
        for person, label in enumerate(PARTY)
    }


if __name__ == "__main__":
    main()
