"""What training promises: masked errors, a past of its own, runs that go on, files that say what they are."""

from functools import partial
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from pyannote.core import Timeline
from safetensors.torch import save_file
from torch import Tensor

from dualtalk.core import DUALTALK56, FULL62, Conversation, HeadMotion, Participant
from dualtalk.data.windows import Window
from dualtalk.errors import InputError
from dualtalk.head import Region, load_head
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.baselines import MeanPose, OneVoice, OneVoiceConfig
from dualtalk.models.checkpoint import PretrainedModel, load_model, save_model
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.peng2025 import DualTalk, DualTalkConfig
from dualtalk.simulation import simulate
from dualtalk.training.calibration import SETTLING_FRAMES, match_samples
from dualtalk.training.fit import build_cli, train
from dualtalk.training.losses import CLOSED_MM, MotionLoss, lip_basis_mm, masked_mean
from dualtalk.training.module import TOLD_RATE, ConversationTraining

CONFIGS = Path(__file__).parents[1] / "configs" / "train"
SMALL = {
    "width": 16,
    "layers": 1,
    "heads": 2,
    "window_frames": 8,
    "hidden": 24,
    "flow_width": 16,
    "flow_layers": 1,
}


def small_duet() -> Duet:
    torch.manual_seed(0)
    return Duet(DuetConfig(**SMALL), CausalLogMel(mels=8))


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


def test_frames_that_are_not_valid_teach_nothing():
    errors = torch.rand(2, 2, 5, 3, requires_grad=True)
    valid = torch.rand(2, 2, 5) < 0.5
    masked_mean(errors, valid).backward()
    assert not errors.grad[~valid].any()
    assert torch.allclose(errors.grad[valid].sum(), torch.tensor(1.0))
    assert masked_mean(errors, torch.zeros_like(valid)) == 0


@pytest.mark.parametrize("layout", [FULL62, DUALTALK56])
def test_lips_move_by_the_basis_as_by_the_head(layout):
    head = load_head("open")
    basis = lip_basis_mm(head, layout).places
    motion = torch.zeros(3, layout.width)
    motion[0, layout.slice_of("jaw").start] = 0.05
    motion[1, :10] = 0.3
    motion[2, layout.slice_of("head").start] = 0.2
    rest, *moved = head.vertices(
        HeadMotion(torch.cat([torch.zeros(1, layout.width), motion]).numpy(), "open", layout)
    )
    lips = np.unique(head.faces[head.regions == Region.LIPS])
    for row, vertices in enumerate(moved[:2]):
        wanted = torch.from_numpy(1000 * (vertices - rest)[lips].reshape(-1))
        assert (motion[row] @ basis - wanted).abs().max() < 0.25
    assert not basis[layout.slice_of("head")].any()


def test_a_perfect_prediction_has_no_loss():
    loss = MotionLoss(lip_basis_mm(load_head("open"), FULL62))
    motion, valid = torch.randn(2, 2, 8, 62), torch.ones(2, 2, 8, dtype=torch.bool)
    assert sum(loss(motion, motion, valid, torch.ones(62)).values()) == 0
    worse = [
        sum(loss(motion + 0.1 * k * torch.randn(2, 2, 8, 62), motion, valid, torch.ones(62)).values())
        for k in (1, 3)
    ]
    assert 0 < worse[0] < worse[1]


def test_lips_that_do_not_meet_cost_more_than_lips_too_wide():
    """The gap as the loss sees it is the head's; the same error is dear where lips close, and cheap where not."""
    head = load_head("open")
    loss = MotionLoss(lip_basis_mm(head, FULL62), velocity=0.0, lips_weight=0.0, closing=1.0)
    opening = torch.zeros(1, 2, 3, 62)
    opening[..., FULL62.slice_of("jaw").start] = torch.tensor([0.0, 0.1, 0.15])
    gaps_mm = 1000 * head.lip_gap(HeadMotion(opening[0, 0].numpy(), "open", FULL62))
    assert np.allclose(loss._lip_gap_mm(opening)[0, 0], gaps_mm, atol=0.3)
    wider = opening.clone()
    wider[..., FULL62.slice_of("jaw").start] += 0.03

    def cost(frame: int) -> float:
        valid = torch.ones(1, 2, 1, dtype=torch.bool)
        one, other = (motion[:, :, frame : frame + 1] for motion in (wider, opening))
        return float(loss(one, other, valid, torch.ones(62))["closing"])

    assert cost(0) > 4 * cost(1) > 4 * cost(2) > 0


