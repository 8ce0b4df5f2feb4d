"""Speaker diarization of two people: one interface, an offline default, and pyannote.audio's pipelines.

    >>> annotate = load_diarizer("default")
    >>> annotate(audio).labels()
    ['a', 'b']

A diarizer takes 16 kHz mono audio and returns a `pyannote.core.Annotation` with the labels "a" and "b"; "a" speaks
first. With one speaker there is only the label "a"; without speech the annotation is empty. The label "third
voice" may mark the part of their speech that is likely a third person's.
"""

import os
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from pyannote.core import Annotation

from dualtalk.core import PARTY
from dualtalk.errors import SetupError
from dualtalk.io.given_files import check_diarizer
from dualtalk.timebase import AUDIO_RATE_HZ

# Label of the part of the two people's speech that is likely a third person's.
THIRD_VOICE = "third voice"


@runtime_checkable
class Diarizer(Protocol):
    """Maps 16 kHz mono audio (sample,) to an Annotation with the labels "a" and "b"."""

    def __call__(self, audio: Float32[np.ndarray, "sample"]) -> Annotation: ...


def load_diarizer(name: str | os.PathLike = "default", token: str | None = None) -> Diarizer:
    """Load a diarizer for two people.

    Parameters
    ----------
    name : str or path
        "default" for the bundled weights; otherwise the folder or `config.yaml` of a pyannote.audio pipeline, or
        its name on the Hugging Face hub, such as "pyannote/speaker-diarization-community-1".
    token : str, optional
        Hugging Face token, for a gated pipeline whose conditions the user has accepted.

    Raises
    ------
    SetupError
        The pipeline does not exist or cannot be loaded.
    """
    if str(name) == "default":
        # Deferred: it loads the network.
        from dualtalk.audio.default_diarizer import diarize_two_speakers

        return lambda audio: relabel_by_first_turn(diarize_two_speakers(audio))
    check_diarizer(name)
    from dualtalk.audio.third_party import Pipeline

    try:
        pipeline = Pipeline.from_pretrained(str(name), token=token)
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SetupError(
            f"cannot load a diarizer from {name} ({reason[0]}); wanted default, the path of a pipeline's "
            "config.yaml, or a hub name, which may need a token and its conditions accepted"
        ) from error
    if pipeline is None:
        raise SetupError(f"cannot load a diarizer from {name}; does it need a token, or its conditions accepted?")
    return PyannoteDiarizer(pipeline, num_speakers=2)


class PyannoteDiarizer:
    """A pyannote.audio pipeline with its labels mapped to "a" and "b".

    Parameters
    ----------
    pipeline : pyannote.audio.Pipeline
        Any callable that maps a waveform to an Annotation, or to an output with one as `speaker_diarization`.
    **options
        Passed to each call.
    """

    def __init__(self, pipeline: Any, **options: Any) -> None:
        self.pipeline = pipeline
        self.options = options

    def __call__(self, audio: Float32[np.ndarray, "sample"]) -> Annotation:
        if not audio.any():
            return Annotation()
        # Deferred: recordings with one person per channel need no diarizer.
        import torch

        file = {"waveform": torch.tensor(audio)[None], "sample_rate": AUDIO_RATE_HZ}
        output = self.pipeline(file, **self.options)
        return relabel_by_first_turn(getattr(output, "speaker_diarization", output))


def relabel_by_first_turn(annotation: Annotation) -> Annotation:
    """Rename the speakers to "a" and "b" in order of their first turn.

    Of more than two speakers, the two with the most speech are kept.
    """
    people = [label for label, _ in annotation.chart() if label != THIRD_VOICE]
    first_to_last = sorted(people[: len(PARTY)], key=lambda label: annotation.label_timeline(label).extent().start)
    ordered = Annotation()
    names = dict(zip(first_to_last, PARTY, strict=False))
    for label, name in {**names, THIRD_VOICE: THIRD_VOICE}.items():
        for track, span in enumerate(annotation.label_timeline(label).support()):
            ordered[span, f"{name}{track}"] = name
    return ordered
