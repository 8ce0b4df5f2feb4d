"""DualTalk (Peng et al. 2025): agreement with the published code, released checkpoints, and refused files."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.interface import Frame
from dualtalk.models.peng2025 import OLDER_NAMES, Peng2025, Peng2025Config, load_peng2025

DATA = Path(__file__).parent / "data"
PARAMETERS_RELEASED = 647_237_048

TINY = Peng2025Config(
    feature_dim=16,
    hidden_dim=32,
    wav2vec2={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "do_stable_layer_norm": True,
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "conv_dim": [16] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    },
)


@pytest.fixture(scope="module")
def tiny() -> Peng2025:
    torch.manual_seed(0)
    return Peng2025(TINY).eval()


@pytest.fixture(scope="module")
def talk() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return 0.1 * torch.randn(2, 2, 10 * 640), torch.randn(2, 2, 10, 56)


def saved(weights: dict, path: Path) -> Path:
    torch.save(weights, path)
    return path


def older(weights: dict) -> dict:
    """The names of a file that parallel training saved before torch's parametrizations."""
    for before, now in OLDER_NAMES.items():
        weights = {name.replace(now, before): values for name, values in weights.items()}
    return {f"module.{name}": values for name, values in weights.items()}


def parity_arrays() -> tuple[dict, dict[str, Tensor]]:
    """Sizes, weights, input and output of a tiny network of the published code.

    The file holds each distinct tensor once, as float32 split into byte planes, which compress best.
    """
    with np.load(DATA / "peng2025_tiny_parity.npz") as archive:
        index = json.loads(str(archive["index"]))
        values = np.ascontiguousarray(archive["byte_planes"].T).view(np.float32).ravel()
    arrays = {}
    for name, (offset, shape) in index["arrays"].items():
        arrays[name] = torch.tensor(values[offset : offset + int(np.prod(shape))].reshape(shape))
    return index["config"], arrays


def test_output_equals_that_of_the_published_code():
    config, arrays = parity_arrays()
    model = Peng2025(Peng2025Config(**config)).eval()
    prefix = "weights/"
    model.load_state_dict({name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)})
    with torch.no_grad():
        motion = model.one_person(arrays["own_audio"], arrays["partner_audio"], arrays["partner_motion"])
    torch.testing.assert_close(motion, arrays["output"], atol=1e-5, rtol=0)