def test_a_jaw_half_open_costs_more_than_a_blink():
    """Lips count beyond their coefficients: the same error on the jaw and on an eyelid differ."""
    loss = MotionLoss(lip_basis_mm(load_head("open"), FULL62), lips_weight=1.0)
    valid = torch.ones(1, 2, 4, dtype=torch.bool)

    def cost(place: int) -> float:
        moved = torch.zeros(1, 2, 4, 62)
        moved[..., place] = 0.1
        return float(loss(moved, torch.zeros_like(moved), valid, torch.ones(62))["lips"])

    assert cost(FULL62.slice_of("jaw").start) > 10 * cost(0)


def test_the_scale_is_that_of_valid_frames():
    training = ConversationTraining(small_duet())
    batch = a_batch()
    batch.motion[0, 0, :6] = 1e3
    batch.valid[0, 0, :6] = False
    training.fit([batch])
    assert training.model.scale.mean.abs().max() < 0.2
    empty = batch._replace(valid=torch.zeros_like(batch.valid))
    with pytest.raises(InputError, match="no frame of the training data is valid"):
        training.fit([empty])


def test_baselines_take_what_they_need():
    training = ConversationTraining(MeanPose(62))
    training.fit([a_batch()])
    assert torch.allclose(training.model.pose, a_batch().motion.mean(dim=(0, 1, 2)), atol=1e-6)


def test_its_own_past_knows_nothing_of_the_truth():
    """What is fed back comes from the audio alone."""
    training = ConversationTraining(small_duet().eval())
    batch = a_batch()
    other = batch._replace(motion=batch.motion + 1)
    own = torch.ones(2, dtype=torch.bool)
    moved = [training._past(one, own, 0.1, partial(training.model, batch.audio)) for one in (batch, other)]
    assert torch.equal(*moved)


def test_a_sample_that_strayed_comes_back_as_fast_as_voices_tell():
    """Lips, of which voices tell, at once; a head, of which they do not, by and by; nothing faster than people."""
    training = ConversationTraining(small_duet())
    training.model.changes.deviation.fill_(0.1)
    strayed = torch.full((1, 2, 4, 62), 0.05)
    told = torch.zeros(62)
    told[0], told[1] = 1.0, 0.25
    back = training._on_the_way_back(strayed, told)
    assert torch.allclose(back[..., 0], torch.tensor(0.0))
    assert torch.allclose(back[..., 1], torch.tensor(0.75 * 0.05))
    assert torch.allclose(training._on_the_way_back(100 * strayed, told)[..., 0], torch.tensor(5 - 0.2))

    batch = a_batch()
    training.scale.fit(batch.motion[batch.valid])
    half_known = batch.motion.clone()
    half_known[..., 1:] = batch.motion[..., 1:].mean(dim=(0, 1, 2))
    share = training._told_by_voices(half_known, batch)
    assert share[0] == 1
    assert share[1:].max() < 1e-6
    assert torch.allclose(training.model.told, TOLD_RATE * share)


def test_a_past_strays_only_as_far_as_it_may():
    training = ConversationTraining(small_duet())
    still = torch.zeros(40, 2, 50, 62)
    strayed = training._blurred(still, 2.0)
    assert torch.equal(training._blurred(still, 0.0), still)
    people = strayed.abs().amax(dim=(2, 3))
    assert (people > 0.5).float().mean() > 0.15
    assert (people < 0.15).float().mean() > 0.4
    assert strayed.abs().max() < 2.0 * 6


