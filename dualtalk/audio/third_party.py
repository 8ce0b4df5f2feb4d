"""pyannote.audio and torchaudio, imported here and nowhere else.

pyannote.audio reports each use over the network unless it is told not to before it is imported; recordings of
private talk are nobody's business, so it is told. It warns at length where torchcodec finds no FFmpeg to decode
files with; here it is only ever given samples. torchaudio is made ready first, since pyannote imports it.
"""

import os
import warnings

import dualtalk._torchaudio_shim  # noqa: F401

os.environ["PYANNOTE_METRICS_ENABLED"] = "false"

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"\s*torchcodec is not installed correctly", category=UserWarning)
    from pyannote.audio import Inference, Model, Pipeline
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.pipelines.clustering import KMeansClustering
from torchaudio.functional import melscale_fbanks
from torchaudio.transforms import GriffinLim, MelSpectrogram

__all__ = [
    "GriffinLim",
    "Inference",
    "KMeansClustering",
    "MelSpectrogram",
    "Model",
    "Pipeline",
    "Problem",
    "Resolution",
    "Specifications",
    "melscale_fbanks",
]
