"""Training: statistics, history, losses of a step, resumed runs, fine-tuning, and configs."""

from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from pyannote.core import Timeline
from torch import Tensor

from dualtalk.core import FULL62, Conversation, Participant
from dualtalk.data.windows import Window
from dualtalk.errors import InputError
from dualtalk.head import load_head
from dualtalk.models.audio_encoders import CausalLogMel, TransformersEncoder
from dualtalk.models.baselines import MeanPose, SingleStream, SingleStreamConfig
from dualtalk.models.checkpoint import PretrainedModel, load_model, save_model
from dualtalk.models.duet import CALIBRATION_SKIP_FRAMES, Duet, DuetConfig, recovery_target
from dualtalk.simulation import simulate
from dualtalk.training.calibration import calibrate_model
from dualtalk.training.fit import build_cli, train
from dualtalk.training.module import ConversationTraining

CONFIGS = Path(__file__).parents[1] / "configs" / "train"
ENCODER = "--model.model.init_args.audio_encoder.init_args.name_or_path"
SMALL = {
    "d_model": 16,
    "layers": 1,
    "heads": 2,
    "attention_window": 8,
    "ffn_dim": 24,
    "flow_hidden_size": 16,
    "flow_depth": 1,
}


def small_duet() -> Duet:
    torch.manual_seed(0)
    return Duet(DuetConfig(**SMALL), CausalLogMel(n_mels=8))


def small_listener() -> SingleStream:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "layers": 1, "heads": 2, "attention_window": 8, "ffn_dim": 24}
    return SingleStream(SingleStreamConfig("partner", 62, **sizes), CausalLogMel(n_mels=8))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def a_batch(frames: int = 12, people: int = 2) -> Window:
    numbers = torch.Generator().manual_seed(0)
    return Window(
        audio=0.1 * torch.randn(people, 2, frames * 640, generator=numbers),
        motion=0.1 * torch.randn(people, 2, frames, 62, generator=numbers),
        valid=torch.ones(people, 2, frames, dtype=torch.bool),
        speech=torch.ones(people, 2, frames, dtype=torch.bool),
        identity=torch.zeros(people, 2, 300),
        clip=[f"clip{number}" for number in range(people)],
        first_frame=torch.zeros(people),
        swapped=torch.zeros(people, dtype=torch.bool),
    )


def test_statistics_use_valid_frames_only():
    training = ConversationTraining(small_duet())
    batch = a_batch()
    batch.motion[0, 0, :6] = 1e3
    batch.valid[0, 0, :6] = False
    training.fit([batch])
    assert training.model.motion_normalizer.mean.abs().max() < 0.2
    empty = batch._replace(valid=torch.zeros_like(batch.valid))
    with pytest.raises(InputError, match="no frame of the training data is valid"):
        training.fit([empty])


def test_baselines_are_fitted():
    training = ConversationTraining(MeanPose(62))
    training.fit([a_batch()])
    assert torch.allclose(training.model.pose, a_batch().motion.mean(dim=(0, 1, 2)), atol=1e-6)


@pytest.mark.parametrize("make", [small_duet, small_listener], ids=["duet", "listener"])
def test_free_running_history_does_not_depend_on_the_ground_truth(make):
    """The prediction is then the same for any target, so the loss is a parabola of a shift of the target."""
    training = ConversationTraining(make().eval(), flow_weight=0.0)
    batch = a_batch()

    def mse(shift: float, *, free: bool) -> float:
        shifted = batch._replace(motion=batch.motion + shift)
        chosen = torch.full((2,), free)
        return float(training.losses(shifted, chosen, generator(), history_noise_std=0.0)["mse"])

    with torch.no_grad():
        curvature = {
            free: mse(1.0, free=free) - 2 * mse(0.0, free=free) + mse(-1.0, free=free) for free in (True, False)
        }
    assert curvature[True] == pytest.approx(2.0, rel=1e-4)
    assert curvature[False] != pytest.approx(2.0, rel=1e-4)