def test_a_batch_without_a_valid_frame_gives_no_gradient():
    training = ConversationTraining(small_duet())
    batch = a_batch()
    nothing = batch._replace(valid=torch.zeros_like(batch.valid))
    terms = training._terms(nothing, torch.tensor([True, False]))
    torch.stack(list(terms.values())).sum().backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in training.parameters())


def test_a_loss_that_is_not_finite_stops_and_names_the_clips(monkeypatch):
    training = ConversationTraining(small_duet())
    broken = a_batch()
    broken.audio[:] = float("nan")
    with pytest.raises(InputError, match=r"the loss became nan at batch 7 \(clip0, clip1\)"):
        training.training_step(broken, 7)


def test_a_model_of_another_width_is_refused():
    with pytest.raises(InputError, match="a model of 62 coefficients; layout dualtalk56 has 56"):
        ConversationTraining(small_duet(), layout="dualtalk56")


def parameters(model: torch.nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in model.state_dict().values()]


@pytest.mark.parametrize("kind", ["duet", "one_voice", "mean_pose", "dualtalk"])
def test_a_model_is_read_as_it_was_written(tmp_path, kind):
    made = {
        "duet": lambda: Duet(DuetConfig(**SMALL), CausalLogMel(mels=8)),
        "dualtalk": lambda: DualTalk(
            DualTalkConfig(feature_dim=8, motion_dim=62, hidden_dim=8), (CausalLogMel(8), CausalLogMel(8))
        ),
        "one_voice": lambda: OneVoice(OneVoiceConfig("partner", 62, width=16, layers=1, heads=2, hidden=24)),
        "mean_pose": lambda: MeanPose(62),
    }[kind]()
    save_model(tmp_path / "m.safetensors", made, space="open", layout="full62", about={"steps": 3})
    found = load_model(tmp_path / "m.safetensors")
    assert (found.space, found.layout, found.metadata) == ("open", "full62", {"steps": 3})
    assert not found.model.training
    assert all(map(torch.equal, parameters(made), parameters(found.model)))


def test_no_half_model_is_left_and_others_may_read_it(tmp_path, monkeypatch):
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


