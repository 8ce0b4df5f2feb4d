"""Imports of pyannote.audio and torchaudio for this package; no other module of it imports them.

Importing pyannote.audio needs preparation, which `_prepared` does.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from dualtalk._torchaudio_shim import ready_torchaudio


@contextmanager
def _prepared() -> Iterator[None]:
    """Prepare for the import of pyannote.audio.

    - It imports torchaudio, whose extension may fail to load.
    - It reports every use over the network unless an environment variable disables that before the import. Private
      recordings must not cause network traffic, so the variable is set.
    - It warns at length if torchcodec finds no FFmpeg to decode files with. Here it only gets decoded samples.
    """
    ready_torchaudio()
    os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"\s*torchcodec is not installed correctly", category=UserWarning
        )
        yield


with _prepared():
    from pyannote.audio import Pipeline
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from torchaudio.functional import melscale_fbanks
    from torchaudio.transforms import GriffinLim

__all__ = ["GriffinLim", "Pipeline", "Problem", "Resolution", "Specifications", "melscale_fbanks"]