def test_the_target_of_a_deviating_sample_returns_to_the_ground_truth():
    """Immediately at a rate of 1, gradually at a lower rate, and never faster than the given velocity."""
    deviation, fastest = torch.full((1, 2, 4, 3), 0.05), torch.tensor([0.2, 0.2, 0.01])
    target = recovery_target(deviation, torch.tensor([1.0, 0.25, 1.0]), fastest)
    assert torch.allclose(target[..., 0], torch.tensor(0.0))
    assert torch.allclose(target[..., 1], torch.tensor(0.75 * 0.05))
    assert torch.allclose(target[..., 2], torch.tensor(0.04))
    assert not recovery_target(torch.zeros(1, 2, 4, 3), torch.ones(3), fastest).any()


def test_explained_variance_is_high_only_for_predictable_coefficients():
    """One coefficient follows the loudness of the own audio, another is noise."""
    training = ConversationTraining(small_duet().train(), audio_augmentation=False, vtlp_range=None)
    numbers = generator()
    loud = torch.rand(4, 2, 12, generator=numbers)
    batch = a_batch(people=4)
    batch = batch._replace(audio=batch.audio * loud.repeat_interleave(640, dim=2))
    batch.motion[..., 2:] = 0.0
    batch.motion[..., 0] = loud
    training.fit([batch])
    optimizer = torch.optim.Adam(training.model.parameters(), 1e-2)
    for _ in range(100):
        batch.motion[..., 1] = 0.1 * torch.randn(4, 2, 12, generator=numbers)
        optimizer.zero_grad()
        losses = training.losses(batch, torch.zeros(4, dtype=torch.bool), numbers, history_noise_std=0.0)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    explained = training.model.explained_variance
    assert explained[0] > 0.3
    assert explained[1:].max() < 0.1


def test_history_noise_is_bounded_and_mostly_small():
    training = ConversationTraining(small_duet())
    still = torch.zeros(40, 2, 50, 62)
    noisy = training.perturb_history(still, 2.0, generator())
    assert torch.equal(training.perturb_history(still, 0.0, generator()), still)
    assert torch.equal(training.perturb_history(still, 2.0, generator()), noisy)
    people = noisy.abs().amax(dim=(2, 3))
    assert (people > 0.5).float().mean() > 0.15
    assert (people < 0.15).float().mean() > 0.4
    assert noisy.abs().max() < 2.0 * 6


@pytest.mark.parametrize("free_running", [[True, False], [True, True]])
def test_every_weight_has_a_gradient_in_every_step(free_running):
    """Processes that train together wait for every gradient, even if no conversation trains the flow."""
    for flow_weight in (0.0, 1.0):
        training = ConversationTraining(small_duet().train(), flow_weight=flow_weight)
        losses = training.losses(a_batch(), torch.tensor(free_running), generator(), history_noise_std=1.0)
        torch.stack(list(losses.values())).sum().backward()
        assert all(weight.grad is not None for weight in training.parameters())


def test_a_batch_without_a_valid_frame_gives_a_gradient_of_zero():
    training = ConversationTraining(small_duet().train())
    batch = a_batch()
    nothing = batch._replace(valid=torch.zeros_like(batch.valid))
    losses = training.losses(nothing, torch.tensor([True, False]), generator(), history_noise_std=1.0)
    torch.stack(list(losses.values())).sum().backward()
    assert not any(weight.grad.any() for weight in training.parameters())


