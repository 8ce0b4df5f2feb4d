"""Tests of every conversation model, duet and baselines alike, and of what each baseline predicts."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import AudioEncoder, CausalLogMel, resample_features
from dualtalk.models.baselines import (
    MeanPose,
    Mirror,
    NearestNeighbour,
    SingleStream,
    SingleStreamConfig,
    StaticPose,
)
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.interface import ConversationModel, Frame, motion_before, roll_out
from dualtalk.timebase import SAMPLES_PER_FRAME

MOTION_DIM, FRAMES = 6, 40


def talk(frames: int = FRAMES, batch: int = 2, seed: int = 1) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    audio = 0.1 * torch.randn(batch, 2, frames * SAMPLES_PER_FRAME, generator=numbers)
    return audio, torch.randn(batch, 2, frames, MOTION_DIM, generator=numbers)


def a_pose(batch: int = 2) -> Tensor:
    return torch.randn(batch, 2, MOTION_DIM, generator=torch.Generator().manual_seed(2))


def mean_pose() -> MeanPose:
    model = MeanPose(MOTION_DIM)
    motion = talk(seed=3)[1]
    model.fit(motion, torch.ones(motion.shape[:3], dtype=torch.bool))
    return model


def nearest_neighbour() -> NearestNeighbour:
    model = NearestNeighbour(MOTION_DIM, window_frames=10, hold_frames=7)
    model.build_index([talk(seed=3), talk(frames=3, seed=5), talk(frames=30, seed=4)])
    return model


def single_stream(audio_source: str, audio_encoder: AudioEncoder | None = None, **sizes) -> SingleStream:
    torch.manual_seed(0)
    small = {"d_model": 16, "layers": 2, "heads": 2, "attention_window": 6, "ffn_dim": 24}
    config = SingleStreamConfig(audio_source, MOTION_DIM, **(small | sizes))
    model = SingleStream(config, audio_encoder or CausalLogMel(n_mels=10)).eval()
    model.motion_normalizer.fit(talk(seed=3)[1] * 3 + 1)
    return model


def duet(**sizes) -> Duet:
    torch.manual_seed(0)
    small = {"d_model": 16, "layers": 2, "heads": 2, "attention_window": 6, "ffn_dim": 24, "flow_hidden_size": 16}
    model = Duet(DuetConfig(MOTION_DIM, **(small | sizes)), CausalLogMel(n_mels=10)).eval()
    model.motion_normalizer.fit(talk(seed=3)[1] * 3 + 1)
    return model


MODELS = {
    "duet": duet,
    "duet without look-ahead": lambda: duet(lookahead_frames=0),
    "static pose": lambda: StaticPose(MOTION_DIM),
    "mean pose": mean_pose,
    "mirror": lambda: Mirror(MOTION_DIM, delay_frames=5),
    "mirror without delay": lambda: Mirror(MOTION_DIM, delay_frames=1),
    "nearest neighbour": nearest_neighbour,
    "speaker": lambda: single_stream("self"),
    "speaker ahead": lambda: single_stream("self", lookahead_frames=3),
    "speaker without past": lambda: single_stream("self", autoregressive=False),
    "listener": lambda: single_stream("partner"),
    "listener ahead": lambda: single_stream("partner", lookahead_frames=2),
    "listener without past": lambda: single_stream("partner", autoregressive=False),
}


@pytest.fixture(params=MODELS)
def model(request) -> ConversationModel:
    return MODELS[request.param]()


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def both(motion: Tensor) -> tuple[Tensor, Tensor]:
    return motion[:, 0], motion[:, 1]


def test_streamed_equals_whole(model):
    audio, motion = talk()
    for initial_pose in (None, a_pose()):
        whole = model(audio, motion, initial_pose)
        assert whole.shape == motion.shape
        torch.testing.assert_close(
            roll_out(model, audio, forced=both(motion), initial_pose=initial_pose), whole, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("frame", [0, 13, FRAMES - 1])
def test_no_frame_depends_on_the_future(model, frame):
    audio, motion = talk()
    other_audio, other_motion = talk(seed=9)
    known = (frame + 1 + model.lookahead_frames) * SAMPLES_PER_FRAME
    changed_audio = torch.cat([audio[..., :known], other_audio[..., known:]], dim=-1)
    changed_motion = torch.cat([motion[:, :, :frame], other_motion[:, :, frame:]], dim=2)
    before, after = model(audio, motion), model(changed_audio, changed_motion)
    torch.testing.assert_close(before[:, :, : frame + 1], after[:, :, : frame + 1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name in MODELS if "speaker" in name or "listener" in name])
def test_gradients_reach_exactly_the_documented_inputs(name):
    model, (audio, motion) = MODELS[name](), talk(batch=1)
    with torch.enable_grad():
        audio, motion = audio.requires_grad_(), motion.requires_grad_()
        (model(audio, motion)[0, 0, 5].sum() + 0 * motion.sum()).backward()
    samples, frames = audio.grad[0].nonzero(), motion.grad[0].abs().sum(dim=-1).nonzero().tolist()
    config = model.config
    assert samples[:, 0].unique().tolist() == [config.audio_source == "partner"]
    end = (6 + config.lookahead_frames) * SAMPLES_PER_FRAME
    assert end - 2 <= samples[:, 1].max() < end
    whose = [0] * config.autoregressive + [1] * (config.audio_source == "partner")
    assert frames == [[person, frame] for person in whose for frame in range(5)]


def test_swapping_people_swaps_motion(model):
    (audio, motion), initial_pose = talk(), a_pose()
    swapped = model(audio.flip(1), motion.flip(1), initial_pose.flip(1))
    torch.testing.assert_close(swapped.flip(1), model(audio, motion, initial_pose), atol=1e-6, rtol=0)
    swapped = roll_out(model, audio.flip(1), initial_pose=initial_pose.flip(1))
    torch.testing.assert_close(
        swapped.flip(1), roll_out(model, audio, initial_pose=initial_pose), atol=1e-5, rtol=0
    )


def test_conversations_of_a_batch_do_not_mix(model):
    audio, motion = talk()
    torch.testing.assert_close(model(audio, motion)[1:], model(audio[1:], motion[1:]), atol=1e-5, rtol=0)


def test_the_same_conversation_gives_the_same_motion(model):
    audio, _ = talk()
    assert torch.equal(roll_out(model, audio), roll_out(model, audio))


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_silence_and_a_single_frame_stay_finite(model, frames):
    silence = torch.zeros(1, 2, frames * SAMPLES_PER_FRAME)
    still = torch.zeros(1, 2, frames, MOTION_DIM)
    for output in (model(silence, still), roll_out(model, silence), roll_out(model, talk(frames)[0][:1])):
        assert output.shape == still.shape
        assert output.isfinite().all()


def test_decoding_can_continue_from_one_state_twice(model):
    audio, motion = talk()
    chunks = audio.split(SAMPLES_PER_FRAME, dim=-1)
    state = model.start(audio[..., : model.lookahead_frames * SAMPLES_PER_FRAME])
    frames = [Frame(chunks[t], motion[:, :, t]) for t in (1, 2)]
    _, state = model.step(state, frames[0])
    once, _ = model.step(state, frames[1])
    model.step(state, frames[0])
    again, _ = model.step(state, frames[1])
    assert torch.equal(once, again)


def test_a_model_runs_on_the_device_of_its_weights(model, monkeypatch):
    # Tensors on the meta device have no values. Like those of a GPU, they cannot be combined with CPU tensors. The
    # device has no mixed precision.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    # Comparisons between meta tensors find no difference.
    monkeypatch.setattr(Tensor, "__float__", lambda _: 0.0)
    audio, motion = (part.to("meta") for part in talk())
    model.to("meta")
    assert model(audio, motion).shape == motion.shape
    assert roll_out(model, audio, forced=(motion[:, 0], None)).shape == motion.shape


def test_inputs_of_another_shape_are_refused(model):
    audio, motion = talk()
    with pytest.raises(InputError, match="motion has shape"):
        model(audio, motion[:, :, 1:])
    with pytest.raises(InputError, match="motion has shape"):
        model(audio, motion[..., 1:])
    with pytest.raises(InputError, match="whole motion frames"):
        model(audio[..., 1:], motion)
    with pytest.raises(InputError, match="forced motion has shape"):
        roll_out(model, audio, forced=(motion[:, 0, 1:], None))


def test_motion_before_delays_motion_by_one_frame():
    _, motion = talk()
    initial_pose = a_pose()
    assert torch.equal(
        motion_before(motion, initial_pose), torch.cat([initial_pose[:, :, None], motion[:, :, :-1]], dim=2)
    )
    assert not motion_before(motion, None)[:, :, 0].any()


def test_forced_motion_replaces_the_models_own_output():
    (audio, motion), model = talk(), Mirror(MOTION_DIM, delay_frames=1)
    initial_pose = a_pose()
    output = roll_out(model, audio, forced=(motion[:, 0], None), initial_pose=initial_pose)
    assert torch.equal(output[:, 1], motion_before(motion, initial_pose)[:, 0])
    assert not torch.equal(output[:, 1], roll_out(model, audio, initial_pose=initial_pose)[:, 1])


def test_a_static_pose_is_the_initial_pose():
    audio, motion = talk()
    initial_pose = a_pose()
    assert torch.equal(
        StaticPose(MOTION_DIM)(audio, motion, initial_pose), initial_pose[:, :, None].expand_as(motion)
    )


def test_the_mean_pose_minimizes_the_squared_error():
    audio, motion = talk()
    model = MeanPose(MOTION_DIM)
    model.fit(motion, torch.ones(motion.shape[:3], dtype=torch.bool))
    error = (model(audio, motion) - motion).square().mean()
    for shift in (-0.01, 0.01):
        model.pose += shift
        assert (model(audio, motion) - motion).square().mean() > error
        model.pose -= shift


def test_a_mirror_repeats_the_partner_after_its_delay():
    audio, motion = talk()
    output = Mirror(MOTION_DIM, delay_frames=4)(audio, motion, a_pose())
    assert torch.equal(output[:, :, 4:], motion[:, :, :-4].flip(1))
    assert torch.equal(output[:, :, :4], a_pose().flip(1)[:, :, None].expand(-1, -1, 4, -1))
    with pytest.raises(InputError, match="a delay of 0"):
        Mirror(MOTION_DIM, delay_frames=0)


def test_nearest_neighbour_of_indexed_audio_is_its_motion():
    audio, motion = talk(frames=35)
    model = NearestNeighbour(MOTION_DIM, window_frames=10, hold_frames=5, stride_frames=5)
    model.build_index([talk(frames=35, seed=5), (audio, motion)])
    assert torch.equal(model(audio, torch.zeros_like(motion)), motion)
    assert torch.equal(model(audio.flip(1), torch.zeros_like(motion)), motion.flip(1))


def test_the_index_is_saved(tmp_path):
    model, (audio, motion) = nearest_neighbour(), talk()
    torch.save(model.state_dict(), tmp_path / "model.pth")
    other = NearestNeighbour(MOTION_DIM, window_frames=10, hold_frames=7)
    other.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))
    assert torch.equal(other(audio, motion), model(audio, motion))


def test_an_empty_index_is_refused():
    model = NearestNeighbour(MOTION_DIM)
    model.build_index([talk(frames=24), talk(frames=1)])
    with pytest.raises(InputError, match="empty index"):
        model(*talk())
    with pytest.raises(InputError, match="multiple of 5"):
        NearestNeighbour(MOTION_DIM, window_frames=12)


@pytest.mark.parametrize("audio_source", ["self", "partner"])
def test_a_transformer_learns_to_follow_its_audio_source(audio_source):
    audio, _ = talk(batch=4)
    loud = torch.rand(4, 2, FRAMES, generator=torch.Generator().manual_seed(5))
    audio = audio * loud.repeat_interleave(SAMPLES_PER_FRAME, dim=2)
    motion = (
        (loud if audio_source == "self" else loud.flip(1))[..., None].expand(-1, -1, -1, MOTION_DIM).contiguous()
    )
    model = single_stream(audio_source, autoregressive=False).train()
    model.motion_normalizer.fit(motion)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    with torch.enable_grad():
        for _ in range(60):
            optimizer.zero_grad()
            error = (model(audio, motion) - motion).square().mean()
            error.backward()
            optimizer.step()
    assert error < 0.2 * motion.var()


class NotCausal(AudioEncoder):
    causal, width = False, 4

    def forward(self, audio: Tensor) -> Tensor:
        loudness = audio.unflatten(1, (-1, 160)).std(dim=2, keepdim=True)
        return resample_features(loudness.expand(-1, -1, 4), audio.shape[1] // SAMPLES_PER_FRAME)


def test_with_an_encoder_that_is_not_causal_a_model_rolls_out_but_does_not_stream():
    model, (audio, motion) = single_stream("self", NotCausal()), talk()
    assert model.lookahead_frames is None
    forced = roll_out(model, audio, forced=both(motion))
    torch.testing.assert_close(forced, model(audio, motion), atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="SingleStream needs the whole recording"):
        model.start(audio[..., :0])
