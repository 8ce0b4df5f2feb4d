"""Laws that every model of conversation keeps, duet and baselines alike; and what each baseline is for."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import CausalLogMel, FrontEnd, stretched
from dualtalk.models.baselines import HoldStill, MeanPose, Mirror, NearestNeighbour, OneVoice, OneVoiceConfig
from dualtalk.models.duet import Duet, DuetConfig
from dualtalk.models.interface import SAMPLES_PER_FRAME, ConversationModel, Frame, motion_before, roll_out

COEFFICIENTS, FRAMES = 6, 40


def talk(frames: int = FRAMES, batch: int = 2, seed: int = 1) -> tuple[Tensor, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    audio = 0.1 * torch.randn(batch, 2, frames * SAMPLES_PER_FRAME, generator=numbers)
    return audio, torch.randn(batch, 2, frames, COEFFICIENTS, generator=numbers)


def a_pose(batch: int = 2) -> Tensor:
    return torch.randn(batch, 2, COEFFICIENTS, generator=torch.Generator().manual_seed(2))


def mean_pose() -> MeanPose:
    model = MeanPose(COEFFICIENTS)
    motion = talk(seed=3)[1]
    model.fit(motion, torch.ones(motion.shape[:3], dtype=torch.bool))
    return model


def nearest_neighbour() -> NearestNeighbour:
    model = NearestNeighbour(COEFFICIENTS, window_frames=10, hold_frames=7)
    model.remember([talk(seed=3), talk(frames=3, seed=5), talk(frames=30, seed=4)])
    return model


def one_voice(hears: str, front_end: FrontEnd | None = None, **sizes) -> OneVoice:
    torch.manual_seed(0)
    small = {"width": 16, "layers": 2, "heads": 2, "window_frames": 6, "hidden": 24}
    config = OneVoiceConfig(hears, COEFFICIENTS, **(small | sizes))
    model = OneVoice(config, front_end or CausalLogMel(mels=10)).eval()
    model.scale.fit(talk(seed=3)[1] * 3 + 1)
    return model


def duet(**sizes) -> Duet:
    torch.manual_seed(0)
    small = {"width": 16, "layers": 2, "heads": 2, "window_frames": 6, "hidden": 24, "flow_width": 16}
    model = Duet(DuetConfig(COEFFICIENTS, **(small | sizes)), CausalLogMel(mels=10)).eval()
    model.scale.fit(talk(seed=3)[1] * 3 + 1)
    return model


MODELS = {
    "duet": duet,
    "duet without look-ahead": lambda: duet(look_ahead_frames=0),
    "hold still": lambda: HoldStill(COEFFICIENTS),
    "mean pose": mean_pose,
    "mirror": lambda: Mirror(COEFFICIENTS, delay_frames=5),
    "mirror at once": lambda: Mirror(COEFFICIENTS, delay_frames=1),
    "nearest neighbour": nearest_neighbour,
    "speaker": lambda: one_voice("own"),
    "speaker ahead": lambda: one_voice("own", look_ahead_frames=3),
    "speaker without past": lambda: one_voice("own", sees_own_past=False),
    "listener": lambda: one_voice("partner"),
    "listener ahead": lambda: one_voice("partner", look_ahead_frames=2),
    "listener without past": lambda: one_voice("partner", sees_own_past=False),
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
    for first in (None, a_pose()):
        whole = model(audio, motion, first)
        assert whole.shape == motion.shape
        torch.testing.assert_close(
            roll_out(model, audio, given=both(motion), first=first), whole, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("frame", [0, 13, FRAMES - 1])
def test_no_frame_depends_on_the_future(model, frame):
    audio, motion = talk()
    other_audio, other_motion = talk(seed=9)
    heard = (frame + 1 + model.look_ahead_frames) * SAMPLES_PER_FRAME
    changed_audio = torch.cat([audio[..., :heard], other_audio[..., heard:]], dim=-1)
    changed_motion = torch.cat([motion[:, :, :frame], other_motion[:, :, frame:]], dim=2)
    before, after = model(audio, motion), model(changed_audio, changed_motion)
    torch.testing.assert_close(before[:, :, : frame + 1], after[:, :, : frame + 1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name in MODELS if "speaker" in name or "listener" in name])
def test_by_gradient_a_frame_depends_on_all_it_may_and_no_more(name):
    model, (audio, motion) = MODELS[name](), talk(batch=1)
    with torch.enable_grad():
        audio, motion = audio.requires_grad_(), motion.requires_grad_()
        (model(audio, motion)[0, 0, 5].sum() + 0 * motion.sum()).backward()
    heard, seen = audio.grad[0].nonzero(), motion.grad[0].abs().sum(dim=-1).nonzero().tolist()
    config = model.config
    assert heard[:, 0].unique().tolist() == [config.hears == "partner"]
    end = (6 + config.look_ahead_frames) * SAMPLES_PER_FRAME
    assert end - 2 <= heard[:, 1].max() < end
    whose = [0] * config.sees_own_past + [1] * (config.hears == "partner")
    assert seen == [[person, frame] for person in whose for frame in range(5)]


def test_swapping_people_swaps_motion(model):
    (audio, motion), first = talk(), a_pose()
    swapped = model(audio.flip(1), motion.flip(1), first.flip(1))
    torch.testing.assert_close(swapped.flip(1), model(audio, motion, first), atol=1e-6, rtol=0)
    swapped = roll_out(model, audio.flip(1), first=first.flip(1))
    torch.testing.assert_close(swapped.flip(1), roll_out(model, audio, first=first), atol=1e-5, rtol=0)


def test_conversations_of_a_batch_do_not_mix(model):
    audio, motion = talk()
    torch.testing.assert_close(model(audio, motion)[1:], model(audio[1:], motion[1:]), atol=1e-5, rtol=0)


def test_the_same_conversation_moves_alike_twice(model):
    audio, _ = talk()
    assert torch.equal(roll_out(model, audio), roll_out(model, audio))


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_silence_and_a_single_frame_stay_finite(model, frames):
    silence = torch.zeros(1, 2, frames * SAMPLES_PER_FRAME)
    still = torch.zeros(1, 2, frames, COEFFICIENTS)
    for moved in (model(silence, still), roll_out(model, silence), roll_out(model, talk(frames)[0][:1])):
        assert moved.shape == still.shape
        assert moved.isfinite().all()


def test_a_state_can_be_stepped_from_twice(model):
    audio, motion = talk()
    sounds = audio.split(SAMPLES_PER_FRAME, dim=-1)
    state = model.start(audio[..., : model.look_ahead_frames * SAMPLES_PER_FRAME])
    frames = [Frame(sounds[t], motion[:, :, t]) for t in (1, 2)]
    _, state = model.step(state, frames[0])
    once, _ = model.step(state, frames[1])
    model.step(state, frames[0])
    again, _ = model.step(state, frames[1])
    assert torch.equal(once, again)


def test_a_model_works_where_its_weights_are(model, monkeypatch):
    # The meta device has no numbers and no mixed precision, and refuses to mix with any other as a GPU does.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    # Whoever asks by how much two of its tensors differ hears that they do not.
    monkeypatch.setattr(Tensor, "__float__", lambda _: 0.0)
    audio, motion = (part.to("meta") for part in talk())
    model.to("meta")
    assert model(audio, motion).shape == motion.shape
    assert roll_out(model, audio, given=(motion[:, 0], None)).shape == motion.shape


def test_what_does_not_fit_is_refused(model):
    audio, motion = talk()
    with pytest.raises(InputError, match="motion has shape"):
        model(audio, motion[:, :, 1:])
    with pytest.raises(InputError, match="motion has shape"):
        model(audio, motion[..., 1:])
    with pytest.raises(InputError, match="whole motion frames"):
        model(audio[..., 1:], motion)
    with pytest.raises(InputError, match="motion given has shape"):
        roll_out(model, audio, given=(motion[:, 0, 1:], None))


def test_motion_before_is_one_frame_late():
    _, motion = talk()
    first = a_pose()
    assert torch.equal(motion_before(motion, first), torch.cat([first[:, :, None], motion[:, :, :-1]], dim=2))
    assert not motion_before(motion, None)[:, :, 0].any()


def test_the_given_partner_is_seen_and_not_what_the_model_made_of_them():
    (audio, motion), model, first = talk(), Mirror(COEFFICIENTS, delay_frames=1), a_pose()
    moved = roll_out(model, audio, given=(motion[:, 0], None), first=first)
    assert torch.equal(moved[:, 1], motion_before(motion, first)[:, 0])
    assert not torch.equal(moved[:, 1], roll_out(model, audio, first=first)[:, 1])


def test_who_holds_still_keeps_the_pose_before():
    audio, motion = talk()
    first = a_pose()
    assert torch.equal(HoldStill(COEFFICIENTS)(audio, motion, first), first[:, :, None].expand_as(motion))


def test_the_mean_pose_is_the_best_constant():
    audio, motion = talk()
    model = MeanPose(COEFFICIENTS)
    model.fit(motion, torch.ones(motion.shape[:3], dtype=torch.bool))
    error = (model(audio, motion) - motion).square().mean()
    for shift in (-0.01, 0.01):
        model.pose += shift
        assert (model(audio, motion) - motion).square().mean() > error
        model.pose -= shift


def test_a_mirror_is_late_by_its_delay():
    audio, motion = talk()
    moved = Mirror(COEFFICIENTS, delay_frames=4)(audio, motion, a_pose())
    assert torch.equal(moved[:, :, 4:], motion[:, :, :-4].flip(1))
    assert torch.equal(moved[:, :, :4], a_pose().flip(1)[:, :, None].expand(-1, -1, 4, -1))
    with pytest.raises(InputError, match="a delay of 0"):
        Mirror(COEFFICIENTS, delay_frames=0)


def test_what_was_heard_before_is_played_as_it_was():
    audio, motion = talk(frames=35)
    model = NearestNeighbour(COEFFICIENTS, window_frames=10, hold_frames=5, stride_frames=5)
    model.remember([talk(frames=35, seed=5), (audio, motion)])
    assert torch.equal(model(audio, torch.zeros_like(motion)), motion)
    assert torch.equal(model(audio.flip(1), torch.zeros_like(motion)), motion.flip(1))


def test_what_is_remembered_is_saved(tmp_path):
    model, (audio, motion) = nearest_neighbour(), talk()
    torch.save(model.state_dict(), tmp_path / "model.pth")
    other = NearestNeighbour(COEFFICIENTS, window_frames=10, hold_frames=7)
    other.load_state_dict(torch.load(tmp_path / "model.pth", weights_only=True))
    assert torch.equal(other(audio, motion), model(audio, motion))


def test_without_memory_there_is_no_neighbour():
    model = NearestNeighbour(COEFFICIENTS)
    model.remember([talk(frames=24), talk(frames=1)])
    with pytest.raises(InputError, match="nothing to choose from"):
        model(*talk())
    with pytest.raises(InputError, match="multiple of 5"):
        NearestNeighbour(COEFFICIENTS, window_frames=12)


@pytest.mark.parametrize("hears", ["own", "partner"])
def test_a_transformer_learns_to_follow_the_voice_it_hears(hears):
    audio, _ = talk(batch=4)
    loud = torch.rand(4, 2, FRAMES, generator=torch.Generator().manual_seed(5))
    audio = audio * loud.repeat_interleave(SAMPLES_PER_FRAME, dim=2)
    motion = (loud if hears == "own" else loud.flip(1))[..., None].expand(-1, -1, -1, COEFFICIENTS).contiguous()
    model = one_voice(hears, sees_own_past=False).train()
    model.scale.fit(motion)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    with torch.enable_grad():
        for _ in range(60):
            optimiser.zero_grad()
            error = (model(audio, motion) - motion).square().mean()
            error.backward()
            optimiser.step()
    assert error < 0.2 * motion.var()


class HearsItAll(FrontEnd):
    causal, width = False, 4

    def forward(self, audio: Tensor) -> Tensor:
        loudness = audio.unflatten(1, (-1, 160)).std(dim=2, keepdim=True)
        return stretched(loudness.expand(-1, -1, 4), audio.shape[1] // SAMPLES_PER_FRAME)


def test_a_front_end_that_is_not_causal_makes_a_model_that_cannot_be_streamed():
    model = one_voice("own", HearsItAll())
    assert model.look_ahead_frames is None
    assert model(*talk()).isfinite().all()
    with pytest.raises(InputError, match="OneVoice hears a whole recording"):
        roll_out(model, talk()[0])
