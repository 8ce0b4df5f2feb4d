"""Packages that need preparation, imported here and nowhere else in the models.

transformers imports torchaudio, which needs the shim before it. Loading takes long, so this module is imported
where a speech encoder is built.
"""

from dualtalk._torchaudio_shim import ready_torchaudio

# transformers imports torchaudio.
ready_torchaudio()

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, Wav2Vec2Config, Wav2Vec2Model  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

# transformers draws a progress bar for every file it reads, on terminals and in logs alike.
disable_progress_bar()

__all__ = ["AutoConfig", "AutoFeatureExtractor", "AutoModel", "Wav2Vec2Config", "Wav2Vec2Model"]
