"""Model files: a safetensors file of weights whose metadata holds everything that is needed to use them.

Metadata of format 2, each value a string:

| key | value |
|---|---|
| `format` | "2" |
| `model_type` | a name of `MODELS` |
| `config` | JSON, the result of `ConversationModel.to_config` |
| `audio_encoders` | JSON, a list of encoders, each with `type` and the arguments of its class |
| `space`, `layout` | whose expression basis the motion has, and the order of its coefficients |
| `training_info` | JSON: data, steps, versions |

Files of format 1 are read, too (`dualtalk.models.format1`). Reading a file runs no code from it and uses no
network: a speech encoder of transformers must be on this machine.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from dualtalk.choices import Space
from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole
from dualtalk.models.audio_encoders import AudioEncoder, CausalLogMel, TransformersEncoder
from dualtalk.models.baselines import MeanPose, Mirror, NearestNeighbour, SingleStream, StaticPose
from dualtalk.models.duet import Duet
from dualtalk.models.format1 import upgraded_metadata, upgraded_weights
from dualtalk.models.interface import ConversationModel
from dualtalk.models.peng2025 import Peng2025, load_peng2025
from dualtalk.plugins import Registry

FORMAT = 2
# The name of the bundled pretrained model, and its file.
DEFAULT, BUNDLED = "default", Path(__file__).parent / "duet.safetensors"
# Sizes of a config that no tensor has, such as a window of frames, are smaller.
MAX_UNLISTED_SIZE = 1024
# Buffers that may hold infinity.
UNBOUNDED = ("motion_min", "motion_max")
# Suffixes of checkpoints that torch wrote: the released weights of DualTalk (Peng et al. 2025).
TORCH_SUFFIXES = (".pth", ".pt")

# Model classes by model type. An entry point of the group adds the class of another package.
MODELS: Registry[type[ConversationModel]] = Registry(
    "dualtalk.models",
    "model type",
    {
        model.model_type: model
        for model in (Duet, Peng2025, SingleStream, StaticPose, MeanPose, Mirror, NearestNeighbour)
    },
)
ENCODERS: dict[str, type[AudioEncoder]] = {"log_mel": CausalLogMel, "transformers": TransformersEncoder}


@dataclass(frozen=True, eq=False)
class PretrainedModel:
    """A model, and the meaning of its motion coefficients.

    Attributes
    ----------
    model : ConversationModel
        In evaluation mode.
    space : str
        Expression basis of the motion: "open" or "flame".
    layout : str
        "full62" or "dualtalk56".
    metadata : dict
        Training data, steps, versions: the `training_info` of the file.
    """

    model: ConversationModel
    space: str
    layout: str
    metadata: dict


def save_model(
    path: str | os.PathLike,
    model: ConversationModel,
    *,
    space: str,
    layout: str,
    training_info: Mapping | None = None,
    half: bool = False,
) -> None:
    """Write a model file; with `half`, weights in half precision (statistics stay in single precision).

    Raises
    ------
    InputError
        A model type that is not registered, or a folder that does not exist or cannot be written to.
    """
    model_type = str(getattr(type(model), "model_type", ""))
    if model_type not in MODELS or MODELS[model_type] is not type(model):
        raise InputError(
            f"{type(model).__name__} is not registered as a model type; available: {', '.join(MODELS.names())}; "
            "is its entry point installed?"
        )
    metadata = {
        "format": str(FORMAT),
        "model_type": model_type,
        "config": json.dumps(model.to_config()),
        "audio_encoders": json.dumps([_encoder_config(encoder) for encoder in model.audio_encoders]),
        "space": space,
        "layout": layout,
        "training_info": json.dumps(dict(training_info or {})),
    }
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    if half:
        parameters = dict(model.named_parameters())
        weights = {name: weight.half() if name in parameters else weight for name, weight in weights.items()}
    with written_whole(path) as partial:
        # `save_file` makes files that only their owner may read.
        partial.write_bytes(save(weights, metadata))


def load_model(path: str | os.PathLike = DEFAULT) -> PretrainedModel:
    """Load a model for inference, with weights in single precision.

    Parameters
    ----------
    path : path or "default"
        A file of `save_model`; "default" for the bundled pretrained model; or a `.pth` or `.pt` checkpoint as
        released for DualTalk (Peng et al. 2025), whose motion is FLAME's in layout dualtalk56.

    Raises
    ------
    InputError
        No such file, a truncated file, a file that is not a dualtalk model, or a file of a newer format.
    """
    path = BUNDLED if path == DEFAULT else Path(path)
    if not path.is_file():
        raise InputError(f"no model at {path}")
    if path.suffix in TORCH_SUFFIXES:
        model: ConversationModel = load_peng2025(path)
        _require_finite(path, model.state_dict())
        return PretrainedModel(model, "flame", "dualtalk56", {"checkpoint": path.name})
    metadata, weights = _read(path)
    _require_finite(path, weights)
    try:
        _require_sizes(json.loads(metadata["config"]), weights)
        model = _build(metadata)
        model.load_state_dict(weights)
        training_info = json.loads(metadata["training_info"])
        space, layout = metadata["space"], metadata["layout"]
        if space not in get_args(Space):
            raise ValueError(f"its space is {space[:40]!r}; wanted one of {', '.join(get_args(Space))}")
        if not isinstance(training_info, dict):
            raise TypeError("its training_info is no JSON object")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:
        # A config of a file can fail in any way.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{path} does not fit this version's {metadata.get('model_type')}: {reason}") from error
    return PretrainedModel(model.eval(), space, layout, training_info)


def _require_finite(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    for name, weight in weights.items():
        # The range of motion of a model that was not fitted is infinite.
        fit = weight.isnan().logical_not() if name in UNBOUNDED else torch.isfinite(weight)
        if weight.is_floating_point() and not fit.all():
            raise InputError(f"{path} holds a weight that is not finite ({name}); did its training diverge?")


def _require_sizes(config: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse a config whose sizes no tensor of the file has: the model would take any amount of memory."""
    tensors = len(weights)
    largest = max([MAX_UNLISTED_SIZE, tensors, *(size for weight in weights.values() for size in weight.shape)])
    for name, value in (config if isinstance(config, dict) else {}).items():
        limit = max(tensors, 1) if re.search("layers|depth", name) else largest
        if isinstance(value, int) and abs(value) > limit:
            raise InputError(f"{name} is {value}, but the file has {tensors} tensors of sizes up to {largest}")


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Metadata and weights, in the names of format 2."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}); was its copy cut off?") from error
    written = metadata.get("format", "")
    if not written.isdecimal():
        raise InputError(f"{path} is not a dualtalk model; its metadata is {sorted(metadata)}")
    if int(written) > FORMAT:
        raise InputError(
            f"{path} has format {written}; this version of dualtalk reads up to format {FORMAT}; "
            "is a newer version needed?"
        )
    if int(written) == FORMAT:
        return metadata, weights
    try:
        metadata = upgraded_metadata(metadata)
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has format 1, but its metadata is missing or malformed: {error}") from error
    return metadata, upgraded_weights(metadata["model_type"], weights)


def _build(metadata: Mapping[str, str]) -> ConversationModel:
    encoders = [_build_encoder(**one) for one in json.loads(metadata.get("audio_encoders", "[]"))]
    return MODELS[metadata["model_type"]].from_config(json.loads(metadata["config"]), encoders)


def _encoder_config(encoder: AudioEncoder) -> dict[str, Any]:
    if isinstance(encoder, CausalLogMel):
        return {"type": "log_mel", "n_mels": encoder.n_mels}
    if isinstance(encoder, TransformersEncoder):
        return {"type": "transformers", "name_or_path": encoder.name, "finetune": encoder.finetune}
    raise InputError(f"a model with the audio encoder {type(encoder).__name__} cannot be saved")


def _build_encoder(type: str, **arguments: Any) -> AudioEncoder:
    if type == "transformers":
        # A file must not decide what is fetched from the network.
        return TransformersEncoder(**arguments, local_files_only=True)
    return ENCODERS[type](**arguments)
