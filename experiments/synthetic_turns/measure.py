"""Compare turn-taking statistics of a synthetic corpus with published values for conversation.

    python experiments/synthetic_turns/measure.py [STORE]

Without a store, one hour is generated first (seed 0, two workers) and its run time is printed.
"""

import argparse
import tempfile
import time
from pathlib import Path

from dualtalk.audio.turn_statistics import turn_statistics
from dualtalk.store import Store, open_store
from dualtalk.synthesis import synthesize

# LT Levinson & Torreira 2015; HE Heldner & Edlund 2010; S Switchboard, Stolcke et al. 2000; LF Lundholm Fors 2015;
# M Maraev et al. 2021, Switchboard.
PUBLISHED = {
    "floor-transfer offset, mode, ms": ("100 to 200", "LT"),
    "floor-transfer offset, median, ms": ("110 to 130", "HE"),
    "speaker changes that overlap, %": ("30; 40 to 42", "LT; HE"),
    "offsets below 200 ms, %": ("51 to 55", "HE"),
    "offsets shorter than 500 ms either way, %": ("70 to 82", "HE"),
    "speech that overlaps, %": ("below 5", "LT"),
    "backchannels a minute": ("5.1", "S"),
    "laughs a minute": ("about 1", "M"),
    "stretch of speech, mean, s": ("1.68", "LT"),
    "stretch of speech, median, s": ("1.23", "LT"),
    "pause inside a turn, median, ms": ("250 to 500", "LF"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.store:
        show(open_store(arguments.store))
        return
    with tempfile.TemporaryDirectory() as folder:
        start_s = time.perf_counter()
        synthesize(Path(folder) / "hour", hours=1.0, seed=0, workers=2)
        print(f"one hour generated in {time.perf_counter() - start_s:.0f} s with two workers\n")
        show(open_store(Path(folder) / "hour"))


def show(store: Store) -> None:
    seconds = float(store.manifest["seconds"].sum())
    found = turn_statistics(store.turns, seconds)
    laughs = sum(
        line[2] == "laugh"
        for clip in store.manifest["clip"]
        for line in store.details(clip)["provenance"]["lines"]
    )
    measured = {
        "floor-transfer offset, mode, ms": f"{1000 * found.offset_mode_s:.0f}",
        "floor-transfer offset, median, ms": f"{1000 * found.offset_median_s:.0f}",
        "speaker changes that overlap, %": f"{100 * found.overlapped:.0f}",
        "offsets below 200 ms, %": f"{100 * found.within_200ms:.0f}",
        "offsets shorter than 500 ms either way, %": f"{100 * found.within_500ms:.0f}",
        "speech that overlaps, %": f"{100 * found.overlap_share:.1f}",
        "backchannels a minute": f"{found.backchannels_per_minute:.1f}",
        "laughs a minute": f"{laughs / seconds * 60:.1f}",
        "stretch of speech, mean, s": f"{found.utterance_mean_s:.2f}",
        "stretch of speech, median, s": f"{found.utterance_median_s:.2f}",
        "pause inside a turn, median, ms": f"{1000 * found.pause_median_s:.0f}",
    }
    print(f"| {seconds / 3600:.1f} h of dialogue | synthetic | published | source |\n|---|---|---|---|")
    for name, value in measured.items():
        print(f"| {name} | {value} | {' | '.join(PUBLISHED[name])} |")


if __name__ == "__main__":
    main()
