"""Packages that need preparation, imported here and nowhere else in the models.

transformers imports torchaudio, which needs the shim before it. Loading takes long, so this module is imported
where a speech encoder is built.
"""

import dualtalk._torchaudio_shim  # noqa: F401

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, Wav2Vec2Config, Wav2Vec2Model  # isort: skip
from transformers.utils.logging import disable_progress_bar

# transformers draws a progress bar for every file it reads, on terminals and in logs alike.
disable_progress_bar()

__all__ = ["AutoConfig", "AutoFeatureExtractor", "AutoModel", "Wav2Vec2Config", "Wav2Vec2Model"]
