"""pyannote.audio and torchaudio, imported here and nowhere else.

pyannote.audio reports each use over the network unless it is told not to before it is imported; recordings of
private talk are nobody's business, so it is told. torchaudio's compiled part is often built for another torch
(a CUDA one beside a CPU torch) and then fails to load; nothing here needs it, so where the real one fails, a
stand-in says that there is none, and torchaudio runs as plain Python. Import this module before anything
that imports either (transformers imports torchaudio).
"""

import os
import sys
from types import ModuleType


def ready_torchaudio() -> None:
    """Make `import torchaudio` work whether or not its compiled part loads."""
    try:
        import torchaudio  # noqa: F401
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _no_extension()


def _no_extension() -> ModuleType:
    """What torchaudio's Python files ask of `torchaudio._extension`, when it was built without one."""
    module = ModuleType("torchaudio._extension", "No compiled part.")
    module._IS_TORCHAUDIO_EXT_AVAILABLE = False
    module.fail_if_no_align = lambda function: function
    return module


os.environ["PYANNOTE_METRICS_ENABLED"] = "false"
ready_torchaudio()

from pyannote.audio import Inference, Model, Pipeline  # noqa: E402
from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: E402
from pyannote.audio.pipelines.clustering import KMeansClustering  # noqa: E402
from torchaudio.functional import melscale_fbanks  # noqa: E402
from torchaudio.transforms import GriffinLim, MelSpectrogram  # noqa: E402

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
