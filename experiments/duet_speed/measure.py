"""How fast duet moves two people, and how much memory it takes, beside the published network at full size.

    python experiments/duet_speed/measure.py [--model MODEL.safetensors] [--seconds 30] [--reference]

Without a model, the shipped config's sizes with random weights: speed does not depend on them. Closed loop, both
people, audio features included, and single steps, on one thread; start-up is a new process to its first frame. Run
with nothing else on the machine.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import torch

from dualtalk.models.checkpoint import load_model
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.interface import SAMPLES_PER_FRAME, ConversationModel, Frame, roll_out

FPS = 25
WARM_UP_STEPS = 300
ROUNDS = 5
# From nothing to the first frame of both people.
FIRST_FRAME = """
import torch
from dualtalk.models.checkpoint import load_model
from dualtalk.models.interface import SAMPLES_PER_FRAME, Frame

model = load_model("default").model
ahead, frame = (torch.zeros(1, 2, frames * SAMPLES_PER_FRAME) for frames in (model.look_ahead_frames, 1))
noise = torch.randn(1, 2, model.coefficients)
model.step(model.start(ahead), Frame(frame, torch.zeros(1, 2, model.coefficients), noise))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--reference", action="store_true", help="time the published network too (3.4 GB)")
    parser.add_argument("--peak", type=int, metavar="MINUTES", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model = load_model(arguments.model).model if arguments.model else Duet(DuetConfig()).eval()
    with torch.inference_mode():
        if arguments.peak:
            print(peak_mb(model, arguments.peak))
            return
        closed_loop(model, arguments.seconds)
        steps(model)
        start_up()
        memory(arguments.model)
        if arguments.reference:
            reference(arguments.seconds)


def noise_talk(seconds: float) -> torch.Tensor:
    samples = round(seconds * FPS) * SAMPLES_PER_FRAME
    return 0.1 * torch.randn(1, 2, samples, generator=torch.Generator().manual_seed(0))


def closed_loop(model: ConversationModel, seconds: int) -> None:
    torch.set_num_threads(1)
    audio = noise_talk(seconds)
    for name, noise in (("mean", None), ("sample", torch.randn(1, 2, seconds * FPS, model.coefficients))):
        roll_out(
            model,
            audio[..., : 2 * FPS * SAMPLES_PER_FRAME],
            noise=None if noise is None else noise[:, :, : 2 * FPS],
        )
        began_s = time.perf_counter()
        for _ in range(ROUNDS):
            roll_out(model, audio, noise=noise)
        taken_s = (time.perf_counter() - began_s) / ROUNDS
        print(f"closed loop, {name}: {taken_s / seconds:.4f} times real time ({seconds} s, one thread)")


def steps(model: ConversationModel) -> None:
    torch.set_num_threads(1)
    audio = noise_talk(80)
    ahead = model.look_ahead_frames * SAMPLES_PER_FRAME
    state, before = model.start(audio[..., :ahead]), torch.zeros(1, 2, model.coefficients)
    noise, taken_ms = torch.randn(1, 2, model.coefficients), []
    for sound in audio[..., ahead:].split(SAMPLES_PER_FRAME, dim=-1):
        began_s = time.perf_counter()
        before, state = model.step(state, Frame(sound, before, noise))
        taken_ms.append(1000 * (time.perf_counter() - began_s))
    kept = np.array(taken_ms[WARM_UP_STEPS:])
    median, p99 = np.percentile(kept, [50, 99])
    print(f"a step for both people, sample, one thread: median {median:.1f} ms, p99 {p99:.1f} ms")


def start_up() -> None:
    taken_s = []
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST_FRAME], check=True)
        taken_s.append(time.perf_counter() - began_s)
    print(f"start-up to the first frame, the shipped model: {np.median(taken_s):.1f} s (files read before)")


def memory(model: str | None) -> None:
    peaks = []
    for minutes in (1, 60):
        command = [sys.executable, __file__, "--peak", str(minutes), *(("--model", model) if model else ())]
        peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(f"peak memory, streamed: {peaks[0]:.0f} MB for 1 minute, {peaks[1]:.0f} MB for 60")


def peak_mb(model: ConversationModel, minutes: int) -> float:
    """Of this process, after streaming so much; the audio is made as it goes and the motion is not kept."""
    torch.set_num_threads(1)
    numbers = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(1, 2, SAMPLES_PER_FRAME, generator=numbers)
    state = model.start(sound.repeat(1, 1, model.look_ahead_frames))
    before = torch.zeros(1, 2, model.coefficients)
    for _ in range(minutes * 60 * FPS):
        before, state = model.step(state, Frame(sound, before))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def reference(seconds: int) -> None:
    from dualtalk.models.dualtalk import DualTalk, DualTalkConfig

    torch.set_num_threads(2)
    model = DualTalk(DualTalkConfig()).eval()
    audio, motion = noise_talk(seconds), torch.zeros(1, 2, seconds * FPS, model.coefficients)
    began_s = time.perf_counter()
    model(audio, motion)
    ratio = (time.perf_counter() - began_s) / seconds
    print(f"published network at full size, both people: {ratio:.2f} times real time (two threads)")


if __name__ == "__main__":
    main()
