"""Measure run time and memory of an evaluation, and what sharing work between metrics saves.

Run: python experiments/evaluation_speed/run.py [--pairs 533] [--frames 750] [--space flame]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyannote.core import Annotation, Segment
from scipy.linalg import LinAlgWarning, sqrtm
from scipy.ndimage import gaussian_filter1d
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.io.rttm import write_rttm
from dualtalk.metrics.dualtalk_benchmark import CLUSTERS, Benchmark
from dualtalk.parallel import WorkerPool
from dualtalk.timebase import MOTION_FPS

PARTS = {part: DUALTALK56.slice_of(part) for part in CLUSTERS}
# Pairs measured by the plain loop, which is far too slow for all.
LOOPED_PAIRS = 10


def smooth(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(frame, 56) random motion with the smoothness and amplitude of human motion."""
    motion = gaussian_filter1d(rng.standard_normal((frames, DUALTALK56.width)), 4, axis=0) * 3.8
    motion[:, PARTS["jaw"]] *= 0.05
    motion[:, PARTS["head"]] *= 0.1
    return (0.3 * motion).astype(np.float32)


def turns(rng: np.random.Generator, duration_s: float) -> Annotation:
    """People who take turns of 1 to 4 s."""
    spoken, start_s, speaker = Annotation(uri="talk"), 0.3, 0
    while start_s < duration_s - 1:
        end_s = min(start_s + rng.uniform(1, 4), duration_s)
        spoken[Segment(start_s, end_s), start_s] = "ab"[speaker]
        start_s, speaker = end_s + rng.uniform(-0.3, 0.6), 1 - speaker
    return spoken


def write_folders(root: Path, pairs: int, frames: int, space: str) -> None:
    """A reference in the published layout, with turns in place of audio, and one system's predictions."""
    rng = np.random.default_rng(0)
    for name in ("reference", "predicted"):
        (root / name).mkdir()
    for pair in range(pairs):
        clip = f"talk{pair:04d}"
        write_rttm(root / "reference" / f"{clip}.rttm", turns(rng, frames / MOTION_FPS))
        for number in (1, 2):
            own = smooth(rng, frames)
            HeadMotion(own, space, DUALTALK56).save(root / "reference" / f"{clip}_speaker{number}.npz")
            np.save(root / "predicted" / f"{clip}_speaker{number}.npy", own + 0.4 * smooth(rng, frames))


def plain_figures(reference: np.ndarray, prediction: np.ndarray, partner: np.ndarray) -> dict:
    """The benchmark metrics, each computed by its definition."""
    figures = {}
    for part, columns in PARTS.items():
        own, made, other = (motion[:, columns].astype(np.float64) for motion in (reference, prediction, partner))
        step = (np.diff(own, axis=0) - np.diff(made, axis=0)) ** 2 / 0.1
        rng = np.random.default_rng(0)
        draws = [rng.choice(len(made), 100, replace=False) for _ in range(2)]
        figures[part] = (
            plain_distance(own, made),
            plain_distance(np.hstack([other, own]), np.hstack([other, made])),
            ((own - made) ** 2).mean(),
            plain_entropy(own, made, CLUSTERS[part]),
            plain_entropy(made, own, CLUSTERS[part]),
            plain_entropy(own, own, CLUSTERS[part]),
            abs(plain_r(own, other) - plain_r(made, other)),
            np.sqrt(step.sum()),
            (made.var(axis=0).mean(), own.var(axis=0).mean()),
            np.linalg.norm(made[draws[0]] - made[draws[1]], axis=1).mean(),
        )
    return figures


def plain_distance(one: np.ndarray, two: np.ndarray) -> float:
    shift, a, b = one.mean(axis=0) - two.mean(axis=0), np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = sqrtm(a @ b)
    if not np.isfinite(root).all():
        offset = 1e-6 * np.eye(len(a))
        root = sqrtm((a + offset) @ (b + offset))
    return float(shift @ shift + np.trace(a) + np.trace(b) - 2 * np.trace(root.real))


def plain_entropy(fitted: np.ndarray, counted: np.ndarray, clusters: int) -> float:
    labels = KMeans(n_clusters=clusters, n_init="auto", random_state=0).fit(fitted).predict(counted)
    share = np.bincount(labels, minlength=clusters) / len(counted)
    return float(-(share * np.log2(share + 1e-6)).sum())


