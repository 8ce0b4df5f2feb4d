"""Measure the throughput of training windows, and whether memory grows with the corpus.

    python experiments/data_loading/measure.py STORE [LARGER_STORE ...]

Windows of 8 s of both people, batch size 16, shuffled, one worker, warm disk cache, from a store and from tar
shards. Each line is measured in its own process; memory is the peak of the reading process and of its worker.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dualtalk.data import write_shards
from dualtalk.data.module import ConversationData
from dualtalk.store import open_store

FRAMES, HOP, BATCH = 200, 50, 16
BATCHES, WARM_UP = 120, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="*")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.read:
        print(read(arguments.read, arguments.workers))
        return
    print(
        "| source | hours | windows per second | peak memory of the process, MB | of its worker, MB |",
        "|---|---|---|---|---|",
        sep="\n",
    )
    for store in arguments.stores:
        hours = open_store(store).manifest["seconds"].sum() / 3600
        with tempfile.TemporaryDirectory(dir=store.parent) as folder:
            write_shards(open_store(store), Path(folder) / "shards")
            for name, source in (("store", store), ("shards", Path(folder) / "shards")):
                command = [sys.executable, __file__, "--read", str(source), "--workers", str(arguments.workers)]
                subprocess.run(command, check=True, capture_output=True)
                line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
                print(f"| {name} | {hours:.1f} | {line} |")


def read(source: Path, workers: int) -> str:
    loader = ConversationData(source, FRAMES, HOP, batch_size=BATCH, num_workers=workers).train_dataloader()
    count, batches = 0, 0
    while batches < BATCHES:
        for batch in loader:
            batches += 1
            if batches == WARM_UP:
                start_s, count = time.perf_counter(), 0
            count += len(batch.clip)
            if batches == BATCHES:
                break
    rate = count / (time.perf_counter() - start_s)
    del loader, batch
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return f"{rate:.0f} | {peaks[0]:.0f} | {peaks[1]:.0f}"


if __name__ == "__main__":
    main()