def released_shapes() -> dict[str, list[int]]:
    """Shape of every tensor of the released checkpoint, by name."""
    shapes = {}
    for line in (DATA / "peng2025_state_dict.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, *shape = line.split()
        numbers = re.search(r"\{(\d+)-(\d+)\}", name)
        names = [name]
        if numbers:
            first, last = map(int, numbers.groups())
            names = [name.replace(numbers[0], str(number)) for number in range(first, last + 1)]
        shapes |= {key: [int(size) for size in shape] for key in names}
    return shapes


def test_full_size_has_every_tensor_of_the_released_checkpoint():
    with torch.device("meta"):
        model = Peng2025()
    assert {name: list(values.shape) for name, values in model.state_dict().items()} == released_shapes()
    assert sum(weight.numel() for weight in model.parameters()) == PARAMETERS_RELEASED


def test_convolutions_and_the_unused_mask_are_frozen(tiny):
    frozen = {name for name, weight in tiny.named_parameters() if not weight.requires_grad}
    unused = ("feature_extractor", "masked_spec_embed")
    assert frozen == {name for name, _ in tiny.named_parameters() if any(part in name for part in unused)}


def test_checkpoints_of_all_name_styles_load(tiny, talk, tmp_path):
    weights = tiny.state_dict()
    half = {name: values.half() for name, values in weights.items()}
    with torch.no_grad():
        for name, table in {"now": weights, "older": older(weights)}.items():
            loaded = load_peng2025(saved(table, tmp_path / f"{name}.pth"), TINY)
            assert torch.equal(loaded(*talk), tiny(*talk))
            assert [w.requires_grad for w in loaded.parameters()] == [w.requires_grad for w in tiny.parameters()]
        assert load_peng2025(saved(half, tmp_path / "half.pth"), TINY)(*talk).dtype == torch.float32


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_that_would_run_code_is_refused_unrun(tmp_path, legacy):
    path, trace = tmp_path / "evil.pth", tmp_path / "it_ran"

    class Evil:
        def __reduce__(self):
            return Path.touch, (trace,)

    if legacy:
        path.write_bytes(pickle.dumps({"weight": Evil()}))
    else:
        torch.save({"weight": Evil()}, path)
    with pytest.raises(InputError, match=r"evil.pth (holds more than tensors|is not a checkpoint)"):
        load_peng2025(path, TINY)
    assert not trace.exists()


def test_a_whole_saved_model_is_refused_with_the_reason(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(InputError, match="holds more than tensors; reading it could run code"):
        load_peng2025(tmp_path / "model.pth", TINY)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(tiny, tmp_path, share):
    path = saved(tiny.state_dict(), tmp_path / "cut.pth")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="is it whole"):
        load_peng2025(path, TINY)


def test_a_checkpoint_of_another_model_is_refused(tiny, tmp_path):
    path, weights = tmp_path / "other.pth", tiny.state_dict()
    last = list(weights)[-1]

    def refusal(table) -> str:
        with pytest.raises(InputError) as caught:
            load_peng2025(saved(table, path), TINY)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert f"has no {next(iter(weights))}; it has 0 of" in refusal({"weight": torch.ones(2)})
    assert f"has no {last}; it has {len(weights) - 1} of" in refusal(
        {k: v for k, v in weights.items() if k != last}
    )
    assert "has extra.weight, which" in refusal({**weights, "extra.weight": torch.ones(2)})
    assert f"{last} has shape (3,), wanted (32,)" in refusal({**weights, last: torch.ones(3)})
    assert "is not a table of tensors" in refusal({"epoch": 3, "state_dict": weights})
    assert "is not a table of tensors" in refusal([torch.ones(2)])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no checkpoint at"):
        load_peng2025(tmp_path / "none.pth", TINY)


def test_swapping_people_swaps_motion(tiny, talk):
    with torch.no_grad():
        swapped = tiny(*(part.flip(1) for part in talk))
        torch.testing.assert_close(swapped.flip(1), tiny(*talk), atol=1e-5, rtol=0)


def test_motion_depends_on_the_partners_motion_and_not_on_ones_own(tiny, talk):
    audio, motion = talk
    motion = motion.clone().requires_grad_()
    tiny(audio, motion)[:, 0].sum().backward()
    assert not motion.grad[:, 0].any()
    # Every frame depends on the whole clip, including later frames.
    assert motion.grad[:, 1].abs().sum(dim=-1).all()


@pytest.mark.parametrize("samples", [1, 640, 641, 7000])
def test_any_length_gives_one_frame_per_640_samples(tiny, samples):
    with torch.no_grad():
        output = tiny.one_person(torch.randn(1, samples), torch.randn(1, samples + 900), torch.randn(1, 4, 56))
    assert output.shape == (1, -(-samples // 640), 56)
    assert output.isfinite().all()


def test_silence_stays_finite(tiny):
    with torch.no_grad():
        assert tiny(torch.zeros(1, 2, 640), torch.zeros(1, 2, 1, 56)).isfinite().all()


def test_other_audio_encoders_can_be_used(talk):
    torch.manual_seed(0)
    audio_encoder = CausalLogMel(n_mels=20)
    model = Peng2025(TINY, audio_encoders=(audio_encoder, audio_encoder)).eval()
    output = model(*talk)
    assert output.shape == talk[1].shape
    assert output.isfinite().all()
    assert not any("wav2vec2" in type(part).__name__.lower() for part in model.modules())
    with pytest.raises(InputError, match="wanted equal widths"):
        Peng2025(TINY, audio_encoders=(audio_encoder, CausalLogMel(n_mels=30)))


def test_full_size_runs_on_the_device_of_its_weights():
    with torch.device("meta"):
        model, motion = Peng2025().eval(), torch.zeros(1, 2, 25, 56)
        assert model(torch.zeros(1, 2, 16_000), motion).shape == motion.shape


def test_streaming_is_refused(tiny):
    with pytest.raises(InputError, match="cannot be streamed"):
        tiny.start(torch.zeros(1, 2, 0))
    with pytest.raises(InputError, match="cannot be streamed"):
        tiny.step((), Frame(torch.zeros(1, 2, 640), torch.zeros(1, 2, 56)))


def test_motion_that_does_not_fit_is_refused(tiny):
    with pytest.raises(InputError, match=r"motion has shape \(1, 2, 3, 56\)"):
        tiny(torch.zeros(1, 2, 640), torch.zeros(1, 2, 3, 56))
    with pytest.raises(InputError, match="audio of 700 samples"):
        tiny(torch.zeros(1, 2, 700), torch.zeros(1, 2, 1, 56))
