"""Measure inference speed and memory of duet, compared with the published network at full size.

    python experiments/duet_speed/measure.py [--model MODEL.safetensors] [--seconds 30 300] [--reference]
    python experiments/duet_speed/measure.py --gpu

Closed loop of both people, audio features included, as `dualtalk simulate` runs it: samples on one thread, the
mean on one and on all threads; single steps on one thread; start-up of a new process to its first frame. The input
repeats the sample recording of pyannote.audio; the second person's copy is shifted by half its length. Run it on
an idle machine. With `--gpu`: single steps of one pair, and closed loops of many pairs in one batch.
"""

import argparse
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from dualtalk.io.audio_file import read_wave
from dualtalk.models.checkpoint import load_model
from dualtalk.models.interface import ConversationModel, Frame, roll_out
from dualtalk.timebase import MOTION_FPS, SAMPLES_PER_FRAME

WARM_UP_STEPS = 300
ROUNDS = 5
PAIRS, PAIRS_SECONDS = (1, 64, 512), 20
# From process start to the first frame of both people.
FIRST_FRAME = """
import torch
from dualtalk.models.checkpoint import load_model
from dualtalk.models.interface import Frame
from dualtalk.timebase import SAMPLES_PER_FRAME

model = load_model("default").model
ahead, frame = (torch.zeros(1, 2, frames * SAMPLES_PER_FRAME) for frames in (model.lookahead_frames, 1))
noise = torch.randn(1, 2, model.motion_dim)
model.step(model.start(ahead), Frame(frame, torch.zeros(1, 2, model.motion_dim), noise))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--seconds", type=int, nargs="+", default=[30])
    parser.add_argument("--reference", action="store_true", help="time the published network too (3.4 GB)")
    parser.add_argument("--gpu", action="store_true", help="measure on the GPU only")
    parser.add_argument("--peak", type=int, metavar="MINUTES", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model = load_model(arguments.model).model
    with torch.inference_mode():
        if arguments.peak:
            print(peak_mb(model, arguments.peak))
            return
        if arguments.gpu:
            on_gpu(model.cuda())
            return
        for seconds in arguments.seconds:
            taken = closed_loop(model, seconds)
            if arguments.reference:
                reference(seconds, taken)
        steps(model)
        start_up()
        memory(arguments.model)


def conversation_audio(seconds: float) -> torch.Tensor:
    package = Path(find_spec("pyannote").submodule_search_locations[0])
    audio = torch.from_numpy(read_wave(package / "audio" / "sample" / "sample.wav")[0])
    samples = round(seconds * MOTION_FPS) * SAMPLES_PER_FRAME
    again = audio.repeat(2 + samples // len(audio))
    return torch.stack([again[:samples], again[len(audio) // 2 :][:samples]])[None]


def closed_loop(model: ConversationModel, seconds: int) -> dict[str, float]:
    """Run time as a multiple of real time, by mode."""
    audio, warm_up, found = conversation_audio(seconds), 2 * MOTION_FPS, {}
    rounds = max(ROUNDS * 30 // seconds, 1)
    for name, threads, noise in (
        ("mean", 1, None),
        ("mean", os.cpu_count(), None),
        ("sample", 1, torch.randn(1, 2, seconds * MOTION_FPS, model.motion_dim)),
    ):
        torch.set_num_threads(threads)
        first = None if noise is None else noise[:, :, :warm_up]
        roll_out(model, audio[..., : warm_up * SAMPLES_PER_FRAME], noise=first)
        began_s = time.perf_counter()
        for _ in range(rounds):
            roll_out(model, audio, noise=noise)
        found[name] = (time.perf_counter() - began_s) / rounds / seconds
        print(f"closed loop of {seconds} s, {name}, {threads} threads: {found[name]:.4f} times real time")
    return found


def steps(model: ConversationModel) -> None:
    torch.set_num_threads(1)
    median, p99 = np.percentile(steps_ms(model, conversation_audio(80)), [50, 99])
    print(f"a step for both people, sample, one thread: median {median:.1f} ms, p99 {p99:.1f} ms")


def steps_ms(model: ConversationModel, audio: torch.Tensor) -> np.ndarray:
    """Time of each sampling step from audio in memory to motion in memory, once the KV cache is full."""
    device = model.explained_variance.device
    ahead = model.lookahead_frames * SAMPLES_PER_FRAME
    state = model.start(audio[..., :ahead].to(device))
    before, noise = (torch.zeros(1, 2, model.motion_dim, device=device) for _ in range(2))
    taken_ms = []
    for sound in audio[..., ahead:].split(SAMPLES_PER_FRAME, dim=-1):
        noise.normal_()
        began_s = time.perf_counter()
        before, state = model.step(state, Frame(sound.to(device), before, noise))
        before.cpu()
        taken_ms.append(1000 * (time.perf_counter() - began_s))
    return np.array(taken_ms[WARM_UP_STEPS:])


def on_gpu(model: ConversationModel) -> None:
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    median, p99 = np.percentile(steps_ms(model, conversation_audio(80)), [50, 99])
    print(f"a step for both people, sample: median {median:.1f} ms, p99 {p99:.1f} ms")
    for pairs in PAIRS:
        audio = conversation_audio(PAIRS_SECONDS).cuda().repeat(pairs, 1, 1)
        frames = PAIRS_SECONDS * MOTION_FPS
        for name, noise in (
            ("mean", None),
            ("sample", torch.randn(pairs, 2, frames, model.motion_dim, device="cuda")),
        ):
            # The first iteration warms up.
            for _ in range(2):
                torch.cuda.synchronize()
                began_s = time.perf_counter()
                roll_out(model, audio, noise=noise)
                torch.cuda.synchronize()
                taken_s = time.perf_counter() - began_s
            print(
                f"closed loop of {PAIRS_SECONDS} s, {name}, {pairs} pairs in one batch: {taken_s:.2f} s, "
                f"{pairs * PAIRS_SECONDS / taken_s:.0f} s of conversation per second"
            )


def start_up() -> None:
    taken_s = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST_FRAME], check=True)
        taken_s.append(time.perf_counter() - began_s)
    print(f"start-up to the first frame, the bundled model: {np.median(taken_s):.1f} s (warm disk cache)")


def memory(model: str) -> None:
    peaks = []
    for minutes in (1, 60):
        command = [sys.executable, __file__, "--peak", str(minutes), "--model", model]
        peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(f"peak memory, streamed: {peaks[0]:.0f} MB for 1 minute, {peaks[1]:.0f} MB for 60")


def peak_mb(model: ConversationModel, minutes: int) -> float:
    """Peak memory of this process after streaming generated audio; the motion is not kept."""
    torch.set_num_threads(1)
    numbers = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(1, 2, SAMPLES_PER_FRAME, generator=numbers)
    state = model.start(sound.repeat(1, 1, model.lookahead_frames))
    before = torch.zeros(1, 2, model.motion_dim)
    for _ in range(minutes * 60 * MOTION_FPS):
        noise = torch.randn(before.shape, generator=numbers)
        before, state = model.step(state, Frame(sound, before, noise))
    # Of this program alone: `resource` includes the peak of the parent before exec.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def reference(seconds: int, taken: dict[str, float]) -> None:
    from dualtalk.models.peng2025 import Peng2025, Peng2025Config

    threads = os.cpu_count()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = Peng2025(Peng2025Config()).eval()
    audio, motion = conversation_audio(seconds), torch.zeros(1, 2, seconds * MOTION_FPS, model.motion_dim)
    began_s = time.perf_counter()
    model(audio, motion)
    ratio = (time.perf_counter() - began_s) / seconds
    beside = ", ".join(f"{ratio / one:.0f} times duet's {name}" for name, one in taken.items())
    print(f"published network at full size, {seconds} s, {threads} threads: {ratio:.2f} times real time; {beside}")


if __name__ == "__main__":
    main()
