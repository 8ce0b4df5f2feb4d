"""torchaudio made importable whether or not its compiled part loads.

That part is often built for another torch (a CUDA one beside a CPU torch) and then fails to load; nothing here
needs it, so where the real one fails, a stand-in says that there is none, and torchaudio runs as plain Python.
Import this module before anything that imports torchaudio: pyannote.audio and transformers both do.
"""

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


ready_torchaudio()
