"""transformers, imported here and nowhere else; torchaudio, which it imports, is made ready first."""

import dualtalk._torchaudio_shim  # noqa: F401

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, Wav2Vec2Config, Wav2Vec2Model  # isort: skip
from transformers.utils.logging import disable_progress_bar

# It draws one for every file it reads, on terminals and in logs alike.
disable_progress_bar()

__all__ = ["AutoConfig", "AutoFeatureExtractor", "AutoModel", "Wav2Vec2Config", "Wav2Vec2Model"]
