"""Model files: a round trip for every model type, files of format 1, plug-ins, and files that are refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.baselines import (
    MeanPose,
    Mirror,
    NearestNeighbour,
    SingleStream,
    SingleStreamConfig,
    StaticPose,
)
from dualtalk.models.checkpoint import BUNDLED, load_model, save_model
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.interface import roll_out
from dualtalk.models.peng2025 import Peng2025, Peng2025Config

SMALL = {"d_model": 16, "layers": 1, "heads": 2, "attention_window": 8, "ffn_dim": 24, "flow_hidden_size": 16}
MODELS = {
    "duet": lambda: Duet(DuetConfig(**SMALL, flow_depth=1), CausalLogMel(n_mels=8)),
    "peng2025": lambda: Peng2025(
        Peng2025Config(feature_dim=8, motion_dim=62, hidden_dim=8, normalize_motion=True),
        (CausalLogMel(8), CausalLogMel(8)),
    ),
    "single_stream": lambda: SingleStream(
        SingleStreamConfig("partner", 62, d_model=16, layers=1, heads=2, ffn_dim=24)
    ),
    "static_pose": lambda: StaticPose(62),
    "mean_pose": lambda: MeanPose(62),
    "mirror": lambda: Mirror(62, delay_frames=4),
    "nearest_neighbour": lambda: NearestNeighbour(62, window_frames=10, hold_frames=7),
}


@pytest.fixture(params=MODELS)
def model(request) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS[request.param]()


def tensors(model: torch.nn.Module) -> list[Tensor]:
    return list(model.state_dict().values())


def test_a_model_survives_a_round_trip(model, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, model, space="open", layout="full62", training_info={"steps": 3})
    found = load_model(path)
    assert (found.space, found.layout, found.metadata) == ("open", "full62", {"steps": 3})
    assert type(found.model) is type(model)
    assert found.model.to_config() == json.loads(json.dumps(model.to_config()))
    assert not found.model.training
    assert all(map(torch.equal, tensors(model), tensors(found.model)))


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="its folder does not exist"):
        save_model(tmp_path / "nowhere" / "m.safetensors", MeanPose(62), space="open", layout="full62")
    save_model(path, MeanPose(62), space="open", layout="full62")
    before = path.read_bytes()
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode

    def half(partial: Path, content: bytes) -> None:
        with partial.open("wb") as file:
            file.write(content[:10])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, MeanPose(3), space="open", layout="full62")
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"m.safetensors", "other"}


def test_files_that_are_not_models_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="no model at"):
        load_model(path)
    save_model(path, MeanPose(62), space="open", layout="full62")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_model(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="not a dualtalk model"):
        load_model(path)
    metadata = {"format": "2", "model_type": "duet", "config": "{}", "training_info": "{}"}
    save_file({"x": torch.zeros(2)}, path, metadata)
    with pytest.raises(InputError, match="does not fit this version's duet"):
        load_model(path)
    save_file({"x": torch.zeros(2)}, path, metadata | {"model_type": "trio"})
    with pytest.raises(InputError, match="unknown model type 'trio'; available: duet, peng2025"):
        load_model(path)
    save_file({"x": torch.zeros(2)}, path, metadata | {"format": "3"})
    with pytest.raises(InputError, match="has format 3; this version of dualtalk reads up to format 2"):
        load_model(path)


FORMAT_1 = Path(__file__).parent / "data" / "duet_format1.safetensors"


def test_a_file_of_format_1_gives_the_same_motion():
    """Written by the version before format 2, together with the motion of its mean and of a sample."""
    found = load_model(FORMAT_1)
    assert (found.space, found.layout) == ("open", "full62")
    assert found.metadata == {"steps": 7, "init_checkpoint_info": {"steps": 2}}
    oracle = load_file(FORMAT_1.with_name("duet_format1_motion.safetensors"))
    audio = oracle["audio"].float()
    with torch.no_grad():
        mean = roll_out(found.model, audio)
        sample = roll_out(found.model, audio, noise=oracle["noise"])
    torch.testing.assert_close(mean, oracle["mean"], atol=1e-5, rtol=0)
    torch.testing.assert_close(sample, oracle["sample"], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("kind", "config", "weights", "model_type"),
    [
        ("hold_still", {"coefficients": 62}, {}, "static_pose"),
        ("mean_pose", {"coefficients": 3}, {"pose": torch.arange(3.0)}, "mean_pose"),
    ],
)
def test_baselines_of_format_1_load(tmp_path, kind, config, weights, model_type):
    path = tmp_path / "m.safetensors"
    common = {"format": "1", "front_ends": "[]", "space": "open", "layout": "full62", "about": "{}"}
    save_file(weights, path, common | {"kind": kind, "config": json.dumps(config)})
    model = load_model(path).model
    assert (model.model_type, model.motion_dim) == (model_type, config["coefficients"])
    assert all(torch.equal(model.state_dict()[name], weight) for name, weight in weights.items())


def test_the_bundled_model_has_the_current_format():
    with safe_open(BUNDLED, "pt") as file:
        assert file.metadata()["format"] == "2"


PLUGIN = """
from dataclasses import dataclass
import torch
from torch import nn
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.interface import ConversationModel, require_fit


@dataclass(frozen=True)
class BlinkConfig:
    motion_dim: int = 62
    gain: float = 1.0


class Blink(ConversationModel):
    model_type = "blink"
    config_class = BlinkConfig

    def __init__(self, config, audio_encoder=None):
        super().__init__()
        self.config, self.motion_dim = config, config.motion_dim
        self.audio_encoder = audio_encoder or CausalLogMel(8)
        self.head = nn.Linear(self.audio_encoder.width, config.motion_dim)

    def forward(self, audio, motion, initial_pose=None, noise=None):
        require_fit(self, audio, motion)
        features = self.audio_encoder(audio.flatten(0, 1)).unflatten(0, (-1, 2))
        return self.config.gain * self.head(features)

    def start(self, ahead):
        return self.audio_encoder.start(2 * len(ahead))

    def encode_audio(self, state, audio):
        features, state = self.audio_encoder.encode_chunk(state, audio.flatten(0, 1))
        return features.unflatten(0, (-1, 2)), state

    def decode_step(self, state, frame):
        return self.config.gain * self.head(frame.audio), state
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package with a model into a folder on the path."""
    (tmp_path / "blink_plugin.py").write_text(PLUGIN)
    information = tmp_path / "blink_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: blink-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[dualtalk.models]\nblink = blink_plugin:Blink\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import blink_plugin

    return blink_plugin


def test_a_model_of_another_package_is_saved_loaded_and_rolled_out(plugin, tmp_path):
    model = plugin.Blink(plugin.BlinkConfig(gain=0.5)).eval()
    path = tmp_path / "m.safetensors"
    save_model(path, model, space="open", layout="full62")
    loaded = load_model(path).model
    audio = 0.1 * torch.randn(1, 2, 5 * 640)
    with torch.no_grad():
        streamed = roll_out(loaded, audio)
        torch.testing.assert_close(streamed, model(audio, torch.zeros(1, 2, 5, 62)), atol=1e-5, rtol=0)


def test_an_unregistered_model_is_not_saved(tmp_path):
    class Unknown(MeanPose):
        model_type = "unknown"

    with pytest.raises(InputError, match="Unknown is not registered as a model type"):
        save_model(tmp_path / "m.safetensors", Unknown(62), space="open", layout="full62")
