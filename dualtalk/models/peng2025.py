"""DualTalk (Peng et al. 2025; CVPR 2025, arXiv 2505.18096): one person's motion from the audio of both people and
the partner's motion. Written from the paper and the keys of its released checkpoint, whose weights load here.

Two speech encoders encode the two audio streams. Cross-attention without positions aligns the partner's motion
with the partner's audio, an unmasked transformer combines both people, and a decoder of one layer predicts the
motion. The network is therefore not causal, needs the partner's motion to the end, is deterministic, and does not
use the past motion of the person that it animates. Module names are the checkpoint's.
"""

import json
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import (
    AudioEncoder,
    freeze_mask_embedding,
    normalize_audio,
    pad_to_frames,
    resample_features,
)
from dualtalk.models.blocks import Normalizer
from dualtalk.models.interface import ConversationModel, require_fit
from dualtalk.timebase import SAMPLES_PER_FRAME

# Sizes of facebook/wav2vec2-large-960h-lv60-self, where it differs from transformers' defaults.
WAV2VEC2_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
}
# Names of the two halves of a normalized weight in checkpoints from before torch's parametrizations.
OLDER_NAMES = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
# Prefix of every name after training on several devices.
PARALLEL_PREFIX = "module."
MODULATION = 0.1


@dataclass(frozen=True)
class Peng2025Config:
    """Sizes of the network; the defaults are those of the released checkpoint."""

    feature_dim: int = 256
    """Width of audio and motion features; features of both people have twice that."""

    motion_dim: int = 56
    """Width of a motion vector: 50 expression coefficients, jaw, head."""

    heads: int = 4
    """Heads of every attention after the speech encoders."""

    interaction_layers: int = 3
    """Transformer layers that combine both people."""

    hidden_dim: int = 2048
    """Width of the feed-forward layers of the transformer and of the decoder."""

    dropout: float = 0.5
    """Probability with which activations of the interaction module are dropped in training."""

    normalize_motion: bool = False
    """Whether motion is normalized with statistics from `Peng2025.fit`. The published network does not normalize;
    trained on angles and expression together it then learns the expression alone."""

    wav2vec2: Mapping[str, Any] = field(default_factory=lambda: dict(WAV2VEC2_LARGE))
    """Arguments of transformers' Wav2Vec2Config, for both speech encoders; unused with other audio encoders."""


