"""The interface of every model of a conversation: audio and motion of two people in, motion of both out.

Axis names: batch, party (always 2), frame, sample, coef. Person p of the output is person p of the input, and
swapping the people swaps the output. Audio is 16 kHz in [-1, 1], exactly 640 samples a motion frame. Motion is
25 frames a second; the caller's layout says what its coefficients mean.

Inputs that the motion of frame t may depend on, for both people alike:

| | from | up to and including |
|---|---|---|
| audio | the first sample | the last sample of frame t + `lookahead_frames` |
| motion | `initial_pose`, the pose before frame 0 | frame t - 1 |
| noise | frame 0 | frame t |

Audio past the end of a recording is silence. A model whose `lookahead_frames` is None encodes the whole recording
before it decodes the first frame. A model whose `causal_motion` is False reads all of the partner's motion, too;
it has `forward` alone.

A model is a function of tensors. It has no hidden state and draws no random numbers in evaluation mode: the caller
draws the noise of a sample, and so holds the seed.

A model of another package is a subclass of `ConversationModel`, named by an entry point of the group
`dualtalk.models`; see `ConversationModel` for what it must define.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.models.audio_encoders import AudioEncoder, State, not_streamable
from dualtalk.models.training_interface import Criterion, Geometry, TrainingBatch
from dualtalk.timebase import SAMPLES_PER_FRAME

# Frames of audio that `roll_out` encodes at a time. It bounds memory and does not change the result.
ENCODER_CHUNK_FRAMES = 250

OnePersonsMotion = Float[Tensor, "batch frame coef"] | None


@dataclass(frozen=True)
class Frame:
    """Inputs of one decoding step.

    Attributes
    ----------
    audio : (batch, 2, feature)
        For `ConversationModel.step`, the 640 samples of both people over frame t + `lookahead_frames`, silence
        past the end. For `ConversationModel.decode_step`, features from `ConversationModel.encode_audio`.
    previous : (batch, 2, coef)
        Motion of both people at frame t - 1: observed, or the model's own output, or one of each. At frame 0, the
        `initial_pose` of `ConversationModel.forward`.
    noise : (batch, 2, coef) or None
        Standard normal numbers for a stochastic sample; None for the deterministic prediction. Deterministic
        models ignore it.
    """

    audio: Float[Tensor, "batch 2 feature"]
    previous: Float[Tensor, "batch 2 coef"]
    noise: Float[Tensor, "batch 2 coef"] | None = None


class ConversationModel(nn.Module, ABC):
    """Predicts the motion of both people from their audio and past motion.

    A model of this or another package defines

    - `model_type`, its name in model files; a plug-in's entry point in the group `dualtalk.models` has the same
      name and refers to the class;
    - `forward`; for streaming also `start` and `decode_step`, and `encode_audio` if the model computes audio
      features;
    - `config_class`, a dataclass of JSON values from which `__init__(config, *audio_encoders)` builds the model. A
      class without one is built as `__init__(**to_config())`, by default from `motion_dim` alone.

    That is enough for training, because the default `training_losses` trains `forward`. A model that is not built
    in one of these two ways overrides `to_config` and `from_config`.

    Attributes
    ----------
    motion_dim : int
        Width of a motion vector.
    lookahead_frames : int or None
        Frames of audio beyond its own that a motion frame needs; None for the whole recording.
    max_lookahead_frames : int or None
        Greatest look-ahead of a network that serves several: training draws one from 0 to this for every step.
        None for a network with one look-ahead.
    causal_motion : bool
        Whether a frame depends on motion before it alone, so that the model can be rolled out on its own output.
    """

    model_type: ClassVar[str]
    config_class: ClassVar[type | None] = None
    causal_motion: ClassVar[bool] = True

    config: Any
    audio_encoder: AudioEncoder
    motion_dim: int
    lookahead_frames: int | None = 0

    @property
    def max_lookahead_frames(self) -> int | None:
        return None

    @property
    def audio_encoders(self) -> Sequence[AudioEncoder]:
        """Audio encoders that the model was built with, in the order of the constructor."""
        return () if self.config_class is None else (self.audio_encoder,)

    def to_config(self) -> dict[str, Any]:
        """JSON values from which `from_config` builds the same model."""
        return {"motion_dim": self.motion_dim} if self.config_class is None else asdict(self.config)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], audio_encoders: Sequence[AudioEncoder] = ()
    ) -> "ConversationModel":
        """An untrained model from what `to_config` returned.

        Raises
        ------
        TypeError
            A field that the config does not have.
        """
        if cls.config_class is None:
            return cls(**config)
        return cls(cls.config_class(**config), *audio_encoders)

    @abstractmethod
    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """Motion of both people over a whole recording, each frame from the given motion before it.

        Parameters
        ----------
        audio : (batch, 2, sample)
            640 samples for each frame of `motion`.
        motion : (batch, 2, frame, coef)
            Teacher forcing: frame t is read for frames after t only.
        initial_pose : (batch, 2, coef) or None
            The pose before frame 0; None for zeros, a neutral face.
        noise : (batch, 2, frame, coef) or None
            As `Frame.noise`, for all frames.

        Raises
        ------
        InputError
            Audio and motion do not fit each other or this model.
        """

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        """Estimate statistics of the training motion, such as the mean and scale of coefficients."""

    def expand_range(self, motion: Float[Tensor, "frame coef"]) -> None:
        """Fine-tuning: extend the range of valid coefficients, where the model keeps one, to that of `motion`."""

    def set_geometry(self, geometry: Geometry) -> None:
        """Set what the model uses of the head. Models that use nothing of it ignore this."""

    def set_vtlp_range(self, factors: tuple[float, float] | None) -> None:
        """Set the range of vocal tract length perturbation in training; None for none."""
        for encoder in self.audio_encoders:
            encoder.vtlp_range = factors

    def training_losses(self, batch: TrainingBatch, criterion: Criterion) -> dict[str, Float[Tensor, ""]]:
        """Weighted losses of one step, by name; training minimizes their sum."""
        history = batch.scheduled_history(lambda motion: self(batch.audio, motion))
        return criterion.motion_losses(self(batch.audio, history), batch.motion, batch.valid)

    def trained_tensors(self) -> list[Tensor]:
        """Tensors that training changes: weights, and statistics that it updates step by step."""
        return list(self.parameters())

    @property
    def needs_calibration(self) -> bool:
        """Whether `calibrate` is to be called after training."""
        return False

    def calibrate(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        valid: Bool[Tensor, "batch 2 frame"],
        noise: Float[Tensor, "batch 2 frame coef"],
    ) -> None:
        """Fit the postprocessing to closed-loop samples of the trained network and to the ground truth."""

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        """The state before frame 0.

        Parameters
        ----------
        ahead : (batch, 2, sample)
            The first `lookahead_frames` frames of audio, 640 samples each; empty without a look-ahead. It also
            sets the batch size and the device.

        Raises
        ------
        InputError
            This model cannot be streamed.
        """
        raise not_streamable(self)

    def encode_audio(
        self, state: State, audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame feature"], State]:
        """Audio features of the next frames, independent of motion, and the state after them.

        Encoding many frames at once costs far less than one by one. By default features are the samples.
        """
        return audio.unflatten(-1, (-1, SAMPLES_PER_FRAME)), state

    def encode_recording(
        self, audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame feature"], State]:
        """Features of a whole recording and the state before frame 0, for audio encoders that are not causal.

        Raises
        ------
        InputError
            This model cannot be rolled out.
        """
        raise not_streamable(self)

    def decode_step(self, state: State, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], State]:
        """Motion of the next frame whose audio was encoded, and the state after it."""
        raise not_streamable(self)

    def decode_chunk(
        self,
        state: State,
        features: Float[Tensor, "batch 2 frame feature"],
        previous: Float[Tensor, "batch 2 coef"],
        forced: tuple[OnePersonsMotion, OnePersonsMotion] = (None, None),
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> tuple[Float[Tensor, "batch 2 frame coef"], State]:
        """Autoregressive motion of the next frames, and the state after them.

        Each frame follows from what `apply_forcing` returns for the frame before it. A model may compute many
        frames faster than `decode_step` does one by one; the result is the same.
        """
        predictions = []
        for t, frame_features in enumerate(features.unbind(2)):
            frame = Frame(frame_features, previous, None if noise is None else noise[:, :, t])
            prediction, state = self.decode_step(state, frame)
            predictions.append(prediction)
            previous = apply_forcing(prediction[:, :, None], slice_time(forced, slice(t, t + 1)))[:, :, 0]
        return torch.stack(predictions, dim=2), state

    def postprocess(self, motion: Float[Tensor, "batch 2 *frame coef"]) -> Float[Tensor, "batch 2 *frame coef"]:
        """A sample as users see it. The autoregression continues from the sample itself."""
        return motion

    def step(self, state: State, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], State]:
        """Motion of the next frame, and the state after it.

        Frame by frame this gives what `forward` gives for the whole. `state` is not changed, so a conversation can
        be continued from it in more than one way, and gradients pass through. Time and memory of a step do not
        grow with the number of steps.
        """
        features, state = self.encode_audio(state, frame.audio)
        return self.decode_step(state, replace(frame, audio=features[:, :, 0]))


def roll_out(
    model: ConversationModel,
    audio: Float[Tensor, "batch 2 sample"],
    *,
    forced: tuple[OnePersonsMotion, OnePersonsMotion] = (None, None),
    initial_pose: Float[Tensor, "batch 2 coef"] | None = None,
    noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    postprocess: bool = True,
) -> Float[Tensor, "batch 2 frame coef"]:
    """Run a model over a recording autoregressively, on its own output.

    Parameters
    ----------
    audio : (batch, 2, sample)
        A multiple of 640 samples.
    forced : two of (batch, frame, coef) or None
        Ground-truth motion of person 0 and of person 1 that replaces the model's own output in the history. None
        and None is the closed loop. One of them is the published protocol, partner given: the model's output for
        the other person is the prediction. Both is teacher forcing.
    initial_pose, noise
        As in `ConversationModel.forward`.
    postprocess : bool
        Whether `ConversationModel.postprocess` is applied to samples.

    Returns
    -------
    (batch, 2, frame, coef)
        The model's output, for people with forced motion too.

    Raises
    ------
    InputError
        The model cannot be streamed, or `forced` does not fit the audio.
    """
    frames = whole_frames(audio)
    for motion in forced:
        if motion is not None and motion.shape[1:] != (frames, model.motion_dim):
            raise InputError(
                f"forced motion has shape {tuple(motion.shape)}; audio of {frames} frames wants "
                f"(batch, {frames}, {model.motion_dim})"
            )
    previous = audio.new_zeros(len(audio), 2, model.motion_dim) if initial_pose is None else initial_pose
    chunks: list[Tensor] = []
    done = 0
    if model.lookahead_frames is None:
        features, state = model.encode_recording(audio)
        encoded = iter(features.split(ENCODER_CHUNK_FRAMES, dim=2))
    else:
        ahead = model.lookahead_frames * SAMPLES_PER_FRAME
        padded = nn.functional.pad(audio, (0, ahead))
        state = model.start(padded[..., :ahead])
        encoded = iter(padded[..., ahead:].split(ENCODER_CHUNK_FRAMES * SAMPLES_PER_FRAME, dim=-1))
    for chunk in encoded:
        if model.lookahead_frames is None:
            features = chunk
        else:
            features, state = model.encode_audio(state, chunk)
        span = slice(done, done + features.shape[2])
        forced_chunk = slice_time(forced, span)
        noise_chunk = None if noise is None else noise[:, :, span]
        prediction, state = model.decode_chunk(state, features, previous, forced_chunk, noise_chunk)
        chunks.append(prediction)
        previous, done = apply_forcing(prediction, forced_chunk)[:, :, -1], span.stop
    motion = torch.cat(chunks, dim=2)
    return model.postprocess(motion) if postprocess and noise is not None else motion


def apply_forcing(
    motion: Float[Tensor, "batch 2 frame coef"], forced: tuple[OnePersonsMotion, OnePersonsMotion]
) -> Float[Tensor, "batch 2 frame coef"]:
    """`motion`, with that of a person who has `forced` motion replaced by it."""
    if forced[0] is None and forced[1] is None:
        return motion
    return torch.stack([motion[:, p] if one is None else one for p, one in enumerate(forced)], dim=1)


def slice_time(
    forced: tuple[OnePersonsMotion, OnePersonsMotion], frames: slice
) -> tuple[Float[Tensor, "batch some coef"] | None, Float[Tensor, "batch some coef"] | None]:
    """A span of frames of both people's forced motion."""
    first, second = (None if motion is None else motion[:, frames] for motion in forced)
    return first, second


