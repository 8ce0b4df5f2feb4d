"""`predict`: both protocols, files that `evaluate` finds, distinct samples, and reproducibility."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dualtalk.cli import app
from dualtalk.core import DUALTALK56, HeadMotion
from dualtalk.errors import InputError
from dualtalk.evaluation.loading import find_reference, find_system, match_predictions
from dualtalk.head import load_head
from dualtalk.models.audio_encoders import CausalLogMel
from dualtalk.models.baselines import Mirror, StaticPose
from dualtalk.models.checkpoint import PretrainedModel, save_model
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.interface import roll_out
from dualtalk.models.peng2025 import Peng2025, Peng2025Config, load_peng2025
from dualtalk.simulation import simulate
from dualtalk.simulation.closed_loop import predict_closed_loop, predict_partner_given
from dualtalk.simulation.predictions import predict_split, truncate

SIZES = {"d_model": 16, "layers": 1, "heads": 2, "attention_window": 8, "ffn_dim": 24, "flow_hidden_size": 16}


@pytest.fixture
def store(make_store):
    return make_store({"train": [20], "validation": [20], "test": [30, 20]})


def small_duet(coefficients: int = 62) -> PretrainedModel:
    torch.manual_seed(0)
    model = Duet(DuetConfig(coefficients, **SIZES), CausalLogMel(8)).eval()
    model.residual_normalizer.std.fill_(0.02)
    layout = "full62" if coefficients == 62 else "dualtalk56"
    return PretrainedModel(model, "open", layout, {})


def motions(folder) -> dict[str, np.ndarray]:
    return {path.name: HeadMotion.load(path).coefficients for path in sorted(folder.glob("*.npz"))}


def test_with_the_partner_given_a_mirror_copies_the_partners_true_motion(store):
    talk = store.conversation("test000")
    mirror = PretrainedModel(Mirror(62, delay_frames=4), "open", "full62", {})
    answered = predict_partner_given(talk, mirror)
    for own, partner in ((answered.a, talk.b), (answered.b, talk.a)):
        assert np.array_equal(own.motion.coefficients[4:], partner.motion.coefficients[:-4])
    assert not predict_closed_loop(talk, mirror).a.motion.coefficients.any()


@pytest.mark.parametrize("coefficients", [62, 56])
def test_partner_given_prediction_equals_teacher_forcing(store, coefficients):
    """Duet's mean depends on the partner's history and not on its own, so teacher forcing of both is the same."""
    talk, trained = store.conversation("test001"), small_duet(coefficients)
    answered = predict_partner_given(talk, trained, "mean")
    known = np.stack([person.motion.coefficients[:, :coefficients] for person in talk.participants])
    audio = np.stack([person.audio for person in talk.participants])
    with torch.no_grad():
        whole = trained.model(torch.from_numpy(audio)[None], torch.from_numpy(known)[None])[0].numpy()
    for person, wanted in zip(answered.participants, whole, strict=True):
        assert np.allclose(person.motion.coefficients, wanted, atol=1e-5)


@pytest.mark.parametrize("mode", ["mean", "sample"])
def test_a_closed_loop_that_reads_block_by_block_is_the_roll_out_of_the_whole(store, mode, monkeypatch):
    monkeypatch.setattr("dualtalk.simulation.closed_loop.ENCODER_CHUNK_FRAMES", 7)
    talk, trained = store.conversation("test000"), small_duet()
    blocks = predict_closed_loop(talk, trained, mode, seed=3)
    audio = torch.from_numpy(np.stack([person.audio for person in talk.participants]))[None]
    noise = None
    if mode == "sample":
        streams = [np.random.default_rng(own) for own in talk.participant_seeds(3)]
        noise = torch.from_numpy(np.stack([rng.standard_normal((30, 62), np.float32) for rng in streams]))[None]
    with torch.inference_mode():
        whole = roll_out(trained.model, audio, noise=noise)[0].numpy()
    for person, expected in zip(blocks.participants, whole, strict=True):
        np.testing.assert_allclose(person.motion.coefficients, expected, atol=1e-5)


def test_a_non_causal_network_predicts_by_both_protocols(store):
    config = Peng2025Config(feature_dim=8, motion_dim=62, hidden_dim=8)
    model = Peng2025(config, (CausalLogMel(8), CausalLogMel(8))).eval()
    trained, talk = PretrainedModel(model, "open", "full62", {}), store.conversation("test001")
    looped, answered = predict_closed_loop(talk, trained), predict_partner_given(talk, trained)
    assert looped.a.motion.frames == answered.b.motion.frames == talk.frames
    assert not np.array_equal(looped.a.motion.coefficients, answered.a.motion.coefficients)


@pytest.mark.parametrize(
    ("layout", "slip"),
    [("dualtalk56", "62 coefficients; its layout dualtalk56 has 56"), ("x", "layout 'x'")],
)
@pytest.mark.parametrize("mode", ["mean", "sample"])
def test_a_model_whose_layout_does_not_fit_is_refused(store, layout, slip, mode):
    trained = PretrainedModel(small_duet().model, "open", layout, {})
    with pytest.raises(InputError, match=slip):
        predict_closed_loop(store.conversation("test001"), trained, mode)


@pytest.fixture
def released(tmp_path) -> Path:
    """A checkpoint of DualTalk (Peng et al. 2025) as released, but tiny, with its sizes beside it."""
    sizes = {
        "feature_dim": 16,
        "hidden_dim": 32,
        "wav2vec2": {
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "do_stable_layer_norm": True,
            "feat_extract_norm": "layer",
            "conv_bias": True,
            "conv_dim": [8] * 7,
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
        },
    }
    torch.manual_seed(0)
    torch.save(Peng2025(Peng2025Config(**sizes)).state_dict(), tmp_path / "released.pth")
    (tmp_path / "released.json").write_text(json.dumps(sizes))
    return tmp_path / "released.pth"


@pytest.mark.parametrize("protocol", ["partner-given", "closed-loop"])
def test_a_released_checkpoint_predicts_a_flame_store(make_store, released, tmp_path, protocol):
    store = make_store({"train": [20], "validation": [20], "test": [30]}, space="flame")
    options = ["--model", str(released), "--protocol", protocol, "--out", str(tmp_path / "theirs")]
    result = CliRunner().invoke(app, ["predict", str(store.root), *options])
    assert result.exit_code == 0, result.output
    found = HeadMotion.load(tmp_path / "theirs" / "test000_speaker1.npz")
    assert (found.space, found.frames) == ("flame", 30)
    if protocol == "partner-given":
        talk = store.conversation("test000")
        network = load_peng2025(released)
        audio = torch.from_numpy(np.stack([person.audio for person in talk.participants]))[None]
        motion = np.stack([person.motion.to_layout(DUALTALK56).coefficients for person in talk.participants])
        with torch.no_grad():
            expected = network(audio, torch.from_numpy(motion)[None])[0, 0].numpy()
        assert np.allclose(found.to_layout(DUALTALK56).coefficients, expected, atol=1e-6)


def test_a_released_checkpoint_animates_a_flame_head_without_moving_eyes(store, released, flame_copy):
    talk = store.conversation("test000")
    simulated = simulate(talk, head=str(flame_copy), model=str(released))
    motion = simulated.a.motion
    assert (motion.space, motion.frames) == ("flame", talk.frames)
    assert not motion.eyes_rotvec_rad.any()
    assert np.isfinite(load_head(str(flame_copy)).vertices(motion)).all()
    with pytest.raises(InputError, match="predicts motion of space 'flame', open is of 'open'"):
        simulate(talk, model=str(released))


def test_evaluate_finds_the_predictions(store, tmp_path):
    save_model(tmp_path / "m.safetensors", StaticPose(62), space="open", layout="full62")
    command = ["predict", str(store.root), "--model", str(tmp_path / "m.safetensors"), "--mode", "mean"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "ours")])
    assert result.exit_code == 0, result.output
    system = find_system(tmp_path / "ours", "ours", "partner-given", "test")
    pairs, notes = match_predictions(find_reference(store.root, "test"), [system])
    assert [len(people) for _, people in pairs] == [2, 2]
    assert not notes
    assert json.loads((tmp_path / "ours" / "prediction.json").read_text())["options"]["mode"] == "mean"


def test_samples_differ_from_each_other_and_are_reproducible(store, tmp_path):
    for name in ("one", "two"):
        predict_split(store, small_duet(), tmp_path / name, samples=2, protocol="closed-loop")
    found = [motions(tmp_path / name / sample) for name in ("one", "two") for sample in ("sample0", "sample1")]
    assert all(np.array_equal(found[0][name], found[2][name]) for name in found[0])
    assert not any(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_invalid_requests_are_refused(store, tmp_path):
    for options, message in (
        ({"split": "ood"}, "no clip in split 'ood'"),
        ({"mode": "mean", "samples": 3}, "3 samples of a mean"),
    ):
        with pytest.raises(InputError, match=message):
            predict_split(store, small_duet(), tmp_path / "out", **options)
    foreign = PretrainedModel(StaticPose(56), "flame", "dualtalk56", {})
    with pytest.raises(InputError, match="the motion is in space 'open', the model's in 'flame'"):
        predict_partner_given(store.conversation("test000"), foreign)
    with pytest.raises(InputError, match="a person has no motion"):
        predict_partner_given(store.conversation("test000").with_motion(None, None), small_duet())


def test_truncate_keeps_the_beginning(store):
    talk = store.conversation("test000")
    short = truncate(talk, 0.4)
    assert short.frames == 10
    assert np.array_equal(short.a.audio, talk.a.audio[:6400])
    assert np.array_equal(short.b.motion.coefficients, talk.b.motion.coefficients[:10])
    assert truncate(talk, None) is talk


def test_a_layout_without_eyes_keeps_the_other_parts(store):
    motion = store.conversation("test000").a.motion
    fewer = motion.to_layout(DUALTALK56)
    assert np.array_equal(fewer.head_rotvec_rad, motion.head_rotvec_rad)
    assert not fewer.eyes_rotvec_rad.any()
    with pytest.raises(InputError, match="the motion has no eyes"):
        fewer.to_layout(motion.layout)


@pytest.mark.parametrize("model", ["default", "rules"])
def test_swapping_the_people_swaps_motion_and_identities(store, model):
    conversation = store.conversation("test001").with_motion(None, None)
    original = simulate(conversation, model=model, seed=3)
    swapped = simulate(conversation.swap_roles(), model=model, seed=3).swap_roles()
    for one, other in zip(original.participants, swapped.participants, strict=True):
        assert np.allclose(one.motion.coefficients, other.motion.coefficients, atol=1e-5)
        assert np.array_equal(one.motion.identity, other.motion.identity)
    assert not np.array_equal(original.a.motion.identity, original.b.motion.identity)


def test_the_animator_predicts_the_same_motion_by_both_protocols(store, tmp_path):
    for protocol in ("partner-given", "closed-loop"):
        command = ["predict", str(store.root), "--model", "rules", "--protocol", protocol]
        result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / protocol)])
        assert result.exit_code == 0, result.output
    given, closed = motions(tmp_path / "partner-given"), motions(tmp_path / "closed-loop")
    assert all(np.array_equal(given[name], closed[name]) for name in given)
    simulated = simulate(store.conversation("test001").with_motion(None, None), model="rules")
    assert np.array_equal(given["test001_speaker2.npz"], simulated.b.motion.coefficients)
    with pytest.raises(InputError, match="the rule-based animator has no mean"):
        predict_split(store, "rules", tmp_path / "mean", mode="mean")