def test_files_that_are_no_model_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match="no model at"):
        load_model(path)
    save_model(path, MeanPose(62), space="open", layout="full62")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_model(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="no model of ours"):
        load_model(path)
    save_file({"x": torch.zeros(2)}, path, {"format": "1", "kind": "duet", "config": "{}", "about": "{}"})
    with pytest.raises(InputError, match="does not fit this version's duet"):
        load_model(path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_is_understood(path, tmp_path):
    # What a run starts from is made by another run.
    without = ["--model.init_checkpoint", "null", "--model.interpolation_alpha", "1"]
    cli = build_cli(["--config", str(path), "--output-dir", str(tmp_path), *without])
    assert cli.model.model.coefficients == 62
    assert cli.datamodule.layout == "full62"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--model.lerning_rate", "1"], "lerning_rate"),
        (["--data.window_frames", "many"], "window_frames"),
        (["--model.model.init_args.config.width", "wide"], "width"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_config_with_a_slip_is_refused(tmp_path, wrong, said):
    with pytest.raises(InputError, match=said):
        build_cli(["--config", str(CONFIGS / "duet.yaml"), "--output-dir", str(tmp_path), *wrong])


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore:.*LeafSpec.*", "ignore::FutureWarning")
def test_a_run_that_was_stopped_goes_on_exactly(make_store, tiny_duet, tmp_path, monkeypatch):
    store = make_store({"train": [40, 40, 40], "validation": [20], "test": [20]})
    real = ConversationTraining.training_step

    def run(name: str, *, stopped_at: int | None = None) -> PretrainedModel:
        def step(training, batch, index):
            if training.global_step == stopped_at:
                raise InterruptedError("the power went off")
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
    assert all(map(torch.equal, parameters(whole.model), parameters(resumed.model)))


def test_what_opens_the_lips_is_known_by_the_head():
    training = ConversationTraining(small_duet())
    names = load_head("open").blendshape_names
    training.fit([a_batch()])
    model = training.model
    model.scale.deviation.fill_(0.1)
    assert model.opens_lips[FULL62.slice_of("jaw").start]
    assert model.opens_lips[[names.index(name) for name in ("mouthClose", "mouthFunnel")]].all()
    shut = [names.index(name) for name in ("eyeBlinkLeft", "browInnerUp", "mouthStretchLeft")]
    assert not model.opens_lips[shut].any()
    assert not model.opens_lips[FULL62.slice_of("head")].any()
    assert model.turns_head.nonzero().flatten().tolist() == list(range(62))[FULL62.slice_of("head")]


def test_a_samples_lips_are_as_far_apart_as_the_means_and_closed_ones_shown_so():
    training = ConversationTraining(small_duet())
    training.fit([a_batch()])
    model, batch = training.model.eval(), a_batch()
    model.lowest.fill_(-9.0)
    model.highest.fill_(9.0)
    with torch.no_grad():
        mean = model(batch.audio, batch.motion)
        sampled = model(batch.audio, batch.motion, noise=torch.randn_like(batch.motion))
        model.closed_mm.fill_(torch.inf)
        model.match(sampled.flatten(0, 2), 0.5 * sampled.flatten(0, 2))
        shown = model.shown(sampled)
    for moved in (sampled, shown):
        assert (moved - mean).abs().mean() > 0.01
        torch.testing.assert_close(moved @ model.opening, mean @ model.opening, atol=1e-3, rtol=0)


def test_how_far_lips_are_apart_is_told_in_millimetres():
    head = load_head("open")
    loss = MotionLoss(lip_basis_mm(head, FULL62))
    open_mouth = torch.zeros(40, 62)
    open_mouth[:, FULL62.slice_of("jaw").start] = torch.linspace(0, 0.1, 40)
    gap_mm = torch.from_numpy(1000 * head.lip_gap(HeadMotion(open_mouth.numpy(), "open", FULL62)))
    opening_mm = open_mouth @ loss.opening_mm()
    assert float(opening_mm[-1]) == pytest.approx(float(gap_mm[-1] - gap_mm[0]), rel=0.2)
    closed = opening_mm <= loss.closed_mm()
    assert 0 < closed.sum() < 40
    assert float(gap_mm[closed].max()) == pytest.approx(CLOSED_MM, abs=0.3)


def test_a_trained_model_matches_its_samples_to_the_data():
    model = small_duet().eval()
    model.scale.deviation.fill_(0.02)
    long, short = a_batch(frames=SETTLING_FRAMES + 20), a_batch(frames=SETTLING_FRAMES)
    for batch, matched in ((short, False), (long, True)):
        windows = [Window(*(part[one] for part in batch)) for one in range(2)]
        assert match_samples(model, windows, seed=0) is matched
        assert (model.true_quantiles[0, 0] != -1) == matched
    assert torch.equal(model.true_quantiles[:, -1], long.motion[:, :, SETTLING_FRAMES:].amax(dim=(0, 1, 2)))


def test_training_starts_from_a_trained_model(tmp_path):
    """Its weights and its scale; samples may go wherever the old motion or the new one went."""
    old, path = small_duet(), tmp_path / "m.safetensors"
    old.fit(torch.randn(1, 2, 50, 62), torch.ones(1, 2, 50, dtype=torch.bool))
    save_model(path, old, space="open", layout="full62", about={"steps": 7})
    torch.manual_seed(1)
    training = ConversationTraining(Duet(DuetConfig(**SMALL), CausalLogMel(mels=8)), init_checkpoint=str(path))
    assert all(map(torch.equal, parameters(old), parameters(training.model)))
    assert training.init_checkpoint_info == {"steps": 7}
    batch = a_batch()
    batch.motion[0, 0, 0, 0] = 9.0
    training.fit([batch])
    assert torch.equal(training.model.scale.mean, old.scale.mean)
    assert torch.equal(training.model.highest[1:], old.highest[1:])
    assert training.model.highest[0] == 9.0
    assert torch.equal(training.model.lowest, old.lowest)


@pytest.mark.parametrize("gone", [0.0, 0.25, 1.0])
def test_training_ends_on_the_way_from_where_it_started(tmp_path, gone):
    old, path = small_duet(), tmp_path / "m.safetensors"
    old.told.fill_(0.5)
    save_model(path, old, space="open", layout="full62")
    training = ConversationTraining(
        Duet(DuetConfig(**SMALL), CausalLogMel(mels=8)), init_checkpoint=str(path), interpolation_alpha=gone
    )
    with torch.no_grad():
        for weight in training.model.parameters():
            weight += 1
    training.model.told.fill_(0.9)
    training.go_back()
    for before, after in zip(old.parameters(), training.model.parameters(), strict=True):
        assert torch.allclose(after - before, torch.full_like(after, gone), atol=1e-6)
    assert torch.allclose(training.model.told, torch.full((62,), 0.5 + 0.4 * gone))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"interpolation_alpha": 1.5, "init_checkpoint": "default"}, "interpolation_alpha is 1.5"),
        ({"interpolation_alpha": 0.5}, "needs a checkpoint to interpolate with"),
    ],
)
def test_a_way_that_is_none_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        ConversationTraining(small_duet(), **options)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"width": 32}, "is another model than the config's"),
        ({"coefficients": 56}, "moves in space 'open' and layout full62; this training in 'open' and dualtalk56"),
    ],
)
def test_training_does_not_start_from_another_model(tmp_path, changed, said):
    path = tmp_path / "m.safetensors"
    save_model(path, small_duet(), space="open", layout="full62")
    layout = "dualtalk56" if "coefficients" in changed else "full62"
    with pytest.raises(InputError, match=said):
        ConversationTraining(
            Duet(DuetConfig(**SMALL | changed), CausalLogMel(mels=8)), layout=layout, init_checkpoint=str(path)
        )
    with pytest.raises(InputError, match="is another model than the config's"):
        ConversationTraining(MeanPose(62), init_checkpoint=str(path))