def plain_r(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


def timed(work: Callable[[], object]) -> float:
    """CPU seconds, which other load on the machine affects less than wall time."""
    start_s = time.process_time()
    work()
    return time.process_time() - start_s


def compare_loops(frames: int) -> None:
    """CPU time of the benchmark metrics of one system, per person and clip, without and with baselines.

    With two parallel workers that share the people, it is the CPU time of the busier one, which equals wall time
    if both cores are free.
    """
    people = 2 * LOOPED_PAIRS
    for name, baselines in (("one system", False), ("one system and six baselines", True)):
        whole = Share(0, people, frames, baselines)
        with threadpool_limits(1):
            plain, ours = (min(work(whole) for _ in range(2)) for work in (plain_loop, shared_work))
        halves = [Share(first, people // 2, frames, baselines) for first in (0, people // 2)]
        with WorkerPool(2) as pool:
            both = min(max(pool.map(shared_work, halves)) for _ in range(3))
        plain, ours, both = (1000 * seconds / people for seconds in (plain, ours, both))
        print(f"| {name} | plain {plain:.0f} ms | ours {ours:.0f} ms | {plain / ours:.1f} times |", flush=True)
        print(
            f"| {name} | plain {plain:.0f} ms | two workers {both:.0f} ms | {plain / both:.1f} times |", flush=True
        )
    print()


@dataclass(frozen=True)
class Share:
    """People to measure: `count` from number `first`, with `frames` frames, with or without baselines."""

    first: int
    count: int
    frames: int
    baselines: bool

    def people(self) -> list[tuple[np.ndarray, np.ndarray, list[tuple]]]:
        """Reference, partner, and predictions with their partners."""
        made = []
        for number in range(self.first, self.first + self.count):
            rng = np.random.default_rng(number)
            reference, partner, *others = (smooth(rng, self.frames) for _ in range(5))
            make = with_baselines if self.baselines else alone
            made.append((reference, partner, make(reference, partner, *others)))
        return made


def plain_loop(share: Share) -> float:
    """CPU seconds."""
    people = share.people()

    def work() -> None:
        for reference, _, predictions in people:
            for prediction, other in predictions:
                plain_figures(reference, prediction, other)

    with warnings.catch_warnings():
        # The plain loop computes forty clusters and a covariance root of a static pose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        return timed(work)


def shared_work(share: Share) -> float:
    """CPU seconds."""
    people = share.people()

    def work() -> None:
        for reference, partner, predictions in people:
            benchmark = Benchmark(reference, partner)
            for prediction, other in predictions:
                benchmark.metrics(prediction, None if other is partner else other)

    return timed(work)


def alone(reference: np.ndarray, partner: np.ndarray, made: np.ndarray, *_: np.ndarray) -> list[tuple]:
    return [(made, partner)]


def with_baselines(
    reference: np.ndarray, partner: np.ndarray, made: np.ndarray, foreign: np.ndarray, pose: np.ndarray
) -> list[tuple]:
    """Predictions with their partners: the reference and the other baselines."""
    still = [np.broadcast_to(one, reference.shape).copy() for one in (pose[0], reference.mean(axis=0))]
    own_partner = [(one, partner) for one in (made, reference, *still, foreign, partner)]
    return [*own_partner, (reference, foreign)]


def time_command(root: Path, workers: int) -> tuple[float, float, float]:
    """Wall seconds of the command, CPU seconds of all its processes, and the peak memory of the largest, MB."""
    out = root / f"out{workers}"
    folders = [root / "predicted", "--reference", root / "reference", "--out", out]
    command = [sys.executable, "-m", "dualtalk.cli", "evaluate", *map(str, folders), "--workers", str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak_kb, start_s, before_s = 0, time.perf_counter(), children_s()
    while process.poll() is None:
        peak_kb = max([peak_kb, *map(resident_kb, family(process.pid))])
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"the command failed with {process.returncode}")
    return time.perf_counter() - start_s, children_s() - before_s, peak_kb / 1024


def children_s() -> float:
    """CPU seconds of finished child processes and their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def family(pid: int) -> list[int]:
    """A process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *map(int, children)]


def resident_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, nargs="+", default=[533])
    options.add_argument("--frames", type=int, default=750)
    options.add_argument("--space", default="flame")
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options.add_argument("--no-loop", action="store_true", help="skip the plain loop")
    asked = options.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {asked.frames} frames, space {asked.space}\n")
    if not asked.no_loop:
        compare_loops(asked.frames)
    for pairs in asked.pairs:
        with tempfile.TemporaryDirectory() as folder:
            write_folders(Path(folder), pairs, asked.frames, asked.space)
            for workers in asked.workers:
                seconds, processor_s, peak_mb = time_command(Path(folder), workers)
                took = f"{seconds:.0f} s | {processor_s:.0f} s CPU | {peak_mb:.0f} MB"
                print(f"| {pairs} pairs | {workers} workers | {took} |", flush=True)


if __name__ == "__main__":
    main()
