"""DualTalk, the published reference (CVPR 2025, arXiv 2505.18096): one person's motion from both voices and the
partner's motion. Written from the paper and the layout of its released checkpoint, whose weights load here.

Two speech encoders hear the two voices; attention without positions brings the partner's motion to the partner's
audio; a transformer without a mask puts the two people together; a decoder of one layer gives the motion. So it is
not causal, needs the partner's motion to the end, gives the same for the same input, and never sees the past
motion of the person it moves. Module names are the checkpoint's.
"""

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import FrontEnd, filled_to_frames, normalised, stretched
from dualtalk.models.blocks import Standardised
from dualtalk.models.interface import SAMPLES_PER_FRAME, ConversationModel, require_fit

# The shape of facebook/wav2vec2-large-960h-lv60-self, where it differs from transformers' defaults.
WAV2VEC2_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
}
# Checkpoints from before torch's parametrizations name the two halves of a normalised weight so.
OLDER_NAMES = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
# What training on several devices puts before every name.
PARALLEL_PREFIX = "module."
MODULATION = 0.1


@dataclass(frozen=True)
class DualTalkConfig:
    """Sizes of the network; the defaults are the released checkpoint's."""

    feature_dim: int = 256
    """Width of audio and motion features; two people together have twice that."""

    motion_dim: int = 56
    """Width of a motion vector: 50 expression coefficients, jaw, head."""

    heads: int = 4
    """Heads of every attention after the speech encoders."""

    interaction_layers: int = 3
    """Transformer layers that put both people together."""

    hidden_dim: int = 2048
    """Width of the feed-forward layers of these and of the decoder."""

    dropout: float = 0.5
    """Share of activations dropped in the interaction module, in training."""

    standardised: bool = False
    """Whether the network's motion is on the scale of its training data, which `DualTalk.fit` takes; as published
    it is not, and a layout of angles and expression together then learns its expression alone."""

    wav2vec2: Mapping[str, Any] = field(default_factory=lambda: dict(WAV2VEC2_LARGE))
    """Arguments of transformers' Wav2Vec2Config, for both speech encoders; unused with other front ends."""


class JointEncoder(nn.Module):
    """Both voices and the partner's motion as features of one width."""

    def __init__(self, config: DualTalkConfig, front_ends: tuple[FrontEnd, FrontEnd] | None) -> None:
        super().__init__()
        self.audio_encoder1, self.audio_encoder2 = front_ends or (_wav2vec2(config), _wav2vec2(config))
        widths = {_width(encoder) for encoder in (self.audio_encoder1, self.audio_encoder2)}
        if len(widths) != 1:
            raise InputError(
                f"front ends give {sorted(widths)} features; wanted equal, for one projection takes both"
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
            self.audio_projection(_heard(encoder, audio, frames))
            for encoder, audio in ((self.audio_encoder1, own_audio), (self.audio_encoder2, partner_audio))
        )
        return own, partner, self.blendshape_encoder(partner_motion)


class TemporalEnhancer(nn.Module):
    """What of the partner's motion the partner's audio asks for, and an LSTM over it in both directions."""

    def __init__(self, config: DualTalkConfig) -> None:
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
    """Own audio beside the partner's features, through unmasked attention over the whole clip."""

    def __init__(self, config: DualTalkConfig) -> None:
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
    """Motion from features: a decoder of one layer that attends to what it decodes, and a linear layer."""

    def __init__(self, config: DualTalkConfig) -> None:
        super().__init__()
        width = 2 * config.feature_dim
        layer = nn.TransformerDecoderLayer(width, config.heads, config.hidden_dim, batch_first=True)
        self.synthesis_decoder = nn.TransformerDecoder(layer, num_layers=1)
        self.blendshape_predictor = nn.Linear(width, config.motion_dim)
        self.modulation_layer = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch frame both"]) -> Float[Tensor, "batch frame coef"]:
        x = self.synthesis_decoder(x, x)
        return self.blendshape_predictor(x + MODULATION * self.modulation_layer(x))


