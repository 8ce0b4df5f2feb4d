"""Model files of format 1, as written until November 2026: their names translated to those of today."""

import json
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

MODEL_TYPES = {"dualtalk": "peng2025", "one_voice": "single_stream", "hold_still": "static_pose"}

CONFIG_FIELDS = {
    "duet": {
        "coefficients": "motion_dim",
        "width": "d_model",
        "window_frames": "attention_window",
        "hidden": "ffn_dim",
        "look_ahead_frames": "lookahead_frames",
        "largest_look_ahead_frames": "max_lookahead_frames",
        "flow_width": "flow_hidden_size",
        "flow_layers": "flow_depth",
        "flow_steps": "num_sampling_steps",
    },
    "single_stream": {
        "hears": "audio_source",
        "coefficients": "motion_dim",
        "width": "d_model",
        "window_frames": "attention_window",
        "hidden": "ffn_dim",
        "look_ahead_frames": "lookahead_frames",
        "sees_own_past": "autoregressive",
    },
    "peng2025": {"standardised": "normalize_motion"},
    **{
        name: {"coefficients": "motion_dim"}
        for name in ("static_pose", "mean_pose", "mirror", "nearest_neighbour")
    },
}

ENCODER_FIELDS = {"kind": "type", "mels": "n_mels", "tuned": "finetune"}

# Regular expressions on the keys of the state dict, applied in order.
_DUET = (
    (r"^told$", "explained_variance"),
    (r"^opening$", "lip_aperture_basis_mm"),
    (r"^closed_mm$", "lip_closed_offset_mm"),
    (r"^turns_head$", "head_rotation_mask"),
    (r"^lowest$", "motion_min"),
    (r"^highest$", "motion_max"),
    (r"^sampled_quantiles$", "sample_quantiles"),
    (r"^true_quantiles$", "data_quantiles"),
    (r"^sampled_openings$", "sample_lip_quantiles"),
    (r"^true_openings$", "data_lip_quantiles"),
    (r"^together$", "motion_subspace_projection"),
    (r"^changes\.", "velocity_normalizer."),
    (r"^departures\.", "residual_normalizer."),
    (r"^momentum$", "velocity_ar_coef"),
    (r"^look_ahead_in\.", "lookahead_embedding."),
    (r"^mean_out\.", "regression_head."),
    (r"^hearing\.", "dyadic_encoder."),
    (r"^moving\.motion_in\.", "motion_decoder.history_proj."),
    (r"^moving\.own_motion_in\.", "motion_decoder.own_history_proj."),
    (r"^moving\.seen_norm\.", "motion_decoder.history_norm."),
    (r"^moving\.mean_norm\.", "motion_decoder.mean_ffn_norm."),
    (r"^moving\.mean_out_norm\.", "motion_decoder.mean_norm."),
    (r"^moving\.sample_norm\.", "motion_decoder.sample_ffn_norm."),
    (r"^moving\.sample_out_norm\.", "motion_decoder.sample_norm."),
    (r"^moving\.(mean|sample)\.", r"motion_decoder.\1_ffn."),
    (r"^moving\.", "motion_decoder."),
    (r"^(dyadic_encoder\.\d+|motion_decoder)\.own_norm\.", r"\1.self_norm."),
    (r"^(dyadic_encoder\.\d+|motion_decoder)\.own\.", r"\1.self_attention."),
    (r"^(dyadic_encoder\.\d+|motion_decoder)\.partner\.", r"\1.partner_attention."),
    (r"^(dyadic_encoder\.\d+)\.feed_forward_norm\.", r"\1.ffn_norm."),
    (r"^(dyadic_encoder\.\d+)\.feed_forward\.", r"\1.ffn."),
    (r"^flow\.motion_in\.", "flow.motion_proj."),
    (r"^flow\.condition_in\.", "flow.condition_proj."),
    (r"^flow\.time_in\.", "flow.time_proj."),
)
_ALL = (
    (r"^front_end\.", "audio_encoder."),
    (r"^audio_in\.", "audio_proj."),
    (r"^scale\.", "motion_normalizer."),
    (r"^(\w+_normalizer)\.deviation$", r"\1.std"),
)
STATE_KEYS = {
    "duet": _DUET + _ALL,
    "single_stream": (*_ALL, (r"^motion_in\.", "history_proj."), (r"^motion_out\.", "motion_head.")),
    "peng2025": _ALL,
    "nearest_neighbour": ((r"^front_end\.", "log_mel."), (r"^begins$", "start_frames")),
}


def upgraded_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a format 1 file, as format 2 has it.

    Raises
    ------
    KeyError, ValueError
        A field is missing or is not JSON.
    """
    model_type = MODEL_TYPES.get(metadata["kind"], metadata["kind"])
    config = json.loads(metadata["config"])
    if model_type == "single_stream" and config.get("hears") == "own":
        config["hears"] = "self"
    encoders = [_renamed(one, ENCODER_FIELDS) for one in json.loads(metadata.get("front_ends", "[]"))]
    return {
        "format": "2",
        "model_type": model_type,
        "config": json.dumps(_renamed(config, CONFIG_FIELDS.get(model_type, {}))),
        "audio_encoders": json.dumps(encoders),
        "space": metadata["space"],
        "layout": metadata["layout"],
        "training_info": json.dumps(_upgraded_info(json.loads(metadata["about"]))),
    }


def upgraded_weights(model_type: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a format 1 file under the names of format 2; `model_type` is format 2's."""
    upgraded = {}
    for name, weight in weights.items():
        for pattern, replacement in STATE_KEYS.get(model_type, ()):
            name = re.sub(pattern, replacement, name)
        upgraded[name] = weight
    return upgraded


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}


def _upgraded_info(info: dict[str, Any]) -> dict[str, Any]:
    """Training info, with that of the checkpoint from which training started."""
    info = _renamed(info, {"started_from": "init_checkpoint_info"})
    if isinstance(info.get("init_checkpoint_info"), dict):
        info["init_checkpoint_info"] = _upgraded_info(info["init_checkpoint_info"])
    return info
