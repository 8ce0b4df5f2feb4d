"""Measure diarization error rates on real conversation and on flite dialogues, for each available diarizer.

    python experiments/diarization/measure.py [--diarizers default PIPELINE ...] [--tracks A.wav B.wav]

Two speakers, no collar, overlap scored. Needs flite (slt, rms, awb, kal16), which gives the time of each phoneme.
Pipelines of the hub need network access and HF_TOKEN; an unavailable pipeline prints its reason.
"""

import argparse
import os
import time
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from dualtalk.audio.diarization import Diarizer, load_diarizer
from dualtalk.audio.voice_activity import detect_speech
from dualtalk.errors import DualTalkError
from dualtalk.io.audio_file import read_wave
from dualtalk.io.rttm import read_rttm
from dualtalk.synthesis.voices import LEVEL_RMS, SpeakerVoice, SpokenLine, synthesize_speech
from dualtalk.timebase import AUDIO_RATE_HZ, sample_at

DIARIZERS = ("default", "pyannote/speaker-diarization-community-1", "pyannote/speaker-diarization-3.1")
VOICES = ("slt", "rms", "awb", "kal16")
SENTENCES = """Good morning, how are you doing today?
I think we should probably begin with the problem that came up before.
My mother bought a new lamp for the bedroom.
Maybe the bus will be on time for once.
Could you pass me the pepper, please?
He jumped over the pump and bumped his elbow.
It was about half past seven when the film stopped.
People often remember simple things from childhood.
She put the money in her purse and went home.
We have been working on the same paper since September.
That is a very important example, by the way.
The computer broke down and nobody could repair it.
I completely agree, but I would like some proof.
There must be a better place to park the bike.
Somebody left an apple and a banana on the table.
What happens if the number becomes too big?
Perhaps they will come back from Spain in spring.
I had a problem with my laptop battery yesterday.
Can you help me carry this box upstairs?
The company hopes to employ more people in May.""".splitlines()
# Gaps are positive, overlaps negative; with SAME_SPEAKER_PROBABILITY the same person speaks again.
EARLIEST_S, LATEST_S = -0.4, 0.8
SAME_SPEAKER_PROBABILITY = 0.15
LEVEL = 0.05
NOISE_RMS = 3e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--diarizers", nargs="+", default=DIARIZERS)
    parser.add_argument(
        "--tracks", type=Path, nargs=2, help="one wave file per person, which are mixed and diarized"
    )
    arguments = parser.parse_args()
    speech = {
        voice: synthesize_speech([(SpeakerVoice("flite", voice), text) for text in SENTENCES]) for voice in VOICES
    }
    for name in arguments.diarizers:
        print(f"{name}:")
        try:
            diarize = load_diarizer(name, os.environ.get("HF_TOKEN"))
        except DualTalkError as error:
            print(f"  not available: {error}")
            continue
        measure(diarize, speech, arguments.tracks)


def measure(diarize: Diarizer, speech: dict[str, list[SpokenLine]], tracks: list[Path] | None) -> None:
    sample = Path(find_spec("pyannote").submodule_search_locations[0]) / "audio" / "sample" / "sample.wav"
    report("pyannote's sample", diarize, read_wave(sample)[0], read_rttm(sample.with_suffix(".rttm")))
    if tracks:
        report("two tracks, mixed", diarize, *mixed([read_wave(path)[0] for path in tracks]))
    rng = np.random.default_rng(5)
    rates = []
    for one, other in combinations(VOICES, 2):
        rates.append(report(f"flite {one} and {other}", diarize, *dialogue(speech[one], speech[other], rng)))
    print(f"  flite, mean: {np.mean(rates):.1%}")
    for voice in VOICES:
        alone = diarize(np.concatenate([LEVEL / LEVEL_RMS * sentence.audio for sentence in speech[voice]]))
        print(f"  {voice} alone: {len(alone.labels())} speakers found")


def report(name: str, diarize: Diarizer, audio: np.ndarray, truth: Annotation) -> float:
    began_s = time.perf_counter()
    found = diarize(audio)
    taken_s = time.perf_counter() - began_s
    duration_s = len(audio) / AUDIO_RATE_HZ
    parts = DiarizationErrorRate(collar=0.0, skip_overlap=False)(
        truth, found, uem=Timeline([Segment(0, duration_s)]), detailed=True
    )
    rate = parts["diarization error rate"]
    shares = ", ".join(
        f"{part} {parts[part] / parts['total']:.1%}" for part in ("confusion", "missed detection", "false alarm")
    )
    print(f"  {name}: DER {rate:.1%} ({shares}), real-time factor {taken_s / duration_s:.3f}")
    return rate


def dialogue(
    one: list[SpokenLine], other: list[SpokenLine], rng: np.random.Generator
) -> tuple[np.ndarray, Annotation]:
    """Alternating sentences with gaps and overlaps, plus faint white noise."""
    audio = np.zeros(sample_at(120), np.float32)
    truth, start_s = Annotation(), 0.5
    for turn, sentence in enumerate(rng.permutation(len(SENTENCES))):
        person = (turn + (rng.random() < SAME_SPEAKER_PROBABILITY)) % 2
        spoken = (one, other)[person][sentence]
        sounds = spoken.speech.support(0.1)
        audio[sample_at(start_s) :][: len(spoken.audio)] += LEVEL / LEVEL_RMS * spoken.audio
        for span in sounds:
            truth[Segment(start_s + span.start, start_s + span.end), turn] = person
        start_s += sounds.extent().end + rng.uniform(EARLIEST_S, LATEST_S) - sounds.extent().start
    audio = audio[: sample_at(start_s + 1)]
    return audio + NOISE_RMS * rng.standard_normal(len(audio)).astype(np.float32), truth


def mixed(tracks: list[np.ndarray]) -> tuple[np.ndarray, Annotation]:
    """The sum of two tracks; the ground truth is the voice activity of each track alone."""
    samples = min(len(track) for track in tracks)
    truth = Annotation()
    for person, track in enumerate(tracks):
        for span in detect_speech(track[:samples]):
            truth[span, person] = person
    return tracks[0][:samples] + tracks[1][:samples], truth


if __name__ == "__main__":
    main()