class DualTalk(ConversationModel):
    """The reference network.

    Parameters
    ----------
    config : DualTalkConfig
    front_ends : two FrontEnd, or None
        What hears the person's own voice and what hears the partner's, in place of two wav2vec2 encoders of
        `config.wav2vec2`, so that architectures can be compared on the same features. They give features of one
        width, and may be one and the same.
    """

    look_ahead_frames = None

    def __init__(
        self, config: DualTalkConfig | None = None, front_ends: tuple[FrontEnd, FrontEnd] | None = None
    ) -> None:
        super().__init__()
        self.config = config or DualTalkConfig()
        self.coefficients = self.config.motion_dim
        self.normalises = front_ends is None
        self.joint_encoder = JointEncoder(self.config, front_ends)
        self.temporal_enhancer = TemporalEnhancer(self.config)
        self.interaction_module = InteractionModule(self.config)
        self.synthesis_module = SynthesisModule(self.config)
        if self.config.standardised:
            self.scale = Standardised(self.coefficients)

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        if self.config.standardised:
            self.scale.fit(motion[valid])

    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """Each person in turn as the one to move, the other's motion given; `first` and `noise` are unused."""
        require_fit(self, audio, motion)
        heard = normalised(audio) if self.normalises else audio
        moved = self.one_person(heard.flatten(0, 1), heard.flip(1).flatten(0, 1), motion.flip(1).flatten(0, 1))
        return moved.unflatten(0, (-1, 2))

    def one_person(
        self,
        own_audio: Float[Tensor, "batch sample"],
        partner_audio: Float[Tensor, "batch sample2"],
        partner_motion: Float[Tensor, "batch frame2 coef"],
    ) -> Float[Tensor, "batch frame coef"]:
        """Motion of one person, as published: `ceil(own samples / 640)` frames of it.

        Audio is as its encoder wants it: `normalised` for wav2vec2, in [-1, 1] for other front ends. The partner's
        is stretched to the own one's length, and the partner's motion may have any number of frames: in the
        published files they differ by one or two.
        """
        frames = filled_to_frames(own_audio).shape[-1] // SAMPLES_PER_FRAME
        seen = self.scale(partner_motion) if self.config.standardised else partner_motion
        own, partner, moved = self.joint_encoder(own_audio, partner_audio, seen, frames)
        answer = self.synthesis_module(self.interaction_module(own, self.temporal_enhancer(partner, moved)))
        return self.scale.inverse(answer) if self.config.standardised else answer


def _wav2vec2(config: DualTalkConfig) -> nn.Module:
    # Here, for transformers takes longer to load than all the rest, and few models need it.
    from dualtalk.models.third_party import Wav2Vec2Config, Wav2Vec2Model

    encoder = Wav2Vec2Model(Wav2Vec2Config(**config.wav2vec2))
    encoder.freeze_feature_encoder()
    return encoder


def _width(encoder: nn.Module) -> int:
    return encoder.width if isinstance(encoder, FrontEnd) else encoder.config.hidden_size


def _heard(
    encoder: nn.Module, audio: Float[Tensor, "batch sample"], frames: int
) -> Float[Tensor, "batch frame feature"]:
    """Audio features, stretched to `frames`; a wav2vec2's between its convolutions and its transformer."""
    if isinstance(encoder, FrontEnd):
        return stretched(encoder(audio), frames)
    # Its convolutions need 400 samples; a recording of under a frame is heard as one frame.
    enough = filled_to_frames(audio) if audio.shape[-1] < SAMPLES_PER_FRAME else audio
    sounds = stretched(encoder.feature_extractor(enough).mT, frames)
    return encoder.encoder(encoder.feature_projection(sounds)[0]).last_hidden_state


def load_dualtalk(path: str | os.PathLike, config: DualTalkConfig | None = None) -> DualTalk:
    """Read a checkpoint as DualTalk's authors released it: a `.pth` with a table of tensors.

    Names from before torch's parametrizations and names with `module.` in front are understood. Nothing in the
    file is run: one that holds more than tensors is refused. The model comes in evaluation mode, and single
    precision.

    Raises
    ------
    InputError
        No file, a broken one, one that would run code, or one whose tensors are not this network's; the message
        names the first that lacks, is too many, or has another shape.
    """
    weights = _read_tensors(Path(path))
    with torch.device("meta"):
        model = DualTalk(config)
    _require_same_layout(path, model.state_dict(), weights)
    model.load_state_dict(weights, assign=True)
    return model.float().eval()


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
        raise InputError(f"{path} is not a table of tensors, as a model's state_dict is")
    return {_current_name(name): values for name, values in table.items()}


def _current_name(name: str) -> str:
    stem, dot, last = name.removeprefix(PARALLEL_PREFIX).rpartition(".")
    return stem + dot + OLDER_NAMES.get(last, last)


def _require_same_layout(
    path: str | os.PathLike, wanted: Mapping[str, Tensor], came: Mapping[str, Tensor]
) -> None:
    for name, values in wanted.items():
        if name not in came:
            raise InputError(
                f"{path} has no {name}; {sum(key in came for key in wanted)} of DualTalk's {len(wanted)} tensors "
                "are there; is it a checkpoint of another model?"
            )
        if came[name].shape != values.shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(came[name].shape)}, wanted {tuple(values.shape)}; was it made "
                "with another configuration?"
            )
    for name in came:
        if name not in wanted:
            raise InputError(f"{path} has {name}, which DualTalk has not; is it a checkpoint of another model?")
