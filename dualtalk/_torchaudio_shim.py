"""Makes `import torchaudio` work whether or not its compiled extension loads.

The extension is often built for another torch (a CUDA build beside a CPU torch) and then fails to load. Nothing
here needs it: without an extension torchaudio runs as plain Python. pyannote.audio and transformers import
torchaudio, so the two `third_party` modules call `ready_torchaudio` before they import those packages.
"""

import sys
from types import ModuleType


def ready_torchaudio() -> None:
    """Import torchaudio; if its extension fails to load, replace the extension by an empty module.

    Repeated calls do nothing.
    """
    try:
        import torchaudio  # noqa: F401
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _no_extension()


def _no_extension() -> ModuleType:
    """A substitute for `torchaudio._extension`, with the names of a torchaudio build without an extension."""
    module = ModuleType("torchaudio._extension", "No compiled extension.")
    vars(module).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function)
    return module