class JointEncoder(nn.Module):
    """Audio of both people and the partner's motion as features of one width."""

    def __init__(self, config: Peng2025Config, audio_encoders: tuple[AudioEncoder, AudioEncoder] | None) -> None:
        super().__init__()
        self.audio_encoder1, self.audio_encoder2 = audio_encoders or (_wav2vec2(config), _wav2vec2(config))
        widths = {_width(encoder) for encoder in (self.audio_encoder1, self.audio_encoder2)}
        if len(widths) != 1:
            raise InputError(
                f"audio encoders have {sorted(widths)} features; wanted equal widths for the shared projection"
            )
        self.audio_projection = nn.Linear(widths.pop(), config.feature_dim)
        self.blendshape_encoder = nn.Sequential(
            nn.Linear(config.motion_dim, config.feature_dim // 2),
            nn.ReLU(),
            nn.Linear(config.feature_dim // 2, config.feature_dim),
            nn.ReLU(),
        )

    def forward(
        self,
        own_audio: Float[Tensor, "batch sample"],
        partner_audio: Float[Tensor, "batch sample2"],
        partner_motion: Float[Tensor, "batch frame2 coef"],
        frames: int,
    ) -> tuple[
        Float[Tensor, "batch frame feature"],
        Float[Tensor, "batch frame feature"],
        Float[Tensor, "batch frame2 feature"],
    ]:
        own, partner = (
            self.audio_projection(_encode(encoder, audio, frames))
            for encoder, audio in ((self.audio_encoder1, own_audio), (self.audio_encoder2, partner_audio))
        )
        return own, partner, self.blendshape_encoder(partner_motion)


class TemporalEnhancer(nn.Module):
    """Cross-attention from the partner's audio to the partner's motion, then a bidirectional LSTM."""

    def __init__(self, config: Peng2025Config) -> None:
        super().__init__()
        width = config.feature_dim
        self.cross_attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.temporal_lstm = nn.LSTM(width, width // 2, num_layers=2, batch_first=True, bidirectional=True)

    def forward(
        self, audio: Float[Tensor, "batch frame feature"], motion: Float[Tensor, "batch frame2 feature"]
    ) -> Float[Tensor, "batch frame feature"]:
        attended, _ = self.cross_attention(audio, motion, motion, need_weights=False)
        return self.temporal_lstm(attended)[0]


class InteractionModule(nn.Module):
    """Own audio and the partner's features, through unmasked self-attention over the whole clip."""

    def __init__(self, config: Peng2025Config) -> None:
        super().__init__()
        width = 2 * config.feature_dim
        layer = nn.TransformerEncoderLayer(
            width, config.heads, config.hidden_dim, dropout=config.dropout, batch_first=True
        )
        self.interaction_encoder = nn.TransformerEncoder(
            layer, config.interaction_layers, enable_nested_tensor=False
        )
        self.self_attention = nn.MultiheadAttention(width, config.heads, dropout=config.dropout, batch_first=True)

    def forward(
        self, own: Float[Tensor, "batch frame feature"], partner: Float[Tensor, "batch frame feature"]
    ) -> Float[Tensor, "batch frame both"]:
        x = self.interaction_encoder(torch.cat([own, partner], dim=-1))
        return self.self_attention(x, x, x, need_weights=False)[0]


class SynthesisModule(nn.Module):
    """Motion from features: a decoder of one layer that attends to its own input, and a linear layer."""

    def __init__(self, config: Peng2025Config) -> None:
        super().__init__()
        width = 2 * config.feature_dim
        layer = nn.TransformerDecoderLayer(width, config.heads, config.hidden_dim, batch_first=True)
        self.synthesis_decoder = nn.TransformerDecoder(layer, num_layers=1)
        self.blendshape_predictor = nn.Linear(width, config.motion_dim)
        self.modulation_layer = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch frame both"]) -> Float[Tensor, "batch frame coef"]:
        x = self.synthesis_decoder(x, x)
        return self.blendshape_predictor(x + MODULATION * self.modulation_layer(x))


class Peng2025(ConversationModel):
    """The published network.

    Parameters
    ----------
    config : Peng2025Config
    audio_encoders : two AudioEncoder, or None
        Encoders of the person's own and the partner's audio in place of two wav2vec2 encoders of
        `config.wav2vec2`, so that architectures can be compared on the same features. They have one width, and may
        be one object.

    Raises
    ------
    InputError
        Audio encoders of different widths.
    """

    model_type = "peng2025"
    config_class = Peng2025Config
    causal_motion = False
    lookahead_frames = None

    def __init__(
        self, config: Peng2025Config | None = None, audio_encoders: tuple[AudioEncoder, AudioEncoder] | None = None
    ) -> None:
        super().__init__()
        self.config = config or Peng2025Config()
        self.motion_dim = self.config.motion_dim
        self.normalizes_audio = audio_encoders is None
        self.joint_encoder = JointEncoder(self.config, audio_encoders)
        self.temporal_enhancer = TemporalEnhancer(self.config)
        self.interaction_module = InteractionModule(self.config)
        self.synthesis_module = SynthesisModule(self.config)
        if self.config.normalize_motion:
            self.motion_normalizer = Normalizer(self.motion_dim)

    @property
    def audio_encoders(self) -> Sequence[AudioEncoder]:
        encoders = (self.joint_encoder.audio_encoder1, self.joint_encoder.audio_encoder2)
        return [one for one in encoders if isinstance(one, AudioEncoder)]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], audio_encoders: Sequence[AudioEncoder] = ()) -> "Peng2025":
        if not audio_encoders:
            return cls(Peng2025Config(**config))
        own, partner = audio_encoders
        return cls(Peng2025Config(**config), (own, partner))

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        if self.config.normalize_motion:
            self.motion_normalizer.fit(motion[valid])

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """Motion of each person from the partner's given motion; `initial_pose` and `noise` are unused."""
        require_fit(self, audio, motion)
        audio = normalize_audio(audio) if self.normalizes_audio else audio
        partners = motion.flip(1).flatten(0, 1)
        return self.one_person(audio.flatten(0, 1), audio.flip(1).flatten(0, 1), partners).unflatten(0, (-1, 2))

    def one_person(
        self,
        own_audio: Float[Tensor, "batch sample"],
        partner_audio: Float[Tensor, "batch sample2"],
        partner_motion: Float[Tensor, "batch frame2 coef"],
    ) -> Float[Tensor, "batch frame coef"]:
        """Motion of one person, as published: `ceil(own samples / 640)` frames of it.

        Audio is as its encoder expects it: from `normalize_audio` for wav2vec2, in [-1, 1] for other encoders. The
        partner's features are resampled to the length of one's own, and the partner's motion may have any number
        of frames: in the published files they differ by one or two.
        """
        frames = pad_to_frames(own_audio).shape[-1] // SAMPLES_PER_FRAME
        if self.config.normalize_motion:
            partner_motion = self.motion_normalizer(partner_motion)
        own, partner, history = self.joint_encoder(own_audio, partner_audio, partner_motion, frames)
        motion = self.synthesis_module(self.interaction_module(own, self.temporal_enhancer(partner, history)))
        return self.motion_normalizer.inverse(motion) if self.config.normalize_motion else motion


def _wav2vec2(config: Peng2025Config) -> nn.Module:
    # Imported here, since transformers takes longer to load than all the rest and few models need it.
    from dualtalk.models.third_party import Wav2Vec2Config, Wav2Vec2Model

    encoder = Wav2Vec2Model(Wav2Vec2Config(**config.wav2vec2))
    encoder.freeze_feature_encoder()
    freeze_mask_embedding(encoder)
    return encoder


def _width(encoder: nn.Module) -> int:
    return encoder.width if isinstance(encoder, AudioEncoder) else cast(Any, encoder).config.hidden_size


def _encode(
    encoder: nn.Module, audio: Float[Tensor, "batch sample"], frames: int
) -> Float[Tensor, "batch frame feature"]:
    """Audio features of `frames` frames; wav2vec2's are resampled between its convolutions and its transformer."""
    if isinstance(encoder, AudioEncoder):
        return resample_features(encoder(audio), frames)
    # Its convolutions need 400 samples, so a recording shorter than a frame is padded to one.
    padded = pad_to_frames(audio) if audio.shape[-1] < SAMPLES_PER_FRAME else audio
    wav2vec2 = cast(Any, encoder)
    features = resample_features(wav2vec2.feature_extractor(padded).mT, frames)
    return wav2vec2.encoder(wav2vec2.feature_projection(features)[0]).last_hidden_state


def load_peng2025(path: str | os.PathLike, config: Peng2025Config | None = None) -> Peng2025:
    """Read a checkpoint as DualTalk's authors released it: a `.pth` with a table of tensors.

    Names from before torch's parametrizations and names with the prefix `module.` are accepted. The file is read
    without running code from it: one that holds more than tensors is refused. The model is in evaluation mode and
    single precision.

    Parameters
    ----------
    path : path
    config : Peng2025Config or None
        Sizes of the network. None reads them from a JSON file of the same name beside the checkpoint
        (`NAME.json` for `NAME.pth`), and without that file assumes those of the released checkpoint.

    Raises
    ------
    InputError
        No file, a broken one, one that would run code, or one whose tensors are not this network's; the message
        names the first tensor that is missing, unexpected, or of another shape.
    """
    weights = _read_tensors(Path(path))
    with torch.device("meta"):
        model = Peng2025(config or _config_beside(Path(path)))
    _require_same_layout(path, model.state_dict(), weights)
    model.load_state_dict(weights, assign=True)
    return model.float().eval()


def _config_beside(path: Path) -> Peng2025Config:
    sizes = path.with_suffix(".json")
    if not sizes.is_file():
        return Peng2025Config()
    try:
        return Peng2025Config(**json.loads(sizes.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{sizes} does not hold the fields of Peng2025Config: {error}") from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"no checkpoint at {path}")
    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error):
            raise InputError(f"{path} holds more than tensors; reading it could run code: refused") from error
        raise InputError(f"{path} is not a checkpoint that torch can read; is it whole?") from error
    except Exception as error:
        raise InputError(f"{path} is not a checkpoint that torch can read; is it whole?") from error
    if not isinstance(table, Mapping) or not all(isinstance(values, Tensor) for values in table.values()):
        raise InputError(f"{path} is not a table of tensors; wanted the state_dict of a model")
    return {_current_name(name): values for name, values in table.items()}


def _current_name(name: str) -> str:
    stem, dot, last = name.removeprefix(PARALLEL_PREFIX).rpartition(".")
    return stem + dot + OLDER_NAMES.get(last, last)


def _require_same_layout(
    path: str | os.PathLike, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    for name, values in expected.items():
        if name not in found:
            raise InputError(
                f"{path} has no {name}; it has {sum(key in found for key in expected)} of the network's "
                f"{len(expected)} tensors; is it a checkpoint of another model?"
            )
        if found[name].shape != values.shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(found[name].shape)}, wanted {tuple(values.shape)}; was it made "
                "with another configuration?"
            )
    for name in found:
        if name not in expected:
            raise InputError(
                f"{path} has {name}, which the network does not; is it a checkpoint of another model?"
            )