def whole_frames(audio: Float[Tensor, "*batch sample"]) -> int:
    """Number of motion frames of `audio`, which must be at least one.

    Raises
    ------
    InputError
        There is none, or the audio ends within a frame.
    """
    frames, rest = divmod(audio.shape[-1], SAMPLES_PER_FRAME)
    if rest or not frames:
        raise InputError(
            f"audio of {audio.shape[-1]} samples; wanted whole motion frames of {SAMPLES_PER_FRAME}, one or more"
        )
    return frames


def require_fit(
    model: ConversationModel, audio: Float[Tensor, "batch 2 sample"], motion: Float[Tensor, "batch 2 frame coef"]
) -> None:
    """Check that audio and motion have the same length and that the motion has the model's width.

    Raises
    ------
    InputError
    """
    expected = (len(audio), 2, whole_frames(audio), model.motion_dim)
    if motion.shape != expected:
        raise InputError(
            f"motion has shape {tuple(motion.shape)}; this model and audio of {expected[2]} frames want {expected}"
        )


def motion_before(
    motion: Float[Tensor, "batch 2 frame coef"], initial_pose: Float[Tensor, "batch 2 coef"] | None
) -> Float[Tensor, "batch 2 frame coef"]:
    """`Frame.previous` of every frame: `motion` one frame later, after `initial_pose` (zeros for None)."""
    if initial_pose is None:
        initial_pose = torch.zeros_like(motion[:, :, 0])
    return torch.cat([initial_pose[:, :, None], motion[:, :, :-1]], dim=2)
