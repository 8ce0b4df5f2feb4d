"""What every model of a conversation is: two voices and two motions in, two motions out, whole or frame by frame.

Axis names: batch, party (always 2), frame, sample, coef. Person p of the output is person p of the input, and
swapping the people swaps the output. Audio is 16 kHz in [-1, 1], exactly 640 samples a motion frame; motion is
25 frames a second, its coefficients as the caller's layout has them.

What the motion of frame t may depend on, of both people alike:

| | from | up to and including |
|---|---|---|
| audio | the first sample | the last sample of frame t + `look_ahead_frames` |
| motion | `first`, the pose before frame 0 | frame t - 1 |
| noise | frame 0 | frame t |

Past the end of a recording there is silence. A model whose `look_ahead_frames` is None hears the whole recording
before it moves, and may read all of the partner's motion; it has `forward` alone.

A model is a function of tensors: no hidden state, no random numbers of its own in evaluation mode. Whoever samples
draws the noise, and so holds the seed.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dualtalk.errors import InputError
from dualtalk.timebase import SAMPLES_PER_FRAME

# How much of a recording `roll_out` hears before it moves people through it: bounds memory, changes nothing.
HEARD_AT_ONCE_FRAMES = 250

# Whatever a model remembers between steps: tensors in tuples and dataclasses. Callers keep it and hand it back.
State = Any
OnePersonsMotion = Float[Tensor, "batch frame coef"] | None


@dataclass(frozen=True)
class Frame:
    """What a model is given to move both people through frame t.

    Attributes
    ----------
    heard : (batch, 2, feature)
        For `ConversationModel.step`, the 640 samples of both voices over frame t + `look_ahead_frames`, silence
        where that is past the end; for `ConversationModel.move`, what `ConversationModel.hear` made of them.
    before : (batch, 2, coef)
        Both motions at frame t - 1, as the caller takes them to have been: observed, or what the model gave for
        that frame, or one of each. At frame 0, what `ConversationModel.forward` calls `first`.
    noise : (batch, 2, coef) or None
        Standard normal numbers, for a sample; None for the model's mean. A model without randomness ignores it.
    """

    heard: Float[Tensor, "batch 2 feature"]
    before: Float[Tensor, "batch 2 coef"]
    noise: Float[Tensor, "batch 2 coef"] | None = None


class ConversationModel(nn.Module, ABC):
    """Both people's motion from both people's audio and past motion.

    Attributes
    ----------
    coefficients : int
        Width of a motion vector.
    look_ahead_frames : int or None
        How many frames of audio past its own a motion frame needs; None for the whole recording.
    """

    coefficients: int
    look_ahead_frames: int | None = 0

    def fit(self, motion: Float[Tensor, "batch 2 frame coef"], valid: Bool[Tensor, "batch 2 frame"]) -> None:
        """Take from training motion what must be known before training, such as the scale of coefficients."""

    @abstractmethod
    def forward(
        self,
        audio: Float[Tensor, "batch 2 sample"],
        motion: Float[Tensor, "batch 2 frame coef"],
        first: Float[Tensor, "batch 2 coef"] | None = None,
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> Float[Tensor, "batch 2 frame coef"]:
        """Both motions of a whole recording, each frame from the true motion before it (teacher forcing).

        Parameters
        ----------
        audio : (batch, 2, sample)
            640 samples for each frame of `motion`.
        motion : (batch, 2, frame, coef)
            The true motion. Frame t of it is read for frames after t only.
        first : (batch, 2, coef) or None
            The pose before frame 0; None for zeros, a neutral face.
        noise : (batch, 2, frame, coef) or None
            As `Frame.noise`, for all frames.

        Raises
        ------
        InputError
            Audio and motion do not fit each other or this model.
        """

    def start(self, ahead: Float[Tensor, "batch 2 sample"]) -> State:
        """The state before frame 0, having heard the first `look_ahead_frames` frames of audio.

        `ahead` has 640 samples for each of them, so none where the model does not look ahead; it also says how
        large the batch is and on which device.

        Raises
        ------
        InputError
            This model cannot be streamed.
        """
        raise not_streamable(self)

    def hear(
        self, state: State, audio: Float[Tensor, "batch 2 sample"]
    ) -> tuple[Float[Tensor, "batch 2 frame feature"], State]:
        """What the model makes of the audio of the next frames, however people move, and the state after it.

        Many frames at once cost far less than one by one, so what can be heard is best heard before anybody moves.
        Unless a model says otherwise it is the samples themselves.
        """
        return audio.unflatten(-1, (-1, SAMPLES_PER_FRAME)), state

    def move(self, state: State, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], State]:
        """Both motions of the next frame that was heard, and the state after it."""
        raise not_streamable(self)

    def move_on(
        self,
        state: State,
        heard: Float[Tensor, "batch 2 frame feature"],
        before: Float[Tensor, "batch 2 coef"],
        given: tuple[OnePersonsMotion, OnePersonsMotion] = (None, None),
        noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    ) -> tuple[Float[Tensor, "batch 2 frame coef"], State]:
        """Both motions of all the next frames that were heard, each going on from what `fed` gives for the one
        before it, and the state after them. As `move` frame by frame, which a model may do faster at once."""
        answers = []
        for t, features in enumerate(heard.unbind(2)):
            answer, state = self.move(state, Frame(features, before, None if noise is None else noise[:, :, t]))
            answers.append(answer)
            before = fed(answer[:, :, None], cut(given, slice(t, t + 1)))[:, :, 0]
        return torch.stack(answers, dim=2), state

    def shown(self, moved: Float[Tensor, "batch 2 *frame coef"]) -> Float[Tensor, "batch 2 *frame coef"]:
        """A sample as it is to be seen. What the next frames go on from is the sample itself."""
        return moved

    def step(self, state: State, frame: Frame) -> tuple[Float[Tensor, "batch 2 coef"], State]:
        """Both motions of the next frame, and the state after it.

        Given the same audio, motion and noise frame by frame it gives what `forward` gives at once. `state` is
        left as it was, so a conversation can go on from it in more than one way, and gradients pass through.
        Time and memory of a step do not grow with the number of steps.
        """
        heard, state = self.hear(state, frame.heard)
        return self.move(state, replace(frame, heard=heard[:, :, 0]))


def roll_out(
    model: ConversationModel,
    audio: Float[Tensor, "batch 2 sample"],
    *,
    given: tuple[OnePersonsMotion, OnePersonsMotion] = (None, None),
    first: Float[Tensor, "batch 2 coef"] | None = None,
    noise: Float[Tensor, "batch 2 frame coef"] | None = None,
    as_shown: bool = True,
) -> Float[Tensor, "batch 2 frame coef"]:
    """Stream a whole recording through a model that is fed its own motion.

    Parameters
    ----------
    audio : (batch, 2, sample)
        A multiple of 640 samples.
    given : two of (batch, frame, coef) or None
        True motion of person 0 and of person 1 that the model is fed in place of its own. None and None is the
        closed loop; one given is the published protocol, partner given, and what the model gave for the other
        person is its answer; both given is teacher forcing.
    first, noise
        As `ConversationModel.forward` has them.
    as_shown : bool
        Whether samples are given as they are `ConversationModel.shown`.

    Returns
    -------
    (batch, 2, frame, coef)
        What the model gave, for the given people too.

    Raises
    ------
    InputError
        The model cannot be streamed, or what is given does not fit the audio.
    """
    frames = whole_frames(audio)
    for motion in given:
        if motion is not None and motion.shape[1:] != (frames, model.coefficients):
            raise InputError(
                f"motion given has shape {tuple(motion.shape)}; audio of {frames} frames wants "
                f"(batch, {frames}, {model.coefficients})"
            )
    ahead = (model.look_ahead_frames or 0) * SAMPLES_PER_FRAME
    padded = nn.functional.pad(audio, (0, ahead))
    state = model.start(padded[..., :ahead])
    before = audio.new_zeros(len(audio), 2, model.coefficients) if first is None else first
    parts, done = [], 0
    for sound in padded[..., ahead:].split(HEARD_AT_ONCE_FRAMES * SAMPLES_PER_FRAME, dim=-1):
        heard, state = model.hear(state, sound)
        span = slice(done, done + heard.shape[2])
        known = cut(given, span)
        moved, state = model.move_on(state, heard, before, known, None if noise is None else noise[:, :, span])
        parts.append(moved)
        before, done = fed(moved, known)[:, :, -1], span.stop
    moved = torch.cat(parts, dim=2)
    return model.shown(moved) if as_shown and noise is not None else moved


def fed(
    moved: Float[Tensor, "batch 2 frame coef"], given: tuple[OnePersonsMotion, OnePersonsMotion]
) -> Float[Tensor, "batch 2 frame coef"]:
    """What a model goes on from: what was `given` of a person, else what it moved."""
    if given == (None, None):
        return moved
    return torch.stack([moved[:, p] if given[p] is None else given[p] for p in range(2)], dim=1)


def cut(
    given: tuple[OnePersonsMotion, OnePersonsMotion], frames: slice
) -> tuple[Float[Tensor, "batch some coef"] | None, Float[Tensor, "batch some coef"] | None]:
    """Some frames of what was given."""
    return tuple(None if motion is None else motion[:, frames] for motion in given)


def not_streamable(what: nn.Module) -> InputError:
    """The error of a model, or a front end of one, that cannot go frame by frame."""
    return InputError(f"{type(what).__name__} hears a whole recording at once; it cannot be streamed")


def whole_frames(audio: Float[Tensor, "*batch sample"]) -> int:
    """How many motion frames `audio` has; it must have at least one, and no part of one.

    Raises
    ------
    InputError
        It has none, or ends within a frame.
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
    """Refuse audio and motion that differ in length, or motion that is not as wide as the model's.

    Raises
    ------
    InputError
    """
    wanted = (len(audio), 2, whole_frames(audio), model.coefficients)
    if motion.shape != wanted:
        raise InputError(
            f"motion has shape {tuple(motion.shape)}; this model and audio of {wanted[2]} frames want {wanted}"
        )


def motion_before(
    motion: Float[Tensor, "batch 2 frame coef"], first: Float[Tensor, "batch 2 coef"] | None
) -> Float[Tensor, "batch 2 frame coef"]:
    """`Frame.before` of every frame: `motion` one frame later, behind `first` (zeros for None)."""
    if first is None:
        first = torch.zeros_like(motion[:, :, 0])
    return torch.cat([first[:, :, None], motion[:, :, :-1]], dim=2)
