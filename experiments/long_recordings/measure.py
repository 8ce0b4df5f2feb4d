"""Wall time by stage, peak memory and sizes of `dualtalk simulate` on recordings of several lengths.

Each run is a process of its own, so that its memory can be read. `--code` runs another version of the package,
such as a worktree of an earlier commit:

    python experiments/long_recordings/measure.py talk_1.m4a talk_10.m4a talk_60.m4a --no-video
    python experiments/long_recordings/measure.py talk_60.wav --code ../before
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE_INTERVAL_S = 0.2


def peak_memory_mb(process: subprocess.Popen) -> float:
    """Wait for `process`; the largest resident memory of it and its children together, in MB (Linux)."""
    peak_kb = 0
    while process.poll() is None:
        peak_kb = max(peak_kb, resident_kb(process.pid))
        time.sleep(SAMPLE_INTERVAL_S)
    return peak_kb / 1e3


def resident_kb(pid: int) -> int:
    """Resident memory of a process and of those that it started."""
    folder = Path("/proc") / str(pid)
    try:
        status = (folder / "status").read_text()
        children = [
            int(child) for task in (folder / "task").iterdir() for child in (task / "children").read_text().split()
        ]
    except OSError:
        return 0
    own = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
    return own + sum(map(resident_kb, children))


def run(recording: Path, options: list[str], code: Path) -> dict:
    """Simulate `recording` with the package in `code`; figures in seconds and MB."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = [sys.executable, "-m", "dualtalk.cli", "simulate", str(recording), "--out", str(out), *options]
        start_s, before = time.perf_counter(), os.times()
        process = subprocess.Popen(
            command, cwd=code, env={**os.environ, "PYTHONPATH": str(code)}, stdout=subprocess.DEVNULL
        )
        peak_mb = peak_memory_mb(process)
        wall_s, after = time.perf_counter() - start_s, os.times()
        figures = {
            "recording": recording.name,
            "options": options,
            "exit_status": process.returncode,
            "wall_s": round(wall_s, 1),
            "cpu_s": round(
                after.children_user + after.children_system - before.children_user - before.children_system, 1
            ),
            "peak_mb": round(peak_mb),
        }
        if process.returncode == 0:
            figures["stages_s"] = json.loads((out / "run.json").read_text())["timings_s"]
            figures["sizes_mb"] = {
                path.name: round(path.stat().st_size / 1e6, 2) for path in sorted(out.iterdir())
            }
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--code", type=Path, default=Path(__file__).parents[2], help="worktree whose package runs")
    arguments, options = parser.parse_known_args()
    for recording in arguments.recordings:
        print(json.dumps(run(recording.resolve(), options, arguments.code.resolve())), flush=True)


if __name__ == "__main__":
    main()
