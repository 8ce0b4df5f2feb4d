"""A trained model as one safetensors file: weights, and all that is needed to use them.

The file's metadata says which kind of model it is, with which sizes, what its numbers mean (space and layout), and
what it was trained on. Nothing in it runs.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from dualtalk.errors import InputError
from dualtalk.io.atomic import written_whole
from dualtalk.models.audio_encoders import CausalLogMel, FrontEnd, TransformersEncoder
from dualtalk.models.baselines import HoldStill, MeanPose, Mirror, NearestNeighbour, OneVoice, OneVoiceConfig
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.interface import ConversationModel
from dualtalk.models.peng2025 import DualTalk, DualTalkConfig

FORMAT = "1"
# The model that comes with the package, and its name.
DEFAULT, SHIPPED = "default", Path(__file__).parent / "duet.safetensors"
# Models that are made from one config, and models that are made from the width of a motion vector.
CONFIGS = {
    "duet": (Duet, DuetConfig),
    "dualtalk": (DualTalk, DualTalkConfig),
    "one_voice": (OneVoice, OneVoiceConfig),
}
PLAIN = {
    "hold_still": HoldStill,
    "mean_pose": MeanPose,
    "mirror": Mirror,
    "nearest_neighbour": NearestNeighbour,
}


@dataclass(frozen=True, eq=False)
class PretrainedModel:
    """A model and what its numbers mean.

    Attributes
    ----------
    model : ConversationModel
        In evaluation mode.
    space : str
        Of the motion: "open" or "flame".
    layout : str
        "full62" or "dualtalk56".
    metadata : dict
        Training data, steps, versions; whatever was kept.
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
    about: Mapping | None = None,
    half: bool = False,
) -> None:
    """Write a model; with `half`, its weights in half precision, in half the space.

    Raises
    ------
    InputError
        A kind of model that has no name here, or a folder that is not there or cannot be written to.
    """
    kinds = {kind: made for kind, (made, _) in CONFIGS.items()} | PLAIN
    kind = next((name for name, made in kinds.items() if type(model) is made), None)
    if kind is None:
        raise InputError(f"a {type(model).__name__} cannot be kept in a file; there are {', '.join(kinds)}")
    sizes = asdict(model.config) if kind in CONFIGS else {"coefficients": model.coefficients}
    heard_by = [_described(part) for part in _front_ends(model)] if kind in CONFIGS else []
    metadata = {
        "format": FORMAT,
        "kind": kind,
        "config": json.dumps(sizes),
        "front_ends": json.dumps(heard_by),
        "space": space,
        "layout": layout,
        "about": json.dumps(dict(about or {})),
    }
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    if half:
        learnt = dict(model.named_parameters())
        weights = {name: weight.half() if name in learnt else weight for name, weight in weights.items()}
    with written_whole(path) as partial:
        # Not by `save_file`, whose files only their owner may read.
        partial.write_bytes(save(weights, metadata))


def load_model(path: str | os.PathLike = DEFAULT) -> PretrainedModel:
    """Read what `save_model` wrote, or the model that comes with the package, "default". Weights are in single
    precision.

    Raises
    ------
    InputError
        No such file, one that is cut off, or one that is no model of ours.
    """
    path = SHIPPED if path == DEFAULT else path
    if not Path(path).is_file():
        raise InputError(f"no model at {path}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}); was its copy cut off?") from error
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is a safetensors file, but no model of ours; its metadata is {sorted(metadata)}")
    try:
        heard_by = [_front_end(**one) for one in json.loads(metadata.get("front_ends", "[]"))]
        model = _made(metadata["kind"], json.loads(metadata["config"]), heard_by)
        model.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit this version's {metadata.get('kind')}: {reason}") from error
    return PretrainedModel(model.eval(), metadata["space"], metadata["layout"], json.loads(metadata["about"]))


def _made(kind: str, sizes: dict, heard_by: list[FrontEnd]) -> ConversationModel:
    if kind in PLAIN:
        return PLAIN[kind](**sizes)
    made, config = CONFIGS[kind]
    if made is DualTalk:
        return made(config(**sizes), tuple(heard_by) or None)
    return made(config(**sizes), *heard_by)


def _front_ends(model: ConversationModel) -> list[FrontEnd]:
    """What a model is made with beside its config, in order."""
    if not isinstance(model, DualTalk):
        return [model.front_end]
    encoders = [model.joint_encoder.audio_encoder1, model.joint_encoder.audio_encoder2]
    return encoders if isinstance(encoders[0], FrontEnd) else []


def _described(front_end: FrontEnd) -> dict:
    if isinstance(front_end, CausalLogMel):
        return {"kind": "log_mel", "mels": front_end.mels}
    if isinstance(front_end, TransformersEncoder):
        return {"kind": "transformers", "name_or_path": front_end.name, "tuned": front_end.tuned}
    raise InputError(f"a model that hears by a {type(front_end).__name__} cannot be kept in a file")


def _front_end(kind: str, **made_with: Any) -> FrontEnd:
    return {"log_mel": CausalLogMel, "transformers": TransformersEncoder}[kind](**made_with)
