"""Results on a GPU equal those on the CPU. Skipped where there is no GPU."""

import pytest
import torch

from dualtalk.models.checkpoint import load_model
from dualtalk.models.interface import Frame, roll_out
from dualtalk.timebase import SAMPLES_PER_FRAME
from dualtalk.training.fit import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
FRAMES = 120


@pytest.fixture(autouse=True)
def single_precision():
    """Products in full single precision, whatever precision an earlier training run set."""
    allowed = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(allowed)


@pytest.fixture
def talk() -> tuple[torch.Tensor, torch.Tensor]:
    """Noise as audio of two people, and noise to sample from."""
    numbers = torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(1, 2, FRAMES * SAMPLES_PER_FRAME, generator=numbers)
    return audio, torch.randn(1, 2, FRAMES, 62, generator=numbers)


@pytest.mark.parametrize("sampled", [False, True])
def test_gpu_and_cpu_give_the_same_motion(talk, sampled):
    audio, noise = talk
    model = load_model("default").model
    with torch.inference_mode():
        on_cpu = roll_out(model, audio, noise=noise if sampled else None)
        on_gpu = roll_out(model.cuda(), audio.cuda(), noise=noise.cuda() if sampled else None)
    assert on_gpu.is_cuda
    # Rounding errors accumulate in the closed loop.
    assert (on_gpu.cpu() - on_cpu).abs().max() < 1e-3


def test_streamed_equals_whole_on_a_gpu(talk):
    audio, noise = (one.cuda() for one in talk)
    model = load_model("default").model.cuda()
    ahead = model.lookahead_frames * SAMPLES_PER_FRAME
    padded = torch.nn.functional.pad(audio, (0, ahead))
    with torch.inference_mode():
        state, before, streamed = model.start(padded[..., :ahead]), audio.new_zeros(1, 2, 62), []
        for t, sound in enumerate(padded[..., ahead:].split(SAMPLES_PER_FRAME, dim=-1)):
            before, state = model.step(state, Frame(sound, before, noise[:, :, t]))
            streamed.append(before)
        streamed = torch.stack(streamed, dim=2)
        whole = model(audio, streamed, noise=noise)
    assert (streamed - whole).abs().max() < 1e-4


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_model_trained_on_a_gpu_runs_without_one(make_store, tiny_duet, tmp_path, talk, precision):
    store = make_store({"train": [80, 80], "validation": [20], "test": [20]})
    options = [
        "--output-dir",
        str(tmp_path / "run"),
        "--data.datasets",
        str(store.root),
        "--trainer.max_steps",
        "4",
    ]
    path = train([*tiny_duet, *options, "--trainer.accelerator", "gpu", "--trainer.precision", precision])
    model = load_model(path).model
    assert not model.explained_variance.is_cuda
    audio, noise = talk
    with torch.inference_mode():
        motion = roll_out(model, audio, noise=noise)
    assert motion.isfinite().all()
    assert motion.std(dim=2).max() > 0