def test_a_step_leaves_the_global_generators_as_they_were(monkeypatch):
    """The step's own random numbers depend on the step alone."""
    training = ConversationTraining(small_duet().train())
    monkeypatch.setattr(training, "log", lambda *_, **__: None)
    monkeypatch.setattr(training, "log_dict", lambda *_, **__: None)
    training.fit([a_batch()])
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = training.training_step(a_batch(), 0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert torch.equal(training.training_step(a_batch(), 0), first)


def test_a_loss_that_is_not_finite_stops_and_names_the_clips(monkeypatch):
    training = ConversationTraining(small_duet())
    broken = a_batch()
    broken.audio[:] = float("nan")
    with pytest.raises(InputError, match=r"the loss became nan at batch 7 \(clip0, clip1\)"):
        training.training_step(broken, 7)


def test_a_model_of_another_width_is_refused():
    with pytest.raises(InputError, match="motion_dim of the model is 62; layout dualtalk56 has 56 coefficients"):
        ConversationTraining(small_duet(), layout="dualtalk56")


def tensors(model: torch.nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in model.state_dict().values()]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_is_parsed(path, tmp_path, tiny_wavlm):
    # The initial checkpoint is the result of another run; a speech encoder would be downloaded.
    replaced = ["--model.init_checkpoint", "null", "--model.interpolation_alpha", "1"]
    if "TransformersEncoder" in path.read_text():
        replaced += [ENCODER, str(tiny_wavlm)]
    cli = build_cli(["--config", str(path), "--output-dir", str(tmp_path), *replaced])
    assert cli.model.model.motion_dim == 62
    assert cli.datamodule.layout == "full62"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--model.lerning_rate", "1"], "lerning_rate"),
        (["--data.window_frames", "many"], "window_frames"),
        (["--model.model.init_args.config.d_model", "wide"], "d_model"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_config_with_a_mistake_is_refused(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        build_cli(["--config", str(CONFIGS / "duet.yaml"), "--output-dir", str(tmp_path), *wrong])


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_an_interrupted_run_resumes_exactly(make_store, tiny_duet, tmp_path, monkeypatch):
    store = make_store({"train": [40, 40, 40], "validation": [20], "test": [20]})
    real = ConversationTraining.training_step

    def run(name: str, *, stopped_at: int | None = None) -> PretrainedModel:
        def step(training, batch, index):
            if training.global_step == stopped_at:
                raise InterruptedError("power failure")
            return real(training, batch, index)

        monkeypatch.setattr(ConversationTraining, "training_step", step)
        options = ["--output-dir", str(tmp_path / name), "--data.datasets", str(store.root)]
        return load_model(train([*tiny_duet, *options, "--trainer.max_steps", "8"]))

    whole = run("whole")
    assert whole.metadata["steps"] == 8
    assert whole.metadata["data"][0]["sha256"]
    assert (tmp_path / "whole" / "logs" / "metrics.csv").is_file()
    assert (tmp_path / "whole" / "logs" / "config.yaml").is_file()
    with pytest.raises(InterruptedError):
        run("stopped", stopped_at=5)
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    resumed = run("stopped")
    assert resumed.metadata["steps"] == 8
    assert all(map(torch.equal, tensors(whole.model), tensors(resumed.model)))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_duet_trains_on_a_transformers_encoder_and_simulates(make_store, tiny_duet, tiny_wavlm, tmp_path):
    store = make_store({"train": [20], "validation": [20]})
    config = ["--config", str(CONFIGS / "duet_wavlm.yaml")]
    options = [
        "--output-dir",
        str(tmp_path / "run"),
        "--data.datasets",
        str(store.root),
        "--trainer.max_steps",
        "1",
    ]
    path = train([*config, *tiny_duet[2:], *options, ENCODER, str(tiny_wavlm)])
    model = load_model(path).model
    assert isinstance(model.audio_encoder, TransformersEncoder)
    assert model.lookahead_frames is None
    talk = store.conversation("validation000")
    motion = simulate(talk, model=str(path)).a.motion
    assert motion.frames == talk.frames
    assert np.isfinite(motion.coefficients).all()


def test_geometry_marks_the_coefficients_that_move_the_lips():
    training = ConversationTraining(small_duet())
    names = load_head("open").blendshape_names
    training.fit([a_batch()])
    model = training.model
    model.motion_normalizer.std.fill_(0.1)
    assert model.moves_lips[FULL62.slice_of("jaw").start]
    assert model.moves_lips[[names.index(name) for name in ("mouthClose", "mouthFunnel")]].all()
    others = [names.index(name) for name in ("eyeBlinkLeft", "browInnerUp", "mouthStretchLeft")]
    assert not model.moves_lips[others].any()
    assert not model.moves_lips[FULL62.slice_of("head")].any()
    assert model.head_rotation_mask.nonzero().flatten().tolist() == list(range(62))[FULL62.slice_of("head")]


def test_a_sample_has_the_lip_aperture_of_the_mean_and_calibration_keeps_closed_lips():
    training = ConversationTraining(small_duet())
    training.fit([a_batch()])
    model, batch = training.model.eval(), a_batch()
    model.motion_min.fill_(-9.0)
    model.motion_max.fill_(9.0)
    with torch.no_grad():
        mean = model(batch.audio, batch.motion)
        sampled = model(batch.audio, batch.motion, noise=torch.randn_like(batch.motion))
        model.lip_closed_offset_mm.fill_(torch.inf)
        model.calibrate_quantiles(sampled.flatten(0, 2), 0.5 * sampled.flatten(0, 2))
        calibrated = model.postprocess(sampled)
    basis = model.lip_aperture_basis_mm
    for motion in (sampled, calibrated):
        assert (motion - mean).abs().mean() > 0.01
        torch.testing.assert_close(motion @ basis, mean @ basis, atol=1e-3, rtol=0)


def test_calibration_takes_the_distribution_of_the_data_from_long_windows():
    """Calibration skips the beginning of each window, so short windows have no effect."""
    model = small_duet().eval()
    model.motion_normalizer.std.fill_(0.02)
    before = model.data_quantiles.clone()
    short, long = a_batch(frames=CALIBRATION_SKIP_FRAMES), a_batch(frames=CALIBRATION_SKIP_FRAMES + 20)
    for batch, changed in ((short, False), (long, True)):
        windows = [Window(*(part[one] for part in batch)) for one in range(2)]
        calibrate_model(model, windows, seed=0, device=torch.device("cpu"))
        assert torch.equal(model.data_quantiles, before) != changed
    greatest = long.motion[:, :, CALIBRATION_SKIP_FRAMES:].amax(dim=(0, 1, 2))
    assert torch.equal(model.data_quantiles[:, -1], greatest)


def test_finetuning_starts_from_a_checkpoint(tmp_path):
    """It keeps weights and normalization; the range of samples covers the old and the new motion."""
    old, path = small_duet(), tmp_path / "m.safetensors"
    old.fit(torch.randn(1, 2, 50, 62), torch.ones(1, 2, 50, dtype=torch.bool))
    save_model(path, old, space="open", layout="full62", training_info={"steps": 7})
    torch.manual_seed(1)
    training = ConversationTraining(Duet(DuetConfig(**SMALL), CausalLogMel(n_mels=8)), init_checkpoint=str(path))
    assert all(map(torch.equal, tensors(old), tensors(training.model)))
    assert training.init_checkpoint_info == {"steps": 7}
    batch = a_batch()
    batch.motion[0, 0, 0, 0] = 9.0
    training.fit([batch])
    assert torch.equal(training.model.motion_normalizer.mean, old.motion_normalizer.mean)
    assert torch.equal(training.model.motion_max[1:], old.motion_max[1:])
    assert training.model.motion_max[0] == 9.0
    assert torch.equal(training.model.motion_min, old.motion_min)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_weights_are_interpolated_with_the_initial_ones(tmp_path, alpha):
    old, path = small_duet(), tmp_path / "m.safetensors"
    old.explained_variance.fill_(0.5)
    save_model(path, old, space="open", layout="full62")
    training = ConversationTraining(
        Duet(DuetConfig(**SMALL), CausalLogMel(n_mels=8)), init_checkpoint=str(path), interpolation_alpha=alpha
    )
    with torch.no_grad():
        for weight in training.model.parameters():
            weight += 1
    training.model.explained_variance.fill_(0.9)
    training.interpolate_with_init()
    for before, after in zip(old.parameters(), training.model.parameters(), strict=True):
        assert torch.allclose(after - before, torch.full_like(after, alpha), atol=1e-6)
    assert torch.allclose(training.model.explained_variance, torch.full((62,), 0.5 + 0.4 * alpha))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interpolation_alpha": 1.5, "init_checkpoint": "default"}, "interpolation_alpha is 1.5"),
        ({"interpolation_alpha": 0.5}, "needs a checkpoint to interpolate with"),
    ],
)
def test_an_invalid_interpolation_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        ConversationTraining(small_duet(), **options)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"d_model": 32}, "is another model than the config's"),
        (
            {"motion_dim": 56},
            "has motion of space 'open' and layout full62; this training has 'open' and dualtalk56",
        ),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, changed, message):
    path = tmp_path / "m.safetensors"
    save_model(path, small_duet(), space="open", layout="full62")
    layout = "dualtalk56" if "motion_dim" in changed else "full62"
    with pytest.raises(InputError, match=message):
        ConversationTraining(
            Duet(DuetConfig(**SMALL | changed), CausalLogMel(n_mels=8)), layout=layout, init_checkpoint=str(path)
        )
    with pytest.raises(InputError, match="is another model than the config's"):
        ConversationTraining(MeanPose(62), init_checkpoint=str(path))