def test_a_seed_gives_the_same_weights():
    lightning.seed_everything(3, verbose=False)
    one = parameters(Duet(DuetConfig(**SMALL)))
    lightning.seed_everything(3, verbose=False)
    assert all(map(torch.equal, one, parameters(Duet(DuetConfig(**SMALL)))))


def test_a_trained_model_moves_both_people(tmp_path):
    """The same seed gives the same motion, another seed another; people are exchanged with their voices."""
    model = Duet(DuetConfig(**SMALL))
    torch.nn.init.normal_(model.flow.out.weight, std=0.1)
    model.scale.deviation.fill_(0.02)
    model.departures.deviation.fill_(0.02)
    path = tmp_path / "m.safetensors"
    save_model(path, model, space="open", layout="full62")
    rng = np.random.default_rng(0)
    people = [Participant((0.1 * rng.standard_normal(640 * 8)).astype(np.float32), Timeline()) for _ in range(2)]
    talk = Conversation(*people)

    def moved(talk: Conversation, **options) -> list[np.ndarray]:
        return [person.motion.coefficients for person in simulate(talk, model=str(path), **options).participants]

    assert all(map(np.array_equal, moved(talk), moved(talk)))
    assert not np.array_equal(moved(talk)[0], moved(talk, seed=1)[0])
    assert all(map(np.array_equal, moved(talk, mode="mean"), moved(talk, mode="mean", seed=1)))
    for ours, theirs in zip(moved(talk), moved(talk.swap_roles())[::-1], strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_a_model_of_another_space_than_the_head_is_refused(tmp_path):
    save_model(tmp_path / "m.safetensors", MeanPose(56), space="flame", layout="dualtalk56")
    talk = Conversation(*(Participant(np.zeros(640, np.float32), Timeline()) for _ in range(2)))
    with pytest.raises(InputError, match="the model moves heads of space 'flame', open is of 'open'"):
        simulate(talk, model=str(tmp_path / "m.safetensors"))
    with pytest.raises(InputError, match="no model called 'duett'; wanted default, rules, or the path"):
        simulate(talk, model="duett")