def test_a_seed_gives_the_same_weights():
    lightning.seed_everything(3, verbose=False)
    one = tensors(Duet(DuetConfig(**SMALL)))
    lightning.seed_everything(3, verbose=False)
    assert all(map(torch.equal, one, tensors(Duet(DuetConfig(**SMALL)))))


def test_a_trained_model_animates_both_people(tmp_path):
    """The same seed gives the same motion, another seed another; swapping the people swaps their motion."""
    model = Duet(DuetConfig(**SMALL))
    torch.nn.init.normal_(model.flow.out.weight, std=0.1)
    model.motion_normalizer.std.fill_(0.02)
    model.residual_normalizer.std.fill_(0.02)
    path = tmp_path / "m.safetensors"
    save_model(path, model, space="open", layout="full62")
    rng = np.random.default_rng(0)
    people = [Participant((0.1 * rng.standard_normal(640 * 8)).astype(np.float32), Timeline()) for _ in range(2)]
    talk = Conversation(*people)

    def motions(talk: Conversation, **options) -> list[np.ndarray]:
        return [person.motion.coefficients for person in simulate(talk, model=str(path), **options).participants]

    assert all(map(np.array_equal, motions(talk), motions(talk)))
    assert not np.array_equal(motions(talk)[0], motions(talk, seed=1)[0])
    assert all(map(np.array_equal, motions(talk, mode="mean"), motions(talk, mode="mean", seed=1)))
    for ours, theirs in zip(motions(talk), motions(talk.swap_roles())[::-1], strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_a_model_of_another_space_than_the_head_is_refused(tmp_path):
    save_model(tmp_path / "m.safetensors", MeanPose(56), space="flame", layout="dualtalk56")
    talk = Conversation(*(Participant(np.zeros(640, np.float32), Timeline()) for _ in range(2)))
    with pytest.raises(InputError, match="the model predicts motion of space 'flame', open is of 'open'"):
        simulate(talk, model=str(tmp_path / "m.safetensors"))
    with pytest.raises(InputError, match="no model called 'duett'; wanted default, rules, or the path"):
        simulate(talk, model="duett")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_training_reads_a_store_of_format_1(tiny_duet, tmp_path):
    store = Path(__file__).parent / "data" / "store_format_1"
    options = ["--output-dir", str(tmp_path / "run"), "--data.datasets", str(store), "--trainer.max_steps", "2"]
    assert load_model(train([*tiny_duet, *options])).metadata["steps"] == 2
